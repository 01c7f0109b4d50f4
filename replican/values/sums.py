"""Fine sums: what the pieces within the blocks of a file hash to, so that of a block that was edited some is known.

Each block is cut from its beginning on into pieces of 4 KiB, the last of which may be shorter. Of each there are the
first 4 bytes of its xxh3_64. That two pieces have these in common by chance happens once in 10^9 times, and is seen in
the end: whatever is put together by them is verified by its blob id.
"""

from bisect import bisect_right
from collections.abc import Iterator
from typing import Final, NamedTuple

from xxhash import xxh3_64_digest

from replican.values.blocks import BlockList
from replican.values.errors import MalformedError

PIECE: Final = 4 << 10
"""The size of a piece in bytes; only the last one of a block may be smaller."""
SUM_SIZE: Final = 4


class Piece(NamedTuple):
    """A piece of a file: where it begins and how long it is, in bytes; its sum."""

    offset: int
    length: int
    sum: bytes


def count_of(length: int) -> int:
    """How many pieces so many bytes are."""
    return -(-length // PIECE)


def sum_of(piece: memoryview) -> bytes:
    """The sum of one piece."""
    return xxh3_64_digest(piece)[:SUM_SIZE]


def sums_of_block(data: memoryview) -> bytes:
    """The sums of the pieces of one block, or of what else is cut into pieces from its beginning on."""
    return b"".join([sum_of(data[at : at + PIECE]) for at in range(0, len(data), PIECE)])


class FineSums:
    """The fine sums of the file that has these ``blocks``; ``encoded`` are those of all blocks, in their order.

    Raises ``MalformedError`` where there are more or fewer of them.
    """

    def __init__(self, blocks: BlockList, encoded: bytes) -> None:
        self.encoded = encoded
        self._blocks = list(blocks)
        self._begins = [0]
        for _, length, _ in self._blocks:
            self._begins.append(self._begins[-1] + count_of(length) * SUM_SIZE)
        if self._begins[-1] != len(encoded):
            raise MalformedError("fine sums of another file")

    def of_block(self, number: int) -> bytes:
        """The sums of one block, one after the other."""
        return self.encoded[self._begins[number] : self._begins[number + 1]]

    def pieces_from(self, offset: int) -> Iterator[Piece]:
        """The pieces from this offset in the file on, in their order."""
        first = bisect_right(self._blocks, offset, key=lambda block: block.offset) - 1
        for number in range(max(0, first), len(self._blocks)):
            for piece in self._pieces(number):
                if piece.offset >= offset:
                    yield piece

    def pieces_before(self, number: int) -> Iterator[Piece]:
        """The pieces before this block, backwards."""
        for each in range(number - 1, -1, -1):
            yield from reversed(self._pieces(each))

    def _pieces(self, number: int) -> list[Piece]:
        offset, length, _ = self._blocks[number]
        sums = self.of_block(number)
        return [
            Piece(offset + at, min(PIECE, length - at), sums[index * SUM_SIZE : (index + 1) * SUM_SIZE])
            for index, at in enumerate(range(0, length, PIECE))
        ]


class Summing:
    """Makes the fine sums of a file of its blocks as they come; those of blocks that the old version has, which has
    this list and these sums, are taken from there, where both are known."""

    def __init__(self, old: BlockList | None, sums: FineSums | None) -> None:
        self._sums = sums
        self._numbers: dict[bytes, int] = {}
        if old is not None and sums is not None:
            self._numbers = {hash: number for number, (_, _, hash) in enumerate(old)}
        self._made: list[bytes] = []

    def take(self, data: memoryview, hash: bytes) -> None:
        """The next block, and its hash."""
        number = self._numbers.get(hash)
        if number is None or self._sums is None:
            self._made.append(sums_of_block(data))
        else:
            self._made.append(self._sums.of_block(number))

    def encoded(self) -> bytes:
        """Those of all blocks that came, in their order."""
        return b"".join(self._made)
