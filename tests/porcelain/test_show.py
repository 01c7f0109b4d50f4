"""``replican show``."""

import os

import pytest
from replicas import Replicas

from replican.values.ids import blob_id


@pytest.fixture
def here(replicas: Replicas) -> Replicas:
    replicas.clone({"f": "content of f", "d/g": "content of g"})
    (replicas.base / "a/d/l").symlink_to("g")
    (replicas.base / "a/d/e").mkdir()
    replicas("b", "sync")
    return replicas


def test_a_checkpoint_with_what_it_changed(here: Replicas) -> None:
    text = here("b", "show").text
    assert text.startswith(f"checkpoint {here.head('b')} (HEAD, origin/head)\nAuthor: tester (")
    assert text.endswith("\n\nA\td/e\nA\td/l\n")
    first = here.json("b", "log")[-1]["id"]
    assert here("b", "show", first[:10]).lines[-2:] == ["A\td/g", "A\tf"]
    shown = here.json("b", "show", first)
    assert shown["id"] == first
    assert {each["path"]: each["status"] for each in shown["changes"]} == {"d/g": "added", "f": "added"}


def test_a_merge_with_what_no_parent_had(here: Replicas) -> None:
    copy = here.conflict("f")
    shown = here.json("b", "show")
    assert shown["kind"] == "merge"
    assert [each["path"] for each in shown["changes"]] == [copy]
    assert "Merge:  " in here("b", "show").text


def test_a_directory(here: Replicas) -> None:
    lines = here("b", "show", "HEAD:d").lines
    assert [line.split()[0] for line in lines] == ["d", "f", "l"]
    assert lines[0].endswith(" e/")
    assert "f 0644           12 Sun Sep 13 12:26:40 2020 +0000" in lines[1]
    assert [each["name"] for each in here.json("b", "show", "HEAD:d")["entries"]] == ["e", "g", "l"]
    assert here("b", "show", "HEAD:").lines[0].endswith(" d/")


def test_the_content_of_a_file(here: Replicas) -> None:
    assert here("b", "show", "HEAD:f").out == b"content of f"
    assert here("b", "show", "origin/head:d/g").out == b"content of g"
    assert here("b", "show", "HEAD:d/l").out == b"g"
    assert here("b", "show", blob_id(b"content of f").hex()).out == b"content of f"
    assert here.json("b", "show", "HEAD:f")["size"] == 12


def test_content_comes_from_a_remote_or_the_trash(here: Replicas) -> None:
    (here.base / "b/f").unlink()
    assert here("b", "show", "HEAD:f").out == b"content of f"
    here("b", "sync")
    assert here("b", "show", "HEAD~1:f").out == b"content of f", "it is in a's trash"
    here("a", "gc", "--trash", "0")
    ended = here("b", "show", "HEAD~1:f", code=1)
    assert ended.out == b""
    assert "no store has the content" in ended.err


def test_content_that_is_not_what_it_was_is_never_shown(here: Replicas) -> None:
    stat = os.stat(here.base / "b/f")
    here.write("b/f", "contents of f")
    os.utime(here.base / "b/f", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert here("b", "show", "HEAD:f").out == b"content of f"


def test_what_is_not_there(here: Replicas) -> None:
    assert "no nothing in HEAD" in here("b", "show", "HEAD:nothing", code=1).err
    here("b", "show", "f" * 64, code=1)
    here("b", "show", "nonsense", code=1)
