"""A large file is copied, by the kernel or through buffers, and the id is that of the copy."""

import errno
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from replican.effects import copying
from replican.effects.copying import BY_KERNEL, copy_as_read, copy_hashed
from replican.values.ids import blob_id

SIZE = BY_KERNEL + 4321
Copy = Callable[[int, int, int, int, int], int]
KERNEL: Copy = getattr(os, "copy_file_range", lambda *_: 0)


HOW = ["at all", "never", "for a while", "in small pieces", "too little"]


@pytest.fixture(scope="module")
def content() -> bytes:
    return random.Random(9).randbytes(SIZE)


@pytest.fixture
def calls(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How much the kernel was asked for, which does it as the parameter says."""
    found: list[int] = []
    how = getattr(request, "param", "at all")

    def copy(source: int, target: int, count: int, at: int, to: int) -> int:
        found.append(count)
        if how == "never" or (how == "for a while" and at):
            raise OSError(errno.EXDEV, "no")
        if how == "too little" and at:
            return 0
        return KERNEL(source, target, 1 << 20 if how == "in small pieces" else count, at, to)

    monkeypatch.setattr(os, "copy_file_range", copy, raising=False)
    return found


def copied(tmp_path: Path, size: int, mode: int = os.O_RDWR) -> tuple[bytes | None, bytes]:
    """What :func:`copy_hashed` says, and what the copy holds."""
    source, target = os.open(tmp_path / "from", os.O_RDONLY), os.open(tmp_path / "to", mode | os.O_CREAT)
    try:
        return copy_hashed(source, target, size), (tmp_path / "to").read_bytes()
    finally:
        os.close(source)
        os.close(target)


@pytest.mark.skipif(not hasattr(os, "copy_file_range"), reason="no kernel that copies")
@pytest.mark.parametrize("calls", HOW, indirect=True)
def test_whoever_copies_the_copy_is_whole(tmp_path: Path, content: bytes, calls: list[int]) -> None:
    (tmp_path / "from").write_bytes(content)
    assert copied(tmp_path, SIZE) == (blob_id(content), content)
    assert calls


@pytest.mark.parametrize("size", [SIZE - 1, SIZE + 1])
def test_another_size_has_no_id(tmp_path: Path, content: bytes, size: int) -> None:
    (tmp_path / "from").write_bytes(content)
    assert copied(tmp_path, size)[0] is None


def test_what_cannot_be_read_back_goes_through_buffers(tmp_path: Path, content: bytes, calls: list[int]) -> None:
    (tmp_path / "from").write_bytes(content)
    assert copied(tmp_path, SIZE, os.O_WRONLY) == (blob_id(content), content)
    assert not calls


def test_holes_stay_holes(tmp_path: Path, calls: list[int]) -> None:
    with open(tmp_path / "from", "wb") as file:
        file.write(b"beginning")
        file.truncate(SIZE)
    found, made = copied(tmp_path, SIZE)
    assert found == blob_id(made)
    assert made == b"beginning".ljust(SIZE, b"\0")
    assert (tmp_path / "to").stat().st_blocks * 512 < 1 << 20
    assert not calls


def test_the_id_is_that_of_what_was_copied(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch, calls: list[int]
) -> None:
    """The source is written to behind what has been copied, and before it."""
    (tmp_path / "from").write_bytes(content)
    copy = os.copy_file_range

    def copy_and_change(*given: int) -> int:
        count = copy(*given)
        with open(tmp_path / "from", "r+b") as file:
            file.write(b"changed!")
            file.seek(SIZE - 8)
            file.write(b"changed!")
        return count

    monkeypatch.setattr(os, "copy_file_range", copy_and_change)
    found, made = copied(tmp_path, SIZE)
    assert found == blob_id(made)
    assert made == content[:-8] + b"changed!"
    assert found != blob_id(content)


def test_a_copy_that_cannot_be_read_back_whole_has_no_id_of_the_kernels(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch, calls: list[int]
) -> None:
    (tmp_path / "from").write_bytes(content)
    monkeypatch.setattr(copying, "_hash", lambda *_: 0)
    assert copied(tmp_path, SIZE) == (blob_id(content), content)
    assert calls


def copied_as_read(base: Path) -> tuple[int, bytes]:
    """What :func:`copy_as_read` says, and what the copy holds."""
    source, target = os.open(base / "from", os.O_RDONLY), os.open(base / "to", os.O_RDWR | os.O_CREAT)
    try:
        return copy_as_read(source, target), (base / "to").read_bytes()
    finally:
        os.close(source)
        os.close(target)


@pytest.mark.parametrize("tail", [b"", b"tail", bytes(100_000)])
def test_what_is_read_once(tmp_path: Path, content: bytes, tail: bytes) -> None:
    held = content[: 3 << 20] + tail
    (tmp_path / "from").write_bytes(held)
    assert copied_as_read(tmp_path) == (len(held), held)


@pytest.mark.parametrize("size", [100, 2 << 20, 4 << 20])
def test_what_becomes_longer_or_shorter_while_it_is_read_once(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """No more is taken than there was, and no less than there is."""
    held = content[: 3 << 20]
    (tmp_path / "from").write_bytes(held)
    read = os.preadv

    def read_and_change(fd: int, buffers: Sequence[memoryview], at: int) -> int:
        count = read(fd, buffers, at)
        os.truncate(tmp_path / "from", size)
        return count

    monkeypatch.setattr(copying, "share_content", lambda *_: False)
    monkeypatch.setattr(os, "preadv", read_and_change)
    found = held[: max(1 << 20, min(size, len(held)))]
    assert copied_as_read(tmp_path) == (len(found), found)


def test_holes_of_what_is_read_once_stay_holes(tmp_path: Path, content: bytes) -> None:
    with open(tmp_path / "from", "wb") as file:
        for at in (4 << 20, 12 << 20):
            file.seek(at)
            file.write(content[:100_000])
        file.truncate(30 << 20)
    size, copy = copied_as_read(tmp_path)
    assert (size, copy) == (30 << 20, (tmp_path / "from").read_bytes())
    assert os.stat(tmp_path / "to").st_blocks <= os.stat(tmp_path / "from").st_blocks + (1 << 20) // 512


@pytest.mark.skipif(not hasattr(os, "copy_file_range"), reason="no kernel that copies")
@pytest.mark.parametrize("size", [SIZE, SIZE - 1, SIZE + 1])
@pytest.mark.parametrize("calls", HOW, indirect=True)
def test_each_byte_is_told_once_and_none_of_what_came_to_nothing(
    tmp_path: Path, content: bytes, calls: list[int], size: int
) -> None:
    (tmp_path / "from").write_bytes(content)
    told: list[int] = []
    source, target = os.open(tmp_path / "from", os.O_RDONLY), os.open(tmp_path / "to", os.O_RDWR | os.O_CREAT)
    blob = copy_hashed(source, target, size, told.append)
    os.close(source)
    os.close(target)
    assert sum(told) == (0 if blob is None else SIZE)
    assert (blob is None) == (size != SIZE)
    assert len(told) > 2
