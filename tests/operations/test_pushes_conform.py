"""What every kind of remote does when something is pushed to it: the same tests for all of them."""

import os
import shutil

import pytest
from folders import assert_equal, contents, write
from worlds import LARGE, World

from replican.effects.refs import remote_head
from replican.operations import syncing
from replican.operations.recording import record
from replican.operations.syncing import exchange, pull, push
from replican.operations.undoing import undo
from replican.values.errors import DivergedError, RefusedError


def test_a_push(world: World) -> None:
    world.start()
    write(world.here / "letter", b"by here")
    write(world.here / "new/large", LARGE[2:])
    os.symlink("large", world.here / "new/link")
    with world.open() as repo:
        record(repo)
        pushed = push(repo, "origin")
        assert pushed.tally == (2, 0, 0, 1)
        assert (pushed.new, pushed.pending) == (repo.head, [])
        assert repo.refs.read(remote_head("origin")) == repo.head
        again = push(repo, "origin")
        assert (again.old, again.new, again.tally) == (repo.head, repo.head, None)
    assert_equal(world.here, world.there)


def test_a_diverged_push(world: World) -> None:
    world.start()
    write(world.here / "mine", b"m")
    write(world.there / "theirs", b"t")
    before = contents(world.there)
    with world.open() as repo:
        record(repo)
        with pytest.raises(DivergedError, match="origin has checkpoints that are not here"):
            push(repo, "origin")
    assert contents(world.there) == before


def test_who_was_faster_has_looked_through_the_folder(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody records over there just before the push is taken in; a folder here is not looked through for it."""
    world.start()
    write(world.here / "mine", b"m")
    refreshed: list[bool] = []
    with world.both() as (repo, remote):
        record(repo)
        remote.refresh()
        push_to, refresh = syncing.push_to, remote.refresh

        def push_late(*words: object) -> object:
            if not (world.there / "theirs").exists():
                write(world.there / "theirs", b"t")
                world.record_there()
            return push_to(*words)  # type: ignore[arg-type]

        monkeypatch.setattr(syncing, "push_to", push_late)
        monkeypatch.setattr(remote, "refresh", lambda **how: refreshed.append(True) or refresh(**how))
        exchanged = exchange(repo, remote, unlocked=True)
        assert exchanged.equal
        assert len(refreshed) == (0 if remote.traffic is None else 1)
    assert_equal(world.here, world.there)


def test_a_push_of_nothing_to_a_log(world: World) -> None:
    world.fill()
    world.record_there()
    with world.open() as repo, pytest.raises(DivergedError):
        push(repo, "origin")


def test_a_push_that_somebody_was_faster_than(world: World) -> None:
    world.start()
    write(world.here / "mine", b"m")
    with world.both() as (repo, remote):
        record(repo)
        remote.refresh()
        write(world.there / "theirs", b"t")
        world.record_there()
        with pytest.raises(DivergedError):
            remote.push(repo, repo.head)


def test_a_push_that_a_gate_over_there_stops(world: World) -> None:
    world.start()
    for path in contents(world.here):
        os.unlink(world.here / path)
    before = contents(world.there)
    with world.open() as repo:
        record(repo, allowed=frozenset(["--allow-mass-delete"]))
        with pytest.raises(RefusedError, match="has been emptied"):
            push(repo, "origin")
    assert contents(world.there) == before


def test_a_push_to_an_empty_log(world: World) -> None:
    write(world.here / "letter", b"dear")
    with world.open() as repo:
        record(repo)
        assert push(repo, "origin").tally == (1, 0, 0, 0)
    assert_equal(world.here, world.there)


def test_a_push_of_what_lies_in_the_trash_here(world: World) -> None:
    """What the head has and the folder has not any more, nor the folder over there and its trash."""
    os.makedirs(world.there / "folder/new")
    os.symlink("target", world.there / "folder/new/link")
    world.start()
    before = contents(world.there)
    shutil.rmtree(world.there / "folder")
    for path in ("letter", "large", "link"):
        os.unlink(world.there / path)
    with world.open() as repo:
        pull(repo, "origin")  # what goes from here comes to the trash
        assert undo(repo).amended.outcome.pending == []
        shutil.rmtree(world.here / "folder")
        for path in ("letter", "large", "link"):
            os.unlink(world.here / path)
        pushed = push(repo, "origin")
        assert (pushed.new, pushed.pending) == (repo.head, [])
    assert contents(world.there) == before
