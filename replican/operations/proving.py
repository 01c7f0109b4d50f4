"""Proving merges: whether each merge of a log is what merging its parents gives, made once more from nothing but them.

What comes by a fetch is proven as it comes. What a first clone took over is not, nor what an earlier release made here
with a fault of its own; and an object's hash only tells that it is what was written. No memo that is kept is asked: it
would repeat what it was told.
"""

from collections.abc import Iterable
from typing import NamedTuple

from replican.decisions.frontier import Frontier, flaw_of
from replican.decisions.graph import Graph
from replican.decisions.limits import LimitError
from replican.effects.objects import ObjectStore
from replican.values.checkpoints import Author, Checkpoint
from replican.values.errors import ReplicanError
from replican.values.ids import EMPTY_TREE, CheckpointId, TreeId
from replican.values.progress import Progress
from replican.values.trees import Entry, TreeOverlay

_REMEMBERED = 1 << 14
_SOMEBODY = Author("somebody", "0" * 16, 0)
_KEPT_BYTES = 64 << 20


class Proved(NamedTuple):
    """How many merges are what they should be; ``wrong`` are checkpoints that are not, each with the reason.

    ``unproven`` counts the merges of which nobody can tell here: some of what they join is missing or damaged, or they
    follow the rules of a later release.
    """

    merges: int
    unproven: int
    wrong: list[tuple[CheckpointId, str]]


def prove(objects: ObjectStore, heads: Iterable[CheckpointId], progress: Progress) -> Proved:
    """Make every merge that ``heads`` come from once more, parents first; and look whether users' checkpoints are
    allowed where they stand.

    Each merge is made with the help of those before it, so that it costs what lies between it and the last one: a log
    has only merges on which somebody recorded something, and where the refs are. What is kept of trees in
    memory is bounded, and what was forgotten is made again; of each checkpoint, its place in the log is kept.
    """
    log = _Log(objects)
    graph = Graph(log, {})
    order, whole = _parents_first(log, heads)
    memo, made, plain = _Recent(), _Made(objects), {EMPTY_TREE}
    proven = unproven = 0
    wrong: list[tuple[CheckpointId, str]] = []
    progress.begin("proving merges", sum(is_merge for _, is_merge in order))
    try:
        for id, is_merge in order:
            try:
                flaw = flaw_of(graph, made, id, memo, plain=plain) if id in whole else None
                unproven += is_merge and id not in whole
                proven += is_merge and id in whole and flaw is None
            except LimitError as error:
                flaw = error.message
            except ReplicanError:  # a tree that it needs is missing or damaged, which is told elsewhere
                flaw = None
                unproven += is_merge
            if flaw is not None:
                wrong.append((id, flaw))
            progress.advance(is_merge)
            if made.size > _KEPT_BYTES:
                made = _Made(objects)
    finally:
        progress.end()
    return Proved(proven, unproven, wrong)


class _Recent:
    """A memo of the merges that were made last."""

    def __init__(self) -> None:
        self._known: dict[Frontier, TreeId] = {}

    def get(self, frontier: Frontier, /) -> TreeId | None:
        tree = self._known.pop(frontier, None)
        if tree is not None:
            self._known[frontier] = tree  # now the last one to be forgotten
        return tree

    def put(self, frontier: Frontier, tree: TreeId, /) -> None:
        self._known[frontier] = tree
        if len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]


class _Made(TreeOverlay):
    """The trees that were made on the way, and their ``size`` together in bytes."""

    def __init__(self, below: ObjectStore) -> None:
        super().__init__(below)
        self.new[EMPTY_TREE] = b""  # everybody knows it, so it need not be stored
        self.size = 0

    def add(self, entries: Iterable[Entry]) -> TreeId:
        made = super().add(entries)
        self.size += len(self.new[made])
        return made


class _Log:
    """The checkpoints of a store, each read once: their ancestry, and which tree each has. No message is kept."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._known: dict[CheckpointId, Checkpoint] = {}

    def checkpoint(self, checkpoint: CheckpointId, /) -> Checkpoint:
        found = self._known.get(checkpoint)
        if found is None:
            found = self._objects.checkpoint(checkpoint)
            found = found._replace(author=found.author and _SOMEBODY, message="")
            self._known[checkpoint] = found
        return found


def _parents_first(
    log: _Log, heads: Iterable[CheckpointId]
) -> tuple[list[tuple[CheckpointId, bool]], set[CheckpointId]]:
    """All readable checkpoints that ``heads`` come from, parents first, each with whether it is a merge; and those of
    them of which every ancestor can be read."""
    order: list[tuple[CheckpointId, bool]] = []
    whole: set[CheckpointId] = set()
    seen: set[CheckpointId] = set()
    stack = [(head, False) for head in heads]
    while stack:
        at, done = stack.pop()
        if not done and at in seen:
            continue
        seen.add(at)
        try:
            checkpoint = log.checkpoint(at)
        except ReplicanError:
            continue
        if done:
            order.append((at, checkpoint.is_merge))
            if whole.issuperset(checkpoint.parents):
                whole.add(at)
        else:
            stack.append((at, True))
            stack += [(parent, False) for parent in checkpoint.parents]
    return order, whole
