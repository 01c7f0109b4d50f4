import pytest
from in_process import InProcess
from small_repository import SmallRepository

from replican.values.ids import EMPTY_TREE


@pytest.fixture
def log(small: SmallRepository) -> None:
    base = small.user(None, "a=1 b=1 d/x=1")
    theirs = small.user(base, "a=3@5 b=2 d/x=1", head=False)
    small.set_ref("remotes/origin/head", theirs)
    small.user(base, "a=2@1 b=1 d/x=1 d/y=1")


def test_trees_are_merged(run: InProcess, log: None) -> None:
    ended = run("merge-tree", "HEAD~", "HEAD", "origin")
    assert run("ls-tree", "-r", "--name-only", ended.line).lines == [
        "a",
        "a.conflict-19700101T000001Z-" + run("rev-parse", "HEAD:a").line[:8],
        "b",
        "d/x",
        "d/y",
    ]
    assert "conflict: a has 2 versions" in ended.err
    assert run("merge-tree", "HEAD~", "origin", "HEAD").out == ended.out
    assert run("merge-tree", "--quiet", "HEAD~", "HEAD", "origin").err == ""
    run("merge-tree", "--exit-code", "HEAD~", "HEAD", "origin", code=1)
    run("merge-tree", "--exit-code", "HEAD~", "HEAD", "HEAD~")


def test_json(run: InProcess, log: None) -> None:
    found = run("merge-tree", "--json", "HEAD~", "HEAD", "origin").json()
    assert found["tree"] == run("merge-tree", "HEAD~", "HEAD", "origin").line
    (conflict,) = found["conflicts"]
    assert conflict["path"] == "a"
    assert [version["id"] for version in conflict["versions"]] == run("rev-parse", "origin:a", "HEAD:a").lines
    assert found["plan"] == {"base": run("rev-parse", "HEAD:").line, "tree": found["tree"]}
    assert (found["old"], found["theirs"]) == tuple(run("rev-parse", "HEAD", "origin").lines)
    assert run("merge-tree", "--json", "HEAD~", "HEAD", "origin:").json()["theirs"] is None


def test_no_base_is_a_union(run: InProcess, log: None) -> None:
    made = run("merge-tree", EMPTY_TREE.hex(), "HEAD:d", "HEAD~:d").line
    assert made == run("rev-parse", "HEAD:d").line


def test_what_is_wrong(run: InProcess, log: None) -> None:
    run("merge-tree", "HEAD", "HEAD", code=2)
    run("merge-tree", "HEAD", "HEAD", "nobody", code=1)
    run("merge-tree", "HEAD", "HEAD", "HEAD:a", code=1)
