"""Hashing: the ids of files and links, read directory by directory, by two processes where there are many.

A file is opened without following links and without waiting, and must be the same before and after it was read. Its
row's stat data come from the same look.
"""

import errno
import os
import time
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from replican.effects.mirror import Copy, Mirror, write_copy, write_long_copy
from replican.effects.worktree import FILE_FLAGS, Directories, open_root, opened_directory
from replican.values.ids import blob_hasher, blob_id
from replican.values.progress import Progress
from replican.values.trees import FILE, LINK

FORK_FILES: Final = 1000
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
    root: str, jobs: Sequence[Job], progress: Progress, workers: int | None = None, mirror: Mirror | None = None
) -> Iterator[tuple[int, list[Answer]]]:
    """The number of each job with the answers for its names, in no order.

    Forks where there are more than a thousand files or some MiB: below that, two processes cost more than they save.
    With a ``mirror``, what is read is copied there.
    Raises ``ReplicanError`` if a worker dies.
    """
    files = sum([len(job.names) for job in jobs])
    if not files:
        return
    if files <= FORK_FILES or (mirror is not None and not _will_fit(root, files, mirror)):
        jobs = _with_sizes(root, jobs)
    size = sum([job.size for job in jobs])
    if mirror is not None and not mirror.has_room(files, size):
        mirror = None  # whoever wants the copies is told later how much room there has to be
    progress.begin("reading", files, size or None)
    try:
        if (files > FORK_FILES or size > FORK_BYTES) and files > 1 and workers != 1:
            yield from _hash_forked(root, jobs, progress, files, size, mirror)
        else:
            yield from _hash_here(root, jobs, progress, mirror)
    finally:
        progress.end()


def _will_fit(root: str, files: int, mirror: Mirror) -> bool:
    """Whether so many files of the folder fit into the mirror, as far as can be told without a look at each: if they
    take up all that is used of their disk, or have a MiB each."""
    disk = os.statvfs(root)
    return mirror.has_room(files, min(files << 20, (disk.f_blocks - disk.f_bfree) * disk.f_frsize))


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


def _hash_here(
    root: str, jobs: Sequence[Job], progress: Progress, mirror: Mirror | None
) -> Iterator[tuple[int, list[Answer]]]:
    root_fd = open_root(root)
    try:
        for number, job in enumerate(jobs):
            answers, copies = hash_directory(root_fd, job, progress, mirror)
            _note_copies(mirror, job, answers, copies)
            yield number, answers
    finally:
        os.close(root_fd)


def _hash_forked(
    root: str, jobs: Sequence[Job], progress: Progress, files: int, size: int, mirror: Mirror | None
) -> Iterator[tuple[int, list[Answer]]]:
    from replican.effects.forkpool import run_forked

    batches = list(_batches(jobs, max(_BATCH_FILES, files // _MOST_BATCHES), max(FORK_BYTES, size // _MOST_BATCHES)))
    missing = [len(job.names) for job in jobs]
    answers: dict[int, list[Answer]] = {}
    root_fd = open_root(root)

    def work(batch: list[_Part]) -> list[tuple[list[Answer], list[Copy | None]]]:
        os.umask(0)  # a copy has the permissions of its original; the process ends here
        return [hash_directory(root_fd, job, None, mirror) for _, _, job in batch]

    try:
        for which, found in run_forked(batches, work):
            count = length = 0
            for (number, at, job), (some, copies) in zip(batches[which], found, strict=True):
                _note_copies(mirror, job, some, copies)
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


def _note_copies(mirror: Mirror | None, job: Job, answers: list[Answer], copies: list[Copy | None]) -> None:
    if mirror is not None and copies:
        found = [(answer[6], answer[3]) if type(answer) is tuple else None for answer in answers]
        mirror.note(job.path, job.names, found, copies)
        mirror.count(sum([answer[2] for answer in answers if type(answer) is tuple]))


def hash_directory(
    root_fd: int, job: Job, progress: Progress | None = None, mirror: Mirror | None = None
) -> tuple[list[Answer], list[Copy | None]]:
    """The answers for the names of one directory; with a mirror, the copies made of them, else nothing."""
    copies: list[Copy | None] = []
    try:
        with opened_directory(root_fd, job.path) as fd:
            if mirror is None:
                return [hash_name(name, fd, progress) for name in job.names], copies
            with mirror.directory(job.path) as into:
                return [hash_name(name, fd, progress, into, copies) for name in job.names], copies
    except FileNotFoundError:
        return [None] * len(job.names), []
    except OSError as error:
        cause = CHANGED_WHILE_READ if error.errno in (errno.ENOTDIR, errno.ELOOP) else cause_of(error)
        return [cause] * len(job.names), []


def hash_name(
    name: bytes,
    dir_fd: int,
    progress: Progress | None = None,
    into: int | None = None,
    copies: list[Copy | None] | None = None,
) -> Answer:
    """What ``name`` holds: a file is read, of a link the target is taken.

    With a directory ``into``, a file is copied there, and what was made is added to ``copies``.
    """
    copy: Copy | None = None
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
                    answer, copy = _hash_file(fd, progress, name, into)
                finally:
                    os.close(fd)
        except FileNotFoundError:
            answer = None
        except OSError as error:
            answer = cause_of(error)
        if answer != CHANGED_WHILE_READ:
            break
    if copies is not None:
        copies.append(copy)
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


def _hash_file(fd: int, progress: Progress | None, name: bytes, into: int | None) -> tuple[Answer, Copy | None]:
    found = os.fstat(fd)
    if found.st_mode & 0o170000 != 0o100000:
        return SPECIAL, None
    size, mtime_ns = found.st_size, found.st_mtime_ns
    copy: Copy | None = None
    long_copy = None
    if size < _WHOLE:
        content = os.read(fd, size + 1)
        length, made = len(content), bytes(blob_id(content))
        if into is not None and length == size:
            copy = write_copy(name, into, found.st_mode, mtime_ns, content)
        if progress is not None:
            progress.advance(0, length)
    else:
        if into is not None:
            long_copy = write_long_copy(fd, name, into, found.st_mode, mtime_ns, size)
        if long_copy is not None:
            length, (made, copy) = size, long_copy
        else:
            os.lseek(fd, 0, os.SEEK_SET)
            length, made = _hash_long(fd, size, progress)
    after = os.fstat(fd)
    if length != size or (after.st_size, after.st_mtime_ns, after.st_ctime_ns) != (
        size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    ):
        if copy is not None and into is not None:
            os.unlink(name, dir_fd=into)
        return CHANGED_WHILE_READ, None
    return (FILE, found.st_mode & 0o7777, size, mtime_ns, found.st_ctime_ns, found.st_ino, made), copy


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
