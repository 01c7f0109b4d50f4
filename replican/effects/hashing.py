"""Hashing: the ids of files and links, read directory by directory.

A file is opened without following links and without waiting, and must be the same before and after it was read. Its
row's stat data come from the same look. One that never is the same is left alone, unless whoever makes copies needs one
of it: then it is the copy that is hashed, and no look at the file will find that it is this.
"""

import errno
import os
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from replican.effects.births import births_of
from replican.effects.index_births import Birth
from replican.effects.linux import is_open_for_writing
from replican.effects.mirror import Copier, Copy, Copying
from replican.effects.underway import Advance, Told
from replican.effects.worktree import FILE_FLAGS, opened_directory
from replican.values.ids import blob_hasher, blob_id
from replican.values.listing import SMUDGED
from replican.values.progress import UNREAD, Problem, Progress
from replican.values.streams import CopyRecord
from replican.values.trees import FILE, LINK

_CHUNK: Final = 1 << 20
_WHOLE: Final = 1 << 17
TRIES: Final = 3
_PAUSE_SECONDS: Final = 0.01

_MAPPED_NS: Final = 60_000_000_000
"""For so long, who has mapped a file to memory may write there before that shows in its stat data: until the system has
put what was written before on the disk, which it does twice in this time."""

CHANGED_WHILE_READ: Final = "changed while read"
BEING_WRITTEN: Final = "being written"
SPECIAL: Final = "special file"

LARGE: Final = 64 << 20
"""To hash more bytes takes a tenth of a second and longer, which nobody should have to wait for whose own file is
small."""


Hashed = tuple[bytes, int, int, int, int, int, bytes]
"""What a name was found to hold: (kind, ``st_mode & 0o7777``, size, mtime in ns, ctime in ns, inode, id), of one look.
A plain tuple: some hundred thousand come through a pipe."""

Answer = Hashed | str | None
"""What became of one name: hashed, or the cause why not, or None: it is not there any more."""


class PuttingOff(NamedTuple):
    """Files of more than ``most`` bytes are not read: they are problems, ``UNREAD``, and what the index has of them
    stands. Of those in ``known``, by path, is known what they were found to hold, or why nobody could tell: they are
    taken for that, if they still look so. Where some have ``rested``, by path, nor are others read that were written to
    lately, and that somebody still has open for writing: they are problems, ``BEING_WRITTEN``."""

    known: Mapping[bytes, Hashed | str] = {}
    most: int = LARGE
    rested: Collection[bytes] | None = None


class Job(NamedTuple):
    """The names to hash in one directory: files or links, as they seemed. ``size`` in bytes, as far as it is known.

    Files of more than ``most`` bytes are put off, but for those that are ``known``; so are those that were written to
    ``since_ns`` (a time), unless they have ``rested``, if somebody still has them open for that: see
    :class:`PuttingOff`."""

    path: bytes
    names: list[bytes]
    size: int = 0
    most: int | None = None
    known: Mapping[bytes, Hashed | str] = {}
    since_ns: int | None = None
    rested: Collection[bytes] = ()


class Found(NamedTuple):
    """What was found in one directory: an answer for each name of a job, and with a mirror, for each the copy that was
    made, if any, and the inode of the directory with the copies; or what makes copies elsewhere. Of large files, it
    knows them by ``births`` when they are renamed."""

    answers: list[Answer]
    copies: Sequence[Copy | None]
    ino: int
    copied_elsewhere: Sequence[CopyRecord] = ()
    births: Sequence[Birth] = ()

    @property
    def files(self) -> int:
        """How many names were read."""
        return sum([type(answer) is tuple for answer in self.answers])

    @property
    def size(self) -> int:
        """How many bytes they had."""
        return sum([answer[2] for answer in self.answers if type(answer) is tuple])


def changed_while_read(problems: Iterable[Problem]) -> list[bytes]:
    """The paths of those that nobody could read twice the same."""
    return [each.path for each in problems if each.cause == CHANGED_WHILE_READ]


def cause_of(error: OSError) -> str:
    """An error as the cause of a problem."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return "permission denied"
    if error.errno == errno.EIO:
        return "input/output error"
    return (error.strerror or type(error).__name__).lower()


def hash_directory(
    root_fd: int,
    job: Job,
    progress: Progress | None = None,
    mirror: Copying | None = None,
    advance: Advance | None = None,
) -> Found:
    """What is found under the names of one directory; with a mirror, they are copied there.

    Where no ``progress`` is told of each file, ``advance`` is of large ones, while they are read."""
    copies: list[Copy | None] = []
    try:
        with opened_directory(root_fd, job.path) as fd:
            if mirror is None:
                answers = [hash_name(name, fd, progress, job=job, advance=advance) for name in job.names]
                return Found(answers, copies, 0, births=births_of(root_fd, fd, job.names, answers))
            with mirror.directory(job.path, os.fstat(fd).st_mode) as into:
                answers = [hash_name(name, fd, progress, into, copies, job, advance) for name in job.names]
                found = Found(answers, copies, 0) if into is None else Found(answers, copies, *into.end())
            return found._replace(births=births_of(root_fd, fd, job.names, answers))
    except FileNotFoundError:
        cause = None
    except OSError as error:
        cause = CHANGED_WHILE_READ if error.errno in (errno.ENOTDIR, errno.ELOOP) else cause_of(error)
    return Found([cause] * len(job.names), [], 0)


def hash_name(
    name: bytes,
    dir_fd: int,
    progress: Progress | None = None,
    into: Copier | None = None,
    copies: list[Copy | None] | None = None,
    job: Job | None = None,
    advance: Advance | None = None,
) -> Answer:
    """What ``name`` holds: a file is read, unless the ``job`` has it put off; of a link the target is taken.

    A file is copied ``into`` a copy of its directory, if there is one, and what was made is added to ``copies``. So is
    one that does not stay the same, where ``into`` takes such files; it is taken for what the copy holds.
    """
    copy: Copy | None = None
    for attempt in range(TRIES):
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
                    answer, copy = _hash_file(fd, progress, name, into, job, advance)
                finally:
                    os.close(fd)
        except FileNotFoundError:
            answer = None
        except OSError as error:
            answer = cause_of(error)
        if answer == CHANGED_WHILE_READ and into is not None:
            answer, copy = _hash_changing(name, dir_fd, into, attempt + 1)
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


def _hash_file(
    fd: int,
    progress: Progress | None,
    name: bytes,
    into: Copier | None,
    job: Job | None,
    advance: Advance | None,
) -> tuple[Answer, Copy | None]:
    found = os.fstat(fd)
    if found.st_mode & 0o170000 != 0o100000:
        return SPECIAL, None
    size, mtime_ns = found.st_size, found.st_mtime_ns
    was_asked = job is None
    if job is not None:
        is_large = job.most is not None and size > job.most
        if is_large and (known := _put_off(found, job.known.get(name))) != UNREAD:
            return known, None
        # Nobody else can tell of who opened it before the directory was watched, or will be told of a moment later.
        if job.since_ns is not None and mtime_ns >= job.since_ns and name not in job.rested:
            if is_open_for_writing(fd):
                return BEING_WRITTEN, None
            was_asked = True  # of whoever begins after this, the first write will show
        if is_large:
            return UNREAD, None
    copy: Copy | None = None
    told = long_copy = None
    if size < _WHOLE:
        content = os.read(fd, size + 1)
        length, made = len(content), bytes(blob_id(content))
        if into is not None and length == size:
            copy = into.copy(name, found.st_mode, mtime_ns, content)
        if progress is not None:
            progress.advance(0, length)
    else:
        told = Told(advance if progress is None else partial(progress.advance, 0))
        if into is not None:
            long_copy = into.copy_long(fd, name, found.st_mode, mtime_ns, size, told.add)
        if long_copy is not None:
            length, (made, copy) = size, long_copy
        else:
            os.lseek(fd, 0, os.SEEK_SET)
            length, made = _hash_long(fd, size, told)
    after = os.fstat(fd)
    if length != size or (after.st_size, after.st_mtime_ns, after.st_ctime_ns) != (
        size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    ):
        if into is not None:
            into.drop(name)
        if told is not None:
            told.take_back()
        return CHANGED_WHILE_READ, None
    ctime_ns = found.st_ctime_ns if was_asked or not _may_be_written_unseen(fd, mtime_ns) else SMUDGED
    return (FILE, found.st_mode & 0o7777, size, mtime_ns, ctime_ns, found.st_ino, made), copy


def _may_be_written_unseen(fd: int, mtime_ns: int) -> bool:
    """Whether somebody may change a file, written to at that time, by memory that it is mapped to, as databases do with
    what they share: what was read of it may be another content at the next look, with the same stat data."""
    return mtime_ns >= time.time_ns() - _MAPPED_NS and bool(is_open_for_writing(fd))


def _put_off(found: os.stat_result, known: Hashed | str | None) -> Answer:
    """What is known of a file without reading it."""
    look = found.st_mode & 0o7777, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
    return UNREAD if known is None or (isinstance(known, tuple) and known[1:6] != look) else known


def _hash_changing(name: bytes, dir_fd: int, into: Copier, looks: int) -> tuple[Answer, Copy | None]:
    """A file that has changed at each of so many looks, by the copy that is made of it now, if one is."""
    try:
        fd = os.open(name, FILE_FLAGS, dir_fd=dir_fd)
    except OSError:
        return CHANGED_WHILE_READ, None
    try:
        found = os.fstat(fd)
        made = into.copy_changing(fd, name, looks) if found.st_mode & 0o170000 == 0o100000 else None
    finally:
        os.close(fd)
    if made is None:
        return CHANGED_WHILE_READ, None
    blob, size, copy = made
    return (FILE, found.st_mode & 0o7777, size, found.st_mtime_ns, SMUDGED, found.st_ino, blob), copy


def _hash_long(fd: int, size: int, told: Told) -> tuple[int, bytes]:
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
        told.add(count)
    return length, hasher.digest()
