"""Files here that change all the time, in a watched folder: the courier of a remote at the far end of a link delivers
them."""

import os
import sys
import time
from pathlib import Path
from random import Random

import pytest
from head_waiting import wait_for_heads
from links import UNION
from restless import Folders, Restless

from replican.decisions.pace import Bounds
from replican.effects.freezing import UNSTEADY
from replican.effects.hashing import CHANGED_WHILE_READ
from replican.operations import courier as courier_module
from replican.operations import keeping
from replican.operations.courier import Courier
from replican.operations.fetching import fetch_from
from replican.operations.keeping import KEPT_SECONDS
from replican.operations.recording import record
from replican.operations.remotes import opened_remote
from replican.operations.syncing import merge_remote
from replican.repository import Repository
from replican.values import events
from replican.values.errors import RefusedError
from replican.values.ids import blob_id
from replican.values.listing import RACY_NS


class Collecting:
    """In the place of the socket to the main process: what a courier tells until it has told of an exchange."""

    def __init__(self) -> None:
        self.events: list[events.Event] = []
        self.ended = False

    def fileno(self) -> int:
        raise AssertionError("it is to carry, and not to wait")

    def receive(self) -> list[object]:
        return []

    def send(self, event: events.Event) -> None:
        self.events.append(event)
        self.ended = isinstance(event, events.Synced | events.RemoteLost | events.Error)


class Watched(Restless):
    """It lies here, and was recorded before it was edited once more."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(base, monkeypatch, "here")
        with self.open() as repo:
            record(repo)
        self.edit()
        time.sleep(2 * RACY_NS / 10**9)  # else its row might be smudged for being of this very moment

    def carry(self, kept_until: float = 0.0) -> list[events.Event]:
        post = Collecting()
        courier = Courier(str(self.here), "origin", post, Bounds(), Random(1))  # type: ignore[arg-type]
        courier._kept_until = kept_until
        courier.run()
        return post.events


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(tmp_path, monkeypatch)


def synced(told: list[events.Event]) -> events.Synced:
    return [event for event in told if isinstance(event, events.Synced)][-1]


@pytest.mark.parametrize("is_restless", [False, True])
def test_it_is_recorded_once_more_and_comes(watched: Watched, is_restless: bool) -> None:
    watched.is_restless = is_restless
    told = watched.carry()
    found = (watched.there / "large").read_bytes()
    assert found in watched.versions
    assert watched.row() == (blob_id(found), is_restless)
    assert (synced(told).pending, synced(told).equal) == (0, True)
    notes = [event.line() for event in told if isinstance(event, events.Note)]
    assert [note for note in notes if UNSTEADY in note] == ([f"origin: large: {UNSTEADY}"] if is_restless else [])
    assert (watched.stage(), watched.stage(watched.there)) == ([], [])


def test_nothing_else_is_recorded_by_the_courier(watched: Watched) -> None:
    (watched.here / "new").write_bytes(b"new")
    watched.carry()
    assert sorted(os.listdir(watched.there)) == [".replican", "large", "other"]
    assert (watched.there / "large").read_bytes() == watched.path.read_bytes()


def test_it_is_not_recorded_again_and_again(watched: Watched) -> None:
    """What is not sent is pending, and whatever else there is comes."""
    told = watched.carry(time.monotonic() + KEPT_SECONDS)
    assert synced(told).pending == 1
    assert not (watched.there / "large").exists()
    assert (watched.there / "other").read_bytes() == b"other"


class Beside(Folders):
    """Two folders of one machine, of which the one ``here`` is watched; that of ``side`` has the file, which whoever
    watches it has met, and could not record."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch, side: str) -> None:
        super().__init__(base, monkeypatch, side)
        self.is_restless = True
        with Repository(str(self.path.parent)) as repo:
            assert [each.cause for each in record(repo).problems] == [CHANGED_WHILE_READ]

    def carry(self) -> list[events.Event]:
        """What a courier tells that has been at work for a while."""
        post = Collecting()
        courier = Courier(str(self.here), "origin", post, Bounds(), Random(1))  # type: ignore[arg-type]
        courier._go()
        courier._turns.at = 0.0
        post.ended = False
        courier.run()
        return post.events


@pytest.mark.parametrize("side", ["here", "there"])
def test_between_folders_it_comes_once_it_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    beside = Beside(tmp_path, monkeypatch, side)
    told = beside.carry()
    found = beside.other.read_bytes()
    assert found in beside.versions
    assert beside.row() == (blob_id(found), True)
    assert (synced(told).pending, synced(told).equal) == (0, True)
    assert len([event for event in told if isinstance(event, events.Note) and UNSTEADY in event.line()]) == 1
    assert beside.stage() == beside.stage(beside.there) == []


def test_it_is_looked_for_when_all_else_is_in_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not before its time, nor while a gate is closed."""
    beside = Beside(tmp_path, monkeypatch, "there")
    post = Collecting()
    courier = Courier(str(beside.here), "origin", post, Bounds(), Random(1))  # type: ignore[arg-type]
    now = time.monotonic()
    courier._go()
    assert synced(post.events).equal
    assert not beside.other.exists()
    assert not courier._finds_changing(), "it is not time yet"
    courier._turns.at, courier._retry_at = 0.0, float("inf")
    assert not courier._finds_changing(), "a gate is closed"
    courier._retry_at = None
    assert courier._finds_changing()
    assert not courier._finds_changing(), "just now"
    courier._go()
    assert beside.other.read_bytes() in beside.versions
    assert courier._turns.at >= now + KEPT_SECONDS
    courier._close()


def test_over_a_link_whoever_waits_there_has_it_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "_LOOK_SECONDS", 0.1)
    restless = Restless(tmp_path, monkeypatch, "there")
    restless.is_restless = True
    with Repository(str(restless.there)) as repo:
        assert [each.cause for each in record(repo).problems] == [CHANGED_WHILE_READ]
    with restless.open() as repo, opened_remote(repo, "origin") as remote:
        assert remote.head is not None
        with remote.lookout() as lookout:
            assert wait_for_heads([lookout], 20.0).moved
            fetch_from(repo, remote)
            merged = merge_remote(repo, remote, allowed=UNION)
            assert merged.pending == []
    found = (restless.here / "large").read_bytes()
    assert found in restless.versions
    assert restless.row() == (blob_id(found), True)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there it is told what is open")
def test_it_is_told_once_and_its_copy_takes_up_no_room_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = Beside(tmp_path, monkeypatch, "there")
    post = Collecting()
    courier = Courier(str(beside.here), "origin", post, Bounds(), Random(1))  # type: ignore[arg-type]
    for _ in range(3):
        courier._turns.at = 0.0
        assert courier._finds_changing() is bool(courier._carried)
        courier._go()
        with Repository(str(beside.there)) as repo:
            record(repo)  # whoever watches it meets it again
        assert not [name for name in open_files() if "frozen" in name]
    notes = [event.line() for event in post.events if isinstance(event, events.Note)]
    assert len([note for note in notes if UNSTEADY in note]) == 1
    assert len(beside.versions) > 3
    courier._close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there it is told what is open")
def test_while_a_gate_is_closed_no_copy_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = Beside(tmp_path, monkeypatch, "there")
    post = Collecting()
    courier = Courier(str(beside.here), "origin", post, Bounds(), Random(1))  # type: ignore[arg-type]
    courier._go()
    held: list[bool] = []

    def refuse(*_: object, **__: object) -> None:
        held.append(any("frozen" in name for name in open_files()))
        raise RefusedError("it is refused", "", ("a-gate",))

    monkeypatch.setattr(courier_module, "exchange", refuse)
    courier._turns.at, post.ended = 0.0, False
    assert courier._finds_changing()
    courier._go()
    assert (held, courier._retry_at) == ([True], float("inf"))
    assert not [name for name in open_files() if "frozen" in name]
    courier._close()


def test_over_a_link_it_is_told_once_however_often_somebody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restless = Restless(tmp_path, monkeypatch, "there")
    restless.is_restless = True
    notes: list[str] = []
    with restless.open() as repo, opened_remote(repo, "origin") as remote:
        for _ in range(3):
            notes += remote.refresh().notes
            assert remote.head is not None
            with remote.lookout() as lookout:
                wait_for_heads([lookout], 0.1)
    assert [UNSTEADY in note for note in notes] == [True]


def open_files() -> list[str]:
    """What this process has open, by the names that it had."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            continue
    return found


def test_nobody_looks_into_an_index_that_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever records there says so, and has it made anew."""
    beside = Beside(tmp_path, monkeypatch, "there")
    turns = keeping.Turns()
    with Repository(str(beside.there)) as repo:
        turns.at = 0.0
        assert turns.find(repo) == [b"large"]
        assert turns.find(repo) == [], "just now"
    (beside.there / ".replican/index.db").write_bytes(b"no database" * 1000)
    with Repository(str(beside.there)) as repo:
        turns.at = 0.0
        assert turns.find(repo) == []
