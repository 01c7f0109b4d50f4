"""Attending to a remote, for as long as a watch runs: hearing that its head has moved, and having recorded what its
user does where nobody else does that.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from random import Random
from typing import Final, Protocol

from replican.decisions.pace import Bounds, Polling
from replican.effects.asking import LOCK
from replican.effects.lock import holder
from replican.operations.folders import FolderRemote
from replican.operations.heads import Lookout
from replican.operations.recorder import Recorder, Tidier
from replican.operations.remotes import Refreshed, Remote, of_remote
from replican.repository import Repository
from replican.values.errors import LockedError, NoRepositoryError
from replican.values.ids import CheckpointId

_LOCKED_SECONDS: Final = 0.2
_CHECK_SECONDS: Final = 5.0
"""How often it is asked whether somebody watches a folder."""


class Minding(Protocol):
    """How it comes about that a remote's edits are recorded."""

    @property
    def descriptors(self) -> list[int]:
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
    """Of a folder on this machine: its edits are recorded from here, by ``record``, where nobody watches it. Then its
    tail is emptied from here, too."""

    def __init__(
        self, repo: Repository, name: str, record: Callable[[], Refreshed], bounds: Bounds, random: Random
    ) -> None:
        self._repo = repo
        self._name = name
        self._record = record
        self._bounds = bounds
        self._random = random
        self._recorder: Recorder | None = None
        self._tidier = Tidier(repo, time.monotonic)
        self._head: CheckpointId | None = None
        self._check_at = 0.0

    def close(self) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.close()

    @property
    def descriptors(self) -> list[int]:
        return [] if self._recorder is None else self._recorder.descriptors

    @property
    def due(self) -> float:
        if self._recorder is None:
            return self._check_at
        return min(self._check_at, self._recorder.due, self._tidier.due)

    def hear(self) -> None:
        if self._recorder is not None:
            self._recorder.hear()

    def mind(self) -> list[str]:
        now = time.monotonic()
        if self._check_at <= now:
            self._check_at = now + _CHECK_SECONDS
            if holder(self._repo.dotdir, LOCK) is not None:
                self.close()
            elif self._recorder is None:
                # Its first look is at everything; what happens from now on is told.
                self._recorder = Recorder(self._repo, self._bounds, time.monotonic, self._random.random)
        if self._recorder is None:
            return []
        try:
            refreshed = self._recorder.record(self._record)
        except LockedError:
            self._recorder.later(_LOCKED_SECONDS)
            refreshed = None
        except NoRepositoryError as error:
            raise of_remote(self._name, error) from error
        self._tidy()
        notes = [f"{self._name}: {note}" for note in self._recorder.notes()]
        return notes if refreshed is None else [*refreshed.notes, *notes]

    def _tidy(self) -> None:
        before, self._head = self._head, self._repo.head
        if self._head != before:
            self._tidier.moved()
        self._tidier.tidy()


class FarMinding:
    """Of a folder at the far end of a link: who answers there records it when asked. One that tells by itself is asked
    as seldom as a folder is looked through; else more often while there is news."""

    def __init__(self, remote: Remote, tells: bool, bounds: Bounds, random: Random) -> None:
        self._remote = remote
        self._tells = tells
        self._random = random
        bounds = Bounds(bounds.full, bounds.full, bounds.full) if tells else bounds
        self._polling = Polling.begin(bounds, time.monotonic())
        self.descriptors: list[int] = []

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
        refreshed = self._remote.refresh(prompt=self._tells)  # who is to tell watches it, or has it watched
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
        lookout = self._lookout.descriptor
        return [*self._minding.descriptors, *([] if lookout is None else [lookout])]

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
    with remote.lookout() as lookout:
        minding: Minding
        if isinstance(remote, FolderRemote):
            minding = FolderMinding(remote.repository, remote.name, lambda: remote.refresh(paths=()), bounds, random)
        else:
            minding = FarMinding(remote, lookout.descriptor is not None, bounds, random)
        with closing(minding):
            yield Attendance(lookout, minding)
