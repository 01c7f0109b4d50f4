import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from replican.effects.blocks import CuttingBeside, blocks_of_pieces, read_blocks, read_hashed_blocks
from replican.values.ids import blob_id

CONTENT = b"".join(blob_id(b"%d" % number) for number in range(100_000))


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "file").write_bytes(CONTENT)
    fd = os.open(tmp_path / "file", os.O_RDWR)
    yield fd
    os.close(fd)


def test_it_makes_no_difference_how_content_comes(fd: int) -> None:
    os.lseek(fd, 1000, os.SEEK_SET)
    blocks = read_blocks(fd, len(CONTENT))
    assert blocks == blocks_of_pieces([CONTENT])
    assert blocks == blocks_of_pieces(CONTENT[at : at + 70_001] for at in range(0, len(CONTENT), 70_001))
    assert blocks == blocks_of_pieces([b"", CONTENT[:5], b"", b"", CONTENT[5:], b""])
    assert read_hashed_blocks(fd, len(CONTENT)) == (blob_id(CONTENT), blocks)
    assert os.lseek(fd, 0, os.SEEK_CUR) == 1000


@pytest.mark.parametrize("size", [0, len(CONTENT) - 1, len(CONTENT) + 1])
def test_a_file_of_another_size_has_no_list(fd: int, size: int) -> None:
    assert read_blocks(fd, size) is None
    assert read_hashed_blocks(fd, size) is None


def test_an_empty_file_has_one(fd: int) -> None:
    os.ftruncate(fd, 0)
    assert read_hashed_blocks(fd, 0) == (blob_id(b""), blocks_of_pieces([]))


def test_what_cannot_be_read_has_none(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        assert read_blocks(directory, 10) is None
    finally:
        os.close(directory)


def test_cutting_beside() -> None:
    with CuttingBeside() as cutting:
        for at in range(0, len(CONTENT), 70_001):
            cutting.update(CONTENT[at : at + 70_001])
        assert cutting.blocks() == blocks_of_pieces([CONTENT])
    with CuttingBeside() as cutting:
        cutting.update(b"some of it")  # and then somebody thinks better of it
