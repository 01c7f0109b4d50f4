"""``replican why``."""

import os

from replicas import Replicas


def test_what_was_last_recorded(replicas: Replicas) -> None:
    replicas.clone({"f": "1", "d/g": "2"})
    replicas.write("b/f", "2")
    replicas("b", "commit", "-m", "my words")
    text = replicas("b", "why", "f").text
    assert "last changed by tester (" in text
    assert f"checkpoint {replicas.head('b')[:12]}: my words" in text
    assert "a file on the disk, as it is recorded" in text
    assert "content: this folder" in text
    found = replicas.json("b/d", "why", "g")
    assert (found["path"], found["what"], found["last"]["id"]) == (
        "d/g",
        "added",
        replicas.json("b", "log")[-1]["id"],
    )
    assert found["places"] == ["this folder", "origin"]


def test_edits_deletions_and_new_files(replicas: Replicas) -> None:
    replicas.clone({"f": "1", "g": "2", "h": "3"})
    replicas.write("b/f", "edited")
    os.unlink(replicas.base / "b/g")
    (replicas.base / "b/h").chmod(0o600)
    replicas.write("b/new", "n")
    assert "another content than is recorded" in replicas("b", "why", "f").text
    assert "not on the disk, though it is recorded" in replicas("b", "why", "g").text
    assert "other attributes than is recorded" in replicas("b", "why", "h").text
    new = replicas("b", "why", "new").text
    assert "never recorded" in new
    assert "not recorded yet" in new
    replicas("b", "commit")
    gone = replicas("b", "why", "g").text
    assert "last deleted by tester" in gone
    assert "not on the disk\n" in gone


def test_why_there_is_a_copy(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    copy = replicas.conflict("f")
    log = {each["peer"]: each["id"] for each in reversed(replicas.json("b", "log")) if each["kind"] == "user"}
    for path in ("f", copy):
        found = replicas.json("b", "why", path)
        assert [each["path"] for each in found["versions"]] == ["f", copy]
        assert {each["checkpoint"] for each in found["versions"]} == set(log.values()) & {
            each["checkpoint"] for each in found["versions"]
        }
        assert len({each["checkpoint"] for each in found["versions"]}) == 2
        text = replicas("b", "why", path).text
        assert "has 2 versions" in text
        assert "`replican resolve` settles it" in text
    current = replicas.json("b", "why", "f")
    assert current["last"]["id"] == current["versions"][0]["checkpoint"], "of two edits, the one that is there"


def test_a_directory_that_keeps_the_name(replicas: Replicas) -> None:
    replicas.clone({"other": "1"})
    replicas.write("a/name/in", "of a directory")
    replicas.write("b/name", "of a file")
    replicas("b", "sync")
    (copy,) = [path for path in os.listdir(replicas.base / "b") if ".conflict-" in path]
    text = replicas("b", "why", "name").text
    assert "    name is a directory, and keeps the name\n" in text
    assert f"    {copy} by " in text
    assert "not recorded yet" not in text


def test_what_holds_it_back(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    replicas.write("a/f", "2")
    replicas("a", "commit")
    replicas("b", "fetch")
    replicas.write("a/f", "destroyed")
    replicas("b", "merge", code=4)
    found = replicas.json("b", "why", "f")
    assert found["holding"] == [{"path": "f", "cause": "no source"}]
    assert found["places"] == []
    text = replicas("b", "why", "f").text
    assert "held back: no source" in text
    assert "in no store that can be reached" in text


def test_what_is_never_recorded(replicas: Replicas) -> None:
    replicas.clone({"f": "1", ".replicanignore": "*.o\nbuild/\n"})
    replicas.write("b/x.o", "object")
    replicas.write("b/build/deep/file", "b")
    os.mkfifo(replicas.base / "b/fifo")
    assert "is ignored (.replicanignore)" in replicas("b", "why", "x.o").text
    assert replicas.json("b", "why", "build/deep/file")["ignored"] is True
    assert "a special file on the disk that is not recorded" in replicas("b", "why", "fifo").text
    assert replicas.json("b", "why", "fifo")["holding"] == [{"path": "fifo", "cause": "special file"}]
    assert replicas.json("b", "why", "f")["ignored"] is False


def test_a_part_of_another_replica(replicas: Replicas) -> None:
    replicas.clone({"f": "1", "was/kept": "2"})
    replicas.write("b/new/deep/file", "n")
    for name in ("new", "was"):
        replicas("b", "init", "--nested", name)
    assert "held back: nested replica\n" in replicas("b", "why", "new").text
    assert "held back: nested replica (new)\n" in replicas("b", "why", "new/deep/file").text
    assert replicas.json("b", "why", "was/kept")["holding"] == [{"path": "was", "cause": "nested replica"}]
    assert replicas.json("b", "why", "f")["holding"] == []


def test_directories_and_the_root(replicas: Replicas) -> None:
    replicas.clone({"d/e/f": "1"})
    assert "a directory on the disk, as it is recorded" in replicas("b", "why", "d").text
    assert replicas.json("b", "why", ".")["path"] == ""
    assert replicas("b", "why", ".").lines[0] == "."


def test_nothing_is_known(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    assert "nothing is known of none" in replicas("b", "why", "none", code=1).err
    replicas("b", "why", "../a/f", code=2)
    replicas("b", "why", code=2)


def test_names_that_are_not_plain(replicas: Replicas) -> None:
    replicas.clone({"new\nline": "1"})
    assert replicas("b", "why", "new\nline").lines[0] == '"new\\nline"'
