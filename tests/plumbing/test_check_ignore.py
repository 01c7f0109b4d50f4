import os

import pytest
from in_process import InProcess
from small_repository import SmallRepository


@pytest.fixture(autouse=True)
def rules(small: SmallRepository) -> None:
    (small.root / ".replicanignore").write_text("# comment\n*.o\n!keep.o\nbuild/\n/top\n")
    (small.root / "d").mkdir()
    (small.root / "d/.replicanignore").write_text("*.tmp\n")


def test_which_paths_are_ignored(run: InProcess) -> None:
    ignored = ["a.o", "x/y/b.o", "build/z", "top", "d/a.tmp", "d/e/a.tmp"]
    kept = ["keep.o", "a", "build", "d/top", "a.tmp", "d"]
    assert run("check-ignore", *ignored, *kept).lines == ignored
    assert run("check-ignore", "build/").lines == ["build"]
    assert run("check-ignore", *kept, code=1).out == b""


def test_the_line_that_decides(run: InProcess) -> None:
    assert run("check-ignore", "-v", "a.o", "x/build/z", "d/a.tmp").lines == [
        ".replicanignore:2:*.o\ta.o",
        ".replicanignore:4:build/\tx/build/z",
        "d/.replicanignore:1:*.tmp\td/a.tmp",
    ]
    assert run("check-ignore", "-vz", "d/a.tmp").out == b"d/.replicanignore\x001\0*.tmp\0d/a.tmp\0"
    assert run("check-ignore", "--json", "a.o").json() == [
        {"path": "a.o", "source": ".replicanignore", "line": 2, "pattern": "*.o"}
    ]


def test_what_is_tracked_is_not_ignored(run: InProcess, small: SmallRepository) -> None:
    (small.root / ".replicanignore").unlink()
    (small.root / "build").mkdir()
    (small.root / "build/a.o").write_text("1")
    run("commit")
    (small.root / ".replicanignore").write_text("build/\n")
    run("check-ignore", "build/a.o", "build", code=1)
    assert run("check-ignore", "-v", "build/b").lines == [".replicanignore:1:build/\tbuild/b"]
    assert run("check-ignore", "--no-index", "build/a.o").lines == ["build/a.o"]


def test_paths_from_stdin(run: InProcess) -> None:
    name = b'new\nline "\xff.o'
    assert run("check-ignore", "--stdin", stdin=b'a\n"a\\nb.o"\n').lines == ['"a\\nb.o"']
    assert run("check-ignore", "--stdin", "-z", stdin=b"a\0" + name + b"\0").out == name + b"\0"
    run("check-ignore", "--stdin", stdin=b"", code=1)


def test_all_that_find_lists(run: InProcess, small: SmallRepository) -> None:
    """The example of the manual: replican's own is passed over, and is still no path to ask about."""
    (small.root / "a.o").write_text("1")
    listed = [os.path.relpath(at, small.root) for at in small.root.rglob("*") if at.is_file()]
    assert any(name.startswith(".replican/") for name in listed)
    found = run("check-ignore", "--stdin", "-z", stdin="".join(f"./{name}\0" for name in listed).encode())
    assert found.out == b"a.o\0"
    run("check-ignore", "--stdin", stdin=b".replican\n.replican/x/../../a.o\n", code=2)
    run("check-ignore", ".replican/lock", code=2)


def test_rules_are_not_read_through_a_link(run: InProcess, small: SmallRepository) -> None:
    (small.root / "d").rename(small.root / "e")
    (small.root / "d").symlink_to("e")
    run("check-ignore", "d/a.tmp", code=1)


def test_what_a_scan_leaves_out_is_what_is_told(run: InProcess, small: SmallRepository) -> None:
    names = ["a.o", "keep.o", "top", "d/top", "d/a.tmp", "build/x", "d/build/y", "a"]
    for name in names:
        (small.root / name).parent.mkdir(parents=True, exist_ok=True)
        (small.root / name).write_text(name)
    ignored = set(run("check-ignore", *names).lines)
    run("commit")
    assert set(run("ls-files").lines) == {*names, ".replicanignore", "d/.replicanignore"} - ignored
    assert os.path.exists(small.root / "build/x")


@pytest.mark.parametrize("words", [[], ["../a"], ["/a"]])
def test_usage(run: InProcess, words: list[str]) -> None:
    run("check-ignore", *words, code=2)
