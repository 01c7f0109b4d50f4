"""What the system tells of changes in a folder while they happen, and who listens to it.

A watcher supplements the poller, which always runs beneath it. There are changes that no watcher is told of: what is
written to a file through memory, or through another hard link of it, or by another machine that has the same disk.
"""

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from replican.effects.linux import is_open_for_writing
from replican.effects.worktree import FILE_FLAGS, Directories
from replican.values.errors import UnsupportedError
from replican.values.paths import ancestors_of, join, name_of, parent_of

_HAS_INOTIFY: bool = sys.platform.startswith("linux")

Tracked = Callable[[bytes], bool]
"""Whether anything at or below a directory is tracked: what is ignored is of interest only then."""


class Notices(NamedTuple):
    """What has changed since the last time: root-relative paths, to be looked at again.

    ``settled`` are those that nobody is known to be writing to (of a directory, all below it has to be looked at);
    ``writing``, those that somebody is: they come again, settled, when that is over. Of directories in ``modes``, only
    the permissions changed. ``gone`` are those of ``settled`` that went and came nowhere else. ``everything``: changes
    were missed, any path may have changed. ``notes`` are for the user, each told once. Who had begun to write to a
    file before its directory was watched is not known: that is found out when the file is read.
    """

    settled: set[bytes]
    writing: set[bytes]
    modes: set[bytes]
    gone: set[bytes]
    everything: bool
    notes: list[str]

    def __bool__(self) -> bool:
        """Whether anything has changed."""
        return bool(self.settled or self.writing or self.modes or self.everything)


class Watcher(Protocol):
    """Who is told by the system what changes. Can be waited for by ``select``: it is a file, to that."""

    @property
    def unwatched(self) -> set[bytes]:
        """The topmost directories that cannot be watched: below them, only the poller notices anything."""
        ...

    @property
    def lost(self) -> bool:
        """Whether the folder itself went: it was moved, removed or unmounted. Nothing is noticed any more."""
        ...

    def fileno(self) -> int: ...

    def drain(self) -> Notices:
        """All that happened before this call, and was not told before. Never waits for something to happen."""
        ...

    def extend(self, path: bytes = b"") -> None:
        """Watch what can be watched, by now, at and below a directory: it may not have been worth it before."""
        ...

    def close(self) -> None: ...


def open_watcher(root: str, tracked: Tracked) -> Watcher:
    """Watch a folder: everything in it that happens after this returns is noticed.

    Never ``.replican``, nor replicas within, nor what is ignored and not ``tracked``; links are not followed.
    Raises ``UnsupportedError`` where there is no watcher for this system, or the user may have no more of them.
    """
    if _HAS_INOTIFY:
        from replican.effects.inotify import InotifyWatcher

        try:
            return InotifyWatcher(root, tracked)
        except OSError as error:
            raise _explain(error) from error
    try:
        from replican.effects.watchdogs import WatchdogWatcher
    except ImportError as error:
        raise UnsupportedError(
            "changes are not noticed at once on this system", "pip install 'replican[watchdog]' helps; polling goes on"
        ) from error
    try:
        return WatchdogWatcher(root, tracked)
    except OSError as error:
        raise _explain(error) from error


def _explain(error: OSError) -> UnsupportedError:
    if error.errno == errno.EMFILE:
        return UnsupportedError(
            "no more folders can be watched by this user", "let them have more: sysctl fs.inotify.max_user_instances"
        )
    reason = (error.strerror or type(error).__name__).lower()
    return UnsupportedError(f"changes are not noticed at once here: {reason}", "they are found by polling")


def writers(root: str, paths: Iterable[bytes]) -> dict[bytes, bool | None]:
    """Whether somebody has each of ``paths`` open for writing; None where the system does not tell.

    What is no file, or not there any more, nobody writes to.
    """
    found: dict[bytes, bool | None] = {}
    with Directories(root) as directories:
        for path in sorted(paths):
            found[path] = _is_written(directories, path)
    return found


def _is_written(directories: Directories, path: bytes) -> bool | None:
    name = name_of(path)
    try:
        directory = directories.open(parent_of(path))
        if not stat.S_ISREG(os.lstat(name, dir_fd=directory).st_mode):
            return False
        fd = os.open(name, FILE_FLAGS, dir_fd=directory)
    except OSError as error:
        return None if error.errno in (errno.EACCES, errno.EPERM) else False
    try:
        return is_open_for_writing(fd)
    finally:
        os.close(fd)


def spread(root: str, path: bytes, without: Iterable[bytes]) -> list[bytes]:
    """What a directory holds, as paths that are together all of it but ``without``, which lie below it."""
    left_out = set(without)
    above = {each for path_out in left_out for each in ancestors_of(path_out)}
    found: list[bytes] = []
    stack = [path]
    with Directories(root) as directories:
        while stack:
            at = stack.pop()
            try:
                names = sorted(map(os.fsencode, os.listdir(directories.open(at))))
            except OSError:
                found.append(at)
                continue
            for name in names:
                below = join(at, name)
                if below not in left_out:
                    (stack if below in above else found).append(below)
    return found
