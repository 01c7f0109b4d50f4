"""How much a merge may cost: bounds that hold whatever a peer sends.

Objects are small, what they describe need not be: sixty trees that each name the next one twice expand to
2^60 paths, and a few hundred checkpoints can ask for more virtual merges than anyone can wait for. So a tree
is measured before it is believed, and the work of a merge is counted while it goes on.
"""

from collections.abc import MutableMapping
from typing import NamedTuple

from replican.decisions.treediff import Change, diff_trees
from replican.values.checkpoints import FRONTIER_LIMIT
from replican.values.errors import RefusedError
from replican.values.ids import TreeId
from replican.values.trees import DIRECTORY, TreeReader


class LimitError(RefusedError):
    """More than this program is willing to work through."""

    code = "limit"


class Limits(NamedTuple):
    """The bounds. ``frontier``, ``merges`` (virtual ones counted) and ``work`` (entries read) are those of one merge.
    The others are those of one tree with every path written out: lengths and ``size`` in bytes."""

    frontier: int = FRONTIER_LIMIT
    merges: int = 10_000
    work: int = 50_000_000
    entries: int = 50_000_000
    depth: int = 10_000
    path_length: int = 1 << 17
    size: int = 1 << 62


class Measure(NamedTuple):
    """What a tree describes when every path is written out.

    ``entries`` and ``size`` (bytes) count everything below it; ``depth`` is 1 where it holds no directories;
    ``path_length`` is that of the longest path below it.
    """

    entries: int
    size: int
    depth: int
    path_length: int


_STEP = 32
"""What a step of a walk over the log counts, in entries read: a million and a half of them take some ten seconds."""


class Budget:
    """Counts the work down of one merge; or of verifying ``received`` checkpoints, of which honest ones need little
    each, so that many of them together do not get what each would get alone."""

    __slots__ = ("limits", "merges", "work")

    def __init__(self, limits: Limits | None = None, received: int = 0) -> None:
        self.limits = limits or Limits()
        self.merges = self.limits.merges + 64 * received
        self.work = self.limits.work + 4096 * received

    def spend(self, *, merges: int = 0, entries: int = 0, steps: int = 0) -> None:
        """Account for work, of reconciling or of walking the log; raises :class:`LimitError` where none is left."""
        self.merges -= merges
        self.work -= entries + steps * _STEP
        if self.merges < 0 or self.work < 0:
            raise LimitError(
                "this merge takes more work than is allowed",
                "one of the histories that it joins is not one that replican makes",
            )


def measure_tree(
    reader: TreeReader, tree: TreeId, limits: Limits, known: MutableMapping[TreeId, Measure] | None = None
) -> Measure:
    """Measure ``tree``, reading each tree id once; raises :class:`LimitError` at the first that exceeds a limit.

    ``known`` remembers trees that were measured; those in it are not read.
    """
    if known is None:
        known = {}
    stack = [tree]
    while stack:
        at = stack[-1]
        if at in known:
            stack.pop()
            continue
        listing = reader.tree(at)
        directories = [entry for entry in listing if entry.kind == DIRECTORY]
        below = {entry.tree for entry in directories if entry.id not in known}
        if below:
            stack.extend(below)
            continue
        entries, depth = len(listing), 0
        size = sum([entry.size for entry in listing])
        length = max([len(entry.name) for entry in listing], default=0)
        for entry in directories:
            inner = known[entry.tree]
            entries += inner.entries
            size += inner.size
            depth = max(depth, inner.depth)
            length = max(length, len(entry.name) + (1 + inner.path_length if inner.entries else 0))
        measure = Measure(entries, size, depth + 1, length)
        _check(entries <= limits.entries, "tree lists too much")
        _check(size <= limits.size, "tree describes too many bytes")
        _check(measure.depth <= limits.depth, "tree is too deep")
        _check(length <= limits.path_length, "tree has paths that are too long")
        known[at] = measure
        stack.pop()
    return known[tree]


def measured_changes(
    reader: TreeReader, base: TreeId, tree: TreeId, limits: Limits, measured: MutableMapping[TreeId, Measure]
) -> list[Change]:
    """The changes from ``base`` to ``tree``, as :func:`diff_trees` has them; raises :class:`LimitError` where what of
    ``tree`` is not at the same path in ``base`` is too much.

    A tree may come to its size over many fetches, none of which sees all of it; a merge does, before any of it is
    written out. Costs what differs. ``measured`` remembers the directories that are new.
    """
    changes: list[Change] = []
    entries = 0
    for change in diff_trees(reader, base, tree):
        path, old, new = change
        depth = path.count(b"/") + 1
        entries += 1
        if new is not None and new.kind == DIRECTORY and (old is None or old.kind != DIRECTORY):
            inner = measure_tree(reader, new.tree, limits, measured)
            entries += inner.entries
            depth += inner.depth
        _check(entries <= limits.entries, "tree lists too much")
        _check(depth <= limits.depth, "tree is too deep")
        changes.append(change)
    return changes


def _check(holds: bool, problem: str) -> None:
    if not holds:
        raise LimitError(problem, "nothing that replican makes is like that: it was not taken over")
