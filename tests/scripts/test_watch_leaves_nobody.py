"""`replican watch` with an ssh that hears of nothing: it ends with the watch, however that ends."""

import os
import signal
import sys
from pathlib import Path

import pytest
from watching import PATIENCE, Watch, descendants, eventually, is_gone

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere no process ends with another")

DEAF = """#!/bin/sh
trap '' TERM HUP INT
sleep 1000 &
echo $$ $! > {told}
wait
while :; do sleep 1000; done
"""


@pytest.fixture
def told(two: tuple[Path, Path], cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where such an ssh tells of itself, and of what it has begun."""
    program = tmp_path / "deaf-ssh"
    program.write_text(DEAF.format(told=tmp_path / "told"))
    program.chmod(0o755)
    monkeypatch.setenv("REPLICAN_SSH", str(program))
    cli("-C", two[0], "remote", "add", "far", "host:docs")
    return tmp_path / "told"


def begun(told: Path, watch: Watch) -> set[int]:
    eventually(lambda: told.exists() and told.read_text().endswith("\n"), "the ssh")
    known = descendants(watch.process.pid)
    assert {int(pid) for pid in told.read_text().split()} <= known
    return known


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nobody_outlives_the_watch(two: tuple[Path, Path], told: Path, number: signal.Signals) -> None:
    watch = Watch(two[0])
    try:
        watch.wait("live")
        known = begun(told, watch)
        watch.process.send_signal(number)
        watch.process.wait(PATIENCE)
        if number == signal.SIGKILL:
            eventually(lambda: all(map(is_gone, known)), "the end of its workers")
        assert all(map(is_gone, known))
    finally:
        watch.kill()


def test_nor_a_pause(two: tuple[Path, Path], cli, told: Path) -> None:
    watch = Watch(two[0])
    try:
        watch.wait("live")
        known = begun(told, watch)
        cli("-C", two[0], "watch", "--pause")
        assert all(map(is_gone, known))
        assert watch.stop() == 0
    finally:
        watch.kill()


def test_nor_a_courier_that_is_killed(two: tuple[Path, Path], told: Path) -> None:
    """Only what an ssh has begun itself goes on, where nobody can be told."""
    watch = Watch(two[0])
    try:
        watch.wait("live")
        begun(told, watch)
        ssh, below = map(int, told.read_text().split())
        courier = int(Path(f"/proc/{ssh}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(courier, signal.SIGKILL)
        eventually(lambda: is_gone(ssh))
        os.kill(below, signal.SIGKILL)
    finally:
        watch.kill()
