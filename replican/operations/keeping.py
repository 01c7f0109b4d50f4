"""Keeping what changes all the time here for as long as it is sent: it is recorded as it was read, by copies of that.

What a sync pushes is asked for by the other end, after it has been recorded. By then a file that is written to all the
time is another one, and nobody has what was recorded. As the answerer does for who asks it, so does this end for its
own pushes over a link: those of a sync, and in a watch those of a courier.
"""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from replican.effects.freezing import UNSTEADY, Frozen
from replican.effects.hashing import CHANGED_WHILE_READ, changed_while_read
from replican.operations.recording import Recorded, record
from replican.operations.remotes import Remote
from replican.repository import Repository
from replican.values.errors import ReplicanError
from replican.values.paths import show
from replican.values.progress import Problem

KEPT_SECONDS: Final = 20.0
"""After so many seconds, what changes all the time is recorded once more to be sent."""
_KEPT_SHARE: Final = 0.1
"""... and with no more than this share of the time."""
_LOOK_SECONDS: Final = 7.0
"""How often it is looked for that. Who reads a large file finds it changed half of the time, in turns of ten seconds:
these are out of step with them."""


class Turns:
    """When whoever goes on for long looks for what changes all the time, and has it recorded by copies."""

    def __init__(self) -> None:
        self.at = time.monotonic() + _LOOK_SECONDS
        """When it is time for that, in s of the monotonic clock."""

    def find(self, *repos: Repository) -> list[bytes]:
        """The paths of what nobody could read twice the same, as far as the indexes know, if it is time for that."""
        now = time.monotonic()
        if now < self.at:
            return []
        self.at = now + _LOOK_SECONDS
        try:
            return [each.path for repo in repos for each in changing_in(repo)]
        except ReplicanError:
            return []  # whoever has to do with that folder next meets it, and says so

    @contextmanager
    def taken(self) -> Iterator[None]:
        """It is recorded meanwhile: not again soon, nor while that takes much of the time."""
        began = time.monotonic()
        yield
        ended = time.monotonic()
        self.at = ended + max(KEPT_SECONDS, (ended - began) / _KEPT_SHARE)


def changing_in(repo: Repository) -> list[Problem]:
    """What was found to change while it was read, as far as the index knows."""
    try:
        return [each for each in repo.index.problems() if each.cause == CHANGED_WHILE_READ]
    finally:
        if not repo.is_locked_here:
            repo.close_index()  # a snapshot is not to grow old


class Keeping:
    """Has ``repo`` recorded with copies of some files, which ``remote`` sends when they are asked for. ``only`` these
    are looked at where somebody else looks at the rest. Of those that were ``unsteady`` before, that is not told again.
    Close it before the remote."""

    def __init__(
        self,
        repo: Repository,
        remote: Remote,
        allowed: frozenset[str] = frozenset(),
        message: str | None = None,
        only: bool = False,
        unsteady: set[bytes] | None = None,
    ) -> None:
        self._only = only
        self._repo = repo
        self._remote = remote
        self._allowed = allowed
        self._message = message
        self._paths: set[bytes] = set()
        self._frozen = Frozen(repo.dotdir, unsteady)

    def close(self) -> None:
        """Nothing more is sent."""
        self._remote.copies = None
        self._frozen.drop()

    def record_changing(self, recorded: Recorded) -> Recorded:
        """Record once more what did not stay the same while it was read, if anything; what was recorded in all."""
        changing = changed_while_read(recorded.problems)
        if not changing or recorded.gated is not None:
            return recorded
        return self.record(recorded, changing)

    def record(self, recorded: Recorded, changing: Collection[bytes]) -> Recorded:
        """Record once more, with copies of these paths; what was recorded in all."""
        return recorded.then(self.again(changing))

    def again(self, changing: Collection[bytes]) -> Recorded:
        """Record, with copies of these paths."""
        self._paths.update(changing)
        copies = self._remote.copies = self._frozen.begin(restless=self._paths)
        paths = list(self._paths) if self._only else None
        done = record(self._repo, self._message, allowed=self._allowed, past_gates=True, mirror=copies, paths=paths)
        copies.end()
        self._repo.notes += [f"{show(path)}: {UNSTEADY}" for path in self._frozen.unsteady()]
        return done
