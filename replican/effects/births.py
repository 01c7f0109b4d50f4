"""Births: a large file that was renamed is known again by its inode and the time it was made, and not read once more.

A rename changes the ctime, as whatever is written does, and the next file made often gets the inode of the last one
deleted; but not the time when that was made. So a file at a new path that has inode, birth time, size and mtime of one
that was read has its content. What this would miss is a file that was written to in place, got its old mtime back, and
was renamed, all between two looks: so pieces of its content count, too, among them those where tags and headers are
that such programs write to.
"""

import os
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from xxhash import xxh3_128

from replican.effects.index_births import BORN_FROM, Birth, IndexBirths
from replican.effects.linux import birth_ns
from replican.effects.worktree import FILE_FLAGS, open_root, opened_directory
from replican.values.listing import FILE_MODE, KIND_MASK, SMUDGED, Row, is_racy
from replican.values.trees import FILE

if TYPE_CHECKING:
    from replican.effects.hashing import Answer, Hashed

_END: Final = 1 << 14
_PIECE: Final = 1 << 12
_PIECES: Final = 6
_FEW: Final = 64


def mark_of(fd: int, found: os.stat_result, blob: bytes) -> bytes | None:
    """The mark of a file that ``fd`` reads, which holds ``blob``: it is no other file's, nor this one's with other
    content. None where its file system does not keep when it was made."""
    born = birth_ns(fd)
    if born is None:
        return None
    size = found.st_size
    marked = xxh3_128(b"%d %d %d %d " % (found.st_ino, born, size, found.st_mtime_ns) + blob)
    for at in (0, *(size * part // (_PIECES + 1) for part in range(1, _PIECES + 1))):
        marked.update(os.pread(fd, _PIECE if at else _END, at))
    marked.update(os.pread(fd, _END, max(0, size - _END)))
    return marked.digest()


def births_of(root_fd: int, dir_fd: int, names: Sequence[bytes], answers: "Sequence[Answer]") -> list[Birth]:
    """The births of the large files among those that were just read. What is known of one that changes all the time is
    to be forgotten."""
    large = [
        (name, answer)
        for name, answer in zip(names, answers, strict=True)
        if type(answer) is tuple and answer[2] >= BORN_FROM and answer[0] == FILE
    ]
    if not large:
        return []
    return [_birth_of(name, root_fd, dir_fd, answer[2:6], answer[6]) for name, answer in large]


def birth_of(root_fd: int, dir_fd: int, row: Row) -> Birth | None:
    """The birth of a file that was put in its place as ``row`` says; None if it is not large."""
    if row.size < BORN_FROM or row.kind != FILE:
        return None
    # Whoever has written to it since must have given it another time.
    ctime_ns = SMUDGED if is_racy(row.disk_mtime_ns, row.ctime_ns) else row.ctime_ns
    return _birth_of(row.name, root_fd, dir_fd, (row.size, row.disk_mtime_ns, ctime_ns, row.ino), row.id)


def _birth_of(name: bytes, root_fd: int, dir_fd: int, seen: tuple[int, int, int, int], blob: bytes) -> Birth:
    mark = None
    if seen[2] != SMUDGED:
        with _opened(name, dir_fd, os.fstat(root_fd).st_dev) as (fd, found):
            if found is not None and _seen(found) == seen:
                mark = _mark_at_rest(fd, found, blob)
    return Birth(seen[3], blob, mark or b"")


def _mark_at_rest(fd: int, found: os.stat_result, blob: bytes) -> bytes | None:
    """The mark, unless the file changes meanwhile."""
    try:
        mark = mark_of(fd, found, blob)
        return mark if _seen(os.fstat(fd)) == _seen(found) else None
    except OSError:
        return None


def _seen(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


@contextmanager
def _opened(name: bytes, dir_fd: int, dev: int) -> Iterator[tuple[int, os.stat_result | None]]:
    """A descriptor of a large file and what is seen by it; None where that is none, or lies on another device than the
    folder: inodes are those of one."""
    try:
        fd = os.open(name, FILE_FLAGS, dir_fd=dir_fd)
    except OSError:
        yield -1, None
        return
    try:
        found = os.fstat(fd)
        good = found.st_mode & KIND_MASK == FILE_MODE and found.st_size >= BORN_FROM and found.st_dev == dev
        yield fd, found if good else None
    finally:
        os.close(fd)


class Births:
    """Finds files that were renamed in the folder at ``root``, by what its index knows. ``partly``: few are asked
    for."""

    def __init__(self, root: str, known: IndexBirths, partly: bool) -> None:
        self._root = root
        self._known = known
        self._partly = partly
        self._inodes: Container[int] | None = None

    @property
    def inodes(self) -> Container[int] | None:
        """The inodes that may be a renamed file's; None where there are none."""
        if self._inodes is None:
            self._inodes = _Asked(self._known) if self._partly else self._known.inodes()
        return None if self._inodes == frozenset() else self._inodes

    def recognise(self, path: bytes, names: Iterable[tuple[bytes, int]]) -> "dict[bytes, Hashed]":
        """What the files hold, of those in one directory, each with its inode, that are known."""
        births = {name: birth for name, ino in names if (birth := self._known.find(ino)) is not None}
        found: dict[bytes, Hashed] = {}
        if not births:
            return found
        root_fd = open_root(self._root)
        try:
            dev = os.fstat(root_fd).st_dev
            with opened_directory(root_fd, path) as dir_fd:
                for name, birth in births.items():
                    answer = _recognised(name, dir_fd, dev, birth)
                    if answer is not None:
                        found[name] = answer
        except OSError:
            pass  # who reads them will see
        finally:
            os.close(root_fd)
        return found


def _recognised(name: bytes, dir_fd: int, dev: int, birth: Birth) -> "Hashed | None":
    with _opened(name, dir_fd, dev) as (fd, found):
        # Of one with several names another may stand in the index: it will be read again, as its ctime has changed,
        # and both are to be known by the same look.
        if found is None or found.st_ino != birth.ino or found.st_nlink != 1:
            return None
        if _mark_at_rest(fd, found, birth.blob) != birth.mark:
            return None
        mode, mtime_ns = found.st_mode & 0o7777, found.st_mtime_ns
        return FILE, mode, found.st_size, mtime_ns, found.st_ctime_ns, found.st_ino, birth.blob


class _Asked:
    """The inodes that are known: each looked up when it is asked for, as long as few are."""

    def __init__(self, known: IndexBirths) -> None:
        self._known = known
        self._asked = 0
        self._all: Container[int] = ()

    def __contains__(self, ino: object) -> bool:
        self._asked += 1
        if self._asked <= _FEW:
            return isinstance(ino, int) and self._known.find(ino) is not None
        if self._asked == _FEW + 1:
            self._all = self._known.inodes()
        return ino in self._all
