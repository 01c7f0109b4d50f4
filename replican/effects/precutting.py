"""Cutting while a scan hashes: of a large file that was edited, the block list is there when it is asked for.

Who has the old version of a file asks for the blocks of the new one as soon as it is recorded. To cut it then would be
to read it once more, while the other end waits; here it is cut from the buffers that it is hashed from, by this thread
while another one hashes. A new file that seems to be a copy of one that is known needs no list: it is only told that it
is one.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from replican.chunking import LARGE, is_fast
from replican.effects.block_cache import BlockCache
from replican.effects.blocks import read_hashed_blocks
from replican.effects.underway import Told
from replican.values.blocks import BlockList
from replican.values.ids import BlobId, blob_hasher
from replican.values.listing import Row
from replican.values.trees import FILE

if TYPE_CHECKING:
    from replican.effects.doubles import Doubles
    from replican.effects.earlysending import EarlySender
    from replican.effects.hashing import Job
    from replican.effects.mirror import Copied, Copier, Copy, Copying
    from replican.effects.underway import Advance
    from replican.values.streams import CopyRecord

_CHUNK = 1 << 18


class Precutter:
    """What is given to a scan that is to cut what it reads: a :class:`~replican.effects.mirror.Copying`.

    ``rows`` are those of a directory, as it was known until now: only what was a file before is cut. The lists go to
    the cache at ``path``. Where nobody ``will_ask`` for certain, only those files are cut of whose old version there is
    a list. Of these, ``early`` sends what differs to whoever waits, and of new files of which there are ``doubles``
    what they are copies of. What is copied besides goes ``to``. Of what is read by other processes, as much of a folder
    is, nothing is cut.
    """

    def __init__(
        self,
        path: str,
        rows: Callable[[bytes], Iterable[Row]],
        will_ask: bool,
        to: "Copying | None" = None,
        early: "EarlySender | None" = None,
        doubles: "Doubles | None" = None,
    ) -> None:
        self._path = path
        self._rows = rows
        self._will_ask = will_ask
        self._to = to
        self._early = early
        self._doubles = doubles
        self._process = os.getpid()

    def has_room(self, files: int, size: int) -> bool:
        return self._to is None or self._to.has_room(files, size)

    def reads_here(self, jobs: "Sequence[Job]") -> bool:
        """Most of it comes early then, and need not be asked for and cut, which is to read it twice more."""
        if self._early is None or self._to is not None:
            return False
        with BlockCache(self._path) as cache:
            known = cache.blobs() if is_fast() else frozenset()
        size = early = 0
        for job in jobs:
            names = frozenset(job.names)
            large = [row for row in self._rows(job.path) if row.name in names and _is_large(row)]
            early += sum([row.size for row in large if row.id in known])
            if self._doubles is not None:
                early += self._doubles.size_of(job.path, names.difference([row.name for row in large]))
            size += max(job.size, sum([row.size for row in large]))
        return 2 * early > size

    @contextmanager
    def directory(self, path: bytes, mode: int) -> "Iterator[Copier | None]":
        if self._to is not None:
            with self._to.directory(path, mode) as copier:
                if copier is not None:
                    yield copier
                    return
        is_here = os.getpid() == self._process
        large = {row.name: BlobId(row.id) for row in self._rows(path) if _is_large(row)} if is_here else {}
        doubles = self._doubles if is_here else None
        if not large and doubles is None:
            yield None
            return
        with BlockCache(self._path) as cache:
            yield _Cutting(cache, large, self._will_ask, self._early, doubles)

    def note(self, copied: "Copied") -> None:
        if self._to is not None:
            self._to.note(copied)

    def packed(self, elsewhere: "Sequence[CopyRecord]") -> bytes:
        return b"" if self._to is None else self._to.packed(elsewhere)

    def send(self, some: bytes) -> None:
        if self._to is not None:
            self._to.send(some)

    @property
    def copied(self) -> "list[Copied]":
        return [] if self._to is None else self._to.copied


def _is_large(row: Row) -> bool:
    return row.kind == FILE and row.size > LARGE


class _Cutting:
    """Cuts files of one directory of whose names is known what they held. It copies nothing."""

    def __init__(
        self,
        cache: BlockCache,
        large: dict[bytes, BlobId],
        will_ask: bool,
        early: "EarlySender | None",
        doubles: "Doubles | None",
    ) -> None:
        self._early = early
        self._doubles = doubles
        self._cache = cache
        self._large = large
        self._will_ask = will_ask

    def copy(self, name: bytes, mode: int, mtime_ns: int, content: bytes) -> "Copy | None":
        return None

    def copy_long(
        self, source: int, name: bytes, mode: int, mtime_ns: int, size: int, advance: "Advance | None"
    ) -> "tuple[BlobId, Copy | None] | None":
        before = self._large.get(name)
        if before is None:
            blob = self._read_double(source, size, Told(advance))
            return None if blob is None else (blob, None)
        if size <= LARGE or not is_fast():
            return None
        known = self._cache.get(before)
        if known is None and not self._will_ask:
            return None
        told = Told(advance)
        if self._early is None:
            found = read_hashed_blocks(source, size, known, lambda data, _: told.add(len(data)))
        else:
            found = self._read_early(source, before, known, size, self._early, told)
        if found is None:
            told.take_back()
            return None
        self._cache.put(*found)
        return found[0], None

    def _read_double(self, source: int, size: int, told: Told) -> BlobId | None:
        """Hash what seems to be a copy, and tell meanwhile what of; None where it does not, or cannot be read."""
        of = None if self._doubles is None else self._doubles.of(source)
        steps = None if of is None or self._early is None else self._early.copy(of, size)
        if steps is None:
            return None
        hasher, buffer, at = blob_hasher(size), memoryview(bytearray(_CHUNK)), 0
        try:
            while at < size and (count := os.preadv(source, [buffer[: size - at]], at)):
                hasher.update(buffer[:count])
                at += count
                told.add(count)
                steps.go_on(count)
        except OSError:
            at = 0
        blob = BlobId(hasher.digest()) if at == size else None
        if blob is None:
            told.take_back()
        steps.end(blob == of)
        return blob

    def _read_early(
        self, source: int, before: BlobId, known: BlockList | None, size: int, early: "EarlySender", told: Told
    ) -> tuple[BlobId, BlockList] | None:
        from replican.values.sums import Summing

        sums = None if known is None else self._cache.sums(before, known)
        steps = None if known is None else early.file(before, known, sums, size)
        summing = Summing(known, sums)

        def take(data: memoryview, hash: bytes) -> None:
            told.add(len(data))
            summing.take(data, hash)
            if steps is not None:
                steps.take(data, hash)

        found = read_hashed_blocks(source, size, known, take)
        if steps is not None:
            steps.end(found is not None)
        if found is not None:
            self._cache.put_sums(found[0], summing.encoded(), before)
        return found

    def copy_changing(self, source: int, name: bytes, looks: int) -> "tuple[BlobId, int, Copy] | None":
        return None

    def drop(self, name: bytes) -> None:
        """A list that was made is right whatever became of the file: it is that of the content that was read."""

    def end(self) -> "tuple[int, Sequence[CopyRecord]]":
        return 0, ()
