"""The lock, between real processes: one holds it, the other says who; a dead owner's does not bind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from replican.effects.lock import Lock, holder
from replican.values.errors import DamagedError, LockedError, NoRepositoryError

HOLD = (
    "import sys, time\n"
    "from replican.effects.lock import Lock\n"
    "with Lock(sys.argv[1], 'sync \"\\x1b[31m').acquire():\n"
    "    print('held', flush=True)\n"
    "    time.sleep(float(sys.argv[2]))\n"
)


@contextmanager
def another(dotdir: Path, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the lock for some seconds."""
    command = [sys.executable, "-c", HOLD, str(dotdir), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_second_process_says_who_holds_it(tmp_path: Path) -> None:
    with another(tmp_path, 60) as process:
        lock = Lock(str(tmp_path), "commit")
        started = time.monotonic()
        with pytest.raises(LockedError, match=rf"process {process.pid} \(sync \?\?\[31m\) since 20") as caught:
            lock.acquire(0.3)
        assert 0.3 <= time.monotonic() - started < 5
        assert "--wait" in (caught.value.hint or "")
        assert not lock.held
        who = holder(str(tmp_path))
        assert who is not None
        assert (who.pid, who.command) == (process.pid, "sync ??[31m")
        assert abs(who.since - time.time()) < 60


def test_the_second_process_waits(tmp_path: Path) -> None:
    with another(tmp_path, 0.4), Lock(str(tmp_path)).acquire(30) as lock:
        assert lock.held


def test_a_killed_owner_does_not_bind(tmp_path: Path) -> None:
    with another(tmp_path, 60) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (tmp_path / "lock").read_bytes() != b""  # its name is still there, and means nothing
        assert holder(str(tmp_path)) is None
        with Lock(str(tmp_path)).acquire() as lock:
            assert lock.held


def test_the_forked_workers_of_a_killed_owner_do_not_bind(tmp_path: Path) -> None:
    program = (
        "import os, sys, time\n"
        "from replican.effects.lock import Lock\n"
        "lock = Lock(sys.argv[1]).acquire()\n"
        "if os.fork() == 0:\n"
        "    os.close(1)\n"
        "    time.sleep(3)\n"
        "    os._exit(0)\n"
        "print('held', flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        process.kill()
        process.wait()
        with Lock(str(tmp_path)).acquire(1) as lock:
            assert lock.held


def test_a_forked_child_takes_nothing_from_its_parent(tmp_path: Path) -> None:
    with Lock(str(tmp_path)).acquire():
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        assert holder(str(tmp_path)) is not None


def test_released_it_is_free_and_nameless(tmp_path: Path) -> None:
    lock = Lock(str(tmp_path), "commit").acquire()
    assert holder(str(tmp_path)) is not None
    with pytest.raises(LockedError):
        lock.acquire()
    lock.release()
    lock.release()
    assert holder(str(tmp_path)) is None
    assert (tmp_path / "lock").read_bytes() == b""
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
    with lock.acquire():
        pass


def test_two_in_one_process_exclude_each_other_too(tmp_path: Path) -> None:
    with Lock(str(tmp_path)).acquire(), pytest.raises(LockedError, match=f"process {os.getpid()} since"):
        Lock(str(tmp_path)).acquire()


def test_what_is_written_in_it_need_not_make_sense(tmp_path: Path) -> None:
    for content in (b"", b"{}", b"\xff\xfe", b"[1]", b'{"pid": "x"}', b"x" * 10_000):
        with Lock(str(tmp_path)).acquire():
            (tmp_path / "lock").write_bytes(content)
            with pytest.raises(LockedError, match="another process"):
                Lock(str(tmp_path)).acquire()
            who = holder(str(tmp_path))
            assert who is not None
            assert who.pid == 0


def test_without_a_repository(tmp_path: Path) -> None:
    with pytest.raises(NoRepositoryError):
        Lock(f"{tmp_path}/.replican").acquire()
    assert holder(f"{tmp_path}/.replican") is None


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedError):
        Lock(str(tmp_path)).acquire()
    assert not (tmp_path / "elsewhere").exists()
