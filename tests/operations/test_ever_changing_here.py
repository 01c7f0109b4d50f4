"""Files here that never are the same before and after they are read, where they are pushed over a link."""

import os
from pathlib import Path

import pytest
from folders import write
from links import UNION
from restless import Restless

from replican.effects import freezing, hashing, offering
from replican.effects.freezing import UNSTEADY
from replican.operations.recording import record
from replican.operations.syncing import Pushed, Synced, push, sync
from replican.values.ids import blob_id


class Pushing(Restless):
    """It lies here."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(base, monkeypatch, "here")
        self.notes: list[str] = []

    def sync(self) -> Synced:
        with self.open() as repo:
            done = sync(repo, "origin", allowed=UNION)
            self.notes = list(repo.notes)
        return done

    def push(self, **_: int) -> Pushed:  # type: ignore[override]
        with self.open() as repo:
            record(repo)
            self.edit()
            done = push(repo, "origin")
            self.notes = list(repo.notes)
        return done

    def assert_delivered(self, done: Synced) -> None:
        found = (self.there / "large").read_bytes()
        assert found in self.versions
        assert done.equal
        assert done.recorded.problems == done.pushed[-1].pending == []
        assert self.row() == (blob_id(found), True)
        assert self.stage() == self.stage(self.there) == []


@pytest.fixture
def restless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pushing:
    return Pushing(tmp_path, monkeypatch)


def test_it_was_never_recorded(restless: Pushing) -> None:
    restless.is_restless = True
    restless.assert_delivered(restless.sync())
    assert restless.notes.count(f"large: {UNSTEADY}") == 1
    assert (restless.there / "other").read_bytes() == b"other"


def test_it_was_recorded_before(restless: Pushing) -> None:
    restless.sync()
    restless.is_restless = True
    for _ in range(2):
        before = (restless.there / "large").read_bytes()
        restless.edit()
        restless.assert_delivered(restless.sync())
        assert (restless.there / "large").read_bytes() != before


def test_when_it_is_at_rest_both_are_the_same(restless: Pushing) -> None:
    restless.is_restless = True
    restless.sync()
    restless.is_restless = False
    restless.edit()
    restless.sync()
    assert (restless.there / "large").read_bytes() == restless.path.read_bytes()


def test_it_can_be_recorded_and_not_be_sent(restless: Pushing, monkeypatch: pytest.MonkeyPatch) -> None:
    """It changes once it is asked for."""
    send = offering.Offer.send

    def edit_and_send(*arguments: object) -> None:
        if not restless.count:
            restless.edit()
        send(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(offering.Offer, "send", edit_and_send)
    done = restless.sync()
    assert (restless.there / "large").read_bytes() == restless.path.read_bytes()
    assert [each.path for pushed in done.pushed for each in pushed.pending] == [b"large"]
    assert (done.pushed[-1].pending, done.equal, done.recorded.new) == ([], True, True)
    assert [pushed.tally for pushed in done.pushed] == [(1, 0, 0, 0), (1, 0, 0, 0)]
    assert restless.stage() == restless.stage(restless.there) == []


def test_there_is_no_room_for_a_copy(restless: Pushing, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not recorded, which is told, and whatever else there is comes."""
    monkeypatch.setattr(freezing, "_has_room", lambda *_: False)
    restless.is_restless = True
    done = restless.sync()
    assert [(each.path, each.cause) for each in done.recorded.problems] == [(b"large", hashing.CHANGED_WHILE_READ)]
    assert sorted(os.listdir(restless.there)) == [".replican", "other"]
    assert restless.stage() == []


def test_a_closed_gate_keeps_it_as_it_is(restless: Pushing) -> None:
    for number in range(60):
        write(restless.here / f"many/{number}", b"%d" % number)
    restless.sync()
    for number in range(60):
        (restless.here / f"many/{number}").unlink()
    before = (restless.there / "large").read_bytes()
    restless.is_restless = True
    restless.edit()
    done = restless.sync()
    assert done.recorded.gated is not None
    assert len(done.pushed) == 1
    assert (restless.there / "large").read_bytes() == before


def test_a_push_says_why_it_is_pending(restless: Pushing) -> None:
    done = restless.push()
    assert ([each.path for each in done.pending], done.tally) == ([b"large"], (1, 0, 0, 0))
    assert [note for note in restless.notes if note.startswith("large was not sent: it has changed here")]
    restless.sync()
    assert (restless.there / "large").read_bytes() == restless.path.read_bytes()
