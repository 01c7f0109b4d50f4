"""Units: directories that are taken as one. What there is to know of them from trees alone. Pure."""

from replican.decisions.limits import Budget
from replican.decisions.treediff import entry_named
from replican.values.ids import EMPTY_TREE, TreeId
from replican.values.paths import join
from replican.values.trees import DIRECTORY, TreeReader


def units_in_new(
    trees: TreeReader, old: TreeId, new: TreeId, plain: set[TreeId] | None = None, budget: Budget | None = None
) -> bool:
    """Whether there are units in ``new``, where there are none in ``old``: costs what differs.

    ``plain`` are trees in which there are none; it learns those that were met. No tree is looked at twice, whatever
    names it; what is compared with more than it holds itself is paid for by ``budget``.
    """
    plain = {EMPTY_TREE} if plain is None else plain
    met: set[TreeId] = set()
    stack = [(old, new)]
    while stack:
        was, tree = stack.pop()
        if was == tree or tree in plain or tree in met:
            continue
        met.add(tree)
        before, listing = trees.tree(was), trees.tree(tree)
        if budget is not None:
            budget.spend(entries=max(0, len(before) - len(listing)))
        for entry in listing:
            if entry.kind == DIRECTORY:
                if entry.is_unit:
                    return True
                known = entry_named(before, entry.name)
                stack.append((EMPTY_TREE if known is None or known.kind != DIRECTORY else known.tree, entry.tree))
    plain |= met
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
