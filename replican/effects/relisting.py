"""The block list of a new version of a file, from that of the old one: only what is not of whole old blocks is cut.

The list is the one that cutting all of it would give: a block is taken over where it begins at a cut and the byte
behind it is the same as in the old version, since that one has a say in where it ends.
"""

from bisect import bisect_right
from typing import Final

from xxhash import xxh3_128_digest

from replican.chunking import cut_lengths, is_fast
from replican.values.blocks import MOST, BlockList, list_blocks
from replican.values.errors import MalformedError

_HELD: Final = 4 * MOST
_LITTLE: Final = 2 * MOST


class Relisting:
    """Takes the bytes of the new version in their order, those of the ``old`` one, which is its full list, by their
    offsets in it."""

    def __init__(self, old: BlockList) -> None:
        self._offsets = [block.offset for block in old]
        self._blocks = [(length, hash) for _, length, hash in old]
        self._made: list[tuple[int, bytes]] = []
        self._rest = bytearray()  # from the last cut on
        self._waits: int | None = None  # the old block that the rest is, as long as it is that and nothing more
        self._is_off = False

    def new(self, data: bytes) -> None:
        """The next bytes are new."""
        if self._is_off or not data:
            return
        self._waits = None
        self._rest += data
        if len(self._rest) > _HELD:
            self._cut(b"")

    def old(self, offset: int, data: memoryview) -> None:
        """The next bytes are those of the old version from ``offset`` on."""
        at = 0
        while at < len(data) and not self._is_off:
            number = bisect_right(self._offsets, offset + at) - 1
            if number < 0 or offset + at >= self._offsets[number] + self._blocks[number][0]:
                self._is_off = True  # it is not the version that the list is of
                return
            at = self._next(number, self._offsets[number] - offset, at, data)

    def _next(self, number: int, begins: int, at: int, data: memoryview) -> int:
        """The bytes from ``at`` on are in an old block; how far they are taken."""
        length, hash = self._blocks[number]
        end = min(len(data), begins + length)
        is_begun = begins == at
        if is_begun:
            self._end_before(number, data[at : at + 1])
            if not self._rest and end < len(data):
                self._made.append((length, hash))
                return end
        is_all = is_begun and not self._rest and end == begins + length
        self._rest += data[at:end]
        self._waits = number if is_all else None
        if len(self._rest) > _HELD:
            self._cut(b"")
        return end

    def _end_before(self, number: int, following: memoryview) -> None:
        """An old block begins here: what is before it ends, if that would be cut here."""
        if self._waits is not None and self._waits + 1 == number:
            self._made.append(self._blocks[self._waits])
            self._rest.clear()
        elif self._rest:
            self._cut(bytes(following))
        self._waits = None

    def _cut(self, following: bytes) -> None:
        """Cut what does not depend on more than this."""
        self._is_off = len(self._rest) > _LITTLE and not is_fast()
        if not self._is_off:
            self._make(cut_lengths(self._rest + following)[:-1])

    def _make(self, lengths: list[int]) -> None:
        at = 0
        for length in lengths:
            self._made.append((length, xxh3_128_digest(self._rest[at : at + length])))
            at += length
        del self._rest[:at]

    def blocks(self) -> BlockList | None:
        """That was all: the list; None where it cannot be told."""
        if not self._is_off and self._rest:
            self._cut(b"")
            self._make([len(self._rest)])
        try:
            return None if self._is_off else list_blocks(self._made)
        except MalformedError:
            return None
