"""reconcile beyond its table: properties, long names, depth, cost; and the view of open conflicts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_trees import SECOND, MemoryTrees, parse, show

from replican.decisions.limits import Budget, LimitError, Limits
from replican.decisions.reconcile import conflicts_in, reconcile
from replican.decisions.treediff import walk_tree
from replican.values.ids import EMPTY_TREE, TreeId, blob_id
from replican.values.names import NAME_LIMIT, copy_name, group_key
from replican.values.trees import DIRECTORY, FILE, LINK, Entry

# -- properties --------------------------------------------------------------------------------------------------------

_names = ["a", "b", "d/x", "d/e/y", "d", "d/e", "l"]
_contents, _times = st.sampled_from("123"), st.integers(0, 3)


@st.composite
def trees_text(draw: st.DrawFn) -> str:
    """A tree of few names and contents, so that anything meets anything."""
    items: dict[str, str] = {}
    for path in draw(st.lists(st.sampled_from(_names), max_size=6, unique=True)):
        if any(
            path.startswith(other + "/") or other.startswith(path + "/") for other in items if "/" not in items[other]
        ):
            continue
        content, mtime, perm = draw(_contents), draw(_times), draw(st.sampled_from(["", ":600", ":755"]))
        what = draw(st.integers(0, 9))
        if what == 0 and not any(other.startswith(path + "/") for other in items):
            items[path] = f"{path}/{perm}"
        elif what == 1 and not any(other.startswith(path + "/") for other in items):
            items[path] = f"{path}>{content}@{mtime}"
        elif what < 5:
            items[path + "~"] = f"{path}~{content}@{mtime}{perm}"
            if not any(other.startswith(path + "/") for other in items):
                items[path] = f"{path}={draw(_contents)}@{draw(_times)}"
        elif not any(other.startswith(path + "/") for other in items):
            items[path] = f"{path}={content}@{mtime}{perm}"
    files = {path for path, item in items.items() if not item.startswith(path + "/") and not path.endswith("~")}
    kept = [
        item
        for path, item in items.items()
        if not any(path != other and path.startswith(other + "/") for other in files)
    ]
    return " ".join(kept)


Versions = dict[tuple[bytes, bytes], set[tuple[bytes, bytes]]]


def versions_in(trees: MemoryTrees, tree: TreeId) -> Versions:
    """For each directory and group, the set of versions."""
    found: Versions = {}
    for path, entry in walk_tree(trees, tree):
        if entry.kind != DIRECTORY:
            key = (path.rpartition(b"/")[0], group_key(entry.name))
            found.setdefault(key, set()).add((entry.kind, entry.id))
    return found


@given(trees_text(), trees_text(), trees_text())
def test_symmetry_and_sets(one: str, two: str, three: str) -> None:
    trees = MemoryTrees()
    base, left, right = parse(trees, one), parse(trees, two), parse(trees, three)
    merge = reconcile(trees, base, left, right)
    assert reconcile(trees, base, right, left) == merge
    old, mine, theirs, merged = (versions_in(trees, tree) for tree in (base, left, right, merge.tree))
    for key in old.keys() | mine.keys() | theirs.keys() | merged.keys():
        b, l, r = old.get(key, set()), mine.get(key, set()), theirs.get(key, set())  # noqa: E741
        assert merged.get(key, set()) == (l & r) | (l - b) | (r - b), key


@given(trees_text(), trees_text(), trees_text())
def test_merging_the_result_again_changes_nothing(one: str, two: str, three: str) -> None:
    trees = MemoryTrees()
    base, left, right = parse(trees, one), parse(trees, two), parse(trees, three)
    merged = reconcile(trees, base, left, right).tree
    for side in (left, right):
        assert reconcile(trees, side, merged, side).tree == merged
        assert reconcile(trees, side, side, merged).tree == merged
    assert reconcile(trees, base, merged, merged).tree == merged


@given(trees_text(), trees_text())
def test_permissions_are_never_widened(one: str, two: str) -> None:
    """No version comes out with a permission that neither side gave it."""
    trees = MemoryTrees()
    left, right = parse(trees, one), parse(trees, two)
    allowed: dict[tuple[bytes, bytes], int] = {}
    for tree in (left, right):
        for _, entry in walk_tree(trees, tree):
            if entry.kind == FILE:
                key = (group_key(entry.name), entry.id)
                allowed[key] = allowed.get(key, 0) | entry.perm
    for _, entry in walk_tree(trees, reconcile(trees, EMPTY_TREE, left, right).tree):
        if entry.kind == FILE:
            assert not entry.perm & ~allowed[group_key(entry.name), entry.id]


# -- names that collide ------------------------------------------------------------------------------------------------


def file(name: bytes, content: bytes, mtime: int = 0, kind: bytes = FILE) -> Entry:
    return Entry(name, kind, 0o777 if kind == LINK else 0o644, len(content), mtime * SECOND, blob_id(content))


def listing(trees: MemoryTrees, *entries: Entry) -> TreeId:
    return trees.add(sorted(entries))


@pytest.mark.parametrize("name", [b"x" * 255, b"x" * 251 + b".txt", "é".encode() * 127, b"a." + b"x" * 253])
def test_a_long_name_keeps_its_name_and_its_copies_are_cut(name: bytes) -> None:
    trees = MemoryTrees()
    base, left, right = (listing(trees, file(name, each, at)) for at, each in enumerate([b"1", b"2", b"3"]))
    merge = reconcile(trees, base, left, right)
    copy, current = sorted(trees.tree(merge.tree), key=lambda entry: entry.mtime_ns)
    assert merge.conflicts == (name,)
    assert (current.name, current.blob) == (name, blob_id(b"3"))
    assert copy.blob == blob_id(b"2")
    assert len(copy.name) <= NAME_LIMIT
    assert group_key(copy.name) == group_key(name)
    (conflict,) = conflicts_in(trees, merge.tree)
    assert conflict.path == name
    assert conflict.current == current
    assert conflict.copies == ((copy.name, copy),)
    resolved = listing(trees, current)
    edited = listing(trees, current, file(copy.name, b"4", 9))
    again = reconcile(trees, merge.tree, resolved, edited)
    assert {entry.blob for entry in trees.tree(again.tree)} == {blob_id(b"3"), blob_id(b"4")}
    assert name in {entry.name for entry in trees.tree(again.tree)}


def test_a_long_name_of_a_directory() -> None:
    trees = MemoryTrees()
    name = b"d" * 255
    inner = listing(trees, file(b"f", b"1"))
    left = listing(trees, Entry(name, DIRECTORY, 0o755, 0, 0, inner))
    right = listing(trees, file(name, b"2", 3))
    merge = reconcile(trees, EMPTY_TREE, left, right)
    directory, copy = sorted(trees.tree(merge.tree), key=lambda entry: entry.mtime_ns)
    assert (directory.name, directory.tree) == (name, inner)
    assert copy.blob == blob_id(b"2")
    assert merge.conflicts == (name,)


def test_equal_bytes_and_times_as_file_and_link_and_something_else() -> None:
    trees = MemoryTrees()
    left = listing(trees, file(b"a", b"x", 1), file(copy_name(b"a", 0, blob_id(b"z"), ()), b"y", 9))
    right = listing(trees, file(b"a", b"x", 1, LINK))
    merged = trees.tree(reconcile(trees, EMPTY_TREE, left, right).tree)
    assert {(entry.kind, entry.blob) for entry in merged} == {
        (FILE, blob_id(b"x")),
        (LINK, blob_id(b"x")),
        (FILE, blob_id(b"y")),
    }
    assert len({entry.name for entry in merged}) == 3


def test_a_directory_has_the_name_of_the_copy() -> None:
    """The copy then has more digits."""
    trees = MemoryTrees()
    name = copy_name(b"a", 1 * SECOND, blob_id(b"1"), ())
    inner = listing(trees, file(b"f", b"1"))
    left = listing(trees, file(b"a", b"1", 1), Entry(name, DIRECTORY, 0o755, 0, 0, inner))
    right = listing(trees, file(b"a", b"2", 2))
    merged = {entry.name: entry for entry in trees.tree(reconcile(trees, EMPTY_TREE, left, right).tree)}
    assert merged[name].kind == DIRECTORY
    longer = copy_name(b"a", 1 * SECOND, blob_id(b"1"), {name})
    assert merged[longer].blob == blob_id(b"1")
    assert merged[b"a"].blob == blob_id(b"2")


def test_sizes_that_lie_do_not_break_symmetry() -> None:
    trees = MemoryTrees()
    left, right = (listing(trees, file(b"a", b"1")._replace(size=size)) for size in (3, 7))
    assert reconcile(trees, EMPTY_TREE, left, right) == reconcile(trees, EMPTY_TREE, right, left)


# -- cost --------------------------------------------------------------------------------------------------------------


def test_only_what_differs_is_read() -> None:
    trees = MemoryTrees()

    def wide(at: int, content: str) -> TreeId:
        return parse(trees, " ".join(f"d{i}/e/f={content if i == at else 1}" for i in range(50)))

    base, left, right = wide(0, "1"), wide(7, "2"), wide(9, "3")
    trees.read.clear()
    merged = reconcile(trees, base, left, right)
    assert sum(trees.read.values()) == 3, "the root alone: below it, one side is as the base"
    assert "d7/e/f=2" in show(trees, merged.tree)
    assert "d9/e/f=3" in show(trees, merged.tree)


def test_thousands_deep() -> None:
    trees = MemoryTrees()

    def deep(*entries: Entry) -> TreeId:
        tree = listing(trees, *entries)
        for _ in range(3000):
            tree = listing(trees, Entry(b"d", DIRECTORY, 0o755, 0, 0, tree))
        return tree

    base, left, right = deep(file(b"a", b"1")), deep(file(b"a", b"2", 2)), deep(file(b"a", b"3", 3))
    merge = reconcile(trees, base, left, right)
    assert merge.conflicts == (b"d/" * 3000 + b"a",)
    assert sum(1 for _ in conflicts_in(trees, merge.tree)) == 1


def test_the_budget_is_kept() -> None:
    trees = MemoryTrees()
    base, left, right = parse(trees, "a=1 b=1"), parse(trees, "a=2 b=1"), parse(trees, "a=1 b=3")
    reconcile(trees, base, left, right, Budget(Limits(work=7)))
    with pytest.raises(LimitError):
        reconcile(trees, base, left, right, Budget(Limits(work=6)))


# -- open conflicts ----------------------------------------------------------------------------------------------------


def open_conflicts(text: str) -> list[str]:
    """For each: the path, the current content (or ``/``), then the copies' contents."""
    trees = MemoryTrees()
    return [
        " ".join(
            [
                group_key(path).decode() + ("" if group_key(path) == path else "~"),
                "/" if current.kind == DIRECTORY else trees.contents[current.blob],
                *(trees.contents[entry.blob] for _, entry in copies),
            ]
        )
        for path, current, copies in conflicts_in(trees, parse(trees, text))
    ]


@pytest.mark.parametrize(
    ("tree", "conflicts"),
    [
        ("", []),
        ("a=1 b=2 d/a=3", []),
        ("a=1@2 a~2@1", ["a 1 2"]),
        ("a=1@3 a~2@1 a~3@2", ["a 1 2 3"]),
        ("d/e/a=1@2 d/e/a~2@1 z=1", ["d/e/a 1 2"]),
        ("a/b=1 a~2@1", ["a / 2"]),
        ("a/ a~2@1 a~3@2", ["a / 2 3"]),
        ("a~2@1", []),
        ("a~2@1 a~3@2", ["a~ 3 2"]),
        ("a=2@1 a~2@1", []),
        ("a=2@1 a~2@1 a~3@1", ["a 2 2 3"]),
        ("a=x a~x>x", ["a x x"]),
        ("b=1@2 b~2@1 a=1@2 a~2@1 c/a=1@2 c/a~2", ["a 1 2", "b 1 2", "c/a 1 2"]),
    ],
)
def test_conflicts_in(tree: str, conflicts: list[str]) -> None:
    assert open_conflicts(tree) == conflicts
