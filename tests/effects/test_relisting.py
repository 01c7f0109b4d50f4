"""The list of a new version, made of the old one's: it is what cutting the new version gives, however it came about."""

import random

import pytest
from folders import noise

from replican import chunking
from replican.effects import relisting
from replican.effects.blocks import blocks_of_pieces
from replican.effects.relisting import Relisting
from replican.values.blocks import MOST

OLD = noise(2 << 20)
BLOCKS = blocks_of_pieces([OLD])
ENDS = [block.offset + block.length for block in BLOCKS]
Step = tuple[int, int] | bytes


def made(steps: list[Step]) -> tuple[Relisting, bytes]:
    """What takes these steps, and what they come to."""
    listing, new = Relisting(BLOCKS), bytearray()
    for step in steps:
        if isinstance(step, bytes):
            listing.new(step)
            new += step
        else:
            data = OLD[step[0] : step[0] + step[1]]
            listing.old(step[0], memoryview(data))
            new += data
    return listing, bytes(new)


CASES: dict[str, list[Step]] = {
    "nothing": [],
    "all of it": [(0, len(OLD))],
    "block by block": [(block.offset, block.length) for block in BLOCKS],
    "byte by byte, at an end": [(ENDS[0] - 1, 1), (ENDS[0], 1), (ENDS[0] + 1, 1)],
    "new bytes in the middle of a block": [(0, ENDS[3] + 5), b"new", (ENDS[3] + 5, len(OLD) - ENDS[3] - 5)],
    "new bytes where a block ends": [(0, ENDS[3]), b"new", (ENDS[3], len(OLD) - ENDS[3])],
    "a byte changed behind where a block ends": [(0, ENDS[3]), b"\0", (ENDS[3] + 1, len(OLD) - ENDS[3] - 1)],
    "many new bytes": [(0, ENDS[3]), noise(3 << 20, 1), (ENDS[3], len(OLD) - ENDS[3])],
    "only new bytes": [noise(600_000, 2)],
    "the last block, then others": [(ENDS[-2], len(OLD) - ENDS[-2]), (0, len(OLD))],
    "a block twice": [(0, ENDS[2]), (ENDS[1], len(OLD) - ENDS[1])],
    "zeros": [(0, ENDS[2]), bytes(2 * MOST), (ENDS[2], 1000)],
}


@pytest.mark.parametrize("name", CASES)
def test_the_list_is_that_of_what_it_comes_to(name: str) -> None:
    listing, new = made(CASES[name])
    assert listing.blocks() == blocks_of_pieces([new])


@pytest.mark.parametrize("seed", range(40))
def test_any_steps(seed: int) -> None:
    rng = random.Random(seed)
    steps: list[Step] = []
    for _ in range(rng.randrange(1, 12)):
        if rng.random() < 0.4:
            steps.append(rng.randbytes(rng.choice([1, 5000, 300_000])))
        else:
            offset = rng.choice([*ENDS[:-1], rng.randrange(len(OLD))])
            length = rng.choice([*ENDS, rng.randrange(len(OLD)), 1])
            steps.append((offset, max(1, min(length - offset, len(OLD) - offset) if length > offset else 1)))
    listing, new = made(steps)
    assert listing.blocks() == blocks_of_pieces([new])


def test_what_is_cut_already_is_not_cut_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cut: list[int] = []

    def cut_lengths(data: bytes) -> list[int]:
        cut.append(len(data))
        return chunking.cut_lengths(data)

    monkeypatch.setattr(relisting, "cut_lengths", cut_lengths)
    listing, _ = made([(block.offset, block.length) for block in BLOCKS])
    assert listing.blocks() == BLOCKS
    listing, _ = made([(0, ENDS[8]), b"new", (ENDS[8], len(OLD) - ENDS[8])])
    listing.blocks()
    assert sum(cut) < 8 * MOST


def test_beyond_what_the_old_version_had_there_is_no_list() -> None:
    listing = Relisting(BLOCKS)
    listing.old(len(OLD) - 10, memoryview(bytes(20)))
    assert listing.blocks() is None
    listing = Relisting(blocks_of_pieces([b""]))
    listing.old(0, memoryview(b"1"))
    assert listing.blocks() is None


def test_without_the_compiled_part_only_little_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relisting, "is_fast", lambda: False)
    listing, new = made([(0, ENDS[3]), b"new", (ENDS[3], len(OLD) - ENDS[3])])
    assert listing.blocks() == blocks_of_pieces([new])
    listing, _ = made([(0, ENDS[3]), noise(2 * MOST + 1), (ENDS[3], len(OLD) - ENDS[3])])
    assert listing.blocks() is None
