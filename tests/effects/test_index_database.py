"""The index as a file: readers beside a writer, read-only places, kills."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from indexes import ONE, TWO, file, fill, put

from replican.effects.index import Index, IndexDamagedError, JournalEntry
from replican.effects.index_check import check_index
from replican.values.errors import (
    LockedError,
)
from replican.values.ids import EMPTY_TREE


def test_a_reader_needs_no_lock_and_sees_one_state(index: Index, path: str) -> None:
    root = fill(index)
    with Index.open(path) as reader:
        put(index, {b"a/b": [file(b"y", b"edited")]})
        index.promote()
        assert reader.base_root() == root, "what was there when it was opened, or first read"
        check_index(reader)
        with Index.open(path) as later:
            assert later.base_root() == index.base_root()
    index.close()
    assert os.listdir(os.path.dirname(path)) == ["index.db"]


def test_a_reader_during_a_transaction(index: Index, path: str) -> None:
    root = fill(index)
    with index._database.writing() as connection:
        connection.execute("DELETE FROM dirs")
        with Index.open(path) as reader:
            assert reader.base_root() == root
        connection.execute("ROLLBACK")
        connection.execute("BEGIN")
    assert index.base_root() == root


def test_a_reader_writes_nothing(path: str) -> None:
    with Index.open(path, writable=True) as index:
        fill(index)
    with Index.open(path) as reader, pytest.raises(ValueError, match="reading"):
        reader.set_problems([])


def test_a_reader_of_an_index_that_is_not_there(path: str) -> None:
    with Index.open(path) as reader:
        assert reader.created
        assert reader.base_root() == EMPTY_TREE
    assert not os.path.exists(path)


def test_a_second_writer_waits_and_then_says_so(index: Index, path: str) -> None:
    with Index.open(path, writable=True) as other:
        other._database.connection.execute("PRAGMA busy_timeout = 50")
        with index._database.writing(), pytest.raises(LockedError):
            other.set_problems([])


def test_a_read_only_place(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    tests = tmp_path_factory.getbasetemp().parent  # others may reach what lies here, and nothing above it is touched
    place = tmp_path / "odd ?#%name\udcff"
    place.mkdir()
    path = str(place / "index.db")
    with Index.open(path, writable=True) as index:
        root = fill(index)
    done = os.fork()
    if done == 0:
        try:
            os.chmod(path, 0o444)
            os.chmod(place, 0o555)
            for above in (tmp_path, *tmp_path.parents):
                if above.is_relative_to(tests) and not above.stat().st_mode & 0o001:
                    os.chmod(above, 0o755)
            if os.geteuid() == 0:
                os.setuid(65534)
            with Index.open(path) as reader:
                assert reader.base_root() == root
                check_index(reader)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(done, 0)[1] == 0
    os.chmod(place, 0o755)


def test_a_log_that_was_not_written_back_is_read(path: str, tmp_path: Path) -> None:
    """A process that is killed leaves its transactions in the log beside the file."""

    def work() -> None:
        with Index.open(path, writable=True) as index:
            fill(index)
            put(index, {b"a/b": [file(b"y", b"edited")]})
            index.promote()
            os.kill(os.getpid(), signal.SIGKILL)

    killed(work)
    assert os.path.getsize(path + "-wal")
    for writable in (False, True):
        with Index.open(path, writable=writable) as index:
            assert index.row(b"a/b/y", observed=False) == file(b"y", b"edited")
            check_index(index)


def killed(work: Callable[[], None]) -> None:
    """Run ``work`` in a process that ends by a signal."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(3)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("moment", ["observed", "promised", "head moved", "promoted", "rebased", "journal"])
def test_a_kill_at_any_moment(path: str, moment: str) -> None:
    with Index.open(path, writable=True) as index:
        base = fill(index)

    def work() -> None:
        with Index.open(path, writable=True) as index:
            if moment == "rebased":
                put(index, {b"a/b": [file(b"y", b"put")]}, observed=False)
            elif moment == "journal":
                index.note_journal([JournalEntry(b"a/b/y", None, None)])
            else:
                put(index, {b"a/b": [file(b"y", b"edited")], b"c": None})
                if moment != "observed":
                    index.promise(ONE)
                if moment == "promoted":
                    index.promote()
            os.kill(os.getpid(), signal.SIGKILL)

    killed(work)
    with Index.open(path, writable=True) as index:
        kept = index.settle(ONE if moment in ("head moved", "promoted") else TWO)
        assert kept == (moment == "head moved")
        check_index(index)
        if moment == "journal":
            assert [entry.path for entry in index.journal()] == [b"a/b/y"]
            assert index.base_root() == base
        elif moment == "rebased":
            assert index.row(b"a/b/y", observed=False) == file(b"y", b"put")
        else:
            moved = moment in ("head moved", "promoted")
            assert (index.base_root() == base) == (not moved)
            assert index.row(b"a/b/y") == file(b"y", b"edited")
            assert (index.base_root() == index.observed_root()) == moved


def test_a_reader_while_the_index_is_being_made(path: str) -> None:
    """It met an empty database, and called it damaged."""
    begun = sqlite3.connect(path, isolation_level=None)
    begun.execute("PRAGMA journal_mode = WAL")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with Index.open(path) as reader:
                code = 0 if reader.base_root() == EMPTY_TREE else 2
        finally:
            os._exit(code)
    time.sleep(0.1)
    begun.close()
    os.unlink(path)
    Index.open(path, writable=True).close()
    assert os.waitpid(pid, 0)[1] == 0


def test_a_database_that_stays_empty_is_damage(path: str) -> None:
    begun = sqlite3.connect(path, isolation_level=None)
    begun.execute("PRAGMA journal_mode = WAL")
    begun.close()
    with pytest.raises(IndexDamagedError, match="empty"):
        Index.open(path)
