"""The small tables of the index: journal, problems, trash, frontiers, values."""

import sqlite3
from contextlib import closing

import pytest
from indexes import ONE, TWO, ZEROS

from replican.effects.index import Index, IndexDamagedError, JournalEntry
from replican.effects.trash import TrashItem
from replican.values.ids import EMPTY_TREE, BlobId, TreeId
from replican.values.progress import Problem
from replican.values.trees import FILE, LINK, Entry


def test_the_journal(index: Index, path: str) -> None:
    old, new = Entry(b"x", FILE, 0o644, 1, -5, ZEROS), Entry(b"x", LINK, 0o777, 1, 5, bytes(range(32)))
    entries = [JournalEntry(b"b", None, None), JournalEntry(b"a/x", old, new), JournalEntry(b"\xff", None, new)]
    index.note_journal(entries)
    index.note_journal([JournalEntry(b"a/x", new, None)])
    index.close()
    with Index.open(path, writable=True) as again:
        expected = [JournalEntry(b"a/x", old, None), entries[0], entries[2]]
        assert again.journal() == expected, "the first old version is what the disk held"
        again.rebase([], [], EMPTY_TREE)
        assert again.journal() == []


def test_what_is_undecided_stays_in_the_journal(index: Index, path: str) -> None:
    """Until a recovery says otherwise."""
    old, new = Entry(b"x", FILE, 0o644, 1, -5, ZEROS), Entry(b"x", LINK, 0o777, 1, 5, bytes(range(32)))
    undecided = [JournalEntry(b"a/x", old, new, "permission denied"), JournalEntry(b"n", None, None, "\xfc")]
    index.note_journal([JournalEntry(b"a/x", new, old), JournalEntry(b"b", old, None)])
    index.rebase([], [], EMPTY_TREE, undecided=undecided)
    index.note_journal([JournalEntry(b"c", None, new)])
    index.rebase([], [], EMPTY_TREE)
    index.close()
    with Index.open(path, writable=True) as again:
        assert again.journal() == undecided
        again.rebase([], [], EMPTY_TREE, undecided=[])
        assert again.journal() == []


def test_problems_and_pending_paths(index: Index) -> None:
    problems = [Problem(b"b", "permission denied"), Problem(b"a\xff", "special file", True)]
    index.set_problems(problems)
    index.set_pending([Problem(b"p", "no source")])
    assert index.problems() == sorted(problems)
    index.set_problems([])
    assert (index.problems(), index.pending()) == ([], [Problem(b"p", "no source")])


def test_what_is_said_once(index: Index, path: str) -> None:
    fifo, socket = Problem(b"fifo", "special file"), Problem(b"socket", "special file")
    assert index.say_once([fifo]) == [fifo]
    assert index.say_once([fifo, socket]) == [socket]
    index.close()
    with Index.open(path) as reader:
        assert reader.say_once([fifo]) == [fifo]


def test_the_trash_table(index: Index) -> None:
    def item(name: bytes, time_ns: int) -> TrashItem:
        return TrashItem(BlobId(name * 32), name, b"path/" + name, FILE, 0o644, 5, -7, (1 << 64) - 1, time_ns)

    one, two, three = item(b"1", 30), item(b"2", 20), item(b"3", 10)
    index.add_trash([one, two], ONE)
    index.add_trash([three])
    assert index.trash() == [three, two, one]
    assert index.trash(blobs=[BlobId(b"2" * 32)]) == [two]
    others = [BlobId(b"%032d" % number) for number in range(2500)]
    assert index.trash(blobs={one.blob, *others, three.blob}) == [three, one]
    assert index.trash(blobs=()) == []
    assert index.trash(undo=ONE) == [two, one]
    index.drop_trash([b"2", b"no"])
    assert index.trash() == [three, one]


def test_the_trash_of_an_older_release(index: Index, path: str) -> None:
    """Its table has no ctimes: it is read as it is, and gets them with what is taken next."""
    old, new = (TrashItem(BlobId(n * 32), n, b"path", FILE, 0o644, 5, 7, 1, 8) for n in (b"1", b"2"))
    index.add_trash([old], ONE)
    index.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE trash DROP COLUMN ctime_ns")
    with Index.open(path) as reader:
        assert reader.trash() == [old]
    with Index.open(path, writable=True) as writer:
        assert writer.trash() == [old]
        writer.add_trash([new._replace(ctime_ns=9)])
        assert writer.trash() == [old, new._replace(ctime_ns=9)]
        writer.add_trash([old._replace(ctime_ns=10), new._replace(file=b"3")], None)
        assert writer.trash() == [old._replace(ctime_ns=10), new._replace(ctime_ns=9)]
        assert writer.trash(undo=ONE) == [old._replace(ctime_ns=10)]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE trash SET ctime_ns = NULL WHERE ctime_ns = 9")
    with Index.open(path) as reader, pytest.raises(IndexDamagedError):
        reader.trash()


def test_the_memo_of_frontiers(index: Index, path: str) -> None:
    frontier, tree = frozenset([ONE, TWO]), TreeId(b"t" * 32)
    assert index.get(frontier) is None
    index.put(frontier, tree)
    index.put(frontier, tree)
    assert index.get(frozenset([TWO, ONE])) == tree
    assert index.get(frozenset([ONE])) is None
    index.close()
    with Index.open(path) as reader:
        reader.put(frozenset([ONE]), tree)
        assert reader.get(frozenset([ONE])) is None
        assert reader.get(frontier) == tree


def test_how_large_the_folder_was(index: Index) -> None:
    minute = 60 * 10**9
    assert index.largest_lately(0) == 0
    for at, files in ((0, 1000), (1, 100), (5, 90), (7, 80)):
        index.note_size(files, at * minute)
    assert index.largest_lately(9 * minute) == 1000
    assert index.largest_lately(10 * minute + 2) == 1000, "that is what the ten minutes began with"
    assert index.largest_lately(12 * minute) == 100
    assert index.largest_lately(100 * minute) == 80
    index.note_size(70, 30 * minute)
    assert index.largest_lately(31 * minute) == 80
    assert index.largest_lately(50 * minute) == 70
    index.note_size(60, 51 * minute, anew=True)
    assert index.largest_lately(52 * minute) == 60


def test_values(index: Index) -> None:
    assert index.meta_get("write-tree") is None
    index.meta_set("write-tree", b"\0value")
    index.meta_set("base_gen", b"of no concern to the index's own")
    assert index.meta_get("write-tree") == b"\0value"
    assert index.base_root() == EMPTY_TREE
    index.meta_set("write-tree", None)
    assert index.meta_get("write-tree") is None
