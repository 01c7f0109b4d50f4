"""A disk that fills up: exit code 3 and why, nothing lost, and the same command goes on once there is room."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from false_ssh import false_ssh
from folders import assert_equal, snapshot, write
from watching import eventually, watching

pytestmark = pytest.mark.within

KIB = 1024


class Disk:
    """A small file system of its own, mounted at ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.mkdir()
        self._mount("size=64m")

    def _mount(self, options: str) -> None:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "none", self.path], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip("mounting a file system needs root")

    def leave(self, kib: int) -> None:
        """Leave so much room, and no more."""
        room = os.statvfs(self.path)
        used = (room.f_blocks - room.f_bfree) * room.f_frsize // KIB
        self._mount(f"remount,size={used + kib}k")

    @property
    def free(self) -> int:
        """In bytes."""
        room = os.statvfs(self.path)
        return room.f_bavail * room.f_frsize

    def make_room(self) -> None:
        self._mount("remount,size=64m")

    def make_read_only(self) -> None:
        self._mount("remount,ro")

    def unmount(self) -> None:
        subprocess.run(["umount", self.path], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path / "disk")
    yield made
    made.unmount()


def fill(folder: Path, count: int, name: str) -> None:
    for number in range(count):
        write(folder / f"{name}{number % 3}/{number}", f"{name} {number} ".encode() * 400)


def finish(cli, disk: Disk, a: Path, b: Path) -> None:
    disk.make_room()
    cli("-C", b, "sync")
    assert_equal(a, b)
    for folder in (a, b):
        cli("-C", folder, "fsck", "--content")
        assert not list((folder / ".replican/stage").iterdir())


@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize("room", [8, 200])
def test_a_sync_on_a_full_disk(cli, tmp_path: Path, disk: Disk, side: str, room: int) -> None:
    a, b = (disk.path if name == side else tmp_path for name in "ab")
    a, b = a / "a", b / "b"
    fill(a, 60, "old")
    cli("clone", a, b)
    fill(a, 60, "new")
    fill(b, 60, "more")
    write(b / "old1/1", "edited")
    before = snapshot(a), snapshot(b)
    disk.leave(room)
    refused = cli("-C", b, "sync", code=3)
    assert "no space left" in refused.err or "are needed" in refused.err
    for folder, seen in zip((a, b), before, strict=True):
        assert seen.items() <= snapshot(folder).items()
        cli("-C", folder, "status")  # readers do not mind
    finish(cli, disk, a, b)
    assert len([seen for seen in snapshot(a).values() if seen[0] == "file"]) == 180


@pytest.mark.parametrize("words", [["commit"], ["gc"], ["undo"]])
def test_a_command_on_a_disk_without_any_room(cli, tmp_path: Path, disk: Disk, words: list[str]) -> None:
    a, b = tmp_path / "a", disk.path / "b"
    write(a / "file", "x")
    cli("clone", a, b)
    write(a / "file", "y")
    cli("-C", b, "sync")
    write(b / "new", "z")
    disk.leave(0)
    refused = cli("-C", b, *words, code=3)
    assert "no space left" in refused.err
    cli("-C", b, "log")
    disk.make_room()
    cli("-C", b, *words)
    finish(cli, disk, a, b)


@pytest.mark.parametrize("room", range(0, 100, 20))
def test_no_half_index_is_left(cli, tmp_path: Path, disk: Disk, room: int) -> None:
    a, b = disk.path / "a", tmp_path / "b"
    fill(a, 60, "old")
    disk.leave(room)
    done = cli("clone", a, b, code=None)
    assert done.code in (0, 3), done.err
    disk.make_room()
    again = cli("clone", a, b, code=None)
    assert again.code == 0 or "is a replica already" in again.err
    assert "damaged" not in done.err + again.err
    finish(cli, disk, a, b)


def test_what_is_staged_needs_no_room_again(cli, tmp_path: Path, disk: Disk) -> None:
    a, b = tmp_path / "a", disk.path / "b"
    write(a / "large", os.urandom(3 << 20))
    write(a / "second", os.urandom(3 << 20))
    disk.leave(9 * KIB)
    cli("clone", a, b)  # the scan's own copies lie there by the time that the room is looked at
    assert_equal(a, b)
    finish(cli, disk, a, b)


LARGE = 3 << 20


def refuse(cli, disk: Disk, *words: str | Path, env: dict[str, str] | None = None) -> None:
    """Assert that this is refused for want of room, and that nothing was written first."""
    free = disk.free
    refused = cli(*words, code=3, env=env)
    assert "bytes free, and" in refused.err
    assert disk.free == free, "something is written"


@pytest.mark.parametrize("far", [False, True])
def test_content_ahead_of_a_merge(cli, tmp_path: Path, disk: Disk, far: bool) -> None:
    a, b = tmp_path / "a", disk.path / "b"
    write(a / "file", "x")
    cli("clone", a, b)
    address = f"there:{a}" if far else a
    cli("-C", b, "remote", "set-url", "origin", address)
    env = {"REPLICAN_SSH": str(false_ssh(tmp_path))}
    write(a / "large", os.urandom(LARGE))
    write(a / "second", os.urandom(LARGE))
    cli("-C", b, "fetch", env=env)
    disk.leave(2 * LARGE // KIB - 100)
    refuse(cli, disk, "-C", b, "fetch", "--content", env=env)
    disk.leave(2 * LARGE // KIB + 100)
    cli("-C", b, "fetch", "--content", env=env)
    assert disk.free < LARGE
    cli("-C", b, "fetch", "--content", env=env)  # what lies there needs no room again
    a.rename(tmp_path / "away")
    cli("-C", b, "merge")
    assert_equal(b, tmp_path / "away")


@pytest.mark.parametrize("where", ["a file", "a new directory", "restored"])
@pytest.mark.parametrize("data", [1, 12])
def test_holes_take_no_room(cli, tmp_path: Path, disk: Disk, where: str, data: int) -> None:
    """What is in between does, in the pieces in which holes are made: of 64 KiB, each with one byte in it."""
    a, b = tmp_path / "a", disk.path / "b"
    write(a / "file", "x")
    name = "new/holes" if where == "a new directory" else "holes"
    if where == "restored":
        write(a / name, "x")
    cli("clone", a, b)
    write(a / name, "")
    with open(a / name, "r+b") as file:
        for at in range(data << 4):
            file.seek((at << 17) + 70_000)
            file.write(b"data")
        file.truncate(100 << 20)
    cli("-C", b, "fetch")
    words = ["-C", b, "merge"]
    if where == "restored":
        disk.make_room()
        cli(*words)
        (b / name).unlink()
        words = ["-C", b, "restore", name]
    disk.leave(4 * data << 10 if data == 1 else LARGE // KIB)
    if data > 1:
        refuse(cli, disk, *words)
        disk.make_room()
    cli(*words)
    assert_equal(a, b)
    assert (b / name).stat().st_blocks * 512 <= data << 20


@pytest.mark.parametrize("where", ["a file", "a new directory"])
def test_content_that_nobody_wants_any_more_makes_room(cli, tmp_path: Path, disk: Disk, where: str) -> None:
    """It counts as room, so it goes before anything comes: not when all has come."""
    a, b = tmp_path / "a", disk.path / "b"
    write(a / "file", "x")
    cli("clone", a, b)
    write(a / "large", os.urandom(LARGE))
    cli("-C", b, "fetch", "--content")
    (a / "large").unlink()
    write(a / ("other" if where == "a file" else "new/other"), os.urandom(LARGE))
    disk.leave(LARGE // KIB // 2)
    cli("-C", b, "sync")
    assert_equal(a, b)
    finish(cli, disk, a, b)


def test_what_has_come_of_another_file_is_no_room(cli, tmp_path: Path, disk: Disk) -> None:
    """A link was cut in the midst of it, and goes on where it was: it stays, and so it is in the way."""
    a, b = tmp_path / "a", disk.path / "b"
    write(a / "file", "x")
    cli("clone", a, b)
    part = write(b / f".replican/stage/part-{'7' * 64}", os.urandom(LARGE))
    write(a / "other", os.urandom(LARGE))
    cli("-C", b, "fetch")
    disk.leave(LARGE // KIB // 2)
    refuse(cli, disk, "-C", b, "merge")
    assert part.exists()


@pytest.mark.parametrize("where", ["in place", "beside", "elsewhere", "from elsewhere"])
def test_a_restore(cli, tmp_path: Path, disk: Disk, where: str) -> None:
    a, b = tmp_path / "a", (tmp_path if where == "elsewhere" else disk.path) / "b"
    to = (tmp_path if where == "from elsewhere" else disk.path) / "to/here"
    for name in ("large", "second", "gone"):
        write(a / name, os.urandom(LARGE))
    cli("clone", a, b)
    for name in ("large", "second", "gone"):
        (b / name).unlink()
    (a / "gone").unlink()
    words = ["-C", b, "restore", "."] if where == "in place" else ["-C", b, "restore", "--to", to, "."]
    disk.leave(2 * LARGE // KIB - 100)
    refuse(cli, disk, *words)
    assert not to.parent.exists()
    disk.leave(2 * LARGE // KIB + 100)
    cli(*words, code=4)  # one is nowhere, and needs no room
    there = b if where == "in place" else to
    for name in ("large", "second"):
        assert (there / name).read_bytes() == (a / name).read_bytes()


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("words", [["fetch"], ["pull"], ["sync"], ["push"]])
def test_the_other_side_cannot_record(cli, tmp_path: Path, disk: Disk, words: list[str], far: bool) -> None:
    """What it recorded before is taken, and that there is more is told, and no success."""
    a, b = disk.path / "a", tmp_path / "b"
    write(a / "file", "x")
    cli("clone", a, b)
    cli("-C", b, "remote", "set-url", "origin", f"there:{a}" if far else a)
    env = {"REPLICAN_SSH": str(false_ssh(tmp_path))}
    write(a / "recorded", "r")
    cli("-C", a, "commit")
    if words == ["push"]:
        cli("-C", b, "pull", env=env)
    write(a / "late", "l")
    disk.leave(0)
    done = cli("-C", b, *words, env=env, code=3)
    assert "origin could not record its latest edits: no space left" in done.err
    assert cli("-C", b, "rev-parse", "origin/head").text == cli("-C", a, "rev-parse", "HEAD").text
    assert (b / "recorded").exists() == (words != ["fetch"])
    assert not (b / "late").exists()
    disk.make_room()
    cli("-C", b, "remote", "set-url", "origin", a)
    finish(cli, disk, a, b)


@pytest.mark.parametrize("far", [False, True])
def test_a_clone_of_what_cannot_record(cli, tmp_path: Path, disk: Disk, far: bool) -> None:
    a, b = disk.path / "a", tmp_path / "b"
    write(a / "file", "x")
    cli("init", a)
    cli("-C", a, "commit")
    write(a / "late", "l")
    disk.leave(0)
    env = {"REPLICAN_SSH": str(false_ssh(tmp_path))}
    done = cli("clone", f"there:{a}" if far else a, b, env=env, code=3)
    assert "could not record its latest edits: no space left" in done.err
    assert (b / "file").read_text() == "x"
    disk.make_room()
    cli("-C", b, "sync", env=env)
    assert_equal(a, b)


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("what", ["few large files", "many small files", "holes"])
def test_a_first_clone(cli, tmp_path: Path, disk: Disk, what: str, far: bool) -> None:
    """Its source has no log yet, and is copied while it is read."""
    env = {"REPLICAN_SSH": str(false_ssh(tmp_path))}
    a, b = (disk.path if what == "holes" else tmp_path) / "a", disk.path / "b"
    count, size = (4, LARGE) if what == "few large files" else (1200, 8 * KIB if what == "many small files" else 10)
    for number in range(count):
        write(a / f"{number % 7}/{number}", os.urandom(size))
    if what == "holes":
        with open(a / "holes", "wb") as file:
            file.truncate(100 << 20)
    disk.leave(8 << 10)
    free = disk.free
    if what == "holes" and not far:  # they are copied as holes
        cli("clone", a, b, env=env)
        assert_equal(a, b)
        assert (b / "holes").stat().st_blocks * 512 < 1 << 20
        return
    refused = cli("clone", f"there:{a}" if far else a, b, env=env, code=3)
    assert "bytes free, and" in refused.err
    assert free - disk.free < 1 << 20, "more than its log"
    assert list((b / ".replican/stage").iterdir()) == []
    if what == "holes":  # nobody here knows of holes over there, and their size counts
        return
    disk.make_room()
    cli("clone", f"there:{a}" if far else a, b, env=env)
    assert_equal(a, b)


def test_a_watch_goes_on_when_there_is_room_again(cli, tmp_path: Path, disk: Disk) -> None:
    write(tmp_path / "a/small", "x")
    cli("clone", "a", disk.path / "b")
    b = disk.path / "b"
    with watching(b) as (watch,):
        watch.wait("synced")
        disk.leave(600)
        write(tmp_path / "a/large", os.urandom(4 << 20))
        assert watch.wait("error", remote="origin")["code"] == "no-space"
        assert not (b / "large").exists()
        disk.make_room()
        eventually(lambda: (b / "large").exists())
        assert (b / "large").read_bytes() == (tmp_path / "a/large").read_bytes()


def test_an_edit_in_a_unit_needs_room_for_all_of_it(cli, tmp_path: Path, disk: Disk) -> None:
    a, b = tmp_path / "a", disk.path / "b"
    write(a / ".replicanattributes", "*.u/ atomic\n")
    write(a / "a.u/large", os.urandom(LARGE))
    write(a / "a.u/head", "1")
    write(a / "plain", "1")
    cli("clone", a, b)
    for folder in (a, b):
        cli("-C", folder, "config", "units.quiet_ms", "0")
    write(a / "a.u/head", "2")
    write(a / "plain", "2")
    cli("-C", b, "fetch")
    before = snapshot(b)
    disk.leave(LARGE // KIB - 500)
    refuse(cli, disk, "-C", b, "merge")
    assert snapshot(b) == before
    finish(cli, disk, a, b)


def test_a_disk_that_is_read_only_is_told_as_that(cli, tmp_path: Path, disk: Disk) -> None:
    """Nobody is sent to look for permissions."""
    write(tmp_path / "a/file", "x")
    disk.make_read_only()
    refused = cli("clone", "a", "disk/b", code=4)
    assert refused.err == (f"replican: cannot make {disk.path}/b a replica: read-only file system for {disk.path}\n")
    assert not (tmp_path / "a/.replican").exists()


def test_a_remote_on_a_disk_that_is_read_only(cli, tmp_path: Path, disk: Disk) -> None:
    """It is named, and does not keep the others from being synced."""
    write(tmp_path / "a/file", "x")
    for copy in ("disk/b", "c"):
        cli("clone", "a", copy)
    for name, copy in (("b", disk.path / "b"), ("c", tmp_path / "c")):
        cli("-C", "a", "remote", "add", name, copy)
    disk.make_read_only()
    write(tmp_path / "a/new", "y")
    done = cli("-C", "a", "sync", "b", "c", code=5)
    reason = f"cannot lock {disk.path}/b/.replican: read-only file system"
    assert f"replican: remote b: {reason}\n" in done.err
    assert (tmp_path / "c/new").read_text() == "y"
    assert not (disk.path / "b/new").exists()
