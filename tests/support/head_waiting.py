"""Waiting until the head of a remote moves, for tests, which have one thread."""

import time
from collections.abc import Collection, Sequence
from typing import NamedTuple

from replican.effects.headwatch import wait_for_any
from replican.operations.heads import Lookout, Moved
from replican.values.errors import RemoteError


class Heard(NamedTuple):
    """What a wait came to: ``moved`` heads, ``lost`` remotes by name, and those of the other descriptors that are
    ``ready``. Nothing of all that, if the time was over."""

    moved: list[Moved]
    lost: dict[str, RemoteError]
    ready: set[int]

    def __bool__(self) -> bool:
        return bool(self.moved or self.lost or self.ready)


def wait_for_heads(lookouts: Sequence[Lookout], seconds: float | None = None, also: Collection[int] = ()) -> Heard:
    """Wait until the head of any remote moves, or a remote is lost, or one of the descriptors in ``also`` can be read;
    ``seconds`` at most."""
    until = None if seconds is None else time.monotonic() + seconds
    while True:
        heard = Heard([], {}, set())
        for each in lookouts:
            try:
                news = each.news()
            except RemoteError as error:
                heard.lost[each.name] = error
            else:
                heard.moved.extend([] if news is None else [news])
        left = None if until is None else max(0.0, until - time.monotonic())
        if heard or left == 0:
            heard.ready.update(wait_for_any(also, 0))
            return heard
        waits = [each.due for each in lookouts] + ([] if left is None else [left])
        descriptors = [fd for each in lookouts if (fd := each.descriptor) is not None]
        ready = wait_for_any({*descriptors, *also}, min(waits, default=None))
        heard.ready.update(ready.intersection(also))
        if heard:
            return heard
