"""The repository's locks: one writer at a time, one watch at a time. Readers take none.

Each is a ``flock`` on a file in `.replican`, so it ends with its owner, however that ended. The file's content says
who has it, for others to read; it binds nobody.
"""

import fcntl
import os
import time
from typing import Final, NamedTuple

from replican.effects import durable
from replican.values.errors import LockedError, NoRepositoryError

WRITING: Final = "lock"
"""Who holds this one may write."""
_POLL_SECONDS = 0.02
_INFO_LIMIT = 4096

_held: set[int] = set()


def _forget_in_child() -> None:
    """A forked worker must not keep its dead parent's lock alive."""
    for fd in _held:
        os.close(fd)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)


class Holder(NamedTuple):
    """Who has a lock, by their own account. ``since`` is in s since 1970."""

    pid: int
    host: str
    command: str
    since: float


class Lock:
    """The lock of the repository whose `.replican` is ``dotdir``. A context manager that releases it."""

    def __init__(self, dotdir: str, command: str = "", name: str = WRITING) -> None:
        """``command`` is what others are told that the holder is doing."""
        self.path = f"{dotdir}/{name}"
        self._command = command
        self._fd = -1

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._fd >= 0

    def acquire(self, wait_seconds: float = 0) -> "Lock":
        """Take the lock, waiting for it as long as asked; raises ``LockedError``, which names the holder.

        Not reentrant. Raises ``FolderError`` where the lock cannot be taken at all (a read-only disk).
        """
        if self._fd >= 0:
            raise LockedError("locked by this very process", "this is a bug: an operation was begun within another")
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except FileNotFoundError as error:
            raise NoRepositoryError(f"no replica at {os.path.dirname(self.path)}") from error
        except OSError as error:
            raise durable.explain(error, f"lock {os.path.dirname(self.path)}") from error
        try:
            self._wait(fd, wait_seconds)
            self._sign(fd)
        except BaseException:
            os.close(fd)
            raise
        _held.add(fd)
        self._fd = fd
        return self

    def _wait(self, fd: int, wait_seconds: float) -> None:
        end = time.monotonic() + max(wait_seconds, _POLL_SECONDS)  # who asks for the holder has it for a moment
        while True:
            try:
                return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                left = end - time.monotonic()
                if left <= 0:
                    hint = "try again when that is done, or give --wait more seconds"
                    raise LockedError(f"locked by {show(_read(fd))}", hint) from None
            except OSError as error:
                raise durable.explain(error, f"lock {os.path.dirname(self.path)}") from error
            time.sleep(min(_POLL_SECONDS, left))

    def _sign(self, fd: int) -> None:
        fields = (
            f'"pid": {os.getpid()}',
            f'"host": "{_plain(os.uname().nodename)}"',
            f'"command": "{_plain(self._command)}"',
            f'"since": {time.time():.3f}',
        )
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, ("{" + ", ".join(fields) + "}\n").encode(), 0)
        except OSError:
            pass  # on a full disk we are locked all the same, and only nameless

    def release(self) -> None:
        """Give the lock back; nothing happens if it is not held."""
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        _held.discard(fd)
        try:
            os.ftruncate(fd, 0)
        except OSError:
            pass
        os.close(fd)

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def holder(dotdir: str, name: str = WRITING) -> Holder | None:
    """Who holds the lock now; None where it is free. (It is taken for a moment to find out.)"""
    try:
        fd = os.open(f"{dotdir}/{name}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except OSError:
        return _read(fd) or Holder(0, "", "", 0.0)
    finally:
        os.close(fd)


def _read(fd: int) -> Holder | None:
    import json

    try:
        info = json.loads(os.pread(fd, _INFO_LIMIT, 0))
        return Holder(int(info["pid"]), str(info["host"]), str(info["command"]), float(info["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # it was taken this very moment, or nobody could sign


def show(who: Holder | None) -> str:
    """Who that is, for messages."""
    if who is None or not who.pid:
        return "another process"
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(who.since))
    command = f" ({who.command})" if who.command else ""
    host = "" if who.host == _plain(os.uname().nodename) else f" on {who.host}"
    return f"process {who.pid}{command}{host} since {since}"


def _plain(text: str) -> str:
    """``text`` as it may stand in a JSON string and on a terminal; ``json`` is too slow to import for this."""
    return "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "?" for c in text[:200])
