"""What was just put in its place is not read once more, unless somebody may have written to it. Leases prove of large
files that nobody has."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from folders import noise, write
from pairs import FULL, OLD, Pair

from replican.effects.leases import WORTHWHILE, Leases
from replican.operations.recording import observe
from replican.repository import Repository
from replican.values.listing import Row
from replican.values.trees import FILE

LARGE = noise(WORTHWHILE)


@pytest.fixture
def leases() -> Iterator[Leases]:
    made = Leases()
    yield made
    made.close()


def place(leases: Leases, folder: Path, size: int = WORTHWHILE) -> Row:
    """Put a file of ``size`` bytes in its place; its row."""
    (folder / "staged").write_bytes(bytes(size))
    fd = os.open(folder, os.O_RDONLY)
    try:
        leases.take(b"staged", fd, size)
    finally:
        os.close(fd)
    os.rename(folder / "staged", folder / "placed")
    found = os.lstat(folder / "placed")
    row = Row(
        b"placed",
        FILE,
        0o644,
        size,
        found.st_mtime_ns,
        bytes(32),
        0o644,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_ino,
    )
    leases.note(b"", row, found.st_dev)
    return row


def test_a_lease_that_stands(leases: Leases, tmp_path: Path) -> None:
    row = place(leases, tmp_path)
    assert list(leases.proven()) == [(b"", row)]
    assert list(leases.proven()) == []
    with open(tmp_path / "placed", "r+b") as file:  # nobody waits for anything any more
        file.write(b"x")


def test_who_opens_it_for_writing_ends_it(leases: Leases, tmp_path: Path) -> None:
    place(leases, tmp_path)
    with pytest.raises(BlockingIOError):
        os.open(tmp_path / "placed", os.O_WRONLY | os.O_NONBLOCK)
    assert list(leases.proven()) == []


def test_where_somebody_writes_to_it_already_there_is_none(leases: Leases, tmp_path: Path) -> None:
    with open(tmp_path / "staged", "wb"):
        os.link(tmp_path / "staged", tmp_path / "other")
        with open(tmp_path / "other", "r+b"):
            fd = os.open(tmp_path, os.O_RDONLY)
            leases.take(b"other", fd, WORTHWHILE)
            os.close(fd)
    found = os.lstat(tmp_path / "other")
    leases.note(b"", Row(b"other", FILE, 0o644, 0, 0, bytes(32), 0o644, 0, 0, found.st_ino), found.st_dev)
    assert list(leases.proven()) == []


def test_small_files_are_not_waited_for(leases: Leases, tmp_path: Path) -> None:
    place(leases, tmp_path, WORTHWHILE - 1)
    assert list(leases.proven()) == []


def test_what_a_merge_has_put_is_not_read_again(tmp_path: Path) -> None:
    pair = Pair(tmp_path, FULL)
    write(pair.a / "a.txt", LARGE)
    write(pair.a / "small", b"new, too")
    pair.pull()
    with Repository(str(pair.b)) as repo, repo.writing("look"):
        assert observe(repo).hashed_size < WORTHWHILE
    assert (pair.b / "a.txt").read_bytes() == LARGE
    with open(pair.b / "a.txt", "r+b") as file:  # and what somebody writes at once is seen
        file.write(b"edited")
    assert pair.record(pair.b).tally.changed == 1


def test_what_came_is_not_read_again_unless_its_time_is_young(tmp_path: Path) -> None:
    """Whoever writes to a file gives it the time of that moment: only a file that had it already looks the same."""
    pair = Pair(tmp_path, FULL)
    write(pair.a / "a.txt", "edited", OLD)
    write(pair.a / "new", "new", OLD + 1)
    write(pair.a / "to come", "of tomorrow", time.time_ns() + 86_400 * 10**9)
    pair.pull()
    with Repository(str(pair.b)) as repo:
        rows = {row.name: row for row in repo.index.rows(b"", observed=False)}
    assert [name for name, row in rows.items() if row.is_smudged] == [b"to come"]
    write(pair.b / "new", "wen")
    assert pair.sync().recorded.tally.changed == 1
    pair.assert_at_rest()


def test_what_only_got_other_attributes_is_read_again(tmp_path: Path) -> None:
    """It was the user's all along, who may have written to it while it got its time."""
    pair = Pair(tmp_path, FULL)
    os.utime(pair.a / "a.txt", ns=(OLD, OLD))
    os.rename(pair.a / "b.txt", pair.a / "moved")
    pair.pull()
    with Repository(str(pair.b)) as repo:
        rows = {row.name: row for row in repo.index.rows(b"", observed=False)}
    assert rows[b"a.txt"].is_smudged
    assert rows[b"moved"].is_smudged
