"""Groundwork: what is made ready before there is a plan is taken by it, or leaves nothing behind."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from folders import write
from pairs import OLD, Pair

from replican.effects import groundwork
from replican.effects.completing import Glimpse
from replican.effects.contents import FolderStore
from replican.effects.groundwork import Groundwork
from replican.operations.merging import opened_site
from replican.operations.telling import Glimpses, Told
from replican.repository import Repository
from replican.values.ids import EMPTY_TREE, tree_id
from replican.values.trees import TreeOverlay, parse_tree

FILES = {"d/one": "1", "d/two": "2", "e/three": "3", "e/f/four": "4"}


@contextmanager
def ground(pair: Pair) -> Iterator[tuple[Groundwork, TreeOverlay]]:
    with ExitStack() as held:
        here = held.enter_context(Repository(str(pair.b)))
        there = held.enter_context(Repository(str(pair.a)))
        held.enter_context(here.writing("test"))
        overlay = TreeOverlay(here)
        store = FolderStore("origin", str(pair.a), there.index)
        held.callback(store.close)
        site = held.enter_context(opened_site(here))
        yield held.enter_context(Groundwork(overlay, here.objects.keep_parsed, site, [store])), overlay


def glimpses(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> list[Glimpse]:
    """What a scan of the other folder tells on its way; it records nothing."""
    from replican.operations import telling
    from replican.operations.recording import record

    seen: list[Glimpse] = []

    class StopError(Exception):
        pass

    def tell(told: Told) -> None:
        if not isinstance(told, Glimpses):
            raise StopError
        seen.extend(told.directories)

    monkeypatch.setattr(telling, "_AT_ONCE", 1)
    with Repository(str(pair.a)) as there, pytest.raises(StopError):
        record(there, tell=tell)
    return seen


def staged(pair: Pair) -> list[str]:
    return sorted(os.listdir(pair.b / ".replican/stage"))


def test_what_was_seen_is_staged_and_taken_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(tmp_path, FILES)
    write(pair.a / "d/one", "edited", OLD)
    write(pair.a / "d/new", "new", OLD)
    write(pair.a / "e/three", "the other", OLD)  # of a directory with subdirectories, nothing is told ahead
    write(pair.a / "made/five", "5")  # nor of a new one
    (seen,) = glimpses(pair, monkeypatch)
    assert seen.path == b"d"
    with ground(pair) as (laid, overlay):
        laid.lay([seen])
        assert overlay.new == {tree_id(seen.payload): seen.payload}
        assert len(staged(pair)) == 2
        entries = {entry.name: entry for entry in parse_tree(seen.payload)}
        slot = laid.take(entries[b"one"])
        assert slot is not None
        found = pair.b / ".replican/stage" / os.fsdecode(slot.name)
        assert (found.read_text(), found.stat().st_mtime_ns) == ("edited", OLD)
        assert laid.take(entries[b"one"]) is None
        assert laid.take(entries[b"two"]) is None, "it is here"
        assert laid.take(entries[b"new"]._replace(mtime_ns=OLD + 1)) is None, "it has another time"
    assert staged(pair) == [os.fsdecode(slot.name)], "what nobody took is dropped"


def test_content_that_is_not_what_was_told_is_not_staged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(tmp_path, FILES)
    write(pair.a / "d/one", "edited")
    seen = glimpses(pair, monkeypatch)
    write(pair.a / "d/one", "EDITED")
    with ground(pair) as (laid, _):
        laid.lay(seen)
        assert staged(pair) == []


def test_only_small_files_and_not_many_are_staged_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(tmp_path, FILES)
    for name in ("one", "two", "three", "four"):
        write(pair.a / f"d/{name}", name * 10)
    write(pair.a / "d/large", "x" * 1001)
    seen = glimpses(pair, monkeypatch)
    monkeypatch.setattr(groundwork, "_SMALL", 1000)
    monkeypatch.setattr(groundwork, "_MOST_STAGED", 75)
    with ground(pair) as (laid, _):
        laid.lay(seen)
        assert len(staged(pair)) == 2
    monkeypatch.setattr(groundwork, "_ROOM", 1 << 60)
    with ground(pair) as (laid, _):
        laid.lay(seen)
        assert staged(pair) == [], "the disk is nearly full"


def test_a_listing_with_directories_is_not_believed_to_be_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes it for known would not look for what is below."""
    pair = Pair(tmp_path, FILES)
    with Repository(str(pair.a)) as there:
        payload = there.objects.payload(b"tree", there.head_tree)
    with ground(pair) as (laid, overlay):
        laid.lay([Glimpse(b"d", EMPTY_TREE, payload)])
        assert overlay.new == {}


def test_what_is_staged_during_a_flush_is_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(tmp_path, FILES)
    write(pair.a / "d/one", "edited")
    (seen,) = glimpses(pair, monkeypatch)
    flushed: list[list[str]] = []
    with ground(pair) as (laid, _):
        stage = laid.site.stage
        stage.flush_everything()

        def flush(fd: int) -> None:
            flushed.append(staged(pair))
            if len(flushed) == 1:
                laid.lay([seen])
                stage.flush_everything()

        monkeypatch.setattr("replican.effects.linux.flush_filesystem", flush)
        stage.flush()
        stage.flush()
        stage.flush()
        assert [len(names) for names in flushed] == [0, 1]
