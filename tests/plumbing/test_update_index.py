import os
from pathlib import Path

import pytest
from in_process import InProcess
from small_repository import SmallRepository

from replican.values.quoting import quote


def test_only_what_is_named_is_looked_at(run: InProcess, small: SmallRepository) -> None:
    for name in ("a", "b", "d/x", "d/y", "e/z"):
        (small.root / name).parent.mkdir(exist_ok=True)
        (small.root / name).write_text(name)
    assert run("update-index", "a", "d").out == b""
    assert run("ls-files").lines == ["a", "d/x", "d/y"]
    run("update-index", "./e//z", "nothing")
    assert run("ls-files").lines == ["a", "d/x", "d/y", "e/z"]
    (small.root / "a").unlink()
    run("update-index", "a")
    assert run("ls-files").lines == ["d/x", "d/y", "e/z"]
    found = run("update-index", "--json", ".").json()
    assert run("ls-files").lines == ["b", "d/x", "d/y", "e/z"]
    assert found.pop("hashed") >= 1, "files written a moment ago are read again"
    assert found == {"tree": run("write-tree").line, "problems": [], "skipped": []}


def test_paths_from_stdin(run: InProcess, small: SmallRepository) -> None:
    name = b'new\nline "\xff'
    (small.root / os.fsdecode(name)).write_bytes(b"")
    (small.root / "b").write_bytes(b"")
    run("update-index", "--stdin", stdin=quote(name).encode() + b"\n\n")
    assert run("ls-files", "-z").out == name + b"\0"
    run("update-index", "--stdin", "-z", stdin=b"b\0" + name)
    assert run("ls-files", "-z").out == b"b\0" + name + b"\0"
    run("update-index", "--stdin", stdin=b"")


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_what_cannot_be_read_does_not_fail_it(run: InProcess, small: SmallRepository) -> None:
    (small.root / "a").write_text("1")
    (small.root / "a").chmod(0)
    assert "permission denied" in run("update-index", "a").err
    assert run("status", "--json", code=None).json()["pending"][0]["path"] == "a"


def test_what_is_no_file_is_told_and_left_alone(run: InProcess, small: SmallRepository) -> None:
    os.mkfifo(small.root / "pipe")
    (small.root / "a").write_text("1")
    ended = run("update-index", ".", "--json")
    assert "pipe" in ended.err
    assert [problem["path"] for problem in ended.json()["skipped"]] == ["pipe"]
    assert "pipe" not in run("update-index", ".").err, "said once"
    assert run("ls-files").lines == ["a"]


def test_a_problem_stays_until_it_is_looked_at_again(run: InProcess, small: SmallRepository) -> None:
    (small.root / "a").write_text("1")
    (small.root / "b").write_text("1")
    run("commit")
    (small.root / "a").unlink()
    os.mkfifo(small.root / "a")
    assert "a" in run("update-index", "a").err

    def problems() -> list[bytes]:
        with small.open() as repo:
            return [problem.path for problem in repo.index.problems()]

    assert problems() == [b"a"]
    assert run("ls-files").lines == ["a", "b"], "its row stands"
    run("update-index", "b")
    assert problems() == [b"a"]
    (small.root / "a").unlink()
    run("update-index", "a")
    assert problems() == []


def test_nothing_through_a_link(run: InProcess, small: SmallRepository, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("1")
    (small.root / "link").symlink_to(tmp_path / "outside")
    run("update-index", "link/secret")
    assert run("ls-files").lines in ([], ["link"])


def test_all_that_find_lists(run: InProcess, small: SmallRepository) -> None:
    (small.root / "a").write_text("1")
    run("update-index", "--stdin", stdin=b"./.replican/config.toml\n./a\n./.replican/lock\n")
    assert run("ls-files").lines == ["a"]


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        ([], b""),
        (["-z", "a"], b""),
        (["../a"], b""),
        (["/a"], b""),
        ([".replican/config.toml"], b""),
        (["--stdin"], b"a\n../b"),
        (["--stdin"], b'"a'),
    ],
)
def test_usage(run: InProcess, small: SmallRepository, words: list[str], stdin: bytes) -> None:
    (small.root / "a").write_text("1")
    run("update-index", *words, stdin=stdin, code=2)
    assert run("ls-files").out == b""


def test_no_repository(run: InProcess, tmp_path: Path) -> None:
    run("update-index", "a", cwd=tmp_path, code=8)
