"""The socket of a tracker: who is answered, who is not, and that nobody can hold it up."""

import os
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from time import monotonic

import pytest

from replican.effects.answering import IDLE_SECONDS, MOST_CLIENTS, QUESTION_LIMIT, Listener
from replican.effects.asking import LOCK, NAME, ask
from replican.values.errors import LockedError, UnsupportedError


@pytest.fixture
def dotdir(tmp_path: Path) -> str:
    made = tmp_path / ".replican"
    made.mkdir(mode=0o700)
    return str(made)


def answer(question: bytes) -> bytes | None:
    return {b"short": b"answer", b"long": b"x" * 3_000_000, b"nothing": b""}.get(question)


def turn(listener: Listener, now: float = 0.0) -> None:
    readable, writable, _ = select(listener.sources, listener.sinks, [], 0.01)
    listener.turn([*readable, *writable], answer, now)


@contextmanager
def answering(listener: Listener) -> Iterator[None]:
    """Let it answer, beside what the test does."""
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            turn(listener)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_questions_are_answered(dotdir: str) -> None:
    with Listener(dotdir) as listener, answering(listener):
        assert ask(dotdir, b"short") == b"answer"
        assert ask(dotdir, b"long") == b"x" * 3_000_000
        assert ask(dotdir, b"nothing") == b""
        assert ask(dotdir, b"unknown") == b""
        assert ask(dotdir, b"short") == b"answer"
        assert len(listener.sources) == 1
    assert os.listdir(dotdir) == [LOCK]
    assert ask(dotdir, b"short") is None


def test_nobody_is_there(dotdir: str, tmp_path: Path) -> None:
    assert ask(dotdir, b"short") is None
    assert ask(str(tmp_path / "nowhere"), b"short") is None


def test_only_its_owner_can_use_it(dotdir: str) -> None:
    mask = os.umask(0)
    try:
        with Listener(dotdir):
            found = os.lstat(f"{dotdir}/{NAME}")
            assert stat.S_ISSOCK(found.st_mode)
            assert stat.S_IMODE(found.st_mode) == 0o600
    finally:
        assert os.umask(mask) == 0, "the mask is as it was"


def test_a_socket_that_others_could_have_made_is_not_asked(dotdir: str) -> None:
    with Listener(dotdir) as listener, answering(listener):
        os.chmod(f"{dotdir}/{NAME}", 0o666)
        assert ask(dotdir, b"short") is None


@pytest.mark.parametrize("what", ["file", "link", "directory"])
def test_something_else_of_that_name(dotdir: str, what: str, tmp_path: Path) -> None:
    place = Path(dotdir, NAME)
    if what == "file":
        place.write_text("mine")
    elif what == "link":
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.mkdir()
    assert ask(dotdir, b"short") is None
    with pytest.raises(UnsupportedError, match="something else is called watch there"):
        Listener(dotdir)
    assert os.path.lexists(place)
    place.rmdir() if what == "directory" else place.unlink()
    Listener(dotdir).close()


def test_one_is_enough(dotdir: str) -> None:
    with Listener(dotdir), pytest.raises(LockedError, match=f"watched already, by process {os.getpid()} "):
        Listener(dotdir)
    Listener(dotdir).close()


def test_what_a_killed_process_left_is_replaced(dotdir: str) -> None:
    pid = os.fork()
    if pid == 0:
        Listener(dotdir)
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.path.lexists(f"{dotdir}/{NAME}")
    assert ask(dotdir, b"short") is None
    with Listener(dotdir) as listener, answering(listener):
        assert ask(dotdir, b"short") == b"answer"


def test_a_folder_with_a_long_path(tmp_path: Path) -> None:
    place = tmp_path.joinpath(*["long" * 20] * 4, ".replican")
    place.mkdir(parents=True)
    with Listener(str(place)) as listener, answering(listener):
        assert ask(str(place), b"short") == b"answer"


# -- who misbehaves ---------------------------------------------------------------------------------------------------


def connect(dotdir: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(5)
    connection.connect(f"{dotdir}/{NAME}")
    return connection


def is_dropped(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def send(text: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(text)


@pytest.mark.parametrize("text", [b"?\n", b"\n", b"x" * QUESTION_LIMIT, b"x" * 5000, b"\0\xff\n"])
def test_what_is_no_question_ends_the_connection(dotdir: str, text: bytes) -> None:
    with Listener(dotdir) as listener, connect(dotdir) as connection:
        connection.sendall(text)
        for _ in range(4):
            turn(listener)
        assert is_dropped(connection)
        assert len(listener.sources) == 1


def test_a_question_may_come_in_pieces(dotdir: str) -> None:
    with Listener(dotdir) as listener, connect(dotdir) as connection:
        for piece in (b"sh", b"or", b"t\n"):
            connection.sendall(piece)
            turn(listener)
            turn(listener)
        assert connection.recv(100) == b"answer"


def test_who_says_nothing_is_dropped_after_a_while(dotdir: str) -> None:
    with Listener(dotdir) as listener, connect(dotdir) as connection:
        turn(listener, 100)
        turn(listener, 100 + IDLE_SECONDS)
        assert len(listener.sources) == 2
        turn(listener, 101 + IDLE_SECONDS)
        assert is_dropped(connection)


def test_who_does_not_read_holds_up_nobody(dotdir: str) -> None:
    with Listener(dotdir) as listener, connect(dotdir) as slow:
        slow.sendall(b"long\n")
        for _ in range(3):
            turn(listener)
        assert len(listener.sinks) == 1
        with answering(listener):
            assert ask(dotdir, b"short") == b"answer"


def test_who_goes_away_is_forgotten(dotdir: str) -> None:
    with Listener(dotdir) as listener:
        with connect(dotdir) as connection:
            connection.sendall(b"long\n")
            for _ in range(3):
                turn(listener)
        for _ in range(3):
            turn(listener)
        assert (len(listener.sources), listener.sinks) == (1, [])


def test_no_more_than_so_many_at_once(dotdir: str) -> None:
    with Listener(dotdir) as listener:
        connections = []
        for _ in range(MOST_CLIENTS + 3):
            connections.append(connect(dotdir))
            turn(listener)
        assert len(listener.sources) == 1 + MOST_CLIENTS
        assert all(is_dropped(connection) for connection in connections[MOST_CLIENTS:])
        for connection in connections:
            connection.close()


def test_who_does_not_answer_in_time(dotdir: str) -> None:
    with Listener(dotdir):
        began = monotonic()
        assert ask(dotdir, b"short", seconds=0.1) is None
        assert monotonic() - began < 5


@pytest.mark.skipif(sys.platform != "linux", reason="there is no name for it")
def test_who_stands_aside_holds_nothing_and_is_asked_all_the_same(dotdir: str) -> None:
    with Listener(dotdir) as listener:
        listener.stand_aside()
        assert os.listdir(dotdir) == [LOCK]
        held = {os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if is_open(int(fd))}
        assert not any(each.startswith(dotdir) for each in held)
        with answering(listener):
            assert ask(dotdir, b"short") == b"answer"
            assert ask(f"{dotdir}/../other", b"short") is None
            with pytest.raises(LockedError, match="paused"):
                Listener(dotdir)
        listener.come_back()
        with answering(listener):
            assert ask(dotdir, b"short") == b"answer"
        with pytest.raises(LockedError, match="by"):
            Listener(dotdir)
        listener.stand_aside()
    assert ask(dotdir, b"short") is None
    with Listener(dotdir) as again, answering(again):
        assert ask(dotdir, b"short") == b"answer"


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
