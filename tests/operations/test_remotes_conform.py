"""What every kind of remote has to do: the same tests for all of them.

A kind is how a remote is addressed and reached. What is pushed to it: ``test_pushes_conform.py``.
"""

import os

import pytest
from folders import assert_equal, contents, write
from worlds import FILES, LARGE, World

from replican.effects.forms import CHECKPOINT, TREE
from replican.effects.refs import HEAD, remote_head
from replican.operations.ahead import stage_content
from replican.operations.fetching import fetch_from
from replican.operations.recording import record
from replican.operations.remotes import Remote
from replican.operations.restoring import restore
from replican.operations.syncing import merge_remote, pull, sync
from replican.operations.targets import find_target, merge_target
from replican.repository import Repository
from replican.values.errors import RemoteError
from replican.values.ids import blob_id


def refresh_and_fetch(repo: Repository, remote: Remote) -> None:
    remote.refresh()
    fetch_from(repo, remote)


# -- the log ------------------------------------------------------------------------------------------------------


def test_an_empty_log(world: World) -> None:
    with world.both() as (repo, remote):
        assert remote.refresh()[:3] == ([], [], False)
        assert remote.head is None
        assert list(remote.refs()) == []
        assert fetch_from(repo, remote)[1:] == (None, None, 0, 0, False)


def test_edits_over_there_are_recorded_and_told(world: World) -> None:
    world.fill()
    os.mkfifo(world.there / "pipe")
    with world.both() as (_, remote):
        refreshed = remote.refresh()
        assert refreshed.notes == ["origin: not recorded, and left alone: pipe: special file"]
        assert refreshed.unread == []
        assert remote.head is not None
        assert dict(remote.refs()) == {"head": remote.head}
        first = remote.head
        write(world.there / "letter", b"changed")
        with remote.refreshing() as over_there:
            refreshed = over_there.result()
        assert refreshed.notes == []
        assert remote.head not in (first, None)
    with Repository(str(world.there)) as there:
        assert there.head not in (first, None)


def test_a_gate_over_there_keeps_edits_from_being_recorded(world: World) -> None:
    world.start()
    for path in FILES:
        os.unlink(world.there / path)
    os.unlink(world.there / "link")
    with world.both() as (_, remote):
        (note,), _, refused, _ = remote.refresh()
        assert refused
        assert note.startswith("origin has edits that it does not record: ")


def test_what_is_new_of_the_log_comes(world: World) -> None:
    world.start()
    with world.both() as (repo, remote):
        remote.refresh()
        assert fetch_from(repo, remote)[3:] == (0, 0, False)
    for content in (b"1", b"2", b"3"):
        write(world.there / "folder/inner/deep", content)
        world.record_there()
    with world.both() as (repo, remote):
        remote.refresh()
        fetched = fetch_from(repo, remote)
        assert fetched[3:] == (3, 9, False), "the root and two directories below it, three times"
        assert repo.refs.read(remote_head("origin")) == remote.head == fetched.new
        assert contents(world.here)["folder/inner/deep"] != b"3"


def test_a_long_log_and_a_merge_in_it(world: World) -> None:
    world.start()
    for number in range(40):
        write(world.there / "letter", b"%d" % number)
        world.record_there()
        if number in (10, 20):
            write(world.here / "mine", b"%d" % number)
            with world.open() as repo:
                sync(repo, "origin")
    with world.open() as repo:
        assert sync(repo, "origin").equal
    assert_equal(world.here, world.there)


def test_objects_by_their_ids(world: World) -> None:
    world.start()
    with Repository(str(world.there)) as there, world.both() as (_, remote):
        head = there.head
        assert head is not None
        tree = there.head_tree
        found = remote.objects([head, tree, bytes(32)])
        assert {id: kind for id, (kind, _) in found.items()} == {head: CHECKPOINT, tree: TREE}
        assert found[tree][1] == there.objects.payload(TREE, tree)


def test_a_damaged_log(world: World) -> None:
    world.start()
    write(world.there / "letter", b"changed")
    world.record_there()
    with Repository(str(world.there)) as there:
        tree = there.head_tree
    loose = world.there / ".replican/objects/loose"
    path = next(path for path in loose.rglob("*") if path.is_file() and path.name in tree.hex())
    path.chmod(0o600)
    path.write_bytes(b"damaged")
    with world.both() as (repo, remote):
        assert tree not in remote.objects([tree])
        with pytest.raises(RemoteError, match="remote origin is damaged"):
            refresh_and_fetch(repo, remote)
        assert repo.refs.read(remote_head("origin")) != remote.head


# -- content ------------------------------------------------------------------------------------------------------


def test_everything_arrives(world: World) -> None:
    world.start()
    assert contents(world.here)["large"] == contents(world.there)["large"]
    for number in range(300):
        write(world.there / f"many/{number % 7}/{number}", b"%d" % (number % 250))
    os.rename(world.there / "folder", world.there / "moved")
    write(world.there / "letter", LARGE[:-1])
    with world.open() as repo:
        done = pull(repo, "origin")
    assert done.merged.pending == []
    assert_equal(world.here, world.there)


def test_what_changed_since_it_was_recorded_is_not_believed(world: World) -> None:
    world.start()
    write(world.there / "letter", b"second")
    write(world.there / "other", b"kept")
    world.record_there()
    with world.both() as (repo, remote):
        refresh_and_fetch(repo, remote)
        write(world.there / "letter", b"3rd___")
        merged = merge_remote(repo, remote)
    assert [(each.path, each.cause) for each in merged.pending] == [(b"letter", "no source")]
    assert contents(world.here)["letter"] == b"dear"
    assert contents(world.here)["other"] == b"kept"
    with world.open() as repo:
        assert sync(repo, "origin").equal
    assert_equal(world.here, world.there)


def test_what_went_to_the_trash_over_there_is_still_to_be_had(world: World) -> None:
    world.start()
    write(world.here / "letter", b"replaces it")
    with world.open() as repo:
        assert sync(repo, "origin").equal
    os.unlink(world.here / "letter")
    with world.open() as repo:
        record(repo)
        (first,) = [each for each in repo.graph.closure([repo.head or b""]) if not repo.graph.parents(each)]
        done = restore(repo, repo.tree_of(first), [b"letter"], only="origin")
    assert done.places == {"the trash of origin": 1}
    assert contents(world.here)["letter"] == b"dear"


def test_restore_tells_where_it_would_come_from(world: World) -> None:
    world.start()
    os.unlink(world.here / "letter")
    os.unlink(world.here / "link")
    os.unlink(world.here / "large")
    os.unlink(world.there / "large")
    with world.open() as repo:
        tree = repo.head_tree
        would = restore(repo, tree, [b""], only="origin", dry_run=True)
        assert would.places == {"origin": 2}
        done = restore(repo, tree, [b""], only="origin")
        assert done.places == {"origin": 2}
        assert [each.path for each in would.missing] == [each.path for each in done.missing] == [b"large"]
    assert os.readlink(world.here / "link") == "letter"


def test_content_by_its_id_alone(world: World) -> None:
    world.start()
    with world.both() as (_, remote):
        for content, hint in (
            (b"dear", b""),
            (b"deep", b"letter"),
            (LARGE, b"large"),
            (b"", b"empty"),
            (b"letter", b""),
        ):
            found = next(each for each in remote.candidates(blob_id(content), hint) if each is not None)
            assert b"".join(found.chunks()) == content
            found.close()
        assert not [each for each in remote.candidates(blob_id(b"nowhere"), b"letter") if each is not None]


def test_content_ahead_of_a_merge(world: World) -> None:
    world.start()
    write(world.there / "letter", b"new")
    write(world.there / "fresh/file", LARGE[1:])
    with world.both() as (repo, remote):
        remote.refresh()
        fetch_from(repo, remote)
        ahead = stage_content(repo, remote)
        assert (ahead.contents, ahead.missing) == (2, [])
    away = world.there.with_name("away")
    world.there.rename(away)
    with world.open() as repo:
        merge_target(repo, find_target(repo, None))
    assert_equal(world.here, away)


# -- all of it ----------------------------------------------------------------------------------------------------


def test_both_edit_and_sync(world: World) -> None:
    world.start()
    write(world.here / "letter", b"by here", 2 * 10**18)
    write(world.there / "letter", b"by there", 10**18)
    write(world.there / "folder/new", b"n")
    os.unlink(world.here / "large")
    with world.open() as repo:
        done = sync(repo, "origin")
        assert done.equal
        assert len(done.pulled[0].conflicts) == 1
        assert not sync(repo, "origin").recorded.new
    assert_equal(world.here, world.there)
    assert contents(world.there)["letter"] == b"by here"
    with world.open() as repo, Repository(str(world.there)) as there:
        assert repo.refs.read(HEAD) == there.refs.read(HEAD) == repo.refs.read(remote_head("origin"))


def test_a_remote_that_is_gone(world: World) -> None:
    world.start()
    world.there.rename(world.there.with_name("away"))
    with world.open() as repo, pytest.raises(RemoteError, match="origin"):
        pull(repo, "origin")
    world.there.mkdir()
    with world.open() as repo, pytest.raises(RemoteError, match="no replica"):
        pull(repo, "origin")
    assert not list(world.there.iterdir())


def test_a_log_that_was_made_anew(world: World) -> None:
    world.start()
    world.there.rename(world.there.with_name("away"))
    Repository.init(str(world.there)).close()
    with world.both() as (repo, remote):
        remote.refresh()
        with pytest.raises(RemoteError, match="had one before"):
            fetch_from(repo, remote)
