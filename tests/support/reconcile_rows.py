"""Rows of what reconcile makes of three trees, in the language of tiny_trees.py, and what each of them has to hold."""

from typing import NamedTuple

from tiny_trees import MemoryTrees, parse, show

from replican.decisions.reconcile import reconcile


class Row(NamedTuple):
    what: str
    base: str
    left: str
    right: str
    merged: str
    conflicts: str = ""

    def check(self) -> None:
        """It comes to the tree and the conflicts that it says, whichever side is which."""
        trees = MemoryTrees()
        base, left, right = parse(trees, self.base), parse(trees, self.left), parse(trees, self.right)
        merge = reconcile(trees, base, left, right)
        assert show(trees, merge.tree) == " ".join(sorted(self.merged.split()))
        assert [path.decode() for path in merge.conflicts] == self.conflicts.split()
        assert reconcile(trees, base, right, left) == merge

    def check_against_base(self) -> None:
        """What only one side has changed, or both alike, is so."""
        trees = MemoryTrees()
        base, left, right = parse(trees, self.base), parse(trees, self.left), parse(trees, self.right)
        for side in (left, right):
            assert reconcile(trees, base, side, base).tree == side
            assert reconcile(trees, base, side, side).tree == side
            assert reconcile(trees, side, side, base).tree == base
