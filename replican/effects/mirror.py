"""A mirror: copies of what a first scan reads, made from the very bytes that it hashes.

A clone of a folder that has no log yet would read every file twice, once for its id and once for the copy. With a
mirror, whoever hashes a file also writes it to the stage of the copy, where a transition finds it under the path, time
and permissions that it is to have. What it made is believed by the process that made it and by the one that it was
forked from: the stage is private to us, and what an earlier run left in the mirror's place is removed.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol

from replican.effects.copying import copy_hashed
from replican.effects.forkpool import Beside, beside
from replican.effects.linux import flush_filesystem
from replican.effects.staging import Stage, write_all
from replican.effects.underway import Advance
from replican.effects.worktree import give_mode, open_made
from replican.values.ids import BlobId, TreeId
from replican.values.listing import Row, decode_listing
from replican.values.paths import join, parent_of
from replican.values.streams import CopyRecord
from replican.values.trees import Entry

if TYPE_CHECKING:
    from replican.effects.hashing import Job

PLACE = b"mirror"
_FLUSH_EACH = 192 << 20
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Copy = tuple[int, int]
"""The inode and ctime (ns) of a copy that was made."""


class Filled(NamedTuple):
    """One directory as filled: its packed rows, their digest, its inode, the newest ctime in it (ns).

    ``missing`` are the entries for which the source had no content; they have no rows.
    """

    path: bytes
    rows_blob: bytes
    digest: bytes | None
    ino: int
    newest_ns: int
    missing: list[Entry]
    files: int
    size: int


class Copied(NamedTuple):
    """The copies in one directory; ``tree`` is its tree, where they are all that it holds."""

    filled: Filled
    tree: TreeId | None


class Copier(Protocol):
    """Copies what is read in one directory. It raises nothing: of what was not copied here, the copy is None."""

    def copy(self, name: bytes, mode: int, mtime_ns: int, content: bytes) -> Copy | None:
        """A small file, of which all is at hand."""

    def copy_long(
        self, source: int, name: bytes, mode: int, mtime_ns: int, size: int, advance: Advance | None
    ) -> tuple[BlobId, Copy | None] | None:
        """A large file, which is hashed on the way, and ``advance`` is told of all its bytes; None where it was not,
        and is left to whoever asked: then ``advance`` was told of none in the end."""

    def copy_changing(self, source: int, name: bytes, looks: int) -> tuple[BlobId, int, Copy] | None:
        """A file that has changed at each of so many looks: the id and the size of a copy that was made of it as it is
        read, if such a copy is of any use."""

    def drop(self, name: bytes) -> None:
        """It did not stay the same while it was read: what was made of it, if anything, is dropped."""

    def end(self) -> tuple[int, Sequence[CopyRecord]]:
        """All has been read: the inode of the directory with the copies; what makes them elsewhere."""


class Copying(Protocol):
    """What a scan gives to what it reads: a mirror is one. Directories are asked for in any process, and what makes
    copies elsewhere is packed there; the rest is called in the one that collects."""

    def has_room(self, files: int, size: int) -> bool: ...

    def reads_here(self, jobs: "Sequence[Job]") -> bool:
        """Whether these are to be read by the process that collects, though they have many bytes."""

    def directory(self, path: bytes, mode: int) -> AbstractContextManager[Copier | None]: ...

    def note(self, copied: Copied) -> None: ...

    def packed(self, elsewhere: Sequence[CopyRecord]) -> bytes: ...

    def send(self, some: bytes) -> None: ...

    @property
    def copied(self) -> list[Copied]: ...


class StagedCopier:
    """Copies into a directory on the stage, of which it has the descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def copy(self, name: bytes, mode: int, mtime_ns: int, content: bytes) -> Copy | None:
        return write_copy(name, self._fd, mode, mtime_ns, content)

    def copy_long(
        self, source: int, name: bytes, mode: int, mtime_ns: int, size: int, advance: Advance | None
    ) -> tuple[BlobId, Copy] | None:
        return write_long_copy(source, name, self._fd, mode, mtime_ns, size, advance)

    def copy_changing(self, source: int, name: bytes, looks: int) -> tuple[BlobId, int, Copy] | None:
        return None

    def drop(self, name: bytes) -> None:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    def end(self) -> tuple[int, Sequence[CopyRecord]]:
        return os.fstat(self._fd).st_ino, ()


class Mirror:
    """Copies on one stage. Close it before the stage: it may still be flushing."""

    def __init__(self, stage: Stage, place: bytes = PLACE) -> None:
        stage.remove(place)
        self._stage = stage
        self.place = place
        self._stage_fd = stage.fd
        self._copied: dict[bytes, list[Copied]] = {}  # a directory may come in parts
        self._above: set[bytes] = set()  # what these lie in
        self._looked_up: tuple[bytes, dict[bytes, Row]] = (b"", {})
        self._unflushed = 0
        self._flushing: list[Beside[None]] = []

    def close(self) -> None:
        for each in self._flushing:
            each.__exit__()
        self._flushing.clear()

    def reads_here(self, jobs: "Sequence[Job]") -> bool:
        return False

    def has_room(self, files: int, size: int) -> bool:
        """Whether the disk has room for so many files, of so many bytes together."""
        room = os.fstatvfs(self._stage_fd)
        return size <= room.f_bavail * room.f_frsize and (not room.f_files or files <= room.f_favail)

    # -- for those who read, in whatever process ----------------------------------------------------------------

    @contextmanager
    def directory(self, path: bytes, mode: int) -> Iterator[Copier | None]:
        """The copy of a directory, which is made, with its permissions and those that its owner needs; None where it
        cannot be, and nothing is copied."""
        try:
            fd = open_made(self._stage_fd, join(self.place, path) if path else self.place)
        except OSError:
            yield None
            return
        try:
            give_mode(fd, mode & 0o777 | 0o700)
            yield self._copier(path, fd)
        finally:
            os.close(fd)

    def _copier(self, path: bytes, fd: int) -> StagedCopier:
        return StagedCopier(fd)

    # -- for the one who collects -------------------------------------------------------------------------------

    def note(self, copied: Copied) -> None:
        """Copies were made in a directory. From time to time the disk is told to write, beside the copying."""
        self._put(copied)
        self._unflushed += copied.filled.size
        if self._unflushed > _FLUSH_EACH:
            self._unflushed = 0
            self._flushing.append(beside(lambda: flush_filesystem(self._stage_fd)))

    def packed(self, elsewhere: Sequence[CopyRecord]) -> bytes:
        """Nothing of what is read is copied elsewhere."""
        return b""

    def send(self, some: bytes) -> None:
        """Nor is anything sent there."""

    def forget(self) -> None:
        """There was too little room: what was copied goes."""
        self._copied.clear()
        self._above.clear()
        self._looked_up = b"", {}
        self._stage.remove(self.place)

    @property
    def copied(self) -> list[Copied]:
        """All that was noted: for a mirror on the same stage, in another process."""
        return [each for parts in self._copied.values() for each in parts]

    def take_over(self, copied: Iterable[Copied]) -> None:
        """Know what another process has copied to this place since it was forked from this one."""
        for each in copied:
            self._put(each)

    def _put(self, copied: Copied) -> None:
        path = copied.filled.path
        self._copied.setdefault(path, []).append(copied)
        while path and (path := parent_of(path)) not in self._above:
            self._above.add(path)

    def whole(self, path: bytes, tree: TreeId) -> Filled | None:
        """The copy of a directory that holds this tree, if one was made of all of it, and nothing else is there: no
        file that came in another part, and no directory."""
        parts = self._copied.get(path, ())
        if len(parts) == 1 and parts[0].tree == tree and path not in self._above:
            return parts[0].filled
        return None

    def copy_of(self, directory: bytes, entry: Entry) -> Row | None:
        """The row of a copy, if one was made that is just this entry."""
        if self._looked_up[0] != directory or not self._looked_up[1]:
            parts = self._copied.get(directory, ())
            rows = [row for copied in parts for row in decode_listing(copied.filled.rows_blob)]
            self._looked_up = directory, {row.name: row for row in rows}
        row = self._looked_up[1].get(entry.name)
        return row if row is not None and row.entry == entry else None


def write_copy(name: bytes, into: int, mode: int, mtime_ns: int, content: bytes) -> Copy | None:
    """Make a small file; None if that failed, and then nothing is left of it."""
    try:
        fd = os.open(name, _NEW, mode & 0o777, dir_fd=into)
    except OSError:
        return None
    try:
        write_all(fd, content)
        return finish_copy(fd, mode, mtime_ns)
    except OSError:
        os.unlink(name, dir_fd=into)
        return None
    finally:
        os.close(fd)


def write_long_copy(
    source: int, name: bytes, into: int, mode: int, mtime_ns: int, size: int, advance: Advance | None
) -> tuple[BlobId, Copy] | None:
    """Copy a large file while hashing it; None if it could not be written, or has not ``size`` bytes."""
    try:
        fd = os.open(name, _NEW, 0o600, dir_fd=into)
    except OSError:
        return None
    try:
        blob = copy_hashed(source, fd, size, advance)
        if blob is not None:
            return blob, finish_copy(fd, mode, mtime_ns)
    except OSError:
        pass
    finally:
        os.close(fd)
    os.unlink(name, dir_fd=into)
    return None


def finish_copy(fd: int, mode: int, mtime_ns: int) -> Copy:
    """Give a copy the time and the permissions of its original, never its set-id bits."""
    os.utime(fd, ns=(mtime_ns, mtime_ns))
    made = os.fstat(fd)
    if made.st_mode & 0o7777 != mode & 0o777:
        give_mode(fd, mode & 0o777)
        made = os.fstat(fd)
    return made.st_ino, made.st_ctime_ns
