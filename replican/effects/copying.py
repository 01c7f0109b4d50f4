"""Copying a large file within this machine, and the id of the copy.

The kernel copies, and so shares the bytes where the file system can; what has been copied is read back from the copy
and hashed meanwhile, so that the id is the copy's, whatever became of the source. What the kernel does not copy, and
what has holes, which stay holes, goes through buffers here.
"""

import fcntl
import os
from typing import TYPE_CHECKING, Final

from replican.effects.linux import begin_to_write, share_content
from replican.effects.staging import write_all, write_with_holes
from replican.effects.underway import Advance, Told
from replican.values.ids import BlobId, blob_hasher

if TYPE_CHECKING:
    from concurrent.futures import Future
    from hashlib import _Hash

BY_KERNEL: Final = 32 << 20
"""Files of so many bytes are given to the kernel: of less, two threads are no faster than the buffers."""
_PIECE: Final = 16 << 20
_WAITING: Final = 4
_CHUNK: Final = 1 << 20
_READ: Final = 1 << 18


def copy_hashed(source: int, target: int, size: int, advance: Advance | None = None) -> BlobId | None:
    """Copy ``size`` bytes from one descriptor to another, both at offset 0; the id of what was copied, None if the
    source has more or fewer, or cannot be read. Holes stay holes. Raises ``OSError`` where it cannot be written.

    ``advance`` is told of ``size`` bytes on the way; of none in the end where there is no id."""
    told = Told(advance)
    blob = None
    try:
        blob = _copy(source, target, size, told)
    finally:
        if blob is None:
            told.take_back()
    return blob


def _copy(source: int, target: int, size: int, told: Told) -> BlobId | None:
    sparse = os.fstat(source).st_blocks * 512 < size
    if size >= BY_KERNEL and not sparse and _is_read_back(target):
        blob = _copy_by_kernel(source, target, size, told)
        if blob is not None:
            return None if os.pread(source, 1, size) else blob
        told.take_back()
        os.ftruncate(target, 0)
    return _copy_by_buffers(source, target, size, sparse, told)


def copy_as_read(source: int, target: int) -> int:
    """Copy what a file holds that others write to, from one descriptor to another, which is new; how many bytes that
    is: no more than it had at the beginning. It is the state of one moment where the file system can share it, else
    what a reader meets who goes through it once. Holes stay holes. Raises ``OSError``."""
    if share_content(source, target):
        return os.fstat(target).st_size
    found = os.fstat(source)
    sparse = found.st_blocks * 512 < found.st_size
    at = 0
    buffer = memoryview(bytearray(_CHUNK))
    while count := os.preadv(source, [buffer[: found.st_size - at]], at):
        if sparse:
            write_with_holes(target, buffer[:count])
        else:
            write_all(target, buffer[:count])
        at += count
    os.ftruncate(target, at)  # it may end with a hole
    return at


def _is_read_back(target: int) -> bool:
    return hasattr(os, "copy_file_range") and fcntl.fcntl(target, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR


def _copy_by_kernel(source: int, target: int, size: int, told: Told) -> BlobId | None:
    """None where the kernel does not copy all of it: whatever is in the way, the buffers meet it, too."""
    from concurrent.futures import ThreadPoolExecutor

    hasher = blob_hasher(size)
    buffer = memoryview(bytearray(_READ))
    waiting: list[Future[int]] = []
    at = hashed = 0
    with ThreadPoolExecutor(1) as beside:
        while at < size:
            try:
                count = os.copy_file_range(source, target, min(_PIECE, size - at), at, at)
            except OSError:
                return None
            if not count:
                return None
            waiting.append(beside.submit(_hash, hasher, target, at, count, buffer))
            begin_to_write(target, at, count)
            at += count
            told.add(count)
            if len(waiting) == _WAITING:
                hashed += waiting.pop(0).result()
        hashed += sum([future.result() for future in waiting])
    return BlobId(hasher.digest()) if hashed == size else None


def _hash(hasher: "_Hash", fd: int, at: int, length: int, buffer: memoryview) -> int:
    """Hash a part of a file; how many bytes it was."""
    end, begun = at + length, at
    while at < end:
        try:
            count = os.preadv(fd, [buffer[: end - at]], at)
        except OSError:
            count = 0
        if not count:
            break
        hasher.update(buffer[:count])
        at += count
    return at - begun


def _copy_by_buffers(source: int, target: int, size: int, sparse: bool, told: Told) -> BlobId | None:
    hasher = blob_hasher(size)
    # Hashing releases the interpreter for large pieces, so it runs beside the reading and writing; the buffers are few
    # and used again, since fresh memory for each piece costs as much as the copying.
    from concurrent.futures import ThreadPoolExecutor

    buffers = [bytearray(_CHUNK) for _ in range(4)]
    waiting: list[Future[None]] = []
    left, turn = size, 0
    with ThreadPoolExecutor(1) as beside:
        while left:
            if len(waiting) == len(buffers) - 1:
                waiting.pop(0).result()
            piece = memoryview(buffers[turn])[: min(_CHUNK, left)]
            try:
                count = os.readv(source, [piece])
            except OSError:
                count = 0
            if not count:
                return None
            piece = piece[:count]
            waiting.append(beside.submit(hasher.update, piece))
            if sparse:
                write_with_holes(target, piece)
            else:
                write_all(target, piece)
            left -= count
            told.add(count)
            turn = (turn + 1) % len(buffers)
    if sparse:
        os.ftruncate(target, size)
    return None if os.read(source, 1) else BlobId(hasher.digest())
