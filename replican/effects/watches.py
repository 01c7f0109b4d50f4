"""The watches of a folder on Linux: one for each directory, by number, with the path that it has now.

A watch belongs to a directory, wherever that goes; its path here is what has to be kept up. A directory is always
watched first and then listed: what is made in it between the two is in the listing, and what comes later is told.
"""

import errno
import os
from collections.abc import Iterator
from typing import Final

from inotify_simple import INotify, flags  # type: ignore[import-untyped]  # it has no types

from replican.effects.ignore import IGNORE_NAME, NO_RULES, Rules, read_rules
from replican.effects.notices import Tracked
from replican.effects.worktree import TEMPORARY_PREFIX, Directories
from replican.values.names import DOT_DIRECTORY
from replican.values.paths import is_below, join, name_of, parent_of

MASK: Final = int(
    flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO | flags.MODIFY | flags.CLOSE_WRITE | flags.ATTRIB
    | flags.ONLYDIR | flags.EXCL_UNLINK
)  # fmt: skip
ROOT_MASK: Final = MASK | int(flags.DELETE_SELF | flags.MOVE_SELF)
_STEP: Final = 1 << 16
_LIMIT_FILE: Final = "/proc/sys/fs/inotify/max_user_watches"
_OURS: Final = os.fsdecode(DOT_DIRECTORY)
_TEMPORARY: Final = os.fsdecode(TEMPORARY_PREFIX)


class Watches:
    """What is watched of a folder. ``paths`` has one entry for each directory."""

    def __init__(self, inotify: INotify, root: str, tracked: Tracked) -> None:
        self._inotify = inotify
        self._root = root
        self._tracked = tracked
        self.paths: dict[int, bytes] = {}
        self.unwatched: set[bytes] = set()
        """Topmost directories that could not be watched."""
        self.missing = 0
        """How many directories could not be watched, as they were counted last."""
        self._texts: dict[bytes, bytes] = {}  # the ignore files, by the directories that have one

    def cover(self, top: bytes, *, again: bool = False) -> set[int]:
        """Watch a directory, and all below it that is to be watched; the numbers of the watches met.

        Below a directory that is watched already under this path, all is watched, and nothing is done; unless
        ``again``. One that went meanwhile is left out: who moved it is told of, too.
        """
        met: set[int] = set()
        stack = [(top, parent_of(top) in self.unwatched if top else False)]
        with Directories(self._root) as directories:
            while stack:
                path, hopeless = stack.pop()
                if path and self._texts and self._is_left_out(path):
                    self.drop(path)
                    continue
                try:
                    fd = directories.open(path)
                    number = None if hopeless else self._add(fd, path)
                    if number is not None:
                        met.add(number)
                        if self.paths.get(number) == path and not again:
                            continue
                        self.paths[number] = path
                        self.unwatched.discard(path)
                    names = self._list(fd, path)
                except OSError:
                    continue  # gone, or not ours to look into: the scan says so
                if names is None:
                    self.drop(path)
                    continue
                if number is None:
                    self.missing += 1
                    if not hopeless:
                        self.unwatched.add(path)
                stack += [(join(path, name), number is None) for name in names]
        return met

    def _add(self, fd: int, path: bytes) -> int | None:
        """The number of the watch on an open directory; None where there can be no more watches."""
        try:
            # By its descriptor: whatever stands at its path by now, this is the directory that will be listed.
            number: int = self._inotify.add_watch(f"/proc/self/fd/{fd}", MASK if path else ROOT_MASK)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.ENOMEM):
                return None
            raise
        return number

    def _list(self, fd: int, path: bytes) -> list[bytes] | None:
        """The directories in one; None if it is a replica of its own."""
        names: list[bytes] = []
        text = None
        with os.scandir(fd) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith(_OURS):
                    if name == IGNORE_NAME:
                        text = read_rules(fd)
                    elif name == _OURS:
                        if path and entry.is_dir(follow_symlinks=False):
                            return None
                        if not path:
                            continue
                    elif name.startswith(_TEMPORARY):
                        continue
                if entry.is_dir(follow_symlinks=False):
                    names.append(os.fsencode(name))
        if text is not None:
            self._texts[path] = text
        else:
            self._texts.pop(path, None)
        return names

    def _is_left_out(self, path: bytes) -> bool:
        """Whether a directory is ignored, and nothing in it tracked."""
        return self._rules_in(parent_of(path)).ignores(name_of(path), True) and not self._tracked(path)

    def _rules_in(self, path: bytes) -> Rules:
        rules = NO_RULES.below(b"", self._texts.get(b""))
        at = b""
        for name in path.split(b"/") if path else ():
            at = join(at, name)
            rules = rules.below(name, self._texts.get(at))
        return rules

    def rules_changed(self, path: bytes) -> None:
        """The ignore file of a directory is another: more may have to be watched."""
        self.cover(path, again=True)

    def rename(self, old: bytes, new: bytes) -> None:
        """A directory has another path, and so has all below it.

        Another than the one that was renamed may have been watched under the old path, since it has come there by now.
        So it is looked at what is at the new one; all else has its own event still to come.
        """
        self.drop(new)  # what was there before it came
        for number in [number for number, path in self.paths.items() if is_below(path, old)]:
            self.paths[number] = new + self.paths[number][len(old) :]
        for path in [path for path in self._texts if is_below(path, old)]:
            self._texts[new + path[len(old) :]] = self._texts.pop(path)
        for path in [path for path in self.unwatched if is_below(path, old)]:
            self.unwatched.discard(path)
            self.unwatched.add(new + path[len(old) :])
        self._renew(new)

    def _renew(self, path: bytes) -> None:
        """Look at all that is at and below a path, and let go of what is said to be there and is not."""
        met = self.cover(path, again=True)
        for number in [number for number, at in self.paths.items() if is_below(at, path) and number not in met]:
            self._remove(number)

    def drop(self, path: bytes) -> None:
        """Watch nothing at and below a path any more."""
        for number in [number for number, at in self.paths.items() if is_below(at, path)]:
            self._remove(number)
        self.forget(path)

    def forget(self, path: bytes) -> bool:
        """A directory is gone, and its watch with it; whether anything else was known of it."""
        texts = [each for each in self._texts if is_below(each, path)]
        for below in texts:
            del self._texts[below]
        unwatched = {each for each in self.unwatched if is_below(each, path)}
        self.unwatched -= unwatched
        return bool(texts or unwatched)

    def _remove(self, number: int) -> None:
        del self.paths[number]
        try:
            self._inotify.rm_watch(number)
        except OSError:
            pass  # the directory is gone, and the watch with it

    def renew(self) -> None:
        """Look at the whole folder again, after what was told of it has been lost."""
        self.unwatched.clear()
        self.missing = 0
        self._renew(b"")

    def complaint(self) -> str | None:
        """What the user should hear where there are too few watches, with what to do about it."""
        if not self.unwatched:
            return None
        needed = (_read_limit() or len(self.paths)) + self.missing
        # Other folders of this user may lack watches, too, and nobody here knows how many: one number for all of them.
        enough = (needed // _STEP + 1) * _STEP
        return (
            f"{self.missing} of {self.missing + len(self.paths)} directories cannot be watched, and are polled: the"
            f" system allows no more watches. For these alone {needed} are needed, and with room for other folders:"
            f" sysctl fs.inotify.max_user_watches={enough}"
        )

    def below(self, path: bytes) -> Iterator[bytes]:
        """The watched directories at and below a path."""
        return (at for at in self.paths.values() if is_below(at, path))


def _read_limit() -> int | None:
    try:
        with open(_LIMIT_FILE, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None
