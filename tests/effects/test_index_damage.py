"""Damage of the index never passes for truth."""

import random
import sqlite3
from pathlib import Path

import pytest
from indexes import ONE, directory, file, fill, put

from replican.effects.index import DirRecord, Index, IndexDamagedError, JournalEntry
from replican.effects.index_check import check_index
from replican.values.errors import (
    DamagedError,
    UnsupportedError,
)
from replican.values.ids import TreeId
from replican.values.listing import decode_listing


def snapshot(index: Index) -> dict[tuple[bytes, bool], DirRecord | None]:
    return {
        (path, observed): index.record(path, observed) for observed in (False, True) for path in index.digests(observed)
    }


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[tuple[bytes, bool], DirRecord | None]]:
    path = tmp_path_factory.mktemp("sound") / "index.db"
    with Index.open(str(path), writable=True) as index:
        fill(index)
        top = sorted([*index.rows(b""), *(directory(b"w%03d" % number, number) for number in range(40))])
        wide = {b"w%03d" % n: [file(b"f%d" % m, b"%d %d" % (n, m)) for m in range(10)] for n in range(40)}
        put(index, {b"": top, **wide})
        index.promote()
        put(index, {b"a/b": [file(b"y", b"edited")], b"c": None})
        index.note_journal([JournalEntry(b"a/b/y", file(b"y").entry, None)])
        index.promise(ONE)
        index.put(frozenset([ONE]), TreeId(b"t" * 32))
        truth = snapshot(index)
    return path, truth


def read_all(path: Path, truth: dict[tuple[bytes, bool], DirRecord | None]) -> bool:
    """Whether the damage was noticed; whatever is read must be the truth, or nothing."""
    try:
        with Index.open(str(path), writable=True) as index:
            for (at, observed), record in truth.items():
                found = index.record(at, observed)
                # One may be lost, and with an observed one the base's shows: that costs a look at the directory.
                assert found in (record, truth.get((at, False)), None)
                if found is not None:
                    assert found.rows == decode_listing(found.rows_blob)
            known = index.digests()
            for at, each in known.items():
                told = [truth[at, layer] for layer in (False, True) if truth.get((at, layer))]
                assert any(record is not None and each[:2] == (record.digest, record.tree) for record in told)
            assert index.get(frozenset([ONE])) in (TreeId(b"t" * 32), None)
            assert index.journal() in ([], [JournalEntry(b"a/b/y", file(b"y").entry, None)])
            check_index(index)
    except (IndexDamagedError, UnsupportedError):
        return True
    return False


def test_flipped_bits_never_pass_for_truth(
    sound: tuple[Path, dict[tuple[bytes, bool], DirRecord | None]], tmp_path: Path
) -> None:
    source, truth = sound
    content = source.read_bytes()
    chance = random.Random(7)
    noticed = 0
    for turn in range(500):
        damaged = bytearray(content)
        at = chance.randrange(len(damaged)) if turn % 3 else chance.randrange(100)
        damaged[at] ^= 1 << chance.randrange(8)
        path = tmp_path / "index.db"
        for beside in tmp_path.iterdir():
            beside.unlink()
        path.write_bytes(damaged)
        noticed += read_all(path, truth)
    assert noticed > 60, "most of the file is rows; what is free, or counts for nothing, may change"


def test_a_truncated_file_is_noticed(
    sound: tuple[Path, dict[tuple[bytes, bool], DirRecord | None]], tmp_path: Path
) -> None:
    source, truth = sound
    content = source.read_bytes()
    for size in [0, 1, 50, 99, 100, 1000, 4095, *range(4096, len(content), 4096), len(content) - 1]:
        for beside in tmp_path.iterdir():
            beside.unlink()
        (tmp_path / "index.db").write_bytes(content[:size])
        assert read_all(tmp_path / "index.db", truth), size


def test_zeroed_pages_never_pass_for_truth(
    sound: tuple[Path, dict[tuple[bytes, bool], DirRecord | None]], tmp_path: Path
) -> None:
    source, truth = sound
    content = source.read_bytes()
    for page in range(0, len(content), 4096):
        for beside in tmp_path.iterdir():
            beside.unlink()
        (tmp_path / "index.db").write_bytes(content[:page] + bytes(4096) + content[page + 4096 :])
        read_all(tmp_path / "index.db", truth)


@pytest.mark.parametrize("content", [b"no database at all", bytes(8192), b"SQLite format 3\0" + bytes(4080)])
def test_what_is_no_index_is_damage(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)
    for writable in (False, True):
        with pytest.raises(IndexDamagedError):
            Index.open(path, writable=writable).close()
    with Index.open(path, writable=True, rebuild=True) as index:
        assert index.created
        fill(index)
    assert issubclass(IndexDamagedError, DamagedError)
    assert IndexDamagedError.code == "index-damaged"


def test_another_database_is_damage_and_a_newer_index_is_not(path: str) -> None:
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE other (x)")
    connection.close()
    with pytest.raises(IndexDamagedError):
        Index.open(path, writable=True).close()
    Index.open(path, writable=True, rebuild=True).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(UnsupportedError):
        Index.open(path, writable=True).close()


def test_a_record_of_another_directory_is_noticed(index: Index) -> None:
    """Rows that are sound in themselves, in the wrong place."""
    fill(index)
    connection = index._database.connection
    numbers = dict(connection.execute("SELECT path, listing FROM dirs"))
    connection.execute("UPDATE dirs SET listing = ? WHERE path = ?", (numbers[b"c/d"], b"a/b"))
    with pytest.raises(IndexDamagedError):
        check_index(index)
    record = index.known(b"a/b")
    assert record is not None
    with pytest.raises(IndexDamagedError):
        index.tree(record.tree)


@pytest.mark.parametrize("column", ["tree", "digest", "mount", "path", "ino", "files", "size"])
def test_every_column_that_counts_is_sealed(index: Index, column: str) -> None:
    fill(index)
    value: object = (
        (1 if column == "mount" else 99)
        if column in ("mount", "ino", "files", "size")
        else b"a/q"
        if column == "path"
        else b"x" * 32
    )
    index._database.connection.execute(f"UPDATE dirs SET {column} = ? WHERE path = ?", (value, b"a/b"))
    with pytest.raises(IndexDamagedError):
        index.digests()
