"""Conflicts between units: they are listed, settled, forgotten and told as those of files are."""

import os
from pathlib import Path

import pytest
from folders import contents, write
from pairs import OLD, Pair, pending

from replican.operations.explaining import explain
from replican.operations.fetching import fetch_from
from replican.operations.remotes import opened_remote
from replican.operations.settling import conflicts, forget_missing, resolve
from replican.operations.syncing import merge_remote
from replican.operations.undoing import undo
from replican.porcelain._report import json_conflicts
from replican.repository import Repository

MINE = {"u.git/head": b"mine", "u.git/refs/main": b"1"}
THEIRS = {"u.git/head": b"1", "u.git/refs/main": b"theirs"}
T = 1_700_000_000_000_000_000


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """Two folders, each with its own edit of a unit. That of ``a`` is newer."""

    def start(root: Path) -> None:
        write(root / ".replicanattributes", "*.git/ atomic")
        write(root / "u.git/head", "1", OLD)
        write(root / "u.git/refs/main", "1", OLD)

    pair = Pair(tmp_path, start)
    for root in (pair.a, pair.b):
        with Repository(str(root)) as repo:
            repo.config.set("units.quiet_ms", "0")
    write(pair.b / "u.git/head", "mine", T)
    write(pair.a / "u.git/refs/main", "theirs", T + 5 * 10**9)
    return pair


def copies_in(root: Path) -> list[str]:
    return [name for name in os.listdir(root) if ".conflict-" in name]


def without_attributes(root: Path) -> dict[str, bytes]:
    return {path: data for path, data in contents(root).items() if not path.startswith(".")}


def test_the_loser_is_one_conflict_directory(pair: Pair) -> None:
    pair.sync()
    pair.assert_at_rest()
    (copy,) = copies_in(pair.b)
    assert copy.startswith("u.conflict-20231114T221320Z-")
    assert copy.endswith(".git")
    assert without_attributes(pair.b) == THEIRS | {path.replace("u.git", copy): data for path, data in MINE.items()}
    with Repository(str(pair.b)) as repo:
        (row,) = json_conflicts(conflicts(repo))
    assert (row["path"], row["copy"], row["time_ns"]) == ("u.git", copy, T)


@pytest.mark.parametrize(("keep", "kept"), [("current", [THEIRS]), ("copy", [MINE]), ("both", [THEIRS, MINE])])
def test_it_is_resolved_for_every_folder(pair: Pair, keep: str, kept: list[dict[str, bytes]]) -> None:
    pair.sync()
    with Repository(str(pair.b)) as repo:
        assert resolve(repo, [b"u.git"], keep).pending == []
        assert conflicts(repo) == []
    pair.sync()
    pair.assert_at_rest()
    assert copies_in(pair.a) == []
    wanted = dict(kept[0])
    for other in kept[1:]:
        wanted.update({path.replace("u.git", "u-2.git"): data for path, data in other.items()})
    assert without_attributes(pair.a) == wanted


def test_a_version_of_which_something_is_nowhere_is_forgotten_whole(pair: Pair) -> None:
    pair.record(pair.a)
    pair.record(pair.b)
    with Repository(str(pair.b)) as repo, opened_remote(repo, "origin") as remote:
        fetch_from(repo, remote)
        (pair.a / "u.git/refs/main").unlink()
        assert pending(merge_remote(repo, remote)) == {"u.git/refs/main": "no source"}
    with Repository(str(pair.b)) as repo:
        assert forget_missing(repo).names == [b"u.git"]
    pair.sync()
    pair.sync()
    pair.assert_at_rest()
    found = without_attributes(pair.b)
    assert MINE.items() <= found.items()


def test_undo_takes_a_unit_back_as_a_whole(pair: Pair) -> None:
    write(pair.b / "u.git/head", "1", OLD)
    pair.pull()
    assert without_attributes(pair.b) == THEIRS
    with Repository(str(pair.b)) as repo:
        undo(repo)
    assert without_attributes(pair.b) == {"u.git/head": b"1", "u.git/refs/main": b"1"}


def test_a_name_in_a_unit_is_no_copy_of_another(pair: Pair) -> None:
    write(pair.a / "u.git/x.conflict-20200101T000000Z-0123abcd", "x")
    write(pair.a / "v.git/x", "x")
    write(pair.a / "v.git/x.conflict-20200101T000000Z-0123abcd", "x")
    (pair.b / "u.git/head").unlink()
    write(pair.b / "u.git/head", "1", OLD)
    assert pair.pull().merged.conflicts == []
    with Repository(str(pair.b)) as repo:
        assert conflicts(repo) == []


def test_why_tells_of_a_path_in_a_unit(pair: Pair) -> None:
    pair.sync()
    with Repository(str(pair.b)) as repo:
        assert explain(repo, b"u.git/head")
        assert explain(repo, b"u.git")
