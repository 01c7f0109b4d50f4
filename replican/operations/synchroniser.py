"""The synchroniser: what `watch` runs, for months.

One process is the folder's lookout and records what its user does; each remote has a courier, a process of its own, so
that none waits for another. Whatever moves the head, here or by somebody's command, the couriers hear of it. What a
merge writes is seen as any change is, and is found to be what the index says: nothing is recorded twice.
"""

import os
import select
import time
from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple

from replican import __version__
from replican.decisions.pace import Bounds, retry_after
from replican.effects.head_notice import LOOK_SECONDS, HeadNotice
from replican.effects.lock import WATCHING, Lock
from replican.operations.crew import Crew
from replican.operations.lookout import Lookout
from replican.operations.recording import Recorded, record
from replican.repository import Repository, is_replica
from replican.values import events
from replican.values.errors import FolderError, LockedError, NoRepositoryError, ReplicanError

_BUSY_SECONDS: Final = 0.01
_BUSY_MOST: Final = 1.0
_ASLEEP_SECONDS: Final = 5.0
"""A machine that slept for longer may find another network, and other folders, when it wakes up."""

Tell = Callable[[events.Event], None]


class Wishes(NamedTuple):
    """What was asked of the watch since this was last asked for: to end, to read the config again, to pause or go on
    (None: neither)."""

    end: str | None = None
    reload: bool = False
    pause: bool | None = None


class Clocks(NamedTuple):
    """Two clocks in s: one that stands while the machine sleeps, and one that goes on."""

    awake: Callable[[], float]
    all: Callable[[], float]


def _clock_of_all() -> float:
    try:
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    except (AttributeError, OSError):
        return time.monotonic()


CLOCKS: Final = Clocks(time.monotonic, _clock_of_all)


class Synchroniser:
    """Watches the folder of ``repo``.

    ``wishes`` are asked for whenever ``wake`` (a descriptor) can be read; ``tell`` is told what happens.
    """

    def __init__(
        self,
        repo: Repository,
        bounds: Bounds,
        tell: Tell,
        wake: int,
        wishes: Callable[[], Wishes],
        random: Random,
        clocks: Clocks = CLOCKS,
    ) -> None:
        self._repo = repo
        self._bounds = bounds
        self._tell = tell
        self._wake = wake
        self._wishes = wishes
        self._random = random
        self._clocks = clocks
        self._crew = Crew(repo, bounds, tell, random)
        self._ending: str | None = None
        self._paused = False
        self._gate: str | None = None
        self._failures = 0
        self._busy = 0
        self._whole = True
        self._whole_why: str | None = None
        self._live = False
        self._began = 0.0
        self._slept = 0.0

    def run(self) -> None:
        """Watch until somebody wishes it to end. Raises ``LockedError`` where the folder is watched already."""
        self._repo.wait = 0.0  # who waits for a courier hears nothing meanwhile
        self._began = time.monotonic()
        self._slept = self._clocks.all() - self._clocks.awake()
        started, lost = False, 0
        try:
            while self._ending is None:
                try:
                    with _watch_lock(self._repo):
                        if not started:
                            self._say_started()
                            started = True
                        elif lost:
                            self._tell(events.Note(time.time_ns(), None, "the folder is there again"))
                        lost = 0
                        self._session()
                except NoRepositoryError as error:
                    if not started:
                        raise
                    self._lose(error, lost)
                    lost += 1
                    self._rest(retry_after(lost, self._random.random(), most=30.0))
        finally:
            if started:
                self._tell(events.Stopped(time.time_ns(), self._ending or "it failed"))

    def _say_started(self) -> None:
        config = self._repo.config
        root, remotes = os.fsencode(self._repo.root), tuple(config.remotes)
        self._tell(events.Started(time.time_ns(), root, config.peer_id, os.getpid(), __version__, remotes))

    def _lose(self, error: NoRepositoryError, lost: int) -> None:
        self._repo.close()
        self._whole = True
        if not lost:
            self._tell(events.Error(time.time_ns(), None, error.code, error.message, error.hint))

    def _rest(self, seconds: float) -> None:
        """Wait for the folder to come back, or for a wish to end."""
        select.select([self._wake], [], [], seconds)
        self._ending = self._wishes().end

    def _session(self) -> None:
        """Watch for as long as the folder is there; else raise ``NoRepositoryError``."""
        try:
            with (
                HeadNotice(self._repo.dotdir) as notice,
                Lookout(self._repo, self._bounds, time.monotonic, self._random.random) as lookout,
            ):
                while self._hear(notice):
                    if lookout.is_lost or not is_replica(self._repo.root):
                        raise NoRepositoryError(
                            f"no replica at {self._repo.root} any more", "is the disk that holds it mounted?"
                        )
                    if not self._paused:
                        self._look(notice, lookout)
                    if self._live:
                        self._crew.keep()
                    self._wait(notice, lookout)
        finally:
            self._crew.dismiss()

    # -- hearing ------------------------------------------------------------------------------------------------

    def _hear(self, notice: HeadNotice) -> bool:
        """Whether to go on."""
        wishes = self._wishes()
        if wishes.end is not None:
            self._ending = wishes.end
            return False
        now = time.time_ns()
        if wishes.pause is not None and wishes.pause != self._paused:
            self._paused = wishes.pause
            self._crew.pause(self._paused)
            self._tell(events.Paused(now, "asked to") if self._paused else events.Resumed(now, "asked to"))
        if wishes.reload:
            self._repo.forget_config()
            self._crew.dismiss()
            self._tell(events.Reloaded(now, tuple(self._repo.config.remotes)))
        slept = self._clocks.all() - self._clocks.awake()
        if slept - self._slept > _ASLEEP_SECONDS:
            self._whole, self._whole_why = True, "the machine had slept"
            self._crew.send(anew=True)
        self._slept = slept
        self._crew.hear()
        if notice.has_moved():
            self._crew.send()
            self._whole = self._whole or self._gate is not None  # somebody may have decided
        return True

    # -- recording ----------------------------------------------------------------------------------------------

    def _look(self, notice: HeadNotice, lookout: Lookout) -> None:
        began = time.monotonic()
        try:
            done = lookout.record(self._record, everything=self._whole)
        except LockedError:
            # A courier is at it, or somebody's command.
            lookout.later(min(_BUSY_MOST, _BUSY_SECONDS * 2**self._busy))
            self._busy = min(self._busy + 1, 10)
            return
        except NoRepositoryError:
            raise
        except ReplicanError as error:
            self._failures += 1
            if self._failures == 1:
                self._tell(events.Error(time.time_ns(), None, error.code, error.message, error.hint))
            lookout.later(retry_after(self._failures, self._random.random(), most=30.0))
            return
        finally:
            self._tell_notes(self._repo.notes)
            self._tell_notes(lookout.notes())
        if done is None:
            return
        self._failures = self._busy = 0
        self._report(done)
        if self._whole:
            self._seen_whole(lookout, began)
        if notice.has_moved():
            self._crew.send()

    def _record(self) -> Recorded:
        """Record what has been seen."""
        try:
            return record(self._repo, past_gates=True, paths=())
        except OSError as error:
            raise FolderError(f"cannot record: {(error.strerror or str(error)).lower()}") from error

    def _tell_notes(self, notes: list[str]) -> None:
        for note in notes:
            self._tell(events.Note(time.time_ns(), None, note))
        notes.clear()

    def _report(self, done: Recorded) -> None:
        now, closed = time.time_ns(), done.gated
        if closed is not None:
            if self._gate != closed.message:
                self._gate = closed.message
                self._tell(events.Gate(now, None, False, closed.gates, closed.message, closed.hint))
        elif self._gate is not None:
            self._tell(events.Gate(now, None, True, (), self._gate, None))
            self._gate = None
        if done.new and done.head is not None:
            message = self._repo.checkpoint(done.head).message
            self._tell(events.Recorded(now, done.head, events.Counts(*done.tally), message))

    def _seen_whole(self, lookout: Lookout, began: float) -> None:
        """The folder has been looked through: at first, or because something may have been missed."""
        self._whole = False
        lookout.extend()
        now, seconds = time.time_ns(), time.monotonic()
        if self._live:
            if self._whole_why is not None:
                self._tell(events.Rescanned(now, b"", self._whole_why, seconds - began))
            self._whole_why = None
            return
        self._live = True
        known = self._repo.index.digests(observed=False)
        files = sum([each.files for each in known.values()])
        self._tell(events.Live(now, files, len(known), lookout.unwatched, seconds - self._began))

    # -- waiting ------------------------------------------------------------------------------------------------

    def _wait(self, notice: HeadNotice, lookout: Lookout) -> None:
        descriptors = [self._wake, *self._crew.descriptors]
        times = [self._crew.due]
        if not self._paused:
            times.append(lookout.due)
            if lookout.descriptor is not None:
                descriptors.append(lookout.descriptor)
        if notice.descriptor is None:
            times.append(time.monotonic() + LOOK_SECONDS)
        else:
            descriptors.append(notice.descriptor)
        until = min(times)
        seconds = None if until == float("inf") else max(0.0, until - time.monotonic())
        select.select(descriptors, [], [], seconds)


def _watch_lock(repo: Repository) -> Lock:
    lock = Lock(repo.dotdir, "watch", WATCHING)
    try:
        return lock.acquire()
    except LockedError as error:
        raise LockedError(f"this folder is watched already: {error.message}", "one watch is enough") from None
