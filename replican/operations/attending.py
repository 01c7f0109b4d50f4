"""Attending to a remote: hearing that there is something to fetch, for as long as a watch runs.

What a remote's user does is recorded by whoever watches that folder. Where nobody does, its lookout is here.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Final, Protocol

from replican.decisions.pace import Bounds, Polling
from replican.effects.head_notice import LOOK_SECONDS, HeadNotice
from replican.effects.lock import WATCHING, holder
from replican.operations.folders import FolderRemote
from replican.operations.lookout import Lookout
from replican.operations.remotes import Remote

_CHECK_SECONDS: Final = 5.0
"""How often it is asked whether somebody watches a folder."""


class Attendance(Protocol):
    """How a courier hears of one remote."""

    @property
    def descriptors(self) -> list[int]:
        """What can be waited for."""

    @property
    def due(self) -> float:
        """When there is something to do even if nothing is heard, in s of the monotonic clock."""

    def hear(self) -> bool:
        """Whether there is something to carry. Never waits."""

    def look(self) -> list[str]:
        """Have what the remote's user did recorded over there, as far as nobody else does; what to tell."""


class FolderAttendance:
    """Of a folder on this machine."""

    def __init__(self, remote: FolderRemote, bounds: Bounds, random: Random) -> None:
        self._remote = remote
        self._bounds = bounds
        self._random = random
        self._dotdir = f"{remote.place}/.replican"
        self._notice = HeadNotice(self._dotdir)
        self._lookout: Lookout | None = None
        self._check_at = 0.0

    def close(self) -> None:
        self._notice.close()
        self._stop_looking()

    def _stop_looking(self) -> None:
        if self._lookout is not None:
            self._lookout.__exit__()
            self._lookout = None

    @property
    def descriptors(self) -> list[int]:
        found = [self._notice.descriptor, None if self._lookout is None else self._lookout.descriptor]
        return [each for each in found if each is not None]

    @property
    def due(self) -> float:
        times = [self._check_at]
        if self._lookout is not None:
            times.append(self._lookout.due)
        if self._notice.descriptor is None:
            times.append(time.monotonic() + LOOK_SECONDS)
        return min(times)

    def hear(self) -> bool:
        moved = self._notice.has_moved()
        if self._lookout is None:
            return moved
        self._lookout.hear()
        return moved or self._lookout.due <= time.monotonic()

    def look(self) -> list[str]:
        now = time.monotonic()
        if self._check_at <= now:
            self._check_at = now + _CHECK_SECONDS
            if holder(self._dotdir, WATCHING) is not None:
                self._stop_looking()
            elif self._lookout is None:
                # Everything is looked at once it is watched: what happens from now on is told.
                self._lookout = Lookout(self._remote.repository, self._bounds, time.monotonic, self._random.random)
        if self._lookout is None:
            return []
        refreshed = self._lookout.record(lambda: self._remote.refresh(paths=()))
        notes = [f"{self._remote.name}: {note}" for note in self._lookout.notes()]
        return notes if refreshed is None else [*refreshed.notes, *notes]


class DistantAttendance:
    """Of a remote that does not tell: it is asked now and then, more often while it has news."""

    def __init__(self, remote: Remote, bounds: Bounds, random: Random) -> None:
        self._remote = remote
        self._random = random
        self._polling = Polling.begin(bounds, time.monotonic())

    @property
    def descriptors(self) -> list[int]:
        return []

    @property
    def due(self) -> float:
        return self._polling.next.at

    def hear(self) -> bool:
        return self._polling.next.at <= time.monotonic()

    def look(self) -> list[str]:
        began, before = time.monotonic(), self._remote.head
        refreshed = self._remote.refresh()
        found = int(self._remote.head != before)
        self._polling = self._polling.after(self._polling.next, began, time.monotonic(), found, self._random.random())
        return refreshed.notes


@contextmanager
def attend(remote: Remote, bounds: Bounds, random: Random) -> Iterator[Attendance]:
    """Attend to a remote that has been opened."""
    if isinstance(remote, FolderRemote):
        near = FolderAttendance(remote, bounds, random)
        try:
            yield near
        finally:
            near.close()
    else:
        yield DistantAttendance(remote, bounds, random)
