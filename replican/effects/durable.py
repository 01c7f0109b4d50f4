"""Files that are old or new, whole, after a kill and after a power cut.

A file is written under a temporary name, flushed, and renamed; a name is durable once its directory is flushed.
Files made here are for their owner only: `.replican` is nobody else's.
"""

import errno
import os
import stat
from itertools import count
from typing import Final

from replican.values.errors import DamagedError, FolderError, NoSpaceError, ReplicanError

TEMPORARY_PREFIX = "tmp-"
"""Files of this prefix are unfinished: whoever holds the repository's lock may delete old ones."""
WRONG_KIND: Final = frozenset([errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EEXIST])
"""The errors where something of another kind lies at the place of a file of ours."""

_OWN = ".replican"
_NO_ROOM = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_numbers = count()


def explain(error: OSError, doing: str) -> ReplicanError:
    """The error to raise for an ``OSError`` met while ``doing`` (``write /x/y``): a full disk is told from the rest,
    and so is a path of ours at which there is something of another kind (a directory, a link)."""
    message = f"cannot {doing}: {(error.strerror or str(error)).lower()}"
    if error.errno in _NO_ROOM:
        return NoSpaceError(message, "make room on that disk, then run the same command again")
    if error.errno in WRONG_KIND:
        return DamagedError(message, "something else has the place of what replican keeps there: move it away")
    return FolderError(message)


def open_file(path: str, *, follow: bool = False) -> int:
    """A descriptor for reading a file of ours, which is never a link (unless ``follow``), nor waited for.

    Raises ``OSError``: ``ELOOP`` for a link, ``EISDIR`` and ``ENXIO`` for anything else.
    """
    fd = os.open(path, _READ & ~os.O_NOFOLLOW if follow else _READ)
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    code = errno.EISDIR if stat.S_ISDIR(mode) else errno.ENXIO
    raise OSError(code, os.strerror(code), path)


def open_shelf(path: str) -> int:
    """A descriptor of a directory of ours, which is made where it is missing, and is never a link."""
    try:
        try:
            os.mkdir(path, mode=0o700)
        except FileExistsError:
            pass
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise explain(error, f"open {path}") from error


def flush_directory(path: str) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(path: str) -> None:
    """Make a directory and what is missing above it, each name durable. One that is there already is left as it is.

    A `.replican` is never made so: where it is missing, the disk that holds the folder is gone.
    """
    if os.path.isdir(path):
        if os.path.islink(path):
            raise NotADirectoryError(errno.ENOTDIR, "it is a link", path)
        return
    if os.path.basename(path) == _OWN:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    above = os.path.dirname(path)
    make_directory(above)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
    flush_directory(above)


def create_temporary(directory: str) -> tuple[int, str]:
    """A new file in ``directory``: its descriptor, open for writing, and its path."""
    while True:
        path = f"{directory}/{TEMPORARY_PREFIX}{os.getpid()}-{next(_numbers)}"
        try:
            return os.open(path, _CREATE, 0o600), path
        except FileExistsError:  # left over by a killed process that had our number
            continue


def write_all(fd: int, content: bytes) -> None:
    """Write the whole of ``content``."""
    done = os.write(fd, content)
    while done < len(content):
        done += os.write(fd, memoryview(content)[done:])


def replace_file(path: str, content: bytes) -> None:
    """Put ``content`` in the place of ``path``: durable on return, and before it the old file is untouched."""
    put_file(path, content, flush=True)
    flush_directory(os.path.dirname(path))


def put_file(path: str, content: bytes, *, flush: bool = False) -> None:
    """Put ``content`` in the place of ``path``; for who has it elsewhere, too, or will ``flush`` the directory."""
    fd, temporary = create_temporary(os.path.dirname(path))
    try:
        try:
            write_all(fd, content)
            if flush:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        discard(temporary)
        raise


def discard(path: str) -> None:
    """Delete a file if it is there and can be deleted; what is left is swept up later."""
    try:
        os.unlink(path)
    except OSError:
        pass


def identity_of(path: str) -> tuple[int, int] | None:
    """The device and the inode of what lies at a path; None where nothing does."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def names_in(directory: str) -> list[str]:
    """The names in a directory of ours; none where there is no directory."""
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise explain(error, f"read {directory}") from error


def size_of(path: str) -> int:
    """The size of a file in bytes; 0 where there is none."""
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return 0
