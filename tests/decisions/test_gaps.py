"""What of an edited region is as it was."""

import pytest
from folders import noise

from replican.decisions.gaps import Kept, kept_of_gap
from replican.values.blocks import LEAST, list_blocks
from replican.values.ids import blob_id
from replican.values.sums import PIECE, FineSums, sums_of_block

OLD = noise(3 * LEAST + 10)
BLOCKS = list_blocks((min(LEAST, len(OLD) - at), blob_id(b"%d" % at)[:16]) for at in range(0, len(OLD), LEAST))
SUMS = FineSums(BLOCKS, b"".join(sums_of_block(memoryview(OLD)[at : at + LEAST]) for at in range(0, len(OLD), LEAST)))


def kept(new: bytes, start: int = 0, end: int | None = len(BLOCKS)) -> list[Kept]:
    """What is found; it is as it was."""
    behind = None if end is None else sum([length for _, length, _ in list(BLOCKS)[:end]])
    found = kept_of_gap(
        memoryview(new), start, SUMS.pieces_from(start), behind, SUMS.pieces_before(end) if end is not None else ()
    )
    told = 0
    for each in found:
        assert each.start >= told
        told = each.start + each.length
        assert new[each.start : told] == OLD[each.offset : each.offset + each.length]
    assert told <= len(new)
    return found


def test_nothing_changed() -> None:
    assert kept(OLD) == [Kept(0, len(OLD), 0)]
    assert kept(b"") == []
    assert kept(b"x") == []


def test_one_byte_changed() -> None:
    new = bytearray(OLD)
    new[PIECE + 5] ^= 1
    assert kept(bytes(new)) == [Kept(0, PIECE, 0), Kept(2 * PIECE, len(OLD) - 2 * PIECE, 2 * PIECE)]


@pytest.mark.parametrize("at", [0, 1, PIECE, LEAST, LEAST + 5, len(OLD)])
@pytest.mark.parametrize("count", [1, PIECE, 3 * LEAST])
def test_bytes_inserted(at: int, count: int) -> None:
    found = kept(OLD[:at] + noise(count, 1) + OLD[at:])
    assert sum([each.length for each in found]) >= len(OLD) - PIECE


@pytest.mark.parametrize("at", [0, 1, PIECE, LEAST + 5])
@pytest.mark.parametrize("count", [1, PIECE, LEAST])
def test_bytes_deleted(at: int, count: int) -> None:
    """What is left of a piece is new, before the edit and behind it."""
    found = kept(OLD[:at] + OLD[at + count :])
    assert sum([each.length for each in found]) >= len(OLD) - count - 2 * PIECE


def test_where_the_end_is_not_known() -> None:
    new = OLD[: PIECE + 5] + b"new" + OLD[PIECE + 5 :]
    assert kept(new, end=None) == [Kept(0, PIECE, 0)]


def test_from_the_middle_of_a_piece_on() -> None:
    assert kept(OLD[100 : 3 * PIECE], 100, None) == [Kept(PIECE - 100, 2 * PIECE, PIECE)]
    assert kept(noise(20), len(OLD) + 10_000, None) == []


def test_what_matches_from_both_sides_is_told_once() -> None:
    """Zeros are everywhere as they were."""
    old = bytes(2 * LEAST)
    blocks = list_blocks([(LEAST, blob_id(b"a")[:16]), (LEAST, blob_id(b"b")[:16])])
    sums = FineSums(blocks, 2 * sums_of_block(memoryview(old)[:LEAST]))
    for size in (LEAST, 2 * LEAST - 100, 2 * LEAST + 1, 3 * LEAST):
        found = kept_of_gap(memoryview(bytes(size)), 0, sums.pieces_from(0), 2 * LEAST, sums.pieces_before(2))
        ends = [0, *[each.start + each.length for each in found]]
        assert all(each.start >= end for each, end in zip(found, ends, strict=False))
        assert size - 2 * PIECE <= sum([each.length for each in found]) + max(0, size - 4 * LEAST) <= size
