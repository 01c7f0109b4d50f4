"""`replican watch`, and disks that are taken out: one in the folder, whose files were not deleted by anybody, and one
that holds the folder, or a remote: who has the watch paused may take it out.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from folders import contents, write
from watching import Watch, eventually, holds, watching


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


class Disk:
    """A file system of its own, in a file, to be taken out and put back. ``path`` is where it is mounted."""

    def __init__(self, base: Path) -> None:
        self.path = base / "disk"
        self.path.mkdir()
        self._image = base / "image"
        with self._image.open("wb") as file:
            file.truncate(32 << 20)

    def make(self) -> bool:
        if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
            return False
        subprocess.run(["mkfs.ext4", "-q", "-F", self._image], check=True)
        return self.put_in() == 0

    def put_in(self) -> int:
        return subprocess.run(["mount", "-o", "loop", self._image, self.path], check=False).returncode

    def take_out(self) -> None:
        """Fails where something on it is in use."""
        assert opened_below(self.path) == []
        # Whoever asks what processes have open, as another test may at this moment, uses it while the answer is made.
        eventually(lambda: subprocess.run(["umount", self.path], check=False).returncode == 0)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path)
    if not made.make():
        pytest.skip("no file system can be mounted here")
    yield made
    if made.path.is_mount():
        subprocess.run(["umount", "-l", made.path], check=True)


@contextmanager
def watched_from_within(root: Path) -> Iterator[Watch]:
    """As by who stands in the folder."""
    watch = Watch(root, under=("env", "-C", str(root)))
    try:
        yield watch
        assert watch.stop() == 0
    finally:
        watch.kill()


@pytest.fixture
def clone_on_disk(cli, tmp_path: Path, disk: Disk) -> tuple[Path, Path]:
    """A folder, and its clone on the disk; both have packs, and each is a remote of the other."""
    here, there = tmp_path / "here", disk.path / "there"
    for number in range(40):
        write(here / f"d{number}/file", "x")
    cli("clone", here, there)
    cli("-C", here, "remote", "add", "there", there)
    for root in (here, there):
        cli("-C", root, "gc")
    return here, there


@pytest.mark.parametrize("which", [0, 1])
def test_a_disk_is_let_go_of_in_a_pause(which: int, clone_on_disk: tuple[Path, Path], disk: Disk, cli) -> None:
    """The disk that has a remote of the folder (which nobody watches), and the disk that has the folder."""
    here, there = clone_on_disk
    root = (here, there)[which]
    with watched_from_within(root) as watch:
        watch.wait("synced", equal=True)
        write(here / "before", "1")
        write(there / "before too", "1")
        eventually(lambda: holds(there / "before", "1") and holds(here / "before too", "1"))
        with pytest.raises(AssertionError):
            disk.take_out()
        cli("-C", root, "watch", "--pause")
        disk.take_out()
        write(here / "meanwhile", "2")
        time.sleep(1)
        assert not any(disk.path.iterdir()), "nothing is made where the disk was"
        disk.put_in()
        write(there / "meanwhile too", "2")
        assert cli("-C", root, "status", "--json").json()["watch"]["paused"] is True
        assert "paused" in cli("-C", root, "watch", code=7).err
        assert not (there / "meanwhile").exists()
        cli("-C", root, "watch", "--resume")
        eventually(lambda: holds(there / "meanwhile", "2") and holds(here / "meanwhile too", "2"))
        write(there / "after", "3")
        eventually(lambda: holds(here / "after", "3"))
        assert "error" not in watch.kinds()
    assert contents(here) == contents(there)


def test_a_watch_that_is_paused_ends_without_its_disk(clone_on_disk: tuple[Path, Path], disk: Disk, cli) -> None:
    _, there = clone_on_disk
    with watched_from_within(there) as watch:
        watch.wait("synced", equal=True)
        cli("-C", there, "watch", "--pause")
        disk.take_out()
    assert not any(disk.path.iterdir())
    disk.put_in()
    with watched_from_within(there) as watch:
        watch.wait("synced", equal=True)


@pytest.mark.parametrize("place", ["there", "."])
def test_a_remote_whose_disk_is_torn_off(place: str, cli, tmp_path: Path, disk: Disk) -> None:
    """Unmounted in the midst of its use: what lies there now is no log that begins anew."""
    here, there = tmp_path / "here", disk.path / place
    write(here / "file", "x")
    cli("clone", here, tmp_path / "clone")
    if place == ".":
        shutil.rmtree(disk.path / "lost+found")
        cli("-C", there, "init")
        cli("-C", here, "remote", "add", "disk", there)
        cli("-C", here, "sync")
    else:
        cli("clone", here, there)
        cli("-C", here, "remote", "add", "disk", there)
    with watched_from_within(here) as watch:
        watch.wait("synced", equal=True)
        subprocess.run(["umount", "-l", disk.path], check=True)
        write(here / "new", "y")
        lost = watch.wait("remote-lost")
        assert "disk" in lost["hint"], lost
        time.sleep(3)
        assert "error" not in watch.kinds()
        assert not any("anew" in str(event) for event in watch.events)
        disk.put_in()
        cli("-C", here, "config", "core.timeout", "60")  # as anything that has the couriers begin anew
        eventually(lambda: holds(there / "new", "y"))


@pytest.mark.parametrize("which", [0, 1])
def test_a_disk_whose_large_file_is_being_read_is_let_go_of(
    which: int, clone_on_disk: tuple[Path, Path], disk: Disk, cli
) -> None:
    here, there = clone_on_disk
    root = (here, there)[which]
    with watched_from_within(root) as watch:
        watch.wait("synced", equal=True)
        with (there / "large").open("wb") as file:
            file.truncate(8 << 30)
        eventually(lambda: is_read(there / "large"))
        cli("-C", root, "watch", "--pause")
        disk.take_out()
        disk.put_in()
        (there / "large").unlink()
        cli("-C", root, "watch", "--resume")
        write(there / "after", "1")
        eventually(lambda: holds(here / "after", "1"))


def is_read(path: Path) -> bool:
    """Whether some process has it open."""
    return str(path) in set(opened())


def opened_below(path: Path) -> list[str]:
    """What processes have open there, and where they stand."""
    return [each for each in opened() if each == str(path) or each.startswith(f"{path}/")]


def opened() -> Iterator[str]:
    """Where what processes have open lies, and where they stand."""
    for pattern in ("[0-9]*/fd/*", "[0-9]*/cwd"):
        for place in Path("/proc").glob(pattern):
            try:
                yield os.readlink(place)
            except OSError:
                continue
