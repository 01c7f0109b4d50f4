"""A remote whose log is in order, and whose folder is not; and what it makes of links."""

import os

import pytest
from folders import contents, write
from forging import EMPTY_TREE, directory, file, link, user
from replicas import Replicas
from victims import Victim

COPY = b".conflict-20200101T000000Z-00000000"


@pytest.fixture
def victim(replicas: Replicas) -> Victim:
    return Victim(replicas)


def outside(victim: Victim) -> dict[str, bytes]:
    return contents(victim.base / "outside")


def pull(victim: Victim, code: int | None = 0) -> str:
    """``b`` takes in what ``evil`` offers, whose folder does not speak up. What was told."""
    with victim.evil.at_work():
        ended = victim.run("b", "--wait", "0", "pull", "evil", code=code)
    return ended.text + ended.err


def test_a_link_and_then_a_directory_in_its_place(victim: Victim) -> None:
    """In one tree the same name cannot be there twice; over two checkpoints it can."""
    evil, head = victim.evil, victim.head
    old = evil.tree(file(b"f", b"content"), link(b"way", b"../outside"))
    (evil.root / "way").symlink_to("../outside")
    first = evil.offer(old, head)
    pull(victim)
    assert os.readlink(victim.base / "b/way") == "../outside"
    before = outside(victim)
    (evil.root / "way").unlink()
    for name in ("kept", "new"):
        write(evil.root / "way" / name, "harm")
    inside = evil.tree(file(b"kept", b"harm"), file(b"new", b"harm"))
    evil.offer(evil.tree(file(b"f", b"content"), directory(b"way", inside)), first)
    pull(victim)
    assert not (victim.base / "b/way").is_symlink()
    assert contents(victim.base / "b") == {"f": b"content", "way/kept": b"harm", "way/new": b"harm"}
    assert outside(victim) == before
    victim.run("b", "fsck", "--content")


def test_a_directory_here_that_became_a_link(victim: Victim) -> None:
    """The user put a link in its place, and has not recorded it yet: nothing goes through it."""
    evil, head = victim.evil, victim.head
    write(evil.root / "d/g", "harm")
    write(evil.root / "d/kept", "harm")
    inside = evil.tree(file(b"g", b"harm"), file(b"kept", b"harm"))
    evil.offer(evil.tree(directory(b"d", inside), file(b"f", b"content")), head)
    before = outside(victim)
    here = victim.base / "b/d"
    for name in ("g", "h"):
        (here / name).unlink()
    here.rmdir()
    here.symlink_to("../outside")
    pull(victim, None)
    victim.run("b", "sync", "origin", code=None)
    assert outside(victim) == before
    victim.run("b", "fsck")


def test_content_that_is_not_what_the_log_says(victim: Victim) -> None:
    """Of other bytes, of another size, behind a link, or not a file at all: it stays away, and only it."""
    evil, head = victim.evil, victim.head
    write(evil.root / "bytes", "evil")
    write(evil.root / "size", "evil")
    write(evil.root / "size, too", "evil")
    write(evil.root / "good", "good")
    (evil.root / "through").symlink_to(victim.base / "outside/kept")
    os.mkfifo(evil.root / "waits")
    (evil.root / "folder").mkdir()
    kept = b"of somebody else"
    tree = evil.tree(
        file(b"bytes", b"harm"),
        file(b"folder", b"harm"),
        file(b"good", b"good"),
        file(b"size", b"evil", size=b"3"),
        file(b"size, too", b"evil", size=b"5"),
        file(b"through", kept),
        file(b"waits", b"harm"),
    )
    evil.offer(tree, head)
    pull(victim, 4)
    assert contents(victim.base / "b") == {"good": b"good"}
    pending = {each["path"] for each in victim.run.json("b", "status")["pending"]}
    assert pending == {"bytes", "folder", "size", "size, too", "through", "waits"}
    victim.run("b", "fsck", "--content")


def test_copies_whose_derived_name_is_forbidden_are_ordinary_names(victim: Victim) -> None:
    evil, head = victim.evil, victim.head
    names = sorted(name + COPY for name in (b".", b"..", b".REPLICAN", b".replican", b"REPLIC~1"))
    theirs = [file(name, b"theirs", mtime=b"1700000000000000000") for name in names]
    evil.offer(evil.tree(*theirs), head)
    for name in names:
        write(evil.root / os.fsdecode(name), "theirs")
        write(victim.base / "b" / os.fsdecode(name), "mine")
    pull(victim)
    here = victim.base / "b"
    found = contents(here)
    assert sorted(found.values()).count(b"mine") == sorted(found.values()).count(b"theirs") == len(names)
    assert all(name.count(".conflict-") in (1, 2) for name in found)
    conflicts = victim.run.json("b", "conflicts")
    assert {each["path"].encode() for each in conflicts} == set(names)
    assert (here / ".replican").is_dir()
    victim.run("b", "fsck", "--content")


def test_permissions_do_not_bring_what_only_root_may_give(victim: Victim) -> None:
    """Of a file that is set-id over there, the plain permissions are recorded."""
    path = write(victim.evil.root / "tool", "x")
    path.chmod(0o6755)
    (victim.evil.root / "sticky").mkdir()
    (victim.evil.root / "sticky").chmod(0o1777)
    victim.run("b", "sync", "evil")
    assert (victim.base / "b/tool").stat().st_mode & 0o7777 == 0o755
    assert (victim.base / "b/sticky").stat().st_mode & 0o7777 == 0o777


def test_times_at_the_ends_of_what_can_be_written(victim: Victim) -> None:
    """In the format, and beyond what any file system holds: taken over, and not an edit of anybody's afterwards."""
    evil, head = victim.evil, victim.head
    last = b"9223372036854775807"
    names = {b"first": b"-" + last, b"last": last, b"neither": b"0"}
    evil.commit(user(EMPTY_TREE, head))
    evil.offer(evil.tree(*(file(name, name, mtime=time) for name, time in names.items())), head, time=last)
    for name in names:
        write(evil.root / os.fsdecode(name), name)
    pull(victim, None)
    victim.run("b", "log")
    victim.run("b", "status")
    once = victim.run.head("b")
    victim.run("b", "commit", code=None)
    assert victim.run.head("b") == once
    assert contents(victim.base / "b").keys() <= {"first", "last", "neither"}
    victim.run("b", "fsck", "--content")
