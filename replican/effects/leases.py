"""Leases on large files that are about to take their place: as long as one stands, nobody has written to the file.

The stat data of a file that got its name a moment ago prove nothing: what is written within the same tick of the clock
leaves them as they are. So the next scan would read it again, all of it. Under a lease that was taken where nobody else
could reach the file, and still stands when the tick is over, its content is the one that was verified. Who opens the
file for writing meanwhile waits for some milliseconds, and the lease does not count. Not every file system has leases:
then the file is read again.
"""

import os
import time
from collections.abc import Iterator
from typing import Final

from replican.effects.linux import has_lease, take_lease
from replican.effects.worktree import FILE_FLAGS
from replican.values.listing import RACY_NS, Row, is_racy

WORTHWHILE: Final = 16 << 20
"""Files of fewer bytes are read in less time than it takes to wait."""
_MOST: Final = 64


class Leases:
    """Those of one batch. Close it: no lease outlives it."""

    def __init__(self) -> None:
        self._held: list[tuple[int, bytes, Row]] = []
        self._taken = -1

    def close(self) -> None:
        self._drop()
        for fd, _, _ in self._held:
            os.close(fd)
        self._held.clear()

    def _drop(self) -> None:
        if self._taken >= 0:
            os.close(self._taken)
            self._taken = -1

    def take(self, name: bytes, directory: int, size: int) -> None:
        """Take one on a file that lies where nobody else comes, and is to take its place next."""
        self._drop()
        if size < WORTHWHILE or len(self._held) == _MOST:
            return
        try:
            fd = os.open(name, FILE_FLAGS, dir_fd=directory)
        except OSError:
            return
        if take_lease(fd):
            self._taken = fd
        else:
            os.close(fd)

    def note(self, directory: bytes, row: Row, device: int) -> None:
        """It has taken its place, on this device, and this is its row there."""
        if self._taken >= 0:
            found = os.fstat(self._taken)
            if (found.st_dev, found.st_ino) == (device, row.ino):
                self._held.append((self._taken, directory, row))
                self._taken = -1

    def proven(self) -> Iterator[tuple[bytes, Row]]:
        """Wait until the clock has ticked; the directories and rows of those files whose leases stand. Closes all."""
        newest = max([row.ctime_ns for _, _, row in self._held], default=0)
        left = newest + RACY_NS - time.time_ns()
        if 0 < left <= RACY_NS:
            time.sleep(left / 1e9)
        for fd, directory, row in self._held:
            if not is_racy(row.ctime_ns, time.time_ns()) and has_lease(fd):
                yield directory, row
        self.close()
