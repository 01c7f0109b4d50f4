"""Copies: small files that come over a link, a directory at a time, and go to their places in a mirror at once.

Each frame of such a stream stands for itself. So where there are many, other processes decompress them, look at what is
in them, hash it and make the files, while this one hears the link. Whatever came is copied, under the name and
with the id that were computed of it; it is used only where a tree of the log names it.
"""

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from replican.effects.forking import worker_count
from replican.effects.forkpool import Pool
from replican.effects.mirror import Copied, Filled, Mirror
from replican.values.errors import LinkError
from replican.values.frames import BYTES, Frame, piece_of
from replican.values.ids import TreeId, blob_id, tree_id
from replican.values.listing import Row, digest_of_rows, encode_listing
from replican.values.streams import END_OF_COPIES, CopiedFile, read_copies
from replican.values.trees import FILE, encode_tree

if TYPE_CHECKING:
    from replican.effects.channel import Channel
    from replican.values.progress import Progress

_LEFT_FREE: Final = 16 << 20
"""Bytes that copies leave free, where nobody knows how many will come: the log and the index need some."""
_FORK_FROM: Final = 4
"""As many frames are taken by this process before there are others."""

_Taken = list[tuple[Copied, int]]
"""Directories, and how many of the files in each are not empty."""


class CopyTaker:
    """Takes streams of copies, and copies what is in them to ``mirror``. A context manager.

    Where there is too little room for it, the rest is passed over, and what was copied goes: who writes all of it out
    later knows how much there has to be. ``came`` is how many files with content have come. Raises ``WorkerError`` if a
    worker dies.
    """

    def __init__(self, mirror: Mirror, progress: "Progress") -> None:
        self._mirror = mirror
        self._progress = progress
        self._pool: Pool[Frame, _Taken] | None = None
        self._frames = 0
        self.fits = True
        self.came = 0

    def __enter__(self) -> "CopyTaker":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.close()

    def take(self, frame: Callable[[], Frame]) -> None:
        """Take one stream, whose frames are given by ``frame``, to its end. Raises what that does, and, now or later,
        ``ProtocolError`` for what is none, or ``WorkerError`` when another process died."""
        try:
            while (one := frame()) != _END:
                if self.fits and not self._mirror.has_room(1, _LEFT_FREE):
                    self.fits = False
                    self.finish()
                    self._mirror.forget()
                if self.fits:
                    self._take(one)
        except LinkError:
            self.finish()  # what came before that is found by the next run
            raise

    def finish(self) -> None:
        """Wait until all that came has been copied."""
        while self._pool is not None and self._pool.busy:
            self._note(self._pool.done())

    def _take(self, frame: Frame) -> None:
        self._frames += 1
        if self._pool is None:
            if self._frames <= _FORK_FROM or worker_count() < 2:
                self._note([self._copy(frame)])
                return
            self._pool = Pool(self._work)
        self._pool.give(frame)
        self._note(self._pool.done(0))
        while self._pool.is_full:
            self._note(self._pool.done())

    def _work(self, frame: Frame) -> _Taken:
        """In another process."""
        os.umask(0)  # a copy has the permissions of its original; the process ends here
        return self._copy(frame)

    def _copy(self, frame: Frame) -> _Taken:
        return [_copy_directory(path, files, self._mirror) for path, files in read_copies(piece_of(frame))]

    def _note(self, results: list[_Taken]) -> None:
        for result in results:
            for copied, filled in result:
                self._mirror.note(copied)
                self.came += filled
                self._progress.advance(copied.filled.files, copied.filled.size)


def receive_copies(
    channel: "Channel",
    mirror: Mirror,
    progress: "Progress",
    streams: Iterable[None] = (None,),
    totals: tuple[int | None, int | None] = (None, None),
) -> None:
    """Take streams of copies that come over a link: one after each of ``streams``, whose iteration asks for it.
    ``totals`` are how many files, and bytes of content, will come, as far as that is known."""
    progress.begin("receiving", *totals, wire=lambda: channel.traffic)
    try:
        with CopyTaker(mirror, progress) as taker:
            try:
                for _ in streams:
                    taker.take(channel.frame)
                taker.finish()
            finally:
                channel.files += taker.came
    finally:
        progress.end()


_END: Final = Frame(BYTES, END_OF_COPIES)


def _copy_directory(path: bytes, files: list[CopiedFile], mirror: Mirror) -> tuple[Copied, int]:
    rows: list[Row] = []
    ino = 0
    with mirror.directory(path, 0o700) as copier:
        if copier is not None:
            for name, perm, mtime_ns, content in files:
                copy = copier.copy(name, perm, mtime_ns, content)
                if copy is not None:
                    id_ = blob_id(content)
                    rows.append(Row(name, FILE, perm, len(content), mtime_ns, id_, perm, mtime_ns, copy[1], copy[0]))
            ino, _ = copier.end()
    rows.sort()
    newest = max([row.ctime_ns for row in rows], default=0)
    size = sum([row.size for row in rows])
    filled = Filled(path, encode_listing(rows), digest_of_rows(rows), ino, newest, [], len(rows), size)
    return Copied(filled, _tree_of(rows)), sum([row.size > 0 for row in rows])


def _tree_of(rows: list[Row]) -> TreeId:
    """The tree of a directory with these files, and nothing else."""
    return tree_id(encode_tree([row[:6] for row in rows]))  # type: ignore[misc]  # a row begins with an entry's fields
