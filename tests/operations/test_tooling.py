"""Conflicts that a tool of the user's settles."""

import os
import shlex
import sys

import pytest
from folders import contents
from replicas import OLD, Replicas

JOIN = """\
import os, sys
base, current, copy = (open(os.environ[name]).read() for name in ("BASE", "CURRENT", "COPY"))
print("a tool may talk")
with open(os.environ["RESULT"], "w") as file:
    file.write(f"[{base}|{current}|{copy}]")
"""


def tool(replicas: Replicas, where: str, script: str, *words: str) -> None:
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(script)} {' '.join(words)}"
    replicas(where, "config", "merge.tool", command)


def chain(replicas: Replicas) -> None:
    """c takes from b, which takes from a; and all have the conflict."""
    replicas.clone({"d/f.txt": "1", "other": "o"})
    replicas(".", "clone", "b", "c")
    replicas.conflict("d/f.txt")
    replicas("c", "sync")
    assert all(len(replicas.json(where, "conflicts")) == 1 for where in "abc")


@pytest.mark.parametrize("where", ["a", "b", "c"])
def test_what_the_tool_makes_settles_it_for_every_peer(replicas: Replicas, where: str) -> None:
    chain(replicas)
    tool(replicas, where, JOIN, '# "$BASE"')
    # b's edit gave the base that it replaced to the trash of nobody: only who still has it can offer it.
    done = replicas.json(where, "resolve", "d", "--tool")
    assert done["resolved"] == [{"path": "d/f.txt"}]
    assert done["open"] == []
    made = replicas.read(f"{where}/d/f.txt")
    assert made.endswith("|by b|by a]")
    assert made in ("[|by b|by a]", "[1|by b|by a]")
    assert replicas.json(where, "log")[0]["message"] == "resolve f.txt: by a tool"
    for _ in range(2):
        replicas("b", "sync")
        replicas("c", "sync")
    for each in "abc":
        assert replicas.json(each, "conflicts") == []
        assert replicas.json(each, "status")["clean"]
        assert contents(replicas.base / each) == {"d/f.txt": made.encode(), "other": b"o"}
    assert len({replicas.head(each) for each in "abc"}) == 1


@pytest.mark.parametrize("keep", ["current", "copy", "both"])
@pytest.mark.parametrize("where", ["a", "c"])
def test_a_resolution_travels_along_a_chain(replicas: Replicas, where: str, keep: str) -> None:
    chain(replicas)
    replicas(where, "resolve", "d/*", "--keep", keep)
    for _ in range(2):
        replicas("b", "sync")
        replicas("c", "sync")
    assert len({replicas.head(each) for each in "abc"}) == 1
    for each in "abc":
        assert replicas.json(each, "conflicts") == []
        assert contents(replicas.base / each) == contents(replicas.base / "a")


def test_the_base_where_a_store_has_it(replicas: Replicas) -> None:
    replicas.clone({"f.txt": "1", "same": "1"})
    replicas.conflict("f.txt")
    tool(replicas, "b", JOIN, '# "$BASE"')
    replicas("b", "resolve", "f.txt", "--tool")
    assert replicas.read("b/f.txt") == "[1|by b|by a]"


def test_files_are_arguments_of_a_command_that_names_no_variable(replicas: Replicas) -> None:
    replicas.clone({"my file.txt": "1"})
    replicas.conflict("my file.txt")
    script = "import sys; open(sys.argv[4], 'w').write(' '.join(open(each).read() for each in sys.argv[1:4]))"
    tool(replicas, "b", script)
    replicas("b", "resolve", "my file.txt", "--tool")
    assert replicas.read("b/my file.txt").endswith(" by b by a")


def test_several_copies_are_merged_one_by_one(replicas: Replicas) -> None:
    chain(replicas)
    replicas.write("b/d/f.txt", "more by b", OLD + 3 * 10**9)
    replicas.write("c/d/f.txt", "by c", OLD + 4 * 10**9)
    replicas("b", "sync")
    replicas("c", "sync")
    assert len(replicas.json("c", "conflicts")) == 2
    tool(replicas, "c", JOIN, '# "$BASE"')
    replicas("c", "resolve", ".", "--tool")
    made = replicas.read("c/d/f.txt")
    assert all(each in made for each in ("by a", "more by b", "by c"))
    assert replicas.json("c", "conflicts") == []


@pytest.mark.parametrize("script", ["import sys; sys.exit(1)", "import os; os.unlink(os.environ['RESULT'])"])
def test_a_tool_that_gives_up_leaves_it_open(replicas: Replicas, script: str) -> None:
    replicas.clone({"f": "1"})
    copy = replicas.conflict("f")
    head = replicas.head("b")
    tool(replicas, "b", script, '# "$RESULT"')
    done = replicas.json("b", "resolve", "f", "--tool", code=1)
    assert (done["resolved"], done["open"]) == ([], [{"path": "f"}])
    assert contents(replicas.base / "b") == {"f": b"by b", copy: b"by a"}
    assert replicas.head("b") == head


def test_an_edit_while_the_tool_runs_is_not_buried(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    copy = replicas.conflict("f")
    path = os.fspath(replicas.base / "b/f")
    tool(replicas, "b", f"open({path!r}, 'w').write('edited meanwhile')", '# "$RESULT"')
    assert "has changed meanwhile" in replicas("b", "resolve", "f", "--tool", code=1).err
    assert contents(replicas.base / "b") == {"f": b"edited meanwhile", copy: b"by a"}


def test_what_a_tool_is_not_for(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    replicas.conflict("f")
    assert "no merge.tool is set" in replicas("b", "resolve", "f", "--tool", code=2).err
    replicas("b", "resolve", "f", "--tool", "--keep", "both", code=2)
    tool(replicas, "b", JOIN)
    replicas("b", "resolve", "--tool", code=2)
    replicas.write("a/x", "a file")
    replicas.write("b/x/inner", "in a directory")
    replicas("b", "sync")
    assert "no files" in replicas("b", "resolve", "x", "--tool", code=3).err
