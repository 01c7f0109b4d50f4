"""What of a tree a weak file system can hold."""

import pytest

from replican.decisions.fitting import fit, plan_for
from replican.decisions.treediff import walk_tree
from replican.values.ids import EMPTY_TREE, TreeId, blob_id
from replican.values.traits import STRONG, Traits
from replican.values.trees import Entry, TreeOverlay

FAT = Traits(folds_case=True, links=False, modes=False, step_ns=2_000_000_000, refused=":", utf8=True)
NFD = Traits(folds_form=True)
COMPOSED, DECOMPOSED = "\u00e9", "e\u0301"


class Nothing:
    def tree(self, tree: TreeId, /) -> tuple[Entry, ...]:
        assert tree == EMPTY_TREE
        return ()


def build(trees: TreeOverlay, what: dict) -> TreeId:
    """A tree: a text is a file's content (a link's target, where it begins with ``->``), a mapping a directory."""
    entries = []
    for text, content in what.items():
        name = text.encode("utf-8", "surrogateescape")
        if isinstance(content, dict):
            entries.append(Entry(name, b"d", 0o755, 0, 0, build(trees, content)))
        else:
            link = content.startswith("->")
            data = content.encode()
            entries.append(Entry(name, b"l" if link else b"f", 0o777 if link else 0o644, len(data), 1, blob_id(data)))
    return trees.add(sorted(entries)) if entries else EMPTY_TREE


@pytest.mark.parametrize(
    ("traits", "base", "head", "fitted", "recased"),
    [
        (FAT, {}, {"a": "1", "A": "2"}, {"A": "2"}, []),
        (FAT, {"a": "1"}, {"a": "1", "A": "2"}, {"a": "1"}, []),
        (FAT, {"a": "old"}, {"A": "old"}, {"A": "old"}, ["a>A"]),
        (FAT, {"a": "old"}, {"A": "new"}, {"A": "new"}, ["a>A"]),
        (FAT, {"a": "old"}, {"A": {"x": "1"}}, {"A": {"x": "1"}}, ["a>A"]),
        (FAT, {"a": "1"}, {"A": "2", "b": "1"}, {"A": "2", "b": "1"}, ["a>A"]),
        (FAT, {}, {"a": {"x": "1"}, "A": "2"}, {"A": "2"}, []),
        (FAT, {"d": {"x": "1"}}, {"D": {"X": "1", "y": "2"}}, {"D": {"X": "1", "y": "2"}}, ["d/x>d/X", "d>D"]),
        (FAT, {"d": {"x": "1"}}, {"d": {"x": "1"}, "D": {"y": "2"}}, {"d": {"x": "1"}}, []),
        (FAT, {"d": {"x": "1"}}, {"d": {"x": "1"}, "D": {"x": "1", "y": "2"}}, {"d": {"x": "1"}}, []),
        (FAT, {}, {"l": "->x", "x": "1"}, {"x": "1"}, []),
        (FAT, {"l": "a file"}, {"l": "->x"}, {"l": "a file"}, []),
        (FAT, {}, {"a:b": "1", "d": {"c:d": "2"}}, {"d": {}}, []),
        (FAT, {}, {"\udcff": "1"}, {}, []),
        (NFD, {COMPOSED: "1"}, {COMPOSED: "1", DECOMPOSED: "2"}, {COMPOSED: "1"}, []),
        (NFD, {COMPOSED: "1"}, {DECOMPOSED: "1"}, {DECOMPOSED: "1"}, [f"{COMPOSED}>{DECOMPOSED}"]),
        (NFD, {}, {"a": "1", "A": "2"}, {"a": "1", "A": "2"}, []),
        (Traits(form="NFD", folds_form=True), {}, {COMPOSED: "1", "e": "2"}, {"e": "2"}, []),
        (Traits(name_limit=143), {}, {"x" * 144: "1", "x" * 143: "2"}, {"x" * 143: "2"}, []),
    ],
)
def test_what_fits(traits: Traits, base: dict, head: dict, fitted: dict, recased: list[str]) -> None:
    trees = TreeOverlay(Nothing())
    before, after = build(trees, base), build(trees, head)
    found = fit(trees, traits, before, after)
    assert found.tree == build(trees, fitted)
    assert [f"{move.old.decode()}>{move.new.decode()}" for move in found.recased] == recased
    paths = {path for path, _ in walk_tree(trees, after)}
    assert all(problem.held and problem.path in paths for problem in found.held)
    assert bool(found.held) == (found.tree != after)
    # Once more, from where that leads to: nothing is to be done any more, and the same is held.
    again = fit(trees, traits, found.tree, after)
    assert (again.tree, again.held, again.recased) == (found.tree, found.held, ())


def test_a_strong_file_system_holds_all_and_nothing_is_compared() -> None:
    trees = TreeOverlay(Nothing())
    head = build(trees, {"a": "1", "A": "2", "l": "->x"})
    assert STRONG.holds_all
    assert Traits(modes=False, step_ns=1_000_000_000).holds_all
    plan = plan_for(trees, Traits(modes=False), EMPTY_TREE, head)
    assert (plan.held, plan.recased, plan.fitted) == ((), (), None)


def test_traits_are_kept_as_they_are_found() -> None:
    assert Traits.decode(FAT.encode()) == FAT
    for wrong in (b"{}", b"[]", b"", b"null"):
        with pytest.raises(ValueError, match=r"probe|Expecting"):
            Traits.decode(wrong)
