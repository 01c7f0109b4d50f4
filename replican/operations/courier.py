"""A courier: the process of a watch that keeps the folder in step with one remote.

It sleeps until there is something to carry: the folder's head has moved, or the remote's. What a remote's user does is
recorded by whoever watches that folder; where nobody does, the courier is its lookout. A remote that cannot be reached
is tried again later and later, and no other remote waits for it.
"""

import select
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack, closing
from random import Random
from typing import Final, NamedTuple

from replican.decisions.gates import hint_of
from replican.decisions.pace import Bounds, retry_after
from replican.decisions.treediff import Tally
from replican.effects import launching
from replican.effects.companion import Post
from replican.operations.attending import Attendance, attend
from replican.operations.folders import FolderRemote
from replican.operations.herald import Herald
from replican.operations.keeping import KEPT_SECONDS, Keeping, Turns, changing_in
from replican.operations.remotes import Refreshed, Remote, opened_remote
from replican.operations.syncing import Exchanged, exchange
from replican.repository import Repository
from replican.values import events
from replican.values.errors import (
    BusyError,
    LockedError,
    NoSpaceError,
    RefusedError,
    RemoteError,
    ReplicanError,
    UnknownRemoteError,
)
from replican.values.hooks import Kind

WAIT_SECONDS: Final = 60.0
"""How long a courier waits for a lock: that of a merge of much may be held for long."""
_RENEW: Final = 500
"""After so many exchanges everything is opened anew, so that nothing grows for months."""
_BUSY_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 0.5
_PENDING_SECONDS: Final = 30.0
"""After so many seconds at most, what could not be written is tried again."""


class Carry(NamedTuple):
    """Said to a courier: the folder's head has moved. ``anew``: the link may be dead, and the remote another."""

    anew: bool = False


class Courier:
    """Between the folder at ``root`` and its remote ``name``. ``post`` leads to the main process of the watch."""

    def __init__(self, root: str, name: str, post: Post, bounds: Bounds, random: Random) -> None:
        self._root = root
        self._bounds = bounds
        self._name = name
        self._post = post
        self._random = random
        self._held = ExitStack()
        self._repo: Repository | None = None
        self._herald: Herald | None = None
        self._remote: Remote | None = None
        self._traffic: tuple[int, int] | None = None
        self._attendance: Attendance | None = None
        self._wanted = True
        self._failures = 0
        self._retry_at: float | None = None
        """Nothing is tried before this time."""
        self._again_at: float | None = None
        """What could not be done is tried again at this time, if nothing else has it tried before."""
        self._again = 0
        self._unsteady: set[bytes] = set()
        self._kept_until = 0.0
        """Until then, nothing is recorded here by the courier."""
        self._turns = Turns()
        self._changing = False
        """Whether it is the turn of what changes all the time."""
        self._gate: RefusedError | None = None
        self._closed: dict[str, Kind] = {}
        self._in_the_way: tuple[object, ...] | None = None
        """What keeps it from being in step, as it was told last."""
        self._lost = True
        self._behind = True
        self._carried = 0

    def run(self) -> None:
        """Carry until the main process ends."""
        with launching.bound():
            try:
                while not self._post.ended:
                    self._hear()
                    if self._is_due() or self._finds_changing():
                        self._go()
                    else:
                        self._wait()
            finally:
                with launching.ending():
                    self._close()

    # -- waiting ------------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        for message in self._post.receive():
            if isinstance(message, Carry):
                self._wanted = True
                if message.anew:
                    self._close()
                if message.anew or self._gate is not None:
                    self._retry_at = None  # what was refused may have been decided meanwhile
        if self._herald is not None:
            for event in self._herald.hear():
                self._tell(event)
        if self._attendance is None:
            return
        try:
            if self._attendance.hear():
                self._wanted = True
                if self._gate is not None:
                    self._retry_at = None
        except RemoteError as error:
            self._lose(error)

    def _is_due(self) -> bool:
        if self._post.ended:
            return False
        now = time.monotonic()
        if self._retry_at is not None:
            return self._retry_at <= now
        due = float("inf") if self._attendance is None else self._attendance.due
        return self._wanted or min(due, self._again_at or due) <= now

    def _wait(self) -> None:
        descriptors: list[int] = [self._post.fileno()]
        until = self._retry_at
        if self._attendance is not None:
            if until is None or self._gate is not None:
                until = min(self._attendance.due, self._again_at or float("inf"), self._looks_at)
            descriptors += self._attendance.descriptors
        if self._herald is not None:
            descriptors += self._herald.descriptors
        seconds = None if until is None or until == float("inf") else max(0.0, until - time.monotonic())
        select.select(descriptors, [], [], seconds)

    # -- carrying -----------------------------------------------------------------------------------------------

    def _go(self) -> None:
        began = time.monotonic()
        self._wanted = False
        self._retry_at = self._again_at = None
        try:
            repo, remote, attendance = self._open()
            self._note(attendance.mind())
            if repo.head != remote.head:
                self._tell(events.Syncing(time.time_ns(), self._name))
            elif not self._lost and not self._behind:
                return self._found(remote)
            with closing(Keeping(repo, remote, only=True, unsteady=self._unsteady)) as keeping:
                self._keep_changing(repo, remote, keeping)
                exchanged = exchange(repo, remote, unlocked=True, record_again=self._record_again(keeping))
            self._found(remote)
            self._report(repo, remote, exchanged, time.monotonic() - began)
        except NoSpaceError as error:
            self._fail(error)
        except RefusedError as error:
            self._refused(error)
        except (LockedError, BusyError):
            self._wanted = True
            self._retry_at = time.monotonic() + _BUSY_SECONDS
        except (RemoteError, UnknownRemoteError) as error:
            self._lose(error)
        except ReplicanError as error:
            self._fail(error)
        else:
            self._carried += 1
            if self._carried % _RENEW == 0:
                self._close()
        finally:
            if isinstance(self._remote, FolderRemote):
                self._remote.drop_copies()  # a gate may stay closed for days

    def _finds_changing(self) -> bool:
        """Whether there is something on either side that nobody could read twice the same, and its turn has come."""
        if self._repo is None or self._remote is None or time.monotonic() < self._looks_at:
            return False
        self._changing = bool(self._turns.find(*_repositories(self._repo, self._remote)))
        self._behind = self._behind or self._changing
        return self._changing

    @property
    def _looks_at(self) -> float:
        return max(self._turns.at, self._retry_at or 0.0)

    def _keep_changing(self, repo: Repository, remote: Remote, keeping: Keeping) -> None:
        """Have recorded, by copies that can be sent, what nobody could read twice the same."""
        if not self._changing:
            return
        self._changing = False
        here, *there = [changing_in(each) for each in _repositories(repo, remote)]
        with self._turns.taken():
            if here:
                keeping.again([each.path for each in here])
            for unread in there:
                self._note(remote.keep_changing(Refreshed([], unread)).notes)

    def _record_again(self, keeping: Keeping) -> Callable[[Collection[bytes]], None] | None:
        """What records what could not be sent since it had changed, with copies of it; None where that was done not
        long ago. A file that is written to all the time would keep the couriers of two remotes busy with nothing else:
        what one records, the other has no copy of."""
        if time.monotonic() < self._kept_until:
            return None

        def record_again(unsent: Collection[bytes]) -> None:
            self._kept_until = time.monotonic() + KEPT_SECONDS
            keeping.again(unsent)

        return record_again

    def _open(self) -> tuple[Repository, Remote, Attendance]:
        if self._repo is None or self._remote is None or self._attendance is None:
            self._close()
            self._repo = self._held.enter_context(Repository(self._root, wait=WAIT_SECONDS))
            self._repo.tailing.begin()
            self._herald = self._held.enter_context(closing(Herald(self._repo, self._closed)))
            self._remote = self._held.enter_context(opened_remote(self._repo, self._name))
            self._attendance = self._held.enter_context(attend(self._remote, self._bounds, self._random))
        return self._repo, self._remote, self._attendance

    def _close(self) -> None:
        self._repo = self._remote = self._attendance = self._herald = self._traffic = None
        held, self._held = self._held, ExitStack()
        held.close()

    # -- telling ------------------------------------------------------------------------------------------------

    def _tell(self, event: events.Event) -> None:
        self._post.send(event)

    def _note(self, notes: list[str]) -> None:
        for note in notes:  # a command would say whose it is, and an event has that beside it
            self._tell(events.Note(time.time_ns(), self._name, note.removeprefix(f"{self._name}: ")))

    def _found(self, remote: Remote) -> None:
        self._failures, self._in_the_way = 0, None
        if self._gate is not None:
            self._tell(events.Gate(time.time_ns(), self._name, True, self._gate.gates, self._gate.message, None))
            self._gate = None
        if self._lost:
            self._lost = False
            self._tell(events.RemoteFound(time.time_ns(), self._name, remote.place))

    def _report(self, repo: Repository, remote: Remote, exchanged: Exchanged, seconds: float) -> None:
        came = [merged.tally for merged in exchanged.pulled]
        went = [pushed.tally for pushed in exchanged.pushed if pushed.tally is not None]
        pending = len(exchanged.pulled[-1].pending) + sum(
            [len(pushed.pending) + pushed.unnoted for pushed in exchanged.pushed[-1:]]
        )
        conflicts = [conflict for merged in exchanged.pulled for conflict in merged.conflicts]
        for conflict in conflicts:
            copies = tuple([path for path, _ in conflict.copies])
            self._tell(events.Conflict(time.time_ns(), self._name, conflict.path, copies))
        self._note(repo.notes)
        repo.notes.clear()
        self._tell(
            events.Synced(
                time.time_ns(),
                self._name,
                repo.head,
                exchanged.equal,
                events.Counts(*Tally.total(came)),
                events.Counts(*Tally.total(went)),
                len(conflicts),
                pending,
                *self._flow(remote),
                seconds,
            )
        )
        self._behind = bool(pending) or not exchanged.equal
        if self._behind:
            # Soon, and later and later: a file that somebody was just editing is free again in a moment.
            self._again_at = time.monotonic() + min(_AGAIN_SECONDS * 2.0**self._again, _PENDING_SECONDS)
            self._again = min(self._again + 1, 10)
        else:
            self._again_at, self._again = None, 0

    def _flow(self, remote: Remote) -> tuple[int | None, int | None]:
        """What has gone over the link since the last report, each way in bytes; None where there is none."""
        now = remote.traffic
        if now is None:
            return None, None
        before, self._traffic = self._traffic or (0, 0), (now.received, now.sent)
        return now.received - before[0], now.sent - before[1]

    def _refused(self, error: RefusedError) -> None:
        """A gate: nothing more until somebody decides, or something changes."""
        self._failures = 0
        hint = hint_of(error, "pull", self._name)
        if self._is_news("gate", error.kind, hint):  # the same gate here is another one: somebody else decides
            self._gate = error
            self._tell(events.Gate(time.time_ns(), self._name, False, error.gates, error.message, hint))
        self._retry_at = float("inf")

    def _is_news(self, *what: object) -> bool:
        """Whether it was not ``what`` that was in the way before: as long as it is the same, it is told once. When it
        is not any more, it is told that both are in step, even if nobody has to carry anything for that."""
        before, self._in_the_way = self._in_the_way, what
        self._behind = True
        return what != before

    def _back_off(self) -> float:
        """After one more failure: let go of everything, and try nothing for so many seconds."""
        self._close()
        self._failures += 1
        seconds = retry_after(self._failures, self._random.random())
        self._retry_at = time.monotonic() + seconds
        return seconds

    def _lose(self, error: ReplicanError) -> None:
        seconds = self._back_off()
        self._lost = True
        if self._is_news("lost"):
            self._tell(events.RemoteLost(time.time_ns(), self._name, error.code, error.message, error.hint, seconds))

    def _fail(self, error: ReplicanError) -> None:
        """Something here is in the way: a full disk, a damaged object."""
        self._back_off()
        if self._is_news("error", error.code):
            self._tell(events.Error(time.time_ns(), self._name, error.code, error.message, error.hint))


def _repositories(repo: Repository, remote: Remote) -> list[Repository]:
    """This one, and the remote's, if it is a folder here: what is on another machine is seen to there."""
    return [repo, remote.repository] if isinstance(remote, FolderRemote) else [repo]


def courier(root: str, name: str, bounds: Bounds, seed: int) -> Callable[[Post], None]:
    """What a process does that is the courier of a remote."""
    return lambda post: Courier(root, name, post, bounds, Random(seed)).run()
