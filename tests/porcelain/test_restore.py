"""``replican restore``."""

import os
import re

import pytest
from folders import contents, snapshot
from replicas import OLD, Replicas


@pytest.fixture
def here(replicas: Replicas) -> Replicas:
    """b has lost, replaced and edited some of what its first checkpoint has."""
    replicas.clone({"f": "first", "gone": "g", "d/e/deep": "deep", "same": "s"})
    (replicas.base / "a/link").symlink_to("f")
    (replicas.base / "a/gone").chmod(0o440)
    replicas("b", "sync")
    return replicas


def test_a_deleted_file_comes_back_from_a_remote(here: Replicas) -> None:
    before = snapshot(here.base / "b")
    os.unlink(here.base / "b/gone")
    assert here("b", "restore", "gone").text == "restored 1 file (1 from origin)\n"
    assert snapshot(here.base / "b") == before
    assert here.json("b", "status")["clean"], "it is as it was recorded"
    assert here("b", "restore", "gone").text == "restored 0 files; 1 file in place already\n"


def test_from_the_trash(here: Replicas) -> None:
    first = here.head("b")
    here.write("a/f", "second")
    os.unlink(here.base / "a/gone")
    here("b", "sync")
    os.rename(here.base / "a", here.base / "away")
    ended = here("b", "restore", "--checkpoint", first, "f", "gone")
    assert ended.text == "restored 2 files (2 from the trash)\n"
    assert here.read("b/f") == "first"
    assert (here.base / "b/f").stat().st_mtime_ns == OLD
    assert (here.base / "b/gone").stat().st_mode & 0o777 == 0o440
    held = {path.read_bytes() for path in (here.base / "b/.replican/trash").iterdir()}
    assert b"second" in held
    assert {each["path"]: each["status"] for each in here.json("b", "status")["changes"]} == {
        "f": "modified",
        "gone": "added",
    }


@pytest.mark.parametrize("who", ["a", "b"])
def test_the_hint_for_what_is_gone_brings_it_back(here: Replicas, who: str) -> None:
    """Whoever deleted it, and whatever was merged since: log shows the checkpoint first that has it no more."""
    os.unlink(here.base / f"{who}/gone")
    for name in ("a", "b"):
        here.write(f"{name}/by {name}", name)
        here(name, "commit")
    here("b", "sync")
    here.write("b/later", "l")
    here("b", "commit")
    ended = here("b", "restore", "gone", code=1)
    assert "no gone in that checkpoint" in ended.err
    command = re.search(r"deleted it: `replican (restore --checkpoint [0-9a-f]{12}) PATH` brings", ended.err)
    assert command is not None
    here("b", *command[1].split(), "gone")
    assert os.path.exists(here.base / "b/gone")
    assert "`replican log -- PATH`" in here("b", "restore", "never", code=1).err


def test_a_directory_with_all_below_it(here: Replicas) -> None:
    import shutil

    (here.base / "b/d").chmod(0o750)
    here("b", "commit")
    shutil.rmtree(here.base / "b/d")
    here("b", "commit")
    assert "no d in that checkpoint" in here("b", "restore", "d", code=1).err
    here("b", "restore", "--checkpoint", "HEAD~1", "d")
    assert here.read("b/d/e/deep") == "deep"
    assert (here.base / "b/d").stat().st_mode & 0o777 == 0o750


def test_everything_after_the_folder_was_emptied(here: Replicas) -> None:
    before = snapshot(here.base / "b")
    for name in here.names("b"):
        full = here.base / "b" / name
        if full.is_dir():
            import shutil

            shutil.rmtree(full)
        else:
            full.unlink()
    here("b", "commit", code=3)
    assert here.json("b", "restore", ".")["sources"] == {"origin": 5}
    assert snapshot(here.base / "b") == before
    assert here.json("b", "status")["clean"]


def test_edits_elsewhere_are_left_alone(here: Replicas) -> None:
    here.write("b/f", "edited")
    here.write("b/same", "edited, too")
    here.write("b/new", "n")
    here("b", "restore", "f")
    assert (here.read("b/f"), here.read("b/same"), here.read("b/new")) == ("first", "edited, too", "n")


def test_attributes_alone(here: Replicas) -> None:
    (here.base / "b/f").chmod(0o600)
    os.utime(here.base / "b/f", ns=(OLD + 5, OLD + 5))
    assert here("b", "restore", "f").text == "restored 1 file\n"
    status = (here.base / "b/f").stat()
    assert (status.st_mode & 0o777, status.st_mtime_ns) == (0o644, OLD)


def test_a_dry_run_tells_how_much_and_does_nothing(here: Replicas) -> None:
    first = here.head("b")
    here.write("a/f", "second")
    here("b", "sync")
    for name in ("gone", "f"):
        os.unlink(here.base / "b" / name)
    here.write("b/same", "edited")
    here("a", "gc", "--trash", "0")
    before = snapshot(here.base / "b")
    done = here.json("b", "restore", "--dry-run", "--checkpoint", first)
    assert done["sources"] == {"the trash": 1, "origin": 2}
    assert {each["path"] for each in done["restored"]} == {"f", "gone", "same"}
    assert (done["in_place"], done["missing"]) == (2, [])
    assert snapshot(here.base / "b") == before
    text = here("b", "restore", "-n", "--checkpoint", first).text
    assert text == "would restore 3 files (2 from origin, 1 from the trash); 2 files in place already\n"


def test_what_no_store_has(here: Replicas) -> None:
    first = here.head("b")
    for where in ("a", "b"):
        here.write(f"{where}/f", "second", OLD)
        os.unlink(here.base / where / "gone")
    here("b", "sync")
    for dry in (["--dry-run"], []):
        ended = here("b", "restore", *dry, "--checkpoint", first, "f", "gone", "same", "--json", code=4)
        assert [each["path"] for each in ended.json()["missing"]] == ["f", "gone"]
        assert ended.json()["in_place"] == 1
        assert "cannot restore f: no source" in ended.err
    assert here.read("b/f") == "second"


def test_from_one_remote_only(here: Replicas) -> None:
    first = here.head("b")
    here.write("a/f", "second")
    here("b", "sync")
    os.rename(here.base / "a/.replican/trash", here.base / "trash-of-a")
    here("b", "restore", "--checkpoint", first, "--from", "origin", "f", code=4)
    os.rename(here.base / "trash-of-a", here.base / "a/.replican/trash")
    ended = here("b", "restore", "--checkpoint", first, "--from", "origin", "f", code=4)
    assert here.read("b/f") == "second", "a edited its file itself: its trash does not have the old one"
    assert "no remote named" in here("b", "restore", "--from", "nobody", "f", code=8).err
    os.rename(here.base / "a", here.base / "away")
    here("b", "restore", "--from", "origin", "same", code=5)
    assert ended.code == 4


def test_to_another_folder(here: Replicas) -> None:
    first = here.head("b")
    here.write("b/f", "second")
    out = here.base / "out"
    done = here.json("b", "restore", "--checkpoint", first, "--to", str(out))
    assert done["in_place"] == 0
    assert contents(out) == {"f": b"first", "gone": b"g", "d/e/deep": b"deep", "same": b"s", "link": b"f"}
    assert here.read("b/f") == "second"
    assert (out / "f").stat().st_mtime_ns == OLD
    (out / "f").write_text("mine")
    again = here.json("b", "restore", "--checkpoint", first, "--to", str(out), "f", "same", code=4)
    assert {each["path"]: each["cause"] for each in again["problems"]} == {
        "f": "something is there already",
        "same": "something is there already",
    }
    assert (out / "f").read_text() == "mine"
    assert os.listdir(here.base / "b/.replican/stage") == []


def test_nothing_is_written_through_a_link(here: Replicas) -> None:
    outside = here.base / "outside"
    outside.mkdir()
    os.rename(here.base / "b/d", here.base / "d")
    (here.base / "b/d").symlink_to(outside)
    ended = here("b", "restore", "d/e/deep", code=4)
    assert "in the way" in ended.err
    out = here.base / "out"
    out.mkdir()
    (out / "d").symlink_to(outside)
    here("b", "restore", "--to", str(out), "d", code=4)
    assert os.listdir(outside) == []


def test_a_directory_is_in_the_way(here: Replicas) -> None:
    os.unlink(here.base / "b/f")
    here.write("b/f/inner", "kept")
    assert "a directory is in the way" in here("b", "restore", "f", code=4).err
    assert here.read("b/f/inner") == "kept"


def test_an_ignored_file_in_the_way_is_not_overwritten(here: Replicas) -> None:
    os.unlink(here.base / "b/f")
    here("b", "commit")
    here.write("b/.replicanignore", "f\n")
    here.write("b/f", "ignored and mine")
    assert "something is there already" in here("b", "restore", "--checkpoint", "HEAD~1", "f", code=4).err
    assert here.read("b/f") == "ignored and mine"


def test_conflicting_edits_are_kept_after_a_restore(here: Replicas) -> None:
    """What was restored is an edit, and replicates like one."""
    first = here.head("b")
    here.write("b/f", "second")
    here("b", "sync")
    here("a", "gc", "--trash", "30")
    here("b", "restore", "--checkpoint", first, "--from", "origin", "f")
    here("b", "sync")
    assert here.read("a/f") == "first"


def test_usage(here: Replicas) -> None:
    assert "say what to bring back" in here("b", "restore", code=2).err
    here("b", "restore", "--checkpoint", "nonsense", "f", code=1)
    here("b", "restore", "none", code=1)
    here("b", "restore", "--to", str(here.base / "b/.replican/x"), "f", code=2)
    here("b", "restore", "--to", str(here.base / "b/f"), "same", code=2)


def test_as_a_process(cli, here: Replicas) -> None:
    os.unlink(here.base / "b/gone")
    assert cli("-C", here.base / "b", "restore", "gone").text == "restored 1 file (1 from origin)\n"
