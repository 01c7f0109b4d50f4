"""What a command says that it did is what it did: what is pending is told as that, and not counted."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from counted import Counted
from folders import assert_equal, write
from links import CutLinks
from pairs import FULL, Pair
from worlds import World

from replican.operations.fetching import fetch_from
from replican.operations.recording import record
from replican.operations.syncing import merge_again, merge_remote, pull, push, sync
from replican.operations.undoing import undo
from replican.repository import Repository
from replican.values import messages
from replican.values.progress import Problem


def paths(problems: Sequence[Problem]) -> list[bytes]:
    return [each.path for each in problems]


def in_the_way(path: Path) -> None:
    """Something that is never recorded, and so never replaced."""
    os.mkfifo(path)


def edit(root: Path) -> None:
    """One file changes, two come."""
    for name in ("letter", "late", "other"):
        write(root / name, b"edited " + name.encode())


def test_a_pull(world: World) -> None:
    world.start()
    edit(world.there)
    in_the_way(world.here / "late")
    with world.open() as repo:
        merged = pull(repo, "origin").merged
        assert (merged.tally, paths(merged.pending)) == ((1, 0, 0, 1), [b"late"])
        merged = pull(repo, "origin").merged
        assert (merged.tally, paths(merged.pending)) == ((0, 0, 0, 0), [b"late"])
        write(world.there / "third", b"3")
        merged = pull(repo, "origin").merged
        assert (merged.tally, paths(merged.pending)) == ((1, 0, 0, 0), [b"late"])
        os.unlink(world.here / "late")
        synced = sync(repo, "origin")
        assert synced.equal
    assert_equal(world.here, world.there)


def test_a_push(world: World) -> None:
    world.start()
    edit(world.here)
    in_the_way(world.there / "late")
    with world.open() as repo:
        record(repo)
        pushed = push(repo, "origin")
        assert (pushed.tally, paths(pushed.pending), pushed.unnoted) == ((1, 0, 0, 1), [b"late"], 0)
        write(world.here / "third", b"3")
        record(repo)
        pushed = push(repo, "origin")
        assert (pushed.tally, paths(pushed.pending), pushed.unnoted) == ((1, 0, 0, 0), [b"late"], 0)


def test_a_sync(world: World) -> None:
    world.start()
    edit(world.here)
    in_the_way(world.there / "late")
    write(world.there / "theirs", b"t")
    write(world.there / "not", b"n")
    in_the_way(world.here / "not")
    with world.open() as repo:
        synced = sync(repo, "origin")
    assert [merged.tally for merged in synced.pulled] == [(1, 0, 0, 0)]
    assert [pushed.tally for pushed in synced.pushed] == [(1, 0, 0, 1)]
    assert paths(synced.pulled[-1].pending) == [b"not"]
    assert paths(synced.pushed[-1].pending) == [b"late"]


def test_a_new_directory_that_lacks_some_of_its_files(world: World) -> None:
    world.start()
    for name in ("a", "b", "c"):
        write(world.there / "new" / name, name.encode())
    world.record_there()
    with world.both() as (repo, remote):
        remote.refresh()
        fetch_from(repo, remote)
        os.unlink(world.there / "new/b")
        merged = merge_remote(repo, remote)
    assert (merged.tally, paths(merged.pending)) == ((2, 0, 0, 0), [b"new/b"])


def test_what_comes_at_a_second_try_is_counted_once(world: World) -> None:
    world.start()
    edit(world.there)
    world.record_there()
    with world.both() as (repo, remote):
        remote.refresh()
        fetch_from(repo, remote)
        write(world.there / "other", b"changed since it was recorded")
        merged = merge_remote(repo, remote)
        assert merged.tally == (1, 0, 0, 1)
        _, merged = merge_again(repo, remote, merged)
    assert (merged.tally, merged.pending) == ((2, 0, 0, 1), [])


def test_an_undo(world: World) -> None:
    world.start()
    for name in ("letter", "empty"):
        os.unlink(world.there / name)
    with world.open() as repo:
        assert pull(repo, "origin").merged.tally == (0, 2, 0, 0)
        in_the_way(world.here / "letter")
        undone = undo(repo)
    assert (undone.amended.tally, paths(undone.amended.outcome.pending)) == ((1, 0, 0, 0), [b"letter"])


def test_more_is_pending_there_than_a_message_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = CutLinks(tmp_path, monkeypatch)
    for number in range(5):
        write(links.here / f"{number}", b"%d" % number)
        in_the_way(links.there / f"{number}")
    write(links.here / "free", b"f")
    monkeypatch.setattr(messages, "FEW", 3)
    with links.open() as repo:
        record(repo)
        pushed = push(repo, "origin")
    assert (pushed.tally, len(pushed.pending), pushed.unnoted) == ((1, 0, 0, 0), 3, 2)


def test_no_file_is_shown_as_done_twice(tmp_path: Path) -> None:
    pair = Pair(tmp_path, FULL)
    edit(pair.a)
    pair.record(pair.a)
    shown = Counted()
    with Repository(str(pair.b), progress=shown) as repo:
        pull(repo, "origin")
    assert shown.wanted["staging"] == shown.done["staging"] == shown.wanted["placing"] == shown.done["placing"]
    assert shown.done["placing"][0] == 3
