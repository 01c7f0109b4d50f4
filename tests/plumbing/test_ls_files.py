import os

import pytest
from in_process import InProcess
from small_repository import SmallRepository

from replican.values.ids import blob_id
from replican.values.quoting import quote


def test_what_the_index_has(run: InProcess, small: SmallRepository) -> None:
    assert run("ls-files").out == b""
    for name in ("a", "d/x", "d/e/y", "d-/z"):
        (small.root / name).parent.mkdir(parents=True, exist_ok=True)
        (small.root / name).write_text(name)
    (small.root / "empty").mkdir()
    run("commit")
    assert run("ls-files").lines == ["a", "d/e/y", "d/x", "d-/z"]
    assert run("ls-files", "-t").lines == ["a", "d", "d/e", "d/e/y", "d/x", "d-", "d-/z", "empty"]
    assert run("ls-files", "d").lines == ["d/e/y", "d/x"]
    assert run("ls-files", "d/e/y", "a", "nothing").lines == ["a", "d/e/y"]
    assert run("ls-files", "-s", "-t").lines == run("ls-tree", "-rt", "HEAD").lines
    assert run("ls-files", "--json", "a").json() == run("ls-tree", "--json", "HEAD").json()[:1]


@pytest.mark.parametrize("words", [["ls-files"], ["poll"], ["diff"], ["check-ignore", "a"], ["status"]])
def test_an_index_that_is_missing_is_told_by_whoever_reads_it(
    run: InProcess, small: SmallRepository, words: list[str]
) -> None:
    missing = "replican: the index is missing: the next command that writes rebuilds it\n"
    assert run(*words, code=None).err == ""  # nothing is recorded yet
    (small.root / "a").write_text("1")
    run("commit")
    for path in (small.root / ".replican").glob("index.db*"):
        path.unlink()
    assert run(*words, code=None).err == missing
    assert run("commit").err == ""
    assert run(*words, code=None).err == ""
    assert run("ls-files").lines == ["a"]


def test_base_and_observed(run: InProcess, small: SmallRepository) -> None:
    (small.root / "a").write_text("1")
    run("commit")
    (small.root / "a").rename(small.root / "b")
    assert run("ls-files").lines == ["a"]
    run("update-index", "a", "b")
    assert run("ls-files").lines == ["b"]
    assert run("ls-files", "--base").lines == ["a"]


def test_forms(run: InProcess, small: SmallRepository) -> None:
    name = b'new\nline "\xff'
    (small.root / os.fsdecode(name)).write_bytes(b"odd")
    run("update-index", ".")
    assert run("ls-files").line == quote(name)
    assert run("ls-files", "-z").out == name + b"\0"
    assert run("ls-files", "--format=%(size) %(id) %(path)").line == f"3 {blob_id(b'odd').hex()} {quote(name)}"
    assert run("ls-files", "-z", "--format=%(path)").out == name + b"\0"


@pytest.mark.parametrize("words", [["-s", "--format=%(id)"], ["../a"], ["--format=%(x)"], ["--format=%(id)", "--json"]])
def test_usage(run: InProcess, words: list[str]) -> None:
    run("ls-files", *words, code=2)


def test_a_damaged_index_is_told(run: InProcess, small: SmallRepository) -> None:
    (small.root / "a").write_text("1")
    run("commit")
    (small.root / ".replican/index.db").write_bytes(b"nonsense" * 1000)
    assert "replican commit" in run("ls-files", code=6).err
    assert "rebuilding" in run("update-index", ".").err
    assert run("ls-files").lines == ["a"]
