"""After a kill: units that were on their way are known again, each the old one or the new one, and whole.

The journal names a unit with its old and its new tree. Where it stands, and what lies on the stage, tells how far it
came: what had been looked at when it came out goes to the trash; what had not is looked at now, by its content, and
goes back to its place if it is not what the index had: then its user was at work in it.
"""

import os
from collections.abc import Callable, Iterable

from replican.decisions.treediff import walk_tree
from replican.effects.gleaning import BUILT
from replican.effects.index import JournalEntry
from replican.effects.ledger import Ledger
from replican.effects.linux import exchange, rename_new
from replican.effects.staging import Stage
from replican.effects.swapping import (
    aside_name,
    close_again,
    close_whole,
    discard,
    held_by,
    holds_just,
    inside,
    open_out,
    out_name,
)
from replican.effects.trash import Trash, id_at
from replican.effects.worktree import Directories, open_way, set_mode
from replican.values.errors import DamagedError, NotFoundError
from replican.values.ids import BlobId, TreeId
from replican.values.listing import Row
from replican.values.names import copy_name, group_key
from replican.values.paths import join, name_of, parent_of
from replican.values.trees import DIRECTORY, Entry, TreeReader

BringBack = Callable[[Directories, int, bytes, bytes, BlobId, int], bytes | None]
"""Gives something of the user's a name: from where it lies, for which path, what it holds, and its mtime (ns)."""


def is_swap(entry: JournalEntry) -> bool:
    """Whether an entry of the journal is of a unit that goes or is replaced as a whole."""
    _, old, new, _ = entry
    if old is None or old.kind != DIRECTORY:
        return False
    return old.is_unit if new is None else new.is_unit and old.id != new.id


def files_swapped(journal: Iterable[JournalEntry], trees: TreeReader) -> dict[bytes, tuple[bytes, Entry]]:
    """The files and links of the old units in a journal, by path, each with the path of its unit."""
    found: dict[bytes, tuple[bytes, Entry]] = {}
    for entry in filter(is_swap, journal):
        assert entry.old is not None
        try:
            below = list(walk_tree(trees, entry.old.tree, entry.path))
        except (NotFoundError, DamagedError):
            continue
        found.update((path, (entry.path, each)) for path, each in below if each.kind != DIRECTORY)
    return found


class Unswapping:
    """The units of one journal. ``trees`` are those of the log."""

    def __init__(
        self,
        ledger: Ledger,
        directories: Directories,
        stage: Stage,
        trash: Trash,
        trees: TreeReader,
        bring_back: BringBack,
    ) -> None:
        self._bring_back = bring_back
        self._ledger = ledger
        self._directories = directories
        self._stage = stage
        self._trash = trash
        self._trees = trees
        self._trashed: dict[bytes, list[bytes]] | None = None

    def recover(self, entry: JournalEntry) -> bool:
        """Put one in order; whether the old unit is gone, so that what stands there is new to the ledger."""
        path, old, _, _ = entry
        assert old is not None
        row = self._ledger.row(path)
        fd = self._open_above(path)
        if row is None or fd is None:
            return False
        found = _lstat(name_of(path), fd)
        if self._stands(path, row, fd, found):
            return False  # it has not come so far
        staged, is_old = self._came_out(entry, row)
        if staged is None and found is not None and found.st_ino == row.ino and not self._is_new(entry, fd):
            return False  # nor has this one, and its user has been at work in it since
        if staged is not None:
            if not is_old:
                self._put_back(staged, path, fd, found is not None)
                return False
            if found is None and entry.new is not None:
                self._put_back(staged, path, fd, False)  # it was taken out to be replaced, and was not
                return False
            if staged != out_name(path):
                self._stage.remove(out_name(path))
                rename_new(self._stage.fd, staged, self._stage.fd, out_name(path))
            self._discard(path, old)
        self._ledger.drop_whole(path)
        return True

    def _open_above(self, path: bytes) -> int | None:
        try:
            return self._directories.open(parent_of(path))
        except OSError:
            return None

    def _stands(self, path: bytes, row: Row, fd: int, found: os.stat_result | None) -> bool:
        """Whether the old unit is where it was. One that had been opened up to go is closed again: a power cut may
        have lost its rename, and not what was done after that."""
        name, held = name_of(path), held_by(self._ledger, path)
        if found is None or not holds_just(fd, name, row, held, wherever=True):
            return False
        close_whole(fd, name, row, held)
        return True

    def _came_out(self, entry: JournalEntry, row: Row) -> tuple[bytes | None, bool]:
        """Where on the stage the old unit lies, and whether it is as it was. What it holds tells that. Its number does
        not: some file systems give others each time that they are mounted, and then what came in its place may have it.
        Where neither the old nor the new one lies, though, the number says that somebody wrote to the old one in its
        last moment."""
        path, old, new, _ = entry
        assert old is not None
        numbered = None
        for staged in self._places(path):
            found = _lstat(staged, self._stage.fd)
            if found is None:
                continue
            is_old = staged == out_name(path) or self._is(staged, old.tree)
            if is_old or staged == aside_name(path):
                return staged, is_old
            if found.st_ino == row.ino and (
                new is None or not holds_tree(self._stage.fd, staged, new.tree, self._trees)
            ):
                numbered = staged
        return numbered, False

    def _is_new(self, entry: JournalEntry, fd: int) -> bool:
        return entry.new is not None and holds_tree(fd, name_of(entry.path), entry.new.tree, self._trees)

    def _places(self, path: bytes) -> list[bytes]:
        """Where on the stage it may lie; what has a name of its own there first."""
        listed = map(os.fsencode, os.listdir(self._stage.fd))
        return [out_name(path), aside_name(path), *(join(name, path) for name in listed if name.startswith(BUILT))]

    def _is(self, staged: bytes, tree: TreeId) -> bool:
        """Whether a directory on the stage holds just what a tree says, byte for byte. What it lacks may lie in the
        trash by now: a power cut may have lost that it was looked at, and not what came after that."""
        return holds_tree(self._stage.fd, staged, tree, self._trees, self._is_in_trash)

    def _is_in_trash(self, blob: BlobId) -> bool:
        if self._trashed is None:
            self._trashed = {}
            for name in map(os.fsencode, os.listdir(self._trash.fd)):
                self._trashed.setdefault(name.partition(b"-")[0], []).append(name)
        names = self._trashed.get(blob.hex().encode(), ())
        return any(id_at(name, self._trash.fd) == blob for name in names)

    def _put_back(self, staged: bytes, path: bytes, fd: int, is_taken: bool) -> None:
        """A user's unit goes back to its name; where that is taken by what came in its place, both change places; and
        where that is not to be had, it lies beside it."""
        name, row = name_of(path), self._ledger.row(path)
        assert row is not None
        if is_taken and not self._exchange(staged, fd, name):
            found = os.lstat(staged, dir_fd=self._stage.fd)
            name = copy_name(group_key(name), found.st_mtime_ns, row.entry.blob, set(map(os.fsencode, os.listdir(fd))))
            is_taken = False
        if not is_taken:
            rename_new(self._stage.fd, staged, fd, name)
        close_again(fd, name, row)
        os.fsync(fd)

    def _exchange(self, staged: bytes, fd: int, name: bytes) -> bool:
        """Have what came and what it came for change places again, whatever the permissions of what came."""
        mode = os.lstat(name, dir_fd=fd).st_mode
        set_mode(name, fd, mode | 0o700, False)
        if exchange(self._stage.fd, staged, fd, name):
            return True
        set_mode(name, fd, mode, False)
        return False

    def _discard(self, path: bytes, old: Entry) -> None:
        """What is left of an old unit that came out goes to the trash: it is known to be what it was. Who still had a
        file of it open may have written to that since: it goes beside what came."""
        for below, rows in _left_of(self._stage.fd, out_name(path), self._trees, old).items():
            fd = open_out(self._stage.fd, inside(out_name(path), below))
            try:
                for row in rows.values():
                    holds = id_at(row.name, fd)
                    if holds is not None and holds != row.id:
                        found = os.lstat(row.name, dir_fd=fd)
                        self._bring_back(self._directories, fd, row.name, path, holds, found.st_mtime_ns)
            finally:
                os.close(fd)
        discard(self._stage.fd, path, _left_of(self._stage.fd, out_name(path), self._trees, old), self._trash)


def holds_tree(
    fd: int, name: bytes, tree: TreeId, trees: TreeReader, is_elsewhere: Callable[[BlobId], bool] = lambda blob: False
) -> bool:
    """Whether a directory holds just what a tree says, byte for byte, but for what lies elsewhere by now."""
    stack = [(name, tree)]
    while stack:
        at, wanted = stack.pop()
        try:
            listing = trees.tree(wanted)
        except (NotFoundError, DamagedError):
            return False
        try:
            directory = open_way(at, fd)
        except FileNotFoundError:
            directory = None
        except OSError:
            return False
        try:
            there = set() if directory is None else set(map(os.fsencode, os.listdir(directory)))
            if not there <= {entry.name for entry in listing}:
                return False
            for entry in listing:
                if entry.kind == DIRECTORY:
                    stack.append((join(at, entry.name), entry.tree))
                elif directory is None or entry.name not in there:
                    if not is_elsewhere(entry.blob):
                        return False
                elif id_at(entry.name, directory) != entry.id:
                    return False
        finally:
            if directory is not None:
                os.close(directory)
    return True


def _left_of(stage_fd: int, out: bytes, trees: TreeReader, old: Entry) -> dict[bytes, dict[bytes, Row]]:
    """Those files of a unit that have not gone to the trash yet, as rows."""
    left: dict[bytes, dict[bytes, Row]] = {}
    stack = [(b"", old.tree)]
    while stack:
        below, tree = stack.pop()
        try:
            listing = trees.tree(tree)
            fd = open_out(stage_fd, inside(out, below))
        except (NotFoundError, DamagedError, OSError):
            continue
        try:
            there = {os.fsencode(name) for name in os.listdir(fd)}
        finally:
            os.close(fd)
        left[below] = {
            entry.name: Row(*entry, entry.perm, entry.mtime_ns, 0, 0)
            for entry in listing
            if entry.name in there and entry.kind != DIRECTORY
        }
        stack += [(join(below, entry.name), entry.tree) for entry in listing if entry.kind == DIRECTORY]
    return left


def _lstat(name: bytes, fd: int) -> os.stat_result | None:
    try:
        return os.lstat(name, dir_fd=fd)
    except OSError:
        return None
