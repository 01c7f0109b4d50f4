"""The socket of a running tracker: where other commands ask it what the folder holds.

It lies in ``.replican``, which nobody but the owner can enter, and is its owner's alone. A question is one line, an
answer ends with the connection. The side that answers never waits for one that asks: it is driven by whoever waits for
its descriptors, and drops what is too slow, too long, or too much at once.

A socket keeps its disk from being unmounted. So who stands aside answers under a name that is on no disk, as Linux has
them; that has no permissions, but the system tells either side whose the other is.
"""

import _socket  # what `socket` adds to it would take longer to load than all else that `ask` needs
import os
import stat
import sys
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

from replican.effects.lock import Lock, holder, show
from replican.values.answers import ANSWER_LIMIT, RELOAD
from replican.values.errors import LockedError, UnsupportedError
from replican.values.ids import blob_id

if TYPE_CHECKING:
    import socket

NAME: Final = "watch"
LOCK: Final = "watch.lock"
MOST_CLIENTS: Final = 16
QUESTION_LIMIT: Final = 64
"""No question is longer, in bytes with its line end."""
IDLE_SECONDS: Final = 5.0
ASK_SECONDS: Final = 2.0
_DIRECTORY_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HAS_NAMES: Final = sys.platform == "linux"
_ROOM: Final = 100
"""What a path may have in bytes to be a socket's, on every system."""

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
        self._lock = _take_lock(dotdir, command)
        try:
            self._socket = self._bind()
        except BaseException:
            self._lock.release()
            raise

    def _bind(self) -> "socket.socket":
        import socket

        # Who has the lock is the only one: a socket that is there is that of a process which was killed.
        fd = os.open(self._dotdir, _DIRECTORY_FLAGS)
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            _remove_socket(fd)
            bound.bind(_address(self._dotdir, fd))
            bound.listen(MOST_CLIENTS)
            bound.setblocking(False)
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

        if not self._lock.held or not _HAS_NAMES:
            return
        aside = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            aside.bind(_aside(self._dotdir))
            aside.listen(MOST_CLIENTS)
            aside.setblocking(False)
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
        self._lock = _take_lock(self._dotdir, self._command)
        try:
            self._socket = self._bind()
        except BaseException:
            self._lock.release()
            raise

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
        if len(self._clients) >= MOST_CLIENTS or not _is_ours(connection):
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


def _take_lock(dotdir: str, command: str) -> Lock:
    lock = Lock(dotdir, command, LOCK)
    try:
        lock.acquire()
    except LockedError as error:
        who = show(holder(dotdir, LOCK))
        raise LockedError(f"this folder is watched already, by {who}", "one watch is enough") from error
    aside = _connected_aside(dotdir, ASK_SECONDS)
    if aside is not None:
        aside.close()
        lock.release()
        raise LockedError("this folder is watched already, and that is paused", "replican watch --resume")
    return lock


def say_config_changed(dotdir: str) -> None:
    """Have the process that watches this folder, if there is one, read the config again."""
    ask(dotdir, RELOAD)


def ask(dotdir: str, question: bytes, seconds: float = ASK_SECONDS) -> bytes | None:
    """The answer of the process that watches this folder; None where there is none, or it does not answer in time.

    It is not known to be whole, nor to be true.
    """
    connection = _connected(dotdir, seconds) or _connected_aside(dotdir, seconds)
    if connection is None:
        return None
    try:
        connection.sendall(question + b"\n")
        return _read_all(connection, seconds)
    except OSError:
        return None
    finally:
        connection.close()


def _connected(dotdir: str, seconds: float) -> _socket.socket | None:
    """A connection to who watches the folder; None where there is nobody."""
    try:
        fd = os.open(dotdir, _DIRECTORY_FLAGS)
    except OSError:
        return None
    try:
        found = os.lstat(NAME, dir_fd=fd)
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            return None
        return _connect(_address(dotdir, fd), seconds)
    except OSError:
        return None
    finally:
        os.close(fd)


def _connected_aside(dotdir: str, seconds: float) -> _socket.socket | None:
    """A connection to who watches the folder and stands aside."""
    return _connect(_aside(dotdir), seconds) if _HAS_NAMES else None


def _connect(address: str, seconds: float) -> _socket.socket | None:
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.settimeout(seconds)
        connection.connect(address)
        if _is_ours(connection):
            return connection
    except OSError:
        pass
    connection.close()
    return None


def _read_all(connection: _socket.socket, seconds: float) -> bytes | None:
    from time import monotonic

    end = monotonic() + seconds
    pieces: list[bytes] = []
    size = 0
    while size <= ANSWER_LIMIT:
        left = end - monotonic()
        if left <= 0:
            return None
        connection.settimeout(left)
        piece = connection.recv(1 << 16)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
    return None


def _aside(dotdir: str) -> str:
    return f"\0replican-watch-{os.geteuid()}-{blob_id(os.fsencode(dotdir)).hex()[:32]}"


def _address(dotdir: str, fd: int) -> str:
    """The name of the socket, short enough to be one: where the folder's path is long, by a descriptor."""
    plain = f"{dotdir}/{NAME}"
    if len(os.fsencode(plain)) <= _ROOM:
        return plain
    if os.path.exists("/proc/self/fd"):
        return f"/proc/self/fd/{fd}/{NAME}"
    raise OSError(0, "the path of the folder is too long")


def _remove_socket(fd: int) -> None:
    try:
        found = os.lstat(NAME, dir_fd=fd)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise FileExistsError(0, f"something else is called {NAME} there")
    os.unlink(NAME, dir_fd=fd)


def _is_ours(connection: _socket.socket) -> bool:
    """Whether the other side is this user's, as far as the system tells."""
    if not hasattr(_socket, "SO_PEERCRED"):
        return True  # the directory lets nobody else in
    credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[4:8], sys.byteorder) == os.geteuid()
