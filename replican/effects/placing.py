"""The last look at a name before it is changed, and what is done to a single name."""

import errno
import os
import stat
from collections.abc import Mapping

from replican.decisions.plan import Group
from replican.decisions.treediff import Change
from replican.effects.linux import rename_new
from replican.effects.staging import copy_verified
from replican.effects.trash import id_at, is_same_inode
from replican.effects.worktree import FILE_FLAGS, TEMPORARY_PREFIX, give_mode, set_mode, set_mtime
from replican.values.listing import Row
from replican.values.names import group_key
from replican.values.paths import name_of
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


def failure_of(error: OSError) -> str:
    """Why a change could not be made, as the cause of a problem. (Of what could not be read:
    :func:`~replican.effects.hashing.cause_of`.)"""
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
    if found.st_mtime_ns == row.disk_mtime_ns and id_at(name, fd) == row.id:
        return found
    return None


class Looked:
    """What a last look at the names of a group found."""

    def __init__(self) -> None:
        self.found: dict[bytes, os.stat_result | None] = {}

    def at_group(self, group: Group, fd: int, rows: Mapping[bytes, Row]) -> bool:
        """Whether the disk is as the index says, for all changes of a group. ``rows`` are its directory's."""
        if not all(self._at(change, fd, rows.get(name_of(change.path))) for change in group.changes):
            return False
        missing = {
            (change.old.kind, change.old.id)
            for change in group.changes
            if change.old is not None and self.found[change.path] is None
        }
        if not missing:
            return True
        # Where a user has deleted a version that the head keeps under another name of the group, its row must stand:
        # without it nobody would ever know of the deletion.
        changed = {name_of(change.path) for change in group.changes}
        kept = {(change.new.kind, change.new.id) for change in group.changes if change.new is not None}
        kept |= {(row.kind, row.id) for row in rows.values() if row.name not in changed and _is_of(group, row)}
        return missing.isdisjoint(kept)

    def _at(self, change: Change, fd: int, row: Row | None) -> bool:
        path, old, new = change
        name = name_of(path)
        if old is None:
            self.found[path] = None
            return row is None and not _is_there(name, fd)
        found = look(name, fd, row)
        self.found[path] = found
        if found is None and new is None:
            return not _is_there(name, fd)  # it should go, and somebody was faster
        return found is not None


def _is_of(group: Group, row: Row) -> bool:
    return row.kind != DIRECTORY and group_key(row.name) == group.key


def _is_there(name: bytes, fd: int) -> bool:
    try:
        os.lstat(name, dir_fd=fd)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def adopt_attributes(
    name: bytes, fd: int, found: os.stat_result, old: Entry, new: Entry, modes: bool = True
) -> os.stat_result:
    """Give a file or directory the attributes that changed; what it then is. Without ``modes`` its file system keeps no
    permissions.

    A file with other names (hard links) gets an inode of its own first: those names are not meant.
    """
    set_perm = new.kind != LINK and new.perm != old.perm
    set_time = new.kind != DIRECTORY and new.mtime_ns != old.mtime_ns
    if not (set_perm or set_time):
        return found
    if new.kind == FILE and found.st_nlink > 1:
        _break_link(name, fd, new)
        found = os.lstat(name, dir_fd=fd)
    if set_perm:
        set_mode(name, fd, new.perm, modes)
    if set_time:
        set_mtime(name, fd, new.mtime_ns)
    after = os.lstat(name, dir_fd=fd)
    if after.st_ino != found.st_ino or (new.kind != DIRECTORY and after.st_size != found.st_size):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    return after


def as_placed(name: bytes, fd: int, placed: os.stat_result) -> os.stat_result:
    """``placed`` as it lies at ``name``, where it came to lie just now; raises ``FileExistsError`` if it does not.

    A row of what a user put there in between would call their file ours: its time and permissions would be those
    that we gave, and not their edit. On which version that was made, nobody knows. But who has written to the very file
    that came has opened what came: the row says how that was, and the next look finds an edit of it.
    """
    found = os.lstat(name, dir_fd=fd)
    if is_same_inode(found, placed.st_ino, placed.st_size, placed.st_mtime_ns) and found.st_mode == placed.st_mode:
        return found
    if found.st_ino != placed.st_ino or stat.S_IFMT(found.st_mode) != stat.S_IFMT(placed.st_mode):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    return placed


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
    sweep(name, fd)
    try:
        if not _copy(fd, name, fd, _temporary(name), entry):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        os.rename(_temporary(name), name, src_dir_fd=fd, dst_dir_fd=fd)
    except OSError:
        sweep(name, fd)
        raise


def place_across(from_fd: int, staged: bytes, fd: int, name: bytes) -> os.stat_result:
    """Bring staged content to another file system: copy, flush, rename of a name that every scan skips; what came."""
    sweep(name, fd)
    try:
        _copy_across(from_fd, staged, fd, _temporary(name))
        placed = os.lstat(_temporary(name), dir_fd=fd)
        rename_new(fd, _temporary(name), fd, name)
    except OSError:
        sweep(name, fd)
        raise
    os.unlink(staged, dir_fd=from_fd)
    return placed


def _copy_across(from_fd: int, staged: bytes, fd: int, temporary: bytes) -> None:
    found = os.lstat(staged, dir_fd=from_fd)
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(staged, dir_fd=from_fd), temporary, dir_fd=fd)
        set_mtime(temporary, fd, found.st_mtime_ns)
    else:
        blob = id_at(staged, from_fd)
        entry = Entry(staged, FILE, stat.S_IMODE(found.st_mode), found.st_size, found.st_mtime_ns, blob or b"")
        if not _copy(from_fd, staged, fd, temporary, entry):
            raise OSError(errno.EIO, os.strerror(errno.EIO))


def _copy(from_fd: int, name: bytes, to_fd: int, target: bytes, entry: Entry) -> bool:
    source = os.open(name, FILE_FLAGS, dir_fd=from_fd)
    try:
        into = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=to_fd)
        try:
            good = copy_verified(source, into, entry.size, entry.blob)
            if good:
                give_mode(into, entry.perm)
                os.utime(into, ns=(entry.mtime_ns, entry.mtime_ns))
                os.fsync(into)
        finally:
            os.close(into)
        if not good:
            os.unlink(target, dir_fd=to_fd)
        return good
    finally:
        os.close(source)
