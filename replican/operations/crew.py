"""The crew of a watch: one courier for each remote, begun again where one falls."""

import logging
import time
from collections.abc import Callable, Collection, Iterator
from random import Random
from typing import Final

from replican.decisions.pace import Bounds, retry_after
from replican.effects.companion import Companion, Fallen
from replican.operations.courier import Carry, courier
from replican.repository import Repository
from replican.values import events

_LOG: Final = logging.getLogger(__name__)
_END_SECONDS: Final = 0.5
"""How long a courier has to leave in order what it has in hand."""


class Crew:
    """The couriers of the folder that ``repo`` is of; ``tell`` hears what they have to say. ``only`` are the remotes
    that have one, if not all."""

    def __init__(
        self,
        repo: Repository,
        bounds: Bounds,
        tell: Callable[[events.Event], None],
        random: Random,
        only: Collection[str],
    ) -> None:
        self._repo = repo
        self.bounds = bounds  # for those that are begun from now on
        self._tell = tell
        self._random = random
        self._only = only
        self._couriers: dict[str, Companion] = {}
        self._fallen: dict[str, tuple[int, float]] = {}

    @property
    def remotes(self) -> tuple[str, ...]:
        """The remotes that have one, by the config as it is now."""
        return tuple([name for name in self._repo.config.remotes if not self._only or name in self._only])

    @property
    def descriptors(self) -> list[int]:
        """What can be waited for."""
        return [each.fileno() for each in self._couriers.values()]

    @property
    def due(self) -> float:
        """When one that fell is to be begun again, in s of the monotonic clock."""
        return min(self._waiting(), default=float("inf"))

    def _waiting(self) -> Iterator[float]:
        return (at for name, (_, at) in self._fallen.items() if name not in self._couriers)

    def hear(self) -> None:
        """Pass on what they have said."""
        for name, companion in self._couriers.items():
            for message in companion.receive():
                if isinstance(message, events.Event):
                    self._tell(message)
                elif isinstance(message, Fallen):
                    _LOG.error("%s: %s", name, message.traceback)
                    self._tell(events.Error(time.time_ns(), name, "bug", f"this is a bug: {message.message}", None))

    def send(self, *, anew: bool = False) -> None:
        """The folder's head has moved, or (``anew``) nothing that was known of remotes may be so any more."""
        for each in self._couriers.values():
            each.send(Carry(anew))

    def keep(self) -> None:
        """Begin those that are missing: also one that fell, later and later."""
        now = time.monotonic()
        for name in [name for name, companion in self._couriers.items() if companion.ended]:
            self._dismiss([self._couriers.pop(name)])
            failures = self._fallen.get(name, (0, 0.0))[0] + 1
            seconds = retry_after(failures, self._random.random())
            self._fallen[name] = failures, now + seconds
            why = "the process that works with it has ended; it is begun again"
            self._tell(events.Error(time.time_ns(), name, "worker", why, None))
        for name in self.remotes:
            if name in self._couriers or self._fallen.get(name, (0, 0.0))[1] > now:
                continue
            self._repo.close_index()  # nothing that is open here may be used over there
            work = courier(self._repo.root, name, self.bounds, self._random.getrandbits(32))
            self._couriers[name] = Companion(work)

    def dismiss(self) -> None:
        """End them all; what one has in hand is left in order, or cleared up by whoever comes next."""
        self._dismiss(list(self._couriers.values()))
        self._couriers.clear()
        self._fallen.clear()

    def _dismiss(self, companions: list[Companion]) -> None:
        for each in companions:
            each.interrupt()
        end = time.monotonic() + _END_SECONDS
        for each in companions:
            each.wait(max(0.0, end - time.monotonic()))
            each.kill()
