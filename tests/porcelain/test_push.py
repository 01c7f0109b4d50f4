"""``replican push``."""

import os
from pathlib import Path

import pytest
from folders import assert_equal, write

pytestmark = pytest.mark.within


@pytest.fixture
def here(cli, tmp_path: Path) -> Path:
    for number in range(30):
        write(tmp_path / f"a/{number}", f"{number}")
    cli("clone", "a", "b")
    return tmp_path / "b"


def test_a_fast_forward(cli, here: Path, tmp_path: Path) -> None:
    assert cli("push", cwd=here).text == "origin is up to date\n"
    write(here / "new", "x")
    assert cli("push", cwd=here).text == "origin is up to date\n"  # only what is recorded
    cli("commit", cwd=here)
    done = cli("push", cwd=here)
    assert done.text.endswith("  head -> head  (1 added)\n")
    assert f"to {tmp_path}/a" in done.err
    assert_equal(tmp_path / "a", here)


def test_the_other_sides_edits_are_recorded_first(cli, here: Path, tmp_path: Path) -> None:
    write(here / "new", "x")
    cli("commit", cwd=here)
    write(tmp_path / "a/theirs", "y")
    refused = cli("push", "--json", cwd=here, code=5)
    assert '"code": "diverged"' in refused.err
    assert not (tmp_path / "a/new").exists()
    assert len(cli("-C", "a", "log", "--json").json()) == 2


def test_nothing_recorded_here_and_something_there(cli, here: Path, tmp_path: Path) -> None:
    """A remote's head that was never fetched is not noted as known: merges would look for it in vain."""
    cli("init", "c")
    cli("-C", "c", "remote", "add", "b", here)
    assert '"code": "diverged"' in cli("-C", "c", "push", "--json", code=5).err
    cli("-C", "c", "merge", code=None)
    assert not cli("-C", "c", "fsck", "--json").json()["damage"]
    cli("-C", "c", "pull")
    assert_equal(tmp_path / "c", here)


def test_its_own_gates(cli, here: Path, tmp_path: Path) -> None:
    for number in range(30):
        (here / str(number)).unlink()
    write(here / "left", "x")
    cli("commit", "--allow-mass-delete", cwd=here)
    a = tmp_path / "a"
    add, pull = f"replican -C {a} remote add b {here}", f"replican -C {a} pull --allow-mass-delete b"
    told = ["replican: remote origin: 30 of 30 files would be deleted", f"hint: if that is meant: `{add} && {pull}`"]
    assert cli("push", cwd=here, code=3).err.splitlines() == told
    assert cli("sync", "--allow-mass-delete", cwd=here, code=3).err.splitlines() == told
    assert len(list((tmp_path / "a").iterdir())) == 31
    cli("push", "--allow-mass-delete", cwd=here, code=2)
    cli(*add.split()[1:])
    assert cli("push", cwd=here, code=3).err.splitlines() == [told[0], f"hint: if that is meant: `{pull}`"]
    cli(*pull.split()[1:])
    assert_equal(tmp_path / "a", here)


def test_as_json(cli, here: Path) -> None:
    write(here / "new", "x")
    cli("commit", cwd=here)
    done = cli("push", "origin", "--json", cwd=here).json()
    assert done["old"] != done["new"]
    assert (done["remote"], done["added"], done["pending"]) == ("origin", 1, [])


def test_what_is_pending_there_is_not_counted(cli, here: Path, tmp_path: Path) -> None:
    write(here / "late", "x")
    write(here / "more", "y")
    cli("commit", cwd=here)
    os.mkfifo(tmp_path / "a/late")
    assert cli("push", cwd=here, code=4).text.endswith("  head -> head  (1 added; 1 pending)\n")
    done = cli("push", cwd=here, code=4)
    assert done.text == "origin is up to date; 1 pending\n"
    assert "origin: pending: late: " in done.err
    done = cli("sync", cwd=here, code=4)
    assert done.text.startswith("origin: 1 pending; in step at ")
    assert cli("push", "--json", cwd=here, code=4).json()["unnoted"] == 0
