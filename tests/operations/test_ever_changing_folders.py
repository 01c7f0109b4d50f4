"""Files that never are the same before and after they are read, in one of two folders of one machine: what they were
while they were read is recorded, and arrives."""

import os
from pathlib import Path

import pytest
from folders import write
from restless import Folders

from replican.effects import freezing, hashing, staging
from replican.operations.fetching import fetch_from
from replican.operations.folders import FolderRemote
from replican.operations.recording import record
from replican.operations.remotes import opened_remote
from replican.operations.syncing import merge_remote, push
from replican.repository import Repository


@pytest.fixture(params=["here", "there"])
def restless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Folders:
    return Folders(tmp_path, monkeypatch, request.param)


def test_it_was_never_recorded(restless: Folders) -> None:
    restless.is_restless = True
    done = restless.sync()
    restless.assert_delivered()
    assert done.equal
    assert done.recorded.problems == done.pulled[-1].pending == done.pushed[-1].pending == []
    assert (restless.other.parent / "other").read_bytes() == b"other"


def test_it_was_recorded_before(restless: Folders) -> None:
    restless.sync()
    restless.is_restless = True
    for _ in range(2):
        before = restless.other.read_bytes()
        restless.edit()
        assert restless.sync().equal
        restless.assert_delivered()
        assert restless.other.read_bytes() != before


def test_it_is_in_a_new_directory(restless: Folders) -> None:
    os.mkdir(restless.path.parent / "new")
    os.rename(restless.path, restless.path.parent / "new/large")
    restless.path = restless.path.parent / "new/large"
    restless.is_restless = True
    assert restless.sync().equal
    assert (restless.other.parent / "new/large").read_bytes() in restless.versions


def test_when_it_is_at_rest_both_are_the_same(restless: Folders) -> None:
    restless.is_restless = True
    restless.sync()
    restless.is_restless = False
    restless.edit()
    assert restless.sync().equal
    assert restless.other.read_bytes() == restless.path.read_bytes()


@pytest.mark.parametrize("other_edit", [False, True])
def test_a_pull(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_edit: bool) -> None:
    """With what else came, which may have been merged before it was recorded."""
    restless = Folders(tmp_path, monkeypatch, "there")
    restless.sync()
    restless.is_restless = True
    restless.edit()
    if other_edit:
        write(restless.there / "other", b"edited")
    pulled = restless.pull()
    restless.assert_delivered()
    assert pulled.merged.pending == []
    assert pulled.merged.tally.changed == 1 + other_edit
    assert (restless.here / "other").read_bytes() == (b"edited" if other_edit else b"other")


def test_there_is_no_room_for_a_copy(restless: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not recorded, which is told, and whatever else there is comes."""
    monkeypatch.setattr(freezing, "_has_room", lambda *_: False)
    restless.is_restless = True
    done = restless.sync()
    problems = done.recorded.problems + done.theirs.unread
    assert [(each.path, each.cause) for each in problems] == [(b"large", hashing.CHANGED_WHILE_READ)]
    assert sorted(os.listdir(restless.other.parent)) == [".replican", "first", "other"]
    assert restless.stage() == restless.stage(restless.there) == []


def test_it_changes_between_its_record_and_its_copy(restless: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could be recorded, and is another one when it is to be copied."""
    copy_verified = staging.copy_verified

    def edit_and_copy(*arguments: object) -> bool:
        if not restless.count:
            restless.edit()
        return copy_verified(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(staging, "copy_verified", edit_and_copy)
    assert restless.sync().equal
    assert restless.count == 1
    assert restless.other.read_bytes() == restless.path.read_bytes()
    assert restless.stage() == restless.stage(restless.there) == []


def test_a_push_says_why_it_is_pending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    restless = Folders(tmp_path, monkeypatch, "here")
    restless.sync()
    restless.edit()
    with restless.open_folder() as repo:
        record(repo)
        restless.edit()
        done = push(repo, "origin")
        assert [each.path for each in done.pending] == [b"large"]
        assert [note for note in repo.notes if note.startswith("large was not sent: it has changed here")]
    assert restless.sync().equal
    assert restless.other.read_bytes() == restless.path.read_bytes()


def test_what_is_gone_over_there_is_not_looked_for_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restless = Folders(tmp_path, monkeypatch, "there")
    with Repository(str(restless.there)) as repo:
        record(repo)
    with restless.open_folder() as repo, opened_remote(repo, "origin") as remote:
        fetch_from(repo, remote)
        restless.path.unlink()
        merged = merge_remote(repo, remote)
        assert [each.path for each in merged.pending] == [b"large"]
        assert not remote.has_changed


def test_what_another_process_has_just_recorded_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    restless = Folders(tmp_path, monkeypatch, "there")
    with restless.open_folder() as repo, opened_remote(repo, "origin") as remote:
        assert isinstance(remote, FolderRemote)
        assert remote.repository.index.row(b"large") is None
        with Repository(str(restless.there)) as there:
            record(there)
        restless.edit()
        remote.lacked([b"large"])
        assert remote.has_changed


def test_two_that_change_by_turns_arrive_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is another one whenever it is copied, and the second one only after it has come once."""
    restless = Folders(tmp_path, monkeypatch, "there")
    second = restless.there / "second"
    count = 0

    def rewrite() -> None:
        nonlocal count
        count += 1
        second.write_bytes(b"%06d" % count)

    rewrite()
    copy_verified = staging.copy_verified

    def edit_and_copy(*given: object) -> bool:
        if given[2] == 6 and count > 1:
            rewrite()
        elif given[2] != 6:
            restless.edit()
        done = copy_verified(*given)  # type: ignore[arg-type]
        if given[2] == 6 and count == 1:
            rewrite()
        return done

    monkeypatch.setattr(staging, "copy_verified", edit_and_copy)
    done = restless.sync()
    assert (done.pulled[-1].pending, done.equal) == ([], True)
    assert restless.other.read_bytes() in restless.versions
    assert (restless.here / "second").stat().st_size == 6
