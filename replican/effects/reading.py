"""Reading: what the files of many directories hold, found out by other processes from the moment when they are many.

Directories are given one by one, as a walk finds them, and what is made of each comes back in no order. Few are read at
the end, by this process: two cost more than they save then.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from replican.effects.forkpool import Pool
from replican.effects.hashing import Answer, Found, Job, hash_directory
from replican.effects.index_births import Birth
from replican.effects.mirror import Copy, Copying
from replican.effects.underway import Reporter
from replican.effects.worktree import Directories, open_root
from replican.values.progress import Progress
from replican.values.streams import CopyRecord

FORK_FILES: Final = 1000
FORK_BYTES: Final = 8 << 20
_FEW_FILES: Final = 64
_BATCH_FILES: Final = 250
_UNCOUNTED: Final = 1 << 62  # files, on a disk that does not say how many it has

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Part(NamedTuple):
    """Names for a worker to read: all those of a directory, with the item that it was given with, or (the item is
    None) some of them: the directory's number, and where in it they begin."""

    job: Job
    item: object
    number: int
    at: int


_Done = tuple[_Part | None, int, int, object]
"""What became of a part: where it belongs if it is one of several, how many files and bytes were read for it, and what
was found or, of a whole directory, made of it."""


class _Cut:
    """A directory that is read in parts: what was found in it so far."""

    def __init__(self, item: object, names: int) -> None:
        self.item = item
        self.missing = names
        self.answers: list[Answer] = [None] * names
        self.copies: list[Copy | None] = [None] * names
        self.births: list[Birth] = []
        self.ino = 0

    def add(self, at: int, found: Found) -> None:
        end = at + len(found.answers)
        self.answers[at:end] = found.answers
        self.copies[at:end] = found.copies or [None] * len(found.answers)
        self.births += found.births
        self.ino = found.ino or self.ino
        self.missing -= len(found.answers)


class Reading(Generic[Item, Result]):
    """Reads directories below ``root``. A context manager.

    ``finish`` makes the result of an item and what was found in its directory, in whatever process has read it, which
    may be this one. With one of ``workers``, it always is. What is read is copied to ``mirror``, or nothing is where
    that has too little room for all of it. Raises ``ReplicanError`` if a worker dies.
    """

    def __init__(
        self,
        root: str,
        finish: Callable[[Item, Found], Result],
        workers: int | None = None,
        mirror: Copying | None = None,
    ) -> None:
        self._root = root
        self._finish = finish
        self._alone = workers == 1
        self._mirror = mirror
        self._root_fd = -1
        self._pool: Pool[list[_Part], tuple[list[_Done], bytes]] | None = None
        self._given: list[tuple[Item, Job]] = []
        self._batch: list[_Part] = []
        self._batched = 0
        self._cut: dict[int, _Cut] = {}
        self._held = False  # until all is known
        self._files = self._size = 0  # to be read
        self._read_files = self._read_size = 0
        self._reporter = Reporter()

    def __enter__(self) -> "Reading[Item, Result]":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.close()
        if self._root_fd >= 0:
            os.close(self._root_fd)
            self._root_fd = -1

    def give(self, item: Item, job: Job) -> Sequence[Result]:
        """A directory to be read; the results that have come meanwhile."""
        self._files += len(job.names)
        self._size += job.size
        if self._pool is None:
            self._given.append((item, job))
            if self._alone or self._held or not self._is_much():
                return ()
            if not self._fits_surely():
                self._held = True
                return ()
            self._begin()
        else:
            self._put(item, job)
        return self._come(0)

    def rest(self, progress: Progress) -> Iterator[Result]:
        """All results that have not come, when all directories have been given."""
        if not self._files:
            return
        if self._pool is None:
            if self._files <= FORK_FILES or not self._will_fit():
                self._given = _with_sizes(self._root, self._given)
                self._size = sum([job.size for _, job in self._given])
            if self._mirror is not None and not self._mirror.has_room(self._files, self._size):
                self._mirror = None  # whoever wants the copies is told later how much room there has to be
            if self._is_much() and not self._alone:
                self._begin()
        progress.begin("reading", self._files, self._size or None)
        try:
            if self._pool is None:
                yield from self._read_here(progress)
            else:
                yield from self._read_there(progress)
        finally:
            progress.end()

    def _is_much(self) -> bool:
        if self._files <= 1 or self._size <= FORK_BYTES:
            return self._files > FORK_FILES
        jobs = [job for _, job in self._given]
        return self._files > _FEW_FILES or self._mirror is None or not self._mirror.reads_here(jobs)

    def _fits_surely(self) -> bool:
        """Whether the mirror has room for whatever may come: all that is used of the folder's disk. Where it has not,
        nothing is copied before it is known how much there is."""
        if self._mirror is None:
            return True
        disk = os.statvfs(self._root)
        files = disk.f_files - disk.f_ffree if disk.f_files else _UNCOUNTED
        return self._mirror.has_room(files, _used(disk))

    def _will_fit(self) -> bool:
        """Whether the mirror has room for the files given, as far as can be told without a look at each: if they take
        up all that is used of their disk, or have a MiB each."""
        if self._mirror is None:
            return True
        return self._mirror.has_room(self._files, min(self._files << 20, _used(os.statvfs(self._root))))

    def _read_here(self, progress: Progress) -> Iterator[Result]:
        self._root_fd = open_root(self._root)
        elsewhere: list[CopyRecord] = []
        for item, job in self._given:
            found = hash_directory(self._root_fd, job, progress, self._mirror)
            elsewhere += found.copied_elsewhere
            if sum([record.size for record in elsewhere]) > FORK_BYTES // 8:
                self._send(self._packed(elsewhere))
                elsewhere.clear()
            yield self._finish(item, found._replace(copied_elsewhere=()))
        self._send(self._packed(elsewhere))

    def _read_there(self, progress: Progress) -> Iterator[Result]:
        assert self._pool is not None
        self._hand_over()
        told_files = told_size = 0
        while self._pool.busy:
            results = self._come(0.25)
            files, size = self._read_files, self._read_size + self._pool.told
            progress.advance(files - told_files, size - told_size)
            told_files, told_size = files, size
            yield from results

    def _begin(self) -> None:
        self._root_fd = open_root(self._root)
        self._pool = Pool(self._work, reporter=self._reporter)
        for item, job in self._given:
            self._put(item, job)
        self._given.clear()

    # -- parts and batches --------------------------------------------------------------------------------------

    def _put(self, item: Item, job: Job) -> None:
        """Cut a directory, where it is large, and put parts together to batches of so many names and, where sizes are
        known, much so many bytes."""
        names = len(job.names)
        step = max(1, min(_BATCH_FILES, FORK_BYTES * names // max(1, job.size)))
        if names <= step:
            self._add(_Part(job, item, 0, 0))
            return
        number = len(self._cut)
        self._cut[number] = _Cut(item, names)
        for at in range(0, names, step):
            some = job.names[at : at + step]
            self._add(_Part(job._replace(names=some, size=job.size * len(some) // names), None, number, at))

    def _add(self, part: _Part) -> None:
        files = len(part.job.names)
        if self._batch and (self._batched + files > _BATCH_FILES or self._bytes() + part.job.size > FORK_BYTES):
            self._hand_over()
        self._batch.append(part)
        self._batched += files

    def _bytes(self) -> int:
        return sum([part.job.size for part in self._batch])

    def _hand_over(self) -> None:
        assert self._pool is not None
        if self._batch:
            self._pool.give(self._batch)
        self._batch, self._batched = [], 0

    def _work(self, batch: list[_Part]) -> tuple[list[_Done], bytes]:
        """In another process: what becomes of each part; what of all of them is sent elsewhere."""
        os.umask(0)  # a copy has the permissions of its original; the process ends here
        done: list[_Done] = []
        elsewhere: list[CopyRecord] = []
        for part in batch:
            found = hash_directory(self._root_fd, part.job, None, self._mirror, self._reporter.advance)
            elsewhere += found.copied_elsewhere
            found = found._replace(copied_elsewhere=())
            if part.item is None:
                done.append((part._replace(job=Job(b"", [])), len(found.answers), found.size, found))
            else:
                made = self._finish(part.item, found)  # type: ignore[arg-type]
                done.append((None, len(found.answers), found.size, made))
        return done, self._packed(elsewhere)

    def _come(self, seconds: float) -> list[Result]:
        """The results that have come, or come within so many seconds."""
        assert self._pool is not None
        results: list[Result] = []
        for done, packed in self._pool.done(seconds):
            self._send(packed)
            for part, files, size, made in done:
                self._read_files += files
                self._read_size += size
                if part is None:
                    results.append(made)  # type: ignore[arg-type]
                else:
                    results += self._put_together(part, made)  # type: ignore[arg-type]
        return results

    def _packed(self, elsewhere: Sequence[CopyRecord]) -> bytes:
        return self._mirror.packed(elsewhere) if elsewhere and self._mirror is not None else b""

    def _send(self, some: bytes) -> None:
        if some and self._mirror is not None:
            self._mirror.send(some)

    def _put_together(self, part: _Part, found: Found) -> Iterable[Result]:
        cut = self._cut[part.number]
        cut.add(part.at, found)
        if cut.missing:
            return ()
        self._cut[part.number] = _Cut(None, 0)
        return (self._finish(cut.item, Found(cut.answers, cut.copies, cut.ino, (), cut.births)),)  # type: ignore[arg-type]


def _used(disk: os.statvfs_result) -> int:
    return (disk.f_blocks - disk.f_bfree) * disk.f_frsize


def _with_sizes(root: str, given: Iterable[tuple[Item, Job]]) -> list[tuple[Item, Job]]:
    """The jobs with their sizes: few files may be large, and nobody has looked at new ones yet. What is put off counts
    nothing."""
    sized: list[tuple[Item, Job]] = []
    with Directories(root) as directories:
        for item, job in given:
            found = 0
            try:
                fd = directories.open(job.path)
                for name in job.names:
                    size = os.lstat(name, dir_fd=fd).st_size
                    found += size if job.most is None or size <= job.most else 0
            except OSError:
                pass  # whoever reads it will see
            sized.append((item, job._replace(size=max(job.size, found))))
    return sized


def hash_all(
    root: str, jobs: Sequence[Job], progress: Progress, workers: int | None = None
) -> Iterator[tuple[int, list[Answer]]]:
    """The number of each job with the answers for its names, in no order: :class:`Reading` where all is known at the
    beginning, and nothing is made of it."""
    with Reading(root, _numbered, workers) as reading:
        for number, job in enumerate(jobs):
            yield from reading.give(number, job)
        yield from reading.rest(progress)


def _numbered(number: int, found: Found) -> tuple[int, list[Answer]]:
    return number, found.answers
