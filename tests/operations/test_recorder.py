"""The recorder: what waits for the folder to be still, what does not wait for it, and what nobody forgets."""

import os
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest
from counting import counting
from folders import write
from worlds import World

from replican.decisions.pace import FIRST, Bounds
from replican.effects.hashing import PuttingOff
from replican.effects.refs import remote_head
from replican.effects.scan import Scan
from replican.operations.ahead import _lacking
from replican.operations.fetching import fetch_from
from replican.operations.recorder import Recorder
from replican.operations.recording import observe, record
from replican.repository import Repository
from replican.values.errors import FolderError

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is told by inotify here")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Recording:
    """A recorder of a folder, and what is done by it."""

    def __init__(self, repo: Repository) -> None:
        self.clock = Clock()
        self.repo = repo
        self.recorder = Recorder(repo, Bounds(), self.clock, lambda: 0.5)
        self.done = 0
        self.recorder.record(self.work, everything=True)

    def work(self) -> None:
        self.done += 1
        record(self.repo, past_gates=True, paths=())

    def go(self, work: Callable[[], None] | None = None) -> int:
        """Let it do what is due; how often something was recorded by now."""
        self.recorder.record(work or self.work)
        return self.done

    def recorded(self) -> list[str]:
        """The names in the head's tree."""
        with Repository.open(self.repo.root) as repo:
            return sorted(os.fsdecode(entry.name) for entry in repo.tree(repo.head_tree))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    write(root / "old", b"old")
    with Repository.init(str(root)) as repo:
        record(repo)
    return root


@pytest.fixture
def recording(root: Path) -> Iterator[Recording]:
    with Repository.open(str(root), wait=0) as repo:
        made = Recording(repo)
        with made.recorder:
            yield made


def unpacking(recording: Recording, root: Path) -> None:
    """Something comes while something is recorded: from now on the folder has to be still for a while."""

    def work() -> None:
        recording.work()
        write(root / "second", b"2")

    write(root / "first", b"1")
    recording.go(work)
    assert recording.recorded() == ["first", "old"]
    assert recording.recorder.due == recording.clock.now  # there is something to look at
    assert recording.recorder._records_at == pytest.approx(recording.clock.now + FIRST)


def test_what_has_to_wait_is_looked_at_meanwhile(recording: Recording, root: Path) -> None:
    unpacking(recording, root)
    before = recording.done
    assert recording.go() == before
    assert not recording.recorder.tracker.dirty
    assert recording.repo.index.has_observed()
    recording.repo.close_index()
    recording.clock.now += FIRST
    assert recording.go() == before + 1
    assert recording.recorded() == ["first", "old", "second"]


def test_a_file_that_is_written_again_and_again_is_not_looked_at_as_often(recording: Recording, root: Path) -> None:
    unpacking(recording, root)
    looks = 0
    for number in range(50):
        write(root / "second", b"%d" % number)
        waited = recording.recorder.tracker
        recording.recorder.hear()
        assert waited.dirty
        recording.go()
        looks += not waited.dirty
    assert looks == 1
    recording.clock.now += FIRST
    recording.go()
    assert (recording.recorder.tracker.dirty, recording.recorder.due > recording.clock.now) == (False, True)


def test_many_that_come_after_a_look_are_looked_at_at_once_and_none_twice(recording: Recording, root: Path) -> None:
    unpacking(recording, root)
    recording.go()
    tracker, looked = recording.recorder.tracker, list[set[bytes]]()
    look = tracker.look

    def noted(now: float, only: Collection[bytes] | None = None) -> Scan | None:
        looked.append(set(tracker.fresh if only is None else only))
        return look(now, only)

    tracker.look = noted  # type: ignore[method-assign]
    few = {b"few%02d" % number for number in range(15)}
    for name in few:
        write(root / os.fsdecode(name), b"few")
    write(root / "second", b"again")
    recording.recorder.hear()
    assert recording.recorder.due > recording.clock.now
    write(root / "new" / "one", b"1")
    recording.recorder.hear()
    assert recording.recorder.due == recording.clock.now
    recording.go()
    assert looked == [{*few, b"new"}]
    assert tracker.fresh == set()
    assert (tracker.dirty, recording.recorder.due > recording.clock.now) == (True, True)
    recording.clock.now += FIRST
    recording.go()
    assert recording.recorded() == sorted(["first", "old", "second", "new", *map(os.fsdecode, few)])
    assert not tracker.dirty


def test_who_cannot_look_since_another_works_here_does_not_try_all_the_time(recording: Recording, root: Path) -> None:
    unpacking(recording, root)
    with Repository.open(str(root)) as other, other.writing("test"):
        recording.go()
        assert recording.clock.now < recording.recorder.due <= recording.recorder._records_at
    recording.clock.now += FIRST
    recording.go()
    assert recording.recorded() == ["first", "old", "second"]


def test_what_was_looked_at_and_somebody_else_forgot_is_looked_at_again(recording: Recording, root: Path) -> None:
    unpacking(recording, root)
    recording.go()
    with Repository.open(str(root)) as other:
        with other.writing("test"):
            other.index.discard_observed()
        write(root / "third", b"3")
    recording.recorder.hear()
    recording.clock.now += FIRST
    recording.go()
    assert recording.recorded() == ["first", "old", "second", "third"]


def test_what_others_have_recorded_does_not_count(recording: Recording, root: Path) -> None:
    with Repository.open(str(root)) as other:
        for number in range(5):
            write(root / "theirs", b"%d" % number)
            record(other)
            before = recording.done
            recording.recorder.hear()
            recording.clock.now += 1.0
            assert recording.go() == before + 1
            assert recording.recorder._quiet.load <= 1.0
    assert recording.recorder._quiet.load == 0.0


def test_no_poll_breaks_into_what_has_to_be_still(
    recording: Recording, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording.clock.now += 2.99
    unpacking(recording, root)
    polls: list[bool] = []
    monkeypatch.setattr(recording.recorder._poller, "round", lambda full: polls.append(full) or [])
    recording.clock.now += 0.02  # a round is due by now
    before = recording.done
    assert recording.go() == before
    recording.clock.now += FIRST
    assert recording.go() == before + 1
    assert polls == []
    recording.go()
    assert polls == [False]


def test_a_poll_does_not_wait_for_ever(recording: Recording, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    polls: list[bool] = []
    monkeypatch.setattr(recording.recorder._poller, "round", lambda full: polls.append(full) or [])
    for number in range(200):

        def work(number: int = number) -> None:
            recording.work()
            write(root / "log", b"%d" % number)

        recording.clock.now += 0.1
        recording.go(work)
        write(root / "log", b"more")
    assert 1 <= len(polls) <= 2


def test_what_could_not_be_recorded_is_recorded_later_though_nothing_changed(recording: Recording, root: Path) -> None:
    def fail() -> None:
        raise FolderError("no")

    write(root / "first", b"1")
    with pytest.raises(FolderError):
        recording.go(fail)
    recording.recorder.later(1.0)
    before = recording.done
    assert recording.go() == before
    recording.clock.now += 1.0
    assert recording.go() == before + 1
    assert recording.recorded() == ["first", "old"]


def test_many_new_files_cost_no_statement_each(root: Path) -> None:
    for number in range(600):
        write(root / f"new{number // 200}" / str(number), b"%d" % number)
    with Repository.open(str(root)) as repo, repo.writing("test"):
        observe(repo, paths=[b"old"])
        with counting(repo.index) as cost:
            observe(repo, paths=[b"new0", b"new1", b"new2"], putting_off=PuttingOff())
            record(repo, paths=())
        assert cost.statements < 300
        assert sorted(entry.name for entry in repo.tree(repo.head_tree)) == [b"new0", b"new1", b"new2", b"old"]


def test_of_many_new_directories_only_the_topmost_is_asked_for(root: Path) -> None:
    for number in range(300):
        write(root / "new" / str(number % 10) / str(number) / "file", b"%d" % number)
    with Repository.open(str(root)) as repo, repo.writing("test"):
        observe(repo, paths=[b"old"])
        with counting(repo.index) as cost:
            observe(repo, paths=[b"new"], putting_off=PuttingOff())
        # One for each of 311 asks whether it was renamed, and three or so write it down: none asks what is known of it.
        assert cost.statements < 311 * 4.5


def test_content_that_is_asked_for_ahead_costs_no_statement_each(world: World) -> None:
    world.start()
    for number in range(600):
        write(world.there / f"new{number // 200}" / str(number), b"%d" % number)
    world.record_there()
    with world.both() as (repo, remote):
        remote.refresh()
        fetch_from(repo, remote)
        with repo.writing("test"):
            repo.index.observed_root()
            with counting(repo.index) as cost:
                assert len(_lacking(repo, repo.refs.read(remote_head("origin")))) == 600
    assert cost.statements < 300
