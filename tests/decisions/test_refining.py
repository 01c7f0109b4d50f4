"""What of missing blocks is here all the same."""

import random

import pytest
from folders import noise

from replican.decisions.delta import FETCHED, Range, plan_delta
from replican.decisions.refining import LONGEST, Gap, Part, Place, gaps_of, parts_of_gap, refined
from replican.effects.blocks import blocks_of_pieces
from replican.values.sums import PIECE, sums_of_block

OLD = noise(2 << 20)


def read(place: Place, size: int) -> bytes:
    assert place.basis == 0
    assert place.offset >= 0
    return OLD[place.offset : place.offset + size]


def refine(new: bytes, old: bytes = OLD) -> tuple[int, int]:
    """How many bytes are missing before, and how many afterwards; what is put together then is ``new``."""
    wanted = blocks_of_pieces([new]).shortened()
    plan = plan_delta(wanted, [blocks_of_pieces([old])])
    gaps = gaps_of(plan, [len(old)])
    sums = b"".join(sums_of_block(memoryview(new)[at : at + size]) for at, size in [gap.range for gap in gaps])
    finer, parts = refined(plan, gaps, sums, read)
    missing = iter([new[at : at + length] for at, length in finer.missing])
    fetched = bytearray().join(missing)
    made = bytearray()
    for number, (block, basis, source) in enumerate(finer.pieces):
        whole = [Part(block.offset, block.length, basis, source)]
        for offset, length, part_basis, part_source in parts.get(number, whole):
            assert offset == len(made)
            if part_basis == FETCHED:
                made += fetched[:length]
                del fetched[:length]
            else:
                made += old[part_source : part_source + length]
    assert made == new
    assert not fetched
    return plan.missing_size, finer.missing_size


def test_bytes_here_and_there() -> None:
    new = bytearray(OLD)
    for at in range(7, len(new), 100_000):
        new[at] ^= 1
    before, after = refine(bytes(new))
    assert before > 1 << 20
    assert after <= 21 * PIECE


@pytest.mark.parametrize("at", [0, 5, 100_000, len(OLD) - 5, len(OLD)])
def test_an_edit(at: int) -> None:
    for new in (OLD[:at] + noise(3) + OLD[at:], OLD[:at] + OLD[at + 3 :], OLD[:at] + noise(3) + OLD[at + 3 :]):
        assert refine(new)[1] <= 3 + 2 * PIECE


@pytest.mark.parametrize("seed", range(20))
def test_any_edits(seed: int) -> None:
    rng = random.Random(seed)
    new = bytearray(OLD)
    for _ in range(rng.randrange(1, 9)):
        at = rng.randrange(len(new))
        new[at : at + rng.choice([0, 1, 5000, 100_000])] = rng.randbytes(rng.choice([0, 1, 5000, 100_000]))
    before, after = refine(bytes(new))
    assert after <= before


def test_of_what_is_only_new_nothing_is_expected() -> None:
    assert refine(noise(1 << 20, 1)) == (1 << 20, 1 << 20)
    blocks = blocks_of_pieces([OLD])
    at = next(block.offset for block in blocks if block.offset > 1 << 20)
    wanted = blocks_of_pieces([OLD[:at] + noise(300_000, 1) + OLD[at:]])
    for gap in gaps_of(plan_delta(wanted, [blocks]), [len(OLD)]):
        assert gap.promise < 300_000
    much = OLD[: 1 << 20] + noise(LONGEST, 1) + OLD[1 << 20 :]
    assert gaps_of(plan_delta(blocks_of_pieces([much]), [blocks]), [len(OLD)]) == []


def test_what_lies_in_place_says_nothing_of_what_is_around() -> None:
    new = OLD[:1000] + b"x" + OLD[1001:]
    wanted = blocks_of_pieces([new])
    offsets = frozenset(block.offset for block in wanted if block.offset)
    assert gaps_of(plan_delta(wanted, [], offsets), []) == []


@pytest.mark.parametrize("sums", [bytes(400), b"\xff" * 400])
def test_sums_that_match_nothing(sums: bytes) -> None:
    gap = Gap(0, 1, Range(1000, 20_000), Place(0, 5), Place(0, 10_000))
    assert parts_of_gap(gap, sums, read) == [Part(1000, 20_000, FETCHED, 0)]


def test_what_is_read_may_be_shorter_by_now() -> None:
    gap = Gap(0, 1, Range(0, 20_000), Place(0, 0), Place(0, 20_000))
    sums = sums_of_block(memoryview(OLD)[:20_000])
    assert parts_of_gap(gap, sums, read) == [Part(0, 20_000, 0, 0)]
    assert parts_of_gap(gap, sums, lambda place, _: read(place, 5000)) == [
        Part(0, PIECE, 0, 0),
        Part(PIECE, 20_000 - PIECE, FETCHED, 0),
    ]
    assert parts_of_gap(gap, sums, lambda *_: b"") == [Part(0, 20_000, FETCHED, 0)]
