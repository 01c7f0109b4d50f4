"""Units in a transition: each name has the old one or the new one, whole, whatever happens and whenever."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from folders import remove, write
from pairs import Pair, just_before, pending
from unit_steps import (
    GONE,
    KINDS,
    NEW,
    OLD,
    WHEN,
    Killed,
    Unit,
    a_pair,
    alike,
    at_step,
    kill,
    nothing,
    units,
    without_exchange,
)

from replican.effects import trash
from replican.effects.index_check import check_index
from replican.effects.swapping import aside_name, out_name
from replican.operations.fetching import fetch_from
from replican.operations.recording import record
from replican.operations.remotes import opened_remote
from replican.operations.syncing import merge_remote
from replican.repository import Repository


def test_units_come_change_and_go(tmp_path: Path) -> None:
    pair = a_pair(tmp_path)
    assert pending(pair.pull().merged) == {}
    assert units(pair.b) == {"a.u": NEW, "came.u": {"head": b"came"}}
    kept = {path.read_bytes() for path in (pair.b / ".replican/trash").iterdir()}
    assert {b"1", b"x", b"gone"} <= kept
    assert os.listdir(pair.b / ".replican/stage") == []
    pair.assert_at_rest()


@KINDS
@WHEN
def test_a_kill_at_any_step_and_a_rerun(
    tmp_path: Path, after: bool, kind: Callable[[pytest.MonkeyPatch], None]
) -> None:
    for number in count(1):
        pair = a_pair(tmp_path / str(number))
        with pytest.MonkeyPatch.context() as patch:
            kind(patch)
            steps = at_step(patch, number, after, kill)
            try:
                pair.pull()
            except Killed:
                pass
            else:
                if steps[0] < number:
                    break
            for name, unit in units(pair.b).items():
                assert unit in (OLD, NEW, GONE, {"head": b"came"}), (number, name)
            if kind is nothing:
                assert units(pair.b)["a.u"] in (OLD, NEW), number
        with pytest.MonkeyPatch.context() as patch:
            kind(patch)
            pair.sync()
        assert units(pair.b) == {"a.u": NEW, "came.u": {"head": b"came"}}, number
        pair.assert_at_rest()
        with Repository(str(pair.b)) as repo:
            assert not [each for each in repo.refs.reflog("head") if each.reason.startswith("commit")], number
            noted = {item.file for item in repo.index.trash()}
        assert {os.fsencode(name) for name in os.listdir(pair.b / ".replican/trash")} == noted, number
    assert number > 8, "the plan has fewer steps than this test thinks"


@KINDS
@pytest.mark.parametrize("numbers", [nothing, alike], ids=["others", "alike"])
def test_a_kill_at_any_step_and_other_inode_numbers(
    tmp_path: Path, kind: Callable[[pytest.MonkeyPatch], None], numbers: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """As where a disk is mounted again that has none of its own: nothing looks like its user's edit, even where what
    came has by chance the number of what went."""
    for number in count(1):
        pair = a_pair(tmp_path / str(number))
        with pytest.MonkeyPatch.context() as patch:
            kind(patch)
            steps = at_step(patch, number, False, kill)
            with suppress(Killed):
                pair.pull()
        if steps[0] < number:
            break
        pair.b.rename(tmp_path / "before")
        shutil.copytree(tmp_path / "before", pair.b, symlinks=True)
        remove(tmp_path / "before")
        with pytest.MonkeyPatch.context() as patch:
            kind(patch)
            numbers(patch)
            pair.sync()
        assert units(pair.b) == {"a.u": NEW, "came.u": {"head": b"came"}}, number
        pair.assert_at_rest()
        kept = {path.read_bytes() for path in (pair.b / ".replican/trash").iterdir()}
        assert kept >= {b"1", b"x", b"gone"}, number
    assert number > 8, "the plan has fewer steps than this test thinks"


def test_a_power_cut_that_loses_what_was_said_of_a_unit_and_not_what_came_after(tmp_path: Path) -> None:
    """Its first files are in the trash, and it lies where nobody has looked at it yet."""
    for number in count(1):
        pair = a_pair(tmp_path / str(number))
        with pytest.MonkeyPatch.context() as patch:
            steps = at_step(patch, number, True, kill, [(trash, "rename_new")])
            with suppress(Killed):
                pair.pull()
        if steps[0] < number:
            break
        stage = pair.b / ".replican/stage"
        for name in (b"a.u", b"gone.u"):
            out = stage / os.fsdecode(out_name(name))
            if out.exists():
                out.rename(stage / os.fsdecode(aside_name(name)))
        pair.sync()
        assert units(pair.b) == {"a.u": NEW, "came.u": {"head": b"came"}}, number
        pair.assert_at_rest()
    assert number > 4, "the plan has fewer steps than this test thinks"


@pytest.mark.parametrize(
    ("kind", "after", "killed"),
    [(nothing, False, False), (nothing, True, False), (nothing, True, True), (without_exchange, True, False)],
    ids=["before", "after", "after, and killed", "after, without exchange"],
)
def test_an_edit_at_any_step_is_kept_and_nothing_is_mixed(
    tmp_path: Path, kind: Callable[[pytest.MonkeyPatch], None], after: bool, killed: bool
) -> None:
    for number in count(1):
        pair = a_pair(tmp_path / str(number))
        edited: list[Unit] = []

        def edit(pair: Pair = pair, edited: list[Unit] = edited) -> None:
            for name in ("a.u", "gone.u"):
                if (pair.b / name).exists():
                    (pair.b / name / "head").write_text("mine")
                    edited.append(units(pair.b)[name])
            if killed:
                raise Killed

        with pytest.MonkeyPatch.context() as patch:
            kind(patch)
            steps = at_step(patch, number, after, edit)
            try:
                pair.pull()
            except Killed:
                pass
            if steps[0] < number:
                break
        with pytest.MonkeyPatch.context() as patch:
            kind(patch)
            pair.sync()
            pair.sync()
        pair.assert_at_rest()
        found = units(pair.b)
        for at, unit in found.items():
            assert unit in [OLD, NEW, GONE, {"head": b"came"}, *edited], (number, at)
        assert all(each in found.values() for each in edited), number
    assert number > 8, "the plan has fewer steps than this test thinks"


def test_what_was_changed_just_before_is_pending_and_becomes_a_conflict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = a_pair(tmp_path)
    just_before(monkeypatch, lambda: write(pair.b / "a.u/refs/main", "mine") and None)
    assert pending(pair.pull().merged) == {"a.u": "changed here"}
    assert units(pair.b)["a.u"] == OLD | {"refs/main": b"mine"}
    pair.sync()
    pair.assert_at_rest()
    assert sorted(map(repr, units(pair.b).values())) == sorted(
        map(repr, [NEW, OLD | {"refs/main": b"mine"}, {"head": b"came"}])
    )


@pytest.mark.parametrize("name", ["a.u/fifo", "a.u/refs/fifo"])
def test_a_name_that_is_not_recorded_keeps_a_unit(tmp_path: Path, name: str) -> None:
    pair = a_pair(tmp_path)
    os.mkfifo(pair.b / name)
    assert pending(pair.pull().merged) == {"a.u": "holds a special file"}
    (pair.b / name).unlink()
    assert not any(pending(each) for each in pair.sync().pulled)
    pair.assert_at_rest()


def test_a_new_unit_is_never_put_together_with_what_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = a_pair(tmp_path)
    just_before(monkeypatch, lambda: write(pair.b / "came.u/mine", "mine") and None)
    assert pending(pair.pull().merged) == {"came.u": "changed here"}
    assert units(pair.b)["came.u"] == {"mine": b"mine"}
    pair.sync()
    pair.assert_at_rest()
    assert {"mine": b"mine"} in units(pair.b).values()
    assert {"head": b"came"} in units(pair.b).values()


def test_a_renamed_unit_is_moved(tmp_path: Path) -> None:
    pair = a_pair(tmp_path)
    pair.sync()
    before = (pair.b / "a.u/head").stat().st_ino
    os.rename(pair.a / "a.u", pair.a / "plain" / "b.u")
    assert sum(each.outcome.moved for each in pair.sync().pulled) == 1
    assert (pair.b / "plain/b.u/head").stat().st_ino == before
    pair.assert_at_rest()


def test_a_plain_directory_that_becomes_a_unit_and_changes(tmp_path: Path) -> None:
    pair = a_pair(tmp_path)
    pair.sync()
    write(pair.a / ".replicanattributes", "*.u/ atomic\nplain atomic\n")
    write(pair.a / "plain/file", "other")
    pair.sync()
    pair.assert_at_rest()
    with Repository(str(pair.b)) as repo:
        check_index(repo.index)
        row = repo.index.row(b"plain")
        assert row is not None
        assert row.is_unit
        assert not os.stat(pair.b / "plain").st_mode & 0o1000
        assert not record(repo).new


@pytest.mark.parametrize("inside", ["", "new/"], ids=["by itself", "in a new directory"])
def test_a_unit_of_which_something_is_nowhere_does_not_come(tmp_path: Path, inside: str) -> None:
    pair = a_pair(tmp_path)
    pair.sync()
    write(pair.a / f"{inside}n.u/x", "here")
    write(pair.a / f"{inside}n.u/d/y", "lost")
    write(pair.a / "new/z", "z")
    pair.record(pair.a)
    lost = pair.a / f"{inside}n.u/d/y"
    with Repository(str(pair.b)) as repo, opened_remote(repo, "origin") as remote:
        fetch_from(repo, remote)
        lost.rename(tmp_path / "y")
        merged = merge_remote(repo, remote)
    assert pending(merged) == {f"{inside}n.u/d/y": "no source"}
    assert (pair.b / "new/z").read_text() == "z"
    assert not (pair.b / f"{inside}n.u").exists()
    with Repository(str(pair.b)) as repo:
        assert not record(repo).new
    (tmp_path / "y").rename(lost)
    pair.sync()
    pair.assert_at_rest()
    assert (pair.b / f"{inside}n.u/d/y").read_text() == "lost"
