"""From rows to trees: records made anew, with all above them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from indexes import totals

from replican.effects.assemble import chain, topmost
from replican.effects.index import Index
from replican.effects.index_check import check_index
from replican.values.ids import EMPTY_TREE, blob_id, tree_id
from replican.values.listing import Row, digest_of_rows
from replican.values.trees import DIRECTORY, FILE, encode_tree

ZEROS = bytes(32)


def file(name: bytes, content: bytes = b"content", ctime_ns: int = 7, ino: int = 1) -> Row:
    return Row(name, FILE, 0o644, len(content), 5, blob_id(content), 0o644, 5, ctime_ns, ino)


def directory(name: bytes, ino: int, id: bytes = ZEROS) -> Row:
    return Row(name, DIRECTORY, 0o755, 0, 0, id, 0o755, 0, 0, ino)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.open(str(tmp_path / "index.db"), writable=True) as index:
        made = chain(
            index,
            {
                b"": [directory(b"a", 10), directory(b"c", 12), file(b"top")],
                b"a": [directory(b"b", 11), file(b"x")],
                b"a/b": [file(b"y")],
                b"c": [],
            },
        )
        index.rebase(made.changed.values(), made.gone, made.root)
        check_index(index)
        yield index


def test_a_whole_folder(index: Index) -> None:
    assert index.record(b"c") is not None
    known = {path: (known.tree, known.ino) for path, known in index.digests().items()}
    inner = tree_id(encode_tree([file(b"y").entry]))
    outer = tree_id(encode_tree([directory(b"b", 11, inner).entry, file(b"x").entry]))
    assert known[b"a/b"] == (inner, 11)
    assert known[b"a"] == (outer, 10)
    assert known[b"c"] == (EMPTY_TREE, 12)
    assert index.base_root() == known[b""][0]
    assert totals(index) == (3, 21)


def test_only_what_lies_above_is_made_again(index: Index) -> None:
    made = chain(index, {b"a/b": [file(b"y", b"new")]})
    assert list(made.changed) == [b"a/b", b"a", b""]
    assert set(made.payloads) == {record.tree for record in made.changed.values()}
    assert made.changed[b"a"].rows[1] == index.rows(b"a")[1]
    assert made.changed[b"a"].digest == index.record(b"a").digest, "the stat data there are the same"  # type: ignore[union-attr]
    assert made.root == made.changed[b""].tree != index.base_root()


def test_equal_rows_change_nothing(index: Index) -> None:
    made = chain(index, {b"a/b": index.rows(b"a/b"), b"a": index.rows(b"a"), b"": index.rows(b"")})
    assert (made.changed, made.gone, made.payloads, made.root) == ({}, [], {}, index.base_root())


def test_rows_that_differ_only_in_stat_data_change_a_record_and_no_tree(index: Index) -> None:
    made = chain(index, {b"a/b": [file(b"y", ctime_ns=8)]})
    assert list(made.changed) == [b"a/b"]
    assert (made.root, made.payloads) == (index.base_root(), {})
    smudged = chain(index, {b"a/b": [file(b"y", ctime_ns=0)]})
    assert smudged.changed[b"a/b"].digest is None


def test_digests_are_worked_out(index: Index) -> None:
    rows = [file(b"y", b"new")]
    assert chain(index, {b"a/b": rows}).changed[b"a/b"].digest == digest_of_rows(rows)


def test_a_directory_goes(index: Index) -> None:
    made = chain(index, {b"a": None})
    assert (made.gone, list(made.changed)) == ([b"a"], [b""])
    index.rebase(made.changed.values(), made.gone, made.root)
    check_index(index)
    assert {row.name for row in index.rows(b"")} == {b"c", b"top"}
    assert index.record(b"a/b") is None


def test_a_directory_goes_with_what_was_changed_in_it(index: Index) -> None:
    rows = [row for row in index.rows(b"") if row.name != b"a"]
    made = chain(index, {b"": rows, b"a": None, b"a/b": [file(b"z")], b"a/b/c": None})
    assert made.gone == [b"a"]
    index.rebase(made.changed.values(), made.gone, made.root)
    check_index(index)


def test_a_file_takes_the_place_of_a_directory(index: Index) -> None:
    rows = sorted([*(row for row in index.rows(b"") if row.name != b"a"), file(b"a")])
    made = chain(index, {b"": rows, b"a": None})
    index.rebase(made.changed.values(), made.gone, made.root)
    check_index(index)
    assert [row.kind for row in index.rows(b"")] == [FILE, DIRECTORY, FILE]


def test_new_directories(index: Index) -> None:
    made = chain(
        index,
        {
            b"c": [directory(b"d", 20)],
            b"c/d": [directory(b"e", 21), file(b"f")],
            b"c/d/e": [],
        },
    )
    assert {record.path: record.ino for record in made.changed.values()} == {b"c/d/e": 21, b"c/d": 20, b"c": 12, b"": 0}
    index.rebase(made.changed.values(), made.gone, made.root)
    check_index(index)


def test_a_new_directory_without_a_row_is_refused(index: Index) -> None:
    with pytest.raises(ValueError, match="no row"):
        chain(index, {b"c/new": [file(b"x")]})
    with pytest.raises(ValueError, match="nothing is known"):
        chain(index, {b"c": [directory(b"new", 5)]})


def test_a_moved_directory_keeps_its_tree(index: Index) -> None:
    moved = next(row for row in index.rows(b"") if row.name == b"a")
    made = chain(
        index,
        {
            b"": [row for row in index.rows(b"") if row.name != b"a"],
            b"c": [moved._replace(name=b"z")],
        },
    )
    index.rebase(made.changed.values(), made.gone, made.root, [(b"a", b"c/z")])
    check_index(index)
    assert [row.name for row in index.rows(b"c/z/b")] == [b"y"]
    assert totals(index) == (3, 21)


def test_many_changes_at_once(index: Index) -> None:
    top = [directory(b"d%03d" % number, 100 + number) for number in range(300)]
    changes = {b"": top, **{row.name: [file(b"f", row.name)] for row in top}, b"a": None, b"c": None}
    made = chain(index, changes)
    index.rebase(made.changed.values(), made.gone, made.root)
    check_index(index)
    assert totals(index) == (300, 300 * 4)


def test_in_the_observed_layer(index: Index) -> None:
    made = chain(index, {b"a/b": [file(b"y", b"seen")]}, observed=True)
    index.observe(made.changed.values(), made.gone, made.root)
    again = chain(index, {b"c": [file(b"z")]}, observed=True)
    index.observe(again.changed.values(), again.gone, again.root)
    assert [row.id for row in index.rows(b"a/b")] == [blob_id(b"seen")]
    below = chain(index, {b"c": [file(b"z")]}, observed=False)
    assert below.root not in (made.root, again.root)


def test_topmost() -> None:
    assert topmost([b"a/b", b"a", b"a-b", b"a/b/c", b"c/d"]) == [b"a", b"a-b", b"c/d"]
    assert topmost([b"x", b""]) == [b""]
    assert topmost([]) == []
