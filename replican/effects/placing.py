"""The last look at a name before it is changed, and what is done to a single name."""

import errno
import os
import stat

from replican.decisions.treediff import Change
from replican.effects.staging import copy_verified
from replican.effects.trash import hash_name, is_same_inode
from replican.effects.worktree import FILE_FLAGS, TEMPORARY_PREFIX, set_mode, set_mtime
from replican.values.listing import Row
from replican.values.trees import DIRECTORY, FILE, LINK, Entry

CHANGED_HERE = "changed here"

_CAUSES = {
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "read-only file system",
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "disk quota exceeded",
    errno.EEXIST: CHANGED_HERE,
    errno.ENOENT: CHANGED_HERE,
    errno.ENOTDIR: CHANGED_HERE,
    errno.ELOOP: CHANGED_HERE,
    errno.EISDIR: CHANGED_HERE,
    errno.EBUSY: "in use, or a mount point",
    errno.ENAMETOOLONG: "name too long for this file system",
    errno.EIO: "input/output error",
}
HELD_ERRORS = frozenset([errno.ENAMETOOLONG, errno.EILSEQ])


def cause_of(error: OSError) -> str:
    """The text of a problem: short, lower case."""
    known = _CAUSES.get(error.errno or 0)
    return known if known is not None else os.strerror(error.errno or 0).lower()


def look(name: bytes, fd: int, row: Row | None) -> os.stat_result | None:
    """What lies at ``name``, if it still is what ``row`` says; else None."""
    if row is None:
        return None
    try:
        found = os.lstat(name, dir_fd=fd)
    except OSError:
        return None
    mode = found.st_mode
    if row.kind == DIRECTORY:
        return found if stat.S_ISDIR(mode) and found.st_ino == row.ino else None
    if not (stat.S_ISREG(mode) if row.kind == FILE else stat.S_ISLNK(mode)):
        return None
    if found.st_size != row.size or (row.kind == FILE and mode & 0o7777 != row.disk_mode):
        return None
    if is_same_inode(found, row.ino, row.size, row.disk_mtime_ns) and found.st_ctime_ns == row.ctime_ns:
        return found
    # Smudged, or touched: only its content can tell.
    if found.st_mtime_ns == row.disk_mtime_ns and hash_name(name, fd) == row.id:
        return found
    return None


class Looked:
    """What a last look at the names of a group found."""

    def __init__(self) -> None:
        self.found: dict[bytes, os.stat_result | None] = {}

    def at(self, change: Change, fd: int, row: Row | None) -> bool:
        """Whether the disk is as the index says, for one change."""
        path, old, new = change
        name = path.rpartition(b"/")[2]
        if old is None:
            self.found[path] = None
            return row is None and not _is_there(name, fd)
        found = look(name, fd, row)
        self.found[path] = found
        if found is None and new is None:
            return not _is_there(name, fd)  # it should go, and somebody was faster
        return found is not None


def _is_there(name: bytes, fd: int) -> bool:
    try:
        os.lstat(name, dir_fd=fd)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def adopt_attributes(name: bytes, fd: int, found: os.stat_result, old: Entry, new: Entry) -> os.stat_result:
    """Give a file or directory the attributes that changed; what it then is.

    A file with other names (hard links) gets an inode of its own first: those names are not meant.
    """
    set_perm = new.kind != LINK and new.perm != old.perm
    set_time = new.kind != DIRECTORY and new.mtime_ns != old.mtime_ns
    if not (set_perm or set_time):
        return found
    if new.kind == FILE and found.st_nlink > 1:
        _break_link(name, fd, new)
    if set_perm:
        set_mode(name, fd, new.perm)
    if set_time:
        set_mtime(name, fd, new.mtime_ns)
    return os.lstat(name, dir_fd=fd)


def _temporary(name: bytes) -> bytes:
    """A name beside ``name`` that every scan skips, for what is not whole yet."""
    return TEMPORARY_PREFIX + name[:200]


def sweep(name: bytes, fd: int) -> None:
    """Remove what a killed run left beside ``name``: else it would lie there for ever, and in the next run's way."""
    try:
        os.unlink(_temporary(name), dir_fd=fd)
    except OSError:
        pass


def _break_link(name: bytes, fd: int, entry: Entry) -> None:
    temporary = _temporary(name)
    if _copy(fd, name, fd, temporary, entry):
        os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def place_across(from_fd: int, staged: bytes, fd: int, name: bytes) -> None:
    """Bring staged content to another file system: copy, flush, rename of a name that every scan skips."""
    found = os.lstat(staged, dir_fd=from_fd)
    temporary = _temporary(name)
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(staged, dir_fd=from_fd), temporary, dir_fd=fd)
        set_mtime(temporary, fd, found.st_mtime_ns)
    else:
        blob = hash_name(staged, from_fd)
        entry = Entry(name, FILE, stat.S_IMODE(found.st_mode), found.st_size, found.st_mtime_ns, blob or b"")
        if not _copy(from_fd, staged, fd, temporary, entry):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
    try:
        os.lstat(name, dir_fd=fd)
    except FileNotFoundError:
        os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
        os.unlink(staged, dir_fd=from_fd)
        return
    os.unlink(temporary, dir_fd=fd)
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def _copy(from_fd: int, name: bytes, to_fd: int, target: bytes, entry: Entry) -> bool:
    source = os.open(name, FILE_FLAGS, dir_fd=from_fd)
    try:
        into = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=to_fd)
        try:
            good = copy_verified(source, into, entry.size, entry.blob)
            if good:
                os.fchmod(into, entry.perm)
                os.utime(into, ns=(entry.mtime_ns, entry.mtime_ns))
                os.fsync(into)
        finally:
            os.close(into)
        if not good:
            os.unlink(target, dir_fd=to_fd)
        return good
    finally:
        os.close(source)
