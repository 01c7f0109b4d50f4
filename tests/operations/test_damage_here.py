"""An object that is damaged or lost here is said to be here, whatever is done with a remote: nothing is amiss there."""

from pathlib import Path

import pytest
from folders import assert_equal, write
from in_process import InProcess
from worlds import World

from replican.effects.refs import HEAD
from replican.operations.checking import check
from replican.operations.fetching import fetch_from
from replican.operations.recording import record
from replican.operations.syncing import pull, push_to
from replican.repository import Repository
from replican.values.errors import DamagedError, RemoteError
from replican.values.ids import CheckpointId


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


def loose(root: Path, id: bytes) -> Path:
    """The file of an object that is a file of its own."""
    files = (root / ".replican/objects/loose").rglob("*")
    return next(path for path in files if path.is_file() and id.hex().endswith(path.name))


def start(world: World) -> CheckpointId:
    """There is something new over there; what both have."""
    world.start()
    write(world.there / "theirs", b"t")
    world.record_there()
    with world.open() as repo:
        assert repo.head is not None
        return repo.head


def test_what_the_new_ones_come_from(world: World) -> None:
    """It is read as soon as what came is looked at."""
    common = start(world)
    spoil(loose(world.here, common))
    with world.both() as (repo, remote):
        remote.refresh()
        with pytest.raises(DamagedError, match=f"^the log here is damaged: object {common.hex()}") as caught:
            fetch_from(repo, remote)
    assert "fsck --repair" in str(caught.value.hint)
    with Repository(str(world.there)) as there:
        assert check(there, content=True).damage == []


def test_what_was_lost(world: World) -> None:
    loose(world.here, start(world)).unlink()
    with world.open() as repo, pytest.raises(DamagedError, match="names no checkpoint: no object") as caught:
        pull(repo, "origin")
    assert "fsck --repair" in str(caught.value.hint)


@pytest.mark.parametrize("command", ["fetch", "pull", "sync"])
def test_as_a_command(world: World, command: str) -> None:
    """It ends with 6, and what its hint says helps."""
    common = start(world)
    run = InProcess(world.here)
    spoil(loose(world.here, common))
    done = run(command, "--json", code=6)
    assert "damaged" in done.err
    assert "remote origin" not in done.err
    run("fsck", "--repair")
    run("sync")
    assert_equal(world.here, world.there)


def test_a_head_that_is_here_and_is_no_checkpoint(world: World) -> None:
    """Whoever says so is to blame, and not what is here."""
    world.start()
    write(world.here / "mine", b"m")
    with world.open() as repo:
        record(repo)
        tree = repo.head_tree
    with Repository(str(world.there)) as there:
        (world.there / ".replican/refs" / HEAD).write_text(tree.hex() + "\n")
        there.close()
    with world.both() as (repo, remote), pytest.raises(RemoteError, match="remote origin"):
        fetch_from(repo, remote)


def spoil_all(root: Path) -> None:
    for path in (root / ".replican/objects/loose").rglob("*"):
        if path.is_file():
            spoil(path)


def start_a_push(world: World) -> None:
    """There is something new here."""
    world.start()
    write(world.here / "folder/mine", b"m")
    with world.open() as repo:
        record(repo)


def test_a_push_says_whose_damage_it_is_here(world: World) -> None:
    start_a_push(world)
    spoil_all(world.here)
    with world.both() as (repo, remote):
        remote.refresh()
        with pytest.raises(DamagedError, match=r"^the log here is damaged: ") as caught:
            push_to(repo, remote)
    assert "fsck --repair" in str(caught.value.hint)
    with Repository(str(world.there)) as there:
        assert check(there, content=True).damage == []


def test_a_push_says_whose_damage_it_is_there(world: World) -> None:
    start_a_push(world)
    with world.both() as (repo, remote):
        remote.refresh()
        spoil_all(world.there)
        with pytest.raises(RemoteError, match=r"^remote origin is damaged: ") as caught:
            push_to(repo, remote)
    assert f"{world.there}" in str(caught.value.hint)
    with world.open() as repo:
        assert check(repo, content=True).damage == []
