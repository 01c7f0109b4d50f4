"""Cuts are part of the format: that of two peers differ would cost every delta."""

import hashlib
import io
import os
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from xxhash import xxh3_128_digest

from replican.chunking import cut, cut_pieces, is_fast
from replican.values.blocks import LEAST, MOST, BlockList, list_blocks

MIB = 1 << 20


def content(length: int, seed: int = 1) -> bytes:
    """Bytes that no release of Python's generator can change."""
    return b"".join(hashlib.sha256(b"%d %d" % (seed, number)).digest() for number in range(length // 32 + 1))[:length]


def blocks_of(data: bytes) -> BlockList:
    return list_blocks(cut(io.BytesIO(data).readinto))


def ends_of(data: bytes) -> list[int]:
    return [block.offset + block.length for block in blocks_of(data)]


@pytest.fixture(scope="module")
def data() -> bytes:
    return content(2 * MIB)


GOLDEN = [
    57019,
    242725,
    265230,
    392050,
    541769,
    588391,
    619739,
    690327,
    829191,
    928429,
    1006211,
    1055980,
    1167351,
    1232613,
    1317933,
    1366237,
    1409257,
    1453613,
    1616576,
    1809250,
    2036504,
    2097152,
]


def test_golden_cuts(data: bytes) -> None:
    assert ends_of(data) == GOLDEN


EDITS: dict[str, tuple[Callable[[bytes], bytes], int, int]] = {
    "ten bytes in front": (lambda data: content(10, 2) + data, 1, 57029),
    "bytes inserted in the middle": (lambda data: data[:MIB] + content(70_000, 2) + data[MIB:], 2, 119769),
    "bytes appended": (lambda data: data + content(70_000, 2), 2, 130648),
    "a byte changed": (lambda data: data[:MIB] + bytes([data[MIB] ^ 1]) + data[MIB + 1 :], 1, 49769),
    "the middle taken out": (lambda data: data[: MIB // 2] + data[MIB:], 1, 251013),
}


@pytest.mark.parametrize("name", EDITS)
def test_golden_cuts_after_an_edit(data: bytes, name: str) -> None:
    """Only the cuts about the edit are others: how many blocks are new, how many bytes these have."""
    edit, count, size = EDITS[name]
    known = {block.hash for block in blocks_of(data)}
    new = [block for block in blocks_of(edit(data)) if block.hash not in known]
    assert (len(new), sum(block.length for block in new)) == (count, size)


def test_blocks_are_the_content(data: bytes) -> None:
    blocks = blocks_of(data)
    assert blocks.size == len(data)
    for block in blocks:
        assert block.hash == xxh3_128_digest(data[block.offset : block.offset + block.length])
    assert all(LEAST <= block.length <= MOST for block in list(blocks)[:-1])


@pytest.mark.parametrize("length", [0, 1, LEAST - 1, LEAST, LEAST + 1, MOST + 1])
def test_small_content(length: int) -> None:
    data = content(length)
    blocks = blocks_of(data)
    assert blocks.size == length
    assert (len(blocks) == 0) == (length == 0)


def test_zeros_are_cut_at_the_largest_size() -> None:
    assert [block.length for block in blocks_of(bytes(3 * MOST))] == [MOST] * 3


def test_how_it_is_read_makes_no_difference(data: bytes) -> None:
    rng = random.Random(3)
    file = io.BytesIO(data)

    def few(buffer: memoryview) -> int:
        return file.readinto(buffer[: rng.randrange(1, 100_000)])

    assert list_blocks(cut(few)) == blocks_of(data)


def test_memory_does_not_grow_with_the_content() -> None:
    left = 64 * MIB

    def readinto(buffer: memoryview) -> int:
        nonlocal left
        count = min(left, len(buffer))
        left -= count
        return count

    tracemalloc.start()
    try:
        assert sum(length for length, _ in cut(readinto)) == 64 * MIB
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()


def in_plain_python(script: str, cwd: Path) -> str:
    """What a script prints where the package has no compiled part; a warning would be an error."""
    script = f"import sys; sys.modules['pyfastcdc.cy'] = None\n{script}"
    command = [sys.executable, "-W", "error", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=cwd).stdout


def test_the_compiled_part_is_there_and_gives_the_cuts_of_the_plain_one(data: bytes, tmp_path: Path) -> None:
    assert is_fast()
    (tmp_path / "data").write_bytes(data[: MIB // 2])
    script = """
import os
from replican.chunking import cut, cut_pieces, is_fast
with open("data", "rb") as file:
    print(is_fast(), [length for length, _ in cut(file.readinto)])
"""
    lengths = [block.length for block in blocks_of(data[: MIB // 2])]
    assert in_plain_python(script, tmp_path) == f"False {lengths}{os.linesep}"


def test_the_package_is_imported_when_something_is_cut(tmp_path: Path) -> None:
    script = "import sys, replican.chunking; print({'pyfastcdc', 'xxhash'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "set()\n"


def pieces_like(data: bytes, old: bytes) -> list[tuple[bytes, bytes]]:
    """The pieces of ``data`` where the list of ``old`` is known, which makes no difference."""
    found = [(bytes(piece), hash) for piece, hash in cut_pieces(io.BytesIO(data).readinto, blocks_of(old))]
    assert found == [(bytes(piece), hash) for piece, hash in cut_pieces(io.BytesIO(data).readinto)]
    return found


@pytest.mark.parametrize("name", EDITS)
def test_with_the_list_of_another_version_the_pieces_are_the_same(data: bytes, name: str) -> None:
    new = EDITS[name][0](data)
    assert b"".join(piece for piece, _ in pieces_like(new, data)) == new
    pieces_like(data, new)


@pytest.mark.parametrize("end", GOLDEN[:-1])
def test_the_byte_after_a_block_has_a_say(data: bytes, end: int) -> None:
    """Most of these edits leave the block before as it is, and it may end elsewhere all the same."""
    for byte in (0, 77, 131, 255):
        pieces_like(data[:end] + bytes([byte]) + data[end + 1 :], data)
    pieces_like(data[:end], data)
    pieces_like(data[end:] + data[:end], data)


def test_with_any_other_version_the_pieces_are_the_same(data: bytes) -> None:
    rng = random.Random(7)
    old = data
    for _ in range(20):
        at, length = rng.randrange(len(old)), rng.choice([1, 1000, 100_000, 700_000])
        new = old[:at] + rng.choice([b"", rng.randbytes(length), old[-length:], bytes(length)]) + old[at + length :]
        pieces_like(new, old)
        old = new
    for other in (b"", data[:1000], bytes(5 * MOST), content(MIB, 9)):
        pieces_like(data, other)
        pieces_like(other, data)
