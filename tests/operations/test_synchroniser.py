"""The synchroniser, driven from within: clocks, wishes and what is told."""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from folders import write

from replican.decisions.pace import Bounds
from replican.operations.recording import record
from replican.operations.synchroniser import ALONE, Clocks, Synchroniser, Wishes
from replican.repository import Repository
from replican.values import events
from replican.values.errors import FolderError


class Driver:
    """Runs a synchroniser until ``hear``, which is told each event, says that it is enough."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.slept = 0.0
        self.events: list[events.Event] = []
        self._end = False
        self._wake, self._feed = os.pipe()

    def wake(self) -> None:
        os.write(self._feed, b"x")

    def _wishes(self) -> Wishes:
        if not os.get_blocking(self._wake):
            try:
                os.read(self._wake, 100)
            except BlockingIOError:
                pass
        return Wishes(end="enough" if self._end else None)

    def run(self, hear: Callable[[events.Event], bool], bounds: Bounds | None = None) -> list[str]:
        """The kinds of all events but that the folder has no remote."""
        os.set_blocking(self._wake, False)

        def tell(event: events.Event) -> None:
            if isinstance(event, events.Note) and event.message == ALONE:
                return
            self.events.append(event)
            if not self._end and hear(event):
                self._end = True
                self.wake()

        clocks = Clocks(lambda: 0.0, lambda: self.slept)
        try:
            with Repository.init(str(self.root)) as repo:
                Synchroniser(repo, bounds or Bounds(), tell, self._wake, self._wishes, Random(1), clocks).run()
        finally:
            os.close(self._wake)
            os.close(self._feed)
        return [event.kind for event in self.events]


def test_a_machine_that_slept_looks_at_everything(tmp_path: Path) -> None:
    write(tmp_path / "a/file", "x")
    driver = Driver(tmp_path / "a")

    def hear(event: events.Event) -> bool:
        if isinstance(event, events.Live):
            driver.slept = 3600.0
            driver.wake()
        return isinstance(event, events.Rescanned)

    assert driver.run(hear) == ["started", "recorded", "live", "rescanned", "stopped"]
    rescanned = driver.events[-2]
    assert isinstance(rescanned, events.Rescanned)
    assert rescanned.why == "the machine had slept"


def test_a_clock_that_was_set_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only clocks that nobody sets are used to wait; edits under a clock of long ago are recorded as ever."""
    write(tmp_path / "a/file", "x")
    driver = Driver(tmp_path / "a")
    known: list[int] = []

    def hear(event: events.Event) -> bool:
        if isinstance(event, events.Live):
            monkeypatch.setattr("time.time_ns", lambda: 1_000_000_000 * 10**9)
            write(tmp_path / "a/other", "y")
        if isinstance(event, events.Recorded):
            known.append(event.counts.added)
        return len(known) == 2

    assert driver.run(hear) == ["started", "recorded", "live", "recorded", "stopped"]
    assert known == [1, 1]


@pytest.mark.parametrize("error", [FolderError("input/output error"), OSError(5, "Input/output error")])
def test_what_cannot_be_recorded_now_is_recorded_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    write(tmp_path / "a/file", "x")
    driver = Driver(tmp_path / "a")
    failures = iter([error, error])

    def failing(*words: object, **named: object) -> object:
        failure = next(failures, None)
        if failure is not None:
            raise failure
        return record(*words, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("replican.operations.synchroniser.record", failing)
    assert driver.run(lambda event: isinstance(event, events.Live)) == [
        "started",
        "error",  # told once
        "recorded",
        "live",
        "stopped",
    ]


def test_the_poller_finds_what_the_system_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from replican.values.errors import UnsupportedError

    def none(*_: object) -> None:
        raise UnsupportedError("changes are not noticed at once on this system", "they are found by polling")

    monkeypatch.setattr("replican.operations.tracker.open_watcher", none)
    write(tmp_path / "a/file", "x")
    driver = Driver(tmp_path / "a")
    count = 0

    def hear(event: events.Event) -> bool:
        nonlocal count
        if isinstance(event, events.Live):
            write(tmp_path / "a/deep/er/other", "y")
        count += isinstance(event, events.Recorded)
        return count == 2

    kinds = driver.run(hear, Bounds(0.2, 0.2, 0.5))
    assert kinds == ["started", "note", "recorded", "live", "recorded", "stopped"]
    assert driver.events[1].line() == ("changes are not noticed at once on this system: they are found by polling")
