"""The synchroniser: what `watch` runs, for months.

One process knows the folder and records what its user does; each remote has a courier, a process of its own, so
that none waits for another. Whatever moves the head, here or by somebody's command, the couriers hear of it. What a
merge writes is seen as any change is, and is found to be what the index says: nothing is recorded twice.
"""

import os
import select
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack, closing
from random import Random
from typing import Final, NamedTuple

from replican import __version__
from replican.decisions.gates import hint_of
from replican.decisions.pace import Bounds, retry_after
from replican.decisions.standing import Standing
from replican.effects.answering import Listener, Mute
from replican.effects.headwatch import HeadWatch
from replican.effects.roots import is_replica
from replican.operations.crew import Crew
from replican.operations.herald import Herald
from replican.operations.polling import bounds_of
from replican.operations.recorder import Recorder, Tidier
from replican.operations.recording import Recorded, record
from replican.operations.status import Told, encode_told
from replican.repository import Repository
from replican.values import events
from replican.values.answers import ASK_LOOK, DONE, PAUSE, RELOAD, RESUME
from replican.values.errors import (
    FolderError,
    LockedError,
    NoRepositoryError,
    RefusedError,
    ReplicanError,
    UnsupportedError,
)

_BUSY_SECONDS: Final = 0.01
_BUSY_MOST: Final = 1.0
_ASLEEP_SECONDS: Final = 5.0
"""A machine that slept for longer may find another network, and other folders, when it wakes up."""

ALONE: Final = (
    "this folder has no remote: what you do is recorded, and goes nowhere; name one with `replican remote add NAME "
    "ADDRESS`, which is heard at once, or watch the copy that has this folder as its remote"
)

Tell = Callable[[events.Event], None]


class Wishes(NamedTuple):
    """What signals asked of the watch since this was last asked for: to end, and why, and to read the config again."""

    end: str | None = None
    reload: bool = False


class Abandoned(BaseException):
    """Raised from without in whatever the watch is doing, by who wished it to end and was not heard."""


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

    ``wishes`` are asked for whenever ``wake`` (a descriptor) can be read; ``tell`` is told what happens. ``only`` are
    the remotes to keep in step with, if not all.
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
        only: Collection[str] = (),
    ) -> None:
        self._repo = repo
        self._bounds = bounds
        self._tell_all = tell
        self._standing = Standing()
        self._wake = wake
        self._wishes = wishes
        self._random = random
        self._clocks = clocks
        self._herald = Herald(repo)
        self._crew = Crew(repo, bounds, self._tell, random, only)
        self._ending: str | None = None
        self._paused = False
        self._reads_anew = False
        self._held = ExitStack()
        self._gate: RefusedError | None = None
        self._failures = 0
        self._busy = 0
        self._tidier = Tidier(repo, time.monotonic)
        self._whole = True
        self._whole_why: str | None = None
        self._live = False
        self._begins_anew = False
        self._began = 0.0
        self._slept = 0.0

    def run(self) -> None:
        """Watch until somebody wishes it to end. Raises ``LockedError`` where the folder is watched already."""
        self._repo.wait = 0.0  # who waits for a courier hears nothing meanwhile
        self._repo.tailing.begin()
        self._began = time.monotonic()
        self._slept = self._clocks.all() - self._clocks.awake()
        started, lost = False, 0
        try:
            while self._ending is None:
                try:
                    with self._listen() as listener:
                        if not started:
                            self._say_started()
                            started = True
                        elif lost:
                            self._tell(events.Note(time.time_ns(), None, "the folder is there again"))
                        lost = 0
                        self._session(listener)
                        if self._paused:
                            self._stand_aside(listener)
                except NoRepositoryError as error:
                    if not started:
                        raise
                    self._lose(error, lost)
                    lost += 1
                    self._rest(retry_after(lost, self._random.random(), most=30.0))
        except Abandoned:
            self._ending = self._ending or self._wishes().end
        finally:
            self._herald.close()
            if started:
                self._tell(events.Stopped(time.time_ns(), self._ending or "it failed"))

    def _tell(self, event: events.Event) -> None:
        self._standing = self._standing.after(event)
        self._tell_all(event)

    def _listen(self) -> Listener | Mute:
        try:
            return Listener(self._repo.dotdir)
        except UnsupportedError as error:
            self._tell(events.Note(time.time_ns(), None, f"status cannot ask this watch: {error.message}"))
            return Mute(self._repo.dotdir)

    def _say_started(self) -> None:
        config = self._repo.config
        root, remotes = os.fsencode(self._repo.root), self._crew.remotes
        self._tell(events.Started(time.time_ns(), root, config.peer_id, os.getpid(), __version__, remotes))
        self._say_alone(remotes)

    def _say_alone(self, remotes: Collection[str]) -> None:
        if not remotes:
            self._tell(events.Note(time.time_ns(), None, ALONE))

    def _lose(self, error: NoRepositoryError, lost: int) -> None:
        self._repo.close()
        self._whole = True
        if not lost:
            self._tell(events.Error(time.time_ns(), None, error.code, error.message, error.hint))

    def _rest(self, seconds: float) -> None:
        """Wait for the folder to come back, or for a wish to end."""
        select.select([self._wake], [], [], seconds)
        self._ending = self._wishes().end

    def _session(self, listener: Listener | Mute) -> None:
        """Watch for as long as the folder is there, and nobody has it paused; raises ``NoRepositoryError``."""
        try:
            with self._held:
                heads = self._held.enter_context(closing(HeadWatch(self._repo.dotdir)))
                recorder = Recorder(self._repo, self._bounds, time.monotonic, self._random.random)
                self._held.enter_context(recorder)
                while self._hear(heads):
                    if self._begins_anew:  # at another pace: who keeps to the one before is of no use
                        self._begins_anew, self._whole = False, True
                        return
                    if recorder.is_lost or not is_replica(self._repo.root):
                        raise NoRepositoryError(
                            f"no replica at {self._repo.root} any more", "is the disk that holds it mounted?"
                        )
                    self._look(heads, recorder)
                    if self._live:
                        self._crew.keep()
                        self._tidier.tidy()
                    ready = self._wait(heads, recorder, listener)
                    listener.turn(ready, lambda question: self._answer(question, listener, recorder), time.monotonic())
                    if self._paused:
                        return
        finally:
            self._crew.dismiss()

    # -- hearing ------------------------------------------------------------------------------------------------

    def _hear(self, heads: HeadWatch) -> bool:
        """Whether to go on."""
        wishes = self._wishes()
        if wishes.end is not None:
            self._ending = wishes.end
            return False
        if wishes.reload or self._reads_anew:
            self._reload()
        slept = self._clocks.all() - self._clocks.awake()
        if slept - self._slept > _ASLEEP_SECONDS:
            self._whole, self._whole_why = True, "the machine had slept"
            self._crew.send(anew=True)
        self._slept = slept
        self._crew.hear()
        for event in self._herald.hear():
            self._tell(event)
        if heads.may_have_moved():
            self._has_moved()
            self._whole = self._whole or self._gate is not None  # somebody may have decided
        return True

    def _reload(self) -> None:
        """Read the config again; one that cannot be read leaves all as it is."""
        self._reads_anew = False
        try:
            config = self._repo.read_config()
            config.check()
        except ReplicanError as error:
            self._tell(events.Error(time.time_ns(), None, error.code, error.message, error.hint))
            return
        self._repo.config = config
        bounds = bounds_of(self._repo)
        self._begins_anew = bounds != self._bounds
        self._bounds = self._crew.bounds = bounds
        self._crew.dismiss()
        self._tell(events.Reloaded(time.time_ns(), self._crew.remotes))
        self._say_alone(self._crew.remotes)

    def _pause(self, listener: Listener | Mute) -> None:
        """Let go of all that lies in the folder, or in a remote, before anybody hears that it is so."""
        self._paused = True
        self._tell(events.Paused(time.time_ns(), "asked to"))
        self._crew.dismiss()
        self._herald.close()
        self._held.close()
        self._repo.close()
        listener.stand_aside()

    def _stand_aside(self, listener: Listener | Mute) -> None:
        """Do nothing, and hold nothing, until somebody has it go on or end."""
        while self._paused and self._ending is None:
            sources = [self._wake, *listener.sources]
            readable, writable, _ = select.select(sources, listener.sinks, [])
            wishes = self._wishes()
            self._ending = wishes.end
            self._reads_anew = self._reads_anew or wishes.reload
            listener.turn([*readable, *writable], lambda question: self._answer(question, listener), time.monotonic())
        self._whole, self._whole_why = True, "it was paused"

    def _resume(self, listener: Listener | Mute) -> None:
        self._paused = False
        listener.come_back()
        self._tell(events.Resumed(time.time_ns(), "asked to"))

    def _answer(self, question: bytes, listener: Listener | Mute, recorder: Recorder | None = None) -> bytes | None:
        """What is answered to another command: see replican-format(5)."""
        if question == ASK_LOOK:
            if recorder is None or self._paused:
                return encode_told(Told(self._standing))
            return encode_told(recorder.tracker.told(time.monotonic(), self._standing))
        if question in (PAUSE, RESUME):
            if self._paused != (question == PAUSE):
                self._pause(listener) if question == PAUSE else self._resume(listener)
            return DONE
        if question == RELOAD and self._paused:
            self._reads_anew = True
            return DONE
        if question == RELOAD:
            self._reload()
            return DONE
        return None

    # -- recording ----------------------------------------------------------------------------------------------

    def _look(self, heads: HeadWatch, recorder: Recorder) -> None:
        began = time.monotonic()
        try:
            done = recorder.record(self._record, everything=self._whole)
        except LockedError:
            # A courier is at it, or somebody's command.
            recorder.later(min(_BUSY_MOST, _BUSY_SECONDS * 2**self._busy))
            self._busy = min(self._busy + 1, 10)
            return
        except NoRepositoryError:
            raise
        except ReplicanError as error:
            self._failures += 1
            if self._failures == 1:
                self._tell(events.Error(time.time_ns(), None, error.code, error.message, error.hint))
            recorder.later(retry_after(self._failures, self._random.random(), most=30.0))
            return
        finally:
            self._tell_notes(self._repo.notes)
            self._tell_notes(recorder.notes())
        if done is None:
            return
        self._failures = self._busy = 0
        self._report(done)
        if self._whole:
            self._seen_whole(recorder, began)
        if heads.may_have_moved():
            self._has_moved()

    def _has_moved(self) -> None:
        self._crew.send()
        self._tidier.moved()

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
        now, closed, before = time.time_ns(), done.gated, self._gate
        if closed is not None:
            if before is None or before.kind != closed.kind:
                self._gate = closed
                hint = hint_of(closed, "commit")
                self._tell(events.Gate(now, None, False, closed.gates, closed.message, hint))
        elif before is not None:
            self._tell(events.Gate(now, None, True, before.gates, before.message, None))
            self._gate = None
        if done.new and done.head is not None:
            message = self._repo.checkpoint(done.head).message
            self._tell(events.Recorded(now, done.head, events.Counts(*done.tally), message))

    def _seen_whole(self, recorder: Recorder, began: float) -> None:
        """The folder has been looked through: at first, or because something may have been missed."""
        self._whole = False
        recorder.extend()
        now, seconds = time.time_ns(), time.monotonic()
        if self._live:
            if self._whole_why is not None:
                self._tell(events.Rescanned(now, b"", self._whole_why, seconds - began))
            self._whole_why = None
            return
        self._live = True
        known = self._repo.index.digests(observed=False)
        files = sum([each.files for each in known.values()])
        self._tell(events.Live(now, files, len(known), recorder.unwatched, seconds - self._began))

    # -- waiting ------------------------------------------------------------------------------------------------

    def _wait(self, heads: HeadWatch, recorder: Recorder, listener: Listener | Mute) -> list[int]:
        """Wait until there is something to do; the descriptors of which something is to be had."""
        descriptors = [self._wake, *self._crew.descriptors, *self._herald.descriptors, *listener.sources]
        now = time.monotonic()
        times = [self._crew.due, now + heads.due, recorder.due]
        if self._live:
            times.append(self._tidier.due)
        descriptors += recorder.descriptors
        if heads.descriptor is not None:
            descriptors.append(heads.descriptor)
        until = min(times)
        seconds = None if until == float("inf") else max(0.0, until - now)
        readable, writable, _ = select.select(descriptors, listener.sinks, [], seconds)
        return [*readable, *writable]
