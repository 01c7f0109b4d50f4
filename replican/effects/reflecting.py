"""Small files for the other end of a link, a directory at a time: :mod:`replican.effects.copies` makes files of them.

A :class:`Reflection` is what a first scan is given: what it reads is copied over there in the same go. A
:class:`CopySender` reads directories whose trees are known. Both send what was read as whoever has read it packed it:
other processes, where it is much.
"""

import mmap
import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from replican.decisions.easing import Ease, after
from replican.effects.forking import worker_count
from replican.effects.forkpool import Pool
from replican.effects.mirror import Copied
from replican.effects.staging import read_exactly
from replican.effects.worktree import FILE_FLAGS, open_root, opened_directory
from replican.values.frames import BYTES, encode_frame
from replican.values.ids import BlobId, blob_id
from replican.values.streams import COPY_LIMIT, END_OF_COPIES, CopiedFile, CopyRecord, encode_copies, frame_copies
from replican.values.trees import FILE, Entry, parse_tree

if TYPE_CHECKING:
    from replican.effects.channel import Channel
    from replican.effects.hashing import Job
    from replican.effects.mirror import Copier, Copy
    from replican.effects.underway import Advance

_FORK_FILES: Final = 500
_BATCH_FILES: Final = 400
_AS_IT_IS: Final = 3
"""One of so many frames goes as it is, on a link that takes it."""
_PAUSE_SECONDS: Final = 0.1
_new_file = tuple.__new__  # what ``CopiedFile(...)`` does, without a call in between


class _Keeper:
    """Keeps the content of small files. Large ones are asked for later, when they can be gone on with after a cut."""

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._kept: dict[bytes, CopiedFile] = {}

    def copy(self, name: bytes, mode: int, mtime_ns: int, content: bytes) -> "Copy | None":
        if len(content) <= COPY_LIMIT:
            self._kept[name] = CopiedFile(name, mode & 0o777, mtime_ns, content)
        return None

    def copy_long(
        self, source: int, name: bytes, mode: int, mtime_ns: int, size: int, advance: "Advance | None"
    ) -> "tuple[BlobId, Copy] | None":
        return None

    def copy_changing(self, source: int, name: bytes, looks: int) -> "tuple[BlobId, int, Copy] | None":
        return None

    def drop(self, name: bytes) -> None:
        self._kept.pop(name, None)

    def end(self) -> tuple[int, Sequence[CopyRecord]]:
        return 0, encode_copies(self._path, list(self._kept.values()))


class CopyFrames:
    """Makes frames of copies, in whatever process, and sends them in one. What the link takes there decides how much is
    compressed."""

    def __init__(self, channel: "Channel") -> None:
        self._channel = channel
        self._count = 0
        self._is_light = mmap.mmap(-1, 1)  # as long as this lives, other processes see what is put there
        self._ended = time.monotonic()
        self._ease = Ease(self._ended)

    def frame(self, data: bytes) -> bytes:
        """A frame with some of a stream."""
        packer = self._channel.packer
        self._count += 1
        if packer is None or (self._is_light[0] and self._count % _AS_IT_IS == 0):
            return encode_frame(BYTES, data)
        return packer.frame(data)

    def begin(self) -> None:
        """A stream begins: how long nothing was wanted tells nothing of the link."""
        if (now := time.monotonic()) - self._ended > _PAUSE_SECONDS:
            self._ease = self._ease._replace(begun=now, sent=0)

    def send(self, frames: bytes) -> None:
        """Send some frames of a stream."""
        self._channel.put_frames(frames)
        self._ended = time.monotonic()
        self._ease = after(self._ease, len(frames), self._ended)
        self._is_light[0] = self._ease.is_light


class Reflection:
    """What is given to a scan whose copies are made at the other end of the link that a channel is."""

    def __init__(self, channel: "Channel") -> None:
        frames = CopyFrames(channel)
        self.send = frames.send
        self._frame = frames.frame

    def reads_here(self, jobs: "Sequence[Job]") -> bool:
        return False

    def has_room(self, files: int, size: int) -> bool:
        return True  # that is for the other end to know

    @contextmanager
    def directory(self, path: bytes, mode: int) -> "Iterator[Copier | None]":
        yield _Keeper(path)

    def packed(self, elsewhere: Sequence[CopyRecord]) -> bytes:
        return frame_copies(elsewhere, self._frame)

    def note(self, copied: Copied) -> None:
        pass

    @property
    def copied(self) -> list[Copied]:
        return []

    def end(self) -> None:
        """There is no more."""
        self.send(end_of_copies())


def end_of_copies() -> bytes:
    """The frame that ends a stream of copies."""
    return encode_frame(BYTES, END_OF_COPIES)


class Sending(NamedTuple):
    """A directory whose small files are sent: its path, its tree, and the numbers of those entries that are not."""

    path: bytes
    payload: bytes
    left_out: Sequence[int]


class _Batch(NamedTuple):
    """Some directories of a stream, which has a number."""

    stream: int
    directories: Sequence[Sending]


class _Read(NamedTuple):
    """What was read of a batch: how many files there are, and the frames that have them."""

    stream: int
    files: int
    frames: bytes


class CopySender:
    """Sends the small files of directories below ``root``, as far as they look as they were recorded. Close it."""

    def __init__(self, root: str, channel: "Channel") -> None:
        self._root_fd = open_root(root)
        self._frames = CopyFrames(channel)
        self._pool: Pool[_Batch, _Read] | None = None
        self._last = 0
        self._own: dict[int, list[_Batch]] = {}  # what this process is to read itself, stream by stream
        self._others: Counter[int] = Counter()  # how much of each stream other processes have
        self._early: dict[int, list[_Read]] = {}

    def close(self) -> None:
        """Give back what is held."""
        self._end_others()
        os.close(self._root_fd)

    def _end_others(self) -> None:
        self._own.clear()
        self._others.clear()
        self._early.clear()
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def begin(self, directories: Sequence[Sending]) -> int:
        """Begin to read what is to be the next stream but for those that were begun before: its number."""
        self._last += 1
        batches = [_Batch(self._last, batch) for batch in _batches(directories)]
        if self._pool is None and len(batches) * _BATCH_FILES >= _FORK_FILES and worker_count() > 1:
            self._pool = Pool(self._read)
        if self._pool is None:
            self._own[self._last] = batches
        else:
            self._others[self._last] = len(batches)
            for batch in batches:
                self._pool.give(batch)
        return self._last

    def finish(self, stream: int, meanwhile: Callable[[], None]) -> int:
        """Send the stream with what there is of its directories, with something to do ``meanwhile``, often; how many
        files that is. What is not what its tree says is left out: whoever wants it asks for it, and is told why it is
        not to be had. After an error, nothing that was begun goes on."""
        self._frames.begin()
        count = 0
        try:
            for batch in self._own.pop(stream, ()):
                count += self._put(self._read(batch))
            for done in self._early.pop(stream, ()):
                count += self._put(done)
            while self._others[stream]:
                assert self._pool is not None
                for done in self._pool.done():
                    self._others[done.stream] -= 1
                    if done.stream == stream:
                        count += self._put(done)
                    else:
                        self._early.setdefault(done.stream, []).append(done)
                meanwhile()
        except BaseException:
            self._end_others()
            raise
        del self._others[stream]
        self._frames.send(end_of_copies())
        return count

    def _put(self, done: _Read) -> int:
        if done.frames:
            self._frames.send(done.frames)
        return done.files

    def _read(self, batch: _Batch) -> _Read:
        """What there is of some directories."""
        count = 0
        records: list[CopyRecord] = []
        for path, payload, left_out in batch.directories:
            files = self._files(path, _small_files(payload, left_out))
            count += len(files)
            records += encode_copies(path, files)
        return _Read(batch.stream, count, frame_copies(records, self._frames.frame))

    def _files(self, path: bytes, entries: Iterable[Entry]) -> list[CopiedFile]:
        files: list[CopiedFile] = []
        try:
            with opened_directory(self._root_fd, path) as directory:
                for name, _, perm, size, mtime_ns, id_ in entries:
                    try:
                        fd = os.open(name, FILE_FLAGS, dir_fd=directory)
                    except OSError:
                        continue
                    try:
                        found = os.fstat(fd)
                        if found.st_size != size or not stat.S_ISREG(found.st_mode):
                            continue
                        content = read_exactly(fd, size)
                    finally:
                        os.close(fd)
                    # Whoever takes it computes its id in any case. Here that is done for what has another time only.
                    if content is not None and (found.st_mtime_ns == mtime_ns or blob_id(content) == id_):
                        files.append(_new_file(CopiedFile, (name, perm, mtime_ns, content)))
        except OSError:
            pass  # the directory is not there any more
        return files


def _batches(directories: Iterable[Sending]) -> Iterator[list[Sending]]:
    batch: list[Sending] = []
    size = 0
    for each in directories:
        batch.append(each)
        size += len(each.payload)
        if size > _BATCH_FILES * _ENTRY_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


_ENTRY_BYTES: Final = 80
"""What an entry of a tree has, more or less."""


def _small_files(payload: bytes, left_out: Sequence[int]) -> list[Entry]:
    others = frozenset(left_out)
    return [entry for number, entry in enumerate(parse_tree(payload)) if _is_small(entry) and number not in others]


def _is_small(entry: Entry) -> bool:
    return entry.kind == FILE and entry.size <= COPY_LIMIT
