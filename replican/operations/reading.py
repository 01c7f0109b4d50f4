"""Reading content by its id, from whichever store has it: the folder itself, the trash, the stage, remotes' folders.

Nothing is believed: what is handed out has the hash that its id says.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import count
from typing import TYPE_CHECKING

from replican.effects.forms import BLOB, TREE
from replican.effects.worktree import FILE_FLAGS, opened_directory
from replican.operations.revisions import SHORTEST, Named, ambiguous, resolve
from replican.repository import Repository
from replican.values.errors import FolderError, NotFoundError, ReplicanError
from replican.values.ids import EMPTY_TREE, BlobId, TreeId, blob_hasher, blob_id
from replican.values.paths import join, name_of, parent_of
from replican.values.trees import DIRECTORY

if TYPE_CHECKING:
    from replican.effects.index import Index
    from replican.operations.remotes import Remote
    from replican.values.progress import Traffic
    from replican.values.streams import StreamReader

IN_MEMORY = 4 << 20
"""Content of up to so many bytes is read once; larger content is read twice, to verify it before any of it is used."""

_CHUNK = 1 << 20
_FEW_LOOKUPS = 8


class Content:
    """Verified content of a blob: ``size`` in bytes, and the ``source`` that has it. Close it."""

    def __init__(self, source: str, blob: BlobId, size: int, data: bytes | None, fd: int = -1) -> None:
        self.source = source
        self.size = size
        self._blob = blob
        self._data = data
        self._fd = fd

    def __enter__(self) -> "Content":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def chunks(self) -> Iterator[bytes]:
        """The bytes, once; raises ``FolderError`` if the file changes after it was verified."""
        if self._data is not None:
            yield self._data
            return
        hasher, left = blob_hasher(self.size), self.size
        while left and (chunk := os.read(self._fd, min(_CHUNK, left))):
            hasher.update(chunk)
            left -= len(chunk)
            yield chunk
        if left or hasher.digest() != self._blob:
            raise FolderError(f"a file of {self.source} changed while it was read", "run the command again")


class FolderReader:
    """A working copy, where its index says that content lies, and the ``shelves`` that belong to it: their paths, by
    what to call them. Close it."""

    def __init__(self, name: str, root: str, index: "Index", shelves: Mapping[str, str]) -> None:
        self.name = name
        self.index = index
        self._shelves = shelves
        self.fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._lookups = 0
        self._known: dict[bytes, bytes] | None = None

    def close(self) -> None:
        os.close(self.fd)

    def candidates(self, blob: BlobId, hint: bytes) -> Iterator[Content | None]:
        """The content of ``blob``, from one place after the other: None where one has something else."""
        if hint:
            yield self._read(hint, blob)
        for path in self._paths(blob):
            yield self._read(path, blob)
        for name, path_of_shelf in self._shelves.items():
            yield from _on_shelf(name, path_of_shelf, blob)

    def _paths(self, blob: BlobId) -> Iterator[bytes]:
        """Where it may lie: one path, and if that one was of no use, all others."""
        first = self._look_up(blob)
        if first is not None:
            yield first
            yield from (path for path, id in _blobs(self.index) if id == blob and path != first)

    def _look_up(self, blob: BlobId) -> bytes | None:
        self._lookups += 1
        if self._lookups <= _FEW_LOOKUPS:
            return self.index.find_paths([blob]).get(blob)
        if self._known is None:
            self._known = {id: path for path, id in _blobs(self.index)}
        return self._known.get(blob)

    def _read(self, path: bytes, blob: BlobId) -> Content | None:
        try:
            with opened_directory(self.fd, parent_of(path)) as directory:
                return _read(self.name, name_of(path), directory, blob)
        except OSError:
            return None


class BlobReader:
    """Finds content. Stores are opened when they are first needed, and stay open; a context manager.

    ``unreachable`` names the remotes that could not be asked, and why. ``wires`` are as those of
    :func:`~replican.operations.targets.reachable_contents`.
    """

    def __init__(self, repo: Repository, wires: "list[Traffic] | None" = None) -> None:
        self._repo = repo
        self._wires = wires
        self._here: FolderReader | None = None
        self._remotes: list[Remote] | None = None
        self._open = ExitStack()
        self.unreachable: list[str] = []

    def __enter__(self) -> "BlobReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def read(self, blob: BlobId, hint: bytes = b"") -> Content:
        """The content of ``blob``; ``hint`` is a path where it once lay. Raises ``NotFoundError``."""
        found = next((found for found in self._candidates(blob, hint) if found is not None), None)
        if found is None:
            asked = [f"not asked: {line}" for line in self.unreachable] or ["the log holds none: a remote may have it"]
            raise NotFoundError(f"no store has the content of {blob.hex()}", "\n".join(asked))
        return found

    def _candidates(self, blob: BlobId, hint: bytes) -> Iterator[Content | None]:
        if self._here is None:
            repo = self._repo
            shelves = {f"the {shelf}": f"{repo.dotdir}/{shelf}" for shelf in ("trash", "stage")}
            self._here = FolderReader("this folder", repo.root, repo.index, shelves)
            self._open.callback(self._here.close)
        yield from self._here.candidates(blob, hint)
        for remote in list(self._opened_remotes()):
            try:
                yield from remote.candidates(blob, hint)
            except (ReplicanError, OSError) as error:
                self.unreachable.append(str(error))
                self._opened_remotes().remove(remote)

    def _opened_remotes(self) -> "list[Remote]":
        if self._remotes is None:
            from replican.operations.remotes import opened_remote, tell_of_traffic

            self._remotes = []
            for name in self._repo.config.remotes:
                try:
                    remote = self._open.enter_context(opened_remote(self._repo, name))
                    self._remotes.append(remote)
                    if self._wires is not None:
                        self._open.callback(tell_of_traffic, self._repo, remote, self._wires)
                except (ReplicanError, OSError) as error:
                    self.unreachable.append(str(error))
        return self._remotes


def received_content(repo: Repository, name: str, blob: BlobId, reader: "StreamReader") -> Content | None:
    """Content of a size that is not known before, as it comes from the far end of a link; None if that has not got
    it."""
    from replican.values.streams import FROM_TRASH, read_answer, read_end

    answer = read_answer(reader, None, 0, 1 << 62)
    if not answer.is_there:
        return None
    source, size = f"the trash of {name}" if answer.letter == FROM_TRASH else name, answer.size
    if size <= IN_MEMORY:
        data = reader.take(size)
        return Content(source, blob, size, data) if read_end(reader) and blob_id(data) == blob else None
    import tempfile

    hasher, left = blob_hasher(size), size
    with tempfile.TemporaryFile(dir=f"{repo.dotdir}/stage") as file:
        while left:
            chunk = reader.some(min(_CHUNK, left))
            hasher.update(chunk)
            file.write(chunk)
            left -= len(chunk)
        file.seek(0)
        good = read_end(reader) and hasher.digest() == blob
        return Content(source, blob, size, None, os.dup(file.fileno())) if good else None


class OpenObject:
    """An object of any kind, verified: ``kind`` as framed, ``size`` of its payload in bytes. Close it."""

    def __init__(self, kind: bytes, id: bytes, size: int, content: Content) -> None:
        self.kind = kind
        self.id = id
        self.size = size
        self._content = content

    @property
    def tree(self) -> TreeId:
        """The id, where this is a tree."""
        return TreeId(self.id)

    def __enter__(self) -> "OpenObject":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._content.close()

    def chunks(self) -> Iterator[bytes]:
        """The payload, once; see :meth:`Content.chunks`."""
        return self._content.chunks()


def open_object(repo: Repository, reader: BlobReader, name: str) -> OpenObject:
    """The object that ``name`` means; raises ``NotFoundError``, also for content that no store has."""
    return _open(repo, reader, named_object(repo, name))


def look_at(repo: Repository, reader: BlobReader, name: str) -> tuple[bytes, bytes, int]:
    """Kind, id and size of an object; of a ``REF:PATH``, as the tree tells it, wherever the content is."""
    named = named_object(repo, name)
    if named.kind == BLOB and named.entry is not None:
        return BLOB, named.id, named.entry.size
    with _open(repo, reader, named) as found:
        return found.kind, found.id, found.size


def _open(repo: Repository, reader: BlobReader, named: Named) -> OpenObject:
    if named.kind in (BLOB, None):
        content = reader.read(BlobId(named.id), named.path)
        return OpenObject(BLOB, named.id, content.size, content)
    if named.id == EMPTY_TREE:
        return OpenObject(TREE, named.id, 0, Content("the log", BlobId(b""), 0, b""))
    kind, payload = repo.objects.read(named.id)
    return OpenObject(kind, named.id, len(payload), Content("the log", BlobId(b""), len(payload), payload))


def named_object(repo: Repository, name: str) -> Named:
    """As ``resolve``, and also the digits that the id of a blob begins with, of one that the index or the trash has."""
    try:
        return resolve(repo, name)
    except NotFoundError:
        digits = name.lower()
        if not (SHORTEST <= len(digits) < 64 and not set(digits) - set("0123456789abcdef")):
            raise
        if repo.objects.resolve_prefix(digits):
            raise  # ambiguous
        found = {id for _, id in _blobs(repo.index) if id.hex().startswith(digits)}
        found.update(item.blob for item in repo.index.trash() if item.blob.hex().startswith(digits))
        if not found:
            raise
    if len(found) > 1:
        raise ambiguous(digits, [(id, BLOB) for id in sorted(found)])
    return Named(BLOB, found.pop())


def _blobs(index: "Index") -> Iterator[tuple[bytes, bytes]]:
    """The path and the id of every file and link that the index has."""
    for directory in index.digests():
        for row in index.rows(directory):
            if row.kind != DIRECTORY:
                yield join(directory, row.name), row.id


def _on_shelf(name: str, shelf: str, blob: BlobId) -> Iterator[Content | None]:
    """What lies under an id in a trash or stage; a second one of it has a number."""
    try:
        directory = os.open(shelf, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        for number in count(1):
            file = blob.hex() if number == 1 else f"{blob.hex()}-{number}"
            try:
                yield _read(name, os.fsencode(file), directory, blob)
            except FileNotFoundError:
                return
            except OSError:
                continue
    finally:
        os.close(directory)


def _read(source: str, name: bytes, directory: int, blob: BlobId) -> Content | None:
    """The verified content of a file, or of a link, whichever is there; raises ``OSError``."""
    if stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
        target = os.readlink(name, dir_fd=directory)
        return Content(source, blob, len(target), target) if blob_id(target) == blob else None
    fd = os.open(name, FILE_FLAGS, dir_fd=directory)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return None
        size = status.st_size
        if size <= IN_MEMORY:
            data = os.read(fd, size + 1) if size else b""
            while len(data) < size and (chunk := os.read(fd, size - len(data))):
                data += chunk
            return Content(source, blob, len(data), data) if blob_id(data) == blob else None
        hasher = blob_hasher(size)
        while chunk := os.read(fd, _CHUNK):
            hasher.update(chunk)
        if hasher.digest() != blob:
            return None
        os.lseek(fd, 0, os.SEEK_SET)
        large, fd = fd, -1
        return Content(source, blob, size, None, large)
    finally:
        if fd >= 0:
            os.close(fd)
