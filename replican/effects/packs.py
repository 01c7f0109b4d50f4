"""Packs: many objects in one file, in git's pack format (version 2, SHA-256) with git's index (version 2).

dulwich writes them. They are read here, without it: with ``dulwich.pack`` a command that reads four trees takes
50 ms, without it 28, and what we write needs so little (whole objects only: no deltas) that reading is a bisection
and one inflation. See ``docs/decisions/0003-object-store.md``. The tests hold golden bytes, and read every
pack with dulwich too.

Packs and their indexes never change once they have their names, so a reader needs no lock.
"""

import mmap
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from operator import le
from typing import TYPE_CHECKING, BinaryIO, Final

from replican.effects import durable
from replican.effects.ages import TIMES, encode_times
from replican.effects.loose import PAYLOAD_LIMIT, damaged_object
from replican.values.errors import DamagedError
from replican.values.ids import ID_SIZE

if TYPE_CHECKING:
    from dulwich.pack import UnpackedObject

KIND_NUMBERS: Final = {b"commit": 1, b"tree": 2}
KINDS: Final = {number: kind for kind, number in KIND_NUMBERS.items()}

INDEX_HEAD = b"\xfftOc\0\0\0\2"
_FAN_OUT = struct.Struct(">256L")
_NAMES_AT = len(INDEX_HEAD) + _FAN_OUT.size
_ENTRY_SIZE = ID_SIZE + 4 + 4
PACK_HEAD = struct.Struct(">4sLL")
_CHUNK = 4096
_MOST = (1 << 62) - 1  # no file is longer, and what is added to such an offset is one yet
_FEW = 64  # ids: so many are searched through faster than they are bisected
_LEVEL = 1  # of 9: trees are mostly hashes, and the higher levels gain next to nothing
STORED: Final = 0
"""The level for who is in a hurry: what is not compressed is a third larger, and written four times as fast."""


def parse_head(data: bytes) -> tuple[bytes, int, int] | None:
    """Kind and size of the object that ``data`` begins with, and where its compressed payload begins; None if it is
    none of ours."""
    if not data:
        return None
    kind, size, shift, at = KINDS.get(data[0] >> 4 & 7), data[0] & 15, 4, 1
    more = data[0] & 0x80
    while more and at < len(data) and shift < 40:
        size |= (data[at] & 0x7F) << shift
        more = data[at] & 0x80
        shift += 7
        at += 1
    return None if kind is None or more or size > PAYLOAD_LIMIT else (kind, size, at)


class Pack:
    """One pack, found by its index; opened when first asked. Not for several threads.

    It is closed when nobody has it any more, too: one that has been repacked away is of use as long as somebody
    iterates over it, and a watch, which sees thousands of them go, is never closed.
    """

    def __init__(self, base: str) -> None:
        """``base`` is the path without ``.pack`` or ``.idx``; raises ``DamagedError`` or ``FileNotFoundError``."""
        self.base = base
        self.name = os.path.basename(base)
        self._fd = -1
        fd = durable.open_file(base + ".idx")
        try:
            size = os.fstat(fd).st_size
            if size < _NAMES_AT + 2 * ID_SIZE:
                raise self._damaged_index()
            self._index = mmap.mmap(fd, size, access=mmap.ACCESS_READ)
        finally:
            os.close(fd)
        try:
            self._check_index(size)
        except BaseException:
            self._index.close()
            raise

    def _check_index(self, size: int) -> None:
        index = self._index
        with memoryview(index) as view:
            good = index[: len(INDEX_HEAD)] == INDEX_HEAD and sha256(view[:-ID_SIZE]).digest() == view[-ID_SIZE:]
        self._fan_out: tuple[int, ...] = (0, *_FAN_OUT.unpack_from(index, len(INDEX_HEAD)))
        self.count = int(self._fan_out[-1])
        self._crcs_at = _NAMES_AT + self.count * ID_SIZE
        self._offsets_at = self._crcs_at + self.count * 4
        self._large_at = _NAMES_AT + self.count * _ENTRY_SIZE
        # A checksum is no proof of sense: a remote may have written anything, and the right checksum behind it.
        ordered = all(map(le, self._fan_out, self._fan_out[1:]))
        if not good or not ordered or self._large_at + 2 * ID_SIZE > size:
            raise self._damaged_index()

    def _damaged_index(self) -> DamagedError:
        return DamagedError(f"index of {self.name} is damaged", "run: replican fsck")

    def close(self) -> None:
        self._index.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if self._fd >= 0:  # the index does so by itself
            close(self._fd)

    @property
    def checksum(self) -> bytes:
        """The checksum of the pack file that the index is of."""
        return self._index[-2 * ID_SIZE : -ID_SIZE]

    def id_at(self, position: int) -> bytes:
        """The id at ``position`` of the sorted ids."""
        at = _NAMES_AT + position * ID_SIZE
        return self._index[at : at + ID_SIZE]

    def first_from(self, key: bytes) -> int:
        """The position of the first id that is not less than ``key`` (of 1 to 32 bytes)."""
        low, high = self._fan_out[key[0]], self._fan_out[key[0] + 1]
        index = self._index
        while low < high:
            middle = (low + high) // 2
            at = _NAMES_AT + middle * ID_SIZE
            if index[at : at + ID_SIZE] < key:
                low = middle + 1
            else:
                high = middle
        return low

    def position(self, wanted: bytes) -> int | None:
        """Where ``wanted`` is among the sorted ids, if it is there."""
        low, high = self._fan_out[wanted[0]], self._fan_out[wanted[0] + 1]
        if high - low <= _FEW:
            at = self._index.find(wanted, _NAMES_AT + low * ID_SIZE, _NAMES_AT + high * ID_SIZE)
            if at < 0 or not (at - _NAMES_AT) % ID_SIZE:
                return None if at < 0 else (at - _NAMES_AT) // ID_SIZE
        found = self.first_from(wanted)
        return found if found < self.count and self.id_at(found) == wanted else None

    def _offset(self, position: int) -> int:
        (offset,) = struct.unpack_from(">L", self._index, self._offsets_at + 4 * position)
        if offset >> 31:
            at = self._large_at + 8 * (offset & 0x7FFFFFFF)
            if at + 8 > len(self._index) - 2 * ID_SIZE:
                raise self._damaged(position)
            (offset,) = struct.unpack_from(">Q", self._index, at)
            if offset > _MOST:
                raise self._damaged(position)
        return int(offset)

    def _data(self, at: int, size: int) -> bytes:
        if self._fd < 0:
            self._fd = durable.open_file(self.base + ".pack")
        return os.pread(self._fd, size, at)

    def head(self, position: int) -> tuple[bytes, int]:
        """Kind and size as the pack has them: not verified."""
        return self._head(self._data(self._offset(position), 16), position)[:2]

    def _head(self, data: bytes, position: int) -> tuple[bytes, int, int]:
        head = parse_head(data)
        if head is None:
            raise self._damaged(position)
        return head

    def _damaged(self, position: int) -> DamagedError:
        return damaged_object(self.id_at(position), f"in {self.name}")

    def read(self, position: int) -> tuple[bytes, bytes]:
        """Kind and payload; that it has its id is for the caller to see. Inflates no more than the declared size."""
        at = self._offset(position)
        data = self._data(at, _CHUNK)
        kind, size, start = self._head(data, position)
        inflater = zlib.decompressobj()
        try:
            payload = inflater.decompress(data[start:], size + 1)
            if not inflater.eof and len(payload) <= size:
                data = self._data(at + len(data), size + (size >> 8) + 64)  # what deflate can make of it at most
                payload += inflater.decompress(data, size + 1 - len(payload))
        except zlib.error as error:
            raise self._damaged(position) from error
        if len(payload) != size or not inflater.eof:
            raise self._damaged(position)
        return kind, payload

    def encoded(self) -> Iterator[tuple[int, bytes]]:
        """Position and encoded form (head and zlib stream) of every object, in the order of the file; raises
        ``DamagedError`` at one that is not, by its CRC-32, what was written."""
        # Of many objects, one number for each takes a third of what a tuple does.
        starts = sorted(self._offset(position) << 32 | position for position in range(self.count))
        if self._fd < 0:
            self._fd = durable.open_file(self.base + ".pack")
        end = os.fstat(self._fd).st_size - ID_SIZE
        for number, start in enumerate(starts, 1):
            at, position = start >> 32, start & 0xFFFFFFFF
            until = starts[number] >> 32 if number < len(starts) else end
            data = self._data(at, until - at) if at < until else b""
            (crc,) = struct.unpack_from(">L", self._index, self._crcs_at + 4 * position)
            if len(data) != until - at or zlib.crc32(data) != crc:
                raise self._damaged(position)
            yield position, data

    def check(self) -> bool:
        """Whether the pack file has the checksum in its trailer, and is the one that the index is of."""
        digest, at = sha256(), 0
        end = (os.fstat(self._fd).st_size if self._fd >= 0 else os.stat(self.base + ".pack").st_size) - ID_SIZE
        while at < end:
            data = self._data(at, min(1 << 20, end - at))
            if not data:
                return False
            digest.update(data)
            at += len(data)
        return digest.digest() == self._data(end, ID_SIZE) == self.checksum


def write_pack(
    directory: str,
    objects: Iterable[tuple[bytes, bytes, bytes]],
    count: int,
    *,
    level: int = _LEVEL,
    times: Mapping[bytes, int] | None = None,
) -> str:
    """Write ``count`` objects (id, kind, payload; each id once) as a pack with its index; returns its base path.

    All files are flushed before they get their names, the index last: a pack is there once its index is. The
    directory is flushed on return. ``times`` are the times (ns) at which the objects were added, if that is not now.
    """
    entries: _Entries = []

    def write_data(file: BinaryIO) -> bytes:
        found, checksum = _write_data(file, objects, count, level)
        entries.extend(found)
        return checksum

    def write_index(file: BinaryIO, checksum: bytes) -> None:
        from dulwich.pack import write_pack_index_v2

        write_pack_index_v2(file, entries, checksum)

    def times_in_order() -> Sequence[int] | None:
        return None if times is None else [times[id] for id, _, _ in entries]

    return write_files(directory, write_data, write_index, times_in_order)


_Entries = list[tuple[bytes, int, int]]


def write_files(
    directory: str,
    write_data: Callable[[BinaryIO], bytes],
    write_index: Callable[[BinaryIO, bytes], None],
    times_in_order: Callable[[], Sequence[int] | None],
) -> str:
    """Write the files of a pack, as :func:`write_pack` says; ``write_data`` returns the checksum, which ``write_index``
    is given then. The times are in the order of the ids, and are asked for after the data."""
    pack_fd, pack_path = durable.create_temporary(directory)
    finished: list[tuple[str, str]] = [(pack_path, ".pack")]
    try:
        with open(pack_fd, "wb") as pack_file:
            checksum = write_data(pack_file)
            pack_file.flush()
            extras: list[tuple[str, bytes]] = []
            times = times_in_order()
            if times is not None:
                newest = max(times)
                os.utime(pack_fd, ns=(newest, newest))
                held_ns = os.fstat(pack_fd).st_mtime_ns  # what the disk makes of it
                extras.append((TIMES, encode_times(times, held_ns, checksum)))
            os.fsync(pack_fd)
        index_fd, index_path = durable.create_temporary(directory)
        finished.append((index_path, ".idx"))
        with open(index_fd, "wb") as index_file:
            write_index(index_file, checksum)
            index_file.flush()
            os.fsync(index_fd)
        base = f"{directory}/pack-{checksum.hex()}"
        for suffix, content in extras:
            fd, path = durable.create_temporary(directory)
            finished.insert(-1, (path, suffix))
            with open(fd, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(fd)
        for path, suffix in finished:
            os.rename(path, base + suffix)
    except BaseException:
        for path, _ in finished:
            durable.discard(path)
        raise
    durable.flush_directory(directory)
    return base


def discard_pack(base: str) -> None:
    """Delete the files of a pack, the index first: it never stays without its pack."""
    for suffix in (".idx", ".pack", TIMES):
        durable.discard(base + suffix)


def _records(objects: Iterable[tuple[bytes, bytes, bytes]], level: int) -> "Iterator[UnpackedObject]":
    from dulwich.object_format import SHA256
    from dulwich.pack import UnpackedObject, pack_object_header

    for id_, kind, payload in objects:
        record = UnpackedObject(KIND_NUMBERS[kind], sha=id_, decomp_chunks=[payload])
        if level == STORED:
            head = pack_object_header(record.pack_type_num, None, len(payload), object_format=SHA256)
            record.comp_chunks = [bytes(head), _stored(payload)]
        yield record


def _stored(payload: bytes) -> bytes:
    """As zlib frames what it does not compress, without the memory for what it would: to make that ready takes longer
    than all else."""
    stored = zlib.compressobj(STORED, memLevel=1)
    return stored.compress(payload) + stored.flush()


def _write_data(
    file: BinaryIO, objects: Iterable[tuple[bytes, bytes, bytes]], count: int, level: int
) -> tuple[_Entries, bytes]:
    """Write the pack file; returns its entries (id, offset, CRC-32), sorted, and its checksum."""
    from dulwich.object_format import SHA256
    from dulwich.pack import write_pack_data

    found, checksum = write_pack_data(
        file.write, _records(objects, level), SHA256, num_records=count, compression_level=level
    )
    return sorted((id_, offset, crc) for id_, (offset, crc) in found.items()), checksum
