"""Merge two trees, touching no file.

BASE, LEFT and RIGHT are trees or checkpoints. The result has what LEFT and RIGHT changed against BASE; where both
changed a file, one version keeps the name and the others become conflict copies beside it. Swapping LEFT and RIGHT
changes nothing. The result is stored on the log as a tree, and no checkpoint is made of it.

Output: the id of the merged tree; conflicts are told on stderr. With --json, an object with "tree", "base", "left",
"right" and "conflicts", a list of objects with "path" and "versions", each of these with "path", "kind", "mode",
"id", "size" and "mtime_ns". It also has what apply-plan wants: "plan" (with "base", which is LEFT, and "tree"), "old"
(the head) and, where RIGHT is a checkpoint, "theirs".

Exit codes: 0 done; 1 there are conflicts, with --exit-code, or no such tree; 3 more work than is allowed; 7 locked.

    replican merge-tree "$(replican merge-base HEAD origin/head)" HEAD origin/head
    replican merge-tree --json "$(replican merge-base HEAD origin/head)" HEAD origin/head | replican apply-plan
"""

from typing import TYPE_CHECKING, Annotated, Any

from replican.plumbing._front import entries
from replican.plumbing._front.context import Context
from replican.plumbing._front.exits import DIFFERENT
from replican.plumbing._front.output import json_path, quoted
from replican.plumbing._front.params import Argument, Option
from replican.values.ids import TreeId
from replican.values.paths import parent_of

if TYPE_CHECKING:
    from replican.decisions.reconcile import Merge, OpenConflict
    from replican.repository import Repository


def merge_trees(repo: "Repository", base: TreeId, left: TreeId, right: TreeId) -> "tuple[Merge, list[OpenConflict]]":
    """Reconcile three trees and store the result; with each new conflict and its versions."""
    from replican.decisions.limits import Budget, Limits
    from replican.decisions.reconcile import conflicts_of, reconcile
    from replican.decisions.treediff import find_entry
    from replican.effects.forms import TREE
    from replican.operations.recording import new_trees
    from replican.values.trees import TreeOverlay

    overlay = TreeOverlay(repo)
    merged = reconcile(overlay, base, left, right, Budget(Limits()))
    with repo.writing("merge-tree"):
        repo.objects.add({id: (TREE, payload) for id, payload in new_trees(repo, overlay, merged.tree).items()})
    open_: list[OpenConflict] = []
    paths = set(merged.conflicts)
    for directory in sorted({parent_of(path) for path in paths}):
        entry = find_entry(overlay, merged.tree, directory) if directory else None
        listing = overlay.tree(merged.tree if entry is None else entry.tree)
        open_ += [conflict for conflict in conflicts_of(directory, listing) if conflict.path in paths]
    return merged, open_


def command(
    ctx: Context,
    base: Annotated[str, Argument("BASE", help="what both come from", complete="ref")],
    left: Annotated[str, Argument("LEFT", help="the one side", complete="ref")],
    right: Annotated[str, Argument("RIGHT", help="the other side", complete="ref")],
    exit_code: Annotated[bool, Option("--exit-code", help="exit with 1 if there are conflicts")] = False,
) -> int | None:
    from replican.effects.forms import CHECKPOINT
    from replican.operations.revisions import resolve, tree_named, tree_of

    repo = ctx.repository()
    theirs = resolve(repo, right)
    trees = tree_named(repo, base), tree_named(repo, left), tree_of(repo, theirs, right)
    merged, conflicts = merge_trees(repo, *trees)
    if ctx.json:
        shown = {name: tree.hex() for name, tree in zip(("base", "left", "right"), trees, strict=True)}
        plan: dict[str, Any] = {"base": trees[1].hex(), "tree": merged.tree.hex()}
        head = repo.head
        ctx.emit(
            {
                "tree": merged.tree.hex(),
                **shown,
                "conflicts": [_conflict(conflict) for conflict in conflicts],
                "plan": plan,
                "old": head and head.hex(),
                "theirs": theirs.id.hex() if theirs.kind == CHECKPOINT else None,
            }
        )
    else:
        ctx.line(merged.tree.hex())
        for conflict in conflicts:
            ctx.say(f"conflict: {quoted(conflict.path)} has {len(conflict.copies) + 1} versions")
    return DIFFERENT if exit_code and conflicts else None


def _conflict(conflict: "OpenConflict") -> dict[str, Any]:
    versions = [(conflict.path, conflict.current), *conflict.copies]
    shown = [{**json_path(path), **entries.as_json(entry)} for path, entry in versions]
    return {**json_path(conflict.path), "versions": shown}
