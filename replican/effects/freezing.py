"""Frozen copies: of files that change all the time, what they held when they were recorded.

Whoever asks for the content of such a file gets it only if a copy was made from the very bytes that were hashed. The
copy is made on the stage, is the owner's alone, and has no name any more as soon as it is whole: it is gone when
nobody holds it open.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from replican.effects.mirror import Copied, Copier, Mirror
from replican.effects.staging import Stage
from replican.values.ids import BlobId
from replican.values.listing import decode_listing
from replican.values.paths import join, parent_of

_PLACE: Final = b"frozen"
_MOST: Final = 64


class Freezer(Mirror):
    """Copies some files of a folder while they are hashed. Close it before the stage."""

    def __init__(self, stage: Stage, paths: Collection[bytes]) -> None:
        super().__init__(stage, b"%s-%d" % (_PLACE, os.getpid()))
        self._stage = stage
        self._paths = frozenset(paths)
        self._directories = {parent_of(path) for path in paths}
        self._frozen: dict[BlobId, int] = {}

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

    def note(self, copied: Copied) -> None:
        path = copied.filled.path
        above = join(self.place, path) if path else self.place
        for row in decode_listing(copied.filled.rows_blob):
            place = join(above, row.name)
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
