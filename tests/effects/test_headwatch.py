"""Watching for a head to move: by inotify, and by looks where there is none."""

import os
from pathlib import Path

import pytest

from replican.effects import headwatch
from replican.effects.headwatch import HeadWatch, wait_for_any
from replican.effects.refs import HEAD, RefStore
from replican.values.ids import CheckpointId

ONE, TWO = CheckpointId(b"1" * 32), CheckpointId(b"2" * 32)


@pytest.fixture
def refs(tmp_path: Path) -> RefStore:
    store = RefStore(str(tmp_path))
    store.update(HEAD, ONE, None, "test", "tester")
    return store


def test_inotify_tells_at_once(refs: RefStore, tmp_path: Path) -> None:
    watch = HeadWatch(str(tmp_path))
    if watch.descriptor is None:
        pytest.skip("there is no inotify")
    assert not wait_for_any([watch.descriptor], 0)
    assert not watch.may_have_moved()
    assert watch.due > 20
    refs.update(HEAD, TWO, ONE, "test", "tester")
    assert wait_for_any([watch.descriptor], 10) == {watch.descriptor}
    assert watch.may_have_moved()
    assert not wait_for_any([watch.descriptor], 0)
    assert not watch.may_have_moved()
    refs.update("remotes/other/head", TWO, None, "test", "tester")
    wait_for_any([watch.descriptor], 0.1)
    assert not watch.may_have_moved(), "another ref"
    os.rename(tmp_path / "refs", tmp_path / "away")
    watch._next = 0
    assert watch.may_have_moved()
    watch.close()


def test_a_look_now_and_then_where_nothing_tells(
    refs: RefStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headwatch, "watch_names", lambda _: None)
    watch = HeadWatch(str(tmp_path))
    assert watch.descriptor is None
    assert 0.5 < watch.due <= 1
    refs.update(HEAD, TWO, ONE, "test", "tester")
    assert not watch.may_have_moved(), "not yet"
    watch._next = 0
    assert watch.due == 0
    assert watch.may_have_moved()
    assert watch.due > 0.5
    watch._next = 0
    assert not watch.may_have_moved()
    watch.close()


def test_a_folder_without_refs(tmp_path: Path) -> None:
    watch = HeadWatch(str(tmp_path / "nowhere"))
    assert watch.descriptor is None
    watch._next = 0
    assert not watch.may_have_moved()
    watch.close()
