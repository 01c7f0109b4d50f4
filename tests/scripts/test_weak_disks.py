"""Folders in step on real disks that hold less: FAT, NTFS, whole seconds. Skipped where none can be mounted."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from folders import contents, write

MAKERS = {
    "vfat": (["mkfs.vfat"], ["mount", "-t", "vfat", "-o", "loop,umask=022,utf8=1"]),
    "ntfs, by fuse": (["mkfs.ntfs", "-q", "-F", "-f"], ["ntfs-3g", "-o", "windows_names"]),
    "exfat": (["mkfs.exfat"], ["mount.exfat-fuse"]),
    "ext4 of whole seconds": (["mkfs.ext4", "-q", "-F", "-I", "128"], ["mount", "-o", "loop"]),
    "ext4 that folds": (["mkfs.ext4", "-q", "-F", "-O", "casefold"], ["mount", "-o", "loop"]),
}
NS = 1_600_000_000_123_456_789


def mount(how: str, base: Path) -> tuple[Path, list[list[str]]]:
    """A new disk of this kind, and how it is taken away again."""
    make, put = MAKERS[how]
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    for program in (make[0], put[0], "losetup"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            pytest.skip(f"there is no {program} here")
    image, place = base / "disk", base / "mounted"
    place.mkdir()
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, capture_output=True, text=True, env=environment, check=False)

    made = run(*make, image)
    if made.returncode != 0:
        pytest.skip(f"{make[0]} cannot make such a disk here: {made.stderr.strip()}")
    undo: list[list[str]] = [["umount", str(place)]]
    source = str(image)
    if put[0] == "mount.exfat-fuse":
        loop = run("losetup", "-f", "--show", image)
        if loop.returncode != 0:
            pytest.skip(f"no loop device here: {loop.stderr.strip()}")
        source = loop.stdout.strip()
        undo.append(["losetup", "-d", source])
    done = run(*put, source, place)
    if done.returncode != 0:
        for words in undo[1:]:
            run(*words)
        pytest.skip(f"the kernel mounts no {how}: {done.stderr.strip().splitlines()[:1]}")
    if "casefold" in make and run("chattr", "+F", place).returncode != 0:
        for words in undo:
            run(*words)
        pytest.skip("the kernel folds no names")
    return place, undo


@pytest.fixture(params=list(MAKERS))
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    place, undo = mount(request.param, tmp_path)
    try:
        yield place
    finally:
        for words in undo:
            subprocess.run(words, check=True, env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"})


def settled(cli, a: Path, b: Path) -> None:
    """A further round finds nothing to record and writes nothing."""
    heads = [cli("-C", folder, "status", "--json").json()["head"] for folder in (a, b)]
    assert heads[0] == heads[1]
    cli("-C", b, "sync", code=None)
    for folder in (a, b):
        cli("-C", folder, "commit", code=None)
        state = cli("-C", folder, "status", "--json").json()
        assert (state["head"], state["changes"]) == (heads[0], [])


def test_a_folder_and_its_copy_on_such_a_disk(cli, tmp_path: Path, disk: Path) -> None:
    a, b = tmp_path / "a", disk / "b"
    write(a / "run.sh", "#!/bin/sh", NS).chmod(0o750)
    write(a / "d/secret", "s", NS + 10**9).chmod(0o600)
    write(a / "README", "one", NS)
    write(a / "readme", "other", NS)
    write(a / "a:b", "colon", NS)
    write(a / "\u00e9/\u00fc", "accents", NS)
    (a / "link").symlink_to("run.sh")
    cli("clone", a, b, code=None)
    held = {each["path"]: each["cause"] for each in cli("-C", b, "status", "--json").json()["pending"]}
    assert contents(b) == {path: content for path, content in contents(a).items() if path not in held}
    assert set(held) <= {"readme", "a:b", "link"}
    assert {"README", "d/secret", "run.sh", "\u00e9/\u00fc"} <= set(contents(b))
    settled(cli, a, b)
    write(b / "run.sh", "edited")
    write(b / "e/new", "new")
    os.rename(a / "d", a / "D")
    write(a / "README", "one, edited")
    cli("-C", b, "sync", code=None)
    assert (a / "run.sh").read_text() == "edited"
    assert (a / "run.sh").stat().st_mode & 0o777 == 0o750, "permissions that the disk does not have are kept"
    assert (a / "D/secret").stat().st_mtime_ns == NS + 10**9, "times that the disk does not have are kept"
    assert (a / "D/secret").stat().st_mode & 0o777 == 0o600
    cli("-C", b, "sync", code=None)
    assert contents(b) == {path: content for path, content in contents(a).items() if path not in held}
    settled(cli, a, b)
    os.unlink(a / "README")
    for name in ("a:b", "link"):
        os.unlink(a / name)
    cli("-C", b, "sync")
    assert contents(b) == contents(a)
    assert (b / "readme").read_text() == "other"
    settled(cli, a, b)
    cli("-C", b, "fsck", "--content")
