"""That a head has moved is told, by every kind of remote."""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest
from folders import assert_equal, write
from head_waiting import wait_for_heads
from worlds import LARGE, World, folder_address, wired_address

from replican.operations import heads
from replican.operations.fetching import fetch_from
from replican.operations.heads import AskingLookout, Moved
from replican.operations.recording import record
from replican.operations.remotes import Remote
from replican.operations.syncing import merge_remote, push_to
from replican.repository import Repository
from replican.values import messages


def sync_opened(repo: Repository, remote: Remote) -> bool:
    """As ``sync``, with a remote that stays open; whether both are at the same head."""
    record(repo)
    remote.refresh()
    fetch_from(repo, remote)
    merge_remote(repo, remote)
    push_to(repo, remote)
    return repo.head == remote.head


SOON = 20.0
"""Seconds in which something is told that has happened: as many as a busy machine may take."""


def test_a_head_that_moves_is_told(world: World) -> None:
    world.start()
    with world.both() as (repo, remote):
        remote.refresh()
        with remote.lookout() as lookout:
            assert not wait_for_heads([lookout], 0.3)
            for content in (b"1", b"2"):
                write(world.there / "letter", content)
                world.record_there()
                heard = wait_for_heads([lookout], SOON)
                with Repository(str(world.there)) as there:
                    assert heard.moved == [Moved("origin", there.head)]
                assert (heard.lost, heard.ready) == ({}, set())
                assert remote.head == heard.moved[0].head
            # The remote can be asked anything in between: what comes of that is no news.
            write(world.there / "letter", b"3")
            write(world.here / "mine", b"m")
            assert sync_opened(repo, remote)
            assert not wait_for_heads([lookout], 0.5)
            for number in range(3):
                write(world.there / "large", b"%d" % number + LARGE)
                world.record_there()
                assert wait_for_heads([lookout], SOON).moved
                assert sync_opened(repo, remote)
    assert_equal(world.here, world.there)


def test_a_head_that_moved_before_anybody_waited(world: World) -> None:
    world.start()
    with world.both() as (_, remote):
        before = remote.head
        write(world.there / "letter", b"1")
        world.record_there()
        with remote.lookout() as lookout:
            (moved,) = wait_for_heads([lookout], SOON).moved
            assert moved.head not in (before, None)
        assert remote.refresh().notes == []


def test_the_first_checkpoint_is_told(world: World) -> None:
    with world.both() as (_, remote):
        assert remote.head is None
        with remote.lookout() as lookout:
            assert not wait_for_heads([lookout], 0.1)
            world.fill()
            world.record_there()
            assert wait_for_heads([lookout], SOON).moved


def test_one_thread_waits_for_many_things(world: World, tmp_path: Path) -> None:
    world.start()
    second = World(tmp_path / "second", wired_address)
    second.start()
    source, target = os.pipe()
    with world.both() as (_, remote), second.both() as (_, other):
        remote.refresh()
        other.refresh()
        with remote.lookout() as one, other.lookout() as two:
            os.write(target, b"x")
            assert wait_for_heads([one, two], SOON, [source]) == ([], {}, {source})
            os.read(source, 1)
            write(second.there / "letter", b"1")
            second.record_there()
            assert [each.head for each in wait_for_heads([one, two], SOON, [source]).moved] == [other.head]
            write(world.there / "letter", b"1")
            world.record_there()
            os.write(target, b"x")
            seen: set[object] = set()
            while len(seen) < 2:
                heard = wait_for_heads([one, two], SOON, [source])
                assert heard
                assert not heard.lost
                seen.update([each.head for each in heard.moved] + list(heard.ready))
                if source in heard.ready:
                    os.read(source, 1)
            assert seen == {source, remote.head}
    os.close(source)
    os.close(target)


def test_a_remote_that_is_lost_is_told_and_no_other(world: World, tmp_path: Path) -> None:
    world.start()
    second = World(tmp_path / "second", folder_address)
    second.start()
    with world.both() as (_, remote), second.both() as (_, other):
        remote.refresh()
        other.refresh()
        with ExitStack() as held:
            lookouts = [held.enter_context(each.lookout()) for each in (remote, other)]
            assert not wait_for_heads(lookouts, 0.1)
            second.there.rename(tmp_path / "away")
            lookouts[1]._watch._next = 0  # as after the time in which it looks without being told
            heard = wait_for_heads(lookouts, SOON)
            assert list(heard.lost) == ["origin"]
            assert not heard.moved
            write(world.there / "letter", b"1")
            world.record_there()
            assert wait_for_heads(lookouts[:1], SOON).moved


@pytest.mark.parametrize("world", ["pipe"], indirect=True)
def test_a_far_end_that_cannot_tell_is_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start()
    monkeypatch.setattr(heads, "ASK_SECONDS", 0.1)
    with world.both() as (_, remote):
        remote.refresh()
        monkeypatch.setattr(messages, "HEADS", "what nobody can")
        with remote.lookout() as lookout:
            assert isinstance(lookout, AskingLookout)
            assert not wait_for_heads([lookout], 0.3)
            write(world.there / "letter", b"1")
            world.record_there()
            (moved,) = wait_for_heads([lookout], SOON).moved
            assert moved.head == remote.head


def test_a_link_that_is_idle_for_long_stays(world: World) -> None:
    """Longer than the silence after which a link is dead: both ends say that they are there."""
    world.start()
    with world.open() as repo:
        repo.config.set("core.timeout", "2")
    with world.both() as (_, remote):
        remote.refresh()
        with remote.lookout() as lookout:
            assert not wait_for_heads([lookout], 5)
            write(world.there / "letter", b"1")
            world.record_there()
            assert wait_for_heads([lookout], SOON).moved
