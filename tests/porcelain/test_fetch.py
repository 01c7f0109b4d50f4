"""``replican fetch``."""

import shutil
from pathlib import Path

import pytest
from folders import contents, head, snapshot, write

from replican.repository import Repository

pytestmark = pytest.mark.within


@pytest.fixture
def here(cli, tmp_path: Path) -> Path:
    write(tmp_path / "a/file", "x")
    cli("clone", "a", "b")
    return tmp_path / "b"


def test_only_the_log_moves(cli, here: Path, tmp_path: Path) -> None:
    assert cli("fetch", cwd=here).text == ""
    before = snapshot(here)
    write(tmp_path / "a/file", "changed")
    write(tmp_path / "a/folder/new", "new")
    done = cli("fetch", "origin", cwd=here)
    assert done.text.endswith("  head -> origin/head\n")
    assert f"from {tmp_path}/a" in done.err
    assert "content is not here yet" in done.err
    assert snapshot(here) == before
    assert cli("status", "--json", cwd=here).json()["clean"]


def test_as_json(cli, here: Path, tmp_path: Path) -> None:
    write(tmp_path / "a/folder/new", "new")
    done = cli("fetch", "--json", cwd=here).json()
    assert done["old"] != done["new"]
    assert (done["remote"], done["checkpoints"], done["trees"]) == ("origin", 1, 2)
    again = cli("fetch", "--json", "--content", cwd=here).json()
    assert again["old"] == again["new"] == done["new"]
    assert (again["contents"], again["bytes"], again["missing"]) == (1, 3, [])


def test_content_that_is_nowhere(cli, here: Path, tmp_path: Path) -> None:
    write(tmp_path / "a/new", "new")
    cli("-C", "a", "commit")
    (tmp_path / "a/new").unlink()
    with Repository(str(tmp_path / "a")).writing("something else"):  # and the remote cannot record that
        done = cli("--wait", "0", "fetch", "--content", cwd=here, code=4)
    assert "pending: new: no source" in done.err
    assert "origin could not record its latest edits: locked by process" in done.err
    assert contents(here) == {"file": b"x"}


def test_the_forms_of_a_move(cli, here: Path, tmp_path: Path) -> None:
    """As git shows them: unchanged, forward, by way of a merge, forced, and new."""
    a = tmp_path / "a"

    def fetch(**expected: object) -> str:
        before = cli("rev-parse", "origin/head", cwd=here).text.strip()
        text = cli("fetch", cwd=here).text
        cli("update-ref", "remotes/origin/head", before, cwd=here)
        told = cli("fetch", "--json", cwd=here).json()
        assert {key: told[key] for key in expected} == expected
        assert told["wire"] is None
        assert (told["old"], told["new"]) == (before, head(cli, a))
        return text.replace(told["old"][:7], "OLD").replace(told["new"][:7], "NEW")

    assert fetch(forced=False, checkpoints=0) == ""
    first = head(cli, a)
    shutil.copytree(a, tmp_path / "backup")
    write(a / "file", "1")
    cli("commit", cwd=a)
    write(a / "file", "2")
    assert fetch(forced=False) == "   OLD..NEW  head -> origin/head\n"
    write(here / "mine", "m")
    cli("sync", cwd=here)
    cli("update-ref", "remotes/origin/head", first, cwd=here)
    assert fetch(forced=False, checkpoints=0) == "   OLD..NEW  head -> origin/head\n"
    shutil.rmtree(a)
    shutil.copytree(tmp_path / "backup", a)
    write(a / "file", "3")
    assert fetch(forced=True) == " + OLD...NEW  head -> origin/head  (forced update)\n"
    cli("init", "c")
    cli("-C", "c", "remote", "add", "b", a)
    told = cli("-C", "c", "fetch").text
    assert told == f" * [new log] {head(cli, a)[:7]}  head -> b/head\n"
    assert cli("-C", "c", "ls-remote").text == f"{head(cli, a)}\thead\n"
    assert cli("-C", "c", "fetch-log").text == f"{head(cli, a)}\tremotes/b/head\n"


def test_the_first_fetch(cli, here: Path, tmp_path: Path) -> None:
    cli("init", "c")
    cli("-C", "c", "remote", "add", "b", here)
    assert "* [new log]" in cli("-C", "c", "fetch").text
    cli("-C", "c", "merge")
    assert contents(tmp_path / "c") == {"file": b"x"}


def test_a_remote_that_was_made_anew(cli, here: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "a/.replican")
    assert "no replica" in cli("fetch", cwd=here, code=5).err
    cli("init", "a")
    (tmp_path / "a/file").unlink()
    assert "empty log" in cli("fetch", cwd=here, code=5).err
    write(tmp_path / "a/other", "y")
    cli("fetch", cwd=here)
    refused = cli("merge", cwd=here, code=3)
    assert "nothing in common" in refused.err
    assert "--allow-unrelated" in refused.err
    cli("merge", "--allow-unrelated", cwd=here)
    assert contents(here) == {"file": b"x", "other": b"y"}
