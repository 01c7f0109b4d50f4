"""The tracker, step by step: note what lies at some paths, make the tree of it, put that on the log.

Together ``update_index``, ``write_tree`` and ``append_tree`` do what a commit does, with pauses in which anything
may happen. So each looks again: a tree is only taken for what the folder holds if it still is.
"""

from collections.abc import Collection
from typing import NamedTuple

from replican.decisions import gates
from replican.decisions.describing import describe
from replican.decisions.limits import Limits, measure_tree
from replican.decisions.reconcile import reconcile
from replican.decisions.treediff import tally
from replican.effects.forms import TREE
from replican.effects.hashing import PuttingOff
from replican.effects.scan import Scan
from replican.operations.hooking import told_at_gates
from replican.operations.recording import append, count_anew, deletion_gates, mounts_gone, new_trees, observe
from replican.repository import Repository
from replican.values.errors import MovedError, RefusedError
from replican.values.ids import ID_SIZE, CheckpointId, TreeId
from replican.values.trees import TreeOverlay

ALLOW_PENDING = "--allow-pending"
_NOTE = "written-tree"


class Appended(NamedTuple):
    """The head afterwards (None for an empty log), and whether a checkpoint was appended."""

    head: CheckpointId | None
    new: bool


def update_index(
    repo: Repository, paths: Collection[bytes], wait: bool = True, putting_off: PuttingOff | None = None
) -> Scan:
    """Look at ``paths`` (of a directory, at all below it) and note in observed rows what is there. A unit that changes
    is given a moment to come to rest, unless nobody may ``wait``; ``putting_off`` is that of ``observe``.

    What could not be read is in the result, stands as it was, and stays a problem of the index.
    """
    with repo.writing("update-index"):
        return observe(repo, paths=paths, wait=wait, putting_off=putting_off)


def write_tree(repo: Repository) -> TreeId:
    """Store the tree that a commit would record of what was observed, and note that it was made on top of this head."""
    with repo.writing("write-tree"):
        head = repo.head
        overlay = TreeOverlay(repo)
        tree = _recordable(repo, overlay, head)
        repo.objects.add({each: (TREE, payload) for each, payload in new_trees(repo, overlay, tree).items()})
        note = tree + (head or b"")
        if repo.index.meta_get(_NOTE) != note:
            repo.index.meta_set(_NOTE, note)
        return tree


def append_tree(
    repo: Repository,
    tree: TreeId,
    *,
    parent: CheckpointId | None = None,
    message: str | None = None,
    allowed: frozenset[str] = frozenset(),
) -> Appended:
    """Put a checkpoint of ``tree`` on the log; nothing, if it is the head's tree already.

    ``parent`` is what the head has to be; by default the one that ``write_tree`` saw. A tree that is not what was
    observed needs ``--allow-pending`` among the ``allowed`` flags, and the disk follows later. Raises ``MovedError``,
    or ``RefusedError`` at a closed gate.
    """
    with repo.writing("append-checkpoint"):
        head, index = repo.head, repo.index
        written, seen_head = _written(repo)
        expected = parent or (seen_head if tree == written else head)
        if head != expected:
            raise MovedError(f"the head has moved: it is {_show(head)}, not {_show(expected)}", "write the tree again")
        overlay = TreeOverlay(repo)
        observed = tree == _recordable(repo, overlay, head)
        if tree == repo.tree_of(head):
            if observed and index.has_observed():
                index.promise(head)
                index.promote()
            return Appended(head, False)
        if not observed and ALLOW_PENDING not in allowed:
            if tree == written:
                raise MovedError("the index has changed since the tree was written", "write the tree again")
            raise RefusedError(
                "this is not the tree of what the index has seen: the folder would be behind the log",
                f"if that is meant, say {ALLOW_PENDING}",
            )
        measure_tree(repo, tree, Limits())  # which needs every tree below
        counted = tally(overlay, index.base_root(), index.observed_root() if observed else tree)
        closed: list[gates.Gate | None] = [gates.missing_mount(mounts_gone(index))] if observed else []
        with told_at_gates(repo):
            gates.pass_gates([*closed, *deletion_gates(index, counted)], allowed)
        done = tally(overlay, repo.tree_of(head), tree)
        message = describe(done) if message is None else message
        made = append(repo, overlay, tree, head, message, done, observed=observed)
        count_anew(repo, allowed)
        return Appended(made, True)


def _recordable(repo: Repository, overlay: TreeOverlay, head: CheckpointId | None) -> TreeId:
    """What a commit records: ``reconcile(base, head, observed)``."""
    return reconcile(overlay, repo.index.base_root(), repo.tree_of(head), repo.index.observed_root()).tree


def _written(repo: Repository) -> tuple[TreeId | None, CheckpointId | None]:
    """The tree that was last written, and the head at that time."""
    note = repo.index.meta_get(_NOTE)
    if note is None:
        return None, None
    return TreeId(note[:ID_SIZE]), CheckpointId(note[ID_SIZE:]) if len(note) > ID_SIZE else None


def _show(head: CheckpointId | None) -> str:
    return "empty" if head is None else head.hex()
