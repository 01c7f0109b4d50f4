"""Fine sums: of each block as many as it has pieces, and those of no other file."""

import pytest
from folders import noise

from replican.effects.blocks import blocks_of_pieces
from replican.values.blocks import BlockList
from replican.values.errors import MalformedError
from replican.values.sums import PIECE, SUM_SIZE, FineSums, Summing, sums_of_block

OLD = noise(900_000)
NEW = OLD[:400_000] + b"new" + OLD[400_000:]


def summed(content: bytes, old: BlockList | None = None, sums: FineSums | None = None) -> FineSums:
    blocks, summing = blocks_of_pieces([content]), Summing(old, sums)
    for offset, length, hash in blocks:
        summing.take(memoryview(content)[offset : offset + length], hash)
    return FineSums(blocks, summing.encoded())


def test_pieces_come_to_the_file() -> None:
    sums = summed(OLD)
    pieces = list(sums.pieces_from(0))
    assert [piece.offset for piece in pieces] == [0, *[piece.offset + piece.length for piece in pieces][:-1]]
    assert pieces[-1].offset + pieces[-1].length == len(OLD)
    for offset, length, sum in pieces:
        assert 0 < length <= PIECE
        assert sums_of_block(memoryview(OLD)[offset : offset + length]) == sum
    count = len(list(blocks_of_pieces([OLD])))
    assert list(sums.pieces_before(count)) == pieces[::-1]
    assert list(sums.pieces_before(0)) == list(sums.pieces_from(len(OLD))) == []
    some = pieces[7].offset
    assert list(sums.pieces_from(some)) == list(sums.pieces_from(some - 1)) == pieces[7:]


def test_those_of_old_blocks_are_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    old = summed(OLD)
    made: list[int] = []
    monkeypatch.setattr(
        "replican.values.sums.sums_of_block", lambda data: (made.append(len(data)), sums_of_block(data))[1]
    )
    new = summed(NEW, blocks_of_pieces([OLD]), old)
    assert 0 < sum(made) < len(NEW) / 2
    made.clear()
    assert summed(NEW).encoded == new.encoded
    assert sum(made) == len(NEW)


@pytest.mark.parametrize("wrong", [b"", bytes(SUM_SIZE), summed(OLD).encoded[:-1], summed(OLD).encoded + bytes(4)])
def test_others_are_refused(wrong: bytes) -> None:
    with pytest.raises(MalformedError):
        FineSums(blocks_of_pieces([OLD]), wrong)
