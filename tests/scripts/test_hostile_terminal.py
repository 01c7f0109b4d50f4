"""What somebody sees on a terminal while a remote with evil names is merged, watched, cloned and reached by a link."""

import fcntl
import os
import re
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest
from false_ssh import false_ssh
from folders import write
from replicas import OLD, Replicas
from terminal import PROGRAM, on_a_terminal, on_terminals
from watching import PATIENCE

EVIL = "\x1b]0;owned\x07\x1b[2J\r\x08\u202egnp.exe\x9b31m"
"""A title, a cleared screen, what overwrites a line, what reverses one, a C1 sequence."""
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|\x1b(?!\\[[0-9;?]*[A-Za-z])|\x1b\\[2J"
)
"""Of escape sequences, those that colour and place text are our own; but none of ours clears the screen."""


@pytest.fixture
def two(replicas: Replicas) -> Path:
    """``b`` has ``a`` for a remote, where there is every kind of thing with such a name; the folder with both."""
    replicas.clone({"f": "1", f"gone{EVIL}": "2", f"d{EVIL}/inner": "3", f"edited{EVIL}": "4"})
    write(replicas.base / f"a/new{EVIL}", "new")
    write(replicas.base / f"a/edited{EVIL}", "by a", OLD + 10**9)
    write(replicas.base / f"b/edited{EVIL}", "by b", OLD + 2 * 10**9)
    (replicas.base / f"a/gone{EVIL}").unlink()
    (replicas.base / f"a/d{EVIL}").rename(replicas.base / f"a/moved{EVIL}")
    (replicas.base / f"a/link{EVIL}").symlink_to(EVIL)
    os.mkfifo(replicas.base / f"a/fifo{EVIL}")
    write(replicas.base / f"b/in the way{EVIL}/x", "x")
    return replicas.base


def seen(folder: Path, *words: str, environment: dict[str, str] | None = None) -> str:
    shown = on_a_terminal(folder, *words, environment=environment)
    assert OBEYED.search(shown) is None, (words, shown)
    return shown


def test_what_changes_a_folder(two: Path) -> None:
    b = two / "b"
    shown = seen(b, "sync")
    (copy,) = [name for name in os.listdir(b) if ".conflict-" in name]
    for words in [
        ["conflicts"], ["why", copy], ["resolve", f"edited{EVIL}", "--keep", "copy", "-m", f"by{EVIL}"],
        ["log", "--", f"edited{EVIL}"], ["undo", "--dry-run"], ["undo"], ["restore", f"gone{EVIL}"],
        ["restore", "--to", f"../to{EVIL}", "."], ["push"], ["gc"], ["fsck", "--content", "--repair"],
        ["clone", "../a", f"../c{EVIL}"], ["clone", f"../no{EVIL}", "../e"], ["commit", "-m", f"with{EVIL}"],
    ]:  # fmt: skip
        shown += seen(b, *words)
    assert shown.count("owned") > 10, "the words themselves are shown"
    assert "\\033" in shown


@pytest.mark.parametrize("words", [["fetch"], ["sync"], ["push"], ["ls-remote"], ["clone", "there:{a}", "{c}"]])
def test_over_a_link(two: Path, words: list[str]) -> None:
    """What the other end says of its folder, it says in words of its own."""
    environment = {**os.environ, "REPLICAN_SSH": str(false_ssh(two)), "HOME": str(two / "home")}
    (two / "home").mkdir(exist_ok=True)
    seen(two / "b", "remote", "set-url", "origin", f"there:{two / 'a'}")
    places = {"a": str(two / "a"), "c": str(two / f"c{EVIL}")}
    seen(two / "b", *[word.format(**places) for word in words], environment=environment)


def test_a_watch(two: Path) -> None:
    own, other = os.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    with subprocess.Popen([PROGRAM, "watch"], cwd=two / "b", stdout=other, stderr=other, env=on_terminals()) as watch:
        os.close(other)
        os.set_blocking(own, False)
        shown, end = b"", time.monotonic() + PATIENCE
        try:
            while b"1 conflict" not in shown and time.monotonic() < end:
                try:
                    shown += os.read(own, 1 << 16)
                except BlockingIOError:
                    time.sleep(0.01)
        finally:
            watch.send_signal(signal.SIGINT)
        os.set_blocking(own, True)
        try:
            while piece := os.read(own, 1 << 16):
                shown += piece
        except OSError:
            pass
        os.close(own)
    text = shown.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    assert "1 conflict" in text
    assert OBEYED.search(text) is None, text
