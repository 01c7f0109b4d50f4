import subprocess
from pathlib import Path

import pytest
from in_process import InProcess
from small_repository import SmallRepository

from replican.values.ids import EMPTY_TREE


def see(run: InProcess, *paths: str) -> str:
    """Note what lies at ``paths``, and write the tree."""
    run("update-index", *(paths or ["."]))
    return run("write-tree").line


def unpolled(run: InProcess) -> list[str]:
    return run("poll").lines


def test_a_checkpoint_of_what_was_seen(run: InProcess, small: SmallRepository) -> None:
    (small.root / "a").write_text("1")
    tree = see(run)
    head = run("append-checkpoint", "-m", "by hand", tree).line
    assert run("rev-parse", "HEAD").line == head
    (facts,) = run("cat-log", "--json").json()
    assert (facts["tree"], facts["message"], facts["author"], facts["parents"]) == (tree, "by hand", "tester", [])
    assert run("ls-files", "--base").lines == ["a"], "what was seen counts as recorded"
    (small.root / "a").write_text("2")
    assert run("append-checkpoint", "--json", see(run)).json() == {"head": run("rev-parse", "HEAD").line, "new": True}
    assert run("cat-log", "--format=%(subject)").lines == ["1 changed", "by hand"]
    assert run("status", "--json").json()["clean"]


def test_nothing_to_append(run: InProcess, small: SmallRepository) -> None:
    assert run("append-checkpoint", EMPTY_TREE.hex()).out == b""
    assert run("append-checkpoint", "--json", EMPTY_TREE.hex()).json() == {"head": None, "new": False}
    (small.root / "a").write_text("1")
    head = run("append-checkpoint", see(run)).line
    ended = run("append-checkpoint", see(run))
    assert ended.line == head
    assert "nothing" in ended.err
    assert len(run("cat-log").lines) == 1


def test_what_was_seen_becomes_base_where_the_tree_is_the_heads_already(run: InProcess, small: SmallRepository) -> None:
    (small.root / "a").write_text("1")
    run("append-checkpoint", see(run))
    (small.root / "b").write_text("1")
    both = see(run)
    run("append-checkpoint", both)
    (small.root / "b").rename(small.root / "c")
    (small.root / "c").rename(small.root / "b")
    run("append-checkpoint", see(run, "b"))
    with small.open() as repo:
        assert not repo.index.has_observed()
        assert repo.index.base_root() == bytes.fromhex(both)


def test_the_head_has_moved(run: InProcess, small: SmallRepository) -> None:
    (small.root / "a").write_text("1")
    run("commit")
    (small.root / "b").write_text("1")
    tree = see(run)
    (small.root / "c").write_text("1")
    run("commit")
    head = run("rev-parse", "HEAD").line
    assert head in run("append-checkpoint", tree, code=1).err
    assert run("rev-parse", "HEAD").line == head
    run("append-checkpoint", "-p", "HEAD~", see(run), code=1)
    assert run("append-checkpoint", "-p", "HEAD", see(run)).line == head


def test_the_index_has_changed_since_the_tree_was_written(run: InProcess, small: SmallRepository) -> None:
    (small.root / "a").write_text("1")
    tree = see(run)
    (small.root / "a").write_text("2")
    run("update-index", "a")
    assert "has changed" in run("append-checkpoint", tree, code=1).err
    assert run("cat-log").out == b""
    run("append-checkpoint", run("write-tree").line)
    (small.root / "b").write_text("1")
    assert unpolled(run) == ["b"], "what was seen later is not lost"


def test_another_tree_needs_a_flag_and_the_disk_follows(run: InProcess, small: SmallRepository) -> None:
    (small.root / "a").write_text("1")
    run("commit")
    one, other = run("ls-tree", "HEAD").out, run("ls-tree", "HEAD").out.replace(b"\ta", b"\tb")
    tree = run("mktree", stdin=one + other).line
    assert "--allow-pending" in run("append-checkpoint", tree, code=3).err
    run("append-checkpoint", "--allow-pending", tree)
    assert [each["path"] for each in run("status", "--json", code=None).json()["pending"]] == ["b"]
    assert run("cat-object", "-p", "HEAD:b").out == b"1"
    (small.root / "c").write_text("2")
    run("append-checkpoint", see(run))
    assert run("ls-tree", "--name-only", "HEAD").lines == ["a", "b", "c"], "and nothing of it is undone"


def test_a_tree_with_a_hole_is_refused(run: InProcess, small: SmallRepository) -> None:
    tree = small.tree("a=1 d/b=1")
    below = run("ls-tree", tree.hex()).lines[1].split()[2]
    (small.root / ".replican/objects/loose" / below).unlink()
    run("append-checkpoint", "--allow-pending", tree.hex(), code=1)
    run("cat-log", "HEAD", code=1)


def test_gates(run: InProcess, small: SmallRepository) -> None:
    for number in range(30):
        (small.root / f"n{number}").write_text(f"{number}")
    run("append-checkpoint", see(run))
    for number in range(25):
        (small.root / f"n{number}").unlink()
    tree = see(run)
    assert "25 of 30" in run("append-checkpoint", tree, code=3).err
    assert len(run("cat-log").lines) == 1
    run("append-checkpoint", "--allow-mass-delete", tree)
    for number in range(25, 30):
        (small.root / f"n{number}").unlink()
    tree = see(run)
    assert "emptied" in run("append-checkpoint", tree, code=3).err
    run("append-checkpoint", "--allow-mass-delete", tree)
    assert run("rev-parse", "HEAD:").line == EMPTY_TREE.hex()


@pytest.mark.parametrize(
    ("words", "code"),
    [([], 2), (["nobody"], 1), (["-p", "HEAD", "-p", "HEAD", "HEAD"], 2), (["12" * 32], 1), (["-p", "x", "HEAD"], 1)],
)
def test_what_is_wrong(run: InProcess, small: SmallRepository, words: list[str], code: int) -> None:
    small.user(None, "a=1")
    run("append-checkpoint", *words, code=code)


def test_the_synchronisers_first_half_in_a_shell(
    small: SmallRepository, environment: dict[str, str], run: InProcess, tmp_path: Path
) -> None:
    import sys

    shell = 'replican poll | replican update-index --stdin && replican append-checkpoint "$(replican write-tree)"'
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"

    def step() -> str:
        done = subprocess.run(
            shell, shell=True, cwd=small.root, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    (small.root / "new\nline").write_text("1")
    (small.root / "d").mkdir()
    (small.root / "d/x").write_text("1")
    first = step()
    assert first == run("rev-parse", "HEAD").line
    assert step() == first
    (small.root / "d").rename(small.root / "e")
    (small.root / "new\nline").unlink()
    step()
    assert run("ls-tree", "-r", "--name-only", "HEAD").lines == ["e/x"]
    run("commit")
    assert len(run("cat-log").lines) == 2, "a commit has nothing to add"
