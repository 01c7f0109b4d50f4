"""Directories that are atomic are recorded as a whole, and only at rest."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from replican.decisions.treediff import find_entry, walk_tree
from replican.effects.hashing import SPECIAL
from replican.effects.scan import Scan
from replican.effects.units import STILL_CHANGING
from replican.operations import units
from replican.operations.ignoring import Ignoring
from replican.operations.recording import record
from replican.operations.tracker import STILL, Tracker
from replican.operations.tracking import update_index
from replican.repository import Repository
from replican.values.checkpoints import PLAIN_RULES, RULES


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "replica"
    for name in ("u.git/refs/main", "u.git/head", "plain/file"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / ".replicanattributes").write_text("*.git/ atomic\n")
    return root


@pytest.fixture
def repo(root: Path) -> Iterator[Repository]:
    with Repository.init(str(root), wait=0) as repo:
        repo.config.set("units.quiet_ms", "30")
        yield repo


def units_in(repo: Repository) -> list[bytes]:
    return [path for path, entry in walk_tree(repo, repo.head_tree) if entry.is_unit]


def holds(repo: Repository, path: bytes) -> set[bytes]:
    entry = find_entry(repo, repo.head_tree, path)
    assert entry is not None
    return {below for below, _ in walk_tree(repo, entry.tree)}


def test_what_matches_is_recorded_as_a_unit(repo: Repository) -> None:
    done = record(repo)
    assert (done.problems, units_in(repo)) == ([], [b"u.git"])
    assert holds(repo, b"u.git") == {b"refs", b"refs/main", b"head"}
    assert repo.head is not None
    assert repo.checkpoint(repo.head).rules == RULES
    assert not record(repo).new


def test_without_any_all_is_as_it_was(repo: Repository, root: Path) -> None:
    (root / ".replicanattributes").unlink()
    record(repo)
    assert units_in(repo) == []
    assert repo.head is not None
    assert repo.checkpoint(repo.head).rules == PLAIN_RULES


def test_other_attributes_change_what_is_a_unit_and_nothing_else(repo: Repository, root: Path) -> None:
    record(repo)
    before = find_entry(repo, repo.head_tree, b"u.git")
    (root / ".replicanattributes").write_text("/plain atomic\n")
    assert record(repo).new
    assert units_in(repo) == [b"plain"]
    after = find_entry(repo, repo.head_tree, b"u.git")
    assert before is not None
    assert after == before._replace(perm=before.perm & 0o777)
    (root / ".replicanattributes").unlink()
    assert record(repo).new
    assert units_in(repo) == []
    (root / "plain" / ".replicanattributes").write_text("x atomic")
    (root / "plain" / "x" / "x").mkdir(parents=True)
    record(repo)
    assert units_in(repo) == [b"plain/x"], "and none in a unit"


def test_nothing_in_a_unit_is_ignored(repo: Repository, root: Path) -> None:
    (root / ".replicanignore").write_text("*.lock\nrefs\n")
    (root / "u.git" / "index.lock").write_text("1")
    (root / "u.git" / ".replicanignore").write_text("*")
    (root / "plain" / "x.lock").write_text("1")
    record(repo)
    assert holds(repo, b"u.git") == {b".replicanignore", b"index.lock", b"head", b"refs", b"refs/main"}
    assert holds(repo, b"plain") == {b"file"}


def changing(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object], times: int = 100) -> None:
    """Have something changed after each look at units, so many times."""
    looks = iter(range(times))
    original = units.observe_paths

    def observe_paths(*given: object, **named: object) -> Scan:
        seen: Scan = original(*given, **named)  # type: ignore[arg-type]
        if next(looks, None) is not None:
            change()
        return seen

    monkeypatch.setattr(units, "observe_paths", observe_paths)


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file is written": lambda unit: (unit / "head").write_text("new"),
    "a file comes": lambda unit: (unit / f"{time.monotonic_ns()}").write_text("new"),
    "a file below comes": lambda unit: (unit / "refs" / f"{time.monotonic_ns()}").write_text("new"),
    "a directory comes": lambda unit: (unit / f"{time.monotonic_ns()}").mkdir(),
    "a directory's permissions": lambda unit: (unit / "refs").chmod(0o700 + time.monotonic_ns() % 8),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_changes_is_left_as_it_was(
    repo: Repository, root: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    record(repo)
    before = find_entry(repo, repo.head_tree, b"u.git")
    (root / "u.git" / "refs" / "main").write_text("other")
    (root / "plain" / "file").write_text("other")
    with monkeypatch.context() as patch:
        changing(patch, lambda: change(root / "u.git"))
        done = record(repo)
    assert done.new, "the rest is recorded"
    assert [(each.path, each.cause) for each in done.problems] == [(b"u.git", STILL_CHANGING)]
    assert find_entry(repo, repo.head_tree, b"u.git") == before
    assert repo.index.problems() == done.problems
    time.sleep(0.05)
    assert record(repo).problems == []
    assert find_entry(repo, repo.head_tree, b"u.git") != before
    assert repo.index.problems() == []


def test_a_new_one_that_changes_is_not_recorded_at_all(
    repo: Repository, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "new").mkdir()
    os.rename(root / "u.git", root / "new" / "u.git")
    with monkeypatch.context() as patch:
        changing(patch, lambda: (root / "new" / "u.git" / "head").write_text("new"))
        assert [each.path for each in record(repo).problems] == [b"new/u.git"]
    assert find_entry(repo, repo.head_tree, b"new") is None
    assert find_entry(repo, repo.head_tree, b"plain/file") is not None
    assert record(repo).problems == []
    assert units_in(repo) == [b"new/u.git"]


def test_a_second_look_is_taken_when_it_could_be_at_rest(
    repo: Repository, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changing(monkeypatch, lambda: (root / "u.git" / "head").write_text("newer"), times=1)
    assert record(repo).problems == []
    entry = find_entry(repo, repo.head_tree, b"u.git/head")
    assert entry is not None
    assert entry.size == len("newer")


def test_what_cannot_be_read_leaves_all_of_it(repo: Repository, root: Path) -> None:
    record(repo)
    before = find_entry(repo, repo.head_tree, b"u.git")
    (root / "u.git" / "new").write_text("1")
    (root / "u.git" / "head").unlink()
    os.mkfifo(root / "u.git" / "head")
    assert [(each.path, each.cause) for each in record(repo).problems] == [(b"u.git", SPECIAL)]
    assert find_entry(repo, repo.head_tree, b"u.git") == before


def test_special_files_do_not_keep_it_from_being_at_rest(repo: Repository, root: Path) -> None:
    here = os.getcwd()
    os.chdir(root / "u.git")
    try:
        with socket.socket(socket.AF_UNIX) as special:
            special.bind("special")
            (root / "u.git" / "only").mkdir()
            os.mkfifo(root / "u.git" / "only" / "fifo")
            assert record(repo).problems == []
    finally:
        os.chdir(here)
    assert holds(repo, b"u.git") == {b"refs", b"refs/main", b"head"}


def test_a_replica_of_its_own_is_none(repo: Repository, root: Path) -> None:
    Repository.init(str(root / "u.git"), wait=0).close()
    done = record(repo)
    assert (done.problems, units_in(repo)) == ([], [])


def test_what_is_in_it_is_not_said_to_be_ignored(repo: Repository, root: Path) -> None:
    (root / ".replicanignore").write_text("*.lock\n")
    record(repo)
    with Ignoring(repo) as ignoring:
        assert ignoring.verdict(b"u.git/index.lock") is None
        assert ignoring.verdict(b"plain/index.lock") is not None


def test_of_a_change_in_it_all_of_it_is_looked_at(repo: Repository, root: Path) -> None:
    record(repo)
    (root / "u.git" / "head").write_text("other")
    (root / "u.git" / "refs" / "next").write_text("next")
    time.sleep(0.05)
    seen = update_index(repo, [b"u.git/head"])
    assert set(seen.changed) == {b"", b"u.git", b"u.git/refs"}


def test_a_tracker_looks_again_until_it_is_at_rest(repo: Repository, root: Path) -> None:
    tracker = Tracker(repo)
    tracker.watch()
    try:
        tracker.look(100.0)
        record(repo)
        tracker.resume()
        before = repo.head_tree
        repo.config.set("units.quiet_ms", "60000")
        (root / "u.git" / "head").write_text("other")
        tracker.listen(101.0)
        seen = tracker.look(101.0)
        assert seen is not None
        assert [each.cause for each in seen.problems] == [STILL_CHANGING]
        record(repo, paths=())
        tracker.resume()
        assert repo.head_tree == before
        assert tracker.look(101.1) is None, "it waits"
        assert tracker.due == 101.0 + STILL
        again = tracker.look(101.0 + STILL)
        assert again is not None
        assert again.problems, "however long it takes"
        repo.config.set("units.quiet_ms", "0")
        assert tracker.look(101.0 + 2 * STILL) is not None
        record(repo, paths=())
        assert repo.head_tree != before
        assert repo.index.problems() == []
    finally:
        tracker.close()


def test_a_watch_hears_of_other_attributes(repo: Repository, root: Path) -> None:
    tracker = Tracker(repo)
    tracker.watch()
    try:
        tracker.look(100.0)
        record(repo)
        tracker.resume()
        (root / ".replicanattributes").write_text("plain atomic\n")
        tracker.listen(101.0)
        tracker.look(101.0)
        record(repo, paths=())
        assert units_in(repo) == [b"plain"]
    finally:
        tracker.close()


def test_lines_that_mean_nothing_are_told_once(repo: Repository, root: Path) -> None:
    (root / ".replicanattributes").write_text("u atomic\n!v atomic\n")
    record(repo)
    assert [note for note in repo.notes if "line 2" in note and "negated" in note]
    repo.notes.clear()
    (root / "plain" / "more").write_text("1")
    record(repo)
    assert repo.notes == []
