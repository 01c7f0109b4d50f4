"""Keeping what changes all the time here for as long as it is sent: it is recorded as it was read, by copies of that.

What a sync pushes is asked for by the other end, after it has been recorded. By then a file that is written to all the
time is another one, and nobody has what was recorded. As the answerer does for who asks it, so does this end for its
own pushes over a link: those of a sync, and in a watch those of a courier.
"""

from collections.abc import Collection

from replican.effects.freezing import UNSTEADY, Freezer
from replican.effects.hashing import CHANGED_WHILE_READ
from replican.effects.staging import Stage
from replican.operations.recording import Recorded, record
from replican.operations.remotes import Remote
from replican.repository import Repository
from replican.values.paths import show


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
        self._unsteady = set[bytes]() if unsteady is None else unsteady
        self._stage: Stage | None = None

    def close(self) -> None:
        """Nothing more is sent."""
        self._drop()
        if self._stage is not None:
            self._stage.close()
            self._stage = None

    def _drop(self) -> None:
        copies, self._remote.copies = self._remote.copies, None
        if copies is not None:
            copies.close()

    def record_changing(self, recorded: Recorded) -> Recorded:
        """Record once more what did not stay the same while it was read, if anything; what was recorded in all."""
        changing = [each.path for each in recorded.problems if each.cause == CHANGED_WHILE_READ]
        if not changing or recorded.gated is not None:
            return recorded
        return self.record(recorded, changing)

    def record(self, recorded: Recorded, changing: Collection[bytes]) -> Recorded:
        """Record once more, with copies of these paths; what was recorded in all."""
        return recorded.then(self.again(changing))

    def again(self, changing: Collection[bytes]) -> Recorded:
        """Record, with copies of these paths."""
        self._drop()  # nobody asks for what was recorded before
        if self._stage is None:
            self._stage = Stage(f"{self._repo.dotdir}/stage")
        self._paths.update(changing)
        copies = self._remote.copies = Freezer(self._stage, ())
        copies.add(self._paths)
        paths = list(self._paths) if self._only else None
        done = record(self._repo, self._message, allowed=self._allowed, past_gates=True, mirror=copies, paths=paths)
        copies.end()
        self._repo.notes += [f"{show(path)}: {UNSTEADY}" for path in sorted(copies.unsteady - self._unsteady)]
        self._unsteady |= copies.unsteady
        return done
