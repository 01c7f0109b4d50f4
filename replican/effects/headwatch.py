"""Waiting for a folder's head to move, and for descriptors: what who waits for many things at once needs.

The file of the ref is replaced whenever the head moves. Where there is inotify, that is told at once; beneath it there
is a look now and then, for a file system on which others write (over a network) tells nothing. Elsewhere there is a
look each second.
"""

import os
import select
import time
from collections.abc import Collection
from typing import Final

_LOOK_SECONDS: Final = 1.0
_SLOW_LOOK_SECONDS: Final = 30.0
_EVENTS_SIZE = 1 << 14

_Seen = tuple[int, int, int] | None


class HeadWatch:
    """Tells when the head of the folder whose `.replican` is ``dotdir`` may have moved. Close it."""

    def __init__(self, dotdir: str) -> None:
        self._path = f"{dotdir}/refs/head"
        self._fd = watch_names(os.fsencode(f"{dotdir}/refs"))
        self._every = _LOOK_SECONDS if self._fd is None else _SLOW_LOOK_SECONDS
        self._seen = self._look()
        self._next = time.monotonic() + self._every

    @property
    def descriptor(self) -> int | None:
        """What can be read when it is time to ask; None where only time tells."""
        return self._fd

    @property
    def due(self) -> float:
        """After how many seconds it is time to ask, whatever the descriptor says."""
        return max(0.0, self._next - time.monotonic())

    def may_have_moved(self) -> bool:
        """Whether the ref has to be read again. Does not wait."""
        told = self._drain()
        if not told and self.due:
            return False
        self._next = time.monotonic() + self._every
        before, self._seen = self._seen, self._look()
        return before != self._seen

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _drain(self) -> bool:
        told = False
        try:
            while self._fd is not None and os.read(self._fd, _EVENTS_SIZE):
                told = True
        except BlockingIOError:
            pass
        return told

    def _look(self) -> _Seen:
        try:
            found = os.lstat(self._path)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def watch_names(directory: bytes) -> int | None:
    """A descriptor that can be read whenever something in a directory may have changed (what is read tells no more);
    None where that is not to be had. The caller closes it, and reads it without blocking."""
    try:
        from inotify_simple import INotify, flags  # type: ignore[import-untyped]  # it has no types

        with INotify(nonblocking=True) as notify:
            notify.add_watch(directory, flags.CREATE | flags.DELETE | flags.MOVED_TO | flags.CLOSE_WRITE)
            return os.dup(notify.fileno())
    except (ImportError, OSError):
        return None


def wait_for_any(descriptors: Collection[int], seconds: float | None) -> set[int]:
    """Wait until some of the descriptors can be read, or have come to their end: which; none after so many seconds."""
    poll = select.poll()
    for fd in descriptors:
        poll.register(fd, select.POLLIN)
    return {fd for fd, _ in poll.poll(None if seconds is None else max(0.0, seconds) * 1000)}
