"""Being told when a folder's head moves, whoever moves it.

A ref moves by a rename in `.replican/refs`, which the system tells of where it can. Elsewhere whoever waits looks at
the ref now and then: :data:`LOOK_SECONDS`.
"""

import os
import sys
from typing import TYPE_CHECKING, Final

from replican.effects.refs import HEAD

if TYPE_CHECKING:
    from inotify_simple import INotify  # type: ignore[import-untyped]  # it has no types

LOOK_SECONDS: Final = 1.0


class HeadNotice:
    """Notices moves of the head of the folder whose `.replican` is ``dotdir``. A context manager."""

    def __init__(self, dotdir: str) -> None:
        self._refs = f"{dotdir}/refs"
        self._last = self._look()
        self._inotify = _watch(self._refs)

    def __enter__(self) -> "HeadNotice":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._inotify is not None:
            self._inotify.close()

    @property
    def descriptor(self) -> int | None:
        """What can be waited for; None where a look now and then is all there is."""
        return None if self._inotify is None else self._inotify.fileno()

    def has_moved(self) -> bool:
        """Whether the ref is another file than at the last call. Never waits."""
        if self._inotify is not None:
            self._inotify.read(timeout=0)
        now = self._look()
        moved, self._last = now != self._last, now
        return moved

    def _look(self) -> tuple[int, int] | None:
        try:
            found = os.lstat(f"{self._refs}/{HEAD}")
        except OSError:
            return None
        return found.st_ino, found.st_ctime_ns


def _watch(directory: str) -> "INotify | None":
    if not sys.platform.startswith("linux"):
        return None
    from inotify_simple import INotify, flags

    try:
        inotify = INotify(nonblocking=True)
        try:
            inotify.add_watch(directory, flags.MOVED_TO | flags.ONLYDIR | flags.DONT_FOLLOW)
        except OSError:
            inotify.close()
            return None
    except OSError:
        return None  # no more of them are to be had
    return inotify
