"""`replican watch` ends when it is asked to, whatever it is doing, and leaves nothing behind."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from folders import contents, write
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


@pytest.mark.parametrize("hook", ["gate", "post-checkpoint", "pre-merge", "post-merge"])
def test_while_a_hook_sleeps(two: tuple[Path, Path], cli, tmp_path: Path, hook: str) -> None:
    """One that does not hear either."""
    a, b = two
    began = tmp_path / "began"
    script = write(b / ".replican/hooks" / hook, f"#!/bin/sh\ntrap '' TERM INT\necho $$ > {began}\nexec sleep 1000\n")
    script.chmod(0o755)
    with watching(b) as (watch,):
        watch.wait("live")
        if hook == "gate":
            shutil.rmtree(b / "photos")
        else:
            write((b if hook == "post-checkpoint" else a) / "new", "x")
        eventually(lambda: began.exists() and began.read_text().endswith("\n"), "the hook")
        known = descendants(watch.process.pid)
        assert watch.stop() == 0
        assert watch.events[-1]["kind"] == "stopped"
        eventually(lambda: all(is_gone(pid) for pid in {int(began.read_text()), *known}), "the end of the hook")
    script.unlink()
    if hook != "gate":
        with watching(b) as (watch,):
            eventually(lambda: holds(a / "new", "x") and holds(b / "new", "x"))
    assert cli("-C", b, "fsck").code == 0


def test_while_a_merge_changes_the_folder(two: tuple[Path, Path], cli) -> None:
    """At several moments of it: each goes on where the one before ended."""
    a, b = two
    for number in range(6000):
        write(a / f"many/{number % 20}/{number}", f"{number}")
        write(a / f"{number % 3000}", f"top {number}")
    cli("-C", a, "commit")
    for share in (10, 500, 2000):
        watch = Watch(b)
        try:
            watch.wait("started")
            eventually(lambda share=share: len(os.listdir(b)) > share, "some of it")
            known = descendants(watch.process.pid)
            assert watch.stop() == 0
            eventually(lambda known=known: all(is_gone(pid) for pid in known), "the end of its workers")
        finally:
            watch.kill()
        assert "error" not in [event["kind"] for event in watch.events]
    with watching(b) as (watch,):
        eventually(lambda: len(os.listdir(b)) == len(os.listdir(a)))
        watch.wait("synced")
    assert contents(a) == contents(b)
    assert cli("-C", b, "fsck").code == 0


def test_asked_twice(two: tuple[Path, Path]) -> None:
    a, _ = two
    with watching(a) as (watch,):
        for _ in range(3):
            watch.process.send_signal(signal.SIGINT)
        assert watch.stop() == 0
        assert [event["kind"] for event in watch.events if event["kind"] in ("error", "stopped")] == ["stopped"]
