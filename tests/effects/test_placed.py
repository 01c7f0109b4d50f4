"""What was just put in its place is not read once more, unless somebody may have written to it."""

import os
import time
from pathlib import Path

import pytest
from folders import contents, noise, write
from pairs import FULL, OLD, Pair

from replican.effects import transition
from replican.effects.index_births import BORN_FROM
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


def test_what_was_moved_is_not_read_again_unless_it_got_another_time(tmp_path: Path) -> None:
    """It was the user's all along: whoever has written to it while it got its time is not seen by that."""
    pair = Pair(tmp_path, FULL)
    for name in ("moved", "retimed"):
        write(pair.a / name, name, OLD)
    pair.pull()
    os.rename(pair.a / "moved", pair.a / "moved away")
    os.rename(pair.a / "retimed", pair.a / "retimed away")
    os.utime(pair.a / "retimed away", ns=(OLD + 1, OLD + 1))
    os.utime(pair.a / "a.txt", ns=(OLD, OLD))
    pair.pull()
    with Repository(str(pair.b)) as repo:
        rows = {row.name: row for row in repo.index.rows(b"", observed=False)}
    assert {name for name, row in rows.items() if row.is_smudged} == {b"a.txt", b"retimed away"}
    write(pair.b / "moved away", "edited")
    assert pair.sync().recorded.tally.changed == 1, "and what somebody writes at once is seen"
    pair.assert_at_rest()


def test_what_came_is_known_when_it_is_renamed_here(tmp_path: Path) -> None:
    """Alone, with a new directory, and in the place of another."""
    pair = Pair(tmp_path, FULL)
    names = ("new", "directory/below/new", "a.txt", "e/new")
    for number, name in enumerate(names):
        write(pair.a / name, noise(BORN_FROM, number), OLD)
    pair.pull()
    with Repository(str(pair.b)) as repo, repo.writing("look"):
        inodes = {os.stat(pair.b / name).st_ino for name in names}
        if not repo.index.births.inodes():
            pytest.skip("this disk does not keep when a file was made")
        assert repo.index.births.inodes() == inodes
        for name in names:
            os.rename(pair.b / name, f"{pair.b / name} renamed")
        assert observe(repo).hashed_files == 0
    pair.sync()
    pair.assert_at_rest()
    with Repository(str(pair.a)) as repo, repo.writing("look"):
        assert observe(repo).hashed_files == 0, "nor is what was moved there"
    for name in names:
        os.rename(f"{pair.a / name} renamed", pair.a / name)
    with Repository(str(pair.a)) as repo, repo.writing("look"):
        assert observe(repo).hashed_files == 0


@pytest.mark.parametrize("step", ["exchange", "rename_new"])
@pytest.mark.parametrize("saved", ["in place", "by a rename"])
def test_an_edit_in_the_moment_in_which_a_file_comes(tmp_path: Path, monkeypatch, step: str, saved: str) -> None:
    """Who writes to what came has seen it: an edit of it, and no conflict. What takes its place may be an edit of
    what was there before."""
    pair = Pair(tmp_path, FULL)
    name = "a.txt" if step == "exchange" else "new"
    write(pair.a / name, "theirs")
    whole = getattr(transition, step)

    def and_then(*args: object) -> bool:
        done = whole(*args)
        monkeypatch.setattr(transition, step, whole)
        at = pair.b / name
        if saved == "in place":
            with at.open("a") as file:
                file.write(", and mine")
        else:
            write(pair.b / "saved", "mine")
            (pair.b / "saved").rename(at)
        return bool(done)

    monkeypatch.setattr(transition, step, and_then)
    merged = pair.pull().merged
    left = {each.path.decode(): each.cause for each in merged.pending}
    assert left == ({} if saved == "in place" else {name: "changed here"})
    pair.sync()
    kept = {content for path, content in contents(pair.b).items() if path.startswith(name[:1])}
    assert kept == ({b"theirs, and mine"} if saved == "in place" else {b"mine", b"theirs"})
    pair.assert_at_rest()
