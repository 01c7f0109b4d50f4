"""The stage: where incoming content waits, verified and flushed, until it takes its place.

Single files lie on the stage under their blob id (a second copy of the same content as ``<id>-2`` and so on),
with the permissions and the time that they will have; whole new directories are built beside them by
:mod:`replican.effects.treebuild`. What an interrupted run left is used again once it has been verified again.
"""

import errno
import os
import stat
import time
from collections.abc import Collection
from contextlib import suppress
from typing import NamedTuple

from replican.effects.clearing import PARTS, remove_tree
from replican.effects.contents import NO_CONTENT, ContentStore, ShelfStore, Wanted
from replican.effects.durable import open_shelf
from replican.effects.underway import Advance, Told
from replican.effects.worktree import DIRECTORY_FLAGS, FILE_FLAGS, give_mode, set_mode
from replican.values.ids import BlobId, blob_hasher, blob_id
from replican.values.trees import LINK, Entry

SMALL = 1 << 20
_CHUNK = 1 << 20
HOLE = 1 << 16
"""Holes are made in pieces of so many bytes."""
_ZEROS = bytes(HOLE)
_FLUSH_ONE_BY_ONE = 32
PART_SECONDS = 7 * 24 * 3600
"""For how long after the last byte a part of a large file is kept that nothing was taken of."""
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Slot(NamedTuple):
    """Staged content: the name below the stage that holds it; ``source`` is the far store that brought it, if one
    did."""

    name: bytes
    source: str = ""


def copy_verified(source: int, target: int, size: int, blob: BlobId, advance: Advance | None = None) -> bool:
    """Copy ``size`` bytes from one descriptor to another; whether they are the content of ``blob``.

    Holes stay holes. The source may change while it is read: then the answer is no. ``advance`` is told of a large
    file's bytes on the way; of none in the end where the answer is no.
    """
    if size <= SMALL:
        data = read_exactly(source, size)
        if data is None or blob_id(data) != blob:
            return False
        write_all(target, data)
        return True
    from replican.effects.copying import copy_hashed

    made = copy_hashed(source, target, size, advance)
    if made is not None and made != blob and advance is not None:
        advance(-size)
    return made == blob


def read_exactly(source: int, size: int) -> bytes | None:
    """All of a file that should have ``size`` bytes; None if it has more or fewer, or cannot be read."""
    try:
        data = os.read(source, size + 1)
        if len(data) == size:
            return data
        pieces = [data]
        got = len(data)
        while data and got <= size:
            data = os.read(source, size + 1 - got)
            pieces.append(data)
            got += len(data)
    except OSError:  # one bad sector over there holds up its own file, and no other
        return None
    return b"".join(pieces) if got == size else None


def write_all(target: int, data: bytes | memoryview) -> None:
    """Write all of ``data``, in as many calls as it takes."""
    done = os.write(target, data)
    while done < len(data):
        done += os.write(target, memoryview(data)[done:])


def write_with_holes(target: int, data: memoryview) -> None:
    """Write all of ``data``, and nothing where it has many zeros: the file has to be given its size in the end."""
    for at in range(0, len(data), HOLE):
        piece = data[at : at + HOLE]
        if piece == _ZEROS[: len(piece)]:
            os.lseek(target, len(piece), os.SEEK_CUR)
        else:
            write_all(target, piece)


class Stage:
    """The folder ``.replican/stage``. A context manager; what is not taken from it stays for the next run."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = open_shelf(path)
        self.shelf = ShelfStore("the stage", path)
        self.left = set(map(os.fsencode, os.listdir(self.fd)))
        """What lay here at the start: an earlier run's."""
        self.landed: dict[bytes, str] = {}
        """What far stores brought, verified, and nobody took yet: names, and what to call the store."""
        self._slots: dict[bytes, int] = {}
        self._unflushed: list[bytes] = []
        self._flush_all = False

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def put(
        self, entry: Entry, wanted: Wanted, stores: list[ContentStore], advance: Advance | None = None
    ) -> Slot | None:
        """Stage the content of ``entry``, with its attributes, from the first store that really has it; else None.
        ``advance`` is told of a large file's bytes, as they are copied or read again.

        Raises ``OSError`` when the stage cannot be written (a full disk).
        """
        name = self._new_name(entry)
        # What its owner may not read cannot be opened again for a flush of its own.
        self._flush_all |= not entry.perm & 0o400
        source = self.landed.pop(name, None) if entry.kind != LINK else None
        if source is not None:
            set_mode(name, self.fd, entry.perm, False)
            os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=self.fd, follow_symlinks=False)
        elif not self._reuse(name, entry, advance):
            for store in stores:
                if self.put_from(store, name, self.fd, entry, wanted, advance):
                    break
            else:
                return None
        return self._taken(name, entry)._replace(source=source or "")

    def _new_name(self, entry: Entry) -> bytes:
        count = self._slots.get(entry.id, 0) + 1
        shown = entry.id.hex().encode()
        return shown if count == 1 else b"%s-%d" % (shown, count)

    def _taken(self, name: bytes, entry: Entry) -> Slot:
        """A new name has its content."""
        self._slots[entry.id] = self._slots.get(entry.id, 0) + 1
        self._unflushed.append(name)
        self.shelf.note(name)
        return Slot(name)

    def _reuse(self, name: bytes, entry: Entry, advance: Advance | None = None) -> bool:
        """Whether an earlier run left this very content under ``name``; what is not it is removed."""
        if name not in self.left:
            return False
        try:
            found = os.lstat(name, dir_fd=self.fd)
        except FileNotFoundError:
            return False
        whole = False
        told = Told(advance if entry.size > SMALL else None)
        if stat.S_ISREG(found.st_mode) and entry.kind != LINK and found.st_size == entry.size:
            try:
                fd = os.open(name, FILE_FLAGS, dir_fd=self.fd)
            except PermissionError:  # staged with permissions that keep its owner out: it is made anew
                os.unlink(name, dir_fd=self.fd)
                return False
            try:
                hasher = blob_hasher(entry.size)
                while data := os.read(fd, _CHUNK):
                    hasher.update(data)
                    told.add(len(data))
                whole = hasher.digest() == entry.id
                if whole:
                    give_mode(fd, entry.perm)
                    os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
            finally:
                os.close(fd)
        if not whole:
            told.take_back()
            os.unlink(name, dir_fd=self.fd)
        return whole

    # -- what a far store brings --------------------------------------------------------------------------------

    def find_landed(self, entry: Entry) -> bool:
        """Whether the content of a file lies here: brought by now, or left by an earlier run, and then verified."""
        name = entry.id.hex().encode()
        if name not in self.landed:
            if not self._reuse(name, entry._replace(perm=0o600)):
                return False
            self.landed[name] = self.shelf.name
            self.shelf.note(name)
        return True

    def land(self, entry: Entry, content: bytes, source: str) -> None:
        """Lay down the content of a small file, which has been verified."""
        name = entry.id.hex().encode()
        try:
            fd = os.open(name, _NEW, 0o600, dir_fd=self.fd)
        except FileExistsError:
            os.unlink(name, dir_fd=self.fd)
            fd = os.open(name, _NEW, 0o600, dir_fd=self.fd)
        try:
            if content:
                write_all(fd, content)
        finally:
            os.close(fd)
        self.note_landed(name, source)

    def parts(self) -> list[bytes]:
        """The names of what has come of large files, in earlier runs: the beginning, or some blocks."""
        return sorted(name for name in self.left if name.startswith(PARTS))

    def open_part(self, entry: Entry) -> int:
        """A descriptor, to read and append, of what has come of a large file so far; the caller closes it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(_part_of(entry), flags, 0o600, dir_fd=self.fd)

    def end_part(self, entry: Entry, source: str | None) -> None:
        """A large file is whole, and has been verified; or it was not what it should be, and is dropped (None)."""
        name = entry.id.hex().encode()
        if source is None:
            os.unlink(_part_of(entry), dir_fd=self.fd)
        else:
            os.rename(_part_of(entry), name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
            self.note_landed(name, source)

    def note_landed(self, name: bytes, source: str) -> None:
        """The content of a file lies under ``name`` now, verified."""
        self.landed[name] = source
        self.shelf.note(name)

    @staticmethod
    def put_from(
        store: ContentStore,
        name: bytes,
        directory: int,
        entry: Entry,
        wanted: Wanted,
        advance: Advance | None = None,
    ) -> bool:
        """Make ``name`` in ``directory`` from what ``store`` has; whether it had it, and it was the right content."""

        def put_elsewhere() -> bool:
            """From where the store's index says, where something else lies at the path of the hint by now."""
            unhinted = wanted._replace(hint=b"")
            return bool(wanted.hint) and Stage.put_from(store, name, directory, entry, unhinted, advance)

        if entry.kind == LINK:
            target = store.read_link(wanted)
            if target is None:
                return False
            if blob_id(target) != entry.id:
                return put_elsewhere()
            os.symlink(target, name, dir_fd=directory)
            os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=directory, follow_symlinks=False)
            return True
        source = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) if entry.id == NO_CONTENT else store.open_file(wanted)
        if source is None:
            return False
        try:
            target_fd = os.open(name, _NEW, 0o600, dir_fd=directory)
            good = False
            try:
                good = copy_verified(source, target_fd, entry.size, entry.blob, advance)
                if good:
                    give_mode(target_fd, entry.perm)
                    os.utime(target_fd, ns=(entry.mtime_ns, entry.mtime_ns))
            finally:
                os.close(target_fd)
                if not good:
                    os.unlink(name, dir_fd=directory)
            return good or put_elsewhere()
        finally:
            os.close(source)

    def flush_everything(self) -> None:
        """From now on a flush means the whole file system: many files were written."""
        self._flush_all = True

    def flush(self) -> None:
        """Make durable all that was staged, before anything of it takes a user's name. Names on the stage are not: one
        that a power cut takes with it costs fetching that content again."""
        from replican.effects.linux import flush_filesystem

        # What is staged meanwhile is for the next flush.
        unflushed, self._unflushed = self._unflushed, []
        everything, self._flush_all = self._flush_all, False
        if everything or len(unflushed) > _FLUSH_ONE_BY_ONE:
            flush_filesystem(self.fd)
        elif unflushed:
            for name in unflushed:
                _flush_one(name, self.fd)

    def drop(self, slot: Slot) -> None:
        """Drop what could not take its place."""
        try:
            os.unlink(slot.name, dir_fd=self.fd)
        except FileNotFoundError:
            pass

    def remove(self, name: bytes) -> None:
        """Remove one thing from the stage, if it is there."""
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(os.lstat(name, dir_fd=self.fd).st_mode):
                remove_tree(self.fd, name)
            else:
                os.unlink(name, dir_fd=self.fd)

    def takes_for_one(self, one: bytes, other: bytes) -> bool:
        """Whether a file of the one name is there under the other, in a new directory on this file system."""
        place = b"twins-%d" % os.getpid()
        self.remove(place)
        os.mkdir(place, 0o700, dir_fd=self.fd)
        fd = os.open(place, DIRECTORY_FLAGS, dir_fd=self.fd)
        try:
            os.close(os.open(one, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=fd))
            os.lstat(other, dir_fd=fd)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            return False
        else:
            return True
        finally:
            os.close(fd)
            self.remove(place)

    def adopt(self, place: bytes, entry: Entry) -> Slot:
        """Take as staged what lies at ``place`` below the stage: the content of ``entry``, with its attributes."""
        name = self._new_name(entry)
        self.remove(name)
        os.rename(place, name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        self._flush_all |= not entry.perm & 0o400
        return self._taken(name, entry)

    def leftovers(self) -> list[bytes]:
        """The names of all that nobody took, but for what has come of a large file that is not whole yet: of that, only
        what is a week old."""
        whole = {id.hex().encode() for id in self._slots}.union(self.landed)
        names = map(os.fsencode, os.listdir(self.fd))
        return [
            name
            for name in names
            if not name.startswith(PARTS) or name.partition(b"-")[2] in whole or self._is_old(name)
        ]

    def make_room(self, blobs: Collection[bytes], place: bytes) -> None:
        """Drop what an earlier run left that is neither content with one of these ids, whole or in part, nor lies at
        ``place``: a gate may have counted on the room."""
        own = {blob.hex().encode() for blob in blobs}
        for name in self.left - {place}:
            if not name.startswith(PARTS) and name.partition(b"-")[0] not in own:
                self.remove(name)

    def clear(self) -> None:
        """Drop the :meth:`leftovers`."""
        for name in self.leftovers():
            self.remove(name)
        self._slots.clear()
        self.landed.clear()

    def _is_old(self, name: bytes) -> bool:
        found = os.lstat(name, dir_fd=self.fd)
        return not found.st_size or abs(time.time() - found.st_mtime) > PART_SECONDS


def _part_of(entry: Entry) -> bytes:
    return b"part-" + entry.id.hex().encode()


def _flush_one(name: bytes, directory: int) -> None:
    try:
        fd = os.open(name, FILE_FLAGS, dir_fd=directory)
    except OSError:
        return  # a link: its target is flushed with the directory
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
