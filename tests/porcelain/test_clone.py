"""``replican clone``."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from folders import assert_equal, contents, write

from replican.effects.objects import ObjectStore
from replican.operations.cloning import clone
from replican.values.errors import NoSpaceError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write(tmp_path / "a/file", "x")
    write(tmp_path / "a/folder/other", "y")
    return tmp_path / "a"


def test_what_it_makes_is_said(cli, tmp_path: Path, source: Path) -> None:
    done = cli("clone", "a", "b")
    assert done.text.startswith(f"cloned {source} to {tmp_path}/b: 2 added, at ")
    assert f"{source} is a replica now" in done.err
    assert cli("-C", "b", "remote", "-v").text == f"origin\t{source}\n"
    assert_equal(source, tmp_path / "b")
    again = cli("clone", "a", "c", "--json").json()
    assert (again["made_replica"], again["added"], again["pending"]) == (False, 2, [])
    assert again["source"] == str(source)


def test_the_folder_is_called_as_the_source(cli, tmp_path: Path, source: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    cli("clone", "file://" + str(source), cwd=tmp_path / "elsewhere")
    assert_equal(source, tmp_path / "elsewhere/a")


def test_no_init(cli, tmp_path: Path, source: Path) -> None:
    refused = cli("clone", "--no-init", "a", "b", code=8)
    assert "is no replica" in refused.err
    assert not (tmp_path / "b").exists()
    assert not (source / ".replican").exists()
    cli("init", "a")
    cli("clone", "--no-init", "a", "b")


def test_where_it_cannot_go(cli, tmp_path: Path, source: Path) -> None:
    write(tmp_path / "full/file", "z")
    assert "has files" in cli("clone", "a", "full", code=3).err
    assert not (source / ".replican").exists()
    cli("clone", "a", "a/inside", code=2)
    cli("clone", "a", ".", code=2)
    cli("clone", "a", "a", code=2)
    write(tmp_path / "file", "z")
    cli("clone", "a", "file", code=4)
    cli("clone", "a", "b")
    assert "sync" in cli("clone", "a", "b", code=3).err
    assert contents(tmp_path / "full") == {"file": b"z"}


def test_a_part_of_a_replica_only_if_it_is_meant(cli, tmp_path: Path, source: Path) -> None:
    """It would be a replica of its own, and the one around it would not keep it in step any more."""
    cli("init", "a")
    cli("-C", "a", "commit")
    refused = cli("clone", "a/folder", "b", code=3)
    assert f"'{source}/folder' lies in the replica '{source}'" in refused.err
    assert f"hint: if that is meant, run `replican init --nested {source}/folder` first" in refused.err
    assert not (tmp_path / "b").exists()
    write(tmp_path / "c/file", "z")
    refused = cli("clone", "--join", "c", "a/folder", code=3)
    assert f"'{source}/folder' lies in the replica '{source}'" in refused.err
    assert not (tmp_path / "c/.replican").exists()
    assert cli("-C", "a", "status", "--json").json()["pending"] == []
    cli("init", "--nested", "a/folder")
    cli("clone", "a/folder", "b")
    cli("clone", "c", "a/new")  # what was never recorded by anybody is no loss


def test_what_cannot_be_cloned(cli, tmp_path: Path) -> None:
    assert "no folder at" in cli("clone", "none", "b", code=8).err
    assert "is not a folder here" in cli("clone", "https://host/folder", "b", code=5).err
    assert "another machine" in cli("clone", "a", "b", "--serve-command", "x", code=2).err
    assert not (tmp_path / "b").exists()


def test_an_empty_folder(cli, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert "nothing, at nothing" in cli("clone", "a", "b").text
    write(tmp_path / "b/first", "x")
    cli("-C", "b", "sync")
    assert_equal(tmp_path / "a", tmp_path / "b")


def test_join_tells_of_conflicts(cli, tmp_path: Path, source: Path) -> None:
    write(tmp_path / "b/file", "another")
    done = cli("clone", "--join", "a", "b", "--json")
    assert [row["path"] for row in done.json()["conflicts"]] == ["file"]
    assert "conflict: file" in done.err
    assert sorted(contents(tmp_path / "b").values()) == [b"another", b"x", b"y"]


def test_a_source_that_cannot_be_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing recorded before, a note would leave an empty folder, and an exit code of 0."""
    source, copy = tmp_path / "source", tmp_path / "copy"
    write(source / "letter", "dear")
    whole = ObjectStore.add

    def add(self: ObjectStore, objects: Mapping[bytes, tuple[bytes, bytes]]) -> None:
        if self.path.startswith(f"{source}/"):
            raise NoSpaceError("no space left on the disk", "make room")
        whole(self, objects)

    monkeypatch.setattr(ObjectStore, "add", add)
    with pytest.raises(NoSpaceError):
        clone(str(source), str(copy))
    monkeypatch.undo()
    clone(str(source), str(copy))
    assert (copy / "letter").read_text() == "dear"


def test_what_is_pending_is_not_counted(cli, tmp_path: Path) -> None:
    write(tmp_path / "a/late", "x")
    write(tmp_path / "a/more", "y")
    (tmp_path / "b").mkdir()
    os.mkfifo(tmp_path / "b/late")
    done = cli("clone", "--join", "a", "b", code=4)
    assert ": 1 added; 1 pending, at " in done.text
