"""Large files, read by other processes while this one goes on: nothing that is small has to wait for them.

A look puts such files off, as :class:`~replican.effects.hashing.PuttingOff` says, and they are read for a later one.
What was found is believed as an index is: as long as the stat data are what they were.
"""

import logging
import os
import time
from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import Final, cast

from replican.effects.companion import Companion, Fallen, Post
from replican.effects.forking import worker_count
from replican.effects.hashing import (
    CHANGED_WHILE_READ,
    LARGE,
    TRIES,
    Answer,
    Hashed,
    PuttingOff,
    hash_name,
)
from replican.effects.worktree import Directories
from replican.values.errors import NoRepositoryError
from replican.values.listing import RACY_COARSE_NS, is_racy
from replican.values.paths import ancestors_of, name_of, parent_of
from replican.values.progress import UNREAD, Problem, Silent

ENDED: Final = "the process that read it has ended"

_LOG: Final = logging.getLogger(__name__)
_AGAIN_SECONDS: Final = 0.01
_MOST_KNOWN: Final = 1000
"""So many findings are kept when they have been of use: what could not be recorded yet is looked at again."""

_Look = tuple[int, int, int, int, int]


class Beforehand:
    """Has files of the folder at ``root`` read that have more than ``most`` bytes, each by a process of its own. To be
    closed: then these end."""

    def __init__(self, root: str, most: int = LARGE, workers: int | None = None) -> None:
        self.most = most
        self._root = root
        self._workers = workers or max(1, worker_count() - 1)  # one is left to what must not wait
        self._wanted: dict[bytes, None] = {}
        self._readers: dict[bytes, Companion] = {}
        self._known: dict[bytes, Hashed | str] = {}

    @property
    def descriptors(self) -> list[int]:
        """What can be waited for: a file has been read."""
        return [each.fileno() for each in self._readers.values()]

    @property
    def paths(self) -> set[bytes]:
        """The files that are being read, or are to be."""
        return {*self._wanted, *self._readers}

    def putting_off(self) -> PuttingOff:
        """For a look: what has been found."""
        return PuttingOff(self._known, self.most)

    def looked(self, paths: Collection[bytes], problems: Iterable[Problem]) -> None:
        """A look at ``paths`` has met these problems: what was put off is to be read, and nothing else there."""
        causes = {each.path: each.cause for each in problems}
        unread = [path for path, cause in causes.items() if cause == UNREAD]
        for path in self.paths.difference(unread):
            if not _ways(path).isdisjoint(paths):
                self._wanted.pop(path, None)
                self._dismiss(path)
        self._wanted.update(dict.fromkeys([path for path in unread if path not in self._readers]))
        self._forget(causes)

    def _forget(self, causes: Collection[bytes]) -> None:
        """What was found is kept where a problem, as that of a unit, kept it from being recorded; else if it is not
        much. What proves nothing for long is not."""
        now_ns = time.time_ns()
        self._known = {
            path: found
            for path, found in self._known.items()
            if not isinstance(found, str) and not is_racy(found[4], now_ns)
        }
        surplus = len(self._known) - _MOST_KNOWN
        if surplus > 0:
            done = (path for path in self._known if _ways(path).isdisjoint(causes))
            for path in list(islice(done, surplus)):
                del self._known[path]

    def begin(self) -> None:
        """Read what is wanted, as much at a time as there are processes for it. Nothing that is open here may be in
        use."""
        while self._wanted and len(self._readers) < self._workers:
            path = next(iter(self._wanted))
            del self._wanted[path]
            self._readers[path] = Companion(_reader(self._root, path))

    def hear(self) -> set[bytes]:
        """The files that have been read since, or could not be: another look finds out."""
        done: set[bytes] = set()
        for path, reader in list(self._readers.items()):
            answers: list[Answer] = []
            for message in reader.receive():
                if isinstance(message, Fallen):
                    _LOG.error("%s", message.traceback)
                else:
                    answers.append(cast("Answer", message))
            if not answers and not reader.ended:
                continue
            found = answers[0] if answers else ENDED
            if found is not None:
                self._known[path] = found
            self._dismiss(path)
            done.add(path)
        return done

    def _dismiss(self, path: bytes) -> None:
        reader = self._readers.pop(path, None)
        if reader is not None:
            reader.kill()

    def close(self) -> None:
        """Read nothing any more, and forget all that was wanted."""
        for path in list(self._readers):
            self._dismiss(path)
        self._wanted.clear()
        self._known.clear()


def _ways(path: bytes) -> set[bytes]:
    """The path, and all directories above it."""
    return {path, b"", *ancestors_of(path)}


# -- in the other process ----------------------------------------------------------------------------------------


def _reader(root: str, path: bytes) -> Callable[[Post], None]:
    return lambda post: post.send(_read(root, path, post))


class _InVainError(Exception):
    """What is being read is no longer there, or nobody waits for it."""


class _Heed(Silent):
    """Notices, with each piece of a file that is read, that it is in vain to read on."""

    def __init__(self, post: Post, name: bytes, directory: int) -> None:
        self._post = post
        self._name = name
        self._directory = directory
        self.look = self._look()

    def _look(self) -> _Look:
        found = os.lstat(self._name, dir_fd=self._directory)
        return found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def advance(self, files: int = 0, size: int = 0) -> None:
        self._post.receive()
        if self._post.ended or self._look() != self.look:
            raise _InVainError

    def settle(self) -> None:
        """Wait until a change would show: for longer than a moment only a clock that was wrong keeps it from that."""
        end = time.monotonic() + 2 * RACY_COARSE_NS / 1e9
        while is_racy(self.look[4], time.time_ns()) and time.monotonic() < end:
            time.sleep(_AGAIN_SECONDS)
            self.advance()

    def is_other(self) -> bool:
        """Whether the name holds another file by now."""
        return self._look()[0] != self.look[0]


def _read(root: str, path: bytes, post: Post) -> Answer:
    """What a file holds, or why nobody can tell; None where it is not there any more."""
    try:
        with Directories(root) as directories:
            name, directory = name_of(path), directories.open(parent_of(path))
            for _ in range(TRIES):
                heed = _Heed(post, name, directory)
                try:
                    heed.settle()
                    return hash_name(name, directory, heed)
                except _InVainError:
                    if post.ended or heed.is_other():
                        return None
    except (OSError, NoRepositoryError):
        return None
    return CHANGED_WHILE_READ
