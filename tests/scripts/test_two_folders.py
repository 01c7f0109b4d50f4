"""The main job, as a black box on real folders: two of them in step, whatever was done to either."""

import os
import shutil
import socket
import stat
from pathlib import Path

from folders import SECOND, assert_equal, contents, head, in_step, write

from replican.values.ids import blob_id


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
    held = cli("-C", b, "sync", "--allow-mass-delete", code=3)  # this side's flags open no gate of the other's
    assert "40 of 46 files would be deleted" in held.err
    recorded = cli("-C", a, "commit", "--allow-mass-delete", code=4)
    assert "pending: photos/2020/11.jpg: no source" in recorded.err, "the edit has come, its content is with the other"
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
