"""``M(S)``: the tree of a set of user checkpoints, as a function of that set and of nothing else.

S is a *frontier*: user checkpoints none of which comes from another. For one, ``M`` is its tree; for more, they are
folded in the order of their ids, each against the merged tree of the common ancestors of what was folded and of
itself. Those may be several, too: then they are merged first, virtually. Whoever has the same user checkpoints
thus has the same merge checkpoint, whatever way they took.
"""

from collections.abc import Collection, Container, Iterable
from enum import Enum
from typing import NamedTuple, Protocol

from replican.decisions.graph import Graph
from replican.decisions.limits import Budget, LimitError, Limits
from replican.decisions.reconcile import reconcile
from replican.decisions.units import units_in_new
from replican.values.checkpoints import PLAIN_RULES, RULES, Checkpoint, id_of
from replican.values.errors import NotFoundError, RemoteError, UnsupportedError
from replican.values.ids import EMPTY_TREE, CheckpointId, TreeId
from replican.values.trees import TreeOverlay

Frontier = frozenset[CheckpointId]


class Memo(Protocol):
    """Remembers merged trees. May forget. Where it knows a tree that is not there any more, the merge is made again."""

    def get(self, frontier: Frontier, /) -> TreeId | None: ...

    def put(self, frontier: Frontier, tree: TreeId, /) -> None: ...


# -- joining heads -----------------------------------------------------------------------------------------------


class JoinKind(Enum):
    """What joining another head comes to."""

    UP_TO_DATE = "up to date"
    FAST_FORWARD = "fast-forward"
    MERGE = "merge"


class Joined(NamedTuple):
    """The frontier of two heads together; ``head`` is the checkpoint for it, None where a merge has to be made."""

    kind: JoinKind
    frontier: Frontier
    head: CheckpointId | None


def join(graph: Graph, ours: CheckpointId | None, theirs: CheckpointId | None) -> Joined:
    """What joining ``theirs`` to ``ours`` comes to. None is the head of an empty log."""
    if theirs is None or ours == theirs:
        return Joined(JoinKind.UP_TO_DATE, graph.frontier(ours), ours)
    if ours is None:
        return Joined(JoinKind.FAST_FORWARD, graph.frontier(theirs), theirs)
    mine, yours = graph.frontier(ours), graph.frontier(theirs)
    frontier = join_frontiers(graph, mine, yours)
    if frontier == mine:
        return Joined(JoinKind.UP_TO_DATE, frontier, ours)
    if frontier == yours:
        return Joined(JoinKind.FAST_FORWARD, frontier, theirs)
    return Joined(JoinKind.MERGE, frontier, None)


def join_frontiers(graph: Graph, ours: Frontier, theirs: Frontier) -> Frontier:
    """The frontier of all that two frontiers come from."""
    if ours <= theirs:
        return theirs
    return ours if theirs <= ours else graph.maximal(ours | theirs)


# -- the merged tree ---------------------------------------------------------------------------------------------


class _Fold:
    """A frontier on the way to its tree: the first ``at`` of ``order`` are folded into ``tree``."""

    __slots__ = ("at", "base", "frontier", "order", "tree")

    def __init__(self, frontier: Frontier, graph: Graph) -> None:
        self.frontier = frontier
        self.order = sorted(frontier)
        self.tree = graph.checkpoint(self.order[0]).tree
        self.at = 1
        self.base: Frontier | None = None


def merged_tree(
    graph: Graph, trees: TreeOverlay, frontier: Frontier, memo: Memo, budget: Budget | None = None
) -> TreeId:
    """``M(frontier)``. New trees are added to ``trees``.

    The frontier must be one (:func:`join` makes them). Raises ``UnsupportedError`` where a later release's rules
    are asked for, ``LimitError`` where it would take more work than ``budget`` (that of one merge, if None) has.
    """
    if not frontier:
        return EMPTY_TREE
    if len(frontier) == 1:
        return graph.checkpoint(next(iter(frontier))).tree
    rules_of(graph, frontier)
    budget = budget or Budget()
    most = budget.limits.frontier
    if len(frontier) > most:
        raise LimitError(f"a merge of {len(frontier)} checkpoints, and no more than {most} are allowed")
    known = _remembered(trees, frontier, memo)
    if known is not None:
        return known
    made: dict[Frontier, TreeId] = {}
    stack = [_Fold(frontier, graph)]
    while True:
        fold = stack[-1]
        while fold.at < len(fold.order):
            following = fold.order[fold.at]
            if fold.base is None:
                before = graph.steps
                fold.base = graph.common(fold.order[: fold.at], following)
                budget.spend(steps=graph.steps - before)
            base = _known_tree(graph, trees, fold.base, made, memo)
            if base is None:
                stack.append(_Fold(fold.base, graph))
                break
            budget.spend(merges=1)
            fold.tree = reconcile(trees, base, fold.tree, graph.checkpoint(following).tree, budget).tree
            fold.at += 1
            fold.base = None
        else:
            made[fold.frontier] = fold.tree
            memo.put(fold.frontier, fold.tree)
            stack.pop()
            if not stack:
                return fold.tree


def _known_tree(
    graph: Graph, trees: TreeOverlay, frontier: Frontier, made: dict[Frontier, TreeId], memo: Memo
) -> TreeId | None:
    if not frontier:
        return EMPTY_TREE
    if len(frontier) == 1:
        return graph.checkpoint(next(iter(frontier))).tree
    tree = made.get(frontier)
    return _remembered(trees, frontier, memo) if tree is None else tree


def _remembered(trees: TreeOverlay, frontier: Frontier, memo: Memo) -> TreeId | None:
    """What the memo knows, if it can be read: nobody keeps the trees of a merge that was not recorded in the end."""
    tree = memo.get(frontier)
    if tree is not None:
        try:
            trees.tree(tree)
        except NotFoundError:
            return None
    return tree


# -- merge checkpoints -------------------------------------------------------------------------------------------


def rules_of(graph: Graph, frontier: Iterable[CheckpointId]) -> int:
    """The number of the merge rules for a frontier: the greatest that it comes from.

    A checkpoint never has a lower number than its parents (:func:`check_received` refuses one that has), so the
    frontier itself tells. Raises ``UnsupportedError`` where this release does not know these rules.
    """
    rules = max((graph.checkpoint(each).rules for each in frontier), default=RULES)
    if rules > RULES:
        raise UnsupportedError(
            f"this history is merged by rules {rules}, and this release knows those up to {RULES}", "upgrade replican"
        )
    return rules


def merge_checkpoint(
    graph: Graph, trees: TreeOverlay, frontier: Frontier, memo: Memo, budget: Budget | None = None
) -> tuple[CheckpointId, Checkpoint]:
    """The one checkpoint that stands for ``frontier`` (not empty): that of its tree, or, of a single one, itself.

    Raises what :func:`merged_tree` does.
    """
    if len(frontier) == 1:
        only = next(iter(frontier))
        return only, graph.checkpoint(only)
    tree = merged_tree(graph, trees, frontier, memo, budget)
    checkpoint = Checkpoint(tree, tuple(sorted(frontier)), None, "", rules_of(graph, frontier))
    return id_of(checkpoint), checkpoint


# -- what others send --------------------------------------------------------------------------------------------


_UNITS_TOO_EARLY = "it has an atomic directory, and merge rules that know of none"


def flaw_of(
    graph: Graph,
    trees: TreeOverlay,
    claim: CheckpointId,
    memo: Memo,
    budget: Budget | None = None,
    trust: bool = False,
    plain: set[TreeId] | None = None,
) -> str | None:
    """Why a checkpoint is not allowed; None of one that is. Its ancestors were asked about before.

    A user checkpoint has at most one parent, no lower rules than that, and no units before rules 2: who knows no later
    ones would merge them name by name. A merge joins two or more user checkpoints none of which comes from another, and
    is the very one that we make of them. ``trust`` takes a merge's tree as it is; what it joins is checked all the
    same: every walk of the graph relies on it. ``plain`` are trees without units; more of them are added. Raises what
    :func:`merged_tree` does.
    """
    checkpoint = graph.checkpoint(claim)
    parents = frozenset(checkpoint.parents)
    if not checkpoint.is_merge:
        if len(checkpoint.parents) > 1:
            return "a user checkpoint with several parents"
        if any(graph.checkpoint(parent).rules > checkpoint.rules for parent in parents):
            return "its merge rules are older than its parent's"
        if checkpoint.rules == PLAIN_RULES:
            before = graph.checkpoint(checkpoint.parents[0]).tree if checkpoint.parents else EMPTY_TREE
            if units_in_new(trees, before, checkpoint.tree, plain, budget):
                return _UNITS_TOO_EARLY
        return None
    if len(parents) < 2 or list(checkpoint.parents) != sorted(parents):
        return "a merge needs two or more parents, sorted"
    if any(graph.checkpoint(parent).is_merge for parent in parents):
        return "a merge never has a merge for a parent"
    steps = graph.steps
    related = graph.maximal(parents) != parents
    if budget is not None:
        budget.spend(steps=graph.steps - steps)
    if related:
        return "one of its parents comes from another"
    if trust:
        has_units = checkpoint.rules == PLAIN_RULES and units_in_new(trees, EMPTY_TREE, checkpoint.tree, plain, budget)
        return _UNITS_TOO_EARLY if has_units else None
    if merge_checkpoint(graph, trees, parents, memo, budget)[0] != claim:
        return "it is not what merging its parents gives"
    return None


def check_received(
    graph: Graph,
    trees: TreeOverlay,
    received: Collection[CheckpointId],
    memo: Memo,
    *,
    trusted: Container[CheckpointId] = (),
    limits: Limits | None = None,
    plain: set[TreeId] | None = None,
) -> None:
    """Verify received checkpoints, parents first (``Graph.missing`` gives that order): raises ``RemoteError`` where one
    is not allowed. ``UnsupportedError`` means that this release cannot tell: it may be kept, and must not be merged.

    The trees of merges in ``trusted`` are taken as they are; those in ``plain`` have no units."""
    budget = Budget(limits, len(received))
    plain = {EMPTY_TREE} if plain is None else plain
    for each in received:
        flaw = flaw_of(graph, trees, each, memo, budget, each in trusted, plain)
        if flaw is not None:
            hint = "nothing was taken over from that remote"
            raise RemoteError(f"checkpoint {each.hex()[:12]} is not valid: {flaw}", hint)
