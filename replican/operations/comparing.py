"""Diff: which names differ between two states of the folder, of which one may be what lies on the disk now."""

from typing import NamedTuple

from replican.decisions.changes import Changed, expand
from replican.decisions.reconcile import reconcile
from replican.decisions.treediff import ADDED, DELETED, Change, diff_trees
from replican.operations.looking import heard, see
from replican.operations.status import Told
from replican.repository import Repository
from replican.values.ids import TreeId
from replican.values.paths import is_below, overlap
from replican.values.progress import Problem
from replican.values.trees import Entry, TreeOverlay, TreeReader


class Difference(NamedTuple):
    """One path: what :class:`~replican.decisions.changes.Changed` says of it, with what was there and what is."""

    path: bytes
    status: str
    old: Entry | None
    new: Entry | None


class OnDisk(NamedTuple):
    """The folder as it lies on the disk, and as a commit would record it: trees that ``trees`` can read.

    ``problems`` could not be read, and stand as they were last seen.
    """

    trees: TreeOverlay
    disk: TreeId
    recorded: TreeId
    problems: list[Problem]


def on_disk(repo: Repository, told: Told | None = None) -> OnDisk:
    """Look at the folder, as a reader: the index stays as it is. With what its watch has just ``told``, only as far as
    that does not know; then large files that have changed are left to the watch, and are problems, which stand as they
    were last seen."""
    if told is not None and told.rest is not None and not repo.is_locked_here:
        tree = repo.tree_of(told.rest.head)
        return OnDisk(TreeOverlay(repo), tree, tree, [])
    told = heard(repo, told)
    seen = see(repo, repo.index, told)
    overlay = TreeOverlay(repo)
    overlay.new.update(seen.payloads)
    recorded = reconcile(overlay, repo.index.base_root(), repo.head_tree, seen.root).tree
    return OnDisk(overlay, seen.root, recorded, seen.problems)


def differences(trees: TreeReader, old: TreeId, new: TreeId, paths: tuple[bytes, ...] = ()) -> list[Difference]:
    """Each file and link that differs, and each empty directory; of ``paths`` and what is below them, if any are
    given."""
    changes = [
        change
        for change in diff_trees(trees, old, new)
        if not paths or any(overlap(change.path, path) for path in paths)
    ]
    both = {change.path: change for change in changes if change.old is not None and change.new is not None}
    return [
        _difference(each, both.get(each.path))
        for each in expand(trees, changes)
        if not paths or any(is_below(each.path, path) for path in paths)
    ]


def _difference(changed: Changed, change: Change | None) -> Difference:
    """With both sides, where both have it. A file, and what a directory of its name holds, are changes of their own."""
    path, status, entry, *_ = changed
    if status == DELETED:
        return Difference(path, status, entry, None)
    if status == ADDED or change is None:
        return Difference(path, status, None, entry)
    return Difference(path, status, change.old, change.new)
