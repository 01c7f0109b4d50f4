"""The watcher by the package watchdog, behind the same interface."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from select import select

import pytest

pytest.importorskip("watchdog")

from replican.effects import watchdogs
from replican.effects.watchdogs import WatchdogWatcher


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "a/b").mkdir(parents=True)
    (root / "c").mkdir()
    (root / ".replican/stage").mkdir(parents=True)
    return root


@pytest.fixture
def watcher(root: Path) -> Iterator[WatchdogWatcher]:
    with WatchdogWatcher(str(root), lambda path: False) as watcher:
        yield watcher


def test_nothing_happens(watcher: WatchdogWatcher) -> None:
    assert not watcher.drain()
    assert not watcher.drain()


def test_all_that_happened_before_is_told(watcher: WatchdogWatcher, root: Path) -> None:
    for number in range(200):
        (root / f"a/b/{number}").write_text("1")
    found = watcher.drain()
    assert found.settled == {b"a/b/%d" % number for number in range(200)}
    assert (found.writing, found.everything, found.notes) == (set(), False, [])
    (root / "a/b/7").write_text("2")
    (root / "a/b/8").unlink()
    found = watcher.drain()
    assert (found.settled, found.gone) == ({b"a/b/7", b"a/b/8"}, {b"a/b/8"})


def test_it_can_be_waited_for(watcher: WatchdogWatcher, root: Path) -> None:
    watcher.drain()
    (root / "f").write_text("1")
    assert select([watcher], [], [], 10)[0] == [watcher]
    watcher.drain()


def test_renames_are_no_deletions(watcher: WatchdogWatcher, root: Path) -> None:
    (root / "a").rename(root / "z")
    found = watcher.drain()
    assert {b"a", b"z"} <= found.settled
    assert found.gone == set()
    (root / "z/b/f").write_text("1")
    assert b"z/b/f" in watcher.drain().settled
    shutil.rmtree(root / "z")
    assert watcher.drain().gone == {b"z"}


def test_who_is_writing(watcher: WatchdogWatcher, root: Path) -> None:
    with open(root / "f", "wb", buffering=0) as file:
        file.write(b"1")
        found = watcher.drain()
        assert (found.settled, found.writing) == (set(), {b"f"})
    assert watcher.drain().settled == {b"f"}


def test_what_is_ours_and_what_is_not_ours(watcher: WatchdogWatcher, root: Path) -> None:
    (root / ".replican/stage/x").write_text("1")
    (root / "a/.replican-tmp-1").write_text("1")
    assert not watcher.drain()
    (root / "c/.replican").mkdir()
    (root / "c/f").write_text("1")
    assert not watcher.drain()
    assert os.listdir(root / ".replican") == ["stage"], "the cookies are gone"


def test_a_system_that_does_not_tell_in_time(watcher: WatchdogWatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdogs, "COOKIE_SECONDS", 0.05)
    monkeypatch.setattr(watcher, "on_any_event", lambda event: None)
    found = watcher.drain()
    assert (found.everything, found.notes) == (True, [watchdogs.LATE])
    assert watcher.drain().notes == [], "it is said once"


def test_the_folder_goes(watcher: WatchdogWatcher, root: Path) -> None:
    shutil.rmtree(root)
    assert watcher.drain().everything
    assert watcher.lost
