"""Amend: put another tree on the log as a user checkpoint, and bring the folder to it. What resolve and undo come to.

As with a merge, everything is staged before anything is recorded, and recorded before a file is touched; the
transition looks again before each step, and what cannot be done stays pending.
"""

from collections.abc import Container, Sequence
from typing import NamedTuple

from replican.decisions.plan import Plan
from replican.decisions.treediff import Tally
from replican.effects.contents import ContentStore
from replican.effects.transition import Outcome
from replican.operations.hooking import told_at_gates
from replican.operations.merging import NO_OUTCOME, carry_out, done_of, plan_past_gates
from replican.operations.recording import append, count_anew
from replican.repository import Repository
from replican.values.ids import CheckpointId, TreeId
from replican.values.trees import TreeOverlay


class Amended(NamedTuple):
    """What was done: the heads before and now, what changed in the folder (without what is pending), how far the disk
    has followed.

    After a dry run ``head`` is the old one, and ``plan`` what would be done.
    """

    old: CheckpointId | None
    head: CheckpointId | None
    tally: Tally
    outcome: Outcome
    plan: Plan


def amend(
    repo: Repository,
    overlay: TreeOverlay,
    tree: TreeId,
    message: str,
    stores: Sequence[ContentStore],
    *,
    allowed: frozenset[str] = frozenset(),
    must_have: Container[bytes] = (),
) -> Amended:
    """Record ``tree`` on top of the head, and bring the folder to it; needs the lock, and that nothing is unrecorded.

    ``stores`` may have content that is not here; ``allowed`` are flags of open gates. Raises ``RefusedError`` at a
    closed gate, or where the content of a path in ``must_have`` is nowhere any more.
    """
    old = repo.head
    with told_at_gates(repo):
        plan, counted = plan_past_gates(repo, overlay, repo.index.base_root(), tree, allowed, stores)
    if tree == repo.tree_of(old):
        return Amended(old, old, counted, NO_OUTCOME, plan)

    def put_on_the_log() -> None:
        append(repo, overlay, tree, old, message, counted)

    outcome = carry_out(repo, overlay, plan, stores, put_on_the_log, must_have)
    count_anew(repo, allowed)
    return Amended(old, repo.head, done_of(repo, overlay, plan, counted), outcome, plan)


def would_amend(
    repo: Repository, overlay: TreeOverlay, now: TreeId, tree: TreeId, *, allowed: frozenset[str] = frozenset()
) -> Amended:
    """What :func:`amend` would do to a folder that holds ``now``; takes no lock. Raises what that does at a gate."""
    plan, counted = plan_past_gates(repo, overlay, now, tree, allowed)
    return Amended(repo.head, repo.head, counted, NO_OUTCOME, plan)
