"""Attending to a remote, for as long as a watch runs: hearing that its head has moved, and having recorded what its
user does where nobody else does that.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Final, Protocol

from replican.decisions.pace import Bounds, Polling
from replican.effects.asking import LOCK
from replican.effects.lock import holder
from replican.operations.folders import FolderRemote
from replican.operations.heads import Lookout
from replican.operations.recorder import Recorder
from replican.operations.remotes import Remote

_CHECK_SECONDS: Final = 5.0
"""How often it is asked whether somebody watches a folder."""


class Minding(Protocol):
    """How it comes about that a remote's edits are recorded."""

    @property
    def descriptor(self) -> int | None:
        """What can be waited for."""

    @property
    def due(self) -> float:
        """When to :meth:`mind` whatever the descriptor says, in s of the monotonic clock."""

    def hear(self) -> None:
        """Take in what has happened. Never waits."""

    def mind(self) -> list[str]:
        """Have recorded what is to be; what to tell."""

    def close(self) -> None: ...


class FolderMinding:
    """Of a folder on this machine: it is recorded from here where nobody watches it."""

    def __init__(self, remote: FolderRemote, bounds: Bounds, random: Random) -> None:
        self._remote = remote
        self._bounds = bounds
        self._random = random
        self._recorder: Recorder | None = None
        self._check_at = 0.0

    def close(self) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.close()

    @property
    def descriptor(self) -> int | None:
        return None if self._recorder is None else self._recorder.descriptor

    @property
    def due(self) -> float:
        return self._check_at if self._recorder is None else min(self._check_at, self._recorder.due)

    def hear(self) -> None:
        if self._recorder is not None:
            self._recorder.hear()

    def mind(self) -> list[str]:
        now = time.monotonic()
        if self._check_at <= now:
            self._check_at = now + _CHECK_SECONDS
            if holder(self._remote.repository.dotdir, LOCK) is not None:
                self.close()
            elif self._recorder is None:
                # Its first look is at everything; what happens from now on is told.
                repo = self._remote.repository
                self._recorder = Recorder(repo, self._bounds, time.monotonic, self._random.random)
        if self._recorder is None:
            return []
        refreshed = self._recorder.record(lambda: self._remote.refresh(paths=()))
        notes = [f"{self._remote.name}: {note}" for note in self._recorder.notes()]
        return notes if refreshed is None else [*refreshed.notes, *notes]


class FarMinding:
    """Of a folder at the far end of a link: who answers there records it when asked; more often while there is news."""

    descriptor = None

    def __init__(self, remote: Remote, bounds: Bounds, random: Random) -> None:
        self._remote = remote
        self._random = random
        self._polling = Polling.begin(bounds, time.monotonic())

    def close(self) -> None:
        pass

    @property
    def due(self) -> float:
        return self._polling.next.at

    def hear(self) -> None:
        pass

    def mind(self) -> list[str]:
        began = time.monotonic()
        if self.due > began:
            return []
        before = self._remote.head
        refreshed = self._remote.refresh()
        found = int(self._remote.head != before)
        self._polling = self._polling.after(self._polling.next, began, time.monotonic(), found, self._random.random())
        return refreshed.notes


class Attendance:
    """How a courier attends to one remote. Any of these may raise ``RemoteError``."""

    def __init__(self, lookout: Lookout, minding: Minding) -> None:
        self._lookout = lookout
        self._minding = minding

    @property
    def descriptors(self) -> list[int]:
        """What can be waited for."""
        return [each for each in (self._lookout.descriptor, self._minding.descriptor) if each is not None]

    @property
    def due(self) -> float:
        """When to ask, even if nothing is heard, in s of the monotonic clock."""
        return min(time.monotonic() + self._lookout.due, self._minding.due)

    def hear(self) -> bool:
        """Whether there is something to do. Never waits."""
        self._minding.hear()
        return self._lookout.news() is not None or self._minding.due <= time.monotonic()

    def mind(self) -> list[str]:
        """Have recorded what the remote's user did, if it is time for that; what to tell."""
        return self._minding.mind()


@contextmanager
def attend(remote: Remote, bounds: Bounds, random: Random) -> Iterator[Attendance]:
    """Attend to a remote that has been opened."""
    minding: Minding
    if isinstance(remote, FolderRemote):
        minding = FolderMinding(remote, bounds, random)
    else:
        minding = FarMinding(remote, bounds, random)
    try:
        with remote.lookout() as lookout:
            yield Attendance(lookout, minding)
    finally:
        minding.close()
