import pytest
from in_process import InProcess
from small_repository import SmallRepository


@pytest.fixture
def lines(small: SmallRepository) -> list[str]:
    one = small.user(None, "a=1")
    small.user(one, "a=2")
    small.set_ref("remotes/origin/head", one)
    small.set_ref("remotes/other/head", one)
    with small.open() as repo:
        head = repo.head
    assert head is not None
    return [f"{head.hex()} head", f"{one.hex()} remotes/origin/head", f"{one.hex()} remotes/other/head"]


def test_refs(run: InProcess, lines: list[str]) -> None:
    assert run("show-ref").lines == lines
    assert run("show-ref", "origin/head").lines == lines[1:2]
    assert run("show-ref", "head").lines == lines
    assert run("show-ref", "--format=%(ref)", "other/head").lines == ["remotes/other/head"]
    assert run("show-ref", "--json").json()[0] == {"ref": "head", "id": lines[0][:64]}


def test_whole_names(run: InProcess, lines: list[str]) -> None:
    assert run("show-ref", "--verify", "head").lines == lines[:1]
    assert run("show-ref", "--verify", "HEAD").lines == lines[:1]
    assert run("show-ref", "--verify", "origin/head", "refs/remotes/other/head").lines == lines[1:]
    assert "no such ref" in run("show-ref", "--verify", "nobody/head", code=1).err
    assert run("show-ref", "--verify", "--quiet", "nobody/head", code=1).err == ""
    run("show-ref", "--verify", code=2)
    run("show-ref", "--verify", "../../head", code=2)


def test_there_is_none(run: InProcess) -> None:
    assert run("show-ref", code=1).out == b""
    assert run("show-ref", "--json", code=1).json() == []


def test_a_damaged_ref_does_not_hide_the_others(run: InProcess, lines: list[str], small: SmallRepository) -> None:
    (small.root / ".replican/refs/remotes/origin/head").write_text("nonsense\n")
    ended = run("show-ref", code=6)
    assert ended.lines == [lines[0], lines[2]]
    assert "remotes/origin/head" in ended.err
