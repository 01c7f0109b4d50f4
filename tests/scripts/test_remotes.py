"""Folders and their remotes, as a black box: push, fetch, merge, gates, and what is not where it should be."""

import shutil
from pathlib import Path

import pytest
from folders import assert_equal, head, in_step, snapshot, write

pytestmark = pytest.mark.within


def test_a_diverged_push_is_refused(cli, two) -> None:
    a, b = two
    write(a / "by a", "a")
    write(b / "by b", "b")
    cli("-C", b, "commit")
    refused = cli("-C", b, "push", code=5)
    assert "pull first" in refused.err
    assert not (a / "by b").exists()
    cli("-C", b, "pull")
    pushed = cli("-C", b, "push")
    assert "head -> head" in pushed.text
    assert_equal(a, b)
    assert head(cli, a) == head(cli, b)
    assert cli("-C", b, "push").text == "origin is up to date\n"


def test_fetch_then_merge(cli, two) -> None:
    a, b = two
    old = head(cli, b)
    write(a / "new", "content")
    fetched = cli("-C", b, "fetch")
    new = head(cli, a)
    assert fetched.text.split() == [f"{old[:7]}..{new[:7]}", "head", "->", "origin/head"]
    assert not (b / "new").exists()
    planned = cli("-C", b, "merge", "--dry-run", "remote")
    assert planned.text == "new: new\n"
    assert not (b / "new").exists()
    assert cli("-C", b, "merge", "remote").text == f"{old[:7]}..{new[:7]} fast-forward: 1 added\n"
    assert_equal(a, b)
    assert cli("-C", b, "merge", "origin/head").text == "already up to date\n"
    assert cli("-C", b, "merge", new[:12]).text == "already up to date\n"
    cli("-C", b, "merge", "nobody", code=8)


def test_a_merge_offline(cli, two, tmp_path: Path) -> None:
    a, b = two
    write(a / "new", "content " * 1000)
    write(a / "folder/newer", "more content")
    write(a / "letter.txt", "changed")
    cli("-C", b, "fetch")
    away = tmp_path / "away"
    a.rename(away)
    failed = cli("-C", b, "merge", "remote", code=5)
    assert "content is missing" in failed.err
    assert not (b / "new").exists()
    assert cli("-C", b, "status", "--json").json()["clean"]
    away.rename(a)
    cli("-C", b, "fetch", "--content")
    a.rename(away)
    cli("-C", b, "merge", "remote")
    assert_equal(away, b)


def test_three_folders_in_a_row(cli, two, tmp_path: Path) -> None:
    a, b = two
    c = tmp_path / "c"
    cli("clone", "b", "c")
    write(a / "letter.txt", "by a")
    write(c / "letter.txt", "by c")
    for folder in (c, b, c):
        cli("-C", folder, "sync")
    assert_equal(a, b)
    assert_equal(b, c)
    assert head(cli, a) == head(cli, b) == head(cli, c)


def test_no_remote_and_no_repository(cli, two, tmp_path: Path) -> None:
    a, b = two
    assert "no replica" in cli("sync", code=8).err
    assert "no remote" in cli("-C", a, "sync", code=8).err
    cli("-C", b, "sync", "elsewhere", code=8)
    cli("clone", "none", "copy", code=8)
    b.rename(tmp_path / "away")
    cli("-C", a, "remote", "add", "copy", b)
    missing = cli("-C", a, "sync", code=5)
    assert "cannot be reached" in missing.err
    b.mkdir()
    assert "no replica" in cli("-C", a, "sync", code=5).err
    assert snapshot(b) == {}


def test_several_remotes_one_of_them_away(cli, two, tmp_path: Path) -> None:
    a, b = two
    cli("-C", b, "remote", "add", "gone", tmp_path / "gone")
    write(a / "new", "x")
    done = cli("-C", b, "sync", "gone", "origin", code=5)
    assert done.err.startswith("replican: remote gone cannot be reached: ")
    assert_equal(a, b)


def test_an_emptied_root(cli, two) -> None:
    a, b = two
    for path in a.iterdir():
        if path.name != ".replican":
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    before = snapshot(b)
    refused = cli("-C", a, "commit", code=3)
    assert "emptied" in refused.err
    assert "--allow-mass-delete" in refused.err
    cli("-C", b, "sync", code=None)
    assert snapshot(b) == before
    cli("-C", a, "commit", "--allow-mass-delete")
    cli("-C", b, "sync", code=3)
    assert snapshot(b) == before
    in_step(cli, a, b, "--allow-mass-delete")
    assert snapshot(b) == {}


def test_a_vanished_root(cli, two, tmp_path: Path) -> None:
    a, b = two
    shutil.rmtree(a)
    before = snapshot(b)
    cli("-C", b, "sync", code=5)
    cli("-C", a, "sync", code=8)
    assert not a.exists()
    assert snapshot(b) == before


def test_json(cli, two) -> None:
    a, b = two
    write(a / "new", "x")
    write(b / "letter.txt", "y")
    state = cli("-C", b, "status", "--json").json()
    assert state["changes"] == [{"path": "letter.txt", "status": "modified", "kind": "file"}]
    assert not state["clean"]
    pulled = cli("-C", b, "pull", "--json").json()
    assert pulled["recorded"]["changed"] == 1
    assert pulled["merged"]["kind"] == "merge"
    assert pulled["merged"]["added"] == 1
    assert pulled["fetched"]["checkpoints"] == 1
    assert cli("-C", b, "status", "--json").json()["remotes"] == [
        {"name": "origin", "url": str(a), "state": "ahead", "ahead": 1, "behind": 0}
    ]
    pushed = cli("-C", b, "push", "--json").json()
    assert pushed["changed"] == 1
    synced = cli("-C", b, "sync", "--json").json()
    assert synced["head"] == pushed["new"]
    assert synced["conflicts"] == synced["pending"] == []
