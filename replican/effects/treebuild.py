"""Whole new directories, built on the stage by two processes and put in place by one rename.

This is the way of a first clone: each file is read once, verified while it is copied, and created with the name,
permissions and time that it keeps; its row of the index is known from the same look. What a directory lacks (content
that its source does not have any more) is reported and asked elsewhere.
"""

import errno
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from replican.effects.clearing import remove_tree
from replican.effects.contents import ContentStore, Wanted
from replican.effects.forking import worker_count
from replican.effects.forkpool import run_forked
from replican.effects.linux import rename_new
from replican.effects.mirror import Filled, Mirror
from replican.effects.staging import SMALL, Stage, copy_verified, read_exactly, write_all
from replican.effects.underway import Advance, Reporter, Underway
from replican.effects.worktree import give_mode, open_made, open_regular, set_mode
from replican.values.errors import FoldedError
from replican.values.ids import BlobId, blob_id
from replican.values.listing import Row, digest_of_rows, encode_listing
from replican.values.paths import join, show
from replican.values.progress import Progress
from replican.values.trees import DIRECTORY, FILE, PERMS, Entry, parse_tree

_BATCH_FILES = 200
_BATCH_BYTES = 16 << 20
_FORK_FROM = 200
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Building(NamedTuple):
    """One directory to fill: its path in the folder and in the source, its entries as an encoded tree, and how much
    they are."""

    path: bytes
    payload: bytes
    files: int
    size: int


class Landed:
    """Files that far stores brought to the stage. ``wanted`` are all that will be asked for: what is wanted once is
    moved to its place, what is wanted more often is copied there."""

    def __init__(self, stage: Stage, wanted: Iterable[Entry]) -> None:
        self._stage_fd = stage.fd
        self._names = frozenset(stage.landed)
        self._counts = Counter([entry.id for entry in wanted])

    def take(self, entry: Entry, into: int, listed: "_Listed") -> os.stat_result | None:
        """Make a file of it in the directory ``into``; None where it has not landed, or its name is another's there."""
        if entry.kind != FILE or (entry.size and entry.id.hex().encode() not in self._names):
            return None
        try:
            return self._place(entry, into)
        except FileExistsError:
            if entry.name not in listed:
                return None
            os.unlink(entry.name, dir_fd=into)  # an interrupted run's
            return self._place(entry, into)

    def _place(self, entry: Entry, into: int) -> os.stat_result | None:
        name, shown = entry.name, entry.id.hex().encode()
        if not entry.size:
            fd = os.open(name, _NEW, entry.perm, dir_fd=into)
            try:
                return _finish(fd, entry.perm, entry.mtime_ns)
            finally:
                os.close(fd)
        if self._counts[entry.id] > 1:
            return _make_file(entry._replace(name=shown), into, self._stage_fd, name=name)
        try:
            rename_new(self._stage_fd, shown, into, name)
        except FileNotFoundError:
            return None
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=into, follow_symlinks=False)
        set_mode(name, into, entry.perm, False)
        return os.lstat(name, dir_fd=into)


def row_of(entry: Entry, found: os.stat_result) -> Row:
    """The row of an entry that was just written, as it now lies on disk."""
    if entry.kind == DIRECTORY:
        return Row(*entry, found.st_mode & 0o7777, 0, 0, found.st_ino)
    return Row(*entry, found.st_mode & 0o7777, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def fill_directory(
    job: Building,
    into: int,
    source: int | None,
    mirror: Mirror | None = None,
    landed: Landed | None = None,
    advance: Advance | None = None,
) -> Filled:
    """Create the files and links of ``job`` in the directory ``into``, from the directory ``source``, or from what
    has ``landed`` on the stage. ``advance`` is told of large ones while they are copied.

    Its subdirectories are made, and get their permissions, but always those that their owner needs to reach into them.
    Raises ``FoldedError`` where one of them is there under another's name.
    """
    listed = _Listed(into)
    rows: list[Row] = []
    missing: list[Entry] = []
    files = size = newest = 0
    entries = parse_tree(job.payload)
    if mirror is not None:
        _remove_others(into, {entry.name: entry.kind for entry in entries})
    for entry in entries:
        if entry.kind == DIRECTORY:
            try:
                os.mkdir(entry.name, 0o700, dir_fd=into)
            except FileExistsError:
                if entry.name not in listed:
                    raise folded(entry.name) from None
            found = os.lstat(entry.name, dir_fd=into)
            perm = entry.perm & PERMS
            if found.st_mode & 0o7777 != perm | 0o700:
                set_mode(entry.name, into, perm | 0o700, False)
                found = os.lstat(entry.name, dir_fd=into)
            has = found.st_mode & 0o7777
            # What its owner needs to reach into it goes last.
            rows.append(Row(*entry, perm if has == perm | 0o700 else has, 0, 0, found.st_ino))
            continue
        copy = None if mirror is None else mirror.copy_of(job.path, entry)
        if copy is not None:
            rows.append(copy)
            newest = max(newest, copy.ctime_ns)
            files += 1
            size += entry.size
            continue
        made = None if landed is None else landed.take(entry, into, listed)
        if made is None:
            made = _make(entry, into, source, listed, advance)
        if made is None:
            missing.append(entry)
            continue
        rows.append(row_of(entry, made))
        newest = max(newest, made.st_ctime_ns)
        files += 1
        size += entry.size
    return Filled(
        job.path, encode_listing(rows), digest_of_rows(rows), os.fstat(into).st_ino, newest, missing, files, size
    )


def _remove_others(directory: int, kinds: Mapping[bytes, bytes]) -> None:
    """Remove from a directory what is no entry of it: of these names and kinds.

    Whoever says what a mirror is to copy may have named what no tree has: it would be taken for the user's.
    """
    with os.scandir(directory) as listing:
        found = [(os.fsencode(each.name), each.is_dir(follow_symlinks=False)) for each in listing]
    others = [each for each in found if each[0] not in kinds or each[1] != (kinds[each[0]] == DIRECTORY)]
    for name, is_directory in others:
        if is_directory:
            remove_tree(directory, name)
        else:
            os.unlink(name, dir_fd=directory)


class _Listed:
    """The names that a directory lists, looked up where one was there before it was made.

    What an interrupted run left, or another process makes for what lies below, is there under its own name. Else it is
    there under one that is the same to this file system, which belongs to another entry: nothing tells of that but the
    listing.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._names: set[bytes] = set()

    def __contains__(self, name: object) -> bool:
        if name not in self._names:  # it may have come since the last look
            self._names = set(map(os.fsencode, os.listdir(self._fd)))
        return name in self._names


def folded(name: bytes) -> FoldedError:
    """The error for a name that is there already, under another."""
    return FoldedError(
        f"this file system takes {show(name)} for another name beside it, as it did not when it was looked at",
        "run the command again: the file system is looked at anew, and what it cannot hold is left out",
    )


def _make(
    entry: Entry, into: int, source: int | None, listed: _Listed, advance: Advance | None
) -> os.stat_result | None:
    make = _make_file if entry.kind == FILE else _make_link
    try:
        return None if source is None else make(entry, into, source, advance)
    except FileExistsError:
        if entry.name not in listed:
            return None  # another's: it is left, and told by who looks for what is missing
        # An interrupted run was here. What it left is ours, but never believed.
        kept = _keep_whole(entry, into, advance)
        return kept if kept is not None or source is None else make(entry, into, source, advance)


def _make_file(
    entry: Entry, into: int, source: int, advance: Advance | None = None, name: bytes | None = None
) -> os.stat_result | None:
    from_name, _, perm, size, mtime_ns, wanted = entry
    name = name or from_name
    from_fd = open_regular(from_name, source)
    if from_fd is None:
        return None
    try:
        if size <= SMALL:
            # Nothing is created before the content has been verified.
            data = read_exactly(from_fd, size)
            if data is None or blob_id(data) != wanted:
                return None
            fd = os.open(name, _NEW, perm, dir_fd=into)
            try:
                if data:
                    write_all(fd, data)
                return _finish(fd, perm, mtime_ns)
            finally:
                os.close(fd)
        fd = os.open(name, _NEW, perm, dir_fd=into)
        good = False
        try:
            good = copy_verified(from_fd, fd, size, BlobId(wanted), advance)
            return _finish(fd, perm, mtime_ns) if good else None
        finally:
            os.close(fd)
            if not good:
                os.unlink(name, dir_fd=into)
    finally:
        os.close(from_fd)


def _finish(fd: int, perm: int, mtime_ns: int) -> os.stat_result:
    os.utime(fd, ns=(mtime_ns, mtime_ns))
    made = os.fstat(fd)
    if made.st_mode & 0o7777 != perm:
        give_mode(fd, perm)
        made = os.fstat(fd)
    return made


def _make_link(entry: Entry, into: int, source: int, _: Advance | None = None) -> os.stat_result | None:
    try:
        target = os.readlink(entry.name, dir_fd=source)
    except OSError:
        return None
    if blob_id(target) != entry.id:
        return None
    os.symlink(target, entry.name, dir_fd=into)
    os.utime(entry.name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=into, follow_symlinks=False)
    return os.lstat(entry.name, dir_fd=into)


def _keep_whole(entry: Entry, into: int, advance: Advance | None) -> os.stat_result | None:
    """What lies under this name, if it is the content; else it is removed."""
    found = os.lstat(entry.name, dir_fd=into)
    if entry.kind == FILE and stat.S_ISREG(found.st_mode) and found.st_size == entry.size:
        fd = open_regular(entry.name, into)
        if fd is not None:
            null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            try:
                if copy_verified(fd, null, entry.size, entry.blob, advance):
                    return _finish(fd, entry.perm, entry.mtime_ns)
            finally:
                os.close(null)
                os.close(fd)
    os.unlink(entry.name, dir_fd=into)
    return None


class TreeBuilder:
    """Builds directories below one folder of the stage.

    ``place`` is the name on the stage; a directory ``path`` of the folder is built at ``place/path``. What a ``mirror``
    made there already only gets its rows.
    """

    def __init__(self, stage: Stage, place: bytes, progress: Progress, mirror: Mirror | None = None) -> None:
        self.landed: Landed | None = None
        self._underway = Underway(progress)
        self._mirror = mirror
        self._stage_fd = stage.fd
        self._place = place

    def open(self, path: bytes) -> int:
        """A descriptor of the directory that is built as ``path``; it is made if it is not there."""
        return open_made(self._stage_fd, join(self._place, path) if path else self._place)

    def tidy(self, names: Iterable[bytes]) -> None:
        """Leave at the top only what a mirror has made of these directories."""
        top = self.open(b"")
        try:
            _remove_others(top, dict.fromkeys(names, DIRECTORY))
        finally:
            os.close(top)

    def build(self, jobs: list[Building], source: ContentStore) -> Iterator[Filled]:
        """Make the directories of ``jobs`` and fill them from ``source``, in no order.

        A directory is made when the one above it is filled, or when its own turn comes: made all at once, ahead of the
        files, they would lie together in one part of an ext4 disk, and each file would search for room elsewhere.
        """
        if worker_count() < 2 or sum([job.files for job in jobs]) < _FORK_FROM:
            for job in jobs:
                filled = self._fill(job, source, self._underway.advance)
                self._underway.count(filled.files, filled.size)
                yield filled
            return
        reporter = Reporter()

        def work(batch: list[Building]) -> list[Filled]:
            os.umask(0)
            return [self._fill(job, source, reporter.advance) for job in batch]

        def hear(told: int, done: Sequence[tuple[int, list[Filled]]]) -> None:
            came = [filled for _, batch in done for filled in batch]
            self._underway.note(told, sum([each.files for each in came]), sum([each.size for each in came]))

        for _, done in run_forked(list(_batches(jobs)), work, reporter, hear):
            yield from done

    def _fill(self, job: Building, source: ContentStore, advance: Advance) -> Filled:
        from_fd = source.open_directory(job.path)
        try:
            into = self.open(job.path)
            try:
                return fill_directory(job, into, from_fd, self._mirror, self.landed, advance)
            finally:
                os.close(into)
        finally:
            if from_fd is not None:
                os.close(from_fd)

    def flush(self, jobs: Iterable[Building]) -> bool:
        """Make durable what these directories hold, file by file; False where some of it has to be with everything."""
        whole = True
        for job in jobs:
            directory = self.open(job.path)
            try:
                for name in os.listdir(directory):
                    fd = open_regular(os.fsencode(name), directory)
                    if fd is None:
                        whole = False  # a link, a directory of its own, or what its owner may not read
                        continue
                    try:
                        os.fsync(fd)
                    finally:
                        os.close(fd)
                os.fsync(directory)
            finally:
                os.close(directory)
        return whole

    def fill_missing(self, path: bytes, entry: Entry, wanted: Wanted, stores: list[ContentStore]) -> Row | None:
        """Try the other stores for one entry of the directory ``path``; its row, if one had the content. Then it is
        counted, too.

        Raises ``FileExistsError`` where something else is there, under a name that is the same to the file system.
        """
        into, advance = self.open(path), self._underway.advance
        try:
            try:
                os.lstat(entry.name, dir_fd=into)
            except FileNotFoundError:
                kept = None
            else:
                if entry.name not in _Listed(into):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(entry.name))
                kept = _keep_whole(entry, into, advance)  # of an interrupted run
            if kept is None:
                if not any(Stage.put_from(store, entry.name, into, entry, wanted, advance) for store in stores):
                    return None
                kept = os.lstat(entry.name, dir_fd=into)
            self._underway.count(1, entry.size)
            return row_of(entry, kept)
        finally:
            os.close(into)


def _batches(jobs: list[Building]) -> Iterable[list[Building]]:
    batch: list[Building] = []
    files = size = 0
    for job in jobs:
        batch.append(job)
        files += job.files
        size += job.size
        if files >= _BATCH_FILES or size >= _BATCH_BYTES:
            yield batch
            batch, files, size = [], 0, 0
    if batch:
        yield batch
