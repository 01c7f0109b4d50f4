"""Something else lies where replican keeps a file or a directory: said, never waited for, never written through."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from folders import assert_equal, contents, snapshot, write

pytestmark = pytest.mark.within

Change = Callable[[Path], object]


@pytest.fixture
def two(cli, tmp_path: Path) -> tuple[Path, Path]:
    """A folder and its clone, both with edits that are not recorded yet; ``outside`` is somebody else's folder."""
    a, b = tmp_path / "a", tmp_path / "b"
    write(a / "folder/file", "x")
    write(a / "other", "y")
    cli("clone", "a", "b")
    write(a / "folder/file", "edited by a")
    write(b / "new", "by b")
    write(tmp_path / "outside/file", "of somebody else")
    return a, b


def away(path: Path) -> None:
    """Take away what lies there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def fifo(path: Path) -> None:
    away(path)
    os.mkfifo(path)


def file(path: Path) -> None:
    away(path)
    path.write_text("in the way")


def directory(path: Path) -> None:
    away(path)
    write(path / "in the way", "x")


def link(path: Path) -> None:
    """A link to something of the kind that should be there, outside."""
    kept = outside_of(path) / "kept"
    if path.is_dir():
        shutil.copytree(path, kept)
    elif path.exists():
        shutil.copy2(path, kept)
    away(path)
    path.symlink_to(kept)


def outside_of(path: Path) -> Path:
    while path.name != "b":
        path = path.parent
    return path.parent / "outside"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("config.toml", fifo),
        ("config.toml", directory),
        ("config.toml", link),
        ("index.db", directory),
        ("index.db-wal", directory),
        ("lock", directory),
        ("lock", link),
        ("refs", link),
        ("refs/head", fifo),
        ("refs/head", directory),
        ("refs/head", link),
        ("refs/head.log", fifo),
        ("refs/head.log", directory),
        ("refs/remotes/origin", link),
        ("refs/remotes/origin", fifo),
        ("objects", link),
        ("objects/loose", fifo),
        ("stage", file),
        ("stage", link),
        ("trash", fifo),
        ("trash", link),
    ],
)
def test_something_else_in_its_place(cli, two, tmp_path: Path, name: str, change: Change) -> None:
    a, b = two
    path = b / ".replican" / name
    kept = tmp_path / "kept"
    if path.is_dir():
        shutil.copytree(path, kept)
    elif path.exists():
        shutil.copy2(path, kept)
    change(path)
    before = snapshot(a), snapshot(b), snapshot(tmp_path / "outside")
    refused = cli("-C", b, "sync", code=6)
    assert name.removeprefix("refs/").removesuffix(".log") in refused.err
    assert (snapshot(a), snapshot(b), snapshot(tmp_path / "outside")) == before
    away(path)
    if kept.exists():
        kept.rename(path)
    cli("-C", b, "sync")
    assert_equal(a, b)
    assert contents(b) == {"folder/file": b"edited by a", "other": b"y", "new": b"by b"}


@pytest.mark.parametrize("name", ["index.db", "index.db-wal", "index.db-shm"])
@pytest.mark.parametrize("change", [fifo, link])
def test_an_index_that_is_no_file_is_made_anew(cli, two, tmp_path: Path, name: str, change: Change) -> None:
    a, b = two
    change(b / ".replican" / name)
    before = snapshot(tmp_path / "outside")
    cli("-C", b, "status", code=None)
    done = cli("-C", b, "sync")
    assert "the index was damaged" in done.err
    assert snapshot(tmp_path / "outside") == before
    assert_equal(a, b)
    assert contents(b) == {"folder/file": b"edited by a", "other": b"y", "new": b"by b"}


def test_damage_to_the_texts_of_the_index(cli, two) -> None:
    """SQLite's message about them is not UTF-8 then."""
    a, b = two
    index = b / ".replican/index.db"
    data = index.read_bytes()
    assert b"CREATE TABLE dirs" in data
    index.write_bytes(data.replace(b"CREATE TABLE dirs", b"CREATE TABL\xc5 d\xffrs"))
    assert "the index is damaged" in cli("-C", b, "fsck", code=6).text
    assert "the index was damaged" in cli("-C", b, "sync").err
    assert_equal(a, b)


@pytest.mark.parametrize("side", ["a", "b"])
def test_objects_that_are_gone(cli, two, side: str) -> None:
    a, b = two
    shutil.rmtree((a if side == "a" else b) / ".replican/objects/loose")
    before = snapshot(a), snapshot(b)
    refused = cli("-C", b, "sync", code=5 if side == "a" else 6)
    assert "no object" in refused.err
    assert "fsck" in refused.err
    assert (snapshot(a), snapshot(b)) == before


def test_a_head_that_is_nowhere(cli, two) -> None:
    a, b = two
    ref = b / ".replican/refs/head"
    good = ref.read_text()
    ref.write_text("0123456789abcdef" * 4 + "\n")
    for words in (["sync"], ["commit"], ["log"]):
        assert "no object 0123456789abcdef" in cli("-C", b, *words, code=6).err
    cli("-C", b, "update-ref", "head", good.strip(), code=None)
    ref.write_text(good)
    cli("-C", b, "sync")
    assert_equal(a, b)


def test_nothing_in_the_trash_is_waited_for(cli, two) -> None:
    a, b = two
    cli("-C", b, "sync")
    (a / "folder/file").unlink()
    cli("-C", b, "sync")
    trashed = [path for path in (b / ".replican/trash").iterdir() if path.read_bytes() == b"edited by a"]
    for path in trashed:
        fifo(path)
    write(a / "again", "edited by a")
    cli("-C", b, "sync")
    assert_equal(a, b)
    cli("-C", b, "gc")
