"""Where content is not looked for in this folder first, since that costs a look at the whole index: where it lies on
the same disk over there, and where it is a small edit."""

import os
from pathlib import Path

import pytest
from folders import assert_equal, write
from pairs import Pair

from replican.effects.contents import FolderStore
from replican.effects.index import Index
from replican.operations.fetching import fetch_from
from replican.operations.remotes import opened_remote
from replican.operations.syncing import merge_remote
from replican.repository import Repository


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """For each look for content into an index, for how many contents."""
    looks: list[int] = []
    find_blobs = Index.find_blobs

    def find(index, ids):
        looks.append(len(ids))
        return find_blobs(index, ids)

    monkeypatch.setattr(Index, "find_blobs", find)
    return looks


def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the other folder was on another disk."""
    monkeypatch.setattr(FolderStore, "lies_beside", lambda *_: False)


def change(pair: Pair) -> None:
    """Files and directories, some with content that ``b`` has at other paths."""
    write(pair.a / "edited", "as kept")
    write(pair.a / "copied", "kept")
    write(pair.a / "new/copied", "kept")
    write(pair.a / "new/inside", "something else")
    pair.record(pair.a)


@pytest.mark.parametrize("beside", [True, False])
def test_nothing_is_looked_up_where_it_lies_beside(
    tmp_path: Path, asked: list[int], monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    pair = Pair(tmp_path, {"kept": "kept", "edited": "before"})
    change(pair)
    if not beside:
        apart(monkeypatch)
    asked.clear()
    pair.pull()
    assert_equal(pair.a, pair.b)
    assert bool(asked) is not beside


def merge_unrecorded(pair: Pair) -> None:
    """What is recorded over there is merged, and nobody has seen what happened to the folder since."""
    with Repository(str(pair.b)) as repo, opened_remote(repo, "origin") as remote:
        fetch_from(repo, remote)
        merge_remote(repo, remote)


def test_what_went_over_there_is_found_here(tmp_path: Path, asked: list[int]) -> None:
    pair = Pair(tmp_path, {"kept": "kept", "edited": "before"})
    change(pair)
    for name in ("kept", "copied", "new/copied"):
        os.unlink(pair.a / name)
    asked.clear()
    merge_unrecorded(pair)
    assert [(pair.b / name).read_text() for name in ("copied", "new/copied")] == ["kept", "kept"]
    assert asked


@pytest.mark.parametrize("name", ["copied", "new/copied"])
def test_what_was_replaced_over_there_is_not_taken(tmp_path: Path, name: str) -> None:
    pair = Pair(tmp_path, {"kept": "kept", "edited": "before"})
    change(pair)
    write(pair.a / name, "KEPT")
    merge_unrecorded(pair)
    assert (pair.b / name).read_text() == "kept"


@pytest.mark.parametrize("name", ["second", "new/second"])
@pytest.mark.parametrize("beside", [True, False])
def test_what_was_replaced_over_there_is_found_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, beside: bool
) -> None:
    pair = Pair(tmp_path, {"kept": "kept"})
    if not beside:
        apart(monkeypatch)
    for each in ("first", name):
        write(pair.a / each, "novel")
    pair.record(pair.a)
    write(pair.a / name, "other")
    merge_unrecorded(pair)
    assert (pair.b / name).read_text() == "novel"


@pytest.mark.parametrize(
    ("what", "is_looked_for"),
    [
        ({"edited": "new"}, False),
        ({"edited": "kept"}, False),
        ({"edited": "n" * 65_537}, True),
        ({"edited": "n" * 40_000, "other": "m" * 40_000}, True),
        ({"edited": "new", "copied": "kept"}, True),
        ({"copied": "kept"}, True),
    ],
)
def test_a_small_edit_is_not_looked_for_here(
    tmp_path: Path,
    asked: list[int],
    monkeypatch: pytest.MonkeyPatch,
    what: dict[str, str],
    is_looked_for: bool,
) -> None:
    """Which is soon here; all else may be the content of another file."""
    pair = Pair(tmp_path, {"kept": "kept", "edited": "before", "other": "before, too"})
    for name, content in what.items():
        write(pair.a / name, content)
    pair.record(pair.a)
    apart(monkeypatch)
    asked.clear()
    merge_unrecorded(pair)
    assert_equal(pair.a, pair.b)
    assert bool(asked) is is_looked_for


def test_a_small_edit_that_went_over_there_is_found_here(
    tmp_path: Path, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = Pair(tmp_path, {"kept": "kept", "edited": "before"})
    write(pair.a / "edited", "kept")
    pair.record(pair.a)
    os.unlink(pair.a / "edited")
    os.unlink(pair.a / "kept")
    apart(monkeypatch)
    asked.clear()
    merge_unrecorded(pair)
    assert (pair.b / "edited").read_text() == "kept"
    assert asked


def test_a_folder_that_is_not_there_lies_nowhere(tmp_path: Path) -> None:
    class Nothing:
        def find_paths(self, blobs):
            return {}

    store = FolderStore("elsewhere", str(tmp_path), Nothing())
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        assert store.lies_beside(here)
        assert not FolderStore("this folder", str(tmp_path), Nothing(), by_hint=False).lies_beside(here)
        os.rename(tmp_path, f"{tmp_path}.away")
        assert not store.lies_beside(here)
    finally:
        os.close(here)
        store.close()
