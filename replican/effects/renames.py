"""What was renamed. What the index has of a directory is taken over, and nothing in it is read again.

A directory keeps its inode through a rename, and what lies in it keeps all its stat data. No file is taken over by
its inode alone: the next file made often gets the inode of the last one deleted. What else a large one is known by
stands in :mod:`replican.effects.births`. But as long as one has not been read, its inode says what may have been its
name.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from replican.effects.assemble import Assembler
from replican.effects.examine import directory_perm
from replican.effects.index import ASIDE, DirRecord, Index, Known
from replican.effects.listdir import Seen
from replican.effects.partly import PartlyKnown
from replican.effects.worktree import Directories
from replican.values.listing import DIRECTORY_MODE, KIND_MASK, Row, clamp_time, stat_digest
from replican.values.paths import is_below, join, name_of, parent_of
from replican.values.progress import MOVED, UNREAD, Problem
from replican.values.trees import ATOMIC, DIRECTORY

if TYPE_CHECKING:
    from replican.effects.scan import Scan


class Renames:
    """Finds the records of renamed directories, and hands them to the assembler under their new paths."""

    def __init__(self, index: Index, known: Mapping[bytes, Known], assembler: Assembler, modes: bool) -> None:
        self._index = index
        self._known = known
        self._assembler = assembler
        self._modes = modes
        self._inodes: dict[int, bytes] | None = None
        self.taken: list[bytes] = []
        """The new paths of directories that were taken over."""

    def old_path(self, ino: int) -> bytes | None:
        """The path at which the index has a directory with this inode."""
        if isinstance(self._known, PartlyKnown):
            return self._index.directory_of_inode(ino)
        if self._inodes is None:
            self._inodes = {known.ino: path for path, known in self._known.items() if known.tree != ASIDE}
        return self._inodes.get(ino)

    def take_over(self, path: bytes, ino: int, mount: bool, record: DirRecord, items: list[Seen]) -> bool:
        """Take over the rows of one directory if its digest, and so every inode, time and name in it, is the same."""
        if record.digest is None or record.digest != stat_digest(items):  # type: ignore[arg-type]  # all was looked at
            return False
        self._assembler.take_over(record._replace(path=path, ino=ino, mount=mount))
        self.taken.append(path)
        for item in items:
            if item[1] & KIND_MASK == DIRECTORY_MODE:
                # One that was not recorded has no row in what was taken over, and may come to need one.
                self.offer_row(join(path, os.fsencode(item[0])), item[0], item[1], item[2])  # type: ignore[misc]
        return True

    def take_over_unseen(self, path: bytes, ino: int) -> bool:
        """A directory below a renamed one that can't be looked into: all that was known of it goes with it."""
        old_path = self.old_path(ino)
        if old_path is None:
            return False
        for below, known in self._known.items():
            if is_below(below, old_path) and known.tree != ASIDE:
                record = self._index.record(below)
                if record is not None:
                    self._assembler.take_over(record._replace(path=path + below[len(old_path) :]))
        return True

    def offer_row(self, path: bytes, name: str, mode: int, ino: int, unit: bool = False) -> None:
        """The row of a directory that the one above it may lack, should it come to be recorded."""
        mode &= 0o7777
        perm = directory_perm(mode, self._modes) | (ATOMIC if unit else 0)
        self._assembler.set_row(path, Row(os.fsencode(name), DIRECTORY, perm, 0, 0, b"", mode, 0, 0, ino))


def moved_unread(root: str, index: Index, seen: "Scan") -> list[Problem]:
    """What ``seen`` has for gone, and may be what was put off in it, at another path: a file, or a directory that held
    it. Were that recorded at once, it would be a deletion, and not a move.

    ``index`` has not been told of what was seen.
    """
    looks: set[tuple[int, int, int]] = set()
    with Directories(root) as directories:
        for path, cause, *_ in seen.problems:
            if cause == UNREAD:
                try:
                    found = os.lstat(name_of(path), dir_fd=directories.open(parent_of(path)))
                except OSError:
                    continue
                looks.add((found.st_ino, found.st_size, clamp_time(found.st_mtime_ns)))
    if not looks:
        return []

    def was(row: Row) -> bool:
        return (row.ino, row.size, row.disk_mtime_ns) in looks

    held: set[bytes] = set()
    for path, record in seen.changed.items():
        names = {row.name for row in record.rows}
        held.update([join(path, row.name) for row in index.rows(path) if row.name not in names and was(row)])
    for gone in seen.gone:
        if any(was(row) for path in index.digests_below(gone) for row in index.rows(path)):
            held.add(gone)
    return [Problem(path, MOVED) for path in sorted(held) if not any(is_below(path, gone) for gone in held - {path})]
