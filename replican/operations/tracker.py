"""The tracker that goes on: it knows what the folder holds, and keeps knowing it while that changes.

It is told of paths, by a watcher or a poller, and looks at these alone. A file that somebody is writing to is left to
settle, for a while. A large one is read by another process, while this one goes on. What it knows stands in the index,
as observed rows; who asks it for the state of the folder is told by which paths the folder may differ from that by now.
"""

import os
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from replican.decisions.standing import Standing
from replican.effects.beforehand import Beforehand
from replican.effects.hashing import BEING_WRITTEN, CHANGED_WHILE_READ, LARGE
from replican.effects.ignore import IGNORE_NAME
from replican.effects.notices import Notices, Watcher, open_watcher, spread, writers
from replican.effects.scan import Scan
from replican.effects.units import STILL_CHANGING
from replican.effects.worktree import Directories
from replican.operations.looking import look_at_rest
from replican.operations.recording import observe
from replican.operations.status import Told
from replican.operations.tracking import update_index
from replican.repository import Repository
from replican.values.answers import State
from replican.values.errors import ReplicanError
from replican.values.ids import TreeId
from replican.values.names import COPY_MARK, is_tree_name
from replican.values.paths import is_below, join, name_of, parent_of
from replican.values.progress import MOVED, PUT_OFF

STILL: Final = 1.0
"""A file that is open for writing has settled when it has not changed for so many seconds."""
PATIENCE: Final = 10.0
"""... and is looked at after so many, however it changes: a log that grows all day is recorded, too."""

_WHAT: Final = "watch"
_IGNORE: Final = os.fsencode(IGNORE_NAME)

Look = tuple[int, int, int, int] | None


def _can_be_recorded(path: bytes) -> bool:
    return not path or all(map(is_tree_name, path.split(b"/")))


class _Waiting(NamedTuple):
    """A file that somebody writes to: how it looked last, since when it has been so, and since when it is left. Or a
    ``unit``, which is recorded when it is at rest, and not before, however long that takes."""

    look: Look
    still_since: float
    since: float
    unit: bool = False


class Tracker:
    """Knows a folder. All times are in seconds of one clock that does not go back.

    It changes the index of its repository, for which it takes the lock for a moment; never the log, nor a file. Of more
    than ``most`` bytes, a file is large.
    """

    def __init__(self, repo: Repository, most: int = LARGE) -> None:
        self._repo = repo
        self._root: TreeId | None = None
        self._marked = State(None, [])
        self._settled: set[bytes] = set()
        self._rested: set[bytes] = set()
        """What is to be looked at although somebody may have it open for writing."""
        self._waiting: dict[bytes, _Waiting] = {}
        self._observed: set[bytes] = set()
        """What was observed and not recorded yet."""
        self._unread: dict[bytes, str] = {}
        """What was put off, and what has to stand until that is read; with the causes."""
        self._beforehand = Beforehand(repo.root, most)
        self.watcher: Watcher | None = None
        self.news = False
        """Whether something has changed since this was last set to False, by who records it."""
        self.notes: list[str] = []
        """For the user; whoever shows them takes them out."""
        self.gone = False
        """Whether something went since the last look, and came nowhere else."""

    # -- being told -----------------------------------------------------------------------------------------------

    def watch(self) -> Watcher:
        """Have the system tell what changes from now on; raises ``UnsupportedError`` where it does not."""
        if self.watcher is None:
            try:
                self.watcher = open_watcher(self._repo.root, self._tracks)
            finally:
                self._let_go()
        return self.watcher

    def _tracks(self, path: bytes) -> bool:
        return self._repo.index.known(path) is not None

    def _let_go(self) -> None:
        """Who only reads the index has one snapshot of it, which is not to grow old."""
        if not self._repo.is_locked_here:
            self._repo.close_index()

    @property
    def descriptors(self) -> list[int]:
        """What can be waited for: something has changed, or a large file has been read. Not what changes, where only
        polling tells."""
        watcher = [] if self.watcher is None or self.watcher.lost else [self.watcher.fileno()]
        return watcher + self._beforehand.descriptors

    def close(self) -> None:
        self._beforehand.close()
        if self.watcher is not None:
            self.watcher.close()
            self.watcher = None

    def listen(self, now: float) -> bool:
        """Take in all that the watcher has to tell, and what has been read; whether anything has changed."""
        read = self._hear_read()
        self.news = self.news or read
        if self.watcher is None:
            return read
        try:
            notices = self.watcher.drain()
        finally:
            self._let_go()
        self.take(notices, now)
        self.news = self.news or bool(notices)
        return bool(notices) or read

    def _hear_read(self) -> bool:
        """Take in what has been read of large files, and have more of them read; whether there is news."""
        read = self._beforehand.hear()
        self._settled |= read - self._waiting.keys()
        if not self._repo.is_locked_here:
            self._let_go()
            self._beforehand.begin()
        return bool(read)

    def take(self, notices: Notices, now: float) -> None:
        """Take in what a watcher told."""
        self.notes += notices.notes
        if notices.everything:
            self.doubt_everything()
        # Of a directory of which only the permissions changed, one name in it is looked at, and all on the way to it.
        shallow = {join(path, _IGNORE) for path in notices.modes}
        self._settled.update(path for path in notices.settled | shallow if _can_be_recorded(path))
        # What was exchanged for another, as a merge does with what it replaces, went only by name.
        self.gone = self.gone or None in self._looks(notices.gone).values()
        for path in notices.settled:
            self._waiting.pop(path, None)
        for path in notices.gone:
            for below in [each for each in self._waiting if is_below(each, path)]:
                del self._waiting[below]
        self._leave([path for path in notices.writing if _can_be_recorded(path)], now)

    def take_polled(self, paths: Iterable[bytes], now: float) -> None:
        """Take in paths that a poller has found to differ; it does not know who is writing to them."""
        found = set(paths)
        busy = {path for path, written in writers(self._repo.root, found).items() if written}
        self._leave(busy, now)
        self._settled |= found - busy

    def doubt_everything(self) -> None:
        """Nothing is known any more: the next look is at the whole folder."""
        self._root = None

    def _leave(self, paths: Iterable[bytes], now: float, unit: bool = False) -> None:
        looks = self._looks(paths)
        for path, look in looks.items():
            waiting = self._waiting.get(path)
            self._settled.discard(path)
            self._waiting[path] = _Waiting(look, now, now if waiting is None else waiting.since, unit)

    def _looks(self, paths: Iterable[bytes]) -> dict[bytes, Look]:
        looks: dict[bytes, Look] = {}
        wanted = sorted(paths)
        if not wanted:
            return looks
        with Directories(self._repo.root) as directories:
            for path in wanted:
                try:
                    found = os.lstat(name_of(path), dir_fd=directories.open(parent_of(path)))
                    looks[path] = found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
                except OSError:
                    looks[path] = None
        return looks

    # -- looking --------------------------------------------------------------------------------------------------

    @property
    def dirty(self) -> bool:
        """Whether there is something to look at now."""
        return self._root is None or bool(self._settled)

    @property
    def fresh(self) -> set[bytes]:
        """Of what there is to look at now, what was not observed since something was last recorded."""
        return self._settled - self._observed

    @property
    def due(self) -> float | None:
        """When files that are being written to are to be looked at; None where there are none."""
        times = [min(each.still_since + STILL, each.since + PATIENCE) for each in self._waiting.values()]
        return min(times, default=None)

    def look(self, now: float, only: Collection[bytes] | None = None) -> Scan | None:
        """Look at what has changed and settled, and note it in the index; None where there was nothing to look at. Of
        what is not among ``only`` these paths, nothing is looked at yet.

        Raises as a scan does, ``LockedError`` where another process works here: then nothing is forgotten.
        """
        self._settle(now)
        taken = set(self._settled) if only is None else self._settled.intersection(only)
        if self._root is not None and not taken:
            return None
        paths = {b""} if b"" in taken else set(taken)
        with self._repo.writing(_WHAT):
            if self._root is not None and self._repo.index.observed_root() != self._root:
                self.doubt_everything()  # somebody else has written to the index, and perhaps dropped what was ours
            putting_off = self._beforehand.putting_off()._replace(rested=frozenset(self._rested))
            if self._root is None:
                paths, taken = {b""}, set(self._settled)
                seen = observe(self._repo, wait=False, putting_off=putting_off)
            else:
                if MOVED in self._unread.values():
                    paths |= self._unread.keys()  # whether it was moved is seen at both ends
                paths = self._apart(paths)
                seen = update_index(self._repo, paths, wait=False, putting_off=putting_off)
            if self._unread or seen.problems:
                left = {each.path: each.cause for each in self._repo.index.problems()}
                self._unread = {path: cause for path, cause in left.items() if cause in PUT_OFF}
            self._beforehand.looked(paths, seen.problems)
            self._root = seen.root
            self._settled -= taken
            self._rested -= taken
            self.gone = False
            if not self._repo.index.has_observed():
                self._observed.clear()
            elif seen.changed or seen.gone:
                self._observed |= paths
        self._leave([each.path for each in seen.problems if each.cause in (CHANGED_WHILE_READ, BEING_WRITTEN)], now)
        self._leave([each.path for each in seen.problems if each.cause == STILL_CHANGING], now, unit=True)
        return seen

    def _settle(self, now: float) -> None:
        """See which of the files that were being written to have come to rest, or have been left long enough."""
        busy = writers(self._repo.root, self._waiting) if self._waiting else {}
        for path, look in self._looks(self._waiting).items():
            waiting = self._waiting[path]
            if look != waiting.look:
                waiting = self._waiting[path] = waiting._replace(look=look, still_since=now)
            rested = now - waiting.still_since >= STILL or now - waiting.since >= PATIENCE
            if rested:
                self._rested.add(path)
            if look is None or rested or (busy.get(path) is False and not waiting.unit):
                del self._waiting[path]
                self._settled.add(path)

    def _apart(self, paths: set[bytes]) -> set[bytes]:
        """The paths, with directories in which somebody writes to a file taken apart."""
        if not self._waiting:
            return paths
        found: set[bytes] = set()
        for path in paths:
            inside = [each for each in self._waiting if each != path and is_below(each, path)]
            found.update(spread(self._repo.root, path, inside) if inside else [path])
        return found - self._waiting.keys()

    def resume(self) -> None:
        """Go on after this process has written to log and index by itself: to be called after each recording, and
        after each merge.

        What a merge put into the folder stands in the index. What had been observed before it and was not recorded
        is looked at again: it forgets that.
        """
        if self._root is None:
            return
        with self._repo.writing(_WHAT):
            root, left = self._repo.index.observed_root(), self._repo.index.has_observed()
        if root != self._root:
            if b"" in self._observed:
                self.doubt_everything()
                return
            self._settled |= self._observed
            self._root = root
        if not left:
            self._observed.clear()

    # -- being asked ----------------------------------------------------------------------------------------------

    def told(self, now: float, standing: Standing | None = None) -> Told:
        """What is said to who asks how the folder stands, with how it stands with its remotes."""
        state, marked = self.state(now), self._find_marked()
        try:
            rest = look_at_rest(self._repo, state, marked)
        except ReplicanError:
            rest = None  # who asks finds out by itself
        finally:
            self._let_go()
        return Told(standing, rest, state, marked)

    def _find_marked(self) -> State:
        """The directories with what may be conflict copies, of the tree that is known: looked for once for each."""
        if self._root is not None and self._marked.root != self._root:
            try:
                marked = self._repo.index.directories_with(COPY_MARK)
                self._marked = State(self._repo.index.observed_root(), marked)
            except ReplicanError:
                return State(None, [])  # who asks finds out by itself
            finally:
                self._let_go()
        return self._marked

    def state(self, now: float) -> State:
        """What the folder holds at this moment, with all that happened before this call. Looks at nothing itself."""
        self.listen(now)
        unwatched = {b""} if self.watcher is None or self.watcher.lost else self.watcher.unwatched
        if self._root is None or b"" in unwatched or b"" in self._settled:
            return State(None, [])
        return State(self._root, sorted({*self._settled, *self._waiting, *self._unread, *unwatched}))
