"""Restore and undo on file systems that cannot hold all of a tree, simulated as in ``test_weak_folders``."""

import os

import pytest
from folders import contents
from replicas import OLD, Replicas
from weak import WeakFolder

from replican.values.traits import Traits

FAT = Traits(
    folds_case=True, links=False, modes=False, step_ns=2_000_000_000, refused='\\:*?"<>|\t\x01', utf8=True,
    plain_ends=True,
)  # fmt: skip
FOLDS = Traits(folds_case=True)


@pytest.fixture
def folding(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> Replicas:
    """``b`` lies on a file system that folds case."""
    WeakFolder(monkeypatch, replicas.base / "b", FOLDS)
    return replicas


def problems(replicas: Replicas, *words: str) -> dict[str, str]:
    found = replicas.json("b", "restore", *words, code=4)
    return {each["path"]: each["cause"] for each in found["problems"]}


def test_a_held_path_is_restored_once_there_is_a_place_for_it(folding: Replicas) -> None:
    folding.write("a/README", "one", OLD)
    folding.write("a/readme", "other", OLD)
    folding(".", "clone", "a", "b", code=4)
    cause = "the same name as README on this file system, which is there"
    assert problems(folding, "readme") == problems(folding, ".") == {"readme": cause}
    assert contents(folding.base / "b") == {"README": b"one"}
    os.unlink(folding.base / "b/README")
    folding("b", "restore", "readme")
    assert contents(folding.base / "b") == {"readme": b"other"}
    assert [each["status"] for each in folding.json("b", "status")["changes"]] == ["deleted"]
    folding("b", "sync")
    assert contents(folding.base / "a") == contents(folding.base / "b") == {"readme": b"other"}


def test_the_old_case_of_a_name_does_not_replace_the_new_one(folding: Replicas) -> None:
    folding.clone({"readme": "old", "d/x": "x"})
    old = folding.head("b")
    os.rename(folding.base / "a/readme", folding.base / "a/README")
    os.rename(folding.base / "a/d", folding.base / "a/D")
    folding.write("a/README", "new")
    folding("b", "sync")
    before = contents(folding.base / "b")
    cause = "the same name as README on this file system, which is there"
    assert problems(folding, "--checkpoint", old, "readme") == {"readme": cause}
    assert problems(folding, "--checkpoint", old) == {"readme": cause, "d/x": "something is there already"}
    assert contents(folding.base / "b") == before == {"README": b"new", "D/x": b"x"}
    folding("b", "restore", "--checkpoint", old, "--to", str(folding.base / "elsewhere"), "readme")
    assert folding.read("elsewhere/readme") == "old"
    folding("b", "sync")
    assert contents(folding.base / "a") == before


def test_elsewhere_may_fold_as_well(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    (replicas.base / "there").mkdir()
    WeakFolder(monkeypatch, replicas.base / "there", FOLDS)
    replicas.write("a/README", "one", OLD)
    replicas.write("a/readme", "other", OLD)
    replicas(".", "clone", "a", "b")
    cause = "the same name as README on this file system, which is there"
    assert problems(replicas, "--to", str(replicas.base / "there")) == {"readme": cause}
    assert contents(replicas.base / "there") == {"README": b"one"}


def test_undo_of_a_rename_of_case_alone(folding: Replicas) -> None:
    folding.clone({"readme": "one", "d/x": "x"})
    os.rename(folding.base / "a/readme", folding.base / "a/README")
    os.rename(folding.base / "a/d", folding.base / "a/D")
    folding("b", "sync")
    inode = (folding.base / "b/README").stat().st_ino
    folding("b", "undo")
    assert contents(folding.base / "b") == {"readme": b"one", "d/x": b"x"}
    assert (folding.base / "b/readme").stat().st_ino == inode, "renamed, not written anew"
    folding("b", "sync")
    assert contents(folding.base / "a") == contents(folding.base / "b")


def test_undo_of_a_merge_that_brought_what_is_held(folding: Replicas) -> None:
    folding.clone({"f": "1", "README": "one"})
    folding.write("a/readme", "other")
    folding.write("a/f", "2")
    folding("b", "sync", code=4)
    folding("b", "undo")
    folding("b", "sync")
    assert contents(folding.base / "a") == contents(folding.base / "b") == {"f": b"1", "README": b"one"}


def test_undo_of_a_merge_that_gave_a_held_one_its_place(folding: Replicas) -> None:
    """What lies there comes first: nothing is exchanged, and what was taken back is held in its turn."""
    folding.clone({"README": "one", "f": "1"})
    folding.write("a/readme", "other")
    folding("b", "sync", code=4)
    os.unlink(folding.base / "a/README")
    folding("b", "sync")
    assert contents(folding.base / "b") == {"readme": b"other", "f": b"1"}
    undone = folding("b", "undo", code=4)
    assert "took back 'merge origin': only what is not possible here" in undone.text
    assert contents(folding.base / "b") == {"readme": b"other", "f": b"1"}
    assert [each["path"] for each in folding.json("b", "status")["pending"]] == ["README"]
    # Its content is in the trash, and comes as soon as there is a place for it.
    folding("b", "gc")
    os.unlink(folding.base / "b/readme")
    folding("b", "commit", code=None)
    folding("b", "sync", code=None)
    assert contents(folding.base / "b") == contents(folding.base / "a") == {"README": b"one", "f": b"1"}


@pytest.mark.parametrize("name", ["a:b", "ln", "deep:/f"])
def test_what_is_not_possible_does_not_stop_the_rest(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    WeakFolder(monkeypatch, replicas.base / "b", FAT)
    replicas.clone({"f": "1", "d/g": "2"})
    if name == "ln":
        (replicas.base / "a/ln").symlink_to("f")
    else:
        replicas.write(f"a/{name}", "x")
    replicas("b", "sync", code=4)
    os.unlink(replicas.base / "b/f")
    os.unlink(replicas.base / "b/d/g")
    os.rmdir(replicas.base / "b/d")
    cause = "this file system has no links" if name == "ln" else "name not possible on this file system"
    assert problems(replicas, ".")[name] == cause
    assert contents(replicas.base / "b") == {"f": b"1", "d/g": b"2"}
    assert replicas.json("b", "status")["changes"] == []


def test_on_a_disk_without_permissions_they_are_no_problem(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    WeakFolder(monkeypatch, replicas.base / "b", FAT)
    replicas.write("a/d/run", "x").chmod(0o750)
    (replicas.base / "a/d").chmod(0o700)
    replicas.clone({"f": "1"})
    os.unlink(replicas.base / "b/d/run")
    os.rmdir(replicas.base / "b/d")
    replicas("b", "restore", "d")
    assert replicas.json("b", "status")["changes"] == []
