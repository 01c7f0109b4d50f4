"""Large files that come by their blocks: of what is here, nothing is brought, and what was begun goes on.

Which blocks a file has is asked for where something here may have some of them: its old version, what is about to go,
what is in the trash, what has come of it before a link was cut. Lists of many files come by one request, and what is
missing of a file is on its way while the one before it is put together. Where anything turns out otherwise, the file
is brought whole.
"""

import os
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from typing import Final

from replican.chunking import LARGE
from replican.decisions.delta import Range
from replican.decisions.refining import Gap
from replican.effects.block_cache import BlockCache
from replican.effects.channel import CHUNK, Channel
from replican.effects.contents import Needed
from replican.effects.delta import Delta, name_on_stage
from replican.effects.faraway import Far
from replican.effects.staging import Stage
from replican.operations.bases import LocalFiles, opened_bases
from replican.operations.early import EarlyFiles
from replican.repository import Repository
from replican.values.blocks import BlockList
from replican.values.ids import BlobId
from replican.values.messages import BLOCKS, FEW, SUMS, Item, WantBlocks, WantRanges
from replican.values.names import group_key
from replican.values.paths import join, name_of, parent_of
from replican.values.progress import Progress
from replican.values.streams import CHANGED, FROM_TRASH, GONE, read_end, read_listed, read_ranges_begin
from replican.values.sums import SUM_SIZE, count_of
from replican.values.trees import FILE

_BATCH_FILES: Final = 64
_BATCH_BYTES: Final = 1 << 30
_AHEAD: Final = 2
_WINDOW: Final = 4
_TRIES: Final = 3
_IN_VAIN: Final = 1 << 30
"""Of how many bytes of files it is asked for lists at most where their names do not speak for it."""
_LIKELY: Final = 8
_WORTH_ASKING: Final = 512 << 10
"""How many bytes of edited blocks may be here where fine sums are asked for, at least: it takes a round trip more."""


class _OtherwiseError(Exception):
    """A file cannot be put together now."""


class BlockPatcher:
    """Brings large files for ``repo`` over a ``channel``; ``is_able`` tells what the other end can do. What
    came ``early`` need not be asked for. A :class:`~replican.effects.faraway.Patcher`."""

    def __init__(
        self,
        repo: Repository,
        channel: Callable[[], Channel],
        is_able: Callable[[str], bool],
        early: EarlyFiles | None = None,
    ) -> None:
        self._early = early
        self.came_early: Collection[BlobId] = () if early is None else early.came
        self._repo = repo
        self._channel = channel
        self._is_able = is_able

    def bring(
        self, far: Far, wanted: Sequence[Needed], stage: Stage, progress: Progress, going: Sequence[bytes]
    ) -> list[Needed]:
        if self._early is not None:
            wanted = self._early.land(far, list(wanted), stage, progress, self._count)
        large = [pair for pair in wanted if pair[0].kind == FILE and pair[0].size > LARGE]
        if not large:
            return list(wanted)
        with BlockCache(self._repo.block_cache_path) as cache, LocalFiles(self._repo, cache) as files:
            near = _Near(files, stage, going, frozenset(pair[1].blob for pair in wanted))
            chosen = [pair for pair in large if near.may_have_some(pair)]
            if not chosen or not self._is_able(BLOCKS):
                return list(wanted)
            settled = _Pull(self._channel(), far, near, progress, self._is_able(SUMS)).bring(chosen)
        return [pair for pair in wanted if pair[1].blob not in settled]

    def _count(self, spared: int) -> None:
        channel = self._channel()
        channel.files += 1
        channel.saved += spared


class _Near:
    """What is here that a file may have blocks in common with."""

    def __init__(self, files: LocalFiles, stage: Stage, going: Sequence[bytes], wanted: frozenset[BlobId]) -> None:
        self.files = files
        self.stage = stage
        self._going = going
        self._parts = stage.parts()
        hexes = {blob.hex().encode() for blob in wanted}
        self._other_parts = [name for name in self._parts if name.partition(b"-")[2] not in hexes]
        self._going_names = frozenset(map(name_of, going))
        self._knows_some: bool | None = None
        self._in_vain = _IN_VAIN

    def begun(self, blob: BlobId) -> bytes:
        """The name on the stage of what has come of it from its beginning on."""
        return b"part-" + blob.hex().encode()

    def may_have_some(self, pair: Needed) -> bool:
        """Whether it is worth asking for the block list of a file."""
        entry, item = pair
        path = item.hint
        if self.begun(item.blob) in self._parts or name_on_stage(item.blob) in self._parts:
            return True
        if any(map(self.files.is_large, self._names(path))) or self.files.trash_of(path):
            return True
        if name_of(path) in self._going_names:
            return True
        if self._knows_some is None:
            self._knows_some = bool(self._parts or self._going or self.files.cache.blobs())
        if not self._knows_some or entry.size > self._in_vain:
            return False
        self._in_vain -= entry.size
        return True

    @staticmethod
    def _names(path: bytes) -> Iterator[bytes]:
        """The path itself; for that of a conflict copy, also the name that it is a copy of."""
        yield path
        key = group_key(name_of(path))
        if key != name_of(path):
            yield join(parent_of(path), key)

    def likely(self, path: bytes) -> list[bytes]:
        """Where else to look: what is about to go comes in the order in which its name is like that of ``path``."""
        name = name_of(path)
        ending = name.rpartition(b".")[2]

        def unlikeness(other: bytes) -> tuple[bool, bool]:
            return name_of(other) != name, name_of(other).rpartition(b".")[2] != ending

        return [*self._names(path)][1:] + sorted(self._going, key=unlikeness)[:_LIKELY]

    def other_parts(self) -> list[bytes]:
        """Parts of files that are not wanted (any more), by their names on the stage."""
        return self._other_parts[:_LIKELY]

    def drop_parts(self, names: Sequence[bytes]) -> None:
        """These have been of use, and are in a whole file now."""
        for name in names:
            self.stage.remove(name)
        self._other_parts = [name for name in self._other_parts if name not in names]

    def warm(self, pairs: Sequence[Needed]) -> None:
        """Cut what will be needed, while the other end does the same."""
        for _, item in pairs:
            for path in (item.hint, *self.likely(item.hint)[:1]):
                basis = self.files.at(path)
                if basis is not None:
                    os.close(basis.fd)
                    break


class _Patch:
    """One file that is put together: what of it is missing has been asked for. Close it."""

    def __init__(self, near: _Near, pair: Needed, blocks: BlockList) -> None:
        self.pair = pair
        self.blocks = blocks
        entry, item = pair
        self.parts = near.other_parts()
        with ExitStack() as opened:
            bases = opened.enter_context(
                opened_bases(near.files, blocks, item.hint, near.likely(item.hint), self.parts)
            )
            delta = Delta(near.stage.fd, item.blob, entry.size, blocks, bases, near.begun(item.blob))
            self.delta: Delta = opened.enter_context(delta)
            self._opened = opened.pop_all()
        self.refining: list[Gap] = []
        self.sent: deque[WantRanges] = deque()
        self.letter = b""
        self.has_come = self.delta.has_begun
        self._prepare()

    def _prepare(self) -> None:
        """What is to be asked for."""
        missing = self.delta.missing
        self.spared = self.blocks.size - sum([each.length for each in missing])
        self.unsent = deque(self._want(missing[at : at + FEW]) for at in range(0, len(missing), FEW))

    def _want(self, ranges: Sequence[Range], sums: bool = False) -> WantRanges:
        item = self.pair[1]
        return WantRanges(item.blob, self.blocks.size, [(at, length) for at, length in ranges], item.hint, sums)

    def ask_for_sums(self, channel: Channel) -> bool:
        """Ask for fine sums of what was edited, if that is likely to be worth it."""
        gaps = self.delta.gaps[:FEW]
        if sum([gap.promise for gap in gaps]) >= _WORTH_ASKING:
            self.refining = gaps
            channel.send(self._want([gap.range for gap in gaps], sums=True))
        return bool(self.refining)

    def refine(self, channel: Channel) -> None:
        """The sums come: by them, less has to. Without them, whole blocks are asked for."""
        reader = channel.stream()
        if read_ranges_begin(reader) not in (GONE, CHANGED):
            sums = reader.take(SUM_SIZE * sum([count_of(gap.range.length) for gap in self.refining]))
            if read_end(reader):
                self.delta.refine(self.refining, sums)
                self._prepare()
        reader.finish()
        self.refining = []

    def close(self) -> None:
        self._opened.close()

    def ask(self, channel: Channel) -> None:
        """Ask for as much as may be on its way."""
        while self.unsent and len(self.sent) < _WINDOW:
            self.sent.append(self.unsent.popleft())
            channel.send(self.sent[-1])

    def fetch(self, channel: Channel, ranges: Sequence[Range]) -> Iterator[bytes]:
        """What has been asked for, as it comes."""
        if not self.sent or ranges != self.delta.missing:
            raise _OtherwiseError  # a basis is not what it was: what it lacks is asked for the next time
        while self.sent:
            yield from self._answer(channel)
            self.ask(channel)

    def _answer(self, channel: Channel) -> Iterator[bytes]:
        message = self.sent.popleft()
        reader = channel.stream()
        self.letter = read_ranges_begin(reader)
        is_good = self.letter not in (GONE, CHANGED)
        if is_good:
            left = sum([length for _, length in message.ranges])
            while left:
                data = reader.some(min(CHUNK, left))
                left -= len(data)
                self.has_come = True
                yield data
            is_good = read_end(reader)
        reader.finish()
        if not is_good:
            self.unsent.clear()
            letter = self.letter
            while self.sent:
                for _ in self._answer(channel):
                    pass
            self.letter = letter
            raise _OtherwiseError


class _Pull:
    """Asks for lists and ranges, and takes the answers, which come in that order."""

    def __init__(self, channel: Channel, far: Far, near: _Near, progress: Progress, has_sums: bool) -> None:
        self._channel = channel
        self._has_sums = has_sums
        self._far = far
        self._near = near
        self._progress = progress
        self._line: deque[list[Needed] | _Patch] = deque()
        self._listed: deque[tuple[Needed, BlockList]] = deque()
        self._tries: dict[BlobId, int] = {}
        self._settled: set[BlobId] = set()

    def bring(self, wanted: Sequence[Needed]) -> set[BlobId]:
        """Bring these; those that have come, or are not to be had."""
        batches = deque(_batches(wanted))
        try:
            while batches or self._line or self._listed:
                if batches and not self._listed and not any(isinstance(each, list) for each in self._line):
                    self._ask_for_lists(batches.popleft())
                while self._listed and self._may_begin():
                    self._begin(*self._listed.popleft())
                if self._line:
                    first = self._line.popleft()
                    if isinstance(first, list):
                        self._take_lists(first)
                    elif first.refining:
                        self._refine(first)
                    else:
                        self._put_together(first)
        finally:
            for each in self._line:
                if isinstance(each, _Patch):
                    each.close()
        return self._settled

    def _ask_for_lists(self, batch: list[Needed]) -> None:
        self._channel.send(WantBlocks([Item(item.blob, size=item.size, path=item.hint) for _, item in batch]))
        if not self._line:
            self._near.warm(batch)
        self._line.append(batch)

    def _take_lists(self, batch: list[Needed]) -> None:
        reader = self._channel.stream()
        for pair in batch:
            blocks = read_listed(reader, pair[0].size)
            if isinstance(blocks, BlockList):
                self._listed.append((pair, blocks))
            elif blocks == CHANGED:
                self._note_changed(pair)
        reader.finish()

    def _may_begin(self) -> bool:
        """Whether another file may be asked for now; no other stands between the requests of one."""
        patches = [each for each in self._line if isinstance(each, _Patch)]
        return len(patches) < _AHEAD and not any(each.unsent or each.refining for each in patches)

    def _begin(self, pair: Needed, blocks: BlockList) -> None:
        patch = _Patch(self._near, pair, blocks)
        if self._has_sums and pair[1].blob not in self._tries and patch.ask_for_sums(self._channel):
            self._line.append(patch)
        else:
            self._ask_for_ranges(patch)

    def _refine(self, patch: _Patch) -> None:
        try:
            patch.refine(self._channel)
        except BaseException:
            patch.close()
            raise
        self._ask_for_ranges(patch)

    def _ask_for_ranges(self, patch: _Patch) -> None:
        if not patch.unsent:
            self._put_together(patch)
            return
        self._line.append(patch)
        patch.ask(self._channel)

    def _put_together(self, patch: _Patch) -> None:
        _, item = patch.pair
        self._tries[item.blob] = self._tries.get(item.blob, 0) + 1
        try:
            is_whole = patch.delta.assemble(lambda ranges: patch.fetch(self._channel, ranges), self._progress)
        except _OtherwiseError:
            if patch.letter in (CHANGED, GONE) and not patch.has_come:
                self._near.stage.remove(patch.delta.name)  # all that it has is from here
            if patch.letter == CHANGED:
                self._note_changed(patch.pair)
            elif patch.letter != GONE and self._tries[item.blob] < _TRIES:
                self._listed.append((patch.pair, patch.blocks))
        else:
            if is_whole:
                self._land(patch)
        finally:
            patch.close()

    def _note_changed(self, pair: Needed) -> None:
        self._far.note(pair[1], CHANGED)
        self._settled.add(pair[1].blob)

    def _land(self, patch: _Patch) -> None:
        entry, item = patch.pair
        stage, name = self._near.stage, entry.id.hex().encode()
        os.rename(patch.delta.name, name, src_dir_fd=stage.fd, dst_dir_fd=stage.fd)
        stage.note_landed(name, (self._far.trash if patch.letter == FROM_TRASH else self._far.folder).name)
        blocks = patch.delta.blocks
        if blocks is not None:
            self._near.files.cache.put(item.blob, blocks)
        self._near.drop_parts(patch.parts)
        self._settled.add(item.blob)
        self._channel.files += 1
        self._channel.saved += patch.spared
        self._progress.advance(1)


def _batches(wanted: Sequence[Needed]) -> Iterator[list[Needed]]:
    batch: list[Needed] = []
    size = 0
    for pair in wanted:
        if batch and (len(batch) == _BATCH_FILES or size + pair[0].size > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(pair)
        size += pair[0].size
    if batch:
        yield batch
