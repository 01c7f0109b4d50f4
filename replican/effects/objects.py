"""The object store: trees and checkpoints, loose and in packs, under `.replican/objects`.

`loose/` holds few objects, a file each; `pack/` holds many in a file; what was added last may be in the tail yet.
Readers take no lock: files here never change once they have their names, and what went elsewhere is looked for again.

Whatever is read has the hash that its id says. Trees and checkpoints are also well-formed; a raw payload is
what was stored, and whoever takes one in from elsewhere has to parse it
(:func:`~replican.effects.forms.check_object`).
"""

import os
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from replican.effects import durable
from replican.effects.ages import TIMES, has_times
from replican.effects.forms import CHECKPOINT, TREE, parse_as_checkpoint, parse_as_tree, show_kind
from replican.effects.loose import PAYLOAD_LIMIT, LooseObjects, damaged_object, missing_object
from replican.effects.packs import STORED, Pack, write_pack
from replican.effects.tail import Tail
from replican.values.checkpoints import Checkpoint
from replican.values.errors import DamagedError, NotFoundError, RefusedError, ReplicanError
from replican.values.ids import CheckpointId, TreeId, object_hash
from replican.values.trees import Entry

if TYPE_CHECKING:
    from replican.effects.repacking import Holdings, Repacked

LOOSE_LIMIT = 32
"""More objects than this at once become a pack."""
PACK_BOUND = 8
"""More packs than this are put together."""
LOOSE_BOUND = 512
"""More loose objects than this become a pack."""
GRACE_SECONDS = 14 * 86400
"""What nothing refers to is kept for this long: somebody may be about to."""

_HEX_PREFIX = re.compile(r"[0-9a-f]{1,64}")
_PACK_INDEX = re.compile(r"(pack-[0-9a-f]{64})\.idx")
_CACHED_ENTRIES = 150_000
_CACHED_CHECKPOINTS = 4096
FEW_ENTRIES, FEW_CHECKPOINTS = 20_000, 256
"""So many stay parsed in who lives for months: an entry of a tree takes some 300 bytes, a checkpoint 900."""
_KEPT_BYTES = 32 << 20
_LOOKS = 16
_IN_TAIL = "tail"
_Id = TypeVar("_Id", bound=bytes)


class StoreStats(NamedTuple):
    """How much lies where; sizes in bytes on disk, as files say."""

    loose: int
    loose_size: int
    packs: int
    packed: int
    pack_size: int


class ObjectStore:
    """The objects of one repository. Not for several threads; close it."""

    def __init__(self, path: str, tail: Tail | None = None) -> None:
        """``path`` is the directory `objects`; it is made when the first object is added."""
        self.path = path
        self._tail = tail or Tail(os.path.dirname(path))
        self._loose = LooseObjects(path + "/loose")
        self._pack = path + "/pack"
        self._packs: dict[str, Pack] = {}
        self._scanned = False
        self._damage: dict[str, DamagedError] = {}
        self._trees: dict[TreeId, Sequence[Entry]] = {}
        self._added: Mapping[bytes, tuple[bytes, bytes]] = {}  # what was added last: it is asked for soon
        self._cached_entries = 0
        self.most_entries, self.most_checkpoints = _CACHED_ENTRIES, _CACHED_CHECKPOINTS
        self._checkpoints: dict[CheckpointId, Checkpoint] = {}

    def __enter__(self) -> "ObjectStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close files and forget what was cached; the store may be used again."""
        for pack in self._packs.values():
            pack.close()
        self._packs.clear()
        self._scanned = False
        self._trees.clear()
        self._cached_entries = 0
        self._added = {}
        self._checkpoints.clear()

    # Reading

    def tree(self, tree: TreeId, /) -> Sequence[Entry]:
        """The entries of ``tree``; raises ``NotFoundError`` or ``DamagedError``."""
        entries = self._trees.pop(tree, None)
        if entries is None:
            entries = parse_as_tree(tree, self.payload(TREE, tree))
            self.keep_parsed(tree, entries)
        else:
            self._trees[tree] = entries  # now the last one to be forgotten
        return entries

    def keep_parsed(self, tree: TreeId, entries: Sequence[Entry]) -> None:
        """Have the entries of a tree at hand that is stored here, or is about to be; they have been verified."""
        if tree in self._trees:
            return
        self._trees[tree] = entries
        self._cached_entries += len(entries) + 1
        while self._cached_entries > self.most_entries:
            oldest = next(iter(self._trees))
            self._cached_entries -= len(self._trees.pop(oldest)) + 1

    def checkpoint(self, checkpoint: CheckpointId, /) -> Checkpoint:
        """A checkpoint; raises ``NotFoundError`` or ``DamagedError``."""
        found = self._checkpoints.pop(checkpoint, None)
        if found is None:
            found = parse_as_checkpoint(checkpoint, self.payload(CHECKPOINT, checkpoint))
            if len(self._checkpoints) >= self.most_checkpoints:
                del self._checkpoints[next(iter(self._checkpoints))]
        self._checkpoints[checkpoint] = found
        return found

    def payload(self, kind: bytes, id: bytes) -> bytes:
        """The stored payload, which has the hash ``id``; raises ``NotFoundError`` (of another kind, too)."""
        found, payload = self.read(id)
        if found != kind:
            raise NotFoundError(f"{id.hex()} is a {show_kind(found)}, not a {show_kind(kind)}")
        return payload

    def read(self, id: bytes) -> tuple[bytes, bytes]:
        """Kind and payload, which have the hash ``id``; raises ``NotFoundError`` or ``DamagedError``."""
        added = self._added.get(id) or self._tail.objects.get(id)
        if added is not None:
            return added
        damage: DamagedError | None = None
        going_on = True
        while going_on:  # once more for what came since, and for what moved into another pack meanwhile
            packs, lost, salt = self._open_packs(), None, self._tail.salt
            for pack in packs:
                position = pack.position(id)
                if position is None:
                    continue
                try:
                    found = pack.read(position)
                    if object_hash(*found) == id:
                        return found
                    damage = damaged_object(id, f"in {pack.name}")
                except DamagedError as error:
                    damage = error
                except FileNotFoundError:
                    lost = damaged_object(id, f"{pack.name}.pack is missing")
                except OSError as error:
                    raise durable.explain(error, f"read {pack.base}.pack") from error
            try:
                loose = self._loose.read(id)  # after the packs: most objects are there, and this costs an open()
                if loose is not None:
                    return loose
            except DamagedError as error:
                damage = error
            self._rescan()
            in_tail = self._tail.objects.get(id)
            if in_tail is not None:
                return in_tail
            going_on = self._open_packs() != packs or self._tail.salt != salt
        raise damage or lost or next(iter(self._damage.values()), None) or missing_object(id)

    def has(self, id: bytes) -> bool:
        """Whether the object is there; not whether it is whole."""
        return not self.lacking([id])

    def lacking(self, ids: Iterable[_Id], kind: bytes | None = None, *, looked: bool = False) -> list[_Id]:
        """Those of ``ids`` that are not there (as objects of ``kind``), with one look at what came since for all; none
        for who has the lock and has ``looked``, since nothing comes then."""
        missing = [id for id in ids if not self._holds(id, kind)]
        if looked or not missing:
            return missing
        self._rescan()
        return [id for id in missing if not self._holds(id, kind)]

    def ids(self) -> Iterator[tuple[bytes, bytes]]:
        """Id and kind of every object, once, in no order."""
        for id in self.every_id():
            yield id, self.read(id)[0]

    def every_id(self) -> Iterator[bytes]:
        """The id of every object, once, also of those that are damaged; in no order."""
        packs = self._fresh_packs()
        seen: set[bytes] = {*self._tail.objects, *map(bytes.fromhex, self._loose.names())}
        yield from seen
        for pack in packs:
            for position in range(pack.count):
                id = pack.id_at(position)
                if id not in seen:
                    seen.add(id)
                    yield id

    def resolve_prefix(self, prefix: str) -> list[tuple[bytes, bytes]]:
        """Id and kind of every object whose hex digits begin with ``prefix``, sorted; none if it is not hex digits."""
        if not _HEX_PREFIX.fullmatch(prefix):
            return []
        found: dict[bytes, bytes] = {}
        for name in self._loose.names():
            if name.startswith(prefix):
                id = bytes.fromhex(name)
                kind = self._loose.kind(id)
                if kind is not None:
                    found[id] = kind
        first = bytes.fromhex(prefix + "0" * (len(prefix) % 2))
        packs = self._fresh_packs()
        found |= {id: kind for id, (kind, _) in self._tail.objects.items() if id.hex().startswith(prefix)}
        for pack in packs:
            for position in range(pack.first_from(first), pack.count):
                id = pack.id_at(position)
                if not id.hex().startswith(prefix):
                    break
                found.setdefault(id, self._kind_in(pack, position))
        return sorted(found.items())

    def damage(self) -> list[DamagedError]:
        """Packs that cannot be opened: objects may be missing because of them."""
        self._rescan()
        return list(self._damage.values())

    def stats(self) -> StoreStats:
        """How many objects there are, and how much room they take."""
        loose = [durable.size_of(f"{self._loose.path}/{name}") for name in self._loose.names()]
        packs = self._fresh_packs()
        sizes = [durable.size_of(pack.base + suffix) for pack in packs for suffix in (".pack", ".idx", TIMES)]
        return StoreStats(len(loose), sum(loose), len(packs), sum(pack.count for pack in packs), sum(sizes))

    # Writing: by whoever holds the repository's lock

    def add(self, objects: Mapping[bytes, tuple[bytes, bytes]], *, from_tail: bool = False) -> None:
        """Store objects (id to kind and payload): durable on return, every file before the directory that names it;
        where the tail is in use, with what is flushed of that next. What comes ``from_tail`` is put beside it.

        What is there already, and whole, is left, and counts as new for :meth:`repack`: its file is touched, or it is
        written again where that would make others young, too. An object that does not have its hash raises
        ``DamagedError``, and nothing is stored. A full disk raises ``NoSpaceError``.
        """
        for id, (kind, payload) in objects.items():
            if object_hash(kind, payload) != id:
                raise DamagedError(f"object {id.hex()} does not have the hash that its id says")
            if len(payload) > PAYLOAD_LIMIT:
                raise RefusedError(f"a directory listing of {len(payload)} bytes is too large")
        self._rescan()
        new, homes = [], set()
        for id in objects:
            home = self._home(id)
            if home == _IN_TAIL:
                new += [id] if from_tail else []
                continue
            if home in homes and self._is_whole(id):
                continue
            if home is None or has_times(home) or not self._is_whole(id):
                new.append(id)
            else:
                homes.add(home)
        try:
            for home in homes:
                os.utime(home)
            if len(new) > LOOSE_LIMIT:
                durable.make_directory(self._pack)
                new.sort()
                # Somebody waits for this; a repack, for which nobody does, compresses.
                base = write_pack(self._pack, ((id, *objects[id]) for id in new), len(new), level=STORED)
                self._packs.pop(os.path.basename(base), None)  # of the same objects, hence the same name: it is damaged
                self._rescan()
            elif new and (
                from_tail or not self._tail.in_use or not self._tail.add_objects([objects[id] for id in new])
            ):
                self._loose.add({id: objects[id] for id in new})
        except OSError as error:
            raise durable.explain(error, f"write objects to {self.path}") from error
        small = sum([len(payload) for _, payload in objects.values()]) <= _KEPT_BYTES
        self._added = dict(objects) if small else {}
        if len(new) > LOOSE_LIMIT:
            many = len(self._packs) > PACK_BOUND
        else:
            many = bool(new) and len(self._loose.names()) > LOOSE_BOUND
        if many:
            self._consolidate()

    def _consolidate(self) -> None:
        """Put together what became many. What the disk does not let us do now is done another time."""
        from replican.effects.consolidating import join_small_packs, pack_loose

        try:
            if len(self._loose.names()) > LOOSE_BOUND and pack_loose(self._pack, self._loose):
                self._rescan()
            if len(self._packs) > PACK_BOUND:
                join_small_packs(self._pack, list(self._packs.values()))
        except (OSError, ReplicanError):
            pass  # all that was there is there
        self._rescan()

    def repack(self, keep: Container[bytes], grace_seconds: float = GRACE_SECONDS) -> "Repacked":
        """Put every object of ``keep`` into one pack; drop the others, unless they are younger than the grace.

        See :func:`replican.effects.repacking.repack`. A pack that cannot be opened raises ``DamagedError``, too.
        """
        from replican.effects.repacking import repack

        self._added = {}  # what is kept has to be whole on the disk
        held = self._holdings()
        if self._damage:
            raise next(iter(self._damage.values()))
        try:
            return repack(held, keep, grace_seconds)
        except OSError as error:
            raise durable.explain(error, f"write objects to {self.path}") from error
        finally:
            self._rescan()

    def prunable(self, keep: Container[bytes], grace_seconds: float = GRACE_SECONDS) -> int:
        """How many objects :meth:`repack` would drop."""
        from replican.effects.repacking import prunable

        return prunable(self._holdings(), keep, grace_seconds)

    def _holdings(self) -> "Holdings":
        from replican.effects.repacking import Holdings

        return Holdings(self._loose, self._pack, self._fresh_packs(), self.read)

    # Where things are

    def _open_packs(self) -> list[Pack]:
        if not self._scanned:
            self._rescan()
        return list(self._packs.values())

    def _fresh_packs(self) -> list[Pack]:
        self._rescan()
        return list(self._packs.values())

    def _rescan(self) -> None:
        """Take in what is in the tail now, and then the packs: what goes from there is here before it is gone."""
        self._tail.look()
        for _ in range(_LOOKS):
            there = {match[1] for name in durable.names_in(self._pack) if (match := _PACK_INDEX.fullmatch(name))}
            for name in self._packs.keys() - there:
                del self._packs[name]  # whoever iterates over it goes on
            self._damage.clear()
            gone = False
            for name in sorted(there - self._packs.keys()):
                try:
                    self._packs[name] = Pack(f"{self._pack}/{name}")
                except FileNotFoundError:
                    gone = True  # a repack was faster: what it made is to be looked for
                except DamagedError as error:
                    self._damage[name] = error
                except OSError as error:
                    raise durable.explain(error, f"read {self._pack}/{name}.idx") from error
            if not gone:
                break
        self._scanned = True

    def _holds(self, id: bytes, kind: bytes | None) -> bool:
        """Whether the object is there, as far as is known; the kind is what the store says, not verified."""
        if kind is None:
            return self._home(id) is not None
        for pack in self._packs.values():
            position = pack.position(id)
            if position is not None:
                return self._kind_in(pack, position) == kind
        if id in self._tail.objects:
            return self._tail.objects[id][0] == kind
        return self._loose.kind(id) == kind

    def _kind_in(self, pack: Pack, position: int) -> bytes:
        try:
            return pack.head(position)[0]
        except FileNotFoundError:  # its objects have moved, or it is damaged
            return self.read(pack.id_at(position))[0]

    def _home(self, id: bytes) -> str | None:
        """The file that has the object, as far as is known without looking for new packs."""
        if not self._scanned:
            self._rescan()
        for pack in self._packs.values():
            if pack.position(id) is not None:
                return pack.base + ".pack"
        if id in self._tail.objects:
            return _IN_TAIL
        path = self._loose.path_of(id)
        return path if os.path.lexists(path) else None

    def _is_whole(self, id: bytes) -> bool:
        try:
            self.read(id)
        except DamagedError:
            return False
        return True
