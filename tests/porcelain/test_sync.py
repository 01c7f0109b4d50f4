"""``replican sync``: how it is called, and what it tells. What it does is tested in ``tests/scripts``."""

import errno
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from folders import assert_equal, write
from replicas import OLD, Replicas

from replican.repository import Repository


@pytest.fixture
def here(cli, tmp_path: Path) -> Path:
    write(tmp_path / "a/letter", "old")
    cli("clone", "a", "b")
    return tmp_path / "b"


def test_one_line(cli, here: Path, tmp_path: Path) -> None:
    assert cli("sync", cwd=here).text.startswith("origin: nothing to do; in step at ")
    write(tmp_path / "a/theirs", "x")
    write(here / "mine", "y")
    write(here / "more", "z")
    done = cli("sync", cwd=here)
    assert done.text.startswith("origin: came 1 added; went 2 added; in step at ")
    assert done.err == ""


def test_several_remotes(cli, here: Path, tmp_path: Path) -> None:
    cli("clone", "b", "c")
    cli("remote", "add", "copy", "../c", cwd=here)
    write(tmp_path / "c/from c", "x")
    write(tmp_path / "a/from a", "y")
    done = cli("sync", "origin", "copy", cwd=here)
    assert [line.split(":")[0] for line in done.lines] == ["origin", "copy"]
    cli("sync", cwd=here)  # origin, of the two
    for folder in ("a", "c"):
        assert_equal(here, tmp_path / folder)
    cli("remote", "remove", "origin", cwd=here)
    cli("remote", "add", "other", "../a", cwd=here)
    assert "name one: copy, other" in cli("sync", cwd=here, code=8).err
    cli("sync", "nobody", "other", cwd=here, code=8)


def test_as_json(cli, here: Path, tmp_path: Path) -> None:
    write(tmp_path / "a/letter", "by a")
    write(here / "letter", "by b")
    done = cli("sync", "--json", "-m", "mine", cwd=here).json()
    (remote,) = done["remotes"]
    assert remote["equal"]
    assert remote["recorded"]["changed"] == 1
    assert [row["path"] for row in done["conflicts"]] == ["letter"]
    assert done["pending"] == remote["pending"] == []
    assert done["head"] == cli("-C", "a", "status", "--json").json()["head"]


def test_a_remote_that_fails_among_others(cli, here: Path) -> None:
    cli("remote", "add", "gone", "../gone", cwd=here)
    done = cli("sync", "gone", "origin", "--json", cwd=here, code=5).json()
    assert done["remotes"][0]["error"]["code"] == "remote"
    assert done["remotes"][0]["error"]["hint"] == "is the disk that holds it mounted?"
    told = cli("sync", "gone", "origin", cwd=here, code=5).err.splitlines()[0]
    assert told == f"replican: remote gone cannot be reached: no folder at {here.parent}/gone"
    assert done["remotes"][1]["equal"]


def test_a_remote_that_is_busy_among_others(cli, here: Path, tmp_path: Path) -> None:
    """It is named, and does not keep the others from being synced."""
    cli("clone", "b", "c")
    cli("remote", "add", "copy", "../c", cwd=here)
    write(here / "new", "n")
    with open(tmp_path / "a/.replican/lock", "ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = cli("sync", "--wait", "0", "origin", "copy", cwd=here, code=7)
        alone = cli("sync", "--wait", "0", "origin", "--json", cwd=here, code=7)
    assert "replican: remote origin: locked by another process\n" in done.err
    assert done.text.startswith("copy: went 1 added; in step at ")
    error = json.loads(alone.err.splitlines()[-1])["error"]
    assert (error["code"], error["message"]) == ("busy", "remote origin: locked by another process")


def test_a_gate_here(cli, here: Path, tmp_path: Path) -> None:
    (here / "letter").unlink()
    done = cli("sync", cwd=here, code=3)
    assert "not recorded" in done.err
    assert (tmp_path / "a/letter").exists()
    cli("sync", "--allow-mass-delete", cwd=here, code=3)  # the other side's gate
    assert (tmp_path / "a/letter").exists()


def test_where_a_directory_cannot_be_flushed_the_journal_stays(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was renamed there may be gone after a power cut: no row may say that it lies there."""
    replicas.clone({"f": "1"})
    replicas.write("a/new", "2", OLD)
    place, flush = str(replicas.base / "b"), os.fsync

    def fsync(fd: int) -> None:
        if os.readlink(f"/proc/self/fd/{fd}") == place:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        flush(fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        assert "input/output error" in replicas("b", "sync", code=4).err
    with Repository(place) as repo:
        assert [entry.path for entry in repo.index.journal()] == [b"new"]
    replicas("b", "sync")
    replicas("b", "fsck", "--content")
    assert replicas.read("b/new") == "2"


def test_between_folders_nothing_is_loaded_that_only_links_need(here: Path, tmp_path: Path) -> None:
    write(tmp_path / "a/new/small", "x")
    write(here / "mine", "y")
    script = (
        "import sys; from replican.porcelain._main import run_guarded; code = run_guarded(['sync']);"
        " print(code, {'msgspec', 'zstandard', 'pyfastcdc', 'replican.values.messages'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=here, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 set()"
    assert_equal(here, tmp_path / "a")
