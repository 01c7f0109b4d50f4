"""The lookout of one folder: what has to be looked at in it, and when, by what the system tells and by polling.

It writes nothing. Whoever records asks :attr:`Lookout.due`, takes what there is with :meth:`Lookout.begin`, looks at it
and says so with :meth:`Lookout.end`. A file that is being written to is left until that is over, or has gone on for
:data:`PATIENCE` seconds.
"""

import os
from collections.abc import Callable
from typing import Final, NamedTuple

from replican.decisions.pace import Bounds, Polling, Quiet, Round
from replican.effects.notices import Notices, Watcher, open_watcher
from replican.repository import Repository
from replican.values.errors import UnsupportedError

PATIENCE: Final = 10.0
"""Seconds for which a file may be written to before it is looked at all the same."""

Clock = Callable[[], float]
Chance = Callable[[], float]


class Look(NamedTuple):
    """What to look at: these paths, or (None) the whole folder. ``round`` is the poller's, if it is one of its."""

    paths: frozenset[bytes] | None
    round: Round | None
    began: float


class Lookout:
    """Of the folder that ``repo`` is of. A context manager; ``notes`` is what its user should hear."""

    def __init__(self, repo: Repository, bounds: Bounds, clock: Clock, chance: Chance) -> None:
        self._root = repo.root
        self._clock = clock
        self._chance = chance
        self._quiet = Quiet()
        self._polling = Polling.begin(bounds, clock())
        self._paths: set[bytes] = set()
        self._everything = False
        self._writing: dict[bytes, float] = {}
        self._watcher: Watcher | None = None
        self.notes: list[str] = []
        try:
            self._watcher = open_watcher(self._root, lambda path: repo.index.known(path) is not None)
        except UnsupportedError as error:
            self.notes.append(f"{error.message}: {error.hint}")

    def __enter__(self) -> "Lookout":
        return self

    def __exit__(self, *_: object) -> None:
        if self._watcher is not None:
            self._watcher.close()

    @property
    def descriptor(self) -> int | None:
        """What can be waited for: something has changed. None where only polling tells."""
        return None if self._watcher is None or self._watcher.lost else self._watcher.fileno()

    @property
    def is_lost(self) -> bool:
        """Whether the folder itself was moved, removed or unmounted."""
        return self._watcher is not None and self._watcher.lost

    @property
    def unwatched(self) -> int:
        """How many directories, with all below them, are only polled."""
        return 0 if self._watcher is None else len(self._watcher.unwatched)

    def hear(self) -> bool:
        """Take in all that has happened before this call; whether anything has."""
        if self._watcher is None:
            return False
        notices = self._watcher.drain()
        self.notes += notices.notes
        now = self._clock()
        if notices:
            self._note(notices, now)
        overdue = [path for path, since in self._writing.items() if since + PATIENCE <= now]
        if overdue:
            for path in overdue:
                del self._writing[path]
            self._paths.update(overdue)
            self._quiet = self._quiet.changed(now)
        return bool(notices) or bool(overdue)

    def _note(self, notices: Notices, now: float) -> None:
        self._everything = self._everything or notices.everything
        self._paths |= notices.settled
        self._paths |= notices.modes
        for path in notices.settled:
            self._writing.pop(path, None)
        for path in notices.writing:
            self._writing.setdefault(path, now)
        if notices.everything or notices.settled or notices.modes:
            self._quiet = self._quiet.changed(now, deleted=bool(notices.gone))

    @property
    def due(self) -> float:
        """When to look next, by the clock."""
        times = [self._polling.next.at]
        if self._quiet.due is not None:
            times.append(self._quiet.due)
        times += [since + PATIENCE for since in self._writing.values()]
        return min(times)

    def hurry(self) -> None:
        """Have all that is known to have changed looked at now, also what is being written to."""
        self._paths.update(self._writing)
        self._writing.clear()

    def begin(self, *, everything: bool = False) -> Look | None:
        """What to look at now, as far as anything is due; what happens from here on comes with the next look."""
        self.hear()
        now = self._clock()
        next_round = self._polling.next
        polls = next_round.at <= now
        settled = self._quiet.due is not None and self._quiet.due <= now
        if not (everything or polls or settled):
            return None
        whole = everything or self._everything or polls
        paths = None if whole else frozenset(self._paths)
        self._quiet = self._quiet.begin(now)
        self._paths.clear()
        self._everything = False
        return Look(paths, Round(now, True) if everything else next_round if polls else None, now)

    def end(self, look: Look, found: int) -> None:
        """It has been looked at, and so many paths had changed that nobody had told of."""
        self._quiet = self._quiet.end()
        if look.round is not None:
            now = self._clock()
            self._polling = self._polling.after(look.round, look.began, now, found, self._chance())

    def fail(self, look: Look, seconds: float) -> None:
        """It could not be looked at now: the same again after so many seconds."""
        self._quiet = self._quiet.end()
        if look.paths is None:
            self._everything = True
        else:
            self._paths |= look.paths
        self._quiet = self._quiet.changed(self._clock() + seconds)

    def extend(self) -> None:
        """After the folder has been looked through: watch what was not there, or not worth it, before."""
        if self._watcher is not None and not self._watcher.lost:
            self._watcher.extend()

    def is_there(self) -> bool:
        """Whether the folder can be seen at all."""
        return os.path.isdir(self._root)
