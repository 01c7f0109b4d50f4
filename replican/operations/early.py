"""Early files from a remote at the far end of a link: edited and copied files that come while it records them.

Whoever pulls asks for them with the request to record. What came is put together when the answer is waited for, beside
the reading over there, and lies on the stage when the merge wants it; whatever else the merge wants is asked for as
ever.
"""

import os
from collections.abc import Callable, Collection

from replican.effects.block_cache import BlockCache
from replican.effects.contents import Needed
from replican.effects.earlytaking import EarlyTaker, OldVersion
from replican.effects.faraway import Far
from replican.effects.staging import Stage
from replican.operations.bases import LocalFiles
from replican.operations.remotes import Refreshed
from replican.repository import Repository
from replican.values.ids import BlobId
from replican.values.progress import Progress
from replican.values.streams import StreamReader
from replican.values.trees import FILE


class EarlyFiles:
    """Those that have come for ``repo``. Close it: what nobody wanted goes."""

    def __init__(self, repo: Repository) -> None:
        self._repo = repo
        self._taker: EarlyTaker | None = None

    def close(self) -> None:
        if self._taker is not None:
            self._taker.close()
            self._taker = None

    @property
    def came(self) -> Collection[BlobId]:
        """What has come and has not landed."""
        return () if self._taker is None else self._taker.came

    def take(self, reader: StreamReader) -> None:
        """Take a stream of them. Raises ``ProtocolError``, and what the reader raises."""
        self.close()
        with BlockCache(self._repo.block_cache_path) as cache, LocalFiles(self._repo, cache) as files:

            def find(old: BlobId) -> OldVersion | None:
                fd = files.opened(old)
                return None if fd is None else OldVersion(fd, cache.get(old))

            self._taker = EarlyTaker(f"{self._repo.dotdir}/stage", find)
            self._taker.take(reader, self._repo.progress)
            for old in self._taker.abandoned:
                # What only seemed to be a copy is asked for by its blocks, if those of what it is like are known.
                basis = files.in_folder(old)
                if basis is not None:
                    os.close(basis.fd)

    def land(
        self, far: Far, wanted: list[Needed], stage: Stage, progress: Progress, count: Callable[[int], None]
    ) -> list[Needed]:
        """Lay on the stage what of ``wanted`` has come; what has not. ``count`` is told, for each that has, how many
        of its bytes did not have to."""
        if self._taker is None:
            return wanted
        left: list[Needed] = []
        for pair in wanted:
            entry, item = pair
            name = item.blob.hex().encode()
            found = None if entry.kind != FILE else self._taker.land(item.blob, stage.fd, name)
            if found is None:
                left.append(pair)
                continue
            stage.note_landed(name, far.folder.name)
            if found.blocks is not None:
                with BlockCache(self._repo.block_cache_path) as cache:
                    cache.put(item.blob, found.blocks)
            count(entry.size - found.new)
            progress.advance(1, entry.size)
        return left


class EarlyRecording:
    """An answer to a request to record, with what comes before it. An
    :class:`~replican.operations.remotes.Awaited`."""

    def __init__(self, before: Callable[[], None], answer: Callable[[], Refreshed]) -> None:
        self._before = before
        self._answer = answer

    def told(self) -> None:
        return None

    def result(self) -> Refreshed:
        self._before()
        return self._answer()
