"""The herald of a watch: has hooks run beside what they are told of, so that a slow one delays nothing.

The process that works notes what is to be told, and another one, begun when there first is something, runs the hooks,
one after the other, in the order in which things happened. A hook that decides is asked where the decision is.
"""

import logging
import select
import time
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from replican.effects.companion import Companion, Fallen, Post
from replican.repository import Repository
from replican.values import events
from replican.values.hooks import Kind, note_gate

_LOG: Final = logging.getLogger("replican.hooks")
_MOST: Final = 1000
"""So many calls may wait; a hook that cannot keep up with more is not told of all."""
_PART: Final = 1 << 16
_END_SECONDS: Final = 0.5
"""How long the other process has to end its hook: a watch ends within a second."""


class _Call(NamedTuple):
    """A hook to be run, or the first parts of its input: then ``more`` come."""

    name: str
    arguments: tuple[str, ...]
    given: bytes
    more: bool = False


class _Done(NamedTuple):
    """A hook has been run; what failed."""

    failures: list[str]


class Herald:
    """The :class:`~replican.values.hooks.Hooks` of ``repo`` from now on. What hooks write goes to the log.

    Its owner waits for :attr:`descriptors` and calls :meth:`hear`, closes it in the end, and begins no other for
    ``repo``; ``closed`` are the gates that stand closed, for the next one.
    """

    def __init__(self, repo: Repository, closed: dict[str, Kind] | None = None) -> None:
        repo.run_hooks(lambda name, line: _LOG.info("%s: %s", name, line))
        self._hooks = repo.hooks
        repo.hooks = self
        self._closed: dict[str, Kind] = {} if closed is None else closed
        self._waiting: deque[_Call] = deque()
        self._companion: Companion | None = None
        self._busy = False
        self._left_out = 0

    # -- hooks --------------------------------------------------------------------------------------------------

    def has(self, name: str) -> bool:
        return self._hooks.has(name)

    def ask(self, name: str, arguments: Sequence[str], given: bytes = b"") -> str | None:
        return self._hooks.ask(name, arguments, given)

    def is_news(self, where: str, kind: Kind | None) -> bool:
        return note_gate(self._closed, where, kind)

    def tell_later(self, name: str, arguments: Sequence[str], given: bytes = b"") -> None:
        if not self.has(name):
            return
        if len(self._waiting) >= _MOST:
            self._left_out += 1
        else:
            self._waiting.append(_Call(name, tuple(arguments), given))

    def tell_now(self) -> list[str]:
        """Have the other process begin; waits for nothing."""
        self._go_on()
        return []

    # -- the other process --------------------------------------------------------------------------------------

    @property
    def descriptors(self) -> list[int]:
        """What can be waited for."""
        return [] if self._companion is None else [self._companion.fileno()]

    def hear(self) -> list[events.Event]:
        """What has failed since. Never waits."""
        companion, heard = self._companion, list[str]()
        if companion is None:
            return []
        for message in companion.receive():
            self._busy = False
            if isinstance(message, _Done):
                heard += message.failures
            elif isinstance(message, Fallen):
                _LOG.error("%s", message.traceback)
        if companion.ended:
            if self._busy:
                heard.append("the process that runs hooks has ended in the middle of one")
            self.close()
        if self._left_out and not self._waiting:
            heard.append(f"hooks are too slow: they were not told {self._left_out} times")
            self._left_out = 0
        self._go_on()
        return [events.Error(time.time_ns(), None, "hook", message, None) for message in heard]

    def _go_on(self) -> None:
        """Give it the next call: one at a time, so that it is never waited for."""
        if self._busy or not self._waiting:
            return
        if self._companion is None:
            self._companion = Companion(self._work)
        call = self._waiting.popleft()
        parts = [call.given[at : at + _PART] for at in range(0, len(call.given), _PART)] or [b""]
        for number, part in enumerate(parts, 1):
            self._companion.send(call._replace(given=part, more=number < len(parts)))
        self._busy = True

    def close(self) -> None:
        """End the other process, with the hook that it runs; what is waiting stays."""
        companion, self._companion, self._busy = self._companion, None, False
        if companion is not None:
            companion.interrupt()
            companion.wait(_END_SECONDS)
            companion.kill()

    def _work(self, post: Post) -> None:
        parts: list[bytes] = []
        while not post.ended:
            select.select([post], [], [])
            for call in post.receive():
                assert isinstance(call, _Call)
                parts.append(call.given)
                if call.more:
                    continue
                self._hooks.tell_later(call.name, call.arguments, b"".join(parts))
                parts.clear()
                post.send(_Done(self._hooks.tell_now()))
