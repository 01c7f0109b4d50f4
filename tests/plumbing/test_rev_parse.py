import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from in_process import InProcess
from small_repository import SmallRepository

from replican.values.ids import blob_id


def test_ids_of_names(run: InProcess, small: SmallRepository) -> None:
    one = small.user(None, "a=1")
    two = small.user(one, "a=2")
    assert run("rev-parse", "HEAD", "HEAD~1", "HEAD:a").lines == [two.hex(), one.hex(), blob_id(b"2").hex()]
    assert run("rev-parse", "--short", "HEAD").line == two.hex()[:7]
    assert run("rev-parse", "HEAD:a", "--json").json() == [
        {"name": "HEAD:a", "id": blob_id(b"2").hex(), "type": "blob"}
    ]


def test_a_whole_id_is_taken_as_it_is_unless_it_is_to_be_verified(run: InProcess) -> None:
    unknown = "12" * 32
    assert run("rev-parse", unknown).line == unknown
    assert "no object" in run("rev-parse", "--verify", unknown, code=1).err
    assert run("rev-parse", "--quiet", "--verify", unknown, code=1).err == ""
    assert run("rev-parse", "--quiet", unknown[:-1], code=1).err != ""


@pytest.mark.parametrize("name", ["nobody", "HEAD~1", "HEAD:x", "HEAD^9", "HEAD@{7}", "HEAD@{1999-01-01}", "0000"])
def test_no_such_name(run: InProcess, small: SmallRepository, name: str) -> None:
    small.user(None, "a=1")
    ended = run("rev-parse", name, code=1)
    assert ended.out == b""
    assert ended.err.startswith("replican: ")


def test_a_merge_names_its_parents(run: InProcess, small: SmallRepository) -> None:
    base = small.user(None, "a=1")
    parents = sorted([small.user(base, "b=1"), small.user(base, "c=1")])
    small.merge(*parents)
    assert all(
        f"^{at} is {parent.hex()}" in run("rev-parse", "HEAD~", code=1).err for at, parent in enumerate(parents, 1)
    )
    assert run("rev-parse", "HEAD^1", "HEAD^2").lines == [parent.hex() for parent in parents]


def test_where_the_folder_is(run: InProcess, small: SmallRepository, tmp_path: Path) -> None:
    below = small.root / "some" / "where"
    below.mkdir(parents=True)
    assert run("rev-parse", "--show-root", cwd=below).out == os.fsencode(small.root) + b"\n"
    assert run("rev-parse", "--show-root", "--json").json() == {"root": str(small.root)}
    assert run("rev-parse", "--is-inside", cwd=below).line == "true"
    assert run("rev-parse", "--is-inside", cwd=tmp_path, code=1).line == "false"
    assert run("rev-parse", "--is-inside", "--json", cwd=tmp_path, code=1).json() == {"inside": False}
    for words in (["--show-root"], ["HEAD"]):
        assert "replican init" in run("rev-parse", *words, cwd=tmp_path, code=8).err


@pytest.mark.parametrize(
    "words", [[], ["--verify"], ["--verify", "HEAD", "HEAD"], ["--show-root", "HEAD"], ["--show-root", "--is-inside"]]
)
def test_usage(run: InProcess, words: list[str]) -> None:
    run("rev-parse", *words, code=2)


def test_a_small_answer_takes_little_time(cli, small: SmallRepository) -> None:
    small.user(None, "a=1")
    taken = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        cli("rev-parse", "HEAD", cwd=small.root)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # What it worked, not what it waited: other work on the machine must not count.
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(taken) < 0.15


@pytest.mark.parametrize(
    "words", ["rev-parse HEAD", "show-ref", "cat-log -n1", "cat-object -p HEAD", "ls-tree HEAD", "diff-tree HEAD HEAD"]
)
def test_a_small_command_imports_little(small: SmallRepository, words: str, environment: dict[str, str]) -> None:
    small.user(None, "a=1")
    heavy = (
        "{'typer', 'rich', 'dulwich', 'sqlite3', 'json', 'tomllib', 'tomlkit', 'inspect', 'dataclasses', 'datetime'}"
    )
    script = f"""
import sys
from replican.porcelain._main import run_guarded
code = run_guarded({words.split()})
print(code, {heavy} & set(sys.modules), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=small.root, capture_output=True, text=True, check=True, env=environment
    )
    assert done.stderr == "0 set()\n"
