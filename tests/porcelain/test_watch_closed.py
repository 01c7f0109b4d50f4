"""`replican watch`, and the end of whoever it tells: a terminal that is closed, a pipe that nobody reads any more."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from folders import contents, write
from terminal import PROGRAM, on_terminals
from watching import PATIENCE, descendants, eventually, holds, is_gone, large, reads, watching

BEGIN = """\
import fcntl, os, sys, termios
os.setsid()
if sys.argv[1] == "own":
    fcntl.ioctl(2, termios.TIOCSCTTY, 0)
if sys.argv[2] != "-":
    os.dup2(os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT), 1)
os.execv(sys.argv[3], sys.argv[3:])
"""


@pytest.fixture
def two(cli, tmp_path: Path) -> tuple[Path, Path]:
    """A folder and its clone."""
    write(tmp_path / "a/first", "x")
    cli("clone", "a", "b")
    return tmp_path / "a", tmp_path / "b"


class Terminal:
    """A watch on a terminal of its own: ``close`` it."""

    def __init__(self, root: Path, *, own: bool, into: str = "-") -> None:
        self._ours, theirs = os.openpty()
        self.shown = b""
        words = [sys.executable, "-c", BEGIN, "own" if own else "foreign", into, PROGRAM, "-C", str(root), "watch"]
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        self.process = subprocess.Popen(words, env=on_terminals(), **streams)
        os.close(theirs)
        os.set_blocking(self._ours, False)

    def shows(self, text: bytes) -> bool:
        try:
            self.shown += os.read(self._ours, 1 << 16)
        except BlockingIOError:
            pass
        return text in self.shown

    def close(self) -> None:
        if self._ours >= 0:
            os.close(self._ours)
            self._ours = -1


@contextmanager
def on_terminal(root: Path, *, own: bool = True, into: str = "-") -> Iterator[Terminal]:
    terminal = Terminal(root, own=own, into=into)
    try:
        yield terminal
    finally:
        terminal.close()
        terminal.process.kill()
        terminal.process.wait()


def log_of(root: Path) -> str:
    path = root / ".replican/log/watch.log"
    return path.read_text() if path.exists() else ""


def assert_whole(cli, a: Path, b: Path) -> None:
    """Nothing was lost, and it goes on."""
    assert cli("-C", a, "fsck").code == 0
    write(a / "later", "x")
    with watching(a, b):
        eventually(lambda: holds(b / "later", "x"))


@pytest.mark.parametrize("into", ["-", "/dev/null"])
def test_its_terminal_is_closed(two: tuple[Path, Path], cli, into: str) -> None:
    """Also where the output went elsewhere: it ran in the foreground."""
    a, b = two
    with on_terminal(a, into=into) as terminal:
        eventually(lambda: "info: live" in log_of(a))
        write(a / "new", "x")
        eventually(lambda: "1 added" in log_of(a))
        terminal.close()
        assert terminal.process.wait(PATIENCE) == 0
    assert "SIGHUP" in log_of(a).splitlines()[-1]
    assert "reloaded" not in log_of(a)
    assert_whole(cli, a, b)


def test_a_terminal_that_is_closed_without_a_signal(two: tuple[Path, Path], cli) -> None:
    """As it is for who has been disowned: it ends when it has something to say."""
    a, b = two
    with on_terminal(a, own=False) as terminal:
        eventually(lambda: terminal.shows(b"live after"))
        terminal.close()
        write(a / "new", "x")
        assert terminal.process.wait(PATIENCE) == 0
    assert "SIGHUP" in log_of(a).splitlines()[-1]
    assert "1 added" in log_of(a)
    assert_whole(cli, a, b)


def test_a_signal_while_the_terminal_is_there(two: tuple[Path, Path]) -> None:
    a, _ = two
    with on_terminal(a) as terminal:
        eventually(lambda: terminal.shows(b"started: "))
        terminal.process.send_signal(signal.SIGHUP)
        eventually(lambda: terminal.shows(b"config read again"))
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.process.wait(PATIENCE) == 0


def test_its_terminal_is_closed_while_a_large_file_is_read(two: tuple[Path, Path], cli) -> None:
    a, b = two
    with on_terminal(a) as terminal:
        eventually(lambda: "info: live" in log_of(a))
        large(a / "large")
        watch = terminal.process.pid
        eventually(lambda: any(reads(pid, a / "large") for pid in [watch, *descendants(watch)]))
        terminal.close()
        assert terminal.process.wait(PATIENCE) == 0
    assert " error: " not in log_of(a)
    (a / "large").unlink()
    assert_whole(cli, a, b)


@pytest.mark.parametrize("whole", [False, True])
def test_its_terminal_is_closed_while_it_merges(two: tuple[Path, Path], cli, whole: bool) -> None:
    """The signal goes to all its processes, and each of them leaves what it has in hand to the first, or in order."""
    a, b = two
    for number in range(3000):
        write(a / (f"{number % 10}/{number}" if whole else f"{number}"), f"{number}")
    cli("-C", a, "commit")
    with on_terminal(b) as terminal:
        eventually(lambda: len(os.listdir(b)) > (3 if whole else 300), "some of it")
        known = descendants(terminal.process.pid)
        terminal.close()
        assert terminal.process.wait(PATIENCE) == 0
        eventually(lambda: all(is_gone(pid) for pid in known), "the end of its workers")
    assert " error: " not in log_of(b)
    assert "SIGHUP" in log_of(b).splitlines()[-1]
    assert_whole(cli, a, b)
    assert contents(a) == contents(b)


def test_a_signal_to_all_its_processes(two: tuple[Path, Path]) -> None:
    """As by who reloads a service with all that belongs to it: what it means, the first of them says."""
    a, b = two
    with on_terminal(b) as terminal:
        eventually(lambda: terminal.shows(b"in step"))
        couriers = descendants(terminal.process.pid)
        for pid in couriers:
            os.kill(pid, signal.SIGHUP)
        write(a / "new", "x")
        eventually(lambda: holds(b / "new", "x"))
        assert not any(is_gone(pid) for pid in couriers)
        os.killpg(terminal.process.pid, signal.SIGHUP)
        eventually(lambda: terminal.shows(b"config read again"))
        eventually(lambda: all(is_gone(pid) for pid in couriers) and log_of(b).count("found at ") == 2)
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.process.wait(PATIENCE) == 0
    assert " error: " not in log_of(b)


@pytest.mark.parametrize("options", [["--json"], []])
def test_nobody_reads_any_more(two: tuple[Path, Path], cli, options: list[str]) -> None:
    """As any program at the head of a pipe: it is silent, and ends as a shell shows a closed pipe."""
    a, b = two
    words = [PROGRAM, "-C", str(a), "watch", *options]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        assert process.stdout.readline()
        process.stdout.close()
        eventually(lambda: (a / ".replican/watch").exists())
        write(a / "new", "x")
        assert process.wait(PATIENCE) == 141
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert "SIGPIPE" in log_of(a).splitlines()[-1]
    assert_whole(cli, a, b)
