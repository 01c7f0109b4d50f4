"""System calls that the standard library does not have or does not explain, with what stands in for them elsewhere.

``renameat2`` closes the last window between looking at a file and replacing it: ``EXCHANGE`` swaps two
names in one step, so that what came out can be looked at; ``NOREPLACE`` never overwrites.
"""

import ctypes
import errno
import fcntl
import os
import signal
import struct
import sys

_NOREPLACE = 1
_EXCHANGE = 2
_UNSUPPORTED = frozenset([errno.ENOSYS, errno.EINVAL, errno.ENOTSUP])

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform.startswith("linux") else None
_renameat2 = getattr(_libc, "renameat2", None)
_syncfs = getattr(_libc, "syncfs", None)
_sync_file_range = getattr(_libc, "sync_file_range", None)
_statx = getattr(_libc, "statx", None)
_prctl = getattr(_libc, "prctl", None)
_SET_PDEATHSIG = 1
_RANGE_WRITE = 2
_AT_EMPTY_PATH = 0x1000
_STATX_BTIME = 0x800
_STATX_SIZE = 256
_BTIME = struct.Struct("=I76xqI")
"""What was found, and at offset 80 the birth time: seconds and nanoseconds."""
_FICLONE = 0x40049409


def _call_renameat2(old_fd: int, old: bytes, new_fd: int, new: bytes, flag: int) -> bool:
    """Whether the kernel and the file system did it; False where they do not know the flag."""
    if _renameat2 is None:
        return False
    if _renameat2(old_fd, old, new_fd, new, flag) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), os.fsdecode(new))


def exchange(a_fd: int, a: bytes, b_fd: int, b: bytes) -> bool:
    """Swap two existing names in one step; False where this is not to be had (nothing was done)."""
    return _call_renameat2(a_fd, a, b_fd, b, _EXCHANGE)


def rename_new(old_fd: int, old: bytes, new_fd: int, new: bytes) -> None:
    """Rename to a name that must not exist yet; raises ``FileExistsError``."""
    if _call_renameat2(old_fd, old, new_fd, new, _NOREPLACE):
        return
    try:
        os.lstat(new, dir_fd=new_fd)
    except FileNotFoundError:
        os.rename(old, new, src_dir_fd=old_fd, dst_dir_fd=new_fd)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(new))


def rename_case(old_fd: int, old: bytes, new_fd: int, new: bytes) -> None:
    """Rename to a name that the file system takes for the same, in the same directory; raises ``FileExistsError`` where
    another file has it."""
    # Inode numbers tell nothing: some of FUSE give one to each name that a file was looked up by.
    if _has(new_fd, new):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(new))
    os.rename(old, new, src_dir_fd=old_fd, dst_dir_fd=new_fd)
    if not _has(new_fd, new):
        # To it, this was a rename of a file to itself. By a name in between, which everybody sees, so that it is
        # somebody's file and nothing to be swept away, if we are killed here.
        between = b"%s.renaming" % new[:200]
        rename_new(old_fd, old, new_fd, between)
        rename_new(new_fd, between, new_fd, new)


def _has(fd: int, name: bytes) -> bool:
    """Whether a directory lists just this name."""
    return os.fsdecode(name) in os.listdir(fd)


def flush_filesystem(fd: int) -> None:
    """Flush all that was written to the file system on which ``fd`` lies; raises ``OSError`` if that failed."""
    if _syncfs is None:
        os.sync()
    elif _syncfs(fd) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def data_of(fd: int, size: int, piece: int) -> int:
    """How many of the first ``size`` bytes of a file are no hole, in pieces of so many bytes that begin at multiples of
    that; all of them where nobody tells of holes."""
    if not hasattr(os, "SEEK_DATA"):
        return size
    found = at = 0
    while at < size:
        try:
            start = max(at, os.lseek(fd, at, os.SEEK_DATA) // piece * piece)
            end = os.lseek(fd, max(start, at), os.SEEK_HOLE)
        except OSError as error:
            return found if error.errno == errno.ENXIO else size  # nothing but a hole is left
        end = max(-(-end // piece) * piece, start + piece)
        found += min(end, size) - min(start, size)
        at = end
    return found


def share_content(source: int, target: int) -> bool:
    """Have a new file hold what another one holds in this very moment, whoever writes to that: the file system lets
    both have the same bytes on the disk. False where it cannot, and then nothing was done."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def begin_to_write(fd: int, offset: int, length: int) -> None:
    """Have the disk begin with a part of a file, if it can be told to: then a flush later takes less time. It may take
    a while, and is no flush."""
    if _sync_file_range is not None:
        _sync_file_range(fd, ctypes.c_int64(offset), ctypes.c_int64(length), ctypes.c_uint(_RANGE_WRITE))


def is_open_for_writing(fd: int) -> bool | None:
    """Whether any process has the file open for writing, or mapped, that ``fd`` reads; None where that is not told.

    The kernel gives a read lease on a file only where nobody writes to it. It is given back at once: who opens the file
    for writing in between waits for a moment.
    """
    if not sys.platform.startswith("linux"):
        return None
    try:
        # Who breaks a lease has a signal sent to its holder. The usual one would end the process; this one, nobody
        # hears.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        # Others than the owner are not told, and not all file systems have leases.
        return True if error.errno == errno.EAGAIN else None
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def birth_ns(fd: int) -> int | None:
    """When the file was made that ``fd`` reads, in ns since 1970, as far as its file system keeps that: None where it
    does not, or keeps whole seconds."""
    if _statx is not None:
        buffer = ctypes.create_string_buffer(_STATX_SIZE)
        if _statx(fd, b"", _AT_EMPTY_PATH, _STATX_BTIME, buffer) != 0:
            return None
        found, seconds, rest = _BTIME.unpack_from(buffer)
        return seconds * 1_000_000_000 + rest if found & _STATX_BTIME and rest else None
    # Elsewhere it is a float, which is good enough to tell one file from the next.
    born = getattr(os.fstat(fd), "st_birthtime", 0.0)
    return None if born == int(born) else int(born * 1_000_000_000)


def end_with(parent: int, number: signal.Signals) -> None:
    """Have this process get that signal when ``parent``, which has just begun it, ends, however it does; or at once
    where that has happened already. Nothing happens where the system has nothing of the kind."""
    if _prctl is not None:
        _prctl(_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), number)


def descendants(pid: int) -> list[int]:
    """The processes that one has begun, and those that they have begun, as far as the system tells."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:
        pass  # it is gone, or this is another system
    return found + [below for each in found for below in descendants(each)]
