"""``replican undo``."""

import os
import shutil

import pytest
from folders import assert_equal, contents, snapshot
from replicas import Replicas

FILES = {"f": "1", "gone": "g", "d/e": "deep", "mine": "m", "empty": ""}


@pytest.fixture
def merged(replicas: Replicas) -> Replicas:
    """b took in a lot that a did: edits, deletions, a rename, new files, attributes."""
    replicas.clone(FILES)
    replicas.write("a/f", "2")
    os.unlink(replicas.base / "a/gone")
    os.rename(replicas.base / "a/d", replicas.base / "a/renamed")
    replicas.write("a/n/new", "n")
    replicas.write("a/empty", "filled")
    (replicas.base / "a/mine").chmod(0o600)
    replicas("b", "pull")
    return replicas


def test_it_takes_back_what_the_merge_changed(replicas: Replicas) -> None:
    replicas.clone(FILES)
    was = snapshot(replicas.base / "b")
    replicas.write("a/f", "2")
    os.unlink(replicas.base / "a/gone")
    os.rename(replicas.base / "a/d", replicas.base / "a/renamed")
    replicas.write("a/n/new", "n")
    replicas.write("a/empty", "filled")
    (replicas.base / "a/mine").chmod(0o600)
    replicas("b", "pull")
    head = replicas.head("b")
    assert replicas("b", "undo").text.startswith("took back 'merge origin': ")
    assert snapshot(replicas.base / "b") == was
    log = replicas.json("b", "log")
    assert (log[0]["message"], log[0]["parents"]) == ("undo: merge origin", [head])
    assert replicas.json("b", "status")["clean"]
    replicas("b", "sync")
    assert_equal(replicas.base / "a", replicas.base / "b")


def test_a_merge_by_apply_plan_is_one(replicas: Replicas) -> None:
    replicas.clone(FILES)
    replicas.write("a/f", "2")
    replicas("b", "pull")
    replicas.write("a/f", "3")
    replicas("b", "fetch")
    plan = replicas.base / "plan.json"
    plan.write_bytes(replicas("b", "merge", "--dry-run", "--json").out)
    replicas("b", "apply-plan", str(plan))
    assert contents(replicas.base / "b")["f"] == b"3"
    replicas("b", "undo")
    assert contents(replicas.base / "b")["f"] == b"2", "not the merge before that one"


def test_edits_since_then_stay(merged: Replicas) -> None:
    merged.write("b/later", "l")
    merged.write("b/mine", "edited since")
    merged("b", "commit")
    merged.write("b/unrecorded", "u")
    merged("b", "undo")
    found = contents(merged.base / "b")
    assert found == {
        "f": b"1", "gone": b"g", "d/e": b"deep", "mine": b"edited since", "empty": b"",
        "later": b"l", "unrecorded": b"u",
    }  # fmt: skip


def test_what_was_edited_since_and_is_taken_back_conflicts(merged: Replicas) -> None:
    merged.write("b/f", "edited since")
    ended = merged("b", "undo")
    assert "conflict: f" in ended.err
    versions = {content for path, content in contents(merged.base / "b").items() if path[0] == "f"}
    assert versions == {b"1", b"edited since"}


def test_a_dry_run_does_nothing_and_records_nothing(merged: Replicas) -> None:
    merged.write("b/unrecorded", "u")
    head, was = merged.head("b"), snapshot(merged.base / "b")
    ended = merged("b", "undo", "--dry-run")
    assert "D\tn/new" in ended.lines
    assert ended.lines[-1].startswith("would take back 'merge origin': ")
    done = merged.json("b", "undo", "-n")
    assert done["old"] == done["head"] == head
    assert {each["path"] for each in done["changes"]} >= {"f", "gone", "d/e", "renamed/e", "n/new", "empty", "mine"}
    assert (merged.head("b"), snapshot(merged.base / "b")) == (head, was)


def test_twice_is_once(merged: Replicas) -> None:
    merged("b", "undo")
    head = merged.head("b")
    assert merged("b", "undo").text == "nothing left to take back of 'merge origin'\n"
    assert merged.head("b") == head


def test_without_the_remote_the_trash_is_enough(merged: Replicas) -> None:
    os.rename(merged.base / "a", merged.base / "away")
    merged("b", "undo")
    found = contents(merged.base / "b")
    assert (found["f"], found["gone"], found["d/e"]) == (b"1", b"g", b"deep")


def test_where_content_is_gone_nothing_is_done(merged: Replicas) -> None:
    os.rename(merged.base / "a", merged.base / "away")
    merged("b", "gc", "--trash", "0")
    head, was = merged.head("b"), snapshot(merged.base / "b")
    for words in ([], ["--dry-run"]):
        ended = merged("b", "undo", *words, code=3)
        assert "the content of 2 files is nowhere any more: f, gone" in ended.err
    assert (merged.head("b"), snapshot(merged.base / "b")) == (head, was)


def test_a_remote_that_claims_to_have_it_is_not_enough(merged: Replicas) -> None:
    merged("b", "gc", "--trash", "0")
    merged.write("a/f", "1")
    merged.write("a/gone", "g")
    merged("a", "commit")
    for name in ("f", "gone"):
        merged.write(f"a/{name}", "destroyed")
    head = merged.head("b")
    assert "nowhere any more" in merged("b", "undo", code=3).err
    assert merged.head("b") == head


def test_there_is_nothing_to_undo(replicas: Replicas) -> None:
    replicas.write("c/f", "1")
    replicas("c", "init")
    replicas("c", "commit")
    assert "there is no merge to undo" in replicas("c", "undo", code=3).err
    replicas.clone({"f": "1"})
    ended = replicas("b", "undo", code=3)
    assert "the first one filled this folder" in ended.err
    assert replicas.read("b/f") == "1"


def test_what_was_pushed_here_can_be_undone(replicas: Replicas) -> None:
    replicas.clone({"f": "1", "x": "x"})
    replicas.write("b/f", "pushed")
    replicas("b", "commit")
    replicas("b", "push")
    assert replicas.read("a/f") == "pushed"
    replicas("a", "undo")
    assert replicas.read("a/f") == "1"
    replicas("b", "sync")
    assert replicas.read("b/f") == "1"


def test_a_merge_that_brought_most_of_the_files_is_gated(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    for number in range(40):
        replicas.write(f"a/many/{number}", str(number))
    replicas("b", "pull")
    ended = replicas("b", "undo", code=3)
    assert "--allow-mass-delete" in ended.err
    replicas("b", "undo", "--dry-run", code=3)
    replicas("b", "undo", "--allow-mass-delete")
    assert contents(replicas.base / "b") == {"f": b"1"}


def test_only_the_last_merge(replicas: Replicas) -> None:
    replicas.clone({"f": "1", "g": "1"})
    replicas.write("a/f", "2")
    replicas("b", "pull")
    replicas.write("a/g", "2")
    replicas("b", "pull")
    replicas("b", "undo")
    assert contents(replicas.base / "b") == {"f": b"2", "g": b"1"}


def test_a_merge_with_a_conflict(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    replicas.write("b/f", "by b")
    replicas.write("a/f", "by a")
    replicas("b", "pull")
    assert len(replicas.json("b", "conflicts")) == 1
    replicas("b", "undo")
    assert contents(replicas.base / "b") == {"f": b"by b"}


def test_a_whole_directory_that_went(replicas: Replicas) -> None:
    replicas.clone({f"d/e/{number}": str(number) for number in range(10)} | {"f": "1"})
    was = snapshot(replicas.base / "b")
    shutil.rmtree(replicas.base / "a/d")
    replicas("b", "pull")
    os.rename(replicas.base / "a", replicas.base / "away")
    assert contents(replicas.base / "b") == {"f": b"1"}
    assert replicas.json("b", "undo")["pending"] == []
    assert snapshot(replicas.base / "b") == was
    assert replicas.json("b", "status")["clean"]


def test_a_conflict_that_was_settled_since_stands(replicas: Replicas) -> None:
    replicas.clone({"f": "0"})
    replicas.write("b/f", "mine")
    replicas.write("a/f", "theirs")
    replicas.write("a/more", "came, too")
    replicas("b", "pull")
    theirs = next(path for path in (replicas.base / "b").glob("f*") if path.read_text() == "theirs")
    keep = "current" if theirs.name == "f" else "copy"
    replicas("b", "resolve", "f", "--keep", keep)
    replicas("b", "undo")
    assert contents(replicas.base / "b") == {"f": b"theirs"}
