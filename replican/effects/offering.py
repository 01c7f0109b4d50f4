"""Offering: a folder's content, read for the other end of a link, and verified while it is read.

A small file is sent only after it has been verified. A large one is verified while it is sent, and what is said after
it tells whether it was the right one until its end.
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Final

from replican.chunking import is_fast
from replican.effects.block_cache import BlockCache
from replican.effects.blocks import CuttingBeside
from replican.effects.channel import CHUNK
from replican.effects.contents import ANY_SIZE, FolderStore, ShelfStore, Wanted
from replican.effects.freezing import Freezer
from replican.effects.staging import SMALL, read_exactly
from replican.values.ids import BlobId, blob_hasher, blob_id
from replican.values.messages import Item
from replican.values.streams import BROKEN, CHANGED, FROM_FOLDER, FROM_TRASH, GONE, STAYED, encode_answer
from replican.values.trees import FILE, LINK

_ZEROS: Final = bytes(CHUNK)

Put = Callable[[bytes], None]
"""Sends some bytes of a stream."""


class Offer:
    """What one folder offers: frozen copies, its files, then its trash. Close it.

    ``find_paths`` tells where content lies in the folder. ``changed`` are the paths of what was asked for and has
    changed since it was recorded. Large files that are sent are cut for ``lists``, if these are there: who has one will
    ask for the blocks of the next version.
    """

    def __init__(
        self, root: str, trash: str, find_paths: Callable[[Collection[BlobId]], Mapping[BlobId, bytes]]
    ) -> None:
        self.freezer: Freezer | None = None
        self.lists: BlockCache | None = None
        self.changed: set[bytes] = set()
        self._folder = FolderStore("", root, _Finder(find_paths))
        self._trash = ShelfStore("", trash)
        self._broken: set[tuple[BlobId, int, int]] = set()
        self._moving: set[BlobId] = set()

    def close(self) -> None:
        self._folder.close()

    def locate(self, items: Sequence[Item]) -> tuple[list[BlobId], list[BlobId]]:
        """Those that are in the folder, and those that are in its trash, as far as is known."""
        wanted = [_wanted(item) for item in items]
        self._folder.locate(wanted)
        return [w.blob for w in wanted if self._folder.has(w)], [w.blob for w in wanted if self._trash.has(w)]

    def send(self, items: Sequence[Item], put: Put) -> None:
        """Send the answer to each."""
        for item in items:
            if item.link:
                self._send_link(_wanted(item), put)
            else:
                self._send_file(item, put)

    def _send_link(self, wanted: Wanted, put: Put) -> None:
        for letter, target in self._targets(wanted):
            if target is not None and blob_id(target) == wanted.blob and wanted.size in (ANY_SIZE, len(target)):
                put(encode_answer(letter, len(target)) + target + STAYED)
                return
        put(GONE)

    def _targets(self, wanted: Wanted) -> Iterator[tuple[bytes, bytes | None]]:
        yield FROM_FOLDER, self._folder.read_link(wanted)
        self._folder.locate([wanted])
        yield FROM_FOLDER, self._folder.read_link(wanted._replace(hint=b""))
        yield FROM_TRASH, self._trash.read_link(wanted)

    def _send_file(self, item: Item, put: Put) -> None:
        wanted = _wanted(item)
        seen = False
        for letter, fd in self._candidates(wanted):
            try:
                seen |= letter == FROM_FOLDER
                size = os.fstat(fd).st_size
                if wanted.size not in (ANY_SIZE, size):  # it may have grown since it was found
                    continue
                if size > SMALL:
                    sent = self._send_large(wanted, fd, size, item.offset, letter, put)
                else:
                    sent = _send_small(wanted, fd, size, item.offset, letter, put)
                if sent:
                    return
            finally:
                os.close(fd)
        put(self.lacks(wanted, seen))

    def lacks(self, wanted: Wanted, seen: bool = False) -> bytes:
        """The letter for content that is not to be had; ``seen`` tells that there was a file that should have it."""
        if wanted.hint and (seen or self._is_there(wanted)):
            self.changed.add(wanted.hint)
            return CHANGED
        return GONE

    def _candidates(self, wanted: Wanted) -> Iterator[tuple[bytes, int]]:
        frozen = None if self.freezer is None else self.freezer.open(wanted.blob)
        if frozen is not None:
            yield FROM_FOLDER, frozen
        for fd in self._folder.open_each(wanted):
            yield FROM_FOLDER, fd
        if wanted.blob not in self._folder.located():
            # Not where the trees say: ask the index.
            self._folder.locate([wanted])
            if wanted.blob in self._folder.located():
                for fd in self._folder.open_each(wanted._replace(hint=b"")):
                    yield FROM_FOLDER, fd
        in_trash = self._trash.open_file(wanted)
        if in_trash is not None:
            yield FROM_TRASH, in_trash

    def _is_there(self, wanted: Wanted) -> bool:
        """Whether there is a file where it lay, of whatever size."""
        for fd in self._folder.open_each(wanted._replace(size=ANY_SIZE)):
            os.close(fd)
            return True
        return False

    def _is_to_be_cut(self, blob: BlobId) -> bool:
        return self.lists is not None and is_fast() and self.lists.get(blob) is None

    def _send_large(self, wanted: Wanted, fd: int, size: int, offset: int, letter: bytes, put: Put) -> bool:
        found = os.fstat(fd)
        this = wanted.blob, found.st_ino, found.st_ctime_ns
        if this in self._broken or offset > size:
            return False
        # Of any size there may be several, and what did not stay the same while it was sent may never do so: it is
        # verified before it is sent.
        if wanted.size == ANY_SIZE or wanted.blob in self._moving:
            hasher = blob_hasher(size)
            if not _hash_until(fd, hasher.update, size) or hasher.digest() != wanted.blob:
                return False
            os.lseek(fd, 0, os.SEEK_SET)
        hasher = blob_hasher(size)
        if not _hash_until(fd, hasher.update, offset):
            return False
        put(encode_answer(letter, size))
        left = size - offset
        with ExitStack() as held:
            cutting = held.enter_context(CuttingBeside()) if not offset and self._is_to_be_cut(wanted.blob) else None
            try:
                while left and (data := os.read(fd, min(CHUNK, left))):
                    if cutting is not None:
                        cutting.update(data)
                    hasher.update(data)
                    put(data)
                    left -= len(data)
            except OSError:
                pass
            good = not left and hasher.digest() == wanted.blob
            if good and cutting is not None and self.lists is not None and (blocks := cutting.blocks()) is not None:
                self.lists.put(wanted.blob, blocks)
        while left:  # as much as was said has to come
            put(_ZEROS[: min(CHUNK, left)])
            left -= min(CHUNK, left)
        if not good:
            self._broken.add(this)
            self._moving.add(wanted.blob)
            if wanted.hint and letter == FROM_FOLDER:
                self.changed.add(wanted.hint)
        put(STAYED if good else BROKEN)
        return True


def _send_small(wanted: Wanted, fd: int, size: int, offset: int, letter: bytes, put: Put) -> bool:
    data = read_exactly(fd, size)
    if data is None or blob_id(data) != wanted.blob or offset > size:
        return False
    put(encode_answer(letter, size) + data[offset:] + STAYED)
    return True


def _hash_until(fd: int, update: Callable[[bytes], None], count: int) -> bool:
    try:
        while count and (data := os.read(fd, min(CHUNK, count))):
            update(data)
            count -= len(data)
    except OSError:
        return False
    return not count


def _wanted(item: Item) -> Wanted:
    return Wanted(BlobId(item.id), LINK if item.link else FILE, ANY_SIZE if item.size is None else item.size, item.path)


class _Finder:
    def __init__(self, find_paths: Callable[[Collection[BlobId]], Mapping[BlobId, bytes]]) -> None:
        self.find_paths = find_paths
