"""Frozen copies: what is copied, of how many files, and what is left of them."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from folders import noise, write

from replican.effects import freezing
from replican.effects.freezing import Freezer
from replican.effects.staging import SMALL, Stage
from replican.operations.recording import record
from replican.repository import Repository
from replican.values.ids import BlobId, blob_id


@contextmanager
def frozen(root: Path, names: list[str]) -> Iterator[Freezer]:
    """The copies of files with these names that are there once the folder has been recorded."""
    with Repository.init(str(root)) as repo, Stage(f"{repo.dotdir}/stage") as stage:
        with closing(Freezer(stage, [os.fsencode(name) for name in names])) as freezer:
            assert record(repo, mirror=freezer).problems == []
            freezer.end()
            assert os.listdir(stage.path) == []
            yield freezer
        assert os.listdir(stage.path) == []


def read(freezer: Freezer, content: bytes) -> bytes | None:
    fd = freezer.open(BlobId(blob_id(content)))
    if fd is None:
        return None
    with open(fd, "rb") as copy:
        assert os.fstat(fd).st_size == len(content)
        return copy.read()


def test_of_hundreds_of_small_files_each_has_a_copy(tmp_path: Path) -> None:
    contents = {f"d/{number}": noise(3000, number) for number in range(300)}
    contents["d/empty"] = b""
    for name, content in contents.items():
        write(tmp_path / name, content)
    before = len(os.listdir("/dev/fd"))
    with frozen(tmp_path, list(contents)) as freezer:
        assert all(read(freezer, content) == content for content in contents.values())
        assert len(os.listdir("/dev/fd")) < before + 20
    assert len(os.listdir("/dev/fd")) == before


def test_two_copies_are_read_at_the_same_time(tmp_path: Path) -> None:
    one, other = noise(3000, 1), noise(5000, 2)
    write(tmp_path / "one", one)
    write(tmp_path / "other", other)
    with frozen(tmp_path, ["one", "other"]) as freezer:
        fds = [freezer.open(BlobId(blob_id(each))) for each in (one, other)]
        for fd, content in zip(fds, (one, other), strict=True):
            assert fd is not None
            with open(fd, "rb") as copy:
                assert copy.read() == content


@pytest.mark.parametrize("size", [3000, 2 * SMALL])
def test_nothing_is_copied_but_what_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Whatever else is new in its directory may be more than the disk has room for."""
    noted: list[int] = []
    monkeypatch.setattr(Freezer, "note", lambda _, copied: noted.append(copied.filled.files))
    for number in range(5):
        write(tmp_path / f"d/{number}", noise(size, number))
    with (
        Repository.init(str(tmp_path)) as repo,
        Stage(f"{repo.dotdir}/stage") as stage,
        closing(Freezer(stage, [b"d/1"])) as freezer,
    ):
        record(repo, mirror=freezer)
        freezer.end()
    assert noted == [1]


@pytest.mark.parametrize("size", [3000, 2 * SMALL])
def test_no_copy_is_made_where_there_is_little_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(freezing, "_has_room", lambda *_: False)
    content = noise(size)
    write(tmp_path / "d/file", content)
    with frozen(tmp_path, ["d/file"]) as freezer:
        assert read(freezer, content) is None


@pytest.mark.parametrize("size", [3000, 2 * SMALL])
def test_it_lies_deeper_than_a_path_can_say(tmp_path: Path, size: int) -> None:
    content = noise(size)
    way = ["d" * 200] * 30
    with ExitStack() as held:
        above = os.open(tmp_path, os.O_RDONLY)
        held.callback(os.close, above)
        for name in way:
            os.mkdir(name, dir_fd=above)
            above = os.open(name, os.O_RDONLY, dir_fd=above)
            held.callback(os.close, above)
        with open(os.open("file", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=above), "wb") as file:
            file.write(content)
    with frozen(tmp_path, ["/".join([*way, "file"])]) as freezer:
        assert read(freezer, content) == content
