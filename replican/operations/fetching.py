"""Fetch: bring the log up to what a remote has recorded. No file of the user's changes.

Only checkpoints and trees that are not here travel; each is checked, hash and form and whether it is allowed at
all, before it is stored, and the ref that remembers the remote's head moves last.
"""

from typing import NamedTuple

from replican.decisions.frontier import check_received
from replican.decisions.graph import Graph
from replican.decisions.limits import Limits, measure_tree
from replican.effects.objects import CHECKPOINT, TREE
from replican.effects.refs import remote_head
from replican.operations.recording import record
from replican.operations.remotes import FolderRemote
from replican.repository import Repository
from replican.values.checkpoints import Checkpoint, encode_checkpoint
from replican.values.errors import (
    DamagedError,
    FolderError,
    LockedError,
    NotFoundError,
    RefusedError,
    RemoteError,
    ReplicanError,
)
from replican.values.ids import CheckpointId, TreeId
from replican.values.progress import Problem
from replican.values.trees import DIRECTORY, Entry, TreeOverlay, encode_tree


class Fetched(NamedTuple):
    """What came: ``old`` and ``new`` are the remote's head as known before and now; counts of what was new here."""

    remote: str
    old: CheckpointId | None
    new: CheckpointId | None
    checkpoints: int
    trees: int


class Received:
    """Checkpoints on their way in: those here and, above them, those that came."""

    def __init__(self, repo: Repository) -> None:
        self._repo = repo
        self.new: dict[CheckpointId, Checkpoint] = {}

    def checkpoint(self, checkpoint: CheckpointId, /) -> Checkpoint:
        found = self.new.get(checkpoint)
        return self._repo.checkpoint(checkpoint) if found is None else found


class Refreshed(NamedTuple):
    """How a remote's folder recorded its user's edits: what to tell, and what could not be read there."""

    notes: list[str]
    unread: list[Problem]


def refresh(remote: FolderRemote) -> Refreshed:
    """Have the remote's folder record what its user did. Where it cannot, what it recorded before is what it offers."""
    there = remote.repository
    notes: list[str] = []
    unread: list[Problem] = []
    try:
        made = record(there, past_gates=True)
        unread = made.problems
        if made.gated is not None:
            notes.append(f"{remote.name} has edits that it does not record: {made.gated.message}")
    except (FolderError, LockedError, RefusedError) as error:
        notes.append(f"{remote.name} could not record its latest edits: {error.message}")
    except DamagedError as error:
        raise _damaged(remote, error) from error
    notes = [f"{remote.name}: {note}" for note in there.notes] + notes
    there.notes.clear()
    return Refreshed(notes, unread)


def _damaged(remote: FolderRemote, error: ReplicanError) -> RemoteError:
    return RemoteError(f"remote {remote.name} is damaged: {error.message}", f"run `replican -C {remote.root} fsck`")


def fetch_from(repo: Repository, remote: FolderRemote, *, trust: bool = False) -> Fetched:
    """Take over what is new of the remote's log. ``trust`` (a first clone) takes its merges as they are."""
    ref = remote_head(remote.name)
    with repo.writing("fetch"):
        old = repo.refs.read(ref)
        try:
            head = remote.repository.head
            counts = (0, 0) if head is None else take_over(repo, remote.repository, head, trust=trust)
        except (DamagedError, NotFoundError) as error:
            raise _damaged(remote, error) from error
        if head is None:
            if old is not None:
                raise RemoteError(
                    f"remote {remote.name} has an empty log, and had one before",
                    "it was made anew: if this is meant, remove the remote and add it again",
                )
        elif head != old:
            repo.refs.update(ref, head, old, f"fetch {remote.name}", repo.who)
        return Fetched(remote.name, old, head, *counts)


def take_over(repo: Repository, source: Repository, head: CheckpointId, *, trust: bool = False) -> tuple[int, int]:
    """Copy ``head`` with all that it needs from ``source``; how many checkpoints and trees were new."""
    received = Received(repo)
    order: list[CheckpointId] = []
    stack = [head]
    while stack:
        at = stack.pop()
        if at in received.new or repo.objects.has(at):
            continue
        checkpoint = source.objects.checkpoint(at)
        received.new[at] = checkpoint
        order.append(at)
        stack.extend(checkpoint.parents)
    if not order:
        return 0, 0
    overlay = TreeOverlay(repo)
    for at in reversed(order):
        _take_trees(repo, source, overlay, received.new[at].tree)
    limits = Limits()
    for tree in {received.new[at].tree for at in order}:
        measure_tree(_OnlyNew(overlay), tree, limits)
    graph = Graph(received)
    parents_first = graph.missing([head], _Stored(repo))
    check_received(graph, overlay, parents_first, repo.index, trusted=received.new if trust else ())
    objects: dict[bytes, tuple[bytes, bytes]] = {tree: (TREE, payload) for tree, payload in overlay.new.items()}
    trees = len(objects)
    for at in parents_first:
        objects[at] = (CHECKPOINT, encode_checkpoint(received.new[at]))
    repo.objects.add(objects)
    return len(parents_first), trees


def _take_trees(repo: Repository, source: Repository, overlay: TreeOverlay, top: TreeId) -> None:
    found: dict[TreeId, bytes] = {}
    stack = [top]
    while stack:
        at = stack.pop()
        if at in overlay.new or at in found or repo.objects.has(at):
            continue
        entries = source.objects.tree(at)
        found[at] = encode_tree(entries)
        stack += [entry.tree for entry in entries if entry.kind == DIRECTORY]
    # Those below first: what is stored never names what is not.
    overlay.new.update(reversed(found.items()))


class _OnlyNew:
    """The new trees with nothing below them that is here already: that has been measured when it came."""

    def __init__(self, overlay: TreeOverlay) -> None:
        self._overlay = overlay

    def tree(self, tree: TreeId, /) -> list[Entry]:
        if tree not in self._overlay.new:
            return []
        return list(self._overlay.tree(tree))


class _Stored:
    def __init__(self, repo: Repository) -> None:
        self._repo = repo

    def __contains__(self, checkpoint: object) -> bool:
        return isinstance(checkpoint, bytes) and self._repo.objects.has(checkpoint)
