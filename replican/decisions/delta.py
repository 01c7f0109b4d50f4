"""What of a wanted file can be taken from files that are here, and what is missing.

Pure: block lists in, copies and ranges out. Where several files have a block, the one that the block before came from
is taken if its next block is this one, so that copies are long; else the first.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from replican.values.blocks import Block, BlockList

FETCHED: Final = -1
"""In place of a file's number: the block is nowhere here."""


class Range(NamedTuple):
    """Bytes of the wanted file: where they begin, and how many they are."""

    offset: int
    length: int


class Piece(NamedTuple):
    """One block of the wanted file, and where it is: in the file of number ``basis`` at ``source``, or at
    :data:`FETCHED`."""

    block: Block
    basis: int
    source: int


class DeltaPlan(NamedTuple):
    """All blocks of the wanted file with where they come from, in their order, and the ``missing`` ones as ranges, each
    as large as it can be. ``used`` are the numbers of the files that blocks come from."""

    pieces: list[Piece]
    missing: list[Range]
    used: frozenset[int]

    @property
    def missing_size(self) -> int:
        """How many bytes are missing."""
        return sum([length for _, length in self.missing])


def plan_delta(wanted: BlockList, bases: Sequence[BlockList], in_place: frozenset[int] = frozenset()) -> DeltaPlan:
    """How ``wanted``, which may be a short list, comes about from files with the full block lists ``bases``.

    ``in_place`` are the offsets of blocks that lie where they belong already: these have the number ``len(bases)``.
    """
    hashes = {block.hash for block in wanted}
    followers = [_followers(blocks, hashes, wanted.hash_size) for blocks in bases]
    where: dict[bytes, tuple[int, Block]] = {}
    for number, blocks in enumerate(followers):
        for block in blocks.values():
            where.setdefault(block.hash, (number, block))
    pieces = list(_pieces(wanted, where, followers, in_place))
    missing = ranges_of([block for block, basis, _ in pieces if basis == FETCHED])
    return DeltaPlan(pieces, missing, frozenset([basis for _, basis, _ in pieces]) - {FETCHED})


def _followers(blocks: BlockList, wanted: set[bytes], size: int) -> dict[int, Block]:
    """The blocks of a file that are wanted, with ``size`` bytes of their hashes, by their offset."""
    found: dict[int, Block] = {}
    for offset, length, hash in blocks:
        if hash[:size] in wanted:
            found[offset] = Block(offset, length, hash[:size])
    return found


def _pieces(
    wanted: BlockList,
    where: dict[bytes, tuple[int, Block]],
    followers: Sequence[dict[int, Block]],
    in_place: frozenset[int],
) -> Iterator[Piece]:
    basis, end = FETCHED, 0
    for block in wanted:
        if block.offset in in_place:
            yield Piece(block, len(followers), block.offset)
            basis = FETCHED
            continue
        after = followers[basis].get(end) if basis != FETCHED else None
        found = where.get(block.hash)
        if after is not None and (after.hash, after.length) == (block.hash, block.length):
            source = after.offset
        elif found is not None and found[1].length == block.length:  # else somebody lies
            basis, source = found[0], found[1].offset
        else:
            basis, source = FETCHED, 0
        yield Piece(block, basis, source)
        end = source + block.length


def ranges_of(blocks: Iterable[Block]) -> list[Range]:
    """Blocks, in their order, as few ranges: those that lie side by side are one."""
    ranges: list[Range] = []
    for offset, length, _ in blocks:
        if ranges and ranges[-1].offset + ranges[-1].length == offset:
            ranges[-1] = Range(ranges[-1].offset, ranges[-1].length + length)
        else:
            ranges.append(Range(offset, length))
    return ranges
