"""`replican watch` as a command: what it takes and says. What it does: tests/scripts/test_watched_folders.py."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from folders import write
from watching import Watch, eventually, holds, watching


@pytest.fixture
def two(cli, tmp_path: Path) -> tuple[Path, Path]:
    write(tmp_path / "a/letter.txt", "dear all")
    cli("clone", "a", "b")
    return tmp_path / "a", tmp_path / "b"


def test_a_second_watch_says_so(two: tuple[Path, Path], cli) -> None:
    a, _ = two
    with watching(a) as (watch,):
        done = cli("-C", a, "watch", code=7)
        assert f"watched already, by process {watch.process.pid}" in done.err


def test_sighup_has_the_config_read_again(two: tuple[Path, Path], cli) -> None:
    a, b = two
    with watching(a) as (watch,):
        cli("-C", a, "remote", "add", "back", b)
        watch.process.send_signal(signal.SIGHUP)
        watch.wait("reloaded", remotes=["back"])
        watch.wait("synced", remote="back")
        write(a / "new", "x")
        eventually(lambda: holds(b / "new", "x"))


def test_lines_for_people(two: tuple[Path, Path]) -> None:
    a, b = two
    words = [str(Path(sys.executable).parent / "replican"), "-C", str(b), "watch"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env={**os.environ, "TZ": "UTC"}) as process:
        try:
            write(a / "new", "x")
            eventually(lambda: holds(b / "new", "x"))
            time.sleep(0.2)
        finally:
            process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    lines = [line[9:] for line in out.decode().splitlines()]
    assert lines[0] == f"started: {b} with origin"
    assert lines[1].startswith("live after ")
    assert any(line.startswith("origin: came 1 added; in step at ") for line in lines)
    assert lines[-1] == "stopped: SIGINT"
    assert process.returncode == 0


def test_events_are_objects_with_a_kind_and_a_time(two: tuple[Path, Path]) -> None:
    watch = Watch(two[1])
    watch.wait("synced", equal=True)
    assert watch.stop() == 0
    assert [event["kind"] for event in watch.events][:2] == ["started", "live"]
    assert all(event["time"].endswith("Z") and event["time_ns"] > 0 for event in watch.events)
