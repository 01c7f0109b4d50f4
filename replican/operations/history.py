"""The past: checkpoints in the order of the log, what each of them changed, and what happened to one path."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from replican.decisions.treediff import find_entry
from replican.effects.reflog import ReflogEntry
from replican.effects.refs import HEAD
from replican.repository import Repository
from replican.values.checkpoints import Checkpoint
from replican.values.ids import EMPTY_TREE, CheckpointId, TreeId
from replican.values.trees import DIRECTORY, Entry, TreeReader

if TYPE_CHECKING:
    from replican.operations.comparing import Difference


class LogEntry(NamedTuple):
    """A checkpoint as the log shows it. ``time_ns`` is its author's; of a merge, the newest of its parents'."""

    id: CheckpointId
    checkpoint: Checkpoint
    time_ns: int

    @property
    def kind(self) -> str:
        return "merge" if self.checkpoint.is_merge else "user"


def log(repo: Repository, head: CheckpointId | None, paths: tuple[bytes, ...] = ()) -> Iterator[LogEntry]:
    """``head`` and all that it comes from: topological order, then the newest first.

    With ``paths``, only what changed one of them: a user checkpoint against its parent, a merge against all of its
    parents.
    """
    if head is None:
        return
    for at in repo.graph.topological(head):
        if not paths or _touches(repo, at, paths):
            yield entry_of(repo, at)


def entry_of(repo: Repository, checkpoint: CheckpointId) -> LogEntry:
    """One checkpoint, as the log shows it."""
    return LogEntry(checkpoint, repo.checkpoint(checkpoint), repo.graph.time_ns(checkpoint))


def _touches(repo: Repository, checkpoint: CheckpointId, paths: tuple[bytes, ...]) -> bool:
    found = repo.checkpoint(checkpoint)
    befores = _trees_before(repo, found)
    return any(
        all(at_path(repo, before, path) != now for before in befores)
        for path in paths
        for now in [at_path(repo, found.tree, path)]
    )


def _trees_before(repo: Repository, checkpoint: Checkpoint) -> list[TreeId]:
    """The trees of a checkpoint's parents; the empty one for the first checkpoint."""
    return [repo.checkpoint(parent).tree for parent in checkpoint.parents] or [EMPTY_TREE]


def at_path(trees: TreeReader, tree: TreeId, path: bytes) -> Entry | None:
    """What a tree holds at ``path``; for the root, a directory with that tree."""
    return find_entry(trees, tree, path) if path else Entry(b"", DIRECTORY, 0, 0, 0, tree)


class Recorded(NamedTuple):
    """Who wrote what a path holds: the user checkpoint that brought this version to it."""

    entry: LogEntry
    old: Entry | None
    new: Entry | None


def last_change(repo: Repository, head: CheckpointId | None, path: bytes) -> Recorded | None:
    """The newest user checkpoint that changed ``path``; None if none ever did."""
    for entry in log(repo, head, (path,)):
        if not entry.checkpoint.is_merge:
            before = _trees_before(repo, entry.checkpoint)[0]
            return Recorded(entry, at_path(repo, before, path), at_path(repo, entry.checkpoint.tree, path))
    return None


def writer_of(repo: Repository, head: CheckpointId | None, paths: tuple[bytes, ...], version: Entry) -> Recorded | None:
    """The newest user checkpoint that put this very version (kind and content) at one of ``paths``."""
    for entry in log(repo, head, paths):
        if entry.checkpoint.is_merge:
            continue
        before = _trees_before(repo, entry.checkpoint)[0]
        for path in paths:
            new = at_path(repo, entry.checkpoint.tree, path)
            old = at_path(repo, before, path)
            if _is(new, version) and not _is(old, version):
                return Recorded(entry, old, new)
    return None


def _is(entry: Entry | None, version: Entry) -> bool:
    return entry is not None and (entry.kind, entry.id) == (version.kind, version.id)


class Move(NamedTuple):
    """One move of a ref: ``number`` moves ago."""

    number: int
    entry: ReflogEntry


def moves(repo: Repository, ref: str = HEAD) -> list[Move]:
    """Where a ref has been, the newest first."""
    return [Move(number, entry) for number, entry in enumerate(repo.refs.reflog(ref))]


def decorations(repo: Repository) -> dict[CheckpointId, list[str]]:
    """The names that refs give to checkpoints: ``HEAD``, ``origin/head``."""
    found: dict[CheckpointId, list[str]] = {}
    for name in repo.refs.names():
        at = repo.refs.read(name)
        if at is not None:
            found.setdefault(at, []).append("HEAD" if name == HEAD else name.partition("/")[2])
    return found


def changed_by(repo: Repository, checkpoint: CheckpointId) -> "list[Difference]":
    """What a checkpoint changed: a user's against its parent; of a merge, what it has and none of its parents."""
    from replican.operations.comparing import differences  # it scans, and brings SQLite along

    found = repo.checkpoint(checkpoint)
    first, *more = [differences(repo, before, found.tree) for before in _trees_before(repo, found)]
    for other in more:
        paths = {each.path for each in other}
        first = [each for each in first if each.path in paths]
    return first
