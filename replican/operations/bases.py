"""Files that are here, with their block lists: those that a wanted file may have blocks in common with.

The list of a file is the known one of its blob id, as long as the file is what the index says; else it is cut. Nothing
here has to be true: what is put together by it is verified.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from replican.chunking import LARGE, is_fast
from replican.effects.block_cache import BlockCache
from replican.effects.blocks import read_blocks, read_hashed_blocks
from replican.effects.delta import Basis
from replican.effects.trash import TrashItem
from replican.effects.worktree import FILE_FLAGS, Directories, open_regular
from replican.repository import Repository
from replican.values.blocks import LEAST, BlockList
from replican.values.ids import BlobId
from replican.values.listing import Row
from replican.values.paths import name_of, parent_of
from replican.values.trees import FILE

MOST_BASES: Final = 8
_NOMINATED: Final = 16


class LocalFiles:
    """The files of a replica: of its folder, its trash and its stage. A context manager; what it opens is the
    caller's to close. What it has cut it knows for as long as the file has the same stat data."""

    def __init__(self, repo: Repository, cache: BlockCache) -> None:
        self.cache = cache
        self._repo = repo
        self._directories = Directories(repo.root)
        self._cut: dict[tuple[int, ...], tuple[BlockList, BlobId | None]] = {}
        self._paths: dict[BlobId, bytes | None] = {}
        self._rows: tuple[bytes, dict[bytes, Row]] | None = None
        self._trash: dict[bytes, list[TrashItem]] | None = None

    def __enter__(self) -> "LocalFiles":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._directories.close()

    def forget(self) -> None:
        """The folder and its index may have changed: what they hold is looked at anew."""
        self._directories.forget()
        self._paths.clear()
        self._rows = self._trash = None

    def is_large(self, path: bytes) -> bool:
        """Whether there is a file at ``path``, and not a small one."""
        try:
            found = os.lstat(name_of(path), dir_fd=self._directories.open(parent_of(path)))
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and found.st_size >= LEAST

    def at(self, path: bytes) -> Basis | None:
        """The file at ``path``, whatever it is by now; None where there is none, or cutting it would take too long."""
        return self._at(path)[0]

    def _at(self, path: bytes) -> tuple[Basis | None, BlobId | None]:
        """The same with its blob id, if that is known."""
        try:
            fd = open_regular(name_of(path), self._directories.open(parent_of(path)))
        except OSError:
            return None, None
        if fd is None:
            return None, None
        row = self._row(path)
        if row is not None and _is_as_seen(fd, row):
            return self._listed(fd, BlobId(row.id)), BlobId(row.id)
        if row is not None and _is_as_seen(fd, row._replace(ctime_ns=os.fstat(fd).st_ctime_ns)):
            # Touched since, or in the moment in which it was looked at: what it is has to be read.
            return self._hashed(fd)
        return self._listed(fd, None), None

    def _row(self, path: bytes) -> Row | None:
        directory = parent_of(path)
        if self._rows is None or self._rows[0] != directory:
            self._rows = directory, {row.name: row for row in self._repo.index.rows(directory)}
        return self._rows[1].get(name_of(path))

    def of(self, blob: BlobId, hint: bytes = b"") -> Basis | None:
        """A file that should have this content; ``hint`` is a path where it may lie."""
        basis = self.in_folder(blob, hint)
        for shelf in ("trash", "stage"):
            if basis is None:
                basis = self.on_shelf(shelf, os.fsencode(blob.hex()), blob)
        return basis

    def in_folder(self, blob: BlobId, hint: bytes = b"") -> Basis | None:
        """A file of the folder that has this content, by all that is known of it."""
        row = self._row(hint) if hint else None
        if row is not None and row.id == blob and (basis := self._as(blob, hint)) is not None:
            return basis
        self.locate([blob])
        path = self._paths[blob]
        return None if path is None else self._as(blob, path)

    def opened(self, blob: BlobId) -> int | None:
        """A descriptor of a file of the folder that should have this content: it is not read."""
        self.locate([blob])
        path = self._paths[blob]
        row = None if path is None else self._row(path)
        if path is None or row is None:
            return None
        try:
            fd = open_regular(name_of(path), self._directories.open(parent_of(path)))
        except OSError:
            return None
        if fd is not None and os.fstat(fd).st_size != row.size:
            os.close(fd)
            return None
        return fd

    def locate(self, blobs: Iterable[BlobId]) -> None:
        """These may be asked for by :meth:`of`: one look-up for many."""
        missing = [blob for blob in blobs if blob not in self._paths]
        found = self._repo.index.find_paths(missing)
        self._paths.update({blob: found.get(blob) for blob in missing})

    def _as(self, blob: BlobId, path: bytes) -> Basis | None:
        """The file at ``path``, if it has this content."""
        if self.is_other(path, blob):
            return None
        basis, found = self._at(path)
        if basis is not None and found != blob:
            os.close(basis.fd)
            return None
        return basis

    def is_other(self, path: bytes, blob: BlobId) -> bool:
        """Whether this content was recorded at ``path``, and something else is seen there now."""
        row = self._row(path)
        if row is None or row.id != blob:
            return False
        try:
            found = os.lstat(name_of(path), dir_fd=self._directories.open(parent_of(path)))
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) != (row.size, row.disk_mtime_ns)

    def on_shelf(self, shelf: str, name: bytes, blob: BlobId | None) -> Basis | None:
        """What lies in the trash or on the stage, as this content, if it is known."""
        try:
            fd = os.open(os.fsencode(f"{self._repo.dotdir}/{shelf}/") + name, FILE_FLAGS)
        except OSError:
            return None
        # Not known from then on: a program may go on writing to what is in the trash.
        return self._listed(fd, blob, keep=False)

    def trash_of(self, path: bytes) -> list[TrashItem]:
        """What of the trash was at ``path``: files, the newest first."""
        if self._trash is None:
            self._trash = {}
            for item in reversed(self._repo.index.trash()):
                if item.kind == FILE:
                    self._trash.setdefault(item.path, []).append(item)
        return self._trash.get(path, [])

    def take(self, fd: int, blob: BlobId) -> Basis | None:
        """An open file that has this content, with its block list; where it is of no use it is closed."""
        return self._listed(fd, blob)

    def _listed(self, fd: int, blob: BlobId | None, keep: bool = True) -> Basis | None:
        """An open file with its block list; where it is of no use it is closed."""
        before = os.fstat(fd)
        size = before.st_size
        known = self._cut.get(_look_of(before))
        blocks = known[0] if known is not None else None if blob is None else self.cache.get(blob)
        if blocks is None and (is_fast() or size <= LARGE):
            blocks = read_blocks(fd, size)
            if blocks is not None and _look_of(before) == _look_of(os.fstat(fd)):
                self._cut[_look_of(before)] = blocks, blob if keep else None
                if blob is not None and keep and size > LARGE:
                    self.cache.put(blob, blocks)
        if blocks is None or blocks.size != size:
            os.close(fd)
            return None
        return Basis(fd, blocks)

    def _hashed(self, fd: int) -> tuple[Basis | None, BlobId | None]:
        """An open file that is read for its list and its blob id."""
        before = os.fstat(fd)
        known = self._cut.get(_look_of(before))
        if known is not None and known[1] is not None:
            return Basis(fd, known[0]), known[1]
        size = before.st_size
        found = read_hashed_blocks(fd, size) if is_fast() or size <= LARGE else None
        if found is None:
            os.close(fd)
            return None, None
        self._cut[_look_of(before)] = found[1], found[0]
        if size > LARGE:
            self.cache.put(*found)
        return Basis(fd, found[1]), found[0]


def _look_of(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _is_as_seen(fd: int, row: Row) -> bool:
    found = os.fstat(fd)
    return row.kind == FILE and (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino) == (
        row.size,
        row.disk_mtime_ns,
        row.ctime_ns,
        row.ino,
    )


@contextmanager
def opened_bases(
    files: LocalFiles, wanted: BlockList, path: bytes, likely: Iterable[bytes] = (), parts: list[bytes] | None = None
) -> Iterator[list[Basis]]:
    """The files here that have blocks of ``wanted``, which is to come to ``path``; none that adds nothing.

    Asked are those whose lists are known to have some, the file at ``path``, ``parts`` of other files, by their names
    on the stage (those that have none are taken from the list), and, as long as half is lacking, what was at ``path``
    and is in the trash, and what is at the paths ``likely`` (of files that are about to go, say).
    """
    chosen = _Choice(wanted)
    try:
        nominated = files.cache.sharing(wanted, _NOMINATED)
        files.locate(nominated)
        for blob in nominated:
            chosen.offer(files.of(blob))
        if chosen.is_wanting:
            chosen.offer(files.at(path))
        for name in list(parts or ()):
            if parts is not None and not (chosen.is_wanting and chosen.offer(files.on_shelf("stage", name, None))):
                parts.remove(name)
        for item in files.trash_of(path) if chosen.lacks_half else ():
            if chosen.lacks_half:
                chosen.offer(files.on_shelf("trash", item.file, item.blob))
        for other in likely:
            if chosen.lacks_half and other != path:
                chosen.offer(files.at(other))
        yield chosen.bases
    finally:
        chosen.close()


class _Choice:
    def __init__(self, wanted: BlockList) -> None:
        self.bases: list[Basis] = []
        self._lacking = {hash: length for _, length, hash in wanted}
        self._size = sum(self._lacking.values())
        self._hash_size = wanted.hash_size

    @property
    def is_wanting(self) -> bool:
        return bool(self._lacking) and len(self.bases) < MOST_BASES

    @property
    def lacks_half(self) -> bool:
        return self.is_wanting and 2 * sum(self._lacking.values()) > self._size

    def offer(self, basis: Basis | None) -> bool:
        """Keep it if it has blocks that are lacking; else close it."""
        if basis is None:
            return False
        found = set[bytes]()
        if self.is_wanting:
            found = self._lacking.keys() & {hash[: self._hash_size] for _, _, hash in basis.blocks}
        if not found:
            os.close(basis.fd)
            return False
        self.bases.append(basis)
        for hash in found:
            del self._lacking[hash]
        return True

    def close(self) -> None:
        for basis in self.bases:
            os.close(basis.fd)
