"""Units: directories that are taken as one. What there is to know of them from trees alone. Pure."""

from replican.decisions.limits import Budget
from replican.decisions.treediff import diff_trees, entry_named, walk_tree
from replican.values.ids import TreeId
from replican.values.paths import join
from replican.values.trees import DIRECTORY, TreeReader


def units_in_new(trees: TreeReader, old: TreeId, new: TreeId) -> bool:
    """Whether there are units in what ``new`` has and ``old`` has not."""
    for _, before, after in diff_trees(trees, old, new):
        if after is None or after.kind != DIRECTORY:
            continue
        if after.is_unit:
            return True
        came = before is None or before.kind != DIRECTORY
        if came and any(entry.is_unit for _, entry in walk_tree(trees, after.tree)):
            return True
    return False


def unit_at(trees: TreeReader, tree: TreeId, path: bytes) -> bytes | None:
    """The path of the topmost unit that ``path`` is, or lies in; None where there is none."""
    at = b""
    for name in path.split(b"/"):
        entry = entry_named(trees.tree(tree), name)
        if entry is None or entry.kind != DIRECTORY:
            return None
        at = join(at, name)
        if entry.is_unit:
            return at
        tree = entry.tree
    return None


def newest_in(trees: TreeReader, tree: TreeId, budget: Budget | None = None) -> int:
    """The mtime (ns) of the newest file or link below ``tree``; 0 where there is none. Raises ``LimitError`` when
    ``budget`` runs out."""
    newest: int | None = None
    met = {tree}
    stack = [tree]
    while stack:
        listing = trees.tree(stack.pop())
        if budget is not None:
            budget.spend(entries=len(listing) + 1)
        for entry in listing:
            if entry.kind != DIRECTORY:
                newest = entry.mtime_ns if newest is None else max(newest, entry.mtime_ns)
            elif entry.tree not in met:
                met.add(entry.tree)
                stack.append(entry.tree)
    return newest or 0
