"""The index: its two layers, its promises, and what a transition leaves in it."""

import os
import random
import shutil
import sqlite3
import time

import pytest
from indexes import FOLDER, ONE, TWO, ZEROS, directory, everything, file, fill, put, totals

from replican.effects.assemble import chain
from replican.effects.index import Index, JournalEntry, Known
from replican.effects.index_check import check_index
from replican.values.errors import (
    NotFoundError,
)
from replican.values.ids import EMPTY_TREE, BlobId, CheckpointId, TreeId, blob_id
from replican.values.listing import Row
from replican.values.trees import FILE, LINK

# -- layers -----------------------------------------------------------------------------------------------------------


def test_a_new_index_is_an_empty_folder(index: Index) -> None:
    assert index.created
    assert index.base_root() == index.observed_root() == EMPTY_TREE
    assert (index.record(b""), index.rows(b""), index.digests(), totals(index)) == (None, [], {}, (0, 0))
    assert (index.journal(), index.problems(), index.pending(), index.trash(), index.mounts()) == ([], [], [], [], [])
    assert not index.has_observed()
    index.promote()
    assert not index.settle(ONE)
    check_index(index)


def test_what_is_written_is_read_again(index: Index, path: str) -> None:
    root = fill(index)
    index.close()
    for writable in (False, True):
        with Index.open(path, writable=writable) as again:
            assert not again.created
            assert again.base_root() == again.observed_root() == root
            assert {at: [row.name for row in rows] for at, rows in everything(again, True).items()} == {
                at: [row.name for row in rows] for at, rows in FOLDER.items()
            }
            assert again.row(b"a/b/y") == FOLDER[b"a/b"][0]
            assert again.row(b"a/b/no") is None
            assert again.row(b"no/y") is None
            check_index(again)


def test_observed_records_lie_beside_the_base(index: Index) -> None:
    base = fill(index)
    before = everything(index, False)
    seen = put(index, {b"a/b": [file(b"y", b"edited")], b"c": None})
    assert index.has_observed()
    assert (index.base_root(), index.observed_root()) == (base, seen)
    assert everything(index, False) == before
    assert set(index.digests()) == {b"", b"a", b"a/b"}
    assert index.rows(b"c/d") == []
    assert index.record(b"c/d", observed=False) is not None
    assert totals(index, observed=False) == (5, 12)
    assert totals(index) == (3, 10)
    index.discard_observed()
    assert not index.has_observed()
    assert everything(index, True) == before
    check_index(index)


def test_observing_again_and_again(index: Index) -> None:
    fill(index)
    put(index, {b"c": None})
    put(index, {b"": sorted([*index.rows(b""), directory(b"c")]), b"c": [file(b"back")]})
    assert set(index.digests()) == {b"", b"a", b"a/b", b"c"}
    put(index, {b"a": None})
    put(index, {b"a": None})
    assert set(index.digests()) == {b"", b"c"}
    seen = index.observed_root()
    index.promote()
    assert index.base_root() == index.observed_root() == seen
    assert set(index.digests(False)) == {b"", b"c"}
    check_index(index)


def test_what_leaves_the_tree_as_it_is_goes_to_the_base(index: Index) -> None:
    base = fill(index)
    younger = file(b"y", b"y")._replace(ctime_ns=99)
    put(index, {b"a/b": [younger]})
    assert not index.has_observed()
    assert index.row(b"a/b/y", observed=False) == younger
    assert index.base_root() == base
    put(index, {b"a/b": [file(b"y", b"edited")]})
    index.promise(ONE)
    put(index, {b"a/b": [younger]})
    assert index.has_observed(), "not past a promise"
    assert index.settle(ONE)
    assert index.row(b"a/b/y", observed=False) == file(b"y", b"edited")
    assert index.row(b"a/b/y") == younger
    check_index(index)


def test_the_root_that_is_named_is_the_root_that_is_there(index: Index) -> None:
    base = fill(index)
    made = chain(index, {b"a/b": [file(b"new")]}, observed=True)
    with pytest.raises(ValueError, match="root"):
        index.observe(made.changed.values(), made.gone, EMPTY_TREE)
    assert index.observed_root() == base, "nothing was written"
    assert not index.has_observed()


def test_promotion_leaves_nothing_behind(index: Index, path: str) -> None:
    fill(index)
    for turn in range(30):
        put(index, {b"a/b": [file(b"y", b"%d" % turn)], b"c": [file(b"n%d" % turn)], b"c/d": None})
        index.promote()
        if turn % 2 == 0:
            put(index, {b"c": [directory(b"d")], b"c/d": [file(b"again")]})
    index.promote()
    check_index(index)
    connection = sqlite3.connect(path)
    counts = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("dirs", "listings")]
    connection.close()
    assert counts == [4, 4]


# -- promises ------------------------------------------------------------------------------------------------


def test_a_promise_is_kept_if_the_head_has_moved(index: Index, path: str) -> None:
    fill(index)
    seen = put(index, {b"a/b": [file(b"y", b"edited")]})
    index.promise(ONE)
    index.close()
    with Index.open(path, writable=True) as again:
        assert again.settle(ONE)
        assert again.base_root() == seen
        assert not again.has_observed()
        assert not again.settle(ONE), "once"
        check_index(again)


@pytest.mark.parametrize("head", [None, TWO])
def test_a_promise_is_forgotten_if_the_head_has_not(index: Index, head: CheckpointId | None) -> None:
    base = fill(index)
    seen = put(index, {b"a/b": [file(b"y", b"edited")]})
    index.promise(ONE)
    assert not index.settle(head)
    assert (index.base_root(), index.observed_root()) == (base, seen)
    assert not index.settle(ONE)


def test_what_is_observed_after_a_promise_is_not_part_of_it(index: Index) -> None:
    fill(index)
    promised = put(index, {b"a/b": [file(b"y", b"promised")]})
    index.promise(ONE)
    later = put(index, {b"a/b": [file(b"y", b"later")], b"c/d": None, b"c": [file(b"n")]})
    assert index.settle(ONE)
    assert (index.base_root(), index.observed_root()) == (promised, later)
    assert index.row(b"a/b/y", observed=False) == file(b"y", b"promised")
    check_index(index)
    index.promote()
    assert index.base_root() == later
    check_index(index)


# -- a transition's results ----------------------------------------------------------------------------------


def test_rebase_writes_the_base_and_ends_the_journal(index: Index) -> None:
    fill(index)
    put(index, {b"a/b": [file(b"y", b"seen")]})
    index.note_journal([JournalEntry(b"a/b/y", None, None)])
    made = chain(index, {b"a/b": [file(b"y", b"put")]})
    index.rebase(made.changed.values(), made.gone, made.root)
    assert index.base_root() == index.observed_root() == made.root
    assert index.row(b"a/b/y") == file(b"y", b"put")
    assert index.journal() == []
    check_index(index)


def test_a_rebase_overwrites_records_and_adds_new_ones(index: Index) -> None:
    fill(index)
    rows = [*index.rows(b"a/b"), file(b"zz", b"put")]
    new = directory(b"n")
    made = chain(index, {b"a/b": rows, b"n": [file(b"new")], b"": sorted([*index.rows(b""), new])})
    index.rebase(made.changed.values(), made.gone, made.root)
    assert index.rows(b"a/b") == rows
    assert index.rows(b"n") == [file(b"new")]
    assert index.base_root() == made.root
    check_index(index)


def test_a_rebase_waits_before_it_is_committed(index: Index) -> None:
    """What it says must not outlast what it stands for."""
    root = fill(index)
    index.note_journal([JournalEntry(b"a/b/y", None, None)])
    made = chain(index, {b"a/b": [file(b"y", b"put")]})

    def fail() -> None:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="gone"):
        index.rebase(made.changed.values(), made.gone, made.root, before_commit=fail)
    assert (index.base_root(), len(index.journal())) == (root, 1)
    check_index(index)


def test_nothing_to_rebase_ends_the_journal(index: Index) -> None:
    root = fill(index)
    index.note_journal([JournalEntry(b"x", None, None)])
    index.rebase([], [], root)
    assert (index.journal(), index.base_root()) == ([], root)


@pytest.mark.parametrize("new", [b"n", b"c/n", b"\xff\xfe'%", b"c/" + b"n" * 250])
def test_moves(index: Index, new: bytes) -> None:
    fill(index)
    rows = {at: list(index.rows(at)) for at in (b"", b"c")}
    moved = next(row for row in rows[b""] if row.name == b"a")._replace(name=new.rpartition(b"/")[2])
    rows[b""].remove(next(row for row in rows[b""] if row.name == b"a"))
    rows[new.rpartition(b"/")[0]].append(moved)
    made = chain(index, {at: sorted(listed) for at, listed in rows.items()})
    index.rebase(made.changed.values(), made.gone, made.root, [(b"a", new)])
    assert index.rows(new + b"/b") == FOLDER[b"a/b"]
    assert index.record(b"a") is None
    check_index(index)


def test_moves_and_what_is_gone_around_them(index: Index) -> None:
    """Out of a directory that goes, and into the place of one that went: moves come first."""
    fill(index)
    inner = next(row for row in index.rows(b"c") if row.name == b"d")
    made = chain(index, {b"": sorted([inner, *(row for row in index.rows(b"") if row.name != b"c")]), b"c": None})
    index.rebase(made.changed.values(), made.gone, made.root, [(b"c/d", b"d")])
    assert set(index.digests()) == {b"", b"a", b"a/b", b"d"}
    check_index(index)


# -- trees and content ---------------------------------------------------------------------------------------


def test_trees_of_both_layers_can_be_read(index: Index) -> None:
    base = fill(index)
    seen = put(index, {b"a/b": [file(b"y", b"edited")]})
    assert [entry.name for entry in index.tree(base)] == [b"a", b"c", b"top"]
    assert index.tree(seen) != index.tree(base)
    assert list(index.tree(EMPTY_TREE)) == []
    with pytest.raises(NotFoundError):
        index.tree(TreeId(ZEROS))


def test_content_is_found_where_it_was_last_seen(index: Index) -> None:
    fill(index)
    assert index.find_blobs([blob_id(b"x"), blob_id(b"nowhere")]) == {blob_id(b"x"): (b"a/x", file(b"x", b"x"))}
    assert index.find_paths([blob_id(b"y")])[blob_id(b"y")] in (b"a/b/y", b"c/d/z")
    assert index.find_blobs([blob_id(b"target")])[blob_id(b"target")][1].kind == LINK
    assert index.find_blobs([]) == {}
    put(index, {b"a/b": [file(b"y", b"edited")], b"c": None})
    assert index.find_blobs([blob_id(b"y"), blob_id(b"target")]) == {}
    assert index.find_paths([blob_id(b"edited")]) == {blob_id(b"edited"): b"a/b/y"}
    tree = index.record(b"a/b")
    assert tree is not None
    assert index.find_blobs([BlobId(tree.tree)]) == {}, "a directory is no content"


def test_known_is_all_but_the_rows(index: Index) -> None:
    fill(index)
    record, known = index.record(b"a"), index.known(b"a")
    assert record is not None
    assert known == Known(record.digest, record.tree, 9, False, 1, 1)


def test_twenty_thousand_files_take_two_and_a_half_megabytes(path: str) -> None:
    chance = random.Random(1)
    with Index.open(path, writable=True) as index:
        changes: dict[bytes, list[Row] | None] = {b"": [directory(b"d%04d" % n, n) for n in range(1000)]}
        for number in range(1000):
            changes[b"d%04d" % number] = [
                Row(
                    b"file%05d.txt" % n,
                    FILE,
                    0o644,
                    4000,
                    10**18 + n,
                    chance.randbytes(32),
                    0o644,
                    10**18 + n,
                    10**18,
                    n,
                )
                for n in range(20)
            ]
        put(index, changes)
        index.promote()
        before = time.process_time()
        index.digests()
        assert time.process_time() - before < 0.1
    assert os.listdir(os.path.dirname(path)) == ["index.db"]
    assert os.path.getsize(path) < 2_600_000
    shutil.rmtree(os.path.dirname(path))
    os.mkdir(os.path.dirname(path))
