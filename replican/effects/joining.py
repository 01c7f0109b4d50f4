"""Putting packs together: each object once, copied as it is encoded, nothing inflated.

A watch does this for as long as it runs, with all of a log in the end: so what it takes in memory is in columns of
plain numbers, some hundred bytes for an object and for a moment. Lists of tuples took five times as much, which nobody
gives back to the system.
"""

import heapq
import struct
import sys
import zlib
from array import array
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import BinaryIO, Final

from replican.effects.ages import pack_times
from replican.effects.packs import INDEX_HEAD, PACK_HEAD, Pack, write_files
from replican.values.ids import ID_SIZE

_FEW_BITS: Final = 31
"""An offset of more is in a table of its own."""


def join_packs(directory: str, packs: Sequence[Pack]) -> str:
    """Write what ``packs`` have as one pack, as :func:`~replican.effects.packs.write_pack` does; its base path. What is
    in several has the time of the one to which it was added last.

    Raises ``DamagedError`` where a pack is not what was written; nothing has come about then.
    """
    joined = _Joined(packs)
    return write_files(directory, joined.write_data, joined.write_index, lambda: joined.times)


class _Joined:
    """The objects of a new pack, in the order of their ids: ``times`` (ns), and where the others are to go."""

    def __init__(self, packs: Sequence[Pack]) -> None:
        self._packs = packs
        self._ids = bytearray()
        self.times = array("q")
        # For each object of each pack, which one of the new pack it is to be; -1: it comes from another pack.
        self._becomes = [array("q", [-1]) * pack.count for pack in packs]
        ages = [pack_times(pack) for pack in packs]
        last = b""
        for id, number, position in heapq.merge(*[_ids(number, pack) for number, pack in enumerate(packs)]):
            if id == last:
                self.times[-1] = max(self.times[-1], ages[number][position])
                continue
            self._becomes[number][position] = len(self.times)
            self._ids += id
            self.times.append(ages[number][position])
            last = id
        self._offsets = array("Q", [0]) * len(self.times)
        self._crcs = array("I", [0]) * len(self.times)

    def write_data(self, file: BinaryIO) -> bytes:
        """Write the pack file; returns its checksum."""
        head = PACK_HEAD.pack(b"PACK", 2, len(self.times))
        digest, at = sha256(head), len(head)
        file.write(head)
        for pack, becomes in zip(self._packs, self._becomes, strict=True):
            for position, data in pack.encoded():
                index = becomes[position]
                if index < 0:
                    continue
                self._offsets[index], self._crcs[index] = at, zlib.crc32(data)
                file.write(data)
                digest.update(data)
                at += len(data)
        file.write(digest.digest())
        return digest.digest()

    def write_index(self, file: BinaryIO, checksum: bytes) -> None:
        """Write the index of the pack file with this checksum."""
        fan_out = [0] * 256
        for first in self._ids[::ID_SIZE]:
            fan_out[first] += 1
        for first in range(1, 256):
            fan_out[first] += fan_out[first - 1]
        large = array("Q", [offset for offset in self._offsets if offset >> _FEW_BITS])
        small, numbers = array("I"), iter(range(len(large)))
        for offset in self._offsets:
            small.append(1 << _FEW_BITS | next(numbers) if offset >> _FEW_BITS else offset)
        digest = sha256()
        parts = (INDEX_HEAD, struct.pack(">256L", *fan_out), self._ids, _encoded(self._crcs), _encoded(small))
        for part in (*parts, _encoded(large), checksum):
            digest.update(part)
            file.write(part)
        file.write(digest.digest())


def _ids(number: int, pack: Pack) -> Iterator[tuple[bytes, int, int]]:
    return ((pack.id_at(position), number, position) for position in range(pack.count))


def _encoded(column: "array[int]") -> bytes:
    """A column with the most significant byte of each number first."""
    if sys.byteorder == "little":
        column = column[:]
        column.byteswap()
    return column.tobytes()
