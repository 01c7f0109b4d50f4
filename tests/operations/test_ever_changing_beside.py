"""What lies beside a file that never is the same before and after it was read, when that is recorded by a copy."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from folders import write
from links import UNION
from restless import MIB, Folders, Restless

from replican.effects import faraway, freezing, offering, staging
from replican.effects.hashing import SPECIAL
from replican.operations import receiving
from replican.operations.recording import record
from replican.operations.remotes import opened_remote
from replican.operations.syncing import push_to, sync
from replican.repository import Repository
from replican.values.errors import WorkerError
from replican.values.progress import Problem

Make = Callable[[Path, pytest.MonkeyPatch, str], Restless]
each_way = pytest.mark.parametrize("make", [Folders, Restless])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there it is told who writes")
@each_way
def test_half_a_file_is_left_to_who_watches_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Make
) -> None:
    restless = make(tmp_path, monkeypatch, "there")
    restless.is_restless = True
    with open(restless.there / "half", "wb", buffering=0) as half:
        half.write(b"half")
        with restless.open() as repo, opened_remote(repo, "origin") as remote:
            remote.keep_changing(remote.refresh(prompt=True))
    with Repository(str(restless.there)) as repo:
        assert repo.index.row(b"large") is not None
        assert repo.index.row(b"half") is None


def test_what_was_never_recorded_is_not_recorded_since_the_other_end_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restless = Restless(tmp_path, monkeypatch, "here")
    write(restless.here / "mine", b"mine")
    with restless.open() as repo, opened_remote(repo, "origin") as remote:
        record(repo)
        write(restless.here / "mine", b"edited")
        write(restless.here / "half", b"half")
        remote.refresh()
        item = faraway._item
        monkeypatch.setattr(faraway, "_item", lambda asked: msgspec.structs.replace(item(asked), path=b"half"))
        pushed = push_to(repo, remote)
        assert [each.path for each in pushed.pending] == [b"mine"]
        assert list(remote.unsent) == []


@each_way
def test_what_else_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Make) -> None:
    restless = make(tmp_path, monkeypatch, "there")
    write(restless.there / "pipe", b"a file yet")
    with restless.open() as repo:
        sync(repo, "origin", allowed=UNION)
    (restless.there / "pipe").unlink()
    os.mkfifo(restless.there / "pipe")
    restless.is_restless = True
    restless.edit()
    with restless.open() as repo:
        done = sync(repo, "origin", allowed=UNION)
    assert done.theirs.unread == [Problem(b"pipe", SPECIAL)]
    assert (restless.here / "large").read_bytes() in restless.versions


@each_way
def test_what_cannot_be_had_does_not_keep_another_one_from_being_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Make
) -> None:
    """The one is another file whenever it is copied, and there is no room for a copy over there; the other is so once,
    here."""
    restless = make(tmp_path, monkeypatch, "there")
    with restless.open() as repo:
        sync(repo, "origin", allowed=UNION)
    monkeypatch.setattr(freezing, "_has_room", lambda _, found: found.st_size < MIB)
    mine = restless.here / "mine"
    write(mine, b"mine")
    copy_verified, send = staging.copy_verified, offering.Offer.send

    def edit(size: int) -> None:
        if size > MIB:
            restless.edit()
        elif size == len(b"mine"):
            mine.write_bytes(b"mine, and more")

    def edit_and_copy(*given: object) -> bool:
        edit(given[2])  # type: ignore[arg-type]
        return copy_verified(*given)  # type: ignore[arg-type]

    def edit_and_send(*given: object) -> None:
        for item in given[1]:  # type: ignore[attr-defined]
            edit(item.size)
        send(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(staging, "copy_verified", edit_and_copy)
    monkeypatch.setattr(offering.Offer, "send", edit_and_send)
    restless.edit()
    with restless.open() as repo:
        sync(repo, "origin", allowed=UNION)
    assert (restless.there / "mine").read_bytes() == b"mine, and more"


@each_way
def test_nothing_is_left_of_the_copies_where_it_cannot_be_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Make
) -> None:
    restless = make(tmp_path, monkeypatch, "there")
    restless.pull()
    restless.is_restless = True
    restless.edit()

    def fail(repo: Repository, **given: object) -> object:
        recorded = record(repo, **given)  # type: ignore[arg-type]
        if type(given["mirror"]).__name__ == "Freezer":
            raise WorkerError("it was killed", "")
        return recorded

    monkeypatch.setattr(receiving, "record", fail)
    with restless.open() as repo, opened_remote(repo, "origin") as remote, pytest.raises(Exception, match="killed"):
        remote.keep_changing(remote.refresh())
    assert restless.stage(restless.there) == []
