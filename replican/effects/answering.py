"""Answering who asks through the socket of a watched folder: see :mod:`replican.effects.asking`.

The side that answers never waits for one that asks: it is driven by whoever waits for its descriptors, and drops what
is too slow, too long, or too much at once.
"""

import os
import stat
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

from replican.effects.asking import (
    ASK_SECONDS,
    DIRECTORY_FLAGS,
    HAS_NAMES,
    LOCK,
    NAME,
    address_of,
    aside_of,
    connected_aside,
    is_ours,
)
from replican.effects.lock import Lock, holder, show
from replican.values.errors import LockedError, UnsupportedError

if TYPE_CHECKING:
    import socket

MOST_CLIENTS: Final = 16
QUESTION_LIMIT: Final = 64
"""No question is longer, in bytes with its line end."""
IDLE_SECONDS: Final = 5.0

Answer = Callable[[bytes], bytes | None]
"""What a question (without its line end) is answered with; None for one that is not known."""


class _Client:
    def __init__(self, connection: "socket.socket", since: float) -> None:
        self.connection = connection
        self.since = since
        self.heard = b""
        self.unsent: memoryview | None = None


class Listener:
    """The side that answers. There is one for a folder, for as long as this object has not been closed.

    Raises ``LockedError`` where another process has it, ``UnsupportedError`` where there can be no socket.
    """

    def __init__(self, dotdir: str, command: str = "watch") -> None:
        self._dotdir = dotdir
        self._command = command
        self._clients: dict[int, _Client] = {}
        self._enter()

    def _enter(self) -> None:
        """Be the one who answers, in the folder."""
        self._lock = _take_lock(self._dotdir, self._command)
        try:
            self._socket = self._bind()
        except BaseException:
            self._lock.release()
            raise

    def _bind(self) -> "socket.socket":
        import socket

        # Who has the lock is the only one: a socket that is there is that of a process which was killed.
        fd = os.open(self._dotdir, DIRECTORY_FLAGS)
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            _remove_socket(fd)
            _listen(bound, address_of(self._dotdir, fd))
        except OSError as error:
            bound.close()
            reason = (error.strerror or str(error)).lower()
            raise UnsupportedError(f"no socket can be made in {self._dotdir}: {reason}") from error
        finally:
            os.umask(mask)
            os.close(fd)
        return bound

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop answering; whoever waits for an answer learns that there will be none."""
        for fd in list(self._clients):
            self._drop(fd)
        self._leave()
        self._socket.close()

    def _leave(self) -> None:
        if self._lock.held:
            try:
                os.unlink(f"{self._dotdir}/{NAME}")
            except OSError:
                pass  # the folder is gone, perhaps
            self._lock.release()

    def stand_aside(self) -> None:
        """Hold nothing in the folder from now on, and be asked all the same. Where the system has no name for that, the
        socket and the lock stay."""
        import socket

        if not self._lock.held or not HAS_NAMES:
            return
        aside = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _listen(aside, aside_of(self._dotdir))
        except OSError:  # somebody else has the name
            aside.close()
            return
        self._leave()
        self._socket.close()
        self._socket = aside

    def come_back(self) -> None:
        """Be in the folder again; raises what the beginning does, and has ended then."""
        if self._lock.held:
            return
        self._socket.close()
        self._enter()

    @property
    def sources(self) -> list[int]:
        """The descriptors to wait for until something can be read."""
        return [self._socket.fileno(), *(fd for fd, client in self._clients.items() if client.unsent is None)]

    @property
    def sinks(self) -> list[int]:
        """The descriptors to wait for until something can be written."""
        return [fd for fd, client in self._clients.items() if client.unsent is not None]

    def turn(self, ready: Collection[int], answer: Answer, now: float) -> None:
        """Do what can be done at once with those of the descriptors that are ``ready``; ``now`` is in s of a clock
        that does not go back."""
        for fd, client in list(self._clients.items()):
            if fd in ready:
                try:
                    self._serve(fd, client, answer)
                except OSError:
                    self._drop(fd)
            elif now - client.since > IDLE_SECONDS:
                self._drop(fd)
        if self._socket.fileno() in ready:
            self._accept(now)

    def _accept(self, now: float) -> None:
        try:
            connection, _ = self._socket.accept()
        except OSError:
            return
        connection.setblocking(False)
        if len(self._clients) >= MOST_CLIENTS or not is_ours(connection):
            connection.close()
            return
        self._clients[connection.fileno()] = _Client(connection, now)

    def _serve(self, fd: int, client: _Client, answer: Answer) -> None:
        if client.unsent is None:
            heard = client.connection.recv(QUESTION_LIMIT)
            client.heard += heard
            question, end, _ = client.heard.partition(b"\n")
            if not end:
                if not heard or len(client.heard) >= QUESTION_LIMIT:
                    self._drop(fd)
                return
            answered = answer(question)
            if answered is None:
                self._drop(fd)
                return
            client.unsent = memoryview(answered)
        try:
            client.unsent = client.unsent[client.connection.send(client.unsent) :]
        except BlockingIOError:
            return
        if not client.unsent:
            self._drop(fd)

    def _drop(self, fd: int) -> None:
        self._clients.pop(fd).connection.close()


class Mute:
    """In the place of a :class:`Listener` where there can be no socket: it is the only one, and nobody can ask it."""

    def __init__(self, dotdir: str, command: str = "watch") -> None:
        self._lock = _take_lock(dotdir, command)
        self.sources: list[int] = []
        self.sinks: list[int] = []

    def __enter__(self) -> "Mute":
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def turn(self, ready: Collection[int], answer: Answer, now: float) -> None:
        pass

    def stand_aside(self) -> None:
        pass  # it has to be asked to

    come_back = stand_aside


def _listen(listening: "socket.socket", address: str) -> None:
    listening.bind(address)
    listening.listen(MOST_CLIENTS)
    listening.setblocking(False)


def _take_lock(dotdir: str, command: str) -> Lock:
    lock = Lock(dotdir, command, LOCK)
    try:
        lock.acquire()
    except LockedError as error:
        who = show(holder(dotdir, LOCK))
        raise LockedError(f"this folder is watched already, by {who}", "one watch is enough") from error
    aside = connected_aside(dotdir, ASK_SECONDS)
    if aside is not None:
        aside.close()
        lock.release()
        raise LockedError("this folder is watched already, and that is paused", "replican watch --resume")
    return lock


def _remove_socket(fd: int) -> None:
    try:
        found = os.lstat(NAME, dir_fd=fd)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise FileExistsError(0, f"something else is called {NAME} there")
    os.unlink(NAME, dir_fd=fd)
