import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from in_process import InProcess
from small_repository import SmallRepository

from replican.values.quoting import quote


def see_all(run: InProcess) -> None:
    run("update-index", ".")


def test_nothing_has_changed(run: InProcess, small: SmallRepository) -> None:
    assert run("poll").out == b""
    (small.root / "a").write_text("1")
    see_all(run)
    assert run("poll").out == b""
    assert run("poll", "--json").json() == []


def test_what_has_changed(run: InProcess, small: SmallRepository) -> None:
    for name in ("same", "edited", "gone", "mode"):
        (small.root / name).write_text(name)
    (small.root / "gone-too/below").mkdir(parents=True)
    assert run("poll").lines == ["edited", "gone", "gone-too", "mode", "same"]
    see_all(run)
    (small.root / "edited").write_text("more")
    (small.root / "gone").unlink()
    (small.root / "gone-too/below").rmdir()
    (small.root / "gone-too").rmdir()
    (small.root / "mode").chmod(0o600)
    (small.root / "new/below").mkdir(parents=True)
    (small.root / "link").symlink_to("same")
    assert run("poll").lines == ["edited", "gone", "gone-too", "link", "mode", "new"]
    assert run("poll").lines == run("poll").lines, "nothing is noted"


def test_odd_names(run: InProcess, small: SmallRepository) -> None:
    name = b'new\nline "\xff'
    (small.root / os.fsdecode(name)).write_bytes(b"")
    assert run("poll").line == quote(name)
    assert run("poll", "-z").out == name + b"\0"
    assert set(run("poll", "--json").json()[0]) == {"path", "path_b64"}


def test_no_folder(run: InProcess, tmp_path: Path) -> None:
    run("poll", cwd=tmp_path, code=8)


# -- going on ---------------------------------------------------------------------------------------------------------

REPLICAN = os.path.join(os.path.dirname(sys.executable), "replican")


@pytest.fixture
def often(run: InProcess) -> None:
    """Rounds as often as they may be."""
    for key in ("poll.min", "poll.max", "poll.full"):
        run("config", "set", key, "1")


@contextmanager
def following(root: Path, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
    command = [REPLICAN, "poll", "--follow", *words]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: "subprocess.Popen[bytes]") -> tuple[int, bytes]:
    assert process.stderr is not None
    return process.wait(20), process.stderr.read()


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_following_until_a_signal(small: SmallRepository, often: None, by: signal.Signals) -> None:
    (small.root / "a").write_text("1")
    with following(small.root) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"a\n"
        (small.root / "b c").write_text("1")
        assert process.stdout.readline() in (b"a\n", b"b c\n")
        process.send_signal(by)
        assert ended(process) == (0, b"")


def test_following_until_nobody_reads(small: SmallRepository, run: InProcess) -> None:
    (small.root / "a").write_text("1")
    with following(small.root, "-z") as process:
        assert process.stdout is not None
        assert process.stdout.read(2) == b"a\0"
        process.stdout.close()
        assert ended(process)[0] == 0, "it learns of that at once, without anything to write"


def test_following_as_json(small: SmallRepository, often: None) -> None:
    (small.root / "a").write_text("1")
    with following(small.root, "--json") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == {"path": "a"}


def test_into_update_index(small: SmallRepository, often: None) -> None:
    shell = f"{REPLICAN} poll --follow -z | {REPLICAN} update-index --stdin -z"
    (small.root / "a").write_text("1")
    with subprocess.Popen(["bash", "-c", shell], cwd=small.root, process_group=0) as process:
        try:
            wait_for(small, b"a")
            (small.root / "new").mkdir()
            (small.root / "new/b").write_text("1")
            wait_for(small, b"new/b")
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def test_into_xargs(small: SmallRepository) -> None:
    (small.root / "a b").write_text("1")
    shell = f"{REPLICAN} poll --follow -z | xargs -0 -n 1 echo changed:"
    with subprocess.Popen(["bash", "-c", shell], cwd=small.root, process_group=0, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"changed: a b\n"
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def wait_for(small: SmallRepository, path: bytes) -> None:
    """Until the index has it."""
    import time

    end = time.monotonic() + 60
    while time.monotonic() < end:
        with small.open() as repo:
            if repo.index.row(path) is not None:
                return
        time.sleep(0.05)
    raise AssertionError(f"{path!r} is not in the index")


def test_once_or_on_and_on(run: InProcess) -> None:
    assert run("poll", "--once").out == b""
    run("poll", "--once", "--follow", code=2)
