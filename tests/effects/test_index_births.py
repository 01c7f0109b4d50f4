"""The table of births: a cache that older indexes lack, and of which nothing is believed that does not fit."""

import os
import sqlite3
import struct
from pathlib import Path

import pytest
import scanning
from folders import noise
from indexes import everything, fill
from scanning import Watched, settle

from replican.effects.index import Index
from replican.effects.index_births import BORN_FROM, MARK_SIZE, Birth
from replican.effects.linux import birth_ns
from replican.effects.observe import poll

BLOB, MARK = b"b" * 32, b"m" * MARK_SIZE


def test_what_is_noted_is_found(index: Index) -> None:
    largest = (1 << 64) - 1  # more than SQLite's numbers hold
    index.births.note([Birth(1, BLOB, MARK), Birth(largest, BLOB, MARK)])
    index.births.note([Birth(1, BLOB, b"n" * MARK_SIZE), Birth(2, BLOB, MARK)])
    index.births.note([Birth(2, BLOB, b""), Birth(3, BLOB, b"")])
    assert index.births.find(1) == Birth(1, BLOB, b"n" * MARK_SIZE)
    assert index.births.find(largest) == Birth(largest, BLOB, MARK)
    assert index.births.find(2) is None
    assert index.births.inodes() == {1, largest}


def test_an_index_of_before(index: Index, path: str) -> None:
    """It keeps all that it has; who only reads it does without."""
    fill(index)
    before = everything(index, True)
    index.close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE births")
    connection.close()
    with Index.open(path) as reader:
        assert reader.births.find(1) is None
        assert reader.births.inodes() == frozenset()
        assert everything(reader, True) == before
    with Index.open(path, writable=True) as writer:
        assert not writer.created
        assert everything(writer, True) == before
        writer.births.note([Birth(1, BLOB, MARK)])
    with Index.open(path) as reader:
        assert reader.births.find(1) == Birth(1, BLOB, MARK)


@pytest.mark.parametrize(
    ("column", "value"),
    [("blob", b"short"), ("blob", 5), ("blob", "text" * 8), ("mark", b""), ("mark", MARK + b"m"), ("mark", 1.5)],
)
def test_what_is_none(index: Index, column: str, value: object) -> None:
    index.births.note([Birth(1, BLOB, MARK)])
    index._database.connection.execute(f"UPDATE births SET {column} = ?", (value,))
    assert index.births.find(1) is None


@pytest.fixture
def folder(tmp_path: Path) -> Watched:
    with (tmp_path / "made").open("wb") as file:
        if birth_ns(file.fileno()) is None:
            pytest.skip("this disk does not keep when a file was made")
    watched = Watched(tmp_path)
    for number in range(2):
        watched.write(f"{number}", noise(BORN_FROM, number))
    settle()
    watched.record()
    return watched


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE births SET blob = x'" + "00" * 32 + "'",
        "UPDATE births SET mark = x'" + "00" * MARK_SIZE + "'",
        "UPDATE births SET ino = -ino",
    ],
)
def test_a_birth_that_is_damaged_costs_reading(folder: Watched, change: str) -> None:
    folder.index._database.connection.execute(change)
    os.rename(folder.path("0"), folder.path("renamed"))
    seen = folder.observe()
    assert scanning.plain(folder.entries(seen)) == scanning.on_disk(folder.root)
    assert seen.hashed_files == 1
    folder.close()


def test_two_that_changed_places_in_the_table(folder: Watched) -> None:
    inodes = [os.stat(folder.path(name)).st_ino for name in "01"]
    known = [folder.index.births.find(ino) for ino in inodes]
    folder.index.births.note(
        each._replace(ino=ino) for each, ino in zip(known, reversed(inodes), strict=True) if each is not None
    )
    os.rename(folder.path("0"), folder.path("renamed"))
    seen = folder.observe()
    assert scanning.plain(folder.entries(seen)) == scanning.on_disk(folder.root)
    assert seen.hashed_files == 1
    folder.close()


def test_what_is_gone_is_forgotten(folder: Watched) -> None:
    inodes = [os.stat(folder.path(name)).st_ino for name in "01"]
    os.unlink(folder.path("0"))
    folder.record()
    assert folder.index.births.inodes() == set(inodes)
    assert folder.index.births.tidy() == 1
    assert folder.index.births.inodes() == {inodes[1]}
    folder.close()


def test_it_is_tidied_where_much_was_noted(folder: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replican.effects.index_births._MANY", 10)
    kept = folder.index.births.inodes()
    for number in range(7):
        folder.index.births.note([Birth(number, BLOB, MARK)])
    assert len(folder.index.births.inodes()) == 9
    folder.index.births.note([Birth(8, BLOB, MARK)])
    assert folder.index.births.inodes() == kept


def test_who_only_asks_what_differs_is_told_of_the_new_name(folder: Watched) -> None:
    os.rename(folder.path("0"), folder.path("renamed"))
    assert poll(str(folder.root), folder.index) == [b"0", b"renamed"]
    folder.close()


def test_a_time_in_whole_seconds_tells_too_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever keeps no more may give the same to one file after the other."""

    class Statx:
        rest = 5

        def __call__(self, fd: int, path: bytes, flags: int, mask: int, buffer: object) -> int:
            struct.pack_into("=I76xqI", buffer, 0, mask, 1_600_000_000, self.rest)  # type: ignore[arg-type]
            return 0

    monkeypatch.setattr("replican.effects.linux._statx", Statx())
    assert birth_ns(0) == 1_600_000_000_000_000_005
    Statx.rest = 0
    assert birth_ns(0) is None
