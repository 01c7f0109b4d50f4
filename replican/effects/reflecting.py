"""A mirror at the far end of a link: what a first scan reads over there is copied here, in the same go.

Over there a :class:`Reflection` is what the scan is given: it sends what was read. Here :func:`receive_copies` makes
files of it on the stage, as a scan of a folder here would do; ids are computed from what came, and a copy is used only
where a tree of the log, which comes later, names it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from replican.effects.mirror import Copied, Filled
from replican.values.ids import BlobId, blob_id
from replican.values.listing import Row, encode_listing
from replican.values.streams import COPY_LIMIT, CopiedFile, StreamReader, encode_copies, end_of_copies, read_copies
from replican.values.trees import FILE

if TYPE_CHECKING:
    from replican.effects.mirror import Copier, Copy, Mirror
    from replican.values.progress import Progress

_LEFT_FREE: Final = 16 << 20
"""Bytes that copies leave free, here where nobody knows how many will come: the log and the index need some."""


class _Keeper:
    """Keeps the content of small files. Large ones are asked for later, when they can be gone on with after a cut."""

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._kept: dict[bytes, CopiedFile] = {}

    def copy(self, name: bytes, mode: int, mtime_ns: int, content: bytes) -> "Copy | None":
        if len(content) <= COPY_LIMIT:
            self._kept[name] = CopiedFile(name, mode & 0o777, mtime_ns, content)
        return None

    def copy_long(self, source: int, name: bytes, mode: int, mtime_ns: int, size: int) -> "tuple[BlobId, Copy] | None":
        return None

    def drop(self, name: bytes) -> None:
        self._kept.pop(name, None)

    def end(self) -> tuple[int, bytes]:
        return 0, encode_copies(self._path, list(self._kept.values())) if self._kept else b""


class Reflection:
    """What is given to a scan whose copies are made at the other end of a link; ``put`` sends some of a stream."""

    def __init__(self, put: "Callable[[bytes], None]") -> None:
        self.send = put

    def has_room(self, files: int, size: int) -> bool:
        return True  # that is for the other end to know

    @contextmanager
    def directory(self, path: bytes, mode: int) -> "Iterator[Copier | None]":
        yield _Keeper(path)

    def note(self, copied: Copied) -> None:
        pass

    @property
    def copied(self) -> list[Copied]:
        return []

    def end(self) -> None:
        """There is no more."""
        self.send(end_of_copies())


def receive_copies(reader: StreamReader, mirror: "Mirror", progress: "Progress") -> int:
    """Take what a reflection sends until its end, and copy it to ``mirror``; how many files with content came.

    Where there is too little room for it, the rest is passed over, and what was copied goes: who writes all of it out
    later knows how much there has to be.
    """
    fits, came = True, 0
    progress.begin("receiving", None)
    try:
        for path, files in read_copies(reader):
            if fits and not mirror.has_room(1, _LEFT_FREE):
                fits = False
                mirror.forget()
            if not fits:
                for _ in files:
                    pass
                continue
            copied, filled = _receive_directory(path, files, mirror)
            mirror.note(copied)
            came += filled
            progress.advance(copied.filled.files, copied.filled.size)
    finally:
        progress.end()
    return came


def _receive_directory(path: bytes, files: Iterator[CopiedFile], mirror: "Mirror") -> tuple[Copied, int]:
    """Some files of a directory, which never is whole: who sends them may have named what no tree has. With how many of
    them are not empty."""
    rows: list[Row] = []
    with mirror.directory(path, 0o700) as copier:
        for name, perm, mtime_ns, content in files:
            copy = None if copier is None else copier.copy(name, perm, mtime_ns, content)
            if copy is not None:
                ino, ctime_ns = copy
                id_ = blob_id(content)
                rows.append(Row(name, FILE, perm, len(content), mtime_ns, id_, perm, mtime_ns, ctime_ns, ino))
    rows.sort()
    newest = max([row.ctime_ns for row in rows], default=0)
    size = sum([row.size for row in rows])
    filled = Filled(path, encode_listing(rows), None, 0, newest, [], len(rows), size)
    return Copied(filled, None), sum([row.size > 0 for row in rows])
