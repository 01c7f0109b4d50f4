"""Steps into a folder that never follow a link.

Every directory is opened part by part, relative to the one above it, with ``O_NOFOLLOW``: a symlink that takes
a directory's place, at whatever moment, is an error and not a way out of the root.
"""

import errno
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from replican.effects.linux import flush_filesystem
from replican.values.errors import NoRepositoryError

DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A FIFO or a device that takes a file's place must not be waited for.
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | getattr(os, "O_NOCTTY", 0)

_FLUSH_ONE_BY_ONE = 64
_ELSEWHERE = frozenset([b"", b".", b"..", b".replican"])
NO_MODES = frozenset([errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
"""What a file system without permissions answers to the owner of a file who sets some."""

TEMPORARY_PREFIX = b".replican-tmp-"
"""Names that start so are ours, for a moment, where a rename cannot cross; every scan skips them."""


def open_root(root: str) -> int:
    """A descriptor of the root; raises ``NoRepositoryError`` where there is none (any more)."""
    try:
        return os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoRepositoryError(f"no folder at {root}", "is the disk that holds it mounted?") from error


def _open_below(part: bytes, fd: int) -> int:
    """A descriptor of a directory in the one that ``fd`` stands for. What leads out of the folder, or into what is
    replican's own, is an error as a link is: no tree names it, but the index of a remote may be anybody's."""
    if part in _ELSEWHERE:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(part))
    return os.open(part, DIRECTORY_FLAGS, dir_fd=fd)


def open_way(path: bytes, fd: int) -> int:
    """A descriptor of its own, of the directory ``path`` below the one that ``fd`` stands for; raises ``OSError``
    where a link is on the way."""
    at = fd
    for part in path.split(b"/"):
        try:
            below = _open_below(part, at)
        finally:
            if at != fd:
                os.close(at)
        at = below
    return at


class Directories:
    """Descriptors of the directories below a root.

    The chain that leads to the directory asked for last stays open, so that a sorted round opens each
    directory once. A context manager; closes what it opened.
    """

    def __init__(self, root: str) -> None:
        self._names: list[bytes] = []
        self._fds: list[int] = [open_root(root)]

    def __enter__(self) -> "Directories":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        while self._fds:
            os.close(self._fds.pop())
        self._names.clear()

    @property
    def root(self) -> int:
        """The descriptor of the root itself."""
        return self._fds[0]

    def open(self, path: bytes) -> int:
        """The descriptor of ``path``, valid until the next call; raises ``OSError`` (``ELOOP`` or ``ENOTDIR`` for a
        link)."""
        parts = path.split(b"/") if path else []
        names, fds = self._names, self._fds
        depth = 0
        for have, want in zip(names, parts, strict=False):
            if have != want:
                break
            depth += 1
        while len(names) > depth:
            names.pop()
            os.close(fds.pop())
        for part in parts[depth:]:
            fds.append(_open_below(part, fds[-1]))
            names.append(part)
        return fds[-1]

    def flush(self, paths: Collection[bytes], devices: Mapping[bytes, int | None] | None = None) -> None:
        """Make durable what was renamed in these directories, and permissions and times that these directories, files
        and links were given: each where they are few, else the file systems on which they lie.

        ``devices`` are those on which some of them lie, as far as they are known: these need not be looked for. What
        was removed meanwhile needs no flush; raises ``OSError`` where the disk fails to.
        """
        if len(paths) <= _FLUSH_ONE_BY_ONE and all(self._flush_one(path) for path in paths):
            return
        known = devices or {}
        flushed: set[int | None] = set()
        for path in paths:
            if known.get(path) in flushed:
                continue
            for place in (path, path.rpartition(b"/")[0]):  # no directory: where it lies
                try:
                    fd = self.open(place)
                except OSError:
                    self.forget()
                    continue
                device = os.fstat(fd).st_dev
                if device not in flushed:
                    flush_filesystem(fd)
                    flushed.add(device)
                break

    def _flush_one(self, path: bytes) -> bool:
        """Whether it needs nothing more; a link cannot be flushed by itself, nor what its owner may not read."""
        above, _, name = path.rpartition(b"/")
        try:
            fd = os.open(name or b".", FILE_FLAGS, dir_fd=self.open(above))
        except (FileNotFoundError, NotADirectoryError):
            self.forget()
            return True
        except OSError:
            return False
        try:
            if stat.S_IFMT(os.fstat(fd).st_mode) in (stat.S_IFREG, stat.S_IFDIR):
                os.fsync(fd)
        finally:
            os.close(fd)
        return True

    def open_listed(self, path: bytes) -> int:
        """As :meth:`open`; ``FileNotFoundError`` where the directory above lists only a name that folds to it."""
        above, _, name = path.rpartition(b"/")
        if os.fsdecode(name) not in os.listdir(self.open(above)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fsdecode(name))
        return self.open(path)

    def forget(self) -> None:
        """Close the chain: after a directory was renamed or removed, its descriptors stand for nothing."""
        while len(self._fds) > 1:
            os.close(self._fds.pop())
        self._names.clear()


@contextmanager
def opened_directory(root_fd: int, path: bytes) -> Iterator[int]:
    """A descriptor of one directory below ``root_fd``."""
    fd = os.dup(root_fd)
    try:
        for part in path.split(b"/") if path else ():
            below = _open_below(part, fd)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


def open_made(top_fd: int, path: bytes) -> int:
    """A descriptor of the directory at ``path`` below ``top_fd``, which is made, with what is missing above it.

    It may lie deeper than any path that the system takes; raises ``OSError``.
    """
    try:
        return os.open(path, DIRECTORY_FLAGS, dir_fd=top_fd)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENAMETOOLONG):
            raise
    fd = os.dup(top_fd)
    try:
        for part in path.split(b"/"):
            try:
                os.mkdir(part, 0o700, dir_fd=fd)
            except FileExistsError:  # made before, or by another process
                pass
            below = os.open(part, DIRECTORY_FLAGS, dir_fd=fd)
            os.close(fd)
            fd = below
    except BaseException:
        os.close(fd)
        raise
    return fd


def open_regular(name: bytes, dir_fd: int) -> int | None:
    """A descriptor for reading a regular file; None if there is none of that name, or it is something else."""
    try:
        fd = os.open(name, FILE_FLAGS, dir_fd=dir_fd)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


def set_mode(name: bytes, dir_fd: int, mode: int, kept: bool = True) -> None:
    """Set the permissions of a file or directory, never through a link, and nothing else of ``mode``: an entry's may
    say more. Where none are ``kept``, that is no error."""
    try:
        _set_mode(name, dir_fd, mode & 0o777)
    except OSError as error:
        if kept or error.errno not in NO_MODES:
            raise


def _set_mode(name: bytes, dir_fd: int, mode: int) -> None:
    # O_PATH needs no right to read, and /proc names exactly the inode that was opened.
    if hasattr(os, "O_PATH") and os.path.exists("/proc/self/fd"):
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
        try:
            if not stat.S_ISLNK(os.fstat(fd).st_mode):
                os.chmod(f"/proc/self/fd/{fd}", mode)
        finally:
            os.close(fd)
        return
    fd = os.open(name, FILE_FLAGS, dir_fd=dir_fd)
    try:
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def set_mtime(name: bytes, dir_fd: int, mtime_ns: int) -> None:
    """Set the time of a file or of a link itself."""
    os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=dir_fd, follow_symlinks=False)


def give_mode(fd: int, mode: int) -> None:
    """Give a file or directory that we have just made its permissions, where its file system keeps any; nothing else of
    ``mode``."""
    try:
        os.fchmod(fd, mode & 0o777)
    except OSError as error:
        if error.errno not in NO_MODES:
            raise
