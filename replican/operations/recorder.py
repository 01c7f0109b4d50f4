"""The recorder of one folder: what its user does in it is recorded, at the right moment.

A tracker knows what has changed, by what the system tells and by polling; the recorder knows the pace. Whoever has one
waits for :attr:`Recorder.descriptors` and :attr:`Recorder.due`, and calls :meth:`Recorder.record`.
"""

from collections.abc import Callable, Collection
from typing import Final, TypeVar

from replican.decisions.pace import Bounds, Polling, Quiet
from replican.effects.hashing import LARGE
from replican.operations.polling import Poller
from replican.operations.tracker import Tracker
from replican.repository import Repository
from replican.values.errors import LockedError, NoRepositoryError, ReplicanError, UnsupportedError
from replican.values.ids import TreeId

Clock = Callable[[], float]
Chance = Callable[[], float]
Done = TypeVar("Done")

_TIDY_SECONDS: Final = 2.0
"""What is in the tail is put where it belongs once nothing has been recorded for so long."""
_TIDY_AGAIN: Final = 30.0
_LATE_SECONDS: Final = 10.0
_AGAIN_SECONDS: Final = 0.1
_AHEAD_LEAST: Final = 16
"""So many paths that have to wait are worth one more look."""


class Recorder:
    """Of the folder that ``repo`` is of. A context manager."""

    def __init__(self, repo: Repository, bounds: Bounds, clock: Clock, chance: Chance) -> None:
        self._repo = repo
        self._clock = clock
        self._chance = chance
        self._quiet = Quiet()
        self._polling = Polling.begin(bounds, clock())
        self._poller = Poller(repo, most=LARGE)
        self._seen: dict[TreeId, bytes] | None = None
        """The trees of what has been looked at and waits for the folder to be still; None where nothing has."""
        self._looks_at = 0.0
        """Nothing is looked at ahead before this time."""
        self.tracker = Tracker(repo)
        try:
            self.tracker.watch()
        except UnsupportedError as error:
            self.tracker.notes.append(f"{error.message}: {error.hint}")

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.tracker.close()

    @property
    def descriptors(self) -> list[int]:
        """What can be waited for: something has changed, or has been read."""
        return self.tracker.descriptors

    @property
    def is_lost(self) -> bool:
        """Whether the folder itself was moved, removed or unmounted."""
        return self.tracker.watcher is not None and self.tracker.watcher.lost

    @property
    def unwatched(self) -> int:
        """How many directories, with all below them, are only polled."""
        return 0 if self.tracker.watcher is None else len(self.tracker.watcher.unwatched)

    @property
    def due(self) -> float:
        """When :meth:`record` has something to do, by the clock."""
        records_at = self._records_at
        return min(records_at, max(self._clock(), self._looks_at)) if self._fresh else records_at

    @property
    def _records_at(self) -> float:
        times = [self._polls_at, self._quiet.due, self.tracker.due]
        return min([each for each in times if each is not None])

    @property
    def _fresh(self) -> Collection[bytes]:
        """What has to wait, since more keeps coming, and is looked at meanwhile: once at each path, so that a file that
        is written again and again is not read as often, and not at a few each time, since a look costs something."""
        fresh = self.tracker.fresh if self._quiet.period else ()
        return fresh if self._seen is None or len(fresh) >= _AHEAD_LEAST else ()

    @property
    def _polls_at(self) -> float:
        """When to poll: what has been noticed anyhow is recorded first, unless there is always something."""
        at = self._polling.next.at
        return at if self._quiet.due is None else at + _LATE_SECONDS

    def hear(self) -> None:
        """Take in all that has happened before this call. Never waits."""
        now = self._clock()
        self.tracker.listen(now)
        news, self.tracker.news = self.tracker.news, False
        if news and self.tracker.dirty:
            self._quiet = self._quiet.changed(now, deleted=self.tracker.gone)

    def notes(self) -> list[str]:
        """What the user should hear; each is told once."""
        notes, self.tracker.notes = self.tracker.notes, []
        return notes

    def record(self, work: Callable[[], Done], *, everything: bool = False) -> Done | None:
        """If anything is due, look at what has changed, or at ``everything``, and have ``work`` record what was seen.

        It is called with the lock held; what it returns is returned, and None where there was nothing to do. Whatever
        is raised, by it or since somebody else has the lock, nothing is forgotten: see :meth:`later`.
        """
        self.hear()
        now = self._clock()
        if self._records_at > now and not everything:
            if self._looks_at <= now and self._fresh:
                self._look_ahead(now)
            return None
        next_round = self._polling.next
        polls = everything or self._polls_at <= now
        found = 0  # that nobody had told of
        if everything:
            self._poller.begin()
            self.tracker.doubt_everything()
        elif polls:
            polled = self._poller.round(next_round.full)
            found = len(polled)
            self.tracker.take_polled(polled, now)
        before, self._quiet = self._quiet, self._quiet.begin(now)
        done: Done | None = None
        try:
            with self._repo.writing("watch"):
                head = self._repo.head
                self.tracker.resume()  # others may have recorded or merged; they have left the index as the folder is
                if self._look(now):
                    self._repo.at_hand = self._seen or {}
                    done = work()
                made = self._repo.head != head
                self._seen = None
                self.tracker.resume()
        except BaseException:
            self._quiet = before
            self._seen = None if self._seen is None else {}  # it is still to be recorded; the index has it
            raise
        finally:
            self._repo.at_hand = {}
        self.hear()  # what has changed while it was being recorded tells that changes keep coming
        self._quiet = self._quiet.end(made)
        if polls:
            self._polling = self._polling.after(next_round, now, self._clock(), found, self._chance())
        return done

    def _look(self, now: float, only: Collection[bytes] | None = None) -> bool:
        """Look at what has changed, or at ``only`` these paths of it; whether there is anything to record."""
        seen = self.tracker.look(now, only)
        if seen is not None:
            self._seen = {**(self._seen or {}), **seen.payloads}
        return self._seen is not None

    def _look_ahead(self, now: float) -> None:
        """Look at what is fresh, which is less to do once it is recorded."""
        try:
            with self._repo.writing("watch"):
                self.tracker.resume()
                self._look(now, self._fresh)
        except ReplicanError:  # whatever it is, who records meets it again
            self._looks_at = self._clock() + _AGAIN_SECONDS
        self.hear()

    def later(self, seconds: float) -> None:
        """What is due is tried again after so many seconds, and not before."""
        self._quiet = self._quiet._replace(first=None).changed(self._clock() + seconds)
        self._polling = self._polling.not_before(self._clock() + seconds)

    def extend(self) -> None:
        """After the folder has been looked through: watch what was not there, or not worth it, before."""
        if self.tracker.watcher is not None and not self.tracker.watcher.lost:
            self.tracker.watcher.extend()


class Tidier:
    """Empties the tail of a folder, once nobody waits for anything that would have to wait for that."""

    def __init__(self, repo: Repository, clock: Clock) -> None:
        self._repo = repo
        self._clock = clock
        self.due = clock()
        """When :meth:`tidy` has something to do, by the clock."""

    def moved(self) -> None:
        """Something has been recorded: not now."""
        self.due = self._clock() + _TIDY_SECONDS

    def tidy(self) -> None:
        """Empty the tail, if it is time for that. Raises ``NoRepositoryError``."""
        now = self._clock()
        if self.due > now:
            return
        try:
            with self._repo.writing("watch"):
                self._repo.tailing.put_down()
            self.due = float("inf")
        except NoRepositoryError:
            raise
        except LockedError:
            self.due = now + _TIDY_SECONDS
        except ReplicanError:  # whatever it is, who records next will say so
            self.due = now + _TIDY_AGAIN
