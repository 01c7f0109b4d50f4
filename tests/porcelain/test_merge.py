"""``replican merge``."""

from pathlib import Path

import pytest
from folders import contents, snapshot, write

pytestmark = pytest.mark.within


@pytest.fixture
def here(cli, tmp_path: Path) -> Path:
    """A clone that has fetched what its origin did since."""
    for name in ("letter", "old", "move/1", "move/2"):
        write(tmp_path / "a" / name, f"this is {name}")
    cli("clone", "a", "b")
    write(tmp_path / "a/letter", "by a", 2_000_000_000 * 10**9)
    (tmp_path / "a/old").unlink()
    (tmp_path / "a/move").rename(tmp_path / "a/moved")
    write(tmp_path / "a/new/file", "new")
    cli("-C", "b", "fetch")
    return tmp_path / "b"


@pytest.mark.parametrize("words", [[], ["remote"], ["origin"], ["origin/head"], ["id"]])
def test_names(cli, here: Path, tmp_path: Path, words: list[str]) -> None:
    head = cli("-C", "a", "status", "--json").json()["head"]
    words = [head[:10]] if words == ["id"] else words
    done = cli("merge", *words, cwd=here)
    assert "fast-forward: 1 added, 1 changed, 2 moved, 1 deleted" in done.text
    assert snapshot(here) == snapshot(tmp_path / "a")
    assert cli("merge", *words, cwd=here).text == "already up to date\n"


def test_a_remote_called_remote(cli, here: Path, tmp_path: Path) -> None:
    cli("clone", "a", "c")
    cli("remote", "add", "remote", tmp_path / "c", cwd=here)
    assert "fetch remote" in cli("merge", "remote", cwd=here, code=1).err
    assert "fast-forward" in cli("merge", "origin", cwd=here).text


def test_a_dry_run(cli, here: Path) -> None:
    before = snapshot(here)
    done = cli("merge", "--dry-run", cwd=here)
    assert done.lines == [
        "new directory: new",
        "move: move -> moved",
        "change: letter",
        "delete: old",
    ]
    assert "nothing was done" in done.err
    plan = cli("merge", "-n", "--json", cwd=here).json()
    assert plan["kind"] == "fast-forward"
    assert {"step": "move", "path": "moved", "from": "move"} in plan["plan"]["steps"]
    assert snapshot(here) == before
    assert cli("status", "--json", cwd=here).json()["clean"]


def test_edits_here_are_recorded_first(cli, here: Path) -> None:
    write(here / "letter", "by b", 1_900_000_000 * 10**9)
    write(here / "mine", "x")
    done = cli("merge", "--exit-code", "--json", cwd=here, code=1)
    merged = done.json()
    assert merged["kind"] == "merge"
    (conflict,) = merged["conflicts"]
    assert conflict["path"] == "letter"
    assert conflict["copy"].startswith("letter.conflict-20300317T174640Z-")
    assert "conflict: letter" in done.err
    found = contents(here)
    assert found["letter"] == b"by a"
    assert found[conflict["copy"]] == b"by b"
    assert found["mine"] == b"x"
    assert cli("conflicts", "--json", cwd=here).json() == merged["conflicts"]


def test_nothing_is_known_of_it(cli, here: Path, tmp_path: Path) -> None:
    cli("init", "c")
    assert "no remote" in cli("-C", "c", "merge", code=8).err
    cli("-C", "c", "remote", "add", "b", here)
    assert "replican fetch b" in cli("-C", "c", "merge", code=1).err
    assert "neither a remote nor a checkpoint" in cli("-C", "c", "merge", "nobody", code=8).err


def test_a_gate(cli, tmp_path: Path) -> None:
    for number in range(30):
        write(tmp_path / f"a/{number}", f"{number}")
    cli("clone", "a", "b")
    for number in range(29):
        (tmp_path / f"a/{number}").unlink()
    cli("-C", "a", "commit", "--allow-mass-delete")
    cli("-C", "b", "fetch")
    assert "--allow-mass-delete" in cli("-C", "b", "merge", code=3).err
    assert len(contents(tmp_path / "b")) == 30
    cli("-C", "b", "merge", "--allow-mass-delete")
    assert len(contents(tmp_path / "b")) == 1


def test_what_is_in_the_way_is_a_version(cli, here: Path) -> None:
    (here / "moved").symlink_to("letter")
    done = cli("merge", cwd=here)
    assert "conflict: moved" in done.err
    assert (here / "moved/1").exists()
    assert [content for path, content in contents(here).items() if path.startswith("moved.conflict-")] == [b"letter"]
