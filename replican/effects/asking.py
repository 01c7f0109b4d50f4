"""Asking the process that watches a folder, through its socket in ``.replican``.

Only the owner can enter there, and the socket is the owner's alone. A question is one line, an answer ends with the
connection. :mod:`replican.effects.answering` is the other side.

A socket keeps its disk from being unmounted. So who stands aside answers under a name that is on no disk, as Linux has
them; that has no permissions, but the system tells either side whose the other is.
"""

import _socket  # what `socket` adds to it would take longer to load than all else that `ask` needs
import os
import stat
import sys
from typing import Final

from replican.values.answers import ANSWER_LIMIT, RELOAD

NAME: Final = "watch"
LOCK: Final = "watch.lock"
ASK_SECONDS: Final = 2.0
DIRECTORY_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
HAS_NAMES: Final = sys.platform == "linux"
_ROOM: Final = 100
"""What a path may have in bytes to be a socket's, on every system."""


def say_config_changed(dotdir: str) -> None:
    """Have the process that watches this folder, if there is one, read the config again."""
    ask(dotdir, RELOAD)


def ask(dotdir: str, question: bytes, seconds: float = ASK_SECONDS) -> bytes | None:
    """The answer of the process that watches this folder; None where there is none, or it does not answer in time.

    It is not known to be whole, nor to be true.
    """
    connection = _connected(dotdir, seconds) or connected_aside(dotdir, seconds)
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
        fd = os.open(dotdir, DIRECTORY_FLAGS)
    except OSError:
        return None
    try:
        found = os.lstat(NAME, dir_fd=fd)
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            return None
        return _connect(address_of(dotdir, fd), seconds)
    except OSError:
        return None
    finally:
        os.close(fd)


def connected_aside(dotdir: str, seconds: float) -> _socket.socket | None:
    """A connection to who watches the folder and stands aside."""
    return _connect(aside_of(dotdir), seconds) if HAS_NAMES else None


def _connect(address: str, seconds: float) -> _socket.socket | None:
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.settimeout(seconds)
        connection.connect(address)
        if is_ours(connection):
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


def aside_of(dotdir: str) -> str:
    """The name, on no disk, of the socket of who watches a folder and stands aside."""
    from replican.values.ids import blob_id  # seldom asked for, and it takes longer to load than all else here

    return f"\0replican-watch-{os.geteuid()}-{blob_id(os.fsencode(dotdir)).hex()[:32]}"


def address_of(dotdir: str, fd: int) -> str:
    """The name of the socket, short enough to be one: where the folder's path is long, by a descriptor."""
    plain = f"{dotdir}/{NAME}"
    if len(os.fsencode(plain)) <= _ROOM:
        return plain
    if os.path.exists("/proc/self/fd"):
        return f"/proc/self/fd/{fd}/{NAME}"
    raise OSError(0, "the path of the folder is too long")


def is_ours(connection: _socket.socket) -> bool:
    """Whether the other side is this user's, as far as the system tells."""
    if not hasattr(_socket, "SO_PEERCRED"):
        return True  # the directory lets nobody else in
    credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[4:8], sys.byteorder) == os.geteuid()
