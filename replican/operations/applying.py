"""Carrying out a plan that was made earlier: only if folder and log are still what it was made from."""

from collections.abc import Sequence
from typing import NamedTuple

from replican.decisions import gates
from replican.decisions.describing import describe
from replican.decisions.limits import Limits, measure_tree
from replican.decisions.treediff import tally
from replican.effects.contents import ContentStore
from replican.effects.refs import remote_head
from replican.operations.amending import amend
from replican.operations.merging import merge
from replican.operations.syncing import merged_before
from replican.repository import Repository
from replican.values.errors import MissingObjectError, NotFoundError, RefusedError
from replican.values.ids import CheckpointId, TreeId
from replican.values.progress import Problem
from replican.values.trees import TreeOverlay

USER = "user"
_EVERY_FLAG = frozenset([gates.ALLOW_MASS_DELETE, gates.ALLOW_MISSING_MOUNT, gates.ALLOW_UNRELATED])


class SavedPlan(NamedTuple):
    """What a plan says: the folder holds ``base`` and its log is at ``old``; it shall hold ``tree``.

    ``theirs`` is the checkpoint that is to be joined to the head for that, if the plan is of a merge.
    """

    base: TreeId
    tree: TreeId
    old: CheckpointId | None
    theirs: CheckpointId | None


class Applied(NamedTuple):
    """The head afterwards; ``kind`` is how it came about (that of a join, or ``user``); where the disk is behind it."""

    head: CheckpointId | None
    kind: str
    pending: list[Problem]


def apply_plan(
    repo: Repository,
    plan: SavedPlan,
    stores: Sequence[ContentStore],
    *,
    message: str | None = None,
    allowed: frozenset[str] = frozenset(),
) -> Applied:
    """Record what the plan comes to, and bring the folder to it.

    Where its tree is what joining ``theirs`` to the head gives, that is a merge; else it is a user checkpoint. Raises
    ``RefusedError`` where the head or the folder's recorded state is another by now, or at a closed gate.
    """
    with repo.writing("apply-plan"):
        if repo.head != plan.old or repo.index.base_root() != plan.base:
            raise RefusedError("folder or log have changed since this plan was made", "make the plan again")
        if plan.theirs is not None:
            if not repo.objects.has(plan.theirs):
                raise NotFoundError(f"no object {plan.theirs.hex()}")
            preview = merge(repo, plan.theirs, (), allowed=_EVERY_FLAG, dry_run=True)
            if preview.plan.head == plan.tree:
                known = _merged_before(repo, plan.theirs)
                done = merge(
                    repo, plan.theirs, stores, allowed=allowed, merged_before=known, reason="apply-plan: merge"
                )
                return Applied(done.head, done.kind.value, done.pending)
        try:
            measure_tree(repo, plan.tree, Limits())  # which needs every tree below
        except MissingObjectError as error:  # the plan names it, and not the log
            raise NotFoundError(error.message) from error
        repo.index.discard_observed()  # it is not part of the plan; the next look at the folder sees it again
        overlay = TreeOverlay(repo)
        text = describe(tally(overlay, plan.base, plan.tree)) if message is None else message
        amended = amend(repo, overlay, plan.tree, text, stores, allowed=allowed)
        return Applied(amended.head, USER, amended.outcome.pending)


def _merged_before(repo: Repository, theirs: CheckpointId) -> bool:
    names = [name for name in repo.config.remotes if repo.refs.read(remote_head(name)) == theirs]
    return any(merged_before(repo, name) for name in names)
