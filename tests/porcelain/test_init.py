"""``replican init``."""

import stat
from pathlib import Path

from folders import write


def test_a_folder_becomes_a_replica(cli, tmp_path: Path) -> None:
    write(tmp_path / "a/file", "x")
    done = cli("init", "a")
    assert done.text == f"made {tmp_path}/a a replica\n"
    assert "replican commit" in done.err
    assert stat.S_IMODE((tmp_path / "a/.replican").stat().st_mode) == 0o700
    assert (tmp_path / "a/file").read_text() == "x"
    assert cli("-C", "a", "log", "--json").json() == []


def test_it_stays_as_it_is_the_second_time(cli, tmp_path: Path) -> None:
    first = cli("init", "new/deep", "--json").json()
    again = cli("-C", "new/deep", "init", "--json").json()
    assert first == {"root": f"{tmp_path}/new/deep", "made": True, "peer": first["peer"]}
    assert again == {**first, "made": False}
    assert cli("init", "new/deep").text == f"{tmp_path}/new/deep is a replica already\n"


def test_inside_a_replica_only_if_it_is_meant(cli, tmp_path: Path) -> None:
    cli("init", "a")
    for inside in ("a/b", "a/b/c/d"):
        refused = cli("init", inside, code=3)
        assert f"lies in the replica '{tmp_path}/a'" in refused.err
        assert "--nested" in refused.err
        assert not (tmp_path / "a/b").exists()
    cli("init", "a/b", "--nested")
    cli("init", "a/b")


def test_where_no_folder_can_be(cli, tmp_path: Path) -> None:
    write(tmp_path / "file", "x")
    assert "cannot make" in cli("init", "file", code=4).err
    assert "cannot make" in cli("init", "file/below", code=4).err


def test_units_are_offered_and_never_forced(cli, tmp_path: Path) -> None:
    write(tmp_path / "a/work/.git/HEAD", "x")
    write(tmp_path / "b/file", "x")
    assert "--atomic" in cli("init", "a").err
    assert not (tmp_path / "a/.replicanattributes").exists()
    assert "--atomic" not in cli("init", "b").err
    cli("init", "a", "--atomic")
    cli("-C", "a", "commit")
    assert "d1755" in cli("-C", "a", "ls-tree", "HEAD:work").text
    (tmp_path / "a/.replicanattributes").write_text("mine")
    assert "stays as it is" in cli("init", "a", "--atomic").err
    assert (tmp_path / "a/.replicanattributes").read_text() == "mine"
