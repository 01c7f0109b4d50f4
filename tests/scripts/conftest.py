"""Two folders in step, for all black-box tests."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from folders import SECOND, write
from in_process import InProcess


@pytest.fixture
def two(cli, tmp_path: Path) -> tuple[Path, Path]:
    """A folder with some of everything, and its clone."""
    a = tmp_path / "a"
    write(a / "letter.txt", "dear all\n", 1_600_000_000 * SECOND + 123_456_789)
    write(a / "old.txt", "before the epoch", -86_400 * SECOND + 1)
    write(a / "empty", b"")
    write(a / "run.sh", "#!/bin/sh\n").chmod(0o751)
    for number in range(40):
        write(a / f"photos/2020/{number:02}.jpg", f"photo {number}")
    (a / "hollow/inside").mkdir(parents=True)
    (a / "link").symlink_to("letter.txt")
    (a / "dangling").symlink_to("nowhere/at all")
    os.utime(a / "link", ns=(5, 7), follow_symlinks=False)
    cli("clone", "a", "b")
    return a, tmp_path / "b"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder with a log of its own, beside a file that no command may ever touch."""
    write(tmp_path / "outside/secret", "not yours")
    write(tmp_path / "victim/mine", "mine")
    InProcess(tmp_path)("init", "victim")
    InProcess(tmp_path / "victim")("commit")
    return tmp_path / "victim"


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own in the folder ``a``, at ``disk``."""
    place = tmp_path / "a/disk"
    place.mkdir(parents=True)
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "none", place], check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield place
    if os.path.ismount(place):
        subprocess.run(["umount", place], check=True)
