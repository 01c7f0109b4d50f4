"""A remote that is a folder here, whose index lies: who comes next looks at what it says was left by a kill."""

import hashlib
import os
import time

import pytest
from folders import noise, snapshot
from victims import Victim

from replican.effects.births import mark_of
from replican.effects.index import Index
from replican.effects.index_births import BORN_FROM, Birth
from replican.effects.trash import TrashItem
from replican.repository import Repository
from replican.values.ids import CheckpointId, TreeId, blob_id
from replican.values.journal import JournalEntry
from replican.values.trees import DIRECTORY, FILE, Entry

PLACES = [b"../outside/new", b"d/../../outside/new", b"..", b"d/../../outside", b"/outside/new", b".replican/hooks/new"]


@pytest.fixture
def victim(replicas) -> Victim:
    made = Victim(replicas)
    (made.base / "outside/empty").touch()
    (made.base / "outside/folder").mkdir(mode=0o700)
    return made


def entry(path: bytes, content: bytes, perm: int = 0o644) -> Entry:
    return Entry(path.rpartition(b"/")[2], FILE, perm, len(content), 0, blob_id(content))


def state(victim: Victim) -> object:
    """All that lies beside the folder that means harm, and what it may not have come to itself."""
    own = {path: path.read_bytes() for path in (victim.evil.root / ".replican/hooks").rglob("*")}
    return [snapshot(victim.base / name) for name in ("a", "b", "outside")], own, sorted(os.listdir(victim.base))


def noted(victim: Victim, *entries: JournalEntry) -> None:
    with Index.open(str(victim.evil.root / ".replican/index.db"), writable=True) as index:
        index.note_journal(entries)


def asked(victim: Victim) -> None:
    """Everybody who comes by leaves what is not theirs as it was."""
    before = state(victim)
    for command in ("fetch", "push", "ls-remote"):
        victim.run("b", command, "evil", code=None)
        assert state(victim) == before
    victim.run("evil", "commit", code=None)
    assert state(victim) == before


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("shelf", ["trash", "stage"])
def test_what_was_on_its_way_does_not_go_there(victim: Victim, place: bytes, shelf: str) -> None:
    """What lies in the trash, or on the stage, under the id of something else was written by its user, says the index:
    so it would go back to its name."""
    old, new = entry(place, b"old"), entry(place, b"new!")
    (victim.evil.root / ".replican" / shelf / (old if shelf == "trash" else new).id.hex()).write_bytes(b"harm")
    noted(victim, JournalEntry(place, old, new))
    asked(victim)


@pytest.mark.parametrize("place", [b"../outside/empty", b"d/../../outside/empty"])
def test_an_empty_file_elsewhere_is_not_filled(victim: Victim, place: bytes) -> None:
    new = entry(place, b"harm")
    (victim.evil.root / ".replican/stage" / new.id.hex()).write_bytes(b"harm")
    noted(victim, JournalEntry(place, None, new))
    asked(victim)


@pytest.mark.parametrize("place", [b"../outside/folder", b"d/../../outside/folder"])
def test_a_directory_elsewhere_keeps_its_permissions(victim: Victim, place: bytes) -> None:
    tree = TreeId(hashlib.sha256(b"tree 0\0").digest())
    sides = [Entry(b"folder", DIRECTORY, perm, 0, 0, tree) for perm in (0o700, 0o777)]
    noted(victim, JournalEntry(place, *sides))
    asked(victim)


@pytest.mark.parametrize("place", PLACES)
def test_what_was_written_to_in_the_trash_does_not_come_back_there(victim: Victim, place: bytes) -> None:
    trash = victim.evil.root / ".replican/trash"
    held = blob_id(b"old")
    (trash / held.hex()).write_bytes(b"written to")
    found = os.lstat(trash / held.hex())
    item = TrashItem(held, held.hex().encode(), place, FILE, 0o644, 3, found.st_mtime_ns, found.st_ino, time.time_ns())
    with Index.open(str(victim.evil.root / ".replican/index.db"), writable=True) as index:
        index.add_trash([item])
    victim.run.write("b/mine", "x")
    victim.run("b", "commit")
    victim.run.write("evil/f", "changed")
    asked(victim)
    before = state(victim)
    victim.run("evil", "gc", code=None)
    assert state(victim) == before


def test_what_lies_elsewhere_is_not_taken_out_of_the_trash(victim: Victim) -> None:
    """It would be moved into the folder of who says that it was in the trash there."""
    kept = victim.base / "outside/kept"
    found = os.lstat(kept)
    held, name = blob_id(b"old"), b"../../../outside/kept"
    item = TrashItem(held, name, b"mine now", FILE, 0o644, 3, found.st_mtime_ns, found.st_ino, time.time_ns())
    with Index.open(str(victim.evil.root / ".replican/index.db"), writable=True) as index:
        index.add_trash([item])
    victim.run.write("b/mine", "x")
    victim.run("b", "commit")
    asked(victim)
    before = state(victim)
    victim.run("evil", "gc", code=None)
    assert state(victim) == before
    assert not (victim.evil.root / "mine now").exists()


@pytest.mark.parametrize("content", [b"mine alone", noise(BORN_FROM, 1)])
def test_a_birth_that_lies(victim: Victim, content: bytes) -> None:
    """A file over there is recorded as something else, whether or not that lies here: nobody gets what it is not."""
    victim.run.write("b/mine", content)
    victim.run("b", "commit")
    large = victim.evil.root / "large"
    large.write_bytes(noise(BORN_FROM))
    os.utime(large, ns=(0, 1_600_000_000_000_000_000))
    lie = blob_id(content)
    with Index.open(str(victim.evil.root / ".replican/index.db"), writable=True) as index, large.open("rb") as file:
        found = os.fstat(file.fileno())
        mark = mark_of(file.fileno(), found, lie)
        if mark is None:
            pytest.skip("this disk does not keep when a file was made")
        index.births.note([Birth(found.st_ino, lie, mark)])
    elsewhere = snapshot(victim.base / "a"), snapshot(victim.base / "outside")
    ended = victim.run("b", "pull", "evil", code=None)
    assert (snapshot(victim.base / "a"), snapshot(victim.base / "outside")) == elsewhere
    with Repository(str(victim.evil.root)) as repo:
        assert repo.index.row(b"large").id == lie, "what it says is believed there"
    got = victim.base / "b/large"
    assert (ended.code, got.exists()) == ((0, True) if len(content) == BORN_FROM else (4, False))
    assert not got.exists() or blob_id(got.read_bytes()) == lie
    victim.run("b", "fsck", "--content")


@pytest.mark.parametrize("place", [place for place in PLACES if place != b".."])
def test_a_tail_that_says_so(victim: Victim, place: bytes) -> None:
    old, new = entry(place, b"old"), entry(place, b"new!")
    (victim.evil.root / ".replican/trash" / old.id.hex()).write_bytes(b"harm")
    with Repository(str(victim.evil.root)) as repo, repo.writing("lie"):
        repo.tailing.begin()
        assert repo.tailing._tail.add_batch([JournalEntry(place, old, new)])
        repo.tailing._tail.flush()
    asked(victim)


@pytest.mark.parametrize("link", ["remotes", "remotes/harm"])
def test_refs_of_a_tail_behind_a_link(victim: Victim, link: str) -> None:
    """The name of a ref is a path, too, and what is noted of it is somebody else's text."""
    refs = victim.evil.root / ".replican/refs"
    (refs / link).parent.mkdir(exist_ok=True)
    (refs / link).symlink_to(victim.base / "outside")
    (victim.base / "outside/harm").mkdir()
    head = CheckpointId(victim.head)
    with Repository(str(victim.evil.root)) as repo, repo.writing("lie"):
        repo.tailing.begin()
        line = f"{'0' * 64} {head.hex()} harm 1 +0000\tto be run by somebody\n".encode()
        repo.tailing._tail.add_move("remotes/harm/head", line)
        repo.tailing._tail.flush()
        repo.tailing._tail.in_use = repo.tailing._tail.unflushed = False
    asked(victim)
