import json

import pytest
from in_process import InProcess
from small_repository import SmallRepository

from replican.values.ids import EMPTY_TREE, blob_id

NO_ID = "0" * 64


def statuses(run: InProcess, *words: str) -> list[str]:
    return [line.split(" ", 4)[4] for line in run("diff-tree", *words).lines]


def test_what_differs(run: InProcess, small: SmallRepository) -> None:
    old = small.user(None, "same=1 edited=1 gone=1 mode=1:600 kind=1 d/x=1 d/y=2")
    small.user(old, "same=1 edited=2 new=1 mode=1:644 kind>1 d/x=3 d/y=2")
    assert statuses(run, "HEAD~", "HEAD") == ["M\td/x", "M\tedited", "D\tgone", "T\tkind", "M\tmode", "A\tnew"]
    one, two = blob_id(b"1").hex(), blob_id(b"2").hex()
    lines = run("diff-tree", "HEAD~", "HEAD").lines
    assert f":f0644 f0644 {one} {two} M\tedited" in lines
    assert f":f0644 -0000 {one} {NO_ID} D\tgone" in lines
    assert f":-0000 f0644 {NO_ID} {one} A\tnew" in lines
    assert f":f0644 l0777 {one} {one} T\tkind" in lines
    assert f":f0600 f0644 {one} {one} M\tmode" in lines
    assert run("diff-tree", "HEAD", "HEAD").out == b""
    assert run("diff-tree", "HEAD~:d", "HEAD:d", "--name-only").lines == ["x"]


def test_directories_on_one_side(run: InProcess, small: SmallRepository) -> None:
    old = small.user(None, "gone/a=1 gone/b/c=2 gone/e/ kind=1 back/x=1 empty/")
    small.user(old, "new/a=1 kind/x=1 back=1")
    assert statuses(run, "HEAD~", "HEAD") == ["T\tback", "D\tempty", "D\tgone", "T\tkind", "A\tnew"]
    assert statuses(run, "-r", "HEAD~", "HEAD") == [
        "D\tback/x",
        "A\tback",
        "D\tempty",
        "D\tgone/a",
        "D\tgone/b/c",
        "D\tgone/e",
        "D\tkind",
        "A\tkind/x",
        "A\tnew/a",
    ]
    assert statuses(run, "-r", EMPTY_TREE.hex(), "HEAD") == ["A\tback", "A\tkind/x", "A\tnew/a"]


def test_forms(run: InProcess, small: SmallRepository) -> None:
    old = small.user(None, "ü=1 b=1")
    small.user(old, "ü=2")
    assert run("diff-tree", "--name-only", "HEAD~", "HEAD").lines == ["b", '"\\303\\274"']
    assert run("diff-tree", "--name-only", "-z", "HEAD~", "HEAD").out == b"b\0" + "ü\0".encode()
    fields = run("diff-tree", "-z", "HEAD~", "HEAD").out.split(b"\0")
    assert [fields[1], fields[3], fields[4]] == [b"b", "ü".encode(), b""]
    assert fields[2].startswith(b":f0644 f0644 ")
    assert fields[2].endswith(b" M")
    first, second = run("diff-tree", "--json", "HEAD~", "HEAD").json()
    assert (first["path"], first["status"], first["new"]) == ("b", "D", None)
    assert second["new"] == {"kind": "file", "mode": "0644", "id": blob_id(b"2").hex(), "size": 1, "mtime_ns": 0}
    assert [json.loads(line) for line in run("diff-tree", "--jsonl", "HEAD~", "HEAD").lines] == [first, second]


def test_in_json_a_change_is_called_what_it_is_called_elsewhere(run: InProcess, small: SmallRepository) -> None:
    """By a letter, too: that is what scripts were promised."""
    root = small.root
    for name in ("content", "perm", "kind", "gone"):
        (root / name).write_text(name)
    (root / "d").mkdir()
    run("commit")
    (root / "content").write_text("other")
    (root / "perm").chmod(0o600)
    (root / "d").chmod(0o700)
    (root / "gone").unlink()
    (root / "kind").unlink()
    (root / "kind").symlink_to("1")
    (root / "new").write_text("new")
    status = {each["path"]: each["status"] for each in run("status", "--json").json()["changes"]}
    run("commit")
    found = run("diff-tree", "--json", "HEAD~", "HEAD").json()
    assert {each["path"]: each["change"] for each in found} == status
    assert {each["path"]: (each["status"], each["change"]) for each in found} == {
        "content": ("M", "modified"),
        "d": ("M", "attributes changed"),
        "gone": ("D", "deleted"),
        "kind": ("T", "type changed"),
        "new": ("A", "added"),
        "perm": ("M", "attributes changed"),
    }
    assert {each["path"]: each["status"] for each in run("diff", "--json", "HEAD~", "HEAD").json()} == status


def test_exit_codes(run: InProcess, small: SmallRepository) -> None:
    old = small.user(None, "a=1")
    small.user(old, "a=2")
    run("diff-tree", "--exit-code", "HEAD~", "HEAD", code=1)
    run("diff-tree", "--exit-code", "--json", "HEAD~", "HEAD", code=1)
    run("diff-tree", "--exit-code", "HEAD", "HEAD")


@pytest.mark.parametrize(
    ("words", "code"), [(["HEAD"], 2), (["HEAD", "x"], 1), (["--json", "--name-only", "HEAD", "HEAD"], 2)]
)
def test_what_is_wrong(run: InProcess, small: SmallRepository, words: list[str], code: int) -> None:
    small.user(None, "a=1")
    run("diff-tree", *words, code=code)
