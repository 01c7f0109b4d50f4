"""The tail: what is recorded while a folder is watched, in one file, `.replican/tail`, so that one flush is enough.

Objects, moves of refs and the journal of a batch are appended to it, in the order in which they would be made durable
elsewhere; one flush makes all durable that was appended until then. What it has is part of the log, for whoever reads,
as soon as it is there. Later, when nobody waits, it is put where it belongs (:mod:`replican.effects.tailing`), and the
tail begins anew.

The file is as long as it will ever be from its beginning on, so that a flush writes what was appended and nothing else.
A header has a salt; each record has a checksum that begins with that and with the record's place. What stands behind
the last whole record, of an earlier round or cut off by a power cut, is none.
"""

import errno
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from replican.effects import durable
from replican.values.errors import DamagedError, MalformedError
from replican.values.ids import object_hash
from replican.values.journal import JournalEntry
from replican.values.trees import Entry, encode_tree, parse_tree

NAME: Final = "tail"
CAPACITY: Final = 512 << 10
"""The size of the file in bytes."""
LARGEST: Final = 128 << 10
"""A record of more bytes than this goes the usual way."""

_MAGIC = b"rpltail1"
_HEADER = struct.Struct("<8s8sQ")  # magic, salt, checksum
_RECORD = struct.Struct("<IQ")  # size of what follows, checksum
_ITEM = struct.Struct("<cI")
_FIRST: Final = 64
_OBJECT, _MOVE, _JOURNAL = b"o", b"r", b"j"
_KINDS = frozenset([b"tree", b"commit"])
_INFLATED: Final = 64 << 20


class Move(NamedTuple):
    """A ref that was moved: its name, where from (None: it began) and where to, and the line of its reflog."""

    name: str
    old: bytes | None
    new: bytes
    line: bytes


class Batch(NamedTuple):
    """What a record says that is about to be changed in the folder; ``mark`` is the record's and no other's."""

    mark: bytes
    entries: Sequence[JournalEntry]


class Tail:
    """The tail of the repository whose `.replican` is ``dotdir``. Who appends holds the repository's lock.

    ``make_room`` puts what is in it where it belongs, when it is full. One that has a ``flaw`` is as good as none for
    who reads; who would append raises ``DamagedError``.
    """

    def __init__(self, dotdir: str) -> None:
        self._path = f"{dotdir}/{NAME}"
        self.in_use = False
        """Whether this process appends to it; whoever reads, reads it."""
        self.make_room: Callable[[], None] | None = None
        self.unflushed = False
        self.flaw: str | None = None
        """What is wrong with it, as far as that can be told from a write that was cut off."""
        self.objects: dict[bytes, tuple[bytes, bytes]] = {}
        """Kind and payload by id, as of the last :meth:`look`; so are all others."""
        self.moves: list[Move] = []
        self.batch: Batch | None = None
        self.salt = b""
        """Another one whenever the tail begins anew; empty where there is none."""
        self._end = 0

    @property
    def is_empty(self) -> bool:
        return self._end <= _FIRST

    def look(self) -> None:
        """Read what came since."""
        try:
            fd = durable.open_file(self._path)
        except FileNotFoundError:
            self._begin(b"")
            return
        except OSError as error:
            if error.errno in durable.WRONG_KIND:
                self._begin(b"", "something else has its place")
                return
            raise durable.explain(error, f"read {self._path}") from error
        try:
            self._read(fd)
        except OSError as error:
            raise durable.explain(error, f"read {self._path}") from error
        finally:
            os.close(fd)

    def _begin(self, salt: bytes, flaw: str | None = None) -> None:
        self.salt, self.flaw, self._end = salt, flaw, _FIRST if salt else 0
        self.objects, self.moves, self.batch = {}, [], None
        self.unflushed = False

    def _read(self, fd: int) -> None:
        header = os.pread(fd, _HEADER.size, 0)
        try:
            magic, salt, seal = _HEADER.unpack(header)
        except struct.error:
            magic, salt, seal = b"", b"", 0
        if magic != _MAGIC or seal != _sum_of(header[: _HEADER.size - 8]):
            self._begin(b"", "its beginning is not what was written")
            return
        if salt != self.salt:
            self._begin(salt)
        while self._end + _RECORD.size <= CAPACITY:
            size, seal = _RECORD.unpack(os.pread(fd, _RECORD.size, self._end).ljust(_RECORD.size, b"\0"))
            if not 0 < size <= LARGEST or self._end + _RECORD.size + size > CAPACITY:
                break
            packed = os.pread(fd, size, self._end + _RECORD.size)
            if len(packed) != size or seal != self._seal(packed):
                break
            try:
                self._take(_unpacked(packed))
            except (zlib.error, ValueError, struct.error, MalformedError, IndexError):
                break  # nobody wrote this by mistake, and nothing of it is taken
            self._end += _RECORD.size + size

    def _seal(self, packed: bytes) -> int:
        return _sum_of(packed, int.from_bytes(self.salt, "little") ^ self._end)

    def _take(self, items: Sequence[tuple[bytes, bytes]]) -> None:
        objects: dict[bytes, tuple[bytes, bytes]] = {}
        moves: list[Move] = []
        entries: list[JournalEntry] = []
        for what, body in items:
            if what == _OBJECT:
                kind, _, payload = body.partition(b"\0")
                if kind not in _KINDS:
                    raise ValueError("an object of no kind")
                objects[object_hash(kind, payload)] = kind, payload
            elif what == _MOVE:
                moves.append(_move(body))
            elif what == _JOURNAL:
                entries.append(_entry(body))
            else:
                raise ValueError("an item of no kind")
        self.objects.update(objects)
        self.moves += moves
        if entries:
            self.batch = Batch(self.salt + struct.pack("<I", self._end), entries)

    # -- by whoever holds the lock --------------------------------------------------------------------------------

    def add_objects(self, objects: Sequence[tuple[bytes, bytes]]) -> bool:
        """Append objects, each its kind and payload; False where they are too much for it: then nothing was done."""
        return self._append([(_OBJECT, kind + b"\0" + payload) for kind, payload in objects])

    def add_move(self, name: str, line: bytes) -> None:
        """Append the move of a ref with the line of its reflog, which tells where from and where to."""
        if not self._append([(_MOVE, name.encode() + b"\0" + line)]):
            raise ValueError("a line of a reflog that is too long")

    def add_batch(self, entries: Sequence[JournalEntry]) -> bool:
        """Append what is about to be changed; False where that is too much."""
        return self._append([(_JOURNAL, _packed_entry(entry)) for entry in entries])

    def _append(self, items: Sequence[tuple[bytes, bytes]]) -> bool:
        if sum([len(body) for _, body in items]) > 8 * LARGEST:
            return False
        packed = zlib.compress(b"".join([_ITEM.pack(what, len(body)) + body for what, body in items]), 1)
        if len(packed) > LARGEST:
            return False
        self._ready(_RECORD.size + len(packed))
        with self._opened() as fd:
            record = _RECORD.pack(len(packed), self._seal(packed)) + packed
            if os.pwrite(fd, record, self._end) != len(record):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.unflushed = True
        self._take(items)
        self._end += len(record)
        return True

    def _ready(self, size: int) -> None:
        """See to it that there is a tail with so much room."""
        self.look()
        if self.flaw is not None:
            raise DamagedError(f"the tail is damaged: {self.flaw}", "run: replican fsck --repair")
        if not self.salt:
            header = self._header()
            try:
                durable.replace_file(self._path, header.ljust(CAPACITY, b"\0"))
            except OSError as error:
                raise durable.explain(error, f"write {self._path}") from error
            self._begin(header[8:16])
        elif self._end + size > CAPACITY and self.make_room is not None:
            self.make_room()

    @staticmethod
    def _header() -> bytes:
        start = _MAGIC + os.urandom(8)
        return start + struct.pack("<Q", _sum_of(start))

    def flush(self) -> None:
        """Make all durable that was appended, by whomever."""
        with self._opened() as fd:
            os.fdatasync(fd)
        self.unflushed = False

    def begin_anew(self) -> None:
        """All that it has is durable elsewhere."""
        header = self._header()
        with self._opened() as fd:
            os.pwrite(fd, header, 0)
            os.fdatasync(fd)
        self._begin(header[8:16])

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """A descriptor to write by; of whatever fails within, it is said that the tail cannot be written."""
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                yield fd
            finally:
                os.close(fd)
        except OSError as error:
            raise durable.explain(error, f"write {self._path}") from error


def _sum_of(content: bytes, seed: int = 0) -> int:
    from xxhash import xxh3_64_intdigest  # most readers find no tail

    return xxh3_64_intdigest(content, seed)


def _unpacked(packed: bytes) -> list[tuple[bytes, bytes]]:
    inflater = zlib.decompressobj()
    content = inflater.decompress(packed, _INFLATED)
    if not inflater.eof or inflater.unused_data:
        raise ValueError("not what was packed")
    items, at = [], 0
    while at < len(content):
        what, size = _ITEM.unpack_from(content, at)
        at += _ITEM.size + size
        if at > len(content):
            raise ValueError("an item that is cut off")
        items.append((what, content[at - size : at]))
    return items


def _move(body: bytes) -> Move:
    name, _, line = body.partition(b"\0")
    old, new = bytes.fromhex(line[:64].decode()), bytes.fromhex(line[65:129].decode())
    if len(old) != 32 or len(new) != 32 or not line.endswith(b"\n"):
        raise ValueError("a line of a reflog that is none")
    return Move(name.decode(), old if any(old) else None, new, line)


def _packed_entry(entry: JournalEntry) -> bytes:
    sides = [b"" if side is None else encode_tree([side]) for side in (entry.old, entry.new)]
    return b"".join([struct.pack("<I", len(part)) + part for part in (entry.path, *sides)])


def _entry(body: bytes) -> JournalEntry:
    parts, at = [], 0
    for _ in range(3):
        (size,) = struct.unpack_from("<I", body, at)
        at += 4 + size
        parts.append(body[at - size : at])
    if at != len(body):
        raise ValueError("an entry of a journal that is none")
    path, old, new = parts
    return JournalEntry(path, _side(old), _side(new))


def _side(payload: bytes) -> Entry | None:
    return parse_tree(payload)[0] if payload else None
