"""Block lists: the content-defined pieces of a file, each with its length and its xxh3_128.

A list is what two ends of a delta compare. xxh3 is fast and no proof: whatever is put together by a list is verified by
its blob id before it is used.

Encoded: a byte (the version: what cuts the blocks, and what their hashes are), the size of the file (8 bytes, the most
significant first), the number of blocks (4 bytes), then for each block its length (4 bytes) and its hash (16 bytes).
Offsets are not told: there is no way to write a gap or an overlap. Equal lists have equal encodings.

A *short* list (version 2) is for a link: lengths of 3 bytes, and the first 8 bytes of each hash, half of it all. That
of two files of 1 GiB two blocks have these in common by chance happens once in 10^11 times, and is seen in the end.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from replican.values.errors import MalformedError, UnsupportedError
from replican.values.trees import SIZE_LIMIT

LEAST: Final = 16 << 10
AVERAGE: Final = 64 << 10
MOST: Final = 256 << 10
"""The sizes of blocks in bytes; only the last one of a file may be smaller."""

HASH_SIZE: Final = 16
BLOCKS_LIMIT: Final = 1 << 20
"""The most blocks of a list: those of some 80 GiB. A larger file has no list."""

SHORT_SIZE: Final = 8
"""How many bytes of each hash a short list has."""

_FULL: Final = 1
_SHORT: Final = 2
_HEAD: Final = struct.Struct(">BQI")
_RECORD: Final = struct.Struct(f">I{HASH_SIZE}s")
_SHORT_RECORD: Final = struct.Struct(f">BH{SHORT_SIZE}s")
ENCODED_LIMIT: Final = _HEAD.size + BLOCKS_LIMIT * _RECORD.size
"""The longest encoding, in bytes."""


class Block(NamedTuple):
    """One piece of a file: where it begins and how long it is, in bytes; its xxh3_128, or the beginning of it."""

    offset: int
    length: int
    hash: bytes


class BlockList:
    """The blocks of one file, in their order. ``size`` is the file's, in bytes; ``encoded`` is the list for others.

    Made by :func:`list_blocks` or :func:`parse_blocks`; never changes.
    """

    __slots__ = ("encoded", "size")

    def __init__(self, size: int, encoded: bytes) -> None:
        self.size = size
        self.encoded = encoded

    @property
    def hash_size(self) -> int:
        """How many bytes of each hash it has: 16, or 8 if it is a short one."""
        return HASH_SIZE if self.encoded[0] == _FULL else SHORT_SIZE

    def shortened(self) -> "BlockList":
        """The short list of the same blocks."""
        if self.hash_size == SHORT_SIZE:
            return self
        records = [_SHORT_RECORD.pack(length >> 16, length & 0xFFFF, hash[:SHORT_SIZE]) for _, length, hash in self]
        return BlockList(self.size, _HEAD.pack(_SHORT, self.size, len(self)) + b"".join(records))

    def __len__(self) -> int:
        return int(_HEAD.unpack_from(self.encoded)[2])

    def __iter__(self) -> Iterator[Block]:
        offset = 0
        for length, hash in _records(self.encoded):
            yield Block(offset, length, hash)
            offset += length

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BlockList) and other.encoded == self.encoded

    def __hash__(self) -> int:
        return hash(self.encoded)

    def __repr__(self) -> str:
        return f"<{len(self)} blocks of {self.size} bytes>"


def list_blocks(pieces: Iterable[tuple[int, bytes]]) -> BlockList:
    """The list of blocks with these lengths and hashes; raises ``MalformedError`` for what is no list of ours."""
    size, packed = 0, bytearray(_HEAD.size)
    for length, hash in pieces:
        size += length
        packed += _RECORD.pack(length, hash)
        if len(packed) > ENCODED_LIMIT:
            raise MalformedError(f"a file of more than {BLOCKS_LIMIT} blocks")
    count = (len(packed) - _HEAD.size) // _RECORD.size
    _HEAD.pack_into(packed, 0, _FULL, size, count)
    return parse_blocks(bytes(packed))


def longest_encoding(size: int) -> int:
    """How many bytes a list of a file of ``size`` bytes has at most."""
    return _HEAD.size + min(BLOCKS_LIMIT, size // LEAST + 1) * _RECORD.size


def parse_blocks(encoded: bytes) -> BlockList:
    """The list of an encoding, which may come from anybody.

    Raises ``MalformedError`` for what none of ours can be, ``UnsupportedError`` for a later version.
    """
    if len(encoded) < _HEAD.size:
        raise MalformedError("a block list ends before it begins")
    version, size, count = _HEAD.unpack_from(encoded)
    if version > _SHORT:
        raise UnsupportedError(f"a block list of version {version}", "upgrade replican")
    if version not in (_FULL, _SHORT):
        raise MalformedError("a block list without a version")
    if count > BLOCKS_LIMIT or size >= SIZE_LIMIT:
        raise MalformedError("a block list of more than there can be")
    if len(encoded) != _HEAD.size + count * (_RECORD if version == _FULL else _SHORT_RECORD).size:
        raise MalformedError("a block list has more or fewer blocks than it says")
    lengths = [length for length, _ in _records(encoded)]
    if lengths and (min(lengths) < 1 or max(lengths) > MOST or (count > 1 and min(lengths[:-1]) < LEAST)):
        raise MalformedError("a block list with a block of a size that none has")
    if sum(lengths) != size:
        raise MalformedError("the blocks of a list are not as long as the file")
    return BlockList(size, encoded)


def _records(encoded: bytes) -> Iterator[tuple[int, bytes]]:
    """The lengths and hashes of an encoding."""
    records = memoryview(encoded)[_HEAD.size :]
    if encoded[0] == _FULL:
        yield from _RECORD.iter_unpack(records)
    else:
        for high, low, hash in _SHORT_RECORD.iter_unpack(records):
            yield high << 16 | low, hash
