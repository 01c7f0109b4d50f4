"""A signal while the program is still being loaded: a watch ends, however it was begun; a command as any program."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = str(Path(sys.executable).parent / "replican")

STRUCK = """
import os, runpy, signal, sys

number, when, script, *words = sys.argv[1:]

class Strike:
    def find_spec(self, name, *_):
        if name == when:
            os.kill(os.getpid(), int(number))

sys.meta_path.insert(0, Strike())
sys.argv[:] = [script, *words]
runpy.run_path(script, run_name="__main__")
"""


def struck(number: signal.Signals, when: str, *words: str, ignored: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the program, which gets a signal when it imports a module for the first time."""
    handled = signal.SIG_IGN if ignored else signal.SIG_DFL
    before = signal.signal(signal.SIGINT, handled)
    try:
        started = subprocess.Popen(
            [sys.executable, "-P", "-c", STRUCK, str(int(number)), when, SCRIPT, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            restore_signals=False,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        out, err = started.communicate(timeout=30)
    finally:
        started.kill()
    return subprocess.CompletedProcess(words, started.returncode, out, err)


MOMENTS = ["replican.porcelain._main", "replican.porcelain.watch", "replican.operations.synchroniser"]


@pytest.mark.parametrize("when", MOMENTS)
@pytest.mark.parametrize(("number", "ignored"), [(signal.SIGINT, True), (signal.SIGINT, False), (signal.SIGTERM, True)])
def test_a_watch_ends(two: tuple[Path, Path], when: str, number: signal.Signals, ignored: bool) -> None:
    done = struck(number, when, "-C", str(two[0]), "watch", ignored=ignored)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert os.listdir(two[0] / ".replican/stage") == []


def test_a_command_is_ended_as_any_program_is(two: tuple[Path, Path]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        done = struck(number, "replican.porcelain._main", "-C", str(two[0]), "status")
        assert (done.returncode, done.stdout, done.stderr) == (-number, "", "")


@pytest.mark.parametrize("when", ["replican.porcelain._main", "replican.operations.looking"])
def test_a_command_leaves_ignored_what_was(two: tuple[Path, Path], when: str) -> None:
    done = struck(signal.SIGINT, when, "-C", str(two[0]), "status", ignored=True)
    assert done.returncode == 0
    assert done.stdout.startswith("head ")


@pytest.mark.parametrize(
    ("when", "words"),
    [("replican.effects.asking", ["watch", "--resume"]), ("replican.operations.history", ["log", "--", "watch"])],
)
def test_what_only_speaks_of_a_watch_is_a_command(two: tuple[Path, Path], when: str, words: list[str]) -> None:
    """Until it is known better, it is taken for one that is to be ended."""
    done = struck(signal.SIGTERM, when, "-C", str(two[0]), *words)
    assert done.returncode == -signal.SIGTERM
    done = struck(signal.SIGINT, when, "-C", str(two[0]), *words, ignored=True)
    assert done.returncode == (8 if "--resume" in words else 0)
