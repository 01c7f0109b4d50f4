"""Directories that were renamed: what the index has of them is taken over, and nothing in them is read again.

A directory keeps its inode through a rename, and what lies in it keeps all its stat data. No file is taken over by
its inode alone:
the next file made often gets the inode of the last one deleted.
"""

import os
from collections.abc import Mapping

from replican.effects.assemble import Assembler
from replican.effects.examine import directory_perm
from replican.effects.index import ASIDE, DirRecord, Index, Known
from replican.effects.listdir import Seen
from replican.effects.partly import PartlyKnown
from replican.values.listing import DIRECTORY_MODE, KIND_MASK, Row, stat_digest
from replican.values.paths import is_below, join
from replican.values.trees import ATOMIC, DIRECTORY


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
