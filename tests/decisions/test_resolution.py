"""How a conflict is ended: which names there are afterwards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_trees import MemoryTrees, parse, show

from replican.decisions.edits import edit_tree
from replican.decisions.reconcile import OpenConflict, conflicts_in, reconcile
from replican.decisions.resolution import forget, free_name, settle
from replican.decisions.treediff import find_entry
from replican.values.errors import NotFoundError, RefusedError
from replican.values.ids import TreeId
from replican.values.names import NAME_LIMIT, group_key, is_copy_name, is_tree_name


def only(trees: MemoryTrees, tree: TreeId) -> OpenConflict:
    (conflict,) = conflicts_in(trees, tree)
    return conflict


def settled(text: str, keep: str, copy: bytes | None = None) -> str:
    trees = MemoryTrees()
    tree = parse(trees, text)
    conflict = only(trees, tree)
    names = [entry.name for entry in trees.tree(tree)]
    made = edit_tree(trees, tree, settle(conflict, keep, copy, names))
    assert list(conflicts_in(trees, made)) == []
    return show(trees, made)


@pytest.mark.parametrize(
    ("text", "keep", "after"),
    [
        ("a=1@9 a~2@5 b=3", "current", "a=1@9 b=3"),
        ("a=1@9 a~2@5 b=3", "copy", "a=2@5 b=3"),
        ("a=1@9 a~2@5 b=3", "both", "a=1@9 a-2=2@5 b=3"),
        ("a=1@9 a~2@5 a-2=3", "both", "a=1@9 a-2=3 a-3=2@5"),
        ("a=1@9 a~2@5 a~3@6", "current", "a=1@9"),
        ("a=1@9 a~2@5 a~3@6", "both", "a=1@9 a-2=2@5 a-3=3@6"),
        ("a~2@5 a~3@6", "current", "a=3@6"),
        ("a~2@5 a~3@6", "copy", "a=2@5"),
        ("a~2@5 a~3@6", "both", "a=3@6 a-2=2@5"),
        ("a/x=1 a~2@5", "current", "a/x=1"),
        ("a/x=1 a~2@5", "both", "a-2=2@5 a/x=1"),
        ("a.tar.gz=1@9 a.tar.gz~2@5", "both", "a.tar-2.gz=2@5 a.tar.gz=1@9"),
        (".hidden=1@9 .hidden~2@5", "both", ".hidden-2=2@5 .hidden=1@9"),
    ],
)
def test_what_is_kept(text: str, keep: str, after: str) -> None:
    assert settled(text, keep).split() == sorted(after.split())


def test_the_copy_that_is_meant() -> None:
    trees = MemoryTrees()
    conflict = only(trees, parse(trees, "a=1@9 a~2@5 a~3@6"))
    for path, entry in conflict.copies:
        assert settle(conflict, "copy", path, [])[b"a"] == entry
    with pytest.raises(RefusedError, match="2 copies"):
        settle(conflict, "copy", None, [])
    with pytest.raises(NotFoundError, match="no copy of"):
        settle(conflict, "copy", b"none", [])


def test_a_directory_never_goes_for_a_copy() -> None:
    trees = MemoryTrees()
    conflict = only(trees, parse(trees, "a/x=1 a~2@5"))
    with pytest.raises(RefusedError, match="is a directory"):
        settle(conflict, "copy", None, [])


def test_the_same_version_twice_is_kept_once() -> None:
    assert settled("a=1@9 a~2@5 a~1@9", "both") == "a-2=2@5 a=1@9"


def test_whoever_takes_the_change_in_has_no_conflict_either() -> None:
    for keep in ("current", "copy", "both"):
        trees = MemoryTrees()
        base = parse(trees, "a=1@9 a~2@5 b=3")
        other = parse(trees, "a=1@9 a~2@5 b=4@8 c=5")
        names = [entry.name for entry in trees.tree(base)]
        mine = edit_tree(trees, base, settle(only(trees, base), keep, None, names))
        merged = reconcile(trees, base, mine, other).tree
        assert list(conflicts_in(trees, merged)) == []
        assert "b=4@8 c=5" in show(trees, merged)


def test_forgetting_a_version() -> None:
    trees = MemoryTrees()
    tree = parse(trees, "a=1@9 a~2@5 a~3@6 b=4")
    conflict = only(trees, tree)
    copy = conflict.copies[0][0]
    assert show(trees, edit_tree(trees, tree, forget(conflict, b"a", None))) == "a=3@6 a~2@5 b=4"
    assert show(trees, edit_tree(trees, tree, forget(None, b"b", None))) == "a=1@9 a~2@5 a~3@6"
    assert find_entry(trees, edit_tree(trees, tree, forget(conflict, copy, None)), copy) is None
    old = find_entry(trees, parse(trees, "b=0"), b"b")
    assert "b=0" in show(trees, edit_tree(trees, tree, forget(None, b"b", old)))


NAMES = st.binary(min_size=1, max_size=NAME_LIMIT).filter(is_tree_name)


@given(NAMES, st.integers(0, 20))
def test_a_free_name_is_one(name: bytes, taken: int) -> None:
    found: set[bytes] = {name}
    for _ in range(taken):
        found.add(free_name(name, found))
    made = free_name(name, found)
    assert made not in found
    assert is_tree_name(made)
    assert not is_copy_name(made)
    assert group_key(made) == made


@given(st.text(alphabet="aé€😀.", min_size=1, max_size=200).map(str.encode).filter(is_tree_name))
def test_a_free_name_of_utf8_is_utf8(name: bytes) -> None:
    if len(name) <= NAME_LIMIT:
        free_name(name, {name}).decode()
