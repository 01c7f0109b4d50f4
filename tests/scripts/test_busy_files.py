"""A large file that another program writes to all the time, while it is pushed over a pipe."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import restless_writer
from false_ssh import false_ssh
from folders import assert_equal, noise, write

MIB = 1 << 20


@pytest.fixture
def two(cli, tmp_path: Path, environment: dict[str, str]) -> tuple[Path, Path]:
    """A folder here and its remote over there, in step."""
    environment["REPLICAN_SSH"] = str(false_ssh(tmp_path))
    here, there = tmp_path / "here", tmp_path / "there"
    write(there / "large", noise(3 * MIB))
    cli("clone", f"host:{there}", here)
    return here, there


@contextmanager
def busy(path: Path, way: str) -> Iterator[None]:
    """Somebody writes to ``path`` all the time."""
    words = [sys.executable, restless_writer.__file__, path, way]
    writer = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert writer.stdin is not None
    assert writer.stdout is not None
    try:
        assert writer.stdout.readline() == b"ready\n"
        yield
        assert writer.poll() is None
    finally:
        writer.stdin.close()
        writer.stdout.close()
        writer.wait()


@pytest.mark.parametrize("way", restless_writer.WAYS)
def test_a_sync_sends_it_as_it_was_read(cli, two: tuple[Path, Path], way: str) -> None:
    here, there = two
    with busy(here / "large", way):
        for number in range(3):
            before = (there / "large").read_bytes()
            write(here / f"{number}", f"{number}")
            done = cli("sync", "--json", cwd=here).json()
            assert done["remotes"][0]["equal"]
            assert done["pending"] == done["remotes"][0]["pending"] == []
            assert (there / f"{number}").read_text() == f"{number}"
            came = (there / "large").read_bytes()
            assert came != before
            if way == "append":
                assert (here / "large").read_bytes().startswith(came)
    cli("sync", cwd=here)
    assert_equal(here, there)
    assert os.listdir(here / ".replican/stage") == []


@pytest.mark.parametrize("way", restless_writer.WAYS)
def test_a_push_leaves_it_pending_and_says_why(cli, two: tuple[Path, Path], way: str) -> None:
    """What was recorded is nowhere any more, and a push records nothing. All else comes."""
    here, there = two
    with busy(here / "large", way):
        for number in range(4):
            write(here / f"{number}", f"{number}")
            recorded = cli("commit", cwd=here, code=None)
            assert recorded.code in (0, 4)
            done = cli("push", cwd=here, code=None)
            assert done.code in (0, 4)
            assert ("pending: large: no source" in done.err) == (done.code == 4)
            assert ("large was not sent: it has changed here" in done.err) == (done.code == 4)
            assert (there / f"{number}").read_text() == f"{number}"
    cli("commit", cwd=here, code=None)
    cli("push", cwd=here)
    assert_equal(here, there)
