"""Block lists and ranges of what is here, for the other end of a link that has a part of it.

What is sent is not verified: that would be to read all of a file for some of its bytes. It comes from files that are
what the index says, before and after; whoever puts the whole together verifies it.
"""

import os
from collections.abc import Sequence
from typing import Final, Protocol

from replican.chunking import LARGE
from replican.effects.block_cache import BlockCache
from replican.effects.channel import CHUNK
from replican.effects.contents import Wanted
from replican.effects.delta import Basis
from replican.effects.offering import Offer
from replican.operations.bases import LocalFiles
from replican.repository import Repository
from replican.values.errors import ReplicanError
from replican.values.ids import BlobId
from replican.values.messages import Item, WantBlocks, WantRanges
from replican.values.streams import BROKEN, FROM_FOLDER, FROM_TRASH, GONE, STAYED, encode_listed
from replican.values.sums import PIECE, SUM_SIZE, count_of, sums_of_block
from replican.values.trees import FILE

_ZEROS: Final = bytes(CHUNK)
assert CHUNK % PIECE == 0


class Way(Protocol):
    """How what is sent goes: as by a :class:`~replican.effects.channel.Channel`."""

    def put(self, data: bytes) -> None: ...

    def put_rest(self) -> None: ...


class Cutter:
    """Answers about the files of one replica, which ``offer`` is of, too. Close it."""

    def __init__(self, repo: Repository, offer: Offer) -> None:
        self._offer = offer
        self._cache = BlockCache(repo.block_cache_path)
        self._files = LocalFiles(repo, self._cache)

    def close(self) -> None:
        self._files.close()
        self._cache.close()

    def forget(self) -> None:
        """The folder was looked at once more: what its index says now counts."""
        self._files.forget()

    def answer(self, message: WantBlocks | WantRanges, way: Way) -> None:
        """Send the stream that answers a request."""
        if isinstance(message, WantBlocks):
            self._send_lists(message.items, way)
        else:
            self._send_ranges(message, way)
        way.put_rest()

    def _send_lists(self, items: Sequence[Item], way: Way) -> None:
        for item in items:
            assert item.size is not None
            blob = BlobId(item.id)
            found = self._find(blob, item.size, item.path) if item.size > LARGE else None
            if found is None:
                is_other = bool(item.path) and self._is_other(item.path, blob)
                way.put(self._offer.lacks(Wanted(blob, FILE, item.size, item.path)) if is_other else GONE)
                continue
            os.close(found[0].fd)
            way.put(encode_listed(found[0].blocks.shortened().encoded))
            way.put_rest()  # the next one may have to be cut first

    def _send_ranges(self, message: WantRanges, way: Way) -> None:
        blob = BlobId(message.id)
        found = self._find(blob, message.size, message.path)
        if found is None:
            way.put(self._offer.lacks(Wanted(blob, FILE, message.size, message.path)))
            return
        (fd, _), letter = found
        try:
            before = os.fstat(fd)
            way.put(letter)
            send = _send_sums if message.sums else _send_range
            left = sum([send(fd, offset, length, way) for offset, length in message.ranges])
            after = os.fstat(fd)
            same = (before.st_mtime_ns, before.st_ctime_ns) == (after.st_mtime_ns, after.st_ctime_ns)
            way.put(STAYED if same and not left else BROKEN)
        finally:
            os.close(fd)

    def _is_other(self, path: bytes, blob: BlobId) -> bool:
        try:
            return self._files.is_other(path, blob)
        except ReplicanError:
            return False

    def _find(self, blob: BlobId, size: int, path: bytes) -> tuple[Basis, bytes] | None:
        """A file with this content, and the letter for where it is."""
        freezer = self._offer.freezer
        frozen = None if freezer is None else freezer.open(blob)
        letter = FROM_FOLDER
        try:
            basis = self._files.in_folder(blob, path) if frozen is None else self._files.take(frozen, blob)
        except ReplicanError:  # what its index says has to be mended there
            basis = None
        if basis is None:
            basis, letter = self._files.on_shelf("trash", os.fsencode(blob.hex()), blob), FROM_TRASH
        if basis is not None and basis.blocks.size != size:
            os.close(basis.fd)
            return None
        return None if basis is None else (basis, letter)


def _send_range(fd: int, offset: int, length: int, way: Way) -> int:
    """Send so many bytes; how many of them are not there any more: zeros come in their place."""
    if length >= CHUNK:
        way.put_rest()  # whole pieces go without a copy
    while length:
        try:
            data = os.pread(fd, min(CHUNK, length), offset)
        except OSError:
            data = b""
        if not data:
            break
        way.put(data)
        offset += len(data)
        length -= len(data)
    for at in range(0, length, CHUNK):
        way.put(_ZEROS[: min(CHUNK, length - at)])
    return length


def _send_sums(fd: int, offset: int, length: int, way: Way) -> int:
    """Send the fine sums of so many bytes; how many of them are not there any more: zeros come in their place."""
    left = 0
    while length:
        size = min(CHUNK, length)
        try:
            data = os.pread(fd, size, offset)
        except OSError:
            data = b""
        left += size - len(data)
        way.put(sums_of_block(memoryview(data)).ljust(count_of(size) * SUM_SIZE, b"\0"))
        offset += size
        length -= size
    return left
