"""Hashing: the ids of files and links, read directory by directory, by two processes where there are many.

A file is opened without following links and without waiting, and must be the same before and after it was read. Its
row's stat data come from the same look.
"""

import errno
import os
import time
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from replican.effects.worktree import FILE_FLAGS, Directories, open_root, opened_directory
from replican.values.ids import blob_hasher, blob_id
from replican.values.progress import Progress
from replican.values.trees import FILE, LINK

FORK_FILES: Final = 256
FORK_BYTES: Final = 8 << 20
_BATCH_FILES: Final = 250
_MOST_BATCHES: Final = 8000
_CHUNK: Final = 1 << 20
_WHOLE: Final = 1 << 17
_TRIES: Final = 3
_PAUSE_SECONDS: Final = 0.01

CHANGED_WHILE_READ: Final = "changed while read"
SPECIAL: Final = "special file"


Hashed = tuple[bytes, int, int, int, int, int, bytes]
"""What a name was found to hold: (kind, ``st_mode & 0o7777``, size, mtime in ns, ctime in ns, inode, id), of one look.
A plain tuple: some hundred thousand come through a pipe."""

Answer = Hashed | str | None
"""What became of one name: hashed, or the cause why not, or None: it is not there any more."""


class Job(NamedTuple):
    """The names to hash in one directory: files or links, as they seemed. ``size`` in bytes, as far as it is known."""

    path: bytes
    names: list[bytes]
    size: int = 0


def cause_of(error: OSError) -> str:
    """An error as the cause of a problem."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return "permission denied"
    if error.errno == errno.EIO:
        return "input/output error"
    return (error.strerror or type(error).__name__).lower()


def hash_all(
    root: str, jobs: Sequence[Job], progress: Progress, workers: int | None = None
) -> Iterator[tuple[int, list[Answer]]]:
    """The number of each job with the answers for its names, in no order.

    Forks where there are more than a few hundred files or some MiB. Raises ``ReplicanError`` if a worker dies.
    """
    files = sum([len(job.names) for job in jobs])
    if not files:
        return
    if files <= FORK_FILES:
        jobs = _with_sizes(root, jobs)
    size = sum([job.size for job in jobs])
    progress.begin("reading", files, size or None)
    try:
        if (files > FORK_FILES or size > FORK_BYTES) and files > 1 and workers != 1:
            yield from _hash_forked(root, jobs, progress, files, size)
        else:
            yield from _hash_here(root, jobs, progress)
    finally:
        progress.end()


def _with_sizes(root: str, jobs: Sequence[Job]) -> list[Job]:
    """The jobs with their sizes: few files may be large, and nobody has looked at new ones yet."""
    sized: list[Job] = []
    with Directories(root) as directories:
        for path, names, size in jobs:
            found = 0
            try:
                fd = directories.open(path)
                for name in names:
                    found += os.lstat(name, dir_fd=fd).st_size
            except OSError:
                pass  # whoever reads it will see
            sized.append(Job(path, names, max(size, found)))
    return sized


def _hash_here(root: str, jobs: Sequence[Job], progress: Progress) -> Iterator[tuple[int, list[Answer]]]:
    root_fd = open_root(root)
    try:
        for number, job in enumerate(jobs):
            yield number, hash_directory(root_fd, job, progress)
    finally:
        os.close(root_fd)


def _hash_forked(
    root: str, jobs: Sequence[Job], progress: Progress, files: int, size: int
) -> Iterator[tuple[int, list[Answer]]]:
    from replican.effects.forkpool import run_forked

    batches = list(_batches(jobs, max(_BATCH_FILES, files // _MOST_BATCHES), max(FORK_BYTES, size // _MOST_BATCHES)))
    missing = [len(job.names) for job in jobs]
    answers: dict[int, list[Answer]] = {}
    root_fd = open_root(root)

    def work(batch: list[_Part]) -> list[list[Answer]]:
        return [hash_directory(root_fd, job) for _, _, job in batch]

    try:
        for which, found in run_forked(batches, work):
            count = length = 0
            for (number, at, job), some in zip(batches[which], found, strict=True):
                count += len(some)
                length += sum([answer[2] for answer in some if type(answer) is tuple])
                held = answers.setdefault(number, [None] * len(jobs[number].names))
                held[at : at + len(job.names)] = some
                missing[number] -= len(some)
                if not missing[number]:
                    yield number, answers.pop(number)
            progress.advance(count, length)
    finally:
        os.close(root_fd)


_Part = tuple[int, int, Job]
"""Some names of a job: the job's number, where in it they begin, and the names."""


def _batches(jobs: Sequence[Job], most: int, largest: int) -> Iterator[list[_Part]]:
    """Jobs, cut and put together to batches of at most so many names and, where sizes are known, much so many bytes."""
    batch: list[_Part] = []
    files = size = 0
    for number, (path, names, job_size) in enumerate(jobs):
        step = max(1, min(most, largest * len(names) // max(1, job_size)))
        for at in range(0, len(names), step):
            some = names[at : at + step]
            part_size = job_size * len(some) // len(names)
            if batch and (files + len(some) > most or size + part_size > largest):
                yield batch
                batch, files, size = [], 0, 0
            batch.append((number, at, Job(path, some)))
            files += len(some)
            size += part_size
    if batch:
        yield batch


def hash_directory(root_fd: int, job: Job, progress: Progress | None = None) -> list[Answer]:
    """The answers for the names of one directory."""
    try:
        with opened_directory(root_fd, job.path) as fd:
            return [hash_name(name, fd, progress) for name in job.names]
    except FileNotFoundError:
        return [None] * len(job.names)
    except OSError as error:
        cause = CHANGED_WHILE_READ if error.errno in (errno.ENOTDIR, errno.ELOOP) else cause_of(error)
        return [cause] * len(job.names)


def hash_name(name: bytes, dir_fd: int, progress: Progress | None = None) -> Answer:
    """What ``name`` holds: a file is read, of a link the target is taken."""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE_SECONDS)
        try:
            try:
                fd = os.open(name, FILE_FLAGS, dir_fd=dir_fd)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.ENXIO, errno.EMLINK):
                    raise
                answer = _hash_link(name, dir_fd)
            else:
                try:
                    answer = _hash_file(fd, progress)
                finally:
                    os.close(fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            return cause_of(error)
        if answer != CHANGED_WHILE_READ:
            break
    if progress is not None:
        progress.advance(1)
    return answer


def _hash_link(name: bytes, dir_fd: int) -> Answer:
    found = os.lstat(name, dir_fd=dir_fd)
    if found.st_mode & 0o170000 != 0o120000:
        return SPECIAL if found.st_mode & 0o170000 != 0o100000 else CHANGED_WHILE_READ
    target = os.readlink(name, dir_fd=dir_fd)
    after = os.lstat(name, dir_fd=dir_fd)
    if (after.st_ino, after.st_ctime_ns) != (found.st_ino, found.st_ctime_ns):
        return CHANGED_WHILE_READ
    mode = found.st_mode & 0o7777
    return LINK, mode, len(target), found.st_mtime_ns, found.st_ctime_ns, found.st_ino, blob_id(target)


def _hash_file(fd: int, progress: Progress | None) -> Answer:
    found = os.fstat(fd)
    if found.st_mode & 0o170000 != 0o100000:
        return SPECIAL
    size = found.st_size
    if size < _WHOLE:
        content = os.read(fd, size + 1)
        length, made = len(content), bytes(blob_id(content))
        if progress is not None:
            progress.advance(0, length)
    else:
        length, made = _hash_long(fd, size, progress)
    after = os.fstat(fd)
    if length != size or (after.st_size, after.st_mtime_ns, after.st_ctime_ns) != (
        size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    ):
        return CHANGED_WHILE_READ
    return FILE, found.st_mode & 0o7777, size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, made


def _hash_long(fd: int, size: int, progress: Progress | None) -> tuple[int, bytes]:
    hasher = blob_hasher(size)
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    length = 0
    while length <= size:
        count = os.readv(fd, [buffer])
        if not count:
            break
        hasher.update(view[:count])
        length += count
        if progress is not None:
            progress.advance(0, count)
    return length, hasher.digest()
