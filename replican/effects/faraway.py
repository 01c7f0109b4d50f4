"""Content that lies at the far end of a link: asked for in large requests, verified as it comes, laid on the stage.

Two requests are on their way at any time, so that the far end never waits for the next one. What has come lies on
the stage by its id: after a link was cut, the next run does not ask for it again, and of a large file asks for the
rest only.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol, TypeVar

from replican.effects.channel import CHUNK, Channel
from replican.effects.contents import ANY_SIZE, Needed, Wanted
from replican.effects.copies import receive_copies
from replican.effects.mirror import Mirror
from replican.effects.staging import SMALL, Stage, write_all
from replican.values.errors import ProtocolError, RemoteError
from replican.values.ids import BlobId, blob_hasher, blob_id
from replican.values.messages import AT_ONCE, COPIES, Directory, Item, Locate, Located, WantContents, WantCopies
from replican.values.progress import Progress
from replican.values.streams import CHANGED, FROM_TRASH, GONE, StreamReader, read_answer, read_end, read_small
from replican.values.trees import LINK, Entry

_AHEAD: Final = 2
_REQUEST_BYTES: Final = 1 << 17
_TRIES: Final = 3


class Patcher(Protocol):
    """Brings large files of which there is a part here. What ``came_early`` is here already, and lands when it is to be
    brought."""

    came_early: Collection[BlobId]

    def bring(
        self, far: "Far", wanted: Sequence[Needed], stage: Stage, progress: Progress, going: Sequence[bytes]
    ) -> list[Needed]:
        """Have what it can on the stage; the rest of ``wanted``, which is to be asked for whole. Raises what the link
        does, and ``OSError`` where the stage cannot be written."""


class Far:
    """What lies at the far end of one link: its folder (:attr:`folder`) and its trash (:attr:`trash`), as stores.

    ``channel`` makes the link, if there is none yet; raises ``RemoteError``. What goes wrong with the link is told to
    ``failed``, which may raise it: if it does not, there is just no content. ``is_able`` tells what the other end can
    do, by its word. ``changed`` are the paths of what changed while it was asked for. With a ``patcher``, large files
    are given to it first.
    """

    def __init__(
        self,
        name: str,
        channel: Callable[[], Channel],
        failed: Callable[[RemoteError], None],
        is_able: Callable[[str], bool],
        patcher: Patcher | None = None,
    ) -> None:
        self._patcher = patcher
        self.came_early: Collection[BlobId] = () if patcher is None else patcher.came_early
        self._channel = channel
        self._failed = failed
        self._is_able = is_able
        self._declined: set[BlobId] = set()
        self._seen: set[BlobId] = set()
        self._spared = 0
        self._links: dict[BlobId, tuple[bytes, bool]] = {}
        self._asked: dict[BlobId, Wanted] = {}
        self.folder_has: set[BlobId] = set()
        self.trash_has: set[BlobId] = set()
        self.is_reached = True
        self.changed: set[bytes] = set()
        self.folder = FarStore(self, name, self.folder_has)
        self.trash = FarStore(self, f"the trash of {name}", self.trash_has)

    # -- bringing content ---------------------------------------------------------------------------------------

    def bring(self, wanted: Sequence[Needed], stage: Stage, progress: Progress, going: Sequence[bytes] = ()) -> None:
        """Have all of ``wanted`` on the stage that is to be had; targets of links are kept in memory. At the paths
        ``going`` lie files that are about to go."""
        once = _each_once(wanted)
        left = [pair for pair in once if self._is_lacking(pair, stage)]
        self._note_landed(once, left)
        if not left or not self.is_reached:
            return
        try:
            channel = self._channel()
            size = sum([entry.size for entry, _ in left])
            progress.begin("receiving", len(left), size, wire=lambda: channel.traffic)
            if self._patcher is not None:
                left = self._patcher.bring(self, left, stage, progress, going)
            for _ in range(_TRIES):
                left = self._bring(left, stage, progress)
                if not left:
                    break
            self._declined.update([item.blob for _, item in left])
            self.changed.update([item.hint for _, item in left])  # each time that it was sent
        except RemoteError as error:
            self.is_reached = False
            self._failed(error)
        except OSError:
            self._channel().close()  # in the midst of what was asked for
            raise
        finally:
            progress.end()

    def bring_copies(
        self, wanted: Sequence[Directory], mirror: Mirror, progress: Progress, totals: tuple[int, int]
    ) -> None:
        """Have small files of these directories in a mirror, if the other end can send them so."""
        if not wanted or not self.is_reached:
            return
        try:
            channel = self._channel()
            if self._is_able(COPIES):
                receive_copies(channel, mirror, progress, self._ask_for_copies(wanted, channel), totals)
        except RemoteError as error:
            self.is_reached = False
            self._failed(error)

    @staticmethod
    def _ask_for_copies(wanted: Sequence[Directory], channel: Channel) -> Iterator[None]:
        batches = list(_batches(wanted, lambda each: len(each.path) + 100 + 5 * len(each.left_out)))
        sent = 0
        for number in range(len(batches)):
            while sent < min(len(batches), number + _AHEAD):
                channel.send(WantCopies(batches[sent]))
                sent += 1
            yield

    def _note_landed(self, wanted: Sequence[Needed], left: Sequence[Needed]) -> None:
        """What an earlier run has laid on the stage need not come, and is counted once."""
        lacking = {item.blob for _, item in left} | self._seen | self._declined
        self._spared += sum([entry.size for entry, item in wanted if item.blob not in lacking])
        self._seen.update([item.blob for _, item in wanted])

    def _is_lacking(self, pair: Needed, stage: Stage) -> bool:
        entry, item = pair
        if not entry.size or item.blob in self._declined:
            return False
        return item.blob not in self._links if entry.kind == LINK else not stage.find_landed(entry)

    def _bring(self, wanted: Sequence[Needed], stage: Stage, progress: Progress) -> list[Needed]:
        """Ask once for each; those that did not stay the same until their end."""
        arrival = _Arrival(self, stage, progress)
        asked = [_Asked(pair, arrival.offset(pair)) for pair in wanted]
        self.count(self._channel())
        again = [answer.asked.pair for answer in self._answers(asked) if not arrival.take(answer)]
        self._channel().files += arrival.count
        return again

    def _answers(self, wanted: Sequence["_Asked"]) -> Iterator["_Arriving"]:
        channel = self._channel()
        batches = list(_batches(wanted, _length))
        sent = 0
        for number, batch in enumerate(batches):
            while sent < min(len(batches), number + _AHEAD):
                channel.send(WantContents([_item(asked) for asked in batches[sent]]))
                sent += 1
            reader = channel.stream()
            yield from (_Arriving(asked, reader) for asked in batch)
            reader.finish()

    def spare(self, size: int) -> None:
        """So many bytes of content were wanted, and need not come: they are here already."""
        self._spared += size

    def count(self, channel: Channel) -> None:
        """Have a channel know what has been spared."""
        channel.saved += self._spared
        self._spared = 0

    def note(self, item: Wanted, letter: bytes) -> None:
        """What was answered is not there, or not any more."""
        self._declined.add(item.blob)
        if letter == CHANGED:
            self.changed.add(item.hint)

    def keep_link(self, blob: BlobId, target: bytes, from_trash: bool) -> None:
        self._links[blob] = target, from_trash

    def link(self, blob: BlobId, from_trash: bool) -> bytes | None:
        """The target of a link that was brought from there."""
        target, origin = self._links.get(blob, (None, False))
        return target if origin == from_trash else None

    # -- where content is ---------------------------------------------------------------------------------------

    def ask_for(self, wanted: Iterable[Wanted]) -> None:
        """These may be asked for: all of them together, when it is."""
        for item in wanted:
            if item.blob not in self._declined:
                self._asked[item.blob] = item

    def look(self) -> None:
        """Find out where what may be asked for is, as far as is known over there."""
        items, self._asked = list(self._asked.values()), {}
        if not items or not self.is_reached:
            return
        try:
            channel = self._channel()
            asked_for = [_Asked((_entry_of(item), item._replace(hint=b"")), 0) for item in items]
            for batch in _batches(asked_for, _length):
                channel.send(Locate([_item(asked) for asked in batch]))
                answer = channel.receive()
                if not isinstance(answer, Located):
                    raise ProtocolError("it answered with something else than where content is")
                known = {asked.pair[1].blob for asked in batch}
                self.folder_has.update(known.intersection(map(BlobId, answer.folder)))
                self.trash_has.update(known.intersection(map(BlobId, answer.trash)))
        except RemoteError as error:
            self.is_reached = False
            self._failed(error)


class FarStore:
    """One of the two stores at the far end."""

    is_far = True

    def __init__(self, far: Far, name: str, known: set[BlobId]) -> None:
        self._far = far
        self.came_early = far.came_early
        self._name = name
        self._known = known

    @property
    def name(self) -> str:
        return self._name

    @property
    def is_reached(self) -> bool:
        return self._far.is_reached

    def lies_beside(self, directory: int) -> bool:
        return False

    def spare(self, size: int) -> None:
        self._far.spare(size)

    def bring(self, wanted: Sequence[Needed], stage: Stage, progress: Progress, going: Sequence[bytes] = ()) -> None:
        """Both stores at once: the second one that is asked finds that it has been done."""
        self._far.bring(wanted, stage, progress, going)

    def bring_copies(
        self, wanted: Sequence[Directory], mirror: Mirror, progress: Progress, totals: tuple[int, int]
    ) -> None:
        self._far.bring_copies(wanted, mirror, progress, totals)

    def has(self, wanted: Wanted) -> bool:
        self._far.look()
        return wanted.blob in self._known

    def locate(self, wanted: Collection[Wanted]) -> None:
        self._far.ask_for(wanted)

    def located(self) -> Collection[BlobId]:
        self._far.look()
        return self._known

    def open_file(self, wanted: Wanted) -> int | None:
        return None

    def read_link(self, wanted: Wanted) -> bytes | None:
        return self._far.link(wanted.blob, self is self._far.trash)

    def open_directory(self, path: bytes) -> int | None:
        return None

    def close(self) -> None:
        pass


# -- one content -------------------------------------------------------------------------------------------------


class _Asked(NamedTuple):
    pair: Needed
    offset: int


class _Arriving(NamedTuple):
    asked: _Asked
    reader: StreamReader


class _Arrival:
    """Takes contents from a stream and lays them down."""

    def __init__(self, far: Far, stage: Stage, progress: Progress) -> None:
        self._far = far
        self._stage = stage
        self._progress = progress
        self.count = 0

    def offset(self, pair: Needed) -> int:
        """How much of a large file has come already, in bytes."""
        entry, _ = pair
        if entry.size <= SMALL or entry.kind == LINK:
            return 0
        fd = self._stage.open_part(entry)
        try:
            size = os.fstat(fd).st_size
            if size <= entry.size:
                return size
            os.ftruncate(fd, 0)
            return 0
        finally:
            os.close(fd)

    def take(self, arriving: _Arriving) -> bool:
        """Take one; False where it did not stay what it was, and is to be asked for again."""
        (entry, item), offset = arriving.asked
        reader = arriving.reader
        large = entry.size > SMALL and entry.kind != LINK
        content: bytes | None = None
        if large:
            letter = read_answer(reader, entry.size, offset, entry.size).letter
        else:
            letter, content = read_small(reader, entry.size)
        if letter in (GONE, CHANGED):
            self._far.note(item, letter)
            return True
        source = (self._far.trash if letter == FROM_TRASH else self._far.folder).name
        if large:
            return self._take_large(entry, reader, offset, source)
        if content is None or blob_id(content) != entry.id:
            return False
        if entry.kind == LINK:
            self._far.keep_link(item.blob, content, letter == FROM_TRASH)
        else:
            self._stage.land(entry, content, source)
        self.count += 1
        self._progress.advance(1, entry.size)
        return True

    def _take_large(self, entry: Entry, reader: StreamReader, offset: int, source: str) -> bool:
        hasher = blob_hasher(entry.size)
        fd = self._stage.open_part(entry)
        try:
            left = offset
            while left and (data := os.read(fd, min(CHUNK, left))):
                hasher.update(data)
                left -= len(data)
            self._progress.advance(0, offset)
            left = entry.size - offset
            while left:
                data = reader.some(min(CHUNK, left))
                hasher.update(data)
                write_all(fd, data)
                left -= len(data)
                self._progress.advance(0, len(data))
        finally:
            os.close(fd)
        good = read_end(reader) and hasher.digest() == entry.id
        self._stage.end_part(entry, source if good else None)
        if good:
            self.count += 1
            self._far.spare(offset)
            self._progress.advance(1)
        return good


def _each_once(wanted: Sequence[Needed]) -> list[Needed]:
    return list({(entry.kind, entry.id): (entry, item) for entry, item in reversed(wanted)}.values())[::-1]


_Each = TypeVar("_Each")


def _length(asked: _Asked) -> int:
    return len(asked.pair[1].hint) + 100


def _batches(wanted: Sequence[_Each], length_of: Callable[[_Each], int]) -> Iterator[list[_Each]]:
    batch: list[_Each] = []
    length = 0
    for asked in wanted:
        more = length_of(asked)
        if batch and (len(batch) == AT_ONCE or length + more > _REQUEST_BYTES):
            yield batch
            batch, length = [], 0
        batch.append(asked)
        length += more
    if batch:
        yield batch


def _item(asked: _Asked) -> Item:
    _, (blob, kind, size, hint) = asked.pair
    return Item(blob, kind == LINK, None if size == ANY_SIZE else size, asked.offset, hint)


def _entry_of(item: Wanted) -> Entry:
    return Entry(b"", item.kind, 0, item.size, 0, item.blob)
