"""Groundwork: what a merge will need, made ready before there is a plan.

While another process still looks at the other folder, it tells which directories it has found changed. What is made of
that is content by id, and rows that are not changed: rows are loaded, listings parsed, small new files staged. None of
it decides anything, and what nobody asks for is dropped.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from typing import Final

from replican.effects.alongside import alongside
from replican.effects.completing import Glimpse
from replican.effects.contents import ContentStore, Wanted
from replican.effects.site import BATCH, Site
from replican.effects.staging import Slot, Stage
from replican.values.ids import TreeId, tree_id
from replican.values.paths import ancestors_of, join
from replican.values.trees import DIRECTORY, FILE, Entry, TreeOverlay, encode_tree

_SMALL: Final = 64 << 10
_MOST_STAGED: Final = 16 << 20
_ROOM: Final = 8 * _MOST_STAGED
_FILES: Final = 100_000
_new_entry = tuple.__new__  # of a row, which begins with an entry's fields


class Groundwork:
    """What was made ready for one merge. A context manager, which drops what was staged and not taken.

    ``stores`` have what is in the other folder. Of what is there under several names, or has only moved, nothing is
    known yet: so only small files are staged, and not many bytes of them.
    """

    def __init__(
        self,
        trees: TreeOverlay,
        keep: Callable[[TreeId, Sequence[Entry]], None],
        site: Site,
        stores: Sequence[ContentStore],
    ) -> None:
        """``keep`` is given the entries of old trees, which will be asked for once more."""
        self._trees = trees
        self._keep = keep
        self.site = site
        self._stage: Stage = site.stage
        self._stores = list(stores)
        self._slots: dict[tuple[bytes, int, int], list[Slot]] = {}
        self._left = _MOST_STAGED if _has_room(site.stage.fd) else 0
        self._directories = 0
        self._above: set[bytes] = set()
        self._flushing = ExitStack()

    def __enter__(self) -> "Groundwork":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._flushing.close()
        with suppress(OSError):
            for slot in (slot for slots in self._slots.values() for slot in slots):
                self._stage.drop(slot)
        self._slots.clear()

    def lay(self, glimpses: Iterable[Glimpse]) -> None:
        """Make ready what these directories need. Raises ``ReplicanError`` where anything is not as it should be."""
        for path, before, payload in glimpses:
            entries = know_listing(self._trees, payload)
            if entries is None:
                continue
            for above in ancestors_of(path):
                if above not in self._above:
                    self._above.add(above)
                    self._know(above, self.site.ledger.tree(above))
            known = {entry.name: entry for entry in self._entries_before(path, before)}
            for entry in entries:
                old = known.get(entry.name)
                if entry.kind == FILE and entry.size and (old is None or old.id != entry.id):
                    self._put(path, entry)

    def _entries_before(self, path: bytes, before: TreeId) -> Sequence[Entry]:
        """The entries of a directory's old tree: from its rows, which will be needed, too, if it is theirs."""
        if self._directories >= BATCH:
            return self._trees.tree(before)
        self._directories += 1
        return self._know(path, before) or self._trees.tree(before)

    def _know(self, path: bytes, before: TreeId | None) -> Sequence[Entry]:
        """Keep the entries that a directory's rows have, if they are those of a tree; none where they are not."""
        entries = [_new_entry(Entry, row[:6]) for row in self.site.ledger.rows(path).values()]
        if before is None or tree_id(encode_tree(entries)) != before:
            return ()
        self._keep(before, entries)
        return entries

    def _put(self, directory: bytes, entry: Entry) -> None:
        if entry.size > min(_SMALL, self._left):
            return
        self._left -= entry.size
        wanted = Wanted(entry.blob, entry.kind, entry.size, join(directory, entry.name))
        try:
            slot = self._stage.put(entry, wanted, self._stores)
        except OSError:
            self._left = 0  # whatever it is, whoever stages the rest meets it, and says so
            return
        if slot is not None:
            self._slots.setdefault((entry.id, entry.perm, entry.mtime_ns), []).append(slot)

    def flush(self) -> None:
        """Begin to make durable what was staged so far: :meth:`wait` waits for it."""
        if self._slots:
            self._flushing.enter_context(alongside(self._stage.flush))

    def wait(self) -> None:
        """Wait until what was staged before :meth:`flush` is durable. Raises ``OSError`` where the disk fails to."""
        self._flushing.close()

    def take(self, entry: Entry) -> Slot | None:
        """What was staged for a file with this content and these attributes, once for each."""
        slots = self._slots.get((entry.id, entry.perm, entry.mtime_ns))
        return slots.pop() if slots and entry.kind == FILE else None


def know_listing(trees: TreeOverlay, payload: bytes) -> Sequence[Entry] | None:
    """Put the listing of a directory into ``trees``; its entries. Not one with subdirectories: what is below them is
    for who takes all of it. Raises ``MalformedError``."""
    tree = tree_id(payload)
    trees.new[tree] = payload
    entries = trees.tree(tree)
    if any(entry.kind == DIRECTORY for entry in entries):
        del trees.new[tree]
        return None
    return entries


def _has_room(fd: int) -> bool:
    """Whether a disk has so much room that nobody will miss what is staged in vain."""
    disk = os.statvfs(fd)
    return disk.f_bavail * disk.f_frsize > _ROOM and (not disk.f_files or disk.f_favail > _FILES)
