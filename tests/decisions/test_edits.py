"""Edits of trees: paths get other entries, and the directories above follow."""

from tiny_trees import MemoryTrees, parse, show

from replican.decisions.edits import edit_tree
from replican.decisions.treediff import find_entry
from replican.values.trees import Entry, parse_tree


def edited(text: str, came: str = "", gone: str = "") -> str:
    trees = MemoryTrees()
    tree = parse(trees, text)
    other = parse(trees, came)
    changes: dict[bytes, Entry | None] = {path.encode(): None for path in gone.split()}
    for item in came.split():
        path = item.partition("=")[0].partition("@")[0].encode()
        changes[path.rstrip(b"/")] = find_entry(trees, other, path.rstrip(b"/"))
    made = edit_tree(trees, tree, changes)
    parse_tree(trees.new[made])
    return show(trees, made)


def test_nothing_to_do_leaves_the_tree() -> None:
    trees = MemoryTrees()
    tree = parse(trees, "a=1 d/b=2")
    assert edit_tree(trees, tree, {}) == tree
    assert edit_tree(trees, tree, {b"x/y/z": None}) == tree


def test_a_file_comes_goes_and_changes() -> None:
    assert edited("a=1 b=1", came="c=1") == "a=1 b=1 c=1"
    assert edited("a=1 b=1", gone="a") == "b=1"
    assert edited("a=1@1 b=1", came="a=2@5") == "a=2@5 b=1"
    assert edited("d/e/a=1 d/b=1 x=1", came="d/e/a=2") == "d/b=1 d/e/a=2 x=1"


def test_several_at_once_below_each_other() -> None:
    assert edited("d/e/a=1 d/b=1", came="d/c=3 d/e/f/g=4 h=5", gone="d/e/a") == "d/b=1 d/c=3 d/e/f/g=4 h=5"


def test_missing_directories_are_made() -> None:
    assert edited("", came="d/e/a=1") == "d/e/a=1"


def test_a_directory_that_loses_its_last_entry_stays() -> None:
    assert edited("d/a=1", gone="d/a") == "d/"


def test_a_directory_goes_with_all_below_it() -> None:
    assert edited("d/a=1 d/e/b=1 x=1", gone="d d/a d/e/b") == "x=1"


def test_a_file_gives_way_to_a_directory() -> None:
    assert edited("d=1", came="d/a=1") == "d/a=1"


def test_what_goes_and_was_never_there_makes_no_directories() -> None:
    assert edited("a=1", gone="d/e") == "a=1"
    assert edited("d=1", gone="d/e") == "d=1"
