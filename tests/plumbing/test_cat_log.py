import pytest
from in_process import InProcess
from small_repository import SmallRepository


def test_one_line_each_newest_first(run: InProcess, small: SmallRepository) -> None:
    one = small.user(None, "a=1", "first\nand more")
    two = small.user(one, "a=2", "")
    assert run("cat-log").lines == [
        f"{two.hex()} user 1700000002000000000 tester\t",
        f"{one.hex()} user 1700000001000000000 tester\tfirst",
    ]
    assert run("cat-log", "-n1").lines == [f"{two.hex()} user 1700000002000000000 tester\t"]
    assert run("cat-log", "-n", "0").out == b""
    assert run("cat-log", "HEAD~").lines == run("cat-log").lines[1:]


def test_an_empty_log(run: InProcess) -> None:
    assert run("cat-log").out == b""
    assert run("cat-log", "--json").json() == []
    run("cat-log", "HEAD", code=1)


def test_merges_and_their_json(run: InProcess, small: SmallRepository) -> None:
    base = small.user(None, "a=1", "base")
    parents = sorted([small.user(base, "b=1", "one"), small.user(base, "c=1", "two")])
    head = small.merge(*parents)
    first, *rest = run("cat-log").lines
    assert first == f"{head.hex()} merge 1700000003000000000 -\tmerge of 2"
    assert [line.rpartition("\t")[2] for line in rest] == ["two", "one", "base"]
    found = run("cat-log", "--json").json()
    assert found[0] == {
        "id": head.hex(),
        "tree": run("rev-parse", "HEAD^{tree}").line,
        "parents": [parent.hex() for parent in parents],
        "time_ns": 1700000003000000000,
        "author": None,
        "peer": None,
        "message": "",
        "kind": "merge",
    }
    assert found[3]["author"] == "tester"
    assert found[3]["peer"] == "0123456789abcdef"
    assert found[3]["kind"] == "user"
    assert run("log", "--json").json() == found


def test_since_leaves_out_what_is_known(run: InProcess, small: SmallRepository) -> None:
    base = small.user(None, "a=1", "base")
    one, two = small.user(base, "b=1", "one"), small.user(base, "c=1", "two")
    small.merge(one, two)
    subjects = ["%(subject)"]
    assert run("cat-log", "--since", one.hex(), "--format", *subjects).lines == ["merge of 2", "two"]
    assert run("cat-log", "--since", "HEAD").out == b""
    assert run("cat-log", "--since", two.hex(), "--format", *subjects, base.hex()).out == b""


def test_paths(run: InProcess, small: SmallRepository) -> None:
    one = small.user(None, "a=1 d/b=1", "one")
    two = small.user(one, "a=2 d/b=1", "two")
    small.user(two, "a=2 d/b=2", "three")
    form = "--format=%(subject)"
    assert run("cat-log", form, "--", "a").lines == ["two", "one"]
    assert run("cat-log", form, "HEAD", "--", "d").lines == ["three", "one"]
    assert run("cat-log", form, "HEAD~", "--", "d/b", "x").lines == ["one"]
    assert run("cat-log", form, "--", "x").out == b""
    assert run("cat-log", form, "-n1", "--", "a").lines == ["two"]


def test_format(run: InProcess, small: SmallRepository) -> None:
    small.user(None, "a=1", "two\nlines")
    form = "--format=%(date)|%(author)|%(message)|%(parents)|%(kind)"
    assert run("cat-log", form).text == "2023-11-14T22:13:21Z|tester|two\nlines||user\n"
    assert run("cat-log", "-z", "--format=%(message)").out == b"two\nlines\0"
    assert run("cat-log", "-z").out.endswith(b"\ttwo\0")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nobody"], 1),
        (["HEAD", "HEAD"], 2),
        (["-n", "-1"], 2),
        (["--format=%(x)"], 2),
        (["--json", "--format=%(id)"], 2),
        (["--since", "nobody"], 1),
        (["--", "../x"], 2),
    ],
)
def test_what_is_wrong(run: InProcess, small: SmallRepository, words: list[str], code: int) -> None:
    small.user(None, "a=1")
    assert run("cat-log", *words, code=code).out == b""
