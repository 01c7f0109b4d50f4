"""Doubles: a large file that is new and seems to be a copy of one that is known.

Of such a file the other end of a link can begin to make a copy of its own, while it is still read here: whether it is
one is known by its id, once all of it has been read. Size and pieces of the content only keep that from being tried in
vain.
"""

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from replican.effects.worktree import Directories, open_regular
from replican.values.ids import BlobId
from replican.values.listing import Row
from replican.values.trees import FILE

if TYPE_CHECKING:
    from replican.effects.index import Index

DOUBLE_FROM: Final = 8 << 20
"""The size, in bytes, from which on doubles are looked for: smaller files are read sooner than their doubles found."""
_END: Final = 1 << 14
_PIECE: Final = 1 << 12
_PIECES: Final = 64
_TRIES: Final = 8


class Doubles:
    """Finds them by what the ``index`` knows of the folder at ``root``. A context manager. It raises what that does."""

    def __init__(self, root: str, index: "Callable[[], Index]") -> None:
        self._index = index
        self._directories = Directories(root)
        self._large: list[tuple[bytes, int]] | None = None

    def __enter__(self) -> "Doubles":
        return self

    def __exit__(self, *_: object) -> None:
        self._directories.close()

    def of(self, fd: int) -> BlobId | None:
        """What an open file seems to be a copy of."""
        found = os.fstat(fd)
        if found.st_size < DOUBLE_FROM:
            return None
        tried = 0
        for path in self._directories_with(found.st_size):
            for row in self._index().rows(path):
                if row.size != found.st_size or row.kind != FILE or row.ino == found.st_ino:
                    continue
                if self._is_alike(fd, path, row):
                    return BlobId(row.id)
                tried += 1
                if tried == _TRIES:
                    return None
        return None

    def size_of(self, path: bytes, names: Iterable[bytes]) -> int:
        """How many bytes the doubles among these files of a directory have."""
        size = 0
        for name in names:
            fd = self._opened(path, name)
            if fd is not None:
                if self.of(fd) is not None:
                    size += os.fstat(fd).st_size
                os.close(fd)
        return size

    def _directories_with(self, size: int) -> Iterable[bytes]:
        """Those in which a file of so many bytes may be."""
        if self._large is None:
            known = self._index().digests().items()
            self._large = [(path, each.size) for path, each in known if each.size >= DOUBLE_FROM]
        return (path for path, held in self._large if held >= size)

    def _opened(self, path: bytes, name: bytes) -> int | None:
        try:
            return open_regular(name, self._directories.open(path))
        except OSError:
            return None

    def _is_alike(self, fd: int, path: bytes, row: Row) -> bool:
        """Whether the file of a row seems to be what it was when that was made, and is as the one of ``fd`` at many
        places."""
        other = self._opened(path, row.name)
        if other is None:
            return False
        try:
            found = os.fstat(other)
            if (found.st_size, found.st_mtime_ns, found.st_ino) != (row.size, row.disk_mtime_ns, row.ino):
                return False
            return all(os.pread(fd, count, at) == os.pread(other, count, at) for at, count in _places(row.size))
        except OSError:
            return False
        finally:
            os.close(other)


def _places(size: int) -> Iterable[tuple[int, int]]:
    """Where to look, and at how many bytes: first where files of one kind differ."""
    yield size - _END, _END
    yield 0, _END
    for part in range(1, _PIECES + 1):
        yield size * part // (_PIECES + 1), _PIECE
