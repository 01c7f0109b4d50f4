"""Content stores: places where a blob's bytes may be found.

The log holds no content, so a chain of stores answers "where is this?": the stage, the folder itself, the
trash, a remote's folder. A store hands out candidates; whoever copies them verifies them by their id. One that is
*far* has no files to open here: it brings what is wanted to the stage, many at once.
"""

import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from replican.effects.worktree import FILE_FLAGS, Directories, open_regular
from replican.values.ids import BlobId, blob_id
from replican.values.names import group_key
from replican.values.paths import join, name_of, parent_of
from replican.values.trees import LINK, Entry

if TYPE_CHECKING:
    from replican.effects.mirror import Mirror
    from replican.effects.staging import Stage
    from replican.values.messages import Directory
    from replican.values.progress import Progress

NO_CONTENT: Final = blob_id(b"")
"""The id of an empty file's content: it needs no source."""
_FEW = 8


class Wanted(NamedTuple):
    """Content that is looked for: of a file, or of a link; ``hint`` is a path where it may lie.

    ``size`` is in bytes; :data:`ANY_SIZE` where it is not known.
    """

    blob: BlobId
    kind: bytes
    size: int
    hint: bytes


ANY_SIZE = -1

Needed = tuple[Entry, Wanted]
"""What is to be had: what it will be, and how its content is looked for."""


class ContentStore(Protocol):
    """A place that may hold content."""

    @property
    def name(self) -> str:
        """What to call it in messages: ``this folder``, ``the trash``, ``origin``."""

    @property
    def is_far(self) -> bool:
        """Whether content has to be brought here before it can be opened."""

    @property
    def is_reached(self) -> bool:
        """Whether it can be asked at all, as far as is known."""

    def lies_beside(self, directory: int) -> bool:
        """Whether its files are on the same file system as a directory: what lies there is no farther than what lies
        here."""

    @property
    def came_early(self) -> Collection[BlobId]:
        """What a far store need not be asked for: to bring it is no more than to have it on the stage."""

    def bring(
        self,
        wanted: Sequence[Needed],
        stage: "Stage",
        progress: "Progress",
        going: Sequence[bytes] = (),
    ) -> None:
        """Have a far store's content on the stage, where ``Stage.put`` finds it; what it has not got is left out. At
        the paths ``going`` lie files that are about to go, of which some may have much in common with it."""

    def spare(self, size: int) -> None:
        """A far store is told of so many bytes of content that it was not asked for: they were found here."""

    def bring_copies(
        self, wanted: "Sequence[Directory]", mirror: "Mirror", progress: "Progress", totals: tuple[int, int]
    ) -> None:
        """Have a far store's small files of directories in a mirror, of which ``totals`` tells how many there are and
        of how many bytes; which it has not got is left out."""

    def has(self, wanted: Wanted) -> bool:
        """Whether it knows to have this content, whatever the hint: what is in a file is not read."""

    def locate(self, wanted: Collection[Wanted]) -> None:
        """Be ready to be asked for these without their hints: one look-up for many."""

    def located(self) -> Collection[BlobId]:
        """What the look-ups so far have found."""

    def open_file(self, wanted: Wanted) -> int | None:
        """A descriptor of a file that should have this content, at offset 0; the caller closes it."""

    def read_link(self, wanted: Wanted) -> bytes | None:
        """The target of a link that should have this content."""

    def open_directory(self, path: bytes) -> int | None:
        """A descriptor of the directory at ``path``, where a store has paths; the caller closes it."""

    def close(self) -> None:
        """Give back what is held."""


class PathFinder(Protocol):
    """Where a folder knows content to lie; an index is one."""

    def find_paths(self, blobs: Collection[BlobId]) -> Mapping[BlobId, bytes]: ...


class _NearStore:
    """A store whose files can be opened here."""

    is_far = False
    is_reached = True
    came_early: Collection[BlobId] = ()

    def lies_beside(self, directory: int) -> bool:
        return False

    def bring(
        self,
        wanted: Sequence[Needed],
        stage: "Stage",
        progress: "Progress",
        going: Sequence[bytes] = (),
    ) -> None:
        pass

    def spare(self, size: int) -> None:
        pass

    def bring_copies(
        self, wanted: "Sequence[Directory]", mirror: "Mirror", progress: "Progress", totals: tuple[int, int]
    ) -> None:
        pass

    def has(self, wanted: Wanted) -> bool:
        wanted = wanted._replace(hint=b"")
        if wanted.kind == LINK:
            return self.read_link(wanted) is not None
        fd = self.open_file(wanted)
        if fd is None:
            return False
        os.close(fd)
        return True

    def locate(self, wanted: Collection[Wanted]) -> None:
        pass

    def located(self) -> Collection[BlobId]:
        return ()

    def open_directory(self, path: bytes) -> int | None:
        return None

    def close(self) -> None:
        pass

    def open_file(self, wanted: Wanted) -> int | None:
        raise NotImplementedError

    def read_link(self, wanted: Wanted) -> bytes | None:
        raise NotImplementedError


class FolderStore(_NearStore):
    """A working copy as a store.

    With ``by_hint`` (a remote's folder, which holds what its trees say) a path is tried first that the content has in
    the merged tree, or the name that a conflict copy derives from; then what its index knows.
    """

    def __init__(self, name: str, root: str, finder: PathFinder, by_hint: bool = True) -> None:
        self._name = name
        self._by_hint = by_hint
        self._finder = finder
        self._root = root
        self._directories = Directories(root)
        self._located: dict[BlobId, bytes] = {}

    @property
    def name(self) -> str:
        return self._name

    def lies_beside(self, directory: int) -> bool:
        try:
            return self._by_hint and os.stat(self._root).st_dev == os.fstat(directory).st_dev
        except OSError:
            return False

    def locate(self, wanted: Collection[Wanted]) -> None:
        missing = {item.blob for item in wanted} - self._located.keys()
        if missing:
            self._located.update(self._finder.find_paths(missing))

    def located(self) -> Collection[BlobId]:
        return self._located.keys()

    def _paths(self, wanted: Wanted) -> Iterable[bytes]:
        if self._by_hint:
            if wanted.hint:
                yield wanted.hint
            name = name_of(wanted.hint)
            key = group_key(name)
            if key != name:
                yield join(parent_of(wanted.hint), key)
        located = self._located.get(wanted.blob)
        if located is not None:
            yield located

    def has(self, wanted: Wanted) -> bool:
        # By its index alone: whatever lies at the path of the hint may be of the same size.
        return wanted.blob in self._located and super().has(wanted)

    def open_file(self, wanted: Wanted) -> int | None:
        return next(self.open_each(wanted), None)

    def open_each(self, wanted: Wanted) -> Iterator[int]:
        """A descriptor of one file after the other that may have this content; the caller closes each."""
        for path in self._paths(wanted):
            try:
                fd = open_regular(name_of(path), self._directories.open(parent_of(path)))
            except OSError:
                continue
            if fd is None:
                continue
            if wanted.size in (ANY_SIZE, os.fstat(fd).st_size):
                yield fd
            else:
                os.close(fd)

    def read_link(self, wanted: Wanted) -> bytes | None:
        for path in self._paths(wanted):
            try:
                return os.readlink(name_of(path), dir_fd=self._directories.open(parent_of(path)))
            except OSError:
                continue
        return None

    def open_directory(self, path: bytes) -> int | None:
        try:
            return os.dup(self._directories.open(path))
        except OSError:
            return None

    def close(self) -> None:
        self._directories.close()


class ShelfStore(_NearStore):
    """A flat directory in which a file's name is its blob id in hex: the stage, and the trash."""

    def __init__(self, name: str, path: str) -> None:
        self._name = name
        self._path = os.fsencode(path)
        self._listed: set[bytes] | None = None

    @property
    def name(self) -> str:
        return self._name

    def locate(self, wanted: Collection[Wanted]) -> None:
        # One listing, in place of a vain attempt to open each of many.
        if self._listed is None and len(wanted) > _FEW:
            try:
                self._listed = set(os.listdir(self._path))
            except OSError:
                self._listed = set()

    def note(self, name: bytes) -> None:
        """Something came to lie here under this name."""
        if self._listed is not None:
            self._listed.add(name)

    def _has(self, name: bytes) -> bool:
        return self._listed is None or name in self._listed

    def open_file(self, wanted: Wanted) -> int | None:
        name = wanted.blob.hex().encode()
        if wanted.kind == LINK or not self._has(name):
            return None
        try:
            fd = os.open(b"%s/%s" % (self._path, name), FILE_FLAGS)
        except OSError:
            return None
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
        return None

    def read_link(self, wanted: Wanted) -> bytes | None:
        name = wanted.blob.hex().encode()
        if not self._has(name):
            return None
        try:
            return os.readlink(b"%s/%s" % (self._path, name))
        except OSError:
            return None


class CopyStore(_NearStore):
    """Copies that are held of what changes all the time: ``open_copy`` gives a descriptor of one."""

    def __init__(self, name: str, open_copy: Callable[[BlobId], int | None]) -> None:
        self.name = name
        self._open_copy = open_copy

    def open_file(self, wanted: Wanted) -> int | None:
        return None if wanted.kind == LINK else self._open_copy(wanted.blob)

    def read_link(self, wanted: Wanted) -> bytes | None:
        return None


def find(stores: Sequence[ContentStore], wanted: Iterable[Wanted]) -> Mapping[BlobId, str]:
    """For each content that is to be had, as far as the stores know, the name of the first store that has it.

    That there is a file of that size is seen; what is in it is not read.
    """
    left = {item.blob: item for item in wanted}
    found: dict[BlobId, str] = {}
    for store in stores:
        items = list(left.values())
        store.locate(items)
        for item in items:
            if store.has(item):
                found[item.blob] = store.name
                del left[item.blob]
    return found
