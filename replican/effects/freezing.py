"""Frozen copies: of files that change all the time, what they held when they were recorded.

Whoever asks for the content of such a file gets it only if a copy was made from the very bytes that were hashed. The
copy is made on the stage, is the owner's alone, and has no name any more as soon as it is whole: it is gone when
nobody holds it open.

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
from replican.effects.staging import Stage
from replican.effects.trash import hash_open
from replican.values.ids import BlobId
from replican.values.listing import SMUDGED, decode_listing
from replican.values.paths import join, name_of, parent_of

UNSTEADY: Final = "it changes all the time, and was recorded as it was read meanwhile"
_PLACE: Final = b"frozen"
_MOST: Final = 64
_LEFT_FREE: Final = 64 << 20
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Freezer(Mirror):
    """Copies some files of a folder while they are hashed. Close it before the stage."""

    def __init__(self, stage: Stage, paths: Collection[bytes]) -> None:
        super().__init__(stage, b"%s-%d" % (_PLACE, os.getpid()))
        self._stage = stage
        self._paths: set[bytes] = set()
        self._directories: set[bytes] = set()
        self._frozen: dict[BlobId, int] = {}
        self.unsteady: set[bytes] = set()
        """The paths of files that changed all the time while they were read."""
        self._restless: set[bytes] = set()
        self._take(paths)

    def add(self, paths: Collection[bytes]) -> None:
        """These are to be copied, too, when they are read the next time; they were found changing, and one look more
        will do."""
        self._restless.update(paths)
        self._take(paths)

    def _take(self, paths: Collection[bytes]) -> None:
        self._paths.update(paths)
        self._directories.update(map(parent_of, paths))

    def close(self) -> None:
        super().close()
        for fd in self._frozen.values():
            os.close(fd)
        self._frozen.clear()

    def has_room(self, files: int, size: int) -> bool:
        return True  # it copies some few of them

    @contextmanager
    def directory(self, path: bytes, mode: int) -> Iterator[Copier | None]:
        if path not in self._directories:
            yield None
            return
        with super().directory(path, mode) as copier:
            yield copier

    def _copier(self, path: bytes, fd: int) -> StagedCopier:
        looks = {name_of(each): TRIES for each in self._paths if parent_of(each) == path}
        looks.update({name_of(each): 1 for each in self._restless if parent_of(each) == path})
        return _FreezingCopier(fd, looks)

    def note(self, copied: Copied) -> None:
        path = copied.filled.path
        above = join(self.place, path) if path else self.place
        for row in decode_listing(copied.filled.rows_blob):
            place = join(above, row.name)
            if row.is_smudged:
                self.unsteady.add(join(path, row.name))
            if join(path, row.name) in self._paths and len(self._frozen) < _MOST:
                self._keep(BlobId(row.id), place)
            os.unlink(place, dir_fd=self._stage.fd)

    def _keep(self, blob: BlobId, place: bytes) -> None:
        os.chmod(place, 0o600, dir_fd=self._stage.fd)
        fd = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._stage.fd)
        old = self._frozen.pop(blob, None)
        if old is not None:
            os.close(old)
        self._frozen[blob] = fd

    def end(self) -> None:
        """All is recorded: what is left of the copies' directories goes."""
        self._stage.remove(self.place)

    def open(self, blob: BlobId) -> int | None:
        """A descriptor of the frozen copy of this content, at its beginning; the caller closes it."""
        fd = self._frozen.get(blob)
        if fd is None:
            return None
        os.lseek(fd, 0, os.SEEK_SET)
        return os.dup(fd)


class _FreezingCopier(StagedCopier):
    """Copies what is read in one directory; the files of these names also where they are not the same after so many
    looks."""

    def __init__(self, fd: int, looks: Mapping[bytes, int]) -> None:
        super().__init__(fd)
        self._looks = looks

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
