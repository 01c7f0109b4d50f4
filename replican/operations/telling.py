"""What a folder tells while it records, for who goes ahead with it: see :mod:`replican.operations.foretold`.

First some of the directories that its scan finds changed, then the tree that will be recorded, then that it is. Each is
told before what comes next is done, which may come to nothing: a gate may be closed, or a disk full.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from replican.effects.completing import Glimpse
from replican.effects.mirror import Copied, Copying
from replican.effects.scan import Scan
from replican.values.ids import CheckpointId, TreeId

_AT_ONCE: Final = 50
_MOST_BYTES: Final = 8 << 20  # of listings: who hears of them has to keep them


class Glimpses(NamedTuple):
    """Some of the directories that were found changed, in no order; neither all, nor is all of it recorded."""

    directories: Sequence[Glimpse]


class News(NamedTuple):
    """What is about to be recorded by a folder that held what its log says: its tree ``before`` and ``after``.

    ``payloads`` are all trees of the new one that the log lacks, those below first; ``copied`` is what was copied to a
    mirror.
    """

    before: TreeId
    after: TreeId
    payloads: Mapping[TreeId, bytes]
    copied: Sequence[Copied] = ()


class Made(NamedTuple):
    """It is recorded, and durable: the head is at this checkpoint. Only the index is not told yet."""

    checkpoint: CheckpointId


Told = Glimpses | News | Made
Tell = Callable[[Told], None]


class Telling:
    """Tells of one scan of a folder that held the tree ``before``; what it copies to a ``mirror`` with the news."""

    def __init__(self, tell: Tell, before: TreeId, mirror: Copying | None) -> None:
        self._tell = tell
        self._before = before
        self._mirror = mirror
        self._seen: list[Glimpse] = []
        self._began = False  # few are not worth it
        self._left = _MOST_BYTES

    def see(self, glimpse: Glimpse) -> None:
        """A directory was found changed."""
        self._left -= len(glimpse.payload)
        if self._left < 0:
            return
        self._seen.append(glimpse)
        if len(self._seen) == _AT_ONCE:
            self._tell_seen()
            self._began = True

    def _tell_seen(self) -> None:
        self._tell(Glimpses(self._seen))
        self._seen = []

    def scanned(self, seen: Scan) -> None:
        """All has been looked at."""
        if self._began and self._seen:
            self._tell_seen()
        if seen.root != self._before:
            copied = () if self._mirror is None else self._mirror.copied
            self._tell(News(self._before, seen.root, seen.payloads, copied))

    def made(self, checkpoint: CheckpointId) -> None:
        """The head has moved."""
        self._tell(Made(checkpoint))
