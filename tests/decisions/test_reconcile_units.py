"""reconcile of units, row by row: directories that are taken as one. The rows' language is that of tiny_trees.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reconcile_rows import Row
from tiny_trees import MemoryTrees, parse

from replican.decisions.limits import Budget, LimitError, Limits
from replican.decisions.reconcile import OpenConflict, conflicts_in, reconcile
from replican.decisions.treediff import diff_trees, walk_tree
from replican.decisions.units import newest_in
from replican.values.ids import EMPTY_TREE
from replican.values.trees import DIRECTORY

ROWS = [
    # -- one side, or both alike
    Row("a new unit", "", "u!a=1", "", "u!a=1"),
    Row("the same new unit on both", "", "u!a=1", "u!a=1", "u!a=1"),
    Row("an edit in a unit", "u!a=1,b=1", "u!a=2,b=1", "u!a=1,b=1", "u!a=2,b=1"),
    Row("the same edit on both", "u!a=1", "u!a=2", "u!a=2", "u!a=2"),
    Row("a unit goes", "u!a=1 b=1", "b=1", "u!a=1 b=1", "b=1"),
    Row("edits beside a unit", "u!a=1 b=1 c=1", "u!a=2 b=1 c=2", "u!a=1 b=2 c=1", "u!a=2 b=2 c=2"),
    # -- against each other
    Row("edits of different files of a unit", "u!a=1,b=1", "u!a=2@9,b=1", "u!a=1,b=2@8",
        "u!a=2@9,b=1 u~!a=1,b=2@8", "u"),
    Row("the unit with the newest file keeps the name", "u!a=1", "u!a=2@7,b=1@1", "u!a=3@5,c/b=1@6",
        "u!a=2@7,b=1@1 u~!a=3@5,c/b=1@6", "u"),
    Row("below a directory", "d/u!a=1 d/x=1", "d/u!a=2@7 d/x=1", "d/u!a=3@5 d/x=2",
        "d/u!a=2@7 d/u~!a=3@5 d/x=2", "d/u"),
    Row("different new units", "", "u!a=1@5", "u!b=1@4", "u!a=1@5 u~!b=1@4", "u"),
    Row("units with an extension", "", "u.git!a=1@5", "u.git!b=1@4", "u.git!a=1@5 u.git~!b=1@4", "u.git"),
    Row("edit and deletion: whole", "u!a=1,b=1,c/d=1", "u!a=2,b=1,c/d=1", "", "u!a=2,b=1,c/d=1"),
    Row("a deletion in it and an edit in it", "u!a=1,b=1", "u!b=1@5", "u!a=1,b=2@9", "u!a=1,b=2@9 u~!b=1@5", "u"),
    Row("both delete, one makes another", "u!a=1", "", "u!b=2", "u!b=2"),
    Row("a rename of a unit and an edit of it", "u!a=1,b=1", "v!a=1,b=1", "u!a=2,b=1", "u!a=2,b=1 v!a=1,b=1"),
    Row("goes back to what the other had edited", "u!a=1", "u!a=1", "u!a=2", "u!a=2"),
    Row("an empty unit against an edit", "u!a=1", "u!", "u!a=2@4", "u!a=2@4 u~!", "u"),
    # -- permissions and times
    Row("permissions of a unit on one side", "u!a=1", "u!a=1!700", "u!a=1", "u!a=1!700"),
    Row("permissions on both: what both allow", "u!a=1!777", "u!a=1!750", "u!a=1!705", "u!a=1!700"),
    Row("permissions do not outlive a deletion", "u!a=1 b=1", "u!a=1!700 b=1", "b=1", "b=1"),
    Row("permissions and an edit: the edit", "u!a=1", "u!a=1!700", "u!a=2", "u!a=2"),
    Row("times are a unit's content", "u!a=1", "u!a=1@9", "u!a=2@5", "u!a=1@9 u~!a=2@5", "u"),
    # -- files, links and plain directories of the same name
    Row("a file here, a unit there", "", "u=1@99", "u!a=1", "u!a=1 u~1@99", "u"),
    Row("a link here, a unit there", "", "u>x@99", "u!a=1", "u!a=1 u~x>x@99", "u"),
    Row("a unit becomes a file, and is edited", "u!a=1", "u=3@4", "u!a=2", "u!a=2 u~3@4", "u"),
    Row("a unit becomes a file", "u!a=1 b=1", "u=3@4 b=1", "u!a=1 b=1", "u=3@4 b=1"),
    Row("a file becomes a unit, and is edited", "u=1", "u!a=1", "u=2@2", "u!a=1 u~2@2", "u"),
    Row("a new unit here, a new directory there: two units", "", "u!a=1@5", "u/b=1@4", "u!a=1@5 u~!b=1@4", "u"),
    # -- a directory becomes a unit, or is none any more
    Row("becomes a unit", "u/a=1", "u!a=1", "u/a=1", "u!a=1"),
    Row("becomes a unit, and is edited there", "u/a=1 u/b=1", "u!a=1,b=1", "u/a=2 u/b=1", "u!a=2,b=1"),
    Row("becomes a unit, edited on both", "u/a=1 u/b=1", "u!a=2@5,b=1", "u/a=1 u/b=2@4",
        "u!a=2@5,b=1 u~!a=1,b=2@4", "u"),
    Row("becomes a unit, and goes there", "u/a=1 b=1", "u!a=1 b=1", "b=1", "b=1"),
    Row("becomes a unit with an edit, and goes there", "u/a=1 u/b=1", "u!a=2,b=1", "", "u!a=2,b=1"),
    Row("becomes a unit, emptied there", "u/a=1 b=1", "u!a=1 b=1", "u/ b=1", "u! b=1"),
    Row("is none any more", "u!a=1", "u/a=1", "u!a=1", "u/a=1"),
    Row("is none any more, and is edited there: it is one", "u!a=1,b=1", "u/a=1 u/b=1", "u!a=2,b=1", "u!a=2,b=1"),
    Row("is none any more for either: merged by names", "u!a=1,b=1", "u/a=2 u/b=1", "u/a=1 u/b=2", "u/a=2 u/b=2"),
    Row("becomes a unit on both, edited on both", "u/a=1", "u!a=2@5", "u!a=3@4", "u!a=2@5 u~!a=3@4", "u"),
    # -- conflicts that are open already
    Row("an open conflict lies as it lies", "u!a=2@5 u~!a=3@4 b=1", "u!a=2@5 u~!a=3@4 b=2", "u!a=2@5 u~!a=3@4 b=1",
        "u!a=2@5 u~!a=3@4 b=2"),
    Row("resolved on one side: the current stays", "u!a=2@5 u~!a=3@4", "u!a=2@5", "u!a=2@5 u~!a=3@4", "u!a=2@5"),
    Row("resolved on one side: the copy stays", "u!a=2@5 u~!a=3@4", "u!a=3@4", "u!a=2@5 u~!a=3@4", "u!a=3@4"),
    Row("resolved here, the current edited there", "u!a=2@5 u~!a=3@4", "u!a=3@4", "u!a=4@9 u~!a=3@4",
        "u!a=4@9 u~!a=3@4", "u"),
    Row("resolved here by deletion, the current edited there", "u!a=2@5 u~!a=3@4", "u!a=2@5", "u!a=4@9 u~!a=3@4",
        "u!a=4@9"),
    Row("a third version joins", "u!a=1", "u!a=2@5 u~!a=3@4", "u!a=4@6", "u!a=4@6 u~!a=2@5 u~!a=3@4", "u"),
    Row("a directory in a unit", "u!v/a=1", "u!v/a=2@5", "u!v/a=3@4", "u!v/a=2@5 u~!v/a=3@4", "u"),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[row.what for row in ROWS])
def test_row(row: Row) -> None:
    row.check()


@pytest.mark.parametrize("row", ROWS, ids=[row.what for row in ROWS])
def test_row_against_its_base(row: Row) -> None:
    row.check_against_base()


_units = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c/a"]), st.sampled_from("123"), st.integers(0, 3)),
    max_size=3,
    unique_by=lambda each: each[0],
)


@st.composite
def folders(draw: st.DrawFn) -> str:
    """A few names, each of them a unit, a plain directory, a file or nothing, maybe with a copy beside it."""
    items = []
    for name in ("u", "v", "d/u"):
        files = [f"{path}={content}@{mtime}" for path, content, mtime in draw(_units)]
        what = draw(st.integers(0, 9))
        if what < 6:
            items.append(f"{name}!{','.join(files)}")
        elif what < 8:
            items += [f"{name}/{file}" for file in files] or [f"{name}/"]
        elif what < 9:
            items.append(f"{name}={draw(st.sampled_from('123'))}@{draw(st.integers(0, 3))}")
        if draw(st.integers(0, 3)) == 0:
            items.append(f"{name}~!a={draw(st.sampled_from('123'))}@{draw(st.integers(0, 3))}")
    return " ".join(items)


def _directories(trees: MemoryTrees, text: str) -> set[bytes]:
    return {entry.id for _, entry in walk_tree(trees, parse(trees, text)) if entry.kind == DIRECTORY}


@given(folders(), folders(), folders())
def test_whatever_is_merged_a_unit_is_one_of_a_side_and_sides_are_alike(base: str, left: str, right: str) -> None:
    trees = MemoryTrees()
    old, one, other = (parse(trees, text) for text in (base, left, right))
    merge = reconcile(trees, old, one, other)
    assert reconcile(trees, old, other, one) == merge
    assert reconcile(trees, old, merge.tree, one) == reconcile(trees, old, one, merge.tree)
    had = _directories(trees, left) | _directories(trees, right)
    for _, entry in walk_tree(trees, merge.tree):
        assert not entry.is_unit or entry.id in had


def test_every_row_has_its_own_name() -> None:
    assert len({row.what for row in ROWS}) == len(ROWS) > 40


def test_open_conflicts_of_units() -> None:
    trees = MemoryTrees()
    tree = parse(trees, "d/u!a=2@5,x=1,x~2@1 d/u~!a=3@4 w!y=2@5 w~3@4")
    found: list[OpenConflict] = list(conflicts_in(trees, tree))
    assert [(each.path, each.current.is_unit) for each in found] == [(b"w", True), (b"d/u", True)]
    assert [[entry.kind == DIRECTORY for _, entry in each.copies] for each in found] == [[False], [True]]


def test_a_unit_that_differs_is_a_change_of_its_own() -> None:
    trees = MemoryTrees()
    old, new = parse(trees, "u!a=1,b=1 d/a=1 v/c=1"), parse(trees, "u!a=2,b=1 d/a=2 v!c=2")
    assert [change.path for change in diff_trees(trees, old, new)] == [b"d/a", b"u", b"u/a", b"v", b"v/c"]
    assert [change.path for change in diff_trees(trees, new, old)] == [b"d/a", b"u", b"u/a", b"v", b"v/c"]


def test_what_deciding_between_units_costs_is_bounded() -> None:
    trees = MemoryTrees()
    many = [",".join(f"f{number}={side}" for number in range(50)) for side in (2, 3)]
    base, left, right = (parse(trees, text) for text in ("", f"u!{many[0]}", f"u!{many[1]}"))
    assert reconcile(trees, base, left, right, Budget(Limits(work=200))).conflicts == (b"u",)
    with pytest.raises(LimitError):
        reconcile(trees, base, left, right, Budget(Limits(work=60)))


def test_the_newest_in_a_unit() -> None:
    trees = MemoryTrees()
    assert newest_in(trees, parse(trees, "a=1@5 d/b=1@7 d/l>x@6")) == 7 * 10**9
    assert newest_in(trees, parse(trees, "a=1@-5 d/")) == -5 * 10**9
    assert newest_in(trees, EMPTY_TREE) == 0
