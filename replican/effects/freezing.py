"""Frozen copies: of files that change all the time, what they held when they were recorded.

Whoever asks for the content of such a file gets it only if a copy was made from the very bytes that were hashed. The
copy is made on the stage, is the owner's alone, and has no name any more as soon as it is whole: it is gone when
nobody holds it open. Small ones lie one after the other in one file: there may be hundreds, and descriptors are few.

A file that is never the same before and after it was read is copied as it is read, and the copy is hashed: what is
recorded is what a reader has met. Its row is smudged, so that the next look reads it again.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from replican.effects.copying import copy_as_read
from replican.effects.hashing import TRIES
from replican.effects.mirror import Copied, Copier, Copy, Mirror, StagedCopier
from replican.effects.staging import SMALL, Stage, read_exactly, write_all
from replican.effects.trash import hash_open
from replican.effects.underway import Advance
from replican.effects.worktree import open_way
from replican.values.ids import BlobId
from replican.values.listing import SMUDGED, decode_listing
from replican.values.paths import join, name_of, parent_of

UNSTEADY: Final = "it changes all the time, and was recorded as it was read meanwhile"
_PLACE: Final = b"frozen"
_MOST: Final = 64
"""Of so many large files copies are held: each takes a descriptor."""
_LEFT_FREE: Final = 64 << 20
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Freezer(Mirror):
    """Copies some files of a folder while they are hashed. Close it before the stage."""

    def __init__(self, stage: Stage, paths: Collection[bytes]) -> None:
        super().__init__(stage, b"%s-%d" % (_PLACE, os.getpid()))
        self._stage = stage
        self._looks: dict[bytes, dict[bytes, int]] = {}
        """By directory and name, the files that are to be copied: after so many looks as they are read."""
        self._frozen: dict[BlobId, int] = {}
        self._small: dict[BlobId, tuple[int, int]] = {}
        """Where the copy of a small file lies among the others: offset and size in bytes."""
        self._together = -1
        self._length = 0
        self.unsteady: set[bytes] = set()
        """The paths of files that changed all the time while they were read."""
        self._take(paths, TRIES)

    def add(self, paths: Collection[bytes]) -> None:
        """These are to be copied, too, when they are read the next time; they were found changing, and one look more
        will do."""
        self._take(paths, 1)

    def _take(self, paths: Collection[bytes], looks: int) -> None:
        for path in paths:
            self._looks.setdefault(parent_of(path), {})[name_of(path)] = looks

    def close(self) -> None:
        super().close()
        for fd in self._frozen.values():
            os.close(fd)
        self._frozen.clear()
        self._small.clear()
        if self._together >= 0:
            os.close(self._together)
            self._together = -1
        self.end()  # where recording has failed

    def has_room(self, files: int, size: int) -> bool:
        return True  # it copies some few of them

    @contextmanager
    def directory(self, path: bytes, mode: int) -> Iterator[Copier | None]:
        if path not in self._looks:
            yield None
            return
        with super().directory(path, mode) as copier:
            yield copier

    def _copier(self, path: bytes, fd: int) -> StagedCopier:
        return _FreezingCopier(fd, self._looks[path])

    def note(self, copied: Copied) -> None:
        path = copied.filled.path
        directory = open_way(join(self.place, path) if path else self.place, self._stage.fd)
        try:
            for row in decode_listing(copied.filled.rows_blob):
                if row.is_smudged:
                    self.unsteady.add(join(path, row.name))
                self._keep(BlobId(row.id), row.name, directory, row.size)
                os.unlink(row.name, dir_fd=directory)
        finally:
            os.close(directory)

    def _keep(self, blob: BlobId, name: bytes, directory: int, size: int) -> None:
        if blob in self._small or blob in self._frozen or (size > SMALL and len(self._frozen) >= _MOST):
            return
        os.chmod(name, 0o600, dir_fd=directory)
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        if size > SMALL:
            self._frozen[blob] = fd
            return
        try:
            content = read_exactly(fd, size)
            if content is not None and _has_room(fd, os.fstat(fd)):
                self._put_together(blob, content)
        except OSError:
            pass  # no room: it is as if there were no copy
        finally:
            os.close(fd)

    def _put_together(self, blob: BlobId, content: bytes) -> None:
        if self._together < 0:
            self._together = self._nameless()
        os.lseek(self._together, self._length, os.SEEK_SET)
        write_all(self._together, content)
        self._small[blob] = self._length, len(content)
        self._length += len(content)

    def _nameless(self) -> int:
        """A new file without a name, on the stage."""
        name = b"nameless-%d" % os.getpid()  # a copy may be opened by a process that was forked
        self._stage.remove(name)  # of one that was killed, and had this number
        fd = os.open(name, _NEW, 0o600, dir_fd=self._stage.fd)
        self._stage.remove(name)
        return fd

    def end(self) -> None:
        """All is recorded: what is left of the copies' directories goes."""
        self._stage.remove(self.place)

    def open(self, blob: BlobId) -> int | None:
        """A descriptor of the frozen copy of this content, at its beginning; the caller closes it."""
        fd = self._frozen.get(blob)
        if fd is not None:
            os.lseek(fd, 0, os.SEEK_SET)
            return os.dup(fd)
        return self._open_small(*self._small[blob]) if blob in self._small else None

    def _open_small(self, at: int, size: int) -> int | None:
        try:
            fd = self._nameless()
        except OSError:
            return None
        try:
            write_all(fd, os.pread(self._together, size, at))
            os.lseek(fd, 0, os.SEEK_SET)
        except OSError:
            os.close(fd)
            return None
        return fd


class Frozen:
    """What is held for one asker at a time, on a stage of its own in the ``.replican`` at ``dotdir``. Paths in ``told``
    need not be told of as unsteady any more; others are added when they are."""

    def __init__(self, dotdir: str, told: set[bytes] | None = None) -> None:
        self._path = f"{dotdir}/stage"
        self._told = set[bytes]() if told is None else told
        self._stage: Stage | None = None
        self.copies: Freezer | None = None

    def begin(self, changed: Collection[bytes] = (), *, restless: Collection[bytes] = ()) -> Freezer:
        """Who makes copies of these from now on, as :class:`Freezer` and its ``add`` take them. What was held before is
        nothing that anybody asks for any more."""
        self.drop()
        self._stage = Stage(self._path)
        copies = self.copies = Freezer(self._stage, changed)
        copies.add(restless)
        return copies

    def unsteady(self) -> list[bytes]:
        """The paths of what was recorded as it was read, since it changed all the time; each is told once."""
        found = [] if self.copies is None else sorted(self.copies.unsteady - self._told)
        self._told.update(found)
        return found

    def drop(self) -> None:
        """Hold nothing: copies take up room."""
        if self.copies is not None:
            self.copies.close()
        if self._stage is not None:
            self._stage.close()
        self.copies = self._stage = None


class _FreezingCopier(StagedCopier):
    """Copies files of these names that are read in one directory, also where they are not the same after so many
    looks. Others may be many, and larger than there is room for."""

    def __init__(self, fd: int, looks: Mapping[bytes, int]) -> None:
        super().__init__(fd)
        self._looks = looks

    def copy(self, name: bytes, mode: int, mtime_ns: int, content: bytes) -> Copy | None:
        return super().copy(name, mode, mtime_ns, content) if name in self._looks else None

    def copy_long(
        self, source: int, name: bytes, mode: int, mtime_ns: int, size: int, advance: Advance | None
    ) -> tuple[BlobId, Copy] | None:
        if name not in self._looks or not _has_room(self._fd, os.fstat(source)):
            return None
        return super().copy_long(source, name, mode, mtime_ns, size, advance)

    def copy_changing(self, source: int, name: bytes, looks: int) -> tuple[BlobId, int, Copy] | None:
        if looks < self._looks.get(name, looks + 1):
            return None
        try:
            fd = os.open(name, _NEW, 0o600, dir_fd=self._fd)
        except OSError:
            return None
        try:
            if _has_room(fd, os.fstat(source)):
                size = copy_as_read(source, fd)
                os.lseek(fd, 0, os.SEEK_SET)
                blob = hash_open(fd, size)
                return blob, size, (os.fstat(fd).st_ino, SMUDGED)
        except OSError:
            pass
        finally:
            os.close(fd)
        os.unlink(name, dir_fd=self._fd)
        return None


def _has_room(fd: int, found: os.stat_result) -> bool:
    room = os.fstatvfs(fd)
    return found.st_blocks * 512 + _LEFT_FREE <= room.f_bavail * room.f_frsize
