"""Files that are here, with their block lists: those that a wanted file may have blocks in common with.

The list of a file is the known one of its blob id, as long as the file is what the index says; else it is cut. Nothing
here has to be true: what is put together by it is verified.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from replican.chunking import LARGE, is_fast
from replican.effects.block_cache import BlockCache
from replican.effects.blocks import read_blocks, read_hashed_blocks
from replican.effects.contents import Wanted
from replican.effects.delta import Basis, Delta, Fetch
from replican.effects.staging import Stage
from replican.effects.worktree import FILE_FLAGS, Directories, open_regular
from replican.repository import Repository
from replican.values.blocks import BlockList
from replican.values.ids import BlobId
from replican.values.listing import Row
from replican.values.paths import name_of, parent_of
from replican.values.progress import Progress
from replican.values.trees import FILE

MOST_BASES: Final = 8
_NOMINATED: Final = 16


class LocalFiles:
    """The files of a replica: of its folder, its trash and its stage. A context manager; what it opens is the
    caller's to close."""

    def __init__(self, repo: Repository, cache: BlockCache) -> None:
        self._repo = repo
        self._cache = cache
        self._directories = Directories(repo.root)

    def __enter__(self) -> "LocalFiles":
        return self

    def __exit__(self, *_: object) -> None:
        self._directories.close()

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
        row = self._repo.index.row(path)
        if row is not None and _is_as_seen(fd, row):
            return self._listed(fd, BlobId(row.id)), BlobId(row.id)
        if row is not None and _is_as_seen(fd, row._replace(ctime_ns=os.fstat(fd).st_ctime_ns)):
            # Touched since, or in the moment in which it was looked at: what it is has to be read.
            return self._hashed(fd)
        return self._listed(fd, None), None

    def of(self, blob: BlobId) -> Basis | None:
        """A file that should have this content."""
        path = self._repo.index.find_paths([blob]).get(blob)
        if path is not None:
            basis, found = self._at(path)
            if found == blob:
                return basis
            if basis is not None:
                os.close(basis.fd)
        for shelf in ("trash", "stage"):
            basis = self.on_shelf(shelf, os.fsencode(blob.hex()), blob)
            if basis is not None:
                return basis
        return None

    def on_shelf(self, shelf: str, name: bytes, blob: BlobId) -> Basis | None:
        """What lies in the trash or on the stage, as this content."""
        try:
            fd = os.open(os.fsencode(f"{self._repo.dotdir}/{shelf}/") + name, FILE_FLAGS)
        except OSError:
            return None
        # Not known from then on: a program may go on writing to what is in the trash.
        return self._listed(fd, blob, keep=False)

    def _listed(self, fd: int, blob: BlobId | None, keep: bool = True) -> Basis | None:
        """An open file with its block list; where it is of no use it is closed."""
        blocks = None if blob is None else self._cache.get(blob)
        before = os.fstat(fd)
        size = before.st_size
        if blocks is None and (is_fast() or size <= LARGE):
            blocks = read_blocks(fd, size)
            if blocks is not None and blob is not None and keep and size > LARGE and _same(before, os.fstat(fd)):
                self._cache.put(blob, blocks)
        if blocks is None or blocks.size != size:
            os.close(fd)
            return None
        return Basis(fd, blocks)

    def _hashed(self, fd: int) -> tuple[Basis | None, BlobId | None]:
        """An open file that is read for its list and its blob id."""
        size = os.fstat(fd).st_size
        found = read_hashed_blocks(fd, size) if is_fast() or size <= LARGE else None
        if found is None:
            os.close(fd)
            return None, None
        if size > LARGE:
            self._cache.put(*found)
        return Basis(fd, found[1]), found[0]


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_size, one.st_mtime_ns, one.st_ctime_ns) == (other.st_size, other.st_mtime_ns, other.st_ctime_ns)


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
    repo: Repository, cache: BlockCache, wanted: BlockList, path: bytes, likely: Iterable[bytes] = ()
) -> Iterator[list[Basis]]:
    """The files here that have blocks of ``wanted``, which is to come to ``path``; none that adds nothing.

    Asked are those whose lists are known to have some, the file at ``path``, and, as long as half is lacking, what was
    at ``path`` and is in the trash, and what is at the paths ``likely`` (of files that are about to go, say).
    """
    chosen = _Choice(wanted)
    with LocalFiles(repo, cache) as files:
        try:
            for blob in cache.sharing(wanted, _NOMINATED):
                chosen.offer(files.of(blob))
            if chosen.is_wanting:
                chosen.offer(files.at(path))
            for item in reversed(repo.index.trash()):
                if item.path == path and item.kind == FILE and chosen.lacks_half:
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

    def offer(self, basis: Basis | None) -> None:
        """Keep it if it has blocks that are lacking; else close it."""
        if basis is None:
            return
        found = set[bytes]()
        if self.is_wanting:
            found = self._lacking.keys() & {hash[: self._hash_size] for _, _, hash in basis.blocks}
        if not found:
            os.close(basis.fd)
            return
        self.bases.append(basis)
        for hash in found:
            del self._lacking[hash]

    def close(self) -> None:
        for basis in self.bases:
            os.close(basis.fd)


def bring_by_blocks(
    repo: Repository,
    stage: Stage,
    wanted: Wanted,
    blocks: BlockList,
    fetch: Fetch,
    *,
    likely: Iterable[bytes] = (),
    begun: bytes | None = None,
    progress: Progress | None = None,
) -> bool:
    """Have a large file on the stage, by its block list (which may be short) and whoever gives what is missing.

    True once it lies there under its blob id, verified, neither flushed nor with its attributes; False if the list
    lies, and it has to come whole. ``likely`` as for :func:`opened_bases`, the rest and the errors as for
    :class:`~replican.effects.delta.Delta`.
    """
    with (
        BlockCache(repo.block_cache_path) as cache,
        opened_bases(repo, cache, blocks, wanted.hint, likely) as bases,
        Delta(stage.fd, wanted.blob, wanted.size, blocks, bases, begun) as delta,
    ):
        if not delta.assemble(fetch, progress):
            return False
        os.rename(delta.name, wanted.blob.hex().encode(), src_dir_fd=stage.fd, dst_dir_fd=stage.fd)
        full = delta.blocks
        if full is not None and wanted.size > LARGE:
            cache.put(wanted.blob, full)
        return True
