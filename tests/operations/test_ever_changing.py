"""Files that never are the same before and after they are read: a copy of what was read is recorded, and delivered."""

import os
from contextlib import closing
from pathlib import Path

import pytest
from folders import noise, write
from links import UNION
from restless import MIB, Restless

from replican.effects import hashing, offering
from replican.effects.freezing import UNSTEADY, Freezer
from replican.effects.staging import Stage
from replican.operations.recording import record
from replican.operations.syncing import pull, sync
from replican.repository import Repository
from replican.values.ids import BlobId, blob_id


@pytest.fixture
def restless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Restless:
    return Restless(tmp_path, monkeypatch, "there")


def assert_delivered(restless: Restless) -> None:
    found = (restless.here / "large").read_bytes()
    assert found in restless.versions
    assert restless.row() == (blob_id(found), True)
    assert restless.stage() == restless.stage(restless.there) == []


def test_it_was_never_recorded(restless: Restless) -> None:
    restless.is_restless = True
    with restless.open() as repo:
        pull(repo, "origin", allowed=UNION)
        assert f"origin: large: {UNSTEADY}" in repo.notes
    assert_delivered(restless)
    assert (restless.here / "other").read_bytes() == b"other"


def test_where_it_was_found_changing_one_look_more_will_do(restless: Restless) -> None:
    restless.is_restless, restless.grows = True, False
    restless.pull()
    assert_delivered(restless)
    assert restless.count == hashing.TRIES + 1


def test_it_is_read_by_another_process(restless: Restless) -> None:
    """With many others, all of which are new."""
    for number in range(100):
        write(restless.there / f"many/{number}", noise(100_000, number))
    restless.is_restless = True
    with Repository(str(restless.there)) as repo, Stage(f"{repo.dotdir}/stage") as stage:
        freezer = Freezer(stage, [b"large", b"many/1"])
        with closing(freezer):
            assert record(repo, mirror=freezer).problems == []
            freezer.end()
            id, is_smudged = restless.row()
            fd = freezer.open(BlobId(id))
            assert fd is not None
            with open(fd, "rb") as copy:
                assert blob_id(copy.read()) == id
            assert (is_smudged, freezer.unsteady) == (True, {b"large"})
    assert restless.count == 0  # here
    assert restless.stage(restless.there) == []


def test_it_was_recorded_before(restless: Restless) -> None:
    restless.pull()
    restless.is_restless = True
    for _ in range(2):
        before = (restless.here / "large").read_bytes()
        restless.edit()
        restless.pull()
        assert_delivered(restless)
        assert (restless.here / "large").read_bytes() != before


def test_when_it_is_at_rest_both_are_the_same(restless: Restless) -> None:
    restless.is_restless = True
    restless.pull()
    restless.is_restless = False
    restless.edit()
    restless.pull()
    assert (restless.here / "large").read_bytes() == restless.path.read_bytes()


def test_it_is_edited_here_meanwhile(restless: Restless) -> None:
    """Of both there is a version in the end, in both folders: that of there is the one that was on its disk."""
    restless.is_restless = True
    restless.pull()
    restless.is_restless = False
    restless.edit()
    there = restless.path.read_bytes()
    here = b"edited" + (restless.here / "large").read_bytes()
    write(restless.here / "large", here)
    with restless.open() as repo:
        sync(repo, "origin", allowed=UNION)
    for folder in (restless.here, restless.there):
        assert {path.read_bytes() for path in folder.glob("large*")} == {here, there}


def test_it_is_deleted_here_meanwhile(restless: Restless) -> None:
    """What is on the disk over there was never seen here: it stays."""
    restless.is_restless = True
    restless.pull()
    restless.is_restless = False
    restless.edit()
    there = restless.path.read_bytes()
    (restless.here / "large").unlink()
    with restless.open() as repo:
        sync(repo, "origin", allowed=UNION)
    for folder in (restless.here, restless.there):
        assert (folder / "large").read_bytes() == there


def test_where_there_is_no_room_for_a_copy(restless: Restless, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not recorded, and whatever else there is comes."""
    monkeypatch.setattr("replican.effects.freezing._has_room", lambda *_: False)
    restless.is_restless = True
    restless.pull()
    assert os.listdir(restless.here / ".replican/stage") == []
    assert [each.name for each in restless.here.iterdir() if each.is_file()] == ["other"]


def test_it_changes_whenever_it_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be recorded: only to send it takes too long."""
    restless = Restless(tmp_path, monkeypatch, "there", [offering])
    restless.is_restless, restless.grows = True, False
    frozen: list[bool] = []
    opened = Freezer.open

    def open_frozen(*arguments: object) -> int | None:
        fd = opened(*arguments)  # type: ignore[arg-type]
        frozen.append(fd is not None)
        return fd

    monkeypatch.setattr(Freezer, "open", open_frozen)
    came = restless.pull()
    assert (restless.here / "large").read_bytes() in restless.versions
    assert True in frozen
    assert came is not None
    assert came < 7 * MIB  # not more than once in vain
