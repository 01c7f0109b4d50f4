"""Folders deeper than any path can name, and what is left alone: none of it holds up the rest."""

import os
import subprocess
from pathlib import Path

import pytest
from folders import write


def dig(folder: Path, names: list[str], content: bytes) -> None:
    """Write the file ``leaf`` below directories of these names, which may be more than a path can hold."""
    fd = os.open(folder, os.O_RDONLY)
    for name in names:
        try:
            os.mkdir(name, dir_fd=fd)
        except FileExistsError:
            pass
        fd = deeper(fd, name)
    leaf = os.open("leaf", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, dir_fd=fd)
    os.write(leaf, content)
    os.close(leaf)
    os.close(fd)


def bottom(folder: Path, names: list[str]) -> bytes | None:
    """What is in the file ``leaf`` down there."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        for name in names:
            fd = deeper(fd, name)
        leaf = os.open("leaf", os.O_RDONLY, dir_fd=fd)
    except FileNotFoundError:
        return None
    finally:
        os.close(fd)
    try:
        return os.read(leaf, 100)
    finally:
        os.close(leaf)


def deeper(fd: int, name: str) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    "names", [["n" * 200 + str(level) for level in range(30)], ["d"] * 1200], ids=["long names", "many levels"]
)
def test_a_place_deeper_than_a_path(cli, tmp_path: Path, names: list[str]) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    write(a / "top", "x")
    dig(a, names, b"one")
    cli("clone", "a", "b")
    assert bottom(b, names) == b"one"
    dig(a, names, b"two")
    write(a / "top", "y")
    cli("-C", b, "sync")
    assert bottom(b, names) == b"two"
    dig(a, ["more", *names], b"three")
    cli("-C", b, "sync")
    assert bottom(b, ["more", *names]) == b"three"
    assert (b / "top").read_text() == "y"
    cli("-C", b, "fsck", "--content")
    # What an interrupted run left of it on the stage goes, too.
    dig(b / ".replican/stage", ["left", *names], b"left over")
    write(a / "top", "z")
    cli("-C", b, "sync")
    assert os.listdir(b / ".replican/stage") == []
    subprocess.run(["rm", "-rf", a / "more", a / names[0]], check=True)
    cli("-C", b, "sync")
    assert sorted(os.listdir(b)) == [".replican", "top"]


def test_what_a_clone_leaves_alone_is_said(cli, tmp_path: Path) -> None:
    """The source's owner, who is not asked, would miss it in the copy."""
    write(tmp_path / "a/file", "x")
    write(tmp_path / "a/.Replican", "y")
    os.mkfifo(tmp_path / "a/fifo\n")
    done = cli("clone", "a", "b")
    assert "origin: not recorded, and left alone: .Replican: name not allowed" in done.err
    assert '"fifo\\n": ' in done.err
    assert "left alone" not in cli("-C", "b", "sync").err
