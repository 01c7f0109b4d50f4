import json
from pathlib import Path

import pytest
from in_process import InProcess
from small_repository import SmallRepository


@pytest.fixture
def copy(run: InProcess, small: SmallRepository, tmp_path: Path) -> Path:
    """A clone; both have changed since, and this folder has fetched from it."""
    (small.root / "a").write_text("1")
    (small.root / "b").write_text("1")
    run("commit")
    run("clone", small.root, tmp_path / "copy", cwd=tmp_path)
    run("remote", "add", "copy", tmp_path / "copy")
    (tmp_path / "copy/a").write_text("22")
    (tmp_path / "copy/b").unlink()
    (tmp_path / "copy/new").write_text("new")
    (small.root / "c").write_text("mine")
    run("commit")
    run("fetch", "copy")
    return tmp_path / "copy"


def holds(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in root.iterdir() if path.is_file()}


MERGED = {"a": "22", "c": "mine", "new": "new"}


def test_a_merge_that_was_planned(run: InProcess, small: SmallRepository, copy: Path, tmp_path: Path) -> None:
    plan = run("merge", "--dry-run", "--json", "copy").out
    assert holds(small.root)["a"] == "1"
    (tmp_path / "plan").write_bytes(plan)
    head = run("apply-plan", tmp_path / "plan").line
    assert holds(small.root) == MERGED
    assert run("cat-log", "-n1", "--format=%(id) %(kind)").line == f"{head} merge"
    assert head == json.loads(plan)["head"]
    assert run("status", "--json").json()["clean"]
    assert "make the plan again" in run("apply-plan", stdin=plan, code=3).err


def test_what_merge_tree_prints_can_be_applied(run: InProcess, small: SmallRepository, copy: Path) -> None:
    base = run("merge-base", "HEAD", "copy").line
    plan = run("merge-tree", "--json", base, "HEAD", "copy").out
    assert run("apply-plan", "--json", "-", stdin=plan).json()["kind"] == "merge"
    assert holds(small.root) == MERGED


def test_any_tree_can_be_applied(run: InProcess, small: SmallRepository, copy: Path) -> None:
    picked = run("merge-tree", "--json", "HEAD~", "HEAD", "copy:").out  # a tree has no history
    done = run("apply-plan", "--json", "-m", "picked", stdin=picked).json()
    assert (done["kind"], done["pending"]) == ("user", [])
    assert run("cat-log", "-n1", "--format=%(kind) %(subject)").line == "user picked"
    assert holds(small.root) == MERGED


def test_the_state_has_moved(run: InProcess, small: SmallRepository, copy: Path) -> None:
    plan = run("merge", "--dry-run", "--json", "copy").out
    (small.root / "d").write_text("later")
    run("commit")
    before = run("cat-log").out
    assert "have changed" in run("apply-plan", stdin=plan, code=3).err
    assert run("cat-log").out == before
    assert holds(small.root)["a"] == "1"


def test_what_was_edited_in_between_is_left_alone(run: InProcess, small: SmallRepository, copy: Path) -> None:
    plan = run("merge", "--dry-run", "--json", "copy").out
    (small.root / "a").write_text("an edit")
    ended = run("apply-plan", stdin=plan, code=4)
    assert "pending: a" in ended.err
    assert holds(small.root) == {**MERGED, "a": "an edit"}
    run("commit", code=None)
    versions = {text for name, text in holds(small.root).items() if name == "a" or name.startswith("a.conflict-")}
    assert versions >= {"an edit"}
    assert len(run("conflicts", "--json", code=None).json()) == 1


def test_content_that_is_nowhere(run: InProcess, small: SmallRepository, copy: Path, tmp_path: Path) -> None:
    plan = run("merge", "--dry-run", "--json", "copy").out
    copy.rename(tmp_path / "gone")
    before = run("cat-log").out
    run("apply-plan", stdin=plan, code=5)
    assert run("cat-log").out == before


def test_gates(run: InProcess, small: SmallRepository) -> None:
    for number in range(30):
        (small.root / f"n{number}").write_text(f"{number}")
    run("commit")
    line = run("ls-tree", "HEAD").out.splitlines(keepends=True)[0]
    tree = run("mktree", stdin=line).line
    plan = run("merge-tree", "--json", "HEAD", "HEAD", tree).out
    assert "--allow-mass-delete" in run("apply-plan", stdin=plan, code=3).err
    assert len(holds(small.root)) == 30
    run("apply-plan", "--allow-mass-delete", stdin=plan)
    assert len(holds(small.root)) == 1


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"\xff",
        b'{"plan": 1, "old": null}',
        b'{"plan": {"base": "x", "tree": "y"}, "old": null}',
        b'{"plan": {"base": null, "tree": null}, "old": null}',
        b"[" * 100_000,
    ],
)
def test_no_plan(run: InProcess, text: bytes) -> None:
    run("apply-plan", stdin=text, code=2)


def test_what_is_wrong(run: InProcess, small: SmallRepository, tmp_path: Path) -> None:
    run("apply-plan", tmp_path / "nowhere", code=1)
    run("apply-plan", tmp_path, code=4)
    tree, unknown = small.tree("").hex(), "12" * 32
    plan = {"plan": {"base": tree, "tree": unknown}, "old": None}
    run("apply-plan", stdin=json.dumps(plan).encode(), code=1)
    run("apply-plan", stdin=json.dumps({**plan, "theirs": unknown}).encode(), code=1)
    run("apply-plan", stdin=json.dumps(plan).encode(), cwd=tmp_path, code=8)
