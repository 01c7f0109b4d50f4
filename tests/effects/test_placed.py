"""What was just put in its place is not read once more, unless somebody may have written to it."""

import os
import time
from pathlib import Path

from folders import noise, write
from pairs import FULL, OLD, Pair

from replican.operations.recording import observe
from replican.repository import Repository

WORTHWHILE = 16 << 20
LARGE = noise(WORTHWHILE)


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
