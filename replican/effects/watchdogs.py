"""The watcher where there is no inotify: by the package `watchdog`, if that is installed (``replican[watchdog]``).

Its threads hear of changes, and leave paths here. Since they may be behind, who asks makes a file of a name of its own
in ``.replican`` first: once that has been told, so has everything before it.
"""

import os
import threading
from typing import Final

from watchdog import events
from watchdog.observers import Observer

from replican.effects.notices import Notices, Tracked, writers
from replican.effects.worktree import TEMPORARY_PREFIX
from replican.values.errors import NoRepositoryError
from replican.values.names import DOT_DIRECTORY
from replican.values.paths import ancestors_of, join, parent_of

COOKIE_SECONDS: Final = 2.0
_COOKIE: Final = b"cookie-"
_ATTRIBUTES: Final = tuple(
    kind for name in ("FileAttribEvent", "DirAttribEvent") if (kind := getattr(events, name, None)) is not None
)
_HEARD: Final[list[type[events.FileSystemEvent]]] = [
    events.FileCreatedEvent,
    events.FileModifiedEvent,
    events.FileClosedEvent,
    events.FileDeletedEvent,
    events.FileMovedEvent,
    events.DirCreatedEvent,
    events.DirDeletedEvent,
    events.DirMovedEvent,
    *_ATTRIBUTES,
]
"""A directory is told to be modified with each name in it, and files to be opened: nobody wants to hear of that."""

LATE: Final = "the system did not tell in time what has changed: the whole folder is looked at"


class WatchdogWatcher(events.FileSystemEventHandler):
    """A :class:`~replican.effects.notices.Watcher`. Everything is told of, ignored or not. Raises ``OSError``."""

    def __init__(self, root: str, tracked: Tracked) -> None:
        self._root = os.fsencode(root)
        self._dotdir = join(self._root, DOT_DIRECTORY)
        self._guard = threading.Lock()
        self._changed: set[bytes] = set()
        self._modes: set[bytes] = set()
        self._gone: set[bytes] = set()
        self._late = False
        self._cookies = 0
        self._cookie = b""
        self._met = threading.Event()
        self.unwatched: set[bytes] = set()
        self.lost = False
        self._readable, self._writable = os.pipe()
        os.set_blocking(self._readable, False)
        os.set_blocking(self._writable, False)
        self._observer = Observer()
        self._observer.schedule(self, root, recursive=True, event_filter=_HEARD)
        try:
            self._observer.start()
        except BaseException:
            os.close(self._readable)
            os.close(self._writable)
            raise

    def __enter__(self) -> "WatchdogWatcher":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        return self._readable

    def close(self) -> None:
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()
            os.close(self._readable)
            os.close(self._writable)

    def extend(self, path: bytes = b"") -> None:
        """There is nothing to do: all of the folder is watched."""

    # -- in the threads of the observer ---------------------------------------------------------------------------

    def on_any_event(self, event: events.FileSystemEvent) -> None:
        old = self._below(event.src_path)
        new = self._below(event.dest_path) if event.dest_path else None
        with self._guard:
            if old == join(DOT_DIRECTORY, self._cookie) and self._cookie:
                self._met.set()
                return
            if old == b"" and isinstance(event, (events.DirDeletedEvent, events.DirMovedEvent)):
                self.lost = True
            self._note(event, old, new)
        try:
            os.write(self._writable, b"1")
        except OSError:
            pass  # whoever waits has been woken already

    def _below(self, told: "bytes | str") -> bytes | None:
        """The path below the root; None for what is outside it."""
        path = os.fsencode(told)
        if path == self._root:
            return b""
        return path[len(self._root) + 1 :] if path.startswith(self._root + b"/") else None

    def _note(self, event: events.FileSystemEvent, old: bytes | None, new: bytes | None) -> None:
        if old and _is_users(old):
            if isinstance(event, _ATTRIBUTES) and event.is_directory:
                self._modes.add(old)
            else:
                self._changed.add(old)
                self._gone.discard(old)
                if isinstance(event, (events.FileDeletedEvent, events.DirDeletedEvent)) or (
                    event.dest_path and not new
                ):
                    self._gone.add(old)
        if new and _is_users(new):
            self._changed.add(new)
            self._gone.discard(new)

    # -- for who asks ---------------------------------------------------------------------------------------------

    def drain(self) -> Notices:
        notes = []
        everything = not self._catch_up()
        if everything and not self._late:
            notes.append(LATE)
        self._late = everything
        try:
            while os.read(self._readable, 1 << 12):
                pass
        except OSError:
            pass  # nothing more in it
        with self._guard:
            changed, self._changed = self._changed, set()
            modes, self._modes = self._modes, set()
            gone, self._gone = self._gone, set()
        nested: dict[bytes, bool] = {}
        changed = {path for path in changed if not self._is_nested(path, nested)}
        try:
            writing = {path for path, written in writers(os.fsdecode(self._root), changed).items() if written}
        except NoRepositoryError:
            self.lost, writing = True, set()
        gone = {path for path in gone & changed if parent_of(path) not in gone}
        return Notices(changed - writing, writing, modes - changed, gone, everything, notes)

    def _is_nested(self, path: bytes, known: dict[bytes, bool]) -> bool:
        """Whether a path lies in a replica within this folder."""
        for above in ancestors_of(path)[:-1]:
            if above not in known:
                known[above] = os.path.isdir(join(join(self._root, above), DOT_DIRECTORY))
            if known[above]:
                return True
        return False

    def _catch_up(self) -> bool:
        """Wait until all that happened before this call has been told; whether it has in time."""
        with self._guard:
            self._cookies += 1
            self._cookie = b"%s%d-%d" % (_COOKIE, os.getpid(), self._cookies)
            self._met.clear()
        path = join(self._dotdir, self._cookie)
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        except OSError:
            self.lost = self.lost or not os.path.isdir(self._dotdir)
            return False
        try:
            return self._met.wait(COOKIE_SECONDS)
        finally:
            os.unlink(path)


def _is_users(path: bytes) -> bool:
    parts = path.split(b"/")
    return DOT_DIRECTORY not in parts and not any(part.startswith(TEMPORARY_PREFIX) for part in parts)
