"""Reading content to list its blocks: of an open file, or of bytes that come in pieces."""

import os
from collections.abc import Callable, Iterable, Iterator
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING, Final

from replican.chunking import LASTING, cut, cut_pieces
from replican.values.blocks import BlockList, list_blocks
from replican.values.errors import MalformedError
from replican.values.ids import BlobId, blob_hasher

if TYPE_CHECKING:
    from concurrent.futures import Future

_WAITING: Final = 8


def blocks_of_pieces(pieces: Iterable[bytes]) -> BlockList:
    """The blocks of content that comes in pieces of any size; raises ``MalformedError`` where it has too many."""
    coming = iter(pieces)
    rest = memoryview(b"")

    def readinto(buffer: memoryview) -> int:
        nonlocal rest
        while not rest:
            piece = next(coming, None)
            if piece is None:
                return 0
            rest = memoryview(piece)
        count = min(len(rest), len(buffer))
        buffer[:count] = rest[:count]
        rest = rest[count:]
        return count

    return list_blocks(cut(readinto))


def read_blocks(fd: int, size: int) -> BlockList | None:
    """The blocks of an open file that should have ``size`` bytes, from its beginning; where it stands does not matter.

    None if it has more or fewer, cannot be read, or has more blocks than a list may have. Whether it stayed the same
    meanwhile is for the caller to see: by its stat data, or by what is made of the list in the end.
    """
    return _read(_Source(fd, size))


def read_hashed_blocks(
    fd: int, size: int, like: BlockList | None = None, take: Callable[[memoryview, bytes], None] | None = None
) -> tuple[BlobId, BlockList] | None:
    """The same with the blob id of what was read: the list is that content's, whatever happened meanwhile.

    ``like`` is the full list of another version, if one is known; ``take`` is given each block and its hash.
    """
    from concurrent.futures import ThreadPoolExecutor

    hasher = blob_hasher(size)
    waiting: list[Future[None]] = []
    with ThreadPoolExecutor(1) as beside:

        def note(piece: memoryview) -> None:
            if len(waiting) == LASTING:
                waiting.pop(0).result()
            waiting.append(beside.submit(hasher.update, piece))

        blocks = _read(_Source(fd, size, note), like, take)
    return None if blocks is None else (BlobId(hasher.digest()), blocks)


class CuttingBeside:
    """Has a thread of its own cut content that comes in pieces, in their order. A context manager."""

    def __init__(self) -> None:
        self._line: Queue[bytes] = Queue(_WAITING)
        self._blocks: BlockList | None = None
        self._thread = Thread(target=self._cut, daemon=True)
        self._thread.start()

    def __enter__(self) -> "CuttingBeside":
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._line.put(b"")
        self._thread.join()

    def update(self, data: bytes) -> None:
        """The next piece, which is not empty."""
        if self._thread.is_alive():
            self._line.put(data)

    def blocks(self) -> BlockList | None:
        """That was all: its blocks; None where they are too many."""
        self.__exit__()
        return self._blocks

    def _cut(self) -> None:
        pieces = iter(self._line.get, b"")
        try:
            self._blocks = blocks_of_pieces(pieces)
        except MalformedError:
            for _ in pieces:
                pass


class _Source:
    def __init__(self, fd: int, size: int, note: Callable[[memoryview], None] | None = None) -> None:
        self._fd = fd
        self.size = size
        self._at = 0
        self._note = note

    def readinto(self, buffer: memoryview) -> int:
        # one byte more than there should be, and what is too long is seen
        piece = buffer[: self.size + 1 - self._at]
        count = os.preadv(self._fd, [piece], self._at) if piece else 0
        self._at += count
        if self._note is not None and count:
            self._note(piece[:count])
        return count


def _read(
    source: _Source, like: BlockList | None = None, take: Callable[[memoryview, bytes], None] | None = None
) -> BlockList | None:
    def lengths() -> Iterator[tuple[int, bytes]]:
        for piece, hash in cut_pieces(source.readinto, like):
            if take is not None:
                take(piece, hash)
            yield len(piece), hash

    try:
        blocks = list_blocks(lengths())
    except (OSError, MalformedError):
        return None
    return blocks if blocks.size == source.size else None
