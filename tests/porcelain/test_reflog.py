"""``replican reflog``."""

from replicas import Replicas


def test_where_the_head_has_been(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    replicas.write("b/f", "2")
    replicas("b", "commit", "-m", "my words")
    lines = replicas("b", "reflog").lines
    assert len(lines) == 2
    assert lines[0].startswith(f"{replicas.head('b')[:12]} HEAD@{{0}} ")
    assert lines[0].endswith(": commit: my words")
    assert lines[1].endswith(": merge origin")
    assert len(replicas("b", "reflog", "-n1").lines) == 1


def test_in_json(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    replicas.write("b/f", "2")
    replicas("b", "commit")
    newest, oldest = replicas.json("b", "reflog")
    assert (newest["ref"], newest["number"], oldest["number"]) == ("head", 0, 1)
    assert newest["old"] == oldest["new"]
    assert oldest["old"] is None
    assert newest["who"].startswith("tester ")
    assert set(newest) == {"ref", "number", "old", "new", "who", "time", "reason"}


def test_of_a_remote(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    (line,) = replicas("b", "reflog", "origin").lines
    assert "origin/head@{0}" in line
    assert "no such ref: 'nobody'" in replicas("b", "reflog", "nobody", code=1).err
    replicas("b", "reflog", "-n", "-2", code=2)


def test_of_an_empty_log(replicas: Replicas) -> None:
    (replicas.base / "a").mkdir()
    replicas("a", "init")
    assert replicas("a", "reflog").text == ""
    assert replicas.json("a", "reflog") == []


def test_names_can_be_used(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    replicas.write("b/f", "2")
    replicas("b", "commit")
    for move in replicas.json("b", "reflog"):
        assert replicas("b", "rev-parse", f"HEAD@{{{move['number']}}}").text.strip() == move["new"]
