"""A disk that can hold few files more: known before anything is written, as too few bytes are."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from folders import assert_equal, snapshot, write

pytestmark = pytest.mark.within


def run(*words: str | Path) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot be mounted here: {done.stderr.strip()}")


class Disk:
    """A file system of its own at ``path``, with 300 inodes."""

    def __init__(self, base: Path, kind: str) -> None:
        self.path, self.kind = base / "disk", kind
        self.path.mkdir()
        if kind == "tmpfs":
            run("mount", "-t", "tmpfs", "-o", "size=64m,nr_inodes=300", "none", self.path)
            return
        if shutil.which("mkfs.ext4") is None:
            pytest.skip("no mkfs.ext4 here")
        image = base / "image"
        image.write_bytes(b"")
        os.truncate(image, 32 << 20)
        run("mkfs.ext4", "-q", "-F", "-N", "300", image)
        run("mount", "-o", "loop", image, self.path)

    @property
    def free(self) -> int:
        return os.statvfs(self.path).f_favail

    def leave(self, count: int) -> None:
        """Leave room for so many files, and no more."""
        (self.path / "others").mkdir()
        for number in range(self.free - count):
            (self.path / f"others/{number}").touch()
        assert self.free == count

    def make_room(self) -> None:
        shutil.rmtree(self.path / "others")

    def unmount(self) -> None:
        subprocess.run(["umount", self.path], check=True)


@pytest.fixture(params=["tmpfs", "ext4"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path, request.param)
    yield made
    made.unmount()


def pair(cli, tmp_path: Path, disk: Disk) -> tuple[Path, Path]:
    """``b`` lies on the disk, and is a clone of ``a``."""
    a, b = tmp_path / "a", disk.path / "b"
    write(a / "file", "x")
    write(a / "d/e", "y")
    cli("clone", a, b)
    return a, b


@pytest.mark.parametrize("what", ["files", "directories", "a new directory", "empty files"])
def test_too_many_files(cli, tmp_path: Path, disk: Disk, what: str) -> None:
    a, b = pair(cli, tmp_path, disk)
    for number in range(60):
        if what == "directories":
            (a / f"d/new{number}").mkdir()
        else:
            write(
                a / ("come" if what == "a new directory" else "d") / f"new{number}",
                "" if what == "empty files" else "z",
            )
    cli("-C", b, "fetch", "origin")
    disk.leave(50)
    head = cli("-C", b, "rev-parse", "HEAD").text
    before = snapshot(b)
    refused = cli("-C", b, "merge", "origin", code=3)
    needed = 61 if what == "a new directory" else 60
    # Two are those that SQLite has beside an index while it is open.
    assert f"the disk can hold 48 more files and directories, and {needed} are to come" in refused.err
    assert snapshot(b) == before
    assert cli("-C", b, "rev-parse", "HEAD").text == head, "nothing is recorded"
    assert disk.free == 50, "nothing is written"
    disk.make_room()
    cli("-C", b, "sync")
    assert_equal(a, b)


def test_what_is_only_moved_needs_none(cli, tmp_path: Path, disk: Disk) -> None:
    a, b = tmp_path / "a", disk.path / "b"
    for number in range(60):
        write(a / f"d/{number}", f"content {number}")
    cli("clone", a, b)
    (a / "above").mkdir()
    (a / "d").rename(a / "above/d")
    cli("-C", b, "fetch", "origin")
    disk.leave(40)
    cli("-C", b, "merge", "origin")
    assert_equal(a, b)


def test_where_inodes_are_not_counted(cli, tmp_path: Path, disk: Disk) -> None:
    if disk.kind != "tmpfs":
        pytest.skip("they are counted")
    subprocess.run(["mount", "-o", "remount,nr_inodes=0", disk.path], check=False)
    if os.statvfs(disk.path).f_files:
        disk.unmount()
        run("mount", "-t", "tmpfs", "-o", "size=64m,nr_inodes=0", "none", disk.path)
    assert os.statvfs(disk.path).f_files == os.statvfs(disk.path).f_favail == 0
    a, b = pair(cli, tmp_path, disk)
    write(a / "new", "z")
    cli("-C", b, "sync")
    assert_equal(a, b)


def test_what_is_staged_needs_no_inodes_again(cli, tmp_path: Path, disk: Disk) -> None:
    a, b = tmp_path / "a", disk.path / "b"
    for number in range(60):
        write(a / f"d/{number}", f"content {number}")
    disk.leave(100)
    cli("clone", a, b)  # the scan's own copies lie there by the time that the room is looked at
    assert_equal(a, b)


def test_content_ahead_of_a_merge(cli, tmp_path: Path, disk: Disk) -> None:
    a, b = pair(cli, tmp_path, disk)
    for number in range(60):
        write(a / f"d/new{number}", f"content {number}")
    cli("-C", b, "fetch")
    disk.leave(50)
    refused = cli("-C", b, "fetch", "--content", code=3)
    assert "more files and directories, and 60 are to come" in refused.err
    assert disk.free == 50, "nothing is written"
    disk.make_room()
    cli("-C", b, "fetch", "--content")
    finish(cli, a, b)


def test_a_restore(cli, tmp_path: Path, disk: Disk) -> None:
    a, b = pair(cli, tmp_path, disk)
    for number in range(30):
        write(a / f"d{number}/new", f"content {number}")
    cli("-C", b, "sync")
    for number in range(30):
        shutil.rmtree(b / f"d{number}")
    disk.leave(50)
    refused = cli("-C", b, "restore", ".", code=3)
    assert "more files and directories, and 60 are to come" in refused.err
    assert disk.free == 50, "nothing is written"
    disk.make_room()
    cli("-C", b, "restore", ".")
    finish(cli, a, b)


def finish(cli, a: Path, b: Path) -> None:
    cli("-C", b, "sync")
    assert_equal(a, b)
