from hypothesis import given
from hypothesis import strategies as st
from tiny_trees import MemoryTrees, parse

from replican.decisions.treediff import Tally, diff_trees, entry_named, find_entry, tally, walk_tree
from replican.values.ids import EMPTY_TREE, TreeId, blob_id
from replican.values.trees import DIRECTORY, FILE, Entry


def changes(old: str, new: str) -> str:
    """``+path``, ``-path``, ``!path`` (both), in the order in which they come; a directory has its slash."""
    trees = MemoryTrees()
    items = []
    for path, before, after in diff_trees(trees, parse(trees, old), parse(trees, new)):
        entry = after or before
        assert entry
        mark = "!" if before and after else "+" if after else "-"
        items.append(mark + path.decode() + ("/" if entry.kind == DIRECTORY else ""))
    return " ".join(items)


def test_nothing() -> None:
    assert changes("", "") == ""
    assert changes("a=1 d/b=2", "a=1 d/b=2") == ""


def test_files() -> None:
    assert changes("a=1 b=1 c=1", "a=2 b=1 d=1") == "!a -c +d"


def test_attributes() -> None:
    assert changes("a=1 b=1 l>x", "a=1@1 b=1:600 l>x@2") == "!a !b !l"


def test_a_directory_that_comes_or_goes_is_one_change() -> None:
    assert changes("d/a=1 d/b=2", "e/a=1 e/b=2 e/f/g=1") == "-d/ +e/"


def test_a_directory_on_both_sides_is_descended() -> None:
    assert changes("d/a=1 d/e/b=2 d/e/c=1", "d/a=1 d/e/b=3 d/n/x=1 d/e/c=1") == "!d/e/b +d/n/"


def test_permissions_of_a_directory() -> None:
    assert changes("d/a=1 e/a=1", "d/:700 d/a=1 e/:700 e/a=2") == "!d/ !e/ !e/a"


def test_a_file_and_a_directory() -> None:
    assert changes("a=1 b/c=1", "a/x=1 b=1") == "!a/ !b"
    assert changes("a/:700", "a/") == "!a/"


def test_empty_directories() -> None:
    assert changes("a/ b/c/", "b/") == "-a/ -b/c/"


def test_order_is_that_of_a_walk() -> None:
    assert changes("", "b/x=1 a=1 b.c=1") == "+a +b/ +b.c"
    assert changes("b/z=0 b.c=0", "b/x=1 b/z=0 a=1 b.c=1") == "+a +b/x !b.c"


def test_only_what_differs_is_read() -> None:
    trees = MemoryTrees()
    old = parse(trees, " ".join(f"d{i}/e{j}/f=1" for i in range(20) for j in range(20)))
    new = parse(trees, " ".join(f"d{i}/e{j}/f={2 if i == j == 7 else 1}" for i in range(20) for j in range(20)))
    trees.read.clear()
    assert [change.path for change in diff_trees(trees, old, new)] == [b"d7/e7/f"]
    assert sum(trees.read.values()) == 6


def test_thousands_deep() -> None:
    trees = MemoryTrees()

    def deep(content: str) -> TreeId:
        tree = trees.add([Entry(b"f", FILE, 0o644, 1, 0, blob_id(content.encode()))])
        for _ in range(3000):
            tree = trees.add([Entry(b"d", DIRECTORY, 0o755, 0, 0, tree)])
        return tree

    one, other = deep("1"), deep("2")
    (change,) = diff_trees(trees, one, other)
    assert change.path == b"d/" * 3000 + b"f"
    assert sum(1 for _ in walk_tree(trees, one)) == 3001
    assert find_entry(trees, other, change.path) == change.new


def test_walk() -> None:
    trees = MemoryTrees()
    tree = parse(trees, "a=1 b/c=1 b/d/ b.e=1")
    assert [path for path, _ in walk_tree(trees, tree)] == [b"a", b"b", b"b/c", b"b/d", b"b.e"]
    assert [path for path, _ in walk_tree(trees, tree, b"x/y")][:3] == [b"x/y/a", b"x/y/b", b"x/y/b/c"]
    assert list(walk_tree(trees, EMPTY_TREE)) == []


def test_find() -> None:
    trees = MemoryTrees()
    tree = parse(trees, "a=1 b/c/d=2 e=3")
    found = find_entry(trees, tree, b"b/c/d")
    assert found
    assert found.blob == blob_id(b"2")
    assert find_entry(trees, tree, b"b/c/x") is None
    assert find_entry(trees, tree, b"a/c") is None
    assert find_entry(trees, tree, b"x/c") is None
    assert find_entry(trees, tree, b"z") is None


@given(st.sets(st.binary(min_size=1, max_size=3)), st.binary(min_size=1, max_size=3))
def test_entry_named(names: set[bytes], wanted: bytes) -> None:
    entries = [Entry(name, FILE, 0o644, 0, 0, bytes(32)) for name in sorted(names)]
    found = entry_named(entries, wanted)
    assert (found is not None and found.name == wanted) == (wanted in names)


def counted(old: str, new: str) -> Tally:
    trees = MemoryTrees()
    return tally(trees, parse(trees, old), parse(trees, new))


def test_tally() -> None:
    assert counted("", "a=1 d/b=2 d/e/") == Tally(added=2, deleted=0, moved=0, changed=0)
    assert counted("a=1 d/b=2 d/e/", "") == Tally(added=0, deleted=2, moved=0, changed=0)
    assert counted("a=1 b=1", "a=2 b=1:600") == Tally(added=0, deleted=0, moved=0, changed=2)
    assert counted("d/a=1 d/b=2", "e/a=1 e/b=2") == Tally(added=0, deleted=0, moved=2, changed=0)
    assert counted("d/a=1 d/b=2", "d/x=1") == Tally(added=0, deleted=1, moved=1, changed=0)
    assert counted("a=1", "a/b=1 a/c=1") == Tally(added=1, deleted=0, moved=1, changed=0)
    assert counted("a/b=1 a/c=2", "a=3") == Tally(added=1, deleted=2, moved=0, changed=0)
    assert counted("d/:700 d/a=1", "d/a=1") == Tally(0, 0, 0, 0)


FILES = st.dictionaries(
    st.sampled_from([f"{place}{name}" for place in ("", "d/", "e/", "f/", "d/g/", "e/g/", "h/d/") for name in "ab"]),
    st.sampled_from("12"),
    max_size=8,
)
"""Few names and contents: many directories have the same tree as another."""


@given(FILES, FILES)
def test_what_only_moved_is_counted_by_who_knows_it(before: dict[str, str], after: dict[str, str]) -> None:
    """With the very result of who reads it all."""
    trees = MemoryTrees()
    old, new = [parse(trees, " ".join(f"{at}={is_}" for at, is_ in each.items())) for each in (before, after)]
    asked: list[bytes] = []

    def count(path: bytes) -> int:
        asked.append(path)
        found = find_entry(trees, new, path)
        assert found is not None
        return sum(entry.kind != b"d" for _, entry in walk_tree(trees, found.tree))

    assert tally(trees, old, new, count) == tally(trees, old, new)
    assert len(set(asked)) == len(asked)


def test_nothing_is_read_of_what_only_moved() -> None:
    trees = MemoryTrees()
    old, new = parse(trees, "d/a=1 d/e/b=2 x=1"), parse(trees, "f/a=1 f/e/b=2 x=2")
    trees.read.clear()
    assert tally(trees, old, new, lambda path: {b"f": 2}[path]) == Tally(0, 0, 2, 1)
    assert set(trees.read) == {old, new}
