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
        note = watch.wait("note")
        with open(a / ".replican/config.toml", "a") as config:
            config.write(f'[remotes.back]\nurl = "{b}"\n')
        watch.process.send_signal(signal.SIGHUP)
        assert "has no remote" in note["message"]
        assert "`replican remote add NAME ADDRESS`" in note["message"]
        watch.wait("reloaded", remotes=["back"])
        watch.wait("synced", remote="back")
        write(a / "new", "x")
        eventually(lambda: holds(b / "new", "x"))
        assert watch.kinds().count("note") == 1, "it has one now"


def test_a_remote_that_is_added_is_kept_in_step_from_then_on(two: tuple[Path, Path], cli) -> None:
    a, b = two
    with watching(a) as (watch,):
        watch.wait("live")
        assert "which is heard at once" in watch.wait("note")["message"]
        cli("-C", a, "remote", "add", "back", b)
        watch.wait("reloaded", remotes=["back"])
        write(a / "new", "x")
        eventually(lambda: holds(b / "new", "x"))
        cli("-C", a, "config", "poll.max", "30")
        cli("-C", a, "config", "unset", "poll.max")
        cli("-C", a, "remote", "remove", "back")
        watch.wait("reloaded", remotes=[])
        assert watch.kinds().count("reloaded") == 4


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


def test_pause_and_resume(two: tuple[Path, Path], cli) -> None:
    a, b = two
    cli("-C", b, "watch", "--pause", code=8)
    with watching(a, b) as (_, watch):
        watch.wait("synced")
        cli("-C", b, "watch", "--pause")
        watch.wait("paused")
        assert cli("-C", b, "status", "--json").json()["watch"]["paused"] is True
        assert "watched, and paused: 'replican watch --resume'" in cli("-C", b, "status").text
        write(a / "new", "from a")
        write(b / "other", "from b")
        time.sleep(1)
        assert not (b / "new").exists()
        assert "recorded" not in watch.kinds()
        cli("-C", b, "watch", "--resume")
        eventually(lambda: holds(b / "new", "from a") and holds(a / "other", "from b"))


def test_status_tells_what_was_changed_before_it_was_asked(two: tuple[Path, Path], cli) -> None:
    _, b = two
    with watching(b) as (watch,):
        watch.wait("synced")
        cli("-C", b, "watch", "--pause")
        for number in range(5):
            write(b / f"new{number}", "x")
            found = cli("-C", b, "status", "--json").json()
            assert [each["path"] for each in found["changes"]] == [f"new{each}" for each in range(number + 1)]
        assert found["watch"]["remotes"][0]["state"] == "in step"


def test_only_some_remotes(two: tuple[Path, Path], cli) -> None:
    a, b = two
    cli("clone", a, "c")
    cli("-C", b, "remote", "add", "other", a.parent / "c")
    cli("-C", b, "watch", "nowhere", code=8)
    watch = Watch(b, "other")
    try:
        assert watch.wait("started")["remotes"] == ["other"]
        write(b / "new", "x")
        eventually(lambda: holds(a.parent / "c/new", "x"))
        assert not (a / "new").exists()
    finally:
        watch.kill()


def test_events_are_in_the_log_file_too(two: tuple[Path, Path]) -> None:
    _, b = two
    with watching(b) as (watch,):
        watch.wait("synced")
        watch.stop()
    logged = (b / ".replican/log/watch.log").read_text()
    assert f"started: {b} with origin" in logged
    assert "stopped: SIGTERM" in logged


def test_hooks_are_told_of_what_a_watch_does(two: tuple[Path, Path]) -> None:
    a, b = two
    for root in (a, b):
        hook = write(root / ".replican/hooks/post-checkpoint", '#!/bin/sh\nsleep 1\necho "$1" >> .replican/told\n')
        hook.chmod(0o755)
    with watching(a, b) as (here, there):
        there.wait("synced")
        write(b / "new", "x")
        head = there.wait("recorded")["head"]
        eventually(lambda: holds(a / "new", "x"))
        eventually(lambda: holds(b / ".replican/told", f"{head}\n"))
        assert "error" not in here.kinds() + there.kinds()


def test_a_config_that_cannot_be_read_leaves_all_as_it_is(two: tuple[Path, Path], cli) -> None:
    a, b = two
    config = b / ".replican/config.toml"
    good = config.read_bytes()
    with watching(b) as (watch,):
        watch.wait("synced")
        for bad in (b"this is no toml [\n", b"[poll]\nmin = 100\n", b'[watch]\nlog_level = "loud"\n'):
            config.write_bytes(good + bad)
            watch.process.send_signal(signal.SIGHUP)
            assert watch.wait("error")["code"] == "damaged"
            watch.events.clear()
        write(b / "new", "x")
        eventually(lambda: holds(a / "new", "x"))
        config.write_bytes(good)
        watch.process.send_signal(signal.SIGHUP)
        watch.wait("reloaded", remotes=["origin"])
        write(b / "newer", "x")
        eventually(lambda: holds(a / "newer", "x"))


def test_sighup_takes_up_another_pace_and_another_log(two: tuple[Path, Path], cli) -> None:
    a, _ = two
    cli("-C", a, "config", "watch.log_level", "error")
    with watching(a) as (watch,):
        watch.wait("live")
        log = a / ".replican/log/watch.log"
        assert not log.exists() or "live" not in log.read_text()
        cli("-C", a, "config", "watch.log_level", "info")
        cli("-C", a, "config", "poll.max", "7")
        watch.process.send_signal(signal.SIGHUP)
        watch.wait("reloaded")
        write(a / "new", "x")
        watch.wait("recorded")
        assert "reloaded" in log.read_text() or "config" in log.read_text()


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("watch.log_level", "loud", "must be debug, info, warning or error, not 'loud'"),
        ("poll.min", "100", "poll.min (100) would be larger than poll.max (60)"),
        ("poll.max", "1", "poll.min (2) would be larger than poll.max (1)"),
    ],
)
def test_what_a_watch_would_not_take_is_not_set(two: tuple[Path, Path], cli, key: str, value: str, why: str) -> None:
    a, _ = two
    done = cli("-C", a, "config", key, value, code=2)
    assert why in done.err
