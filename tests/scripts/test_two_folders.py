"""The main job, as a black box on real folders: two of them in step, whatever was done to either."""

import os
import shutil
import socket
import stat
from pathlib import Path

import pytest
from folders import assert_equal, contents, snapshot, write

from replican.values.ids import blob_id

SECOND = 1_000_000_000


@pytest.fixture
def two(cli, tmp_path: Path) -> tuple[Path, Path]:
    """A folder with some of everything, and its clone."""
    a = tmp_path / "a"
    write(a / "letter.txt", "dear all\n", 1_600_000_000 * SECOND + 123_456_789)
    write(a / "old.txt", "before the epoch", -86_400 * SECOND + 1)
    write(a / "empty", b"")
    write(a / "run.sh", "#!/bin/sh\n").chmod(0o751)
    for number in range(40):
        write(a / f"photos/2020/{number:02}.jpg", f"photo {number}")
    (a / "hollow/inside").mkdir(parents=True)
    (a / "link").symlink_to("letter.txt")
    (a / "dangling").symlink_to("nowhere/at all")
    os.utime(a / "link", ns=(5, 7), follow_symlinks=False)
    cli("clone", "a", "b")
    return a, tmp_path / "b"


def head(cli, folder: Path) -> str:
    return cli("-C", folder, "status", "--json").json()["head"]


def in_step(cli, a: Path, b: Path, *words: str, code: int = 0) -> str:
    """Sync from ``b``; both have to be equal, at the same head, with nothing left to do. What was told."""
    done = cli("-C", b, "sync", *words, code=code)
    assert_equal(a, b)
    states = [cli("-C", folder, "status", "--json").json() for folder in (a, b)]
    assert states[0]["head"] == states[1]["head"]
    assert all(state["clean"] for state in states), states
    again = cli("-C", b, "sync", "--json").json()
    assert again["head"] == states[0]["head"]
    assert again["remotes"][0]["equal"]
    return done.text + done.err


def test_clone(cli, two) -> None:
    a, b = two
    assert_equal(a, b)
    assert head(cli, a) == head(cli, b)
    assert stat.S_IMODE((b / ".replican").stat().st_mode) == 0o700
    assert cli("-C", b, "remote", "-v").text == f"origin\t{a}\n"
    log = cli("-C", b, "log", "--json").json()
    assert [entry["id"] for entry in log] == [head(cli, a)]


def test_edits_on_both_sides(cli, two) -> None:
    a, b = two
    write(a / "letter.txt", "dear all, and more\n")
    write(a / "new/deep/er/file", "x")
    (a / "hollow/inside").rmdir()
    write(b / "photos/2020/03.jpg", "other photo")
    (b / "photos/2020/04.jpg").unlink()
    (b / "empty dir").mkdir()
    in_step(cli, a, b)
    assert (b / "letter.txt").read_text() == "dear all, and more\n"
    assert (a / "photos/2020/03.jpg").read_text() == "other photo"
    assert not (a / "photos/2020/04.jpg").exists()
    assert (a / "empty dir").is_dir()
    assert not (b / "hollow/inside").exists()


def test_it_can_be_run_from_either_side(cli, two) -> None:
    a, b = two
    cli("-C", a, "remote", "add", "copy", "../b")
    write(b / "from b", "b")
    write(a / "from a", "a")
    assert "copy: came 1 added; went 1 added" in cli("-C", a, "sync").text
    assert_equal(a, b)


def test_a_renamed_directory_is_one_rename(cli, two) -> None:
    a, b = two
    before = (b / "photos").stat().st_ino, (b / "photos/2020/00.jpg").stat().st_ino
    (a / "photos").rename(a / "pictures")
    told = in_step(cli, a, b)
    assert "came 40 moved" in told
    assert ((b / "pictures").stat().st_ino, (b / "pictures/2020/00.jpg").stat().st_ino) == before


def test_renamed_files_keep_their_inodes(cli, two) -> None:
    a, b = two
    before = (b / "letter.txt").stat().st_ino
    (a / "deep").mkdir()
    (a / "letter.txt").rename(a / "deep/mail.txt")
    in_step(cli, a, b)
    assert (b / "deep/mail.txt").stat().st_ino == before


def test_a_directory_renamed_here_and_edited_there(cli, two) -> None:
    a, b = two
    (a / "photos").rename(a / "pictures")
    write(b / "photos/2020/07.jpg", "edited")
    in_step(cli, a, b)
    assert (a / "photos/2020/07.jpg").read_text() == "edited"
    assert not (a / "photos/2020/08.jpg").exists()
    assert (b / "pictures/2020/07.jpg").read_text() == "photo 7"


def test_modes(cli, two) -> None:
    a, b = two
    (a / "letter.txt").chmod(0o600)
    (a / "run.sh").chmod(0o644)
    (b / "photos").chmod(0o700)
    (b / "empty").chmod(0o444)
    in_step(cli, a, b)
    assert stat.S_IMODE((b / "run.sh").stat().st_mode) == 0o644
    assert stat.S_IMODE((a / "photos").stat().st_mode) == 0o700


def test_times_alone(cli, two) -> None:
    a, b = two
    os.utime(a / "letter.txt", ns=(0, -5 * SECOND + 3))
    os.utime(b / "dangling", ns=(9, 11), follow_symlinks=False)
    in_step(cli, a, b)
    assert (b / "letter.txt").stat().st_mtime_ns == -5 * SECOND + 3
    assert (a / "dangling").lstat().st_mtime_ns == 11


def test_a_conflict(cli, two) -> None:
    a, b = two
    write(a / "letter.txt", "by a\n", 2_000_000_000 * SECOND)
    write(b / "letter.txt", "by b\n", 1_900_000_000 * SECOND)
    told = in_step(cli, a, b)
    copies = [f"letter.conflict-20300317T174640Z-{blob_id(b'by b' + bytes([10])).hex()[:8]}.txt"]
    assert (a / "letter.txt").read_text() == "by a\n"
    assert (a / copies[0]).read_text() == "by b\n"
    assert "conflict: letter.txt" in told
    assert "1 conflict" in told
    state = cli("-C", b, "status", "--json").json()
    assert [row["path"] for row in state["conflicts"]] == ["letter.txt"]
    assert state["conflicts"][0]["copy"] == copies[0]
    assert cli("-C", b, "sync", "--exit-code", code=1).err == ""
    (b / copies[0]).unlink()
    in_step(cli, a, b, "--exit-code")


def test_an_edit_outlives_a_deletion(cli, two) -> None:
    a, b = two
    shutil.rmtree(a / "photos")
    write(b / "photos/2020/11.jpg", "edited")
    held = cli("-C", b, "sync", "--allow-mass-delete", code=4)  # this side's flags open no gate of the other's
    assert "40 of 46 files would be deleted" in held.err
    cli("-C", a, "commit", "--allow-mass-delete")
    in_step(cli, a, b, "--allow-mass-delete")
    assert {path for path in contents(a) if path.startswith("photos")} == {"photos/2020/11.jpg"}


def test_kinds_that_change(cli, two) -> None:
    a, b = two
    (a / "letter.txt").unlink()
    write(a / "letter.txt/page 1", "a directory now")
    shutil.rmtree(a / "hollow")
    write(a / "hollow", "a file now")
    (a / "link").unlink()
    (a / "link").mkdir()
    (b / "run.sh").unlink()
    (b / "run.sh").symlink_to("empty")
    (b / "dangling").unlink()
    write(b / "dangling", "a file now")
    in_step(cli, a, b)
    assert (b / "letter.txt/page 1").read_text() == "a directory now"
    assert (a / "run.sh").is_symlink()
    (a / "run.sh").unlink()
    write(a / "run.sh", "back")
    shutil.rmtree(b / "letter.txt")
    (b / "letter.txt").symlink_to("photos")
    in_step(cli, a, b)


def test_a_file_here_and_a_directory_there(cli, two) -> None:
    a, b = two
    write(a / "thing", "a file")
    write(b / "thing/inside", "in a directory")
    in_step(cli, a, b)
    assert (a / "thing/inside").read_text() == "in a directory"
    assert [content for path, content in contents(a).items() if path.startswith("thing.conflict-")] == [b"a file"]


NAMES = [
    b"new\nline",
    b"tab\there",
    b'quote"and\\back',
    b"\x1b[31mred",
    b"not utf-8 \xff\xfe",
    "grün — 写真".encode(),
    b" leading and trailing ",
    b"-rf",
    b"*?[x]",
    b"...",
    b".hidden",
    b"a" * 255,
    "é".encode() * 127,
    b"CON",
]


def test_names(cli, two) -> None:
    a, b = two
    root = os.fsencode(a)
    for name in NAMES:
        with open(os.path.join(root, name), "wb") as file:
            file.write(name)
        os.mkdir(os.path.join(root, b"photos", name))
        os.symlink(name, os.path.join(root, b"photos", name, name))
    in_step(cli, a, b)
    for name in NAMES:
        os.rename(os.path.join(os.fsencode(b), name), os.path.join(os.fsencode(b), b"hollow", name))
    in_step(cli, a, b)
    shown = cli("-C", b, "status", "--porcelain", "v1").text
    assert shown == ""
    with open(os.path.join(root, b"hollow", NAMES[0]), "wb") as file:
        file.write(b"edited")
    assert cli("-C", a, "status", "--porcelain=v1").text == ' M "hollow/new\\nline"\n'
    assert cli("-C", a, "status", "--porcelain=v1", "-z").out == b" M hollow/new\nline\0"


def test_a_conflict_of_long_names(cli, two) -> None:
    a, b = two
    name = "n" * 251 + ".txt"
    write(a / name, "by a")
    write(b / name, "by b")
    in_step(cli, a, b)
    assert sorted(content for path, content in contents(b).items() if path.startswith("nnn")) == [b"by a", b"by b"]


def test_specials_are_left_alone_and_said_once(cli, two) -> None:
    a, b = two
    os.mkfifo(a / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        where = os.getcwd()
        os.chdir(a)
        try:
            bound.bind("socket")
        finally:
            os.chdir(where)
    first = cli("-C", a, "commit")
    assert "pipe" in first.err
    assert "socket" in first.err
    assert "pipe" not in cli("-C", a, "commit").err
    in_step(cli, a, b)
    assert not os.path.lexists(b / "pipe")
    (a / "letter.txt").unlink()
    os.mkfifo(a / "letter.txt")
    done = cli("-C", a, "commit", code=None)
    assert "letter.txt" in done.err
    cli("-C", b, "sync", code=None)
    assert (b / "letter.txt").read_text() == "dear all\n"  # not seen is not deleted


def test_a_nested_replica_is_left_alone(cli, two) -> None:
    a, b = two
    write(a / "inner/file", "x")
    cli("-C", a / "inner", "init", code=3)
    cli("-C", a / "inner", "init", "--nested")
    in_step(cli, a, b)
    assert not (b / "inner").exists()
    cli("-C", a / "inner", "commit")
    assert cli("-C", a / "inner", "status", "--json").json()["clean"]


def test_join_is_a_union(cli, tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    write(a / "only a", "a")
    write(a / "same", "same", SECOND)
    write(a / "other", "by a")
    write(b / "only b", "b")
    write(b / "same", "same", SECOND)
    write(b / "other", "by b")
    refused = cli("clone", "a", "b", code=3)
    assert "--join" in refused.err
    assert not (a / ".replican").exists()
    cli("clone", "--join", "a", "b")
    in_step(cli, a, b)
    found = contents(a)
    assert found["only a"] == b"a"
    assert found["only b"] == b"b"
    assert found["same"] == b"same"
    assert sorted(content for path, content in found.items() if path.startswith("other")) == [b"by a", b"by b"]
    assert len(found) == 5


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
    assert "gone: remote gone cannot be reached" in done.err
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
