"""``replican diff``."""

import os

import pytest
from replicas import OLD, Replicas


@pytest.fixture
def edited(replicas: Replicas) -> Replicas:
    """A folder with an edit of every kind."""
    replicas.clone({"same": "1", "edit": "2", "gone": "3", "mode": "4", "time": "5", "type": "6", "d/e/f": "7"})
    replicas.write("b/edit", "22")
    (replicas.base / "b/gone").unlink()
    (replicas.base / "b/mode").chmod(0o600)
    os.utime(replicas.base / "b/time", ns=(OLD + 1, OLD + 1))
    (replicas.base / "b/type").unlink()
    (replicas.base / "b/type").symlink_to("same")
    replicas.write("b/new", "n")
    replicas.write("b/n/m/o", "o")
    (replicas.base / "b/empty").mkdir()
    return replicas


LINES = [
    "M\tedit",
    "A\tempty",
    "D\tgone",
    "a\tmode\tmode 0644 -> 0600",
    "A\tn/m/o",
    "A\tnew",
    "a\ttime\ttime",
    "T\ttype\tmode 0644 -> 0777",
]


def test_the_disk_against_the_head(edited: Replicas) -> None:
    ended = edited("b", "diff")
    assert ended.lines == LINES
    assert "the log holds no old content" in ended.err
    assert edited("a", "diff").text == ""
    assert edited("a", "diff").err == ""


def test_nothing_is_written_by_looking(edited: Replicas) -> None:
    index = edited.base / "b/.replican/index.db"
    before = index.read_bytes()
    edited("b", "diff")
    assert index.read_bytes() == before


def test_two_states(edited: Replicas) -> None:
    first = edited.head("b")
    edited("b", "commit")
    assert edited("b", "diff").text == ""
    assert edited("b", "diff", first, "HEAD").lines == LINES
    assert edited("b", "diff", first).lines == LINES
    assert edited("b", "diff", "HEAD@{0}", "origin/head").lines[0] == "M\tedit"
    assert edited("b", "diff", f"{first}:d", "HEAD:d").text == ""
    assert edited("b", "diff", f"{first}:d/e", "HEAD:n/m").lines == ["D\tf", "A\to"]


def test_limited_to_paths(edited: Replicas) -> None:
    assert edited("b", "diff", "--", "n").lines == ["A\tn/m/o"]
    assert edited("b", "diff", "n/m/o", "gone").lines == ["D\tgone", "A\tn/m/o"]
    assert edited("b/n", "diff", "--", "m", "../edit").lines == ["M\tedit", "A\tn/m/o"]
    assert edited("b", "diff", "HEAD", "--", "same").text == ""


def test_in_json(edited: Replicas) -> None:
    found = {each["path"]: each for each in edited.json("b", "diff")}
    assert found["edit"]["status"] == "modified"
    assert (found["edit"]["old"]["size"], found["edit"]["new"]["size"]) == (1, 2)
    assert (found["gone"]["new"], found["new"]["old"]) == (None, None)
    assert found["mode"]["status"] == "attributes changed"
    assert (found["mode"]["old"]["mode"], found["mode"]["new"]["mode"]) == ("0644", "0600")
    assert found["type"]["new"]["kind"] == "link"
    assert found["empty"]["new"]["kind"] == "directory"


def test_names_that_are_not_plain(edited: Replicas) -> None:
    odd = edited.base / "b" / "new\nline\udcff"
    odd.write_bytes(b"")
    assert 'A\t"new\\nline\\377"' in edited("b", "diff").lines
    assert b"A\0new\nline\xff\0" in edited("b", "diff", "-z").out
    found = [each for each in edited.json("b", "diff") if "path_b64" in each]
    assert [each["path"] for each in found] == ["new\nline\udcff"]


def test_exit_codes(edited: Replicas) -> None:
    edited("b", "diff", "--exit-code", code=1)
    edited("a", "diff", "--exit-code", code=0)
    edited("b", "diff", "HEAD", "HEAD", "--exit-code", code=0)
    edited("b", "diff", "nonsense", code=1)
    edited("b", "diff", "HEAD", "HEAD", "HEAD", code=2)


def test_a_file_that_becomes_a_directory(replicas: Replicas) -> None:
    replicas.clone({"x": "1"})
    (replicas.base / "b/x").unlink()
    replicas.write("b/x/y", "2")
    assert replicas("b", "diff").lines == ["D\tx", "A\tx/y"]
