"""`replican watch` ends when it is asked to, whatever it is doing, and leaves nothing behind."""

import os
import signal
import time
from pathlib import Path

import pytest
from folders import write
from watching import PATIENCE, Watch, descendants, eventually, holds, is_gone, large, reads, watching


def stop_while_read(watch: Watch, paths: list[Path], number: signal.Signals) -> None:
    """Wait until the watch reads these files, and have it end: with all that works for it."""
    known: set[int] = set()

    def is_read() -> bool:
        known.update(descendants(watch.process.pid))
        return any(reads(pid, path) for pid in {watch.process.pid, *known} for path in paths)

    eventually(is_read)
    began = time.monotonic()
    os.killpg(watch.process.pid, number)  # as a terminal and a service manager do
    watch.process.wait(PATIENCE)
    assert watch.stop() == 0
    assert time.monotonic() - began < 5, "a second, and some more for a busy machine"
    assert watch.events[-1]["kind"] == "stopped"
    assert watch.events[-1]["why"] == number.name
    assert "error" not in [event["kind"] for event in watch.events]
    eventually(lambda: all(is_gone(pid) for pid in known), "the end of its workers")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="who reads a file is seen in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_while_the_folder_is_looked_through(two: tuple[Path, Path], cli, number: signal.Signals) -> None:
    a, b = two
    paths = [large(a / "large"), large(a / "another")]
    watch = Watch(a, under=["setsid"])
    try:
        stop_while_read(watch, paths, number)
    finally:
        watch.kill()
    for path in paths:
        path.unlink()
    write(a / "new", "x")
    with watching(a, b):
        eventually(lambda: holds(b / "new", "x"))
    assert cli("-C", a, "fsck").code == 0


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="who reads a file is seen in /proc")
def test_while_what_has_changed_is_looked_at(two: tuple[Path, Path], cli) -> None:
    a, b = two
    watch = Watch(a, under=["setsid"])
    try:
        watch.wait("live")
        path = large(a / "large")
        stop_while_read(watch, [path], signal.SIGTERM)
    finally:
        watch.kill()
    path.unlink()
    write(a / "new", "x")
    with watching(a, b):
        eventually(lambda: holds(b / "new", "x"))
    assert cli("-C", a, "fsck").code == 0


def test_asked_twice(two: tuple[Path, Path]) -> None:
    a, _ = two
    with watching(a) as (watch,):
        for _ in range(3):
            watch.process.send_signal(signal.SIGINT)
        assert watch.stop() == 0
        assert [event["kind"] for event in watch.events if event["kind"] in ("error", "stopped")] == ["stopped"]
