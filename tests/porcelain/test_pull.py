"""``replican pull``."""

from pathlib import Path

import pytest
from folders import contents, write


@pytest.fixture
def here(cli, tmp_path: Path) -> Path:
    write(tmp_path / "a/letter", "old")
    cli("clone", "a", "b")
    return tmp_path / "b"


def test_it_commits_fetches_and_merges(cli, here: Path, tmp_path: Path) -> None:
    write(tmp_path / "a/theirs", "x")
    write(here / "mine", "y")
    done = cli("pull", "-m", "by hand", cwd=here)
    assert done.lines[0] == "recorded here: 1 added"
    assert done.lines[1].startswith("origin: ")
    assert done.lines[1].endswith(" merge: 1 added")
    assert contents(here) == {"letter": b"old", "mine": b"y", "theirs": b"x"}
    assert not (tmp_path / "a/mine").exists()
    assert "by hand" in [entry["message"] for entry in cli("log", "--json", cwd=here).json()]
    assert cli("pull", cwd=here).text == "origin: already up to date\n"


def test_conflicts(cli, here: Path, tmp_path: Path) -> None:
    write(tmp_path / "a/letter", "by a")
    write(here / "letter", "by b")
    done = cli("pull", "--exit-code", cwd=here, code=1)
    assert "conflict: letter" in done.err
    assert sorted(contents(here).values()) == [b"by a", b"by b"]


def test_a_gate_here_does_not_stop_the_rest(cli, here: Path, tmp_path: Path) -> None:
    (here / "letter").unlink()
    write(tmp_path / "a/theirs", "x")
    done = cli("pull", cwd=here, code=3)
    assert "edits here are not recorded: the folder has been emptied" in done.err
    assert (here / "theirs").read_text() == "x"
    assert not (here / "letter").exists()
    cli("pull", "--allow-mass-delete", cwd=here)


def test_as_json(cli, here: Path, tmp_path: Path) -> None:
    write(tmp_path / "a/theirs", "x")
    done = cli("pull", "--json", "origin", cwd=here).json()
    assert not done["recorded"]["new"]
    assert done["fetched"]["checkpoints"] == 1
    assert (done["merged"]["kind"], done["merged"]["added"]) == ("fast-forward", 1)


def test_no_remote(cli, here: Path, tmp_path: Path) -> None:
    cli("pull", "none", cwd=here, code=8)
    (tmp_path / "a").rename(tmp_path / "away")
    assert "cannot be reached" in cli("pull", cwd=here, code=5).err
