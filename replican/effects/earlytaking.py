"""Taking early files: what comes while it is read at the other end of a link is put together here meanwhile.

Bytes of old versions are copied from files here, and all are hashed as they are written: what id a file has is known
from that and from nothing else, and it is used only where a checkpoint names it. So it does no harm when the old
version is not what it was, or the other end lies. What nobody wants goes, but for new bytes of a file that did not
come to its end: the next run takes blocks from these.
"""

import os
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from replican.chunking import is_fast
from replican.effects.blocks import CuttingBeside
from replican.effects.durable import open_shelf
from replican.effects.linux import begin_to_write
from replican.effects.relisting import Relisting
from replican.effects.staging import write_all, write_with_holes
from replican.values.blocks import MOST, BlockList
from replican.values.early import RUN_LIMIT, EarlyFile, Step, read_early
from replican.values.errors import ReplicanError
from replican.values.ids import BlobId, blob_hasher, blob_id
from replican.values.progress import Progress
from replican.values.streams import StreamReader

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_BUFFERS: Final = 4
_WRITE: Final = 32 << 20
_FILES: Final = 64
_LEFT_FREE: Final = 64 << 20
_ABANDONED: Final = 8


class OldVersion(NamedTuple):
    """The old version of a file: open for reading, with its block list where that is known."""

    fd: int
    blocks: BlockList | None


class EarlyFound(NamedTuple):
    """A file that has been put together: its name on the stage, its block list where that is known, how many of its
    bytes had to come."""

    name: bytes
    blocks: BlockList | None
    new: int


class EarlyTaker:
    """Early files on the stage at ``path``. A context manager: what nobody took over goes with it.

    ``find`` gives the old version of a file by its id, where it is here.
    """

    def __init__(self, path: str, find: Callable[[BlobId], OldVersion | None]) -> None:
        self._path = path
        self._find = find
        self._directory = -1
        self._found: dict[BlobId, EarlyFound] = {}
        self._count = 0
        self.abandoned: list[BlobId] = []
        """The old versions of some files of which not all came: the rest is likely to be in these."""

    @property
    def came(self) -> Collection[BlobId]:
        """What has been put together and not been taken over."""
        return self._found.keys()

    def __enter__(self) -> "EarlyTaker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for found in self._found.values():
            self._remove(found.name)
        self._found.clear()
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1

    def take(self, reader: StreamReader, progress: Progress) -> None:
        """Take all that comes. Raises ``ProtocolError``, and what the reader raises."""
        for file in read_early(reader):
            progress.begin("receiving", 1, file.size)
            try:
                self._take_or_pass(file, progress)
            finally:
                progress.end()

    def _take_or_pass(self, file: EarlyFile, progress: Progress) -> None:
        old = self._find(file.old) if self._has_room(file.size) else None
        if old is None:
            for _ in file.steps():
                pass
            return
        try:
            self._take_file(file, old, progress)
        finally:
            os.close(old.fd)

    def _has_room(self, size: int) -> bool:
        """Whether it may be put together before anybody has looked whether the disk has room for all that is to come:
        only where it plainly has."""
        if len(self._found) == _FILES:
            return False
        try:
            if self._directory < 0:
                self._directory = open_shelf(self._path)
            room = os.fstatvfs(self._directory)
        except (OSError, ReplicanError):  # whoever needs the stage next tells of it
            return False
        return 2 * size + _LEFT_FREE <= room.f_bavail * room.f_frsize

    def _take_file(self, file: EarlyFile, old: OldVersion, progress: Progress) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self._count += 1
        name = b"early-%d-%d" % (os.getpid(), self._count)
        self._remove(name)
        try:
            fd = os.open(name, _NEW, 0o600, dir_fd=self._directory)
        except OSError:
            fd = -1
        putting: _Putting | None = None
        blob: BlobId | None = None
        try:
            with ThreadPoolExecutor(1) as beside, ThreadPoolExecutor(1) as flushing:
                if fd >= 0:
                    putting = _Putting(fd, file.size, old, beside, flushing)
                for step in file.steps():
                    if putting is not None:
                        putting.put(step)
                    progress.advance(0, step.length)
                if putting is not None and file.is_whole:
                    blob = putting.end()
        finally:
            if fd >= 0:
                os.close(fd)
            if putting is not None:
                putting.close()
            if blob is None and putting is not None:
                self._give_up(name, file.old, putting.new)
        if blob is None or putting is None:
            if file.old not in self.abandoned and len(self.abandoned) < _ABANDONED:
                self.abandoned.append(file.old)
            return
        if blob in self._found:
            self._remove(self._found[blob].name)
        # Under its id, so that it does not make room for what is wanted.
        kept = b"%s-%s" % (blob.hex().encode(), name)
        try:
            os.rename(name, kept, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        except OSError:
            return
        self._found[blob] = EarlyFound(kept, putting.blocks(), putting.new)

    def _give_up(self, name: bytes, old: BlobId, new: int) -> None:
        """It is not whole. What has come of it, if that is more than a block, is what blocks can be taken from, by this
        run or the next; of one old version there is one such part, however often it is tried."""
        if new <= MOST:
            self._remove(name)
            return
        with suppress(OSError):
            part = b"part-" + blob_id(b"what came early of " + old).hex().encode()
            os.rename(name, part, src_dir_fd=self._directory, dst_dir_fd=self._directory)

    def _remove(self, name: bytes) -> None:
        with suppress(OSError):
            os.unlink(name, dir_fd=self._directory)

    def land(self, blob: BlobId, into: int, name: bytes) -> EarlyFound | None:
        """Have the file with this id lie under ``name`` in the directory ``into``, which is the stage; None where it
        did not come."""
        found = self._found.pop(blob, None)
        if found is None:
            return None
        try:
            os.rename(found.name, name, src_dir_fd=self._directory, dst_dir_fd=into)
        except OSError:  # somebody has tidied up meanwhile
            return None
        return found


class _Putting:
    """Puts one file together: by this thread, while another one hashes, and a third has the disk write."""

    def __init__(self, fd: int, size: int, old: OldVersion, beside: "Executor", flushing: "Executor") -> None:
        self.new = 0
        self._has_failed = False
        self._fd = fd
        self._old = old
        self._beside = beside
        self._flushing = flushing
        self._size = size
        found = os.fstat(old.fd)
        self._is_sparse = found.st_blocks * 512 < found.st_size
        self._hasher = blob_hasher(size)
        self._buffers = [memoryview(bytearray(RUN_LIMIT)) for _ in range(_BUFFERS)]
        self._turn = 0
        self._waiting: list[Future[None]] = []
        self._at = self._flushed = 0
        self._relisting = None if old.blocks is None else Relisting(old.blocks)
        # What is as long as it was is likely to be a copy, which is not cut in vain.
        is_cut = old.blocks is None and size != found.st_size and is_fast()
        self._cutting = CuttingBeside() if is_cut else None

    def put(self, step: Step) -> None:
        """Put the next step. Where one is not possible, nothing is put any more."""
        if self._has_failed:
            return
        try:
            if step.new is None:
                self._has_failed = not self._copy(step.offset, step.length)
                return
            if self._relisting is not None:
                self._relisting.new(step.new)
            self._write(memoryview(step.new), is_sparse=not any(step.new[:1]))
            self.new += step.length
        except OSError:
            self._has_failed = True

    def _copy(self, offset: int, length: int) -> bool:
        """Copy bytes of the old version, no more than a step has; False where it has fewer."""
        if len(self._waiting) >= _BUFFERS - 1:
            self._waiting.pop(0).result()
        buffer = self._buffers[self._turn][:length]
        self._turn = (self._turn + 1) % _BUFFERS
        read = 0
        while read < length:
            count = os.preadv(self._old.fd, [buffer[read:]], offset + read)
            if not count:
                return False
            read += count
        if self._relisting is not None:
            self._relisting.old(offset, buffer)
        self._write(buffer, self._is_sparse)
        return True

    def _write(self, data: memoryview, is_sparse: bool) -> None:
        """Zeros become a hole where that is likely to have been one."""
        if len(self._waiting) >= _BUFFERS - 1:
            self._waiting.pop(0).result()
        self._waiting.append(self._beside.submit(self._hasher.update, data))
        if self._cutting is not None:
            self._cutting.update(bytes(data))
        if is_sparse:
            write_with_holes(self._fd, data)
        else:
            write_all(self._fd, data)
        self._at += len(data)
        if self._at - self._flushed >= _WRITE:
            self._flushing.submit(begin_to_write, self._fd, self._flushed, self._at - self._flushed)
            self._flushed = self._at

    def end(self) -> BlobId | None:
        """All has been put: the id of it, None where something could not be."""
        if self._has_failed:
            return None
        for future in self._waiting:
            future.result()
        try:
            os.ftruncate(self._fd, self._size)  # it may end with a hole
        except OSError:
            return None
        return BlobId(self._hasher.digest())

    def close(self) -> None:
        if self._cutting is not None:
            self._cutting.__exit__()

    def blocks(self) -> BlockList | None:
        """The block list of it: made of that of the old version where it is known, else cut."""
        if self._cutting is not None:
            return self._cutting.blocks()
        return None if self._relisting is None else self._relisting.blocks()
