"""The trash: what a merge replaced or deleted, taken by rename, kept under its blob id until it expires.

A rename takes the inode, not a copy, so a program that still holds the file open, or knows it by another hard link, can
go on writing to it. Hence every look (after the batch, at the next scan, before expiry) compares what lies here with
what was taken.
"""

import os
import stat
import time
from collections.abc import Iterable
from typing import NamedTuple

from replican.effects.contents import ShelfStore
from replican.effects.durable import open_shelf
from replican.effects.linux import rename_new
from replican.effects.worktree import FILE_FLAGS
from replican.values.ids import BlobId, blob_hasher, blob_id
from replican.values.trees import FILE, Entry


class TrashItem(NamedTuple):
    """One thing in the trash: where it lies, what it was, and where it was taken from.

    ``file`` is its name below ``.replican/trash``; ``time_ns`` when it was taken (ns since 1970); ``ino`` and the
    attributes say what was taken, so that a later change is seen. ``ctime_ns`` is what the inode had after it was
    renamed; None where an older release noted it.
    """

    blob: BlobId
    file: bytes
    path: bytes
    kind: bytes
    perm: int
    size: int
    mtime_ns: int
    ino: int
    time_ns: int
    ctime_ns: int | None = None

    def is_unwritten(self, found: os.stat_result) -> bool:
        """Whether ``found`` is what was taken, and nothing was done to it since. Where something was, this may be a
        change of its links or its permissions alone: its content tells."""
        unwritten = is_same_inode(found, self.ino, self.size, self.mtime_ns)
        return unwritten and self.ctime_ns in (None, found.st_ctime_ns)


def hash_open(fd: int, size: int) -> BlobId:
    """The id of what ``fd`` holds, if it has ``size`` bytes."""
    hasher = blob_hasher(size)
    while data := os.read(fd, 1 << 20):
        hasher.update(data)
    return BlobId(hasher.digest())


def id_at(name: bytes, dir_fd: int) -> BlobId | None:
    """The id of a file's content or a link's target; None if it is neither, or cannot be read."""
    try:
        found = os.lstat(name, dir_fd=dir_fd)
        if stat.S_ISLNK(found.st_mode):
            return blob_id(os.readlink(name, dir_fd=dir_fd))
        if not stat.S_ISREG(found.st_mode):
            return None
        fd = os.open(name, FILE_FLAGS, dir_fd=dir_fd)
    except OSError:
        return None
    try:
        return hash_open(fd, os.fstat(fd).st_size)
    except OSError:
        return None
    finally:
        os.close(fd)


def is_same_inode(found: os.stat_result, ino: int, size: int, mtime_ns: int) -> bool:
    """Whether ``found`` is the inode that was looked at before a rename (which changes the ctime), unwritten since."""
    return found.st_ino == ino and found.st_size == size and found.st_mtime_ns == mtime_ns


class Trash:
    """The folder ``.replican/trash``. A context manager; ``taken`` lists what this one took."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = open_shelf(path)
        self.shelf = ShelfStore("the trash", path)
        self.taken: list[TrashItem] = []

    def __enter__(self) -> "Trash":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def take(self, dir_fd: int, name: bytes, path: bytes, was: Entry, looked: os.stat_result) -> bool:
        """Move ``name`` here if it is still what ``looked`` saw; False if it was not (then it lies where it lay).

        Raises ``OSError`` where the rename cannot be done.
        """
        file = self._rename_in(dir_fd, name, was.blob)
        found = os.lstat(file, dir_fd=self.fd)
        if not is_same_inode(found, looked.st_ino, looked.st_size, looked.st_mtime_ns):
            rename_new(self.fd, file, dir_fd, name)
            return False
        self.note(file, path, was, found)
        return True

    def _rename_in(self, dir_fd: int, name: bytes, blob: BlobId) -> bytes:
        shown = blob.hex().encode()
        file, count = shown, 1
        while True:
            try:
                rename_new(dir_fd, name, self.fd, file)
                return file
            except FileExistsError:
                count += 1
                file = b"%s-%d" % (shown, count)

    def note(self, file: bytes, path: bytes, was: Entry, found: os.stat_result) -> None:
        """What lies under the name ``file`` is ``was``, which was taken from ``path``."""
        status = found.st_size, found.st_mtime_ns, found.st_ino
        self.taken.append(
            TrashItem(was.blob, file, path, was.kind, was.perm, *status, time.time_ns(), found.st_ctime_ns)
        )

    def flush(self) -> None:
        """Make durable what was taken."""
        if self.taken:
            os.fsync(self.fd)

    def changed(self, items: Iterable[TrashItem]) -> list[TrashItem]:
        """Those of ``items`` that somebody may have written to since they were taken: files, by a descriptor or another
        hard link, so the inode is the same. Another one is damage, or this replica is a copy."""
        changed: list[TrashItem] = []
        for item in items:
            if item.kind != FILE:
                continue
            try:
                found = os.lstat(item.file, dir_fd=self.fd)
            except FileNotFoundError:
                continue
            same = stat.S_ISREG(found.st_mode) and found.st_ino == item.ino
            if same and not item.is_unwritten(found):
                changed.append(item)
        return changed

    def remove(self, item: TrashItem) -> None:
        """Drop one thing for good."""
        try:
            os.unlink(item.file, dir_fd=self.fd)
        except FileNotFoundError:
            pass
