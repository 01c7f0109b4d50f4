"""What the system tells of holes, and how it flushes."""

import os
from pathlib import Path

import pytest

from replican.effects.linux import data_of, flush_filesystem

PIECE = 1 << 16


@pytest.mark.skipif(not hasattr(os, "SEEK_DATA"), reason="nobody tells of holes here")
@pytest.mark.parametrize(
    ("written", "size", "data"),
    [
        ([], 0, 0),
        ([], 10 * PIECE, 0),
        ([0], 10 * PIECE, PIECE),
        ([5 * PIECE + 7], 10 * PIECE, PIECE),
        ([PIECE, PIECE + 40_000], 10 * PIECE, PIECE),
        ([PIECE - 1], 10 * PIECE, PIECE),
        ([0, 3 * PIECE, 7 * PIECE], 10 * PIECE, 3 * PIECE),
        ([9 * PIECE + 10], 9 * PIECE + 100, 100),
        ([0, 9 * PIECE], 5 * PIECE, PIECE),
    ],
)
def test_data_in_whole_pieces(tmp_path: Path, written: list[int], size: int, data: int) -> None:
    with open(tmp_path / "holes", "w+b") as file:
        for at in written:
            file.seek(at)
            file.write(b"x")
        file.truncate(max(size, *written, 0) if written else size)
        file.flush()
        os.fsync(file.fileno())
        if data_of(file.fileno(), size, PIECE) == size > data:
            pytest.skip("this disk makes no holes")
        assert data_of(file.fileno(), size, PIECE) == data


def test_without_holes_it_is_all(tmp_path: Path) -> None:
    with open(tmp_path / "plain", "w+b") as file:
        file.write(bytes(3 * PIECE + 1))
        file.flush()
        assert data_of(file.fileno(), 3 * PIECE + 1, PIECE) == 3 * PIECE + 1


def test_a_flush_where_nothing_is_open_fails(tmp_path: Path) -> None:
    """In the tests, too, where flushes do nothing else."""
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    for flush in (os.fsync, os.fdatasync, flush_filesystem):
        flush(fd)
    os.close(fd)
    for flush in (os.fsync, os.fdatasync, flush_filesystem):
        with pytest.raises(OSError, match="Bad file descriptor"):
            flush(fd)
