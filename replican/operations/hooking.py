"""When hooks are asked and told: the one place that knows what each of them is given.

``repo.hooks`` is nobody, unless a front has had the folder's hooks run. Those that only hear of something do so when
the folder is not locked any more.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from replican.decisions.reconcile import OpenConflict
from replican.repository import Repository
from replican.values.errors import RefusedError
from replican.values.hooks import CONFLICT, GATE, NOBODY, POST_MERGE, PRE_MERGE, Hooks, Kind, NoHooks
from replican.values.ids import CheckpointId

RECORDING: Final = "recording"
MERGING: Final = "merging"
PUSHING: Final = "pushing"


def ask_before_merge(repo: Repository, whom: str, theirs: CheckpointId) -> None:
    """Ask whether ``theirs``, of the remote ``whom``, may be merged; raises ``RefusedError`` where it may not."""
    why = repo.hooks.ask(PRE_MERGE, [whom, theirs.hex()])
    if why is not None:
        hint = f"nothing was merged; {repo.dotdir}/hooks/{PRE_MERGE} decides that: `man 7 replican-hooks`"
        raise RefusedError(why, hint, (PRE_MERGE,))


def tell_of_merge(
    repo: Repository,
    whom: str,
    old: CheckpointId | None,
    head: CheckpointId | None,
    conflicts: Iterable[OpenConflict],
) -> None:
    """Tell that the head went from ``old`` to ``head`` by a merge with ``whom``, which left ``conflicts``."""
    if head is not None and head != old:
        repo.hooks.tell_later(POST_MERGE, [whom, NOBODY if old is None else old.hex(), head.hex()])
    pairs = [path for conflict in conflicts for copy, _ in conflict.copies for path in (conflict.path, copy)]
    if pairs:
        repo.hooks.tell_later(CONFLICT, [whom], b"".join([path + b"\0" for path in pairs]))


def gate_closed(repo: Repository, error: RefusedError, whom: str = NOBODY, what: str = RECORDING) -> None:
    """Tell that gates stand closed before what comes from ``whom``, or before this folder's edits; once, until they
    have been passed by ``what`` they stand before."""
    if error.gates and repo.hooks.is_news(f"{what} {whom}", error.kind):
        repo.hooks.tell_later(GATE, [",".join(error.gates), error.message, whom])


def gate_open(repo: Repository, whom: str = NOBODY, what: str = RECORDING) -> None:
    """The gates have been passed."""
    repo.hooks.is_news(f"{what} {whom}", None)


@contextmanager
def told_at_gates(repo: Repository, whom: str = NOBODY, what: str = RECORDING) -> Iterator[None]:
    """What is refused within is told."""
    try:
        yield
    except RefusedError as error:
        gate_closed(repo, error, whom, what)
        raise
    gate_open(repo, whom, what)


# -- another folder's ------------------------------------------------------------------------------------------------


class Distrusted:
    """The hooks of a folder that a remote's address names: what lies there was put there by whoever may write there,
    so they are not run. One that would decide is taken to say no."""

    def __init__(self, name: str, there: Hooks) -> None:
        self._name = name
        self._there = there
        self._why = f"is not run from here (if that folder's hooks are yours: replican config remote.{name}.hooks true)"
        self._notes: dict[str, None] = {}

    def has(self, name: str) -> bool:
        return self._there.has(name)

    def ask(self, name: str, arguments: Sequence[str], given: bytes = b"") -> str | None:
        return f"{self._name}: its hook {name} {self._why}" if self.has(name) else None

    def tell_later(self, name: str, arguments: Sequence[str], given: bytes = b"") -> None:
        if self.has(name):
            self._notes[f"its hook {name} {self._why}"] = None

    def tell_now(self) -> list[str]:
        notes, self._notes = list(self._notes), {}
        return notes

    def is_news(self, where: str, kind: Kind | None) -> bool:
        return self._there.is_news(where, kind)


def admit_hooks(repo: Repository, name: str, other: Repository) -> None:
    """Have the hooks of ``other``, the folder of the remote ``name`` of ``repo``, run where ``remote.NAME.hooks`` says
    so; nobody's, where ``repo`` runs none of its own."""
    if isinstance(repo.hooks, NoHooks):
        return
    from replican.effects.setting import join_key

    other.run_hooks()
    said = repo.config.find(join_key(("remote", name, "hooks")))
    if str(said).lower() not in ("true", "yes", "on", "1"):
        other.hooks = Distrusted(name, other.hooks)
