import pytest
from tiny_trees import MemoryTrees, parse

from replican.decisions.limits import Budget, LimitError, Limits, Measure, measure_tree
from replican.values.ids import EMPTY_TREE, TreeId
from replican.values.trees import DIRECTORY, FILE, Entry


def bomb(trees: MemoryTrees, floors: int) -> TreeId:
    """Trees that each name the next one twice."""
    tree = trees.add([Entry(b"f", FILE, 0o644, 1, 0, bytes(32))])
    for _ in range(floors):
        tree = trees.add([Entry(name, DIRECTORY, 0o755, 0, 0, tree) for name in (b"a", b"b")])
    return tree


def test_measure() -> None:
    trees = MemoryTrees()
    tree = parse(trees, "a=12 bb/ccc=123 bb/d/ l>x")
    assert measure_tree(trees, tree, Limits()) == Measure(entries=5, size=6, depth=3, path_length=6)
    assert measure_tree(trees, EMPTY_TREE, Limits()) == Measure(0, 0, 1, 0)
    assert measure_tree(trees, parse(trees, "abc/"), Limits()) == Measure(1, 0, 2, 3)


def test_a_bomb_is_refused_and_each_tree_read_once_or_twice() -> None:
    trees = MemoryTrees()
    tree = bomb(trees, 60)
    trees.read.clear()
    with pytest.raises(LimitError, match="lists too much"):
        measure_tree(trees, tree, Limits())
    assert sum(trees.read.values()) <= 2 * 61


def test_known_trees_are_not_read() -> None:
    trees = MemoryTrees()
    known: dict[TreeId, Measure] = {}
    tree = bomb(trees, 10)
    measure_tree(trees, tree, Limits(), known)
    assert known[tree].entries == 3 * 2**10 - 2
    trees.read.clear()
    assert measure_tree(trees, tree, Limits(), known) == known[tree]
    assert not trees.read


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        (Limits(entries=4), "lists too much"),
        (Limits(size=8), "too many bytes"),
        (Limits(depth=3), "too deep"),
        (Limits(path_length=10), "too long"),
    ],
)
def test_each_limit(limits: Limits, problem: str) -> None:
    trees = MemoryTrees()
    tree = parse(trees, "aa/bbb/cc/d=12345 aa/x=1234")
    measure_tree(trees, tree, Limits(entries=5, size=9, depth=4, path_length=11))
    with pytest.raises(LimitError, match=problem):
        measure_tree(trees, tree, limits)


def test_thousands_deep() -> None:
    trees = MemoryTrees()
    tree = trees.add([])
    for _ in range(5000):
        tree = trees.add([Entry(b"d", DIRECTORY, 0o755, 0, 0, tree)])
    assert measure_tree(trees, tree, Limits()) == Measure(5000, 0, 5001, 9999)


def test_budget() -> None:
    budget = Budget(Limits(merges=2, work=10))
    budget.spend(merges=2, entries=10)
    with pytest.raises(LimitError):
        budget.spend(entries=1)
    budget = Budget(Limits(merges=2, work=10))
    with pytest.raises(LimitError):
        budget.spend(merges=3)
