"""``replican commit``."""

import os
from pathlib import Path

import pytest
from folders import write
from replicas import Replicas


@pytest.fixture
def here(cli, tmp_path: Path) -> Path:
    for number in range(30):
        write(tmp_path / f"a/{number}", f"file {number}")
    cli("init", "a")
    return tmp_path / "a"


def test_a_checkpoint(cli, here: Path) -> None:
    first = cli("commit", cwd=here)
    head = cli("status", "--json", cwd=here).json()["head"]
    assert first.text == f"[{head[:7]}] 30 added\n"
    assert cli("commit", cwd=here).text == "nothing to record\n"
    (here / "0").rename(here / "moved")
    write(here / "1", "changed")
    (here / "2").unlink()
    second = cli("commit", "-m", "some words\n\nand more", cwd=here)
    assert second.lines[0].endswith("] some words")
    assert second.lines[1] == " 1 changed, 1 moved, 1 deleted"
    log = cli("log", "--json", cwd=here).json()
    assert [entry["message"] for entry in log] == ["some words\n\nand more", "30 added"]
    assert log[0]["parents"] == [head]
    assert log[0]["author"] == "tester"


def test_as_json(cli, here: Path) -> None:
    done = cli("commit", "--json", "-m", "m", cwd=here).json()
    assert done["new"]
    assert (done["added"], done["message"], done["pending"], done["skipped"]) == (30, "m", [], [])
    again = cli("commit", "--json", cwd=here).json()
    assert not again["new"]
    assert again["head"] == done["head"]


def test_only_attributes(cli, here: Path) -> None:
    cli("commit", cwd=here)
    (here / "folder").mkdir()
    assert cli("commit", cwd=here).text.endswith("] folders and attributes\n")


def test_a_gate(cli, here: Path) -> None:
    cli("commit", cwd=here)
    for number in range(25):
        (here / str(number)).unlink()
    refused = cli("commit", "--json", cwd=here, code=3)
    assert refused.out == b""
    assert "25 of 30 files would be deleted" in refused.err
    assert "--allow-mass-delete" in refused.err
    assert cli("commit", "--allow-mass-delete", cwd=here).text.endswith("25 deleted\n")


def test_an_empty_folder_has_nothing_to_record(cli, tmp_path: Path) -> None:
    cli("init", "empty")
    assert cli("-C", "empty", "commit").text == "nothing to record\n"


def test_everything_again(cli, here: Path) -> None:
    cli("commit", cwd=here)
    assert cli("commit", "--full", cwd=here).text == "nothing to record\n"


def test_a_message_that_is_no_text(cli, here: Path) -> None:
    cli("commit", "-m", b"\xff", cwd=here, code=2)


def test_what_only_a_remote_has_is_not_said_to_have_no_source(replicas: Replicas) -> None:
    """Nobody asked the remote, and the index, which is lost, had noted nothing."""
    replicas.clone({"d/f": "1"})
    replicas.write("a/d/new", "2")
    os.mkfifo(replicas.base / "b/d/new")
    replicas("b", "pull", code=4)
    (replicas.base / "b/d/new").unlink()
    (replicas.base / "b/.replican/index.db").unlink()
    for _ in range(2):
        ended = replicas("b", "commit", code=4)
        assert "pending: d/new: not here yet: the next sync asks origin for it" in ended.err
        assert "no source" not in ended.err
        (pending,) = replicas.json("b", "status")["pending"]
        assert (pending["path"], pending["cause"]) == ("d/new", "not here yet: the next sync asks origin for it")
    replicas("b", "sync")
    assert replicas.read("b/d/new") == "2"
    assert replicas.json("b", "status")["pending"] == []


def test_what_a_remote_was_asked_for_in_vain_has_no_source(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    replicas.write("a/f", "2")
    replicas("a", "commit")
    replicas("b", "fetch")
    replicas.write("a/f", "destroyed")
    replicas("b", "merge", code=4)
    assert "pending: f: no source" in replicas("b", "commit", code=4).err


def test_what_was_pending_is_tried_again(cli, here: Path, tmp_path: Path) -> None:
    copy = tmp_path / "b"
    cli("clone", here, copy)
    write(here / "late", "file 1")
    os.mkfifo(copy / "late")
    pending = cli("pull", "--json", cwd=copy, code=4).json()
    assert [problem["path"] for problem in pending["merged"]["pending"]] == ["late"]
    assert cli("commit", "--json", cwd=copy, code=4).json()["pending"][0]["path"] == "late"
    (copy / "late").unlink()
    assert cli("commit", cwd=copy).text == "nothing to record\n"
    assert (copy / "late").read_text() == "file 1"
    assert cli("status", "--json", cwd=copy).json()["pending"] == []
