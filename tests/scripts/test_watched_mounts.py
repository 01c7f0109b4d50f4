"""`replican watch`, and a disk in the folder that is taken out: its files were not deleted by anybody."""

import subprocess
import time
from pathlib import Path

import pytest
from folders import contents, write
from watching import eventually, holds, watching


@pytest.fixture
def two_with_disk(cli, mounted: Path) -> tuple[Path, Path]:
    """A folder with a disk of its own in it, and its clone."""
    a = mounted.parent
    for number in range(3):
        write(mounted / f"on it {number}", "x")
    for number in range(9):
        write(a / f"beside {number}", "y")
    cli("clone", "a", "b")
    return a, a.parent / "b"


def take_out(disk: Path) -> None:
    subprocess.run(["umount", disk], check=True)


def put_back(disk: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "none", disk], check=True)
    for number in range(3):
        write(disk / f"on it {number}", "x")


def test_its_files_are_not_deleted_where_it_is_watched(two_with_disk: tuple[Path, Path], cli) -> None:
    a, b = two_with_disk
    cli("-C", a, "remote", "add", "other", b)
    before = contents(b)
    with watching(a) as (watch,):
        watch.wait("synced")
        take_out(a / "disk")
        write(a / "edit", "meanwhile")  # what looks again, if nothing else did
        closed = watch.wait("gate", open=False, remote=None)
        assert closed["names"] == ["missing-mount"]
        assert "--allow-missing-mount" in closed["hint"]
        time.sleep(1)
        assert contents(b) == before
        put_back(a / "disk")
        write(a / "another edit", "later")
        watch.wait("gate", open=True, remote=None)
        eventually(lambda: holds(b / "another edit", "later") and holds(b / "edit", "meanwhile"))
        assert contents(a) == contents(b)


def test_its_files_are_not_deleted_where_it_is_looked_after(two_with_disk: tuple[Path, Path]) -> None:
    a, b = two_with_disk
    before = contents(b)
    with watching(b) as (watch,):
        watch.wait("synced")
        take_out(a / "disk")
        write(a / "edit", "meanwhile")
        time.sleep(2)
        assert contents(b) == before
        put_back(a / "disk")
        write(a / "another edit", "later")
        eventually(lambda: holds(b / "another edit", "later") and holds(b / "edit", "meanwhile"))
        assert contents(a) == contents(b)
