"""``replican log``."""

import json
import re

import pytest
from replicas import Replicas

FIELDS = {"id", "tree", "parents", "time_ns", "author", "peer", "message", "kind"}


@pytest.fixture
def merged(replicas: Replicas) -> Replicas:
    """Two folders that each had a checkpoint of its own, and are in step."""
    replicas.clone({"f": "1", "d/g": "2"})
    replicas.write("a/only-a", "a")
    replicas.write("b/d/only-b", "b")
    replicas("b", "commit", "-m", "words of b\n\nand more")
    replicas("b", "sync")
    return replicas


def test_json_is_a_list_with_the_head_first(merged: Replicas) -> None:
    log = merged.json("b", "log")
    assert [each["kind"] for each in log] == ["merge", "user", "user", "user"]
    assert all(set(each) >= FIELDS for each in log)
    head, *users = log
    assert head["id"] == merged.json("b", "status")["head"]
    assert head["parents"] == sorted(each["id"] for each in users[:2])
    assert (head["author"], head["peer"], head["message"]) == (None, None, "")
    assert head["time_ns"] == max(each["time_ns"] for each in users)
    assert {each["author"] for each in users} == {"tester"}
    assert "words of b\n\nand more" in [each["message"] for each in users]
    assert all(re.fullmatch("[0-9a-f]{16}", each["peer"]) for each in users)
    assert users[-1]["parents"] == []
    assert merged.json("a", "log") == log


def test_jsonl_is_one_a_line(merged: Replicas) -> None:
    lines = merged("b", "log", "--jsonl").lines
    assert [json.loads(line) for line in lines] == merged.json("b", "log")


def test_as_text(merged: Replicas) -> None:
    log = merged.json("b", "log")
    text = merged("b", "log").text
    assert text.startswith(f"checkpoint {log[0]['id']} (HEAD, origin/head)\nMerge:  ")
    assert f"\n\ncheckpoint {log[1]['id']}\nAuthor: tester ({log[1]['peer']})\nDate:   " in text
    assert "\n    words of b\n\n    and more\n" in text


def test_numbers(merged: Replicas) -> None:
    assert len(merged("b", "log", "--oneline", "-n", "2").lines) == 2
    assert merged("b", "log", "-n0").text == ""
    assert "from 0" in merged("b", "log", "-n", "-1", code=2).err


def test_children_come_before_their_parents_whatever_clocks_say(replicas: Replicas, monkeypatch) -> None:
    replicas.clone({"f": "1"})
    for at, date in enumerate(["@3000000000", "@1000000000", "@2000000000"]):
        monkeypatch.setenv("REPLICAN_AUTHOR_DATE", date)
        replicas.write("a/f", f"edit {at}")
        replicas("a", "commit")
    log = replicas.json("a", "log")
    assert [each["time_ns"] // 10**9 for each in log][:3] == [2000000000, 1000000000, 3000000000]
    assert [each["parents"] for each in log] == [[each["id"]] for each in log[1:]] + [[]]


def test_one_path(merged: Replicas) -> None:
    ids = {each["message"].partition("\n")[0]: each["id"] for each in merged.json("b", "log")}
    first = merged.json("b", "log")[-1]["id"]

    def log(*words: str, where: str = "b") -> list[str]:
        return [each["id"] for each in merged.json(where, "log", *words)]

    assert log("--", "d/only-b") == [ids["words of b"]]
    assert log("--", "f") == [first]
    assert log("d/g") == [first]
    assert log("--", "d") == [ids["words of b"], first]
    assert log("--", "only-b", where="b/d") == [ids["words of b"]]
    assert log("--", "only-b", "../only-a", where="b/d") == [
        each["id"] for each in merged.json("b", "log") if each["kind"] == "user" and each["id"] != first
    ]
    assert log("--", "never") == []
    assert log("-n", "1", "--", "d") == [ids["words of b"]]


def test_a_path_that_is_gone_and_one_that_is_called_like_a_ref(merged: Replicas) -> None:
    (merged.base / "b/f").unlink()
    merged.write("b/HEAD", "a file")
    merged("b", "commit")
    assert len(merged.json("b", "log", "--", "f")) == 2
    assert len(merged.json("b", "log", "--", "HEAD")) == 1
    assert len(merged.json("b", "log", "HEAD")) == 5
    assert "no such name: 'nothing'" in merged("b", "log", "nothing", code=1).err


def test_from_elsewhere(merged: Replicas) -> None:
    merged.write("b/new", "n")
    merged("b", "commit")
    assert merged.json("b", "log", "origin/head") == merged.json("a", "log")
    assert len(merged.json("b", "log", "HEAD@{1}")) == 4
    assert merged.json("b", "log", "HEAD~1", "--", "new") == []
    assert "not a path" in merged("b", "log", "HEAD", "origin/head", code=2).err


def test_a_graph(merged: Replicas) -> None:
    lines = merged("b", "log", "--graph").lines
    drawn = [re.match(r"[*|/\\_ ]*", line)[0].rstrip() for line in lines]  # type: ignore[index]
    sides = ["| *", "* |"]
    assert drawn in [["*", "|\\", *order, "|/", "*"] for order in (sides, sides[::-1])]
    assert "(HEAD, origin/head) merge of 2" in lines[0]
    merged.write("b/f", "edit")
    merged("b", "commit")
    assert merged("b", "log", "--graph", "-n2").lines[1].startswith("* ")
    assert merged("b", "log", "--graph", "--", "f").lines[0].startswith("* ")


def test_a_format(merged: Replicas) -> None:
    log = merged.json("b", "log")
    lines = merged("b", "log", "--format=%(short)%x09%(kind) %(subject)%%", "-n2").lines
    assert lines == [
        f"{log[0]['id'][:12]}\tmerge merge of 2%",
        f"{log[1]['id'][:12]}\tuser {log[1]['message'].partition(chr(10))[0]}%",
    ]
    parents = merged("b", "log", "-n1", "--format", "%(parents)%n%(refs)").lines
    assert parents == [" ".join(log[0]["parents"]), "HEAD, origin/head"]
    assert "unknown field" in merged("b", "log", "--format=%(none)", code=2).err
    assert "--json" in merged("b", "log", "--format=%(id)", "--json", code=2).err


def test_an_empty_log(replicas: Replicas) -> None:
    (replicas.base / "a").mkdir()
    replicas("a", "init")
    ended = replicas("a", "log")
    assert (ended.text, ended.err) == ("", "the log is empty\n")
    assert replicas.json("a", "log") == []


def test_control_characters_of_others_are_not_obeyed(cli, tmp_path) -> None:
    (tmp_path / "a").mkdir()
    cli("-C", "a", "init")
    (tmp_path / "a/f").write_bytes(b"")
    cli("-C", "a", "commit", "-m", "red \x1b[31m")
    assert b"\x1b[31m" in cli("-C", "a", "log").out  # a pipe loses nothing
    assert cli("-C", "a", "log", "--json").json()[0]["message"] == "red \x1b[31m"
