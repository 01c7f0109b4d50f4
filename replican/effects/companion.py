"""A process that works beside this one for a long time, and the messages between the two.

It is forked, and shares nothing: what either says is pickled, whole, on a pair of sockets that keep messages apart.
When this process ends, however it ends, the other reads the end of its socket; when the other dies, this one does.
"""

import os
import pickle
import select
import signal
import socket
import time
import traceback
from collections.abc import Callable
from typing import Final, NamedTuple

from replican.effects.forking import fork
from replican.effects.linux import end_with
from replican.values.errors import WorkerError

_TOLD: Final = 20_000
_MOST_OPEN: Final = 1 << 16
_LONGEST: Final = 1 << 17  # bytes of a message: below what a socket takes at once


class Fallen(NamedTuple):
    """The last words of a process whose work raised what nobody expected."""

    message: str
    traceback: str


class Post:
    """One end of a pair of sockets. Can be waited for by ``select``."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self.ended = False
        """Whether the other process is gone: there is nothing more to read."""

    def fileno(self) -> int:
        return self._end.fileno()

    def send(self, message: object) -> None:
        """Say something; nothing happens where the other process is gone. Waits where it does not listen, up to a
        minute: then ``WorkerError`` is raised."""
        payload = pickle.dumps(message, protocol=5)
        if len(payload) > _LONGEST:
            raise ValueError(f"a message of {len(payload)} bytes")
        end = time.monotonic() + 60
        while not self.ended:
            try:
                self._end.send(payload)
                return
            except BlockingIOError:
                if time.monotonic() > end:
                    raise WorkerError("a worker process does not listen", "stop it, and begin again") from None
                select.select([], [self._end], [], 1)
            except OSError:  # what it said last may still be read
                return

    def receive(self) -> list[object]:
        """All that has been said since; never waits."""
        messages: list[object] = []
        while not self.ended:
            try:
                payload = self._end.recv(_LONGEST)
            except BlockingIOError:
                break
            except OSError:
                payload = b""
            if not payload:
                self.ended = True
                break
            messages.append(pickle.loads(payload))
        return messages

    def close(self) -> None:
        self._end.close()


class Companion(Post):
    """The other process, as seen from the one that began it."""

    def __init__(self, work: Callable[[Post], None]) -> None:
        """Begin ``work`` in a process of its own. It must use nothing that is open here; when it returns or raises,
        the process ends."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        self.pid = fork()
        if self.pid == 0:
            try:
                _settle_in(theirs.fileno(), parent)
                _work(work, Post(theirs))
            finally:
                os._exit(1)
        theirs.close()
        super().__init__(ours)

    def interrupt(self) -> None:
        """Ask it to end as by Ctrl-C: it leaves what it has in hand in order."""
        if self.pid:
            os.kill(self.pid, signal.SIGINT)

    def wait(self, seconds: float) -> bool:
        """Wait for its end, up to so many seconds; whether it has ended."""
        end = time.monotonic() + seconds
        while self.pid:
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                self.pid = 0
                break
            if time.monotonic() >= end:
                return False
            time.sleep(0.005)
        return True

    def kill(self) -> None:
        """End it at once, and close the socket. What it was doing is cleared up by whoever comes next."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0
        self.close()


def _work(work: Callable[[Post], None], post: Post) -> None:
    try:
        work(post)
    except KeyboardInterrupt:
        pass
    except Exception as error:
        post.send(Fallen(f"{type(error).__name__}: {error}", traceback.format_exc()[-_TOLD:]))
        os._exit(1)
    os._exit(0)


def _settle_in(keep: int, parent: int) -> None:
    """Let go of what the other process has open: an end of a socket that stays open here would never be seen to
    close."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    end_with(parent, signal.SIGINT)  # who is at something does not see the end of a socket
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # A terminal that is closed tells all its processes. It is for the other one to say what that means: a handler that
    # does nothing is, unlike none, not handed on to programs that are run from here.
    signal.signal(signal.SIGHUP, lambda *_: None)
    os.closerange(3, keep)
    os.closerange(keep + 1, _MOST_OPEN)
