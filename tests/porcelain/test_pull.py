"""``replican pull``."""

import os
from pathlib import Path

import pytest
from folders import contents, write
from replicas import Replicas

from replican.effects import transition


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


def test_what_is_pending_is_not_counted(cli, here: Path, tmp_path: Path) -> None:
    write(tmp_path / "a/late", "x")
    write(tmp_path / "a/more", "y")
    os.mkfifo(here / "late")
    assert cli("pull", cwd=here, code=4).text.endswith(" fast-forward: 1 added; 1 pending\n")
    assert cli("pull", cwd=here, code=4).text == "origin: already up to date: 1 pending\n"
    merged = cli("pull", "--json", cwd=here, code=4).json()["merged"]
    assert (merged["added"], len(merged["pending"])) == (0, 1)
    os.unlink(here / "late")
    assert cli("merge", "--json", cwd=here).json()["pending"] == []
    assert contents(here) == {"late": b"x", "letter": b"old", "more": b"y"}


def test_no_remote(cli, here: Path, tmp_path: Path) -> None:
    cli("pull", "none", cwd=here, code=8)
    (tmp_path / "a").rename(tmp_path / "away")
    assert "cannot be reached" in cli("pull", cwd=here, code=5).err


def test_killed_between_two_versions_of_a_name(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy that is to take the name is in the trash, and what it is to replace still has the name: without a
    journal the copy would count as deleted by the user, and as the other version goes, nothing of the name is left."""
    replicas.clone({"f": "0", "g": "of no concern"})
    replicas.conflict("f", mine="dropped", theirs="kept")
    replicas("a", "resolve", "f", "--keep", "copy")
    pid = os.fork()
    if pid == 0:
        monkeypatch.setattr(transition, "exchange", lambda *_: os._exit(9))
        try:
            replicas("b", "pull", code=None)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    assert contents(replicas.base / "b") == {"f": b"dropped", "g": b"of no concern"}
    replicas("b", "sync")
    for name in ("a", "b"):
        assert contents(replicas.base / name) == {"f": b"kept", "g": b"of no concern"}
