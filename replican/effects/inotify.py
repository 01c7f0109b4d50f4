"""The watcher on Linux: inotify, made recursive.

Events name a watch and a name in its directory. They are taken in the order in which they happened, so that each is
understood with the paths that the watches had then. What an event says may be out of date when it is read: a directory
that has come is opened and watched as it is by now, and whatever happened to it since is told by a later event.
"""

import os
from collections.abc import Iterable
from select import select
from typing import Final

from inotify_simple import Event, INotify, flags  # type: ignore[import-untyped]  # it has no types

from replican.effects.attributes import ATTRIBUTES_BYTES
from replican.effects.ignore import IGNORE_NAME
from replican.effects.notices import Notices, Tracked, writers
from replican.effects.watches import Watches
from replican.effects.worktree import TEMPORARY_PREFIX
from replican.values.errors import NoRepositoryError
from replican.values.names import DOT_DIRECTORY
from replican.values.paths import is_below, join, parent_of

# As numbers: an operation on two members of an enum takes longer than all else that is done for an event.
_CREATE: Final = int(flags.CREATE)
_MODIFY: Final = int(flags.MODIFY)
_ATTRIB: Final = int(flags.ATTRIB)
_CLOSE_WRITE: Final = int(flags.CLOSE_WRITE)
_MOVED_FROM: Final = int(flags.MOVED_FROM)
_MOVED_TO: Final = int(flags.MOVED_TO)
_DELETE: Final = int(flags.DELETE)
_SELF: Final = int(flags.DELETE_SELF | flags.MOVE_SELF)
_UNMOUNT: Final = int(flags.UNMOUNT)
_OVERFLOW: Final = int(flags.Q_OVERFLOW)
_IGNORED: Final = int(flags.IGNORED)
_ISDIR: Final = int(flags.ISDIR)

_ROUNDS: Final = 100
_PAIR_SECONDS: Final = 0.002
_IGNORE: Final = os.fsencode(IGNORE_NAME)

OVERFLOWED: Final = "more changed at once than the system could tell: the whole folder is looked at"


class InotifyWatcher:
    """A :class:`~replican.effects.notices.Watcher`. Raises ``OSError`` where there can be none."""

    def __init__(self, root: str, tracked: Tracked) -> None:
        self._root = root
        self._inotify = INotify(nonblocking=True)
        self._watches = Watches(self._inotify, root, tracked)
        self._writing: set[bytes] = set()
        self._notes: list[str] = []
        self._complained = False
        self.lost = False
        try:
            self.extend()
        except BaseException:
            self.close()
            raise

    @property
    def unwatched(self) -> set[bytes]:
        return self._watches.unwatched

    @property
    def count(self) -> int:
        """How many directories are watched."""
        return len(self._watches.paths)

    def fileno(self) -> int:
        fd: int = self._inotify.fileno()
        return fd

    def close(self) -> None:
        self._inotify.close()

    def __enter__(self) -> "InotifyWatcher":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def extend(self, path: bytes = b"") -> None:
        if path:
            self._watches.cover(path, again=True)
        else:
            self._watches.renew()
        self._complain()

    def _complain(self) -> None:
        if self._watches.unwatched and not self._complained:
            complaint = self._watches.complaint()
            if complaint is not None:
                self._complained = True
                self._notes.append(complaint)

    def drain(self) -> Notices:
        batch = _Batch(self._watches, self._writing)
        try:
            self._read(batch)
            if batch.overflowed:
                self._notes.append(OVERFLOWED)
                self._watches.renew()
            self._settle(batch)
        except NoRepositoryError:
            self.lost = True
        self.lost = self.lost or batch.lost
        self._complain()
        notes, self._notes = self._notes, []
        writing = batch.changed & self._writing
        return Notices(
            batch.changed - writing, writing, batch.modes - batch.changed, batch.gone, batch.overflowed, notes
        )

    def _read(self, batch: "_Batch") -> None:
        waited = False
        for _ in range(_ROUNDS):
            events = self._inotify.read(timeout=0)
            if events:
                batch.take(events)
            elif batch.leaving and not waited:
                # The other half of a rename is told in the next moment, if it is to be told at all.
                waited = True
                select([self._inotify], [], [], _PAIR_SECONDS)
            else:
                break
        batch.finish()

    def _settle(self, batch: "_Batch") -> None:
        """Find out who is still writing: a file may have been truncated by its name, linked, or closed just now."""
        doubtful = set(self._writing) if batch.overflowed else self._writing & batch.changed
        found = writers(self._root, doubtful)
        self._writing -= {path for path in doubtful if found[path] is False}


class _Batch:
    """What some events, taken one after the other, come to."""

    def __init__(self, watches: Watches, writing: set[bytes]) -> None:
        self._watches = watches
        self._writing = writing
        self.changed: set[bytes] = set()
        self.modes: set[bytes] = set()
        self.gone: set[bytes] = set()
        self.leaving: dict[int, tuple[bytes, bool]] = {}
        """What was moved from its place, by the number that its rename has, and whether it is a directory."""
        self.overflowed = False
        self.lost = False

    def take(self, events: Iterable[Event]) -> None:
        paths = self._watches.paths
        for number, mask, cookie, name in events:
            if mask & (_OVERFLOW | _IGNORED | _UNMOUNT | _SELF) or not name:
                self._take_special(number, mask)
                continue
            directory = paths.get(number)
            if directory is None:
                continue  # its watch was removed, and this had been told before
            if name.startswith(".replican") and self._take_ours(directory, os.fsencode(name), mask):
                continue
            path = join(directory, os.fsencode(name))
            if mask & _ISDIR:
                self._take_directory(path, mask, cookie)
            else:
                self._take_file(path, mask, cookie)

    def _take_special(self, number: int, mask: int) -> None:
        if mask & _OVERFLOW:
            self.overflowed = True
            return
        path = self._watches.paths.get(number)
        if path is None:
            return
        if not path and mask & (_SELF | _IGNORED | _UNMOUNT):
            self.lost = True
        if mask & _IGNORED:
            del self._watches.paths[number]
        elif mask & _UNMOUNT:
            self.changed.add(path)

    def _take_ours(self, directory: bytes, name: bytes, mask: int) -> bool:
        """Something of a name that replican has a use for; whether that is all there is to it."""
        if name == DOT_DIRECTORY:
            if not directory:
                return True
            if mask & _ISDIR and mask & (_CREATE | _MOVED_TO):  # a replica of its own, from now on
                self._watches.drop(directory)
                self.changed.add(directory)
                return True
            return False
        if name in (_IGNORE, ATTRIBUTES_BYTES) and mask & (_CLOSE_WRITE | _MOVED_TO | _MOVED_FROM | _DELETE):
            if name == _IGNORE:
                self._watches.rules_changed(directory)
            self.changed.add(directory)
            return False
        return name.startswith(TEMPORARY_PREFIX)

    def _take_directory(self, path: bytes, mask: int, cookie: int) -> None:
        if mask & _ATTRIB:
            self.modes.add(path)
            return
        self.changed.add(path)
        if mask & _MOVED_FROM:
            self.gone.add(path)
            self.leaving[cookie] = (path, True)
        elif mask & _DELETE:
            self.gone.add(path)
            self._stop_writing(path)
            if self._watches.forget(path):
                self._watches.cover(path, again=True)  # another has that path by now, perhaps
        else:
            if mask & _MOVED_TO and cookie in self.leaving:
                old, _ = self.leaving.pop(cookie)
                self._move(old, path)
                self._watches.rename(old, path)
            else:
                self._watches.cover(path)
            self.gone.discard(path)

    def _take_file(self, path: bytes, mask: int, cookie: int) -> None:
        self.changed.add(path)
        if mask & (_MODIFY | _CREATE):
            self._writing.add(path)
            self.gone.discard(path)
        elif mask & _CLOSE_WRITE:
            self._writing.discard(path)
        elif mask & _MOVED_FROM:
            self.gone.add(path)
            self.leaving[cookie] = (path, False)
        elif mask & _MOVED_TO:
            self.gone.discard(path)
            self._writing.discard(path)  # what was there has been replaced
            if cookie in self.leaving:
                self._move(self.leaving.pop(cookie)[0], path)
        elif mask & _DELETE:
            self.gone.add(path)
            self._writing.discard(path)

    def _move(self, old: bytes, new: bytes) -> None:
        """One rename: nothing is gone, and who writes to it writes to it there."""
        self.gone.discard(old)
        for path in [path for path in self._writing if is_below(path, old)]:
            self._writing.discard(path)
            self._writing.add(new + path[len(old) :])
            self.changed.add(new + path[len(old) :])

    def _stop_writing(self, path: bytes) -> None:
        self._writing -= {each for each in self._writing if is_below(each, path)}

    def finish(self) -> None:
        """What left and came nowhere is out of the folder."""
        for path, is_directory in self.leaving.values():
            self._stop_writing(path)
            if is_directory:
                self._leave(path)
        self.gone = {path for path in self.gone if parent_of(path) not in self.gone}

    def _leave(self, path: bytes) -> None:
        """Another directory may be at that path again by now, and is watched under it."""
        if any(True for _ in self._watches.below(path)):
            self._watches.drop(path)
            self._watches.cover(path)
