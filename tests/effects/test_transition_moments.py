"""Transitions in bad moments: a name that cannot be changed for a while, a user who is faster than the last look."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from folders import contents, noise, snapshot, write
from pairs import OLD, Pair, just_before, pending

from replican.effects import arrivals, transition
from replican.effects.index_births import BORN_FROM
from replican.effects.index_check import check_index
from replican.effects.trash import Trash
from replican.operations.recording import record
from replican.operations.syncing import sync
from replican.repository import Repository
from replican.values.ids import BlobId


def test_a_name_that_could_not_be_changed_is_done_later(tmp_path: Path, monkeypatch) -> None:
    """What breaks a hard link leaves nothing behind that would be in the way of the next attempt."""
    pair = Pair(tmp_path, {"a": "a"})
    os.link(pair.b / "a", tmp_path / "other name")
    os.utime(pair.a / "a", ns=(OLD, OLD))
    whole = os.rename

    def refused(*names: object, **places: object) -> None:
        if names[-1] == b"a":
            raise PermissionError(13, "no")
        whole(*names, **places)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refused)
        assert pending(pair.pull().merged) == {"a": "permission denied"}
    assert sorted(os.listdir(pair.b)) == [".replican", "a"]
    pair.sync()
    pair.assert_at_rest()


def test_a_deletion_that_is_not_recorded_is_not_forgotten(tmp_path: Path) -> None:
    """The only file was deleted (a gate waits for its user); a directory of its name comes, and the file as a copy."""
    pair = Pair(tmp_path, {"e": "deleted in b"})
    (pair.a / "e").unlink()
    write(pair.a / "e/new", "new")
    write(pair.a / "x", "x")
    pair.record(pair.a)
    write(pair.a / "e.conflict-20200101T000000Z-00000000", "deleted in b")
    pair.record(pair.a)
    (pair.b / "e").unlink()
    with Repository(str(pair.b)) as repo:
        assert sync(repo, "origin").recorded.gated is not None
    with Repository(str(pair.b)) as repo:
        record(repo, allowed=frozenset({"--allow-mass-delete"}))
    pair.sync()
    pair.sync()
    pair.assert_at_rest()
    assert contents(pair.b) == {"e/new": b"new", "x": b"x"}


@pytest.mark.parametrize("new", [True, False], ids=["new", "replaced"])
def test_an_edit_right_after_a_file_came_is_an_edit(tmp_path: Path, monkeypatch, new: bool) -> None:
    """Its time and its permissions are the user's, not those of what came."""
    pair = Pair(tmp_path, {"x": "x"} if new else {"a": "old", "x": "x"})
    write(pair.a / "a", "came")
    name = "rename_new" if new else "exchange"
    whole = getattr(transition, name)

    def then_save(*args: object) -> object:
        done = whole(*args)
        monkeypatch.setattr(transition, name, whole)
        write(pair.b / "a~", "mine", OLD).chmod(0o600)
        os.rename(pair.b / "a~", pair.b / "a")
        return done

    monkeypatch.setattr(transition, name, then_save)
    pair.sync()
    pair.sync()
    pair.sync()
    assert ("file", 0o600, OLD, b"mine") in snapshot(pair.a).values()
    assert b"came" in contents(pair.a).values()
    pair.assert_at_rest()


@pytest.mark.parametrize("written", [False, True], ids=["refused", "written to"])
def test_what_was_swapped_out_and_does_not_come_to_the_trash_goes_back(
    tmp_path: Path, monkeypatch, written: bool
) -> None:
    """Since the trash cannot take it, or since a program goes on writing to it just then."""
    pair = Pair(tmp_path, {"a": "old", "x": "x"})
    write(pair.a / "a", "came")
    whole = Trash._rename_in

    def meanwhile(trash: Trash, dir_fd: int, name: bytes, blob: BlobId) -> bytes:
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fd = os.open(name, os.O_WRONLY | os.O_APPEND, dir_fd=dir_fd)
        os.write(fd, b", and mine")
        os.close(fd)
        return whole(trash, dir_fd, name, blob)

    with monkeypatch.context() as patch:
        patch.setattr(Trash, "_rename_in", meanwhile)
        cause = "changed here" if written else "no space left on the disk"
        assert pending(pair.pull().merged) == {"a": cause}
    assert contents(pair.b) == {"a": b"old, and mine" if written else b"old", "x": b"x"}
    pair.sync()
    pair.sync()
    pair.assert_at_rest()
    found = set(contents(pair.b).values()) | {path.read_bytes() for path in (pair.b / ".replican/trash").iterdir()}
    assert {b"came", b"old, and mine" if written else b"old"} <= found


def test_of_a_new_directory_everything_is_there_already(tmp_path: Path, monkeypatch) -> None:
    """Nothing of it is known then, but that it is there."""
    pair = Pair(tmp_path, {"x": "x"})
    write(pair.a / "n/c", "theirs")
    just_before(monkeypatch, lambda: write(pair.b / "n/c", "mine") and None)
    assert pending(pair.pull().merged) == {"n/c": "changed here"}
    with Repository(str(pair.b)) as repo:
        check_index(repo.index)
    pair.sync()
    pair.sync()
    pair.assert_at_rest()
    assert sorted(contents(pair.a).values()) == [b"mine", b"theirs", b"x"]


@pytest.mark.parametrize("again", [False, True], ids=["gone", "made again"])
def test_a_new_directory_removed_right_after_it_came(tmp_path: Path, monkeypatch, again: bool) -> None:
    pair = Pair(tmp_path, {"x": "x"})
    write(pair.a / "n/c", "theirs")
    whole = arrivals.rename_new

    def then_remove(*args: object) -> None:
        whole(*args)  # type: ignore[arg-type]
        monkeypatch.setattr(arrivals, "rename_new", whole)
        os.rename(pair.b / "n", tmp_path / "taken away")
        if again:
            write(pair.b / "n/mine", "mine")

    monkeypatch.setattr(arrivals, "rename_new", then_remove)
    assert pending(pair.pull().merged) == {"n": "changed here"}
    pair.sync()
    pair.sync()
    pair.assert_at_rest()
    assert contents(pair.a) == {"x": b"x", "n/c": b"theirs"} | ({"n/mine": b"mine"} if again else {})


def test_a_directory_made_just_as_a_new_one_comes_has_its_own_permissions(tmp_path: Path, monkeypatch) -> None:
    pair = Pair(tmp_path, {"x": "x"})
    write(pair.a / "n/c", "theirs")
    (pair.a / "n").chmod(0o750)

    def made() -> None:
        (pair.b / "n").mkdir()
        (pair.b / "n").chmod(0o711)

    just_before(monkeypatch, made)
    pair.pull()
    pair.sync()
    assert [(root / "n").stat().st_mode & 0o777 for root in (pair.a, pair.b)] == [0o711, 0o711]
    pair.assert_at_rest()


def test_what_is_still_written_to_comes_back_beside_a_file_that_took_its_directory(tmp_path: Path) -> None:
    pair = Pair(tmp_path, {"d/deep/three": "3"})
    with open(pair.b / "d/deep/three", "ab", buffering=0) as held:
        shutil.rmtree(pair.a / "d")
        write(pair.a / "d", "a file now")
        pair.pull()
        held.write(b" and more")
    pair.sync()
    assert contents(pair.b)["three"] == b"3 and more"
    pair.assert_at_rest()


def test_a_directory_with_a_large_file_that_goes_as_it_comes(tmp_path: Path, monkeypatch) -> None:
    """It cannot be looked at any more to be known again by its birth: what came is noted all the same."""
    pair = Pair(tmp_path, {"x": "x"})
    write(pair.a / "new/below/large", noise(BORN_FROM), OLD)
    whole = arrivals.rename_new

    def then_move(*args: object) -> None:
        whole(*args)  # type: ignore[arg-type]
        os.rename(pair.b / "new/below", pair.b / "moved")

    with monkeypatch.context() as patch:
        patch.setattr(arrivals, "rename_new", then_move)
        pair.pull()
    pair.sync()
    pair.assert_at_rest()
    assert sorted(contents(pair.a)) == ["moved/large", "x"]
