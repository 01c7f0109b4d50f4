"""Putting a large file together from what is here and what is missing of it, in one pass, on the stage.

Blocks come from files that are here (their hashes are compared as they are copied, so a file may change meanwhile),
from an earlier run's attempt, where they lie in place, and from whoever has the wanted file. The whole is verified by
its blob id. What was fetched is written block by block: after a cut, the next run finds it where it belongs.
"""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from xxhash import xxh3_128_digest

from replican.decisions.delta import FETCHED, DeltaPlan, Range, plan_delta, ranges_of
from replican.decisions.refining import Gap, Part, Place, gaps_of, refined
from replican.effects.worktree import open_regular
from replican.values.blocks import MOST, BlockList, list_blocks
from replican.values.errors import RemoteError
from replican.values.ids import BlobId, blob_hasher
from replican.values.progress import Progress

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

_CHUNK: Final = 1 << 20
_WAITING: Final = 4
_FLAGS: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Fetch = Callable[[Sequence[Range]], Iterator[bytes]]
"""Gives the bytes of all these ranges of the wanted file, one after the other, in pieces of any size."""


class Basis(NamedTuple):
    """A file that may have blocks of the wanted one: open for reading, with its block list, as far as is known."""

    fd: int
    blocks: BlockList


def name_on_stage(blob: BlobId) -> bytes:
    """Under which name a content is put together."""
    return b"delta-" + blob.hex().encode()


class Delta:
    """One file that is put together in ``directory``, a descriptor of the stage, under :func:`name_on_stage`.

    What lies there of an earlier run is used as far as it is right; ``begun`` is a name under which there may be more,
    of which at most the beginning has come (it is taken over). A context manager; the bases stay open for as long, and
    are the caller's to close.
    """

    def __init__(
        self,
        directory: int,
        blob: BlobId,
        size: int,
        wanted: BlockList,
        bases: Sequence[Basis],
        begun: bytes | None = None,
    ) -> None:
        if wanted.size != size:
            raise RemoteError("the remote has a block list of a file of another size")
        self._directory = directory
        self._blob = blob
        self._wanted = wanted
        self._bases = bases
        self.name = name_on_stage(blob)
        self._fd = _open_target(directory, self.name, begun)
        try:
            os.ftruncate(self._fd, wanted.size)
            in_place = frozenset(_lying_in_place(self._fd, wanted))
        except BaseException:
            self.close()
            raise
        self._plan: DeltaPlan = plan_delta(wanted, [blocks for _, blocks in bases], in_place)
        self._parts: dict[int, list[Part]] = {}  # of missing blocks, what is here of them
        self._hashes: list[bytes] = [b""] * len(wanted)
        self._is_listed_right = True

    def __enter__(self) -> "Delta":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def has_begun(self) -> bool:
        """Whether an earlier attempt has left blocks that are right."""
        return len(self._bases) in self._plan.used

    @property
    def missing(self) -> list[Range]:
        """What has to be fetched: the ranges of the wanted file that are nowhere here."""
        return self._plan.missing

    @property
    def missing_size(self) -> int:
        """How many bytes that are; more, if one of the bases changes meanwhile."""
        return self._plan.missing_size

    @property
    def gaps(self) -> list[Gap]:
        """What is missing of which pieces may be here, where an edit has left them."""
        return gaps_of(self._plan, [blocks.size for _, blocks in self._bases])

    def refine(self, gaps: Sequence[Gap], sums: bytes) -> None:
        """By these fine sums, those of all pieces of these gaps, one gap after the other, less is missing."""
        self._plan, self._parts = refined(self._plan, gaps, sums, self._read)

    def _read(self, place: Place, size: int) -> bytes:
        try:
            return os.pread(self._bases[place.basis].fd, size, place.offset)
        except OSError:
            return b""

    @property
    def blocks(self) -> BlockList | None:
        """The full list of what was put together; None if the one that it was put together by is not right."""
        if not self._is_listed_right:
            return None
        return list_blocks(zip([block.length for block in self._wanted], self._hashes, strict=True))

    def assemble(self, fetch: Fetch, progress: Progress | None = None) -> bool:
        """Put it together, and verify it; it lies on the stage then, not flushed, with the mode 0600.

        False if it is not the wanted content, since the block list lies: nothing is left of it, and the file is to be
        fetched whole. Raises ``RemoteError`` if ``fetch`` gives more or fewer bytes than were asked for, and whatever
        ``fetch`` raises; and ``OSError`` where the stage cannot be written: what has come until then stays.
        """
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as beside:
            hasher = _Hasher(self._wanted.size, beside)
            lost = self._put_together(fetch, hasher, progress)
            found = None if lost else hasher.digest()
        if lost:
            self._fetch_lost(lost, fetch)
            found = self._hash_all()
        if found == self._blob:
            return True
        self.close()
        os.unlink(self.name, dir_fd=self._directory)
        return False

    def _put_together(self, fetch: Fetch, hasher: "_Hasher", progress: Progress | None) -> list[int]:
        """All blocks in their order; the numbers of those are returned that a basis did not have (any more)."""
        lost: list[int] = []
        data: bytes
        coming = _Coming(fetch(self.missing)) if self.missing else None
        number, pieces = 0, self._plan.pieces
        while number < len(pieces):
            if number in self._parts:
                data, end = self._mended(number, coming, lost), number + 1
            elif coming is not None and pieces[number].basis == FETCHED:
                data, end = self._fetched(number, coming), number + 1
            else:
                end = self._end_of_run(number)
                data = self._copied(number, end, lost)
            if not lost:
                hasher.update(data)
            if progress is not None:
                progress.advance(0, sum([piece.block.length for piece in pieces[number:end]]))
            number = end
        if coming is not None:
            coming.end()
        return lost

    def _end_of_run(self, number: int) -> int:
        """Until which block those from this one on lie side by side in one file: they are copied together."""
        pieces = self._plan.pieces
        (_, length, _), basis, source = pieces[number]
        length += source
        end = number + 1
        while end < len(pieces):
            block, other, at = pieces[end]
            if (other, at) != (basis, length) or length + block.length - source > _CHUNK:
                break
            length += block.length
            end += 1
        return end

    def _copied(self, first: int, end: int, lost: list[int]) -> bytes:
        """A run of blocks that are here, once they lie in their place; those that are not what they were are ``lost``,
        and then the bytes are of no use."""
        run = self._plan.pieces[first:end]
        (start, _, _), basis, source = run[0]
        in_place = basis == len(self._bases)
        size = sum([piece.block.length for piece in run])
        try:
            data = os.pread(self._fd if in_place else self._bases[basis].fd, size, source)
        except OSError:  # a bad sector
            data = b""
        if len(data) != size and len(run) > 1:
            for number in range(first, end):
                self._copied(number, number + 1, lost)
            return b""
        view, at = memoryview(data), 0
        good: list[tuple[memoryview, int]] = []
        for number, (block, _, _) in enumerate(run, first):
            part = view[at : at + block.length]
            at += block.length
            hash = xxh3_128_digest(part)
            if len(part) != block.length or not hash.startswith(block.hash):
                lost.append(number)
                continue
            self._hashes[number] = hash
            good.append((part, block.offset))
        if not in_place:
            for part, offset in [(view, start)] if len(good) == len(run) else good:
                _write_at(self._fd, part, offset)
        return data

    def _fetch_lost(self, lost: list[int], fetch: Fetch) -> None:
        coming = _Coming(fetch(ranges_of([self._plan.pieces[number].block for number in lost])))
        for number in lost:
            self._fetched(number, coming)
        coming.end()

    def _fetched(self, number: int, coming: "_Coming") -> bytes:
        """A block that comes: it is written also where the list says otherwise, which is the one that lies then."""
        block = self._plan.pieces[number].block
        data = coming.take(block.length)
        self._hashes[number] = hash = xxh3_128_digest(data)
        self._is_listed_right &= hash.startswith(block.hash)
        _write_at(self._fd, data, block.offset)
        return data

    def _mended(self, number: int, coming: "_Coming | None", lost: list[int]) -> bytes:
        """A block of which some comes and some is here, once it lies in its place; it is ``lost`` where its pieces are
        not what they seemed."""
        block, data = self._plan.pieces[number].block, bytearray()
        for _, length, basis, source in self._parts[number]:
            if basis != FETCHED:
                data += self._read(Place(basis, source), length)
            elif coming is not None:
                data += coming.take(length)
        hash = xxh3_128_digest(data)
        if len(data) != block.length or not hash.startswith(block.hash):
            lost.append(number)
            return b""
        self._hashes[number] = hash
        _write_at(self._fd, data, block.offset)
        return bytes(data)

    def _hash_all(self) -> bytes:
        hasher, at = blob_hasher(self._wanted.size), 0
        while data := os.pread(self._fd, _CHUNK, at):
            hasher.update(data)
            at += len(data)
        return hasher.digest()


class _Hasher:
    """Hashes beside the copying: for more than a few KiB it does not hold the interpreter."""

    def __init__(self, size: int, beside: "Executor") -> None:
        self._hasher = blob_hasher(size)
        self._beside = beside
        self._waiting: list[Future[None]] = []

    def update(self, data: bytes) -> None:
        if len(self._waiting) == _WAITING:
            self._waiting.pop(0).result()
        self._waiting.append(self._beside.submit(self._hasher.update, data))

    def digest(self) -> bytes:
        for future in self._waiting:
            future.result()
        return self._hasher.digest()


class _Coming:
    """Bytes that come in pieces, taken in others."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def take(self, length: int) -> bytes:
        taken = bytearray()
        while len(taken) < length:
            if not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    raise RemoteError("the remote sent fewer bytes of a file than were asked for")
                self._rest = memoryview(piece)
            part = self._rest[: length - len(taken)]
            self._rest = self._rest[len(part) :]
            taken += part
        return bytes(taken)

    def end(self) -> None:
        if self._rest or any(self._pieces):
            raise RemoteError("the remote sent more bytes of a file than were asked for")


def _write_at(fd: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    done = os.pwrite(fd, data, offset)
    while done < len(data):
        done += os.pwrite(fd, memoryview(data)[done:], offset + done)


def _open_target(directory: int, name: bytes, begun: bytes | None) -> int:
    for other in (name, begun):
        if other is None:
            continue
        fd = open_regular(other, directory)
        if fd is None:
            continue
        os.close(fd)
        if other != name:
            os.rename(other, name, src_dir_fd=directory, dst_dir_fd=directory)
        return os.open(name, _FLAGS, dir_fd=directory)
    try:
        return os.open(name, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory)
    except FileExistsError:  # a link, or something else that is of no use
        os.unlink(name, dir_fd=directory)
        return os.open(name, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory)


def _lying_in_place(fd: int, wanted: BlockList) -> Iterator[int]:
    """The offsets of the blocks that lie where they belong. So do zeros where there is a hole: they stay one."""
    data_from, data_end = 0, 0
    for block in wanted:
        end = block.offset + block.length
        if data_end <= block.offset:
            data_from, data_end = _next_data(fd, block.offset, wanted.size)
        if data_from >= end:
            if block.length == MOST and _hash_of_zeros().startswith(block.hash):
                yield block.offset
        elif xxh3_128_digest(os.pread(fd, block.length, block.offset)).startswith(block.hash):
            yield block.offset


def _next_data(fd: int, at: int, size: int) -> tuple[int, int]:
    """Where the next bytes are that are no hole, and where these end."""
    try:
        start = os.lseek(fd, at, os.SEEK_DATA)
        return start, os.lseek(fd, start, os.SEEK_HOLE)
    except OSError as error:
        return (size, size) if error.errno == errno.ENXIO else (at, size)


@cache
def _hash_of_zeros() -> bytes:
    return xxh3_128_digest(bytes(MOST))
