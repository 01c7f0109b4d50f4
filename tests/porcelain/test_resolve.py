"""``replican resolve``."""

import os

import pytest
from folders import assert_equal, contents
from replicas import OLD, Replicas


@pytest.fixture
def torn(replicas: Replicas) -> Replicas:
    """A name with two versions, in two folders in step: b's is the current one."""
    replicas.clone({"d/f.txt": "1", "other": "o"})
    replicas.conflict("d/f.txt")
    return replicas


def in_step(replicas: Replicas) -> dict[str, bytes]:
    """Both folders after a sync, which finds nothing in conflict any more."""
    replicas("a", "remote", "add", "b", replicas.base / "b") if "b" not in replicas("a", "remote").text else None
    replicas("b", "sync", "--exit-code")
    assert_equal(replicas.base / "a", replicas.base / "b")
    for where in ("a", "b"):
        assert replicas.json(where, "conflicts") == []
        assert replicas.json(where, "status")["clean"]
    return contents(replicas.base / "a")


@pytest.mark.parametrize("where", ["a", "b"])
@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ("current", {"d/f.txt": b"by b"}),
        ("copy", {"d/f.txt": b"by a"}),
        ("both", {"d/f.txt": b"by b", "d/f-2.txt": b"by a"}),
    ],
)
def test_it_ends_the_conflict_for_every_replica(torn: Replicas, where: str, keep: str, kept: dict[str, bytes]) -> None:
    assert torn(where, "resolve", "d/f.txt", "--keep", keep).text == "resolved: d/f.txt\n"
    assert torn.json(where, "log")[0]["message"] == f"resolve f.txt: keep {keep}"
    assert in_step(torn) == {"other": b"o", **kept}


def test_what_goes_is_in_the_trash_and_what_stays_keeps_its_time(torn: Replicas) -> None:
    torn("b", "resolve", "d/f.txt", "--keep", "copy")
    assert (torn.base / "b/d/f.txt").stat().st_mtime_ns == OLD + 10**9
    held = {path.read_bytes() for path in (torn.base / "b/.replican/trash").iterdir()}
    assert {b"by a", b"by b"} & held == held & {b"by a", b"by b"}
    assert b"by b" in held


def test_a_copy_names_its_conflict_and_so_do_directories_and_patterns(replicas: Replicas) -> None:
    replicas.clone({f"d/{name}": "1" for name in ("f.txt", "g.txt", "h.md")})
    for where, at in (("a", 1), ("b", 2)):
        for name in ("f.txt", "g.txt", "h.md"):
            replicas.write(f"{where}/d/{name}", f"by {where}", OLD + at * 10**9)
    replicas("b", "sync")
    copy = replicas.json("b", "conflicts")[0]["copy"]
    assert replicas.json("b", "resolve", copy, "--keep", "current")["resolved"] == [{"path": "d/f.txt"}]
    assert replicas.json("b/d", "resolve", "*.txt", "--keep", "current")["resolved"] == [{"path": "d/g.txt"}]
    assert replicas.json("b/d", "resolve", ".", "--keep", "current")["resolved"] == [{"path": "d/h.md"}]
    in_step(replicas)


def test_several_copies_need_a_name(torn: Replicas) -> None:
    torn("a", "clone", torn.base / "a", torn.base / "c")
    torn.write("b/d/f.txt", "more by b", OLD + 3 * 10**9)
    torn.write("c/d/f.txt", "by c", OLD + 4 * 10**9)
    torn("b", "sync")
    torn("c", "sync")
    copies = [each["copy"] for each in torn.json("c", "conflicts")]
    assert len(copies) == 2
    ended = torn("c", "resolve", "d/f.txt", "--keep", "copy", code=3)
    assert "has 2 copies" in ended.err
    assert os.path.basename(copies[0]) in ended.err
    assert "no copy of" in torn("c", "resolve", "d/f.txt", "--keep", "copy", "--copy", "none", code=1).err
    (wanted,) = [copy for copy in copies if torn.read(f"c/{copy}") == "by a"]
    torn("c", "resolve", "d/f.txt", "--copy", os.path.basename(wanted))  # as the hint has it
    assert contents(torn.base / "c") == {"d/f.txt": b"by a", "other": b"o"}


def test_both_of_several_and_names_that_are_taken(torn: Replicas) -> None:
    torn("a", "clone", torn.base / "a", torn.base / "c")
    torn.write("b/d/f.txt", "more by b", OLD + 3 * 10**9)
    torn.write("b/d/f-2.txt", "taken")
    torn.write("c/d/f.txt", "by c", OLD + 4 * 10**9)
    torn("b", "sync")
    torn("c", "sync")
    torn("c", "resolve", ".", "--keep", "both")
    found = contents(torn.base / "c")
    assert set(found) == {"d/f.txt", "d/f-2.txt", "d/f-3.txt", "d/f-4.txt", "other"}
    assert set(found.values()) == {b"by a", b"more by b", b"by c", b"taken", b"o"}
    assert found["d/f-2.txt"] == b"taken"
    torn("c", "sync")
    in_step(torn)


def test_a_directory_that_has_the_name(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    replicas.write("a/x", "a file")
    replicas.write("b/x/inner", "in a directory")
    replicas("b", "sync")
    assert "is a directory" in replicas("b", "resolve", "x", "--keep", "copy", code=3).err
    replicas("b", "resolve", "x", "--keep", "both")
    assert in_step(replicas) == {"f": b"1", "x/inner": b"in a directory", "x-2": b"a file"}


def test_nothing_has_the_name(torn: Replicas) -> None:
    """The original was deleted by hand, and two copies are left: the one that is kept gets the name."""
    torn("a", "clone", torn.base / "a", torn.base / "c")
    torn.write("c/d/f.txt", "by c", OLD + 4 * 10**9)
    torn.write("b/d/f.txt", "more by b", OLD + 3 * 10**9)
    torn("b", "sync")
    torn("c", "sync")
    os.unlink(torn.base / "c/d/f.txt")
    torn("c", "resolve", "d", "--keep", "current")
    assert contents(torn.base / "c") == {"d/f.txt": b"more by b", "other": b"o"}


def test_edits_are_recorded_first_and_the_edited_version_is_meant(torn: Replicas) -> None:
    torn.write("b/d/f.txt", "edited")
    torn("b", "resolve", "d/f.txt", "--keep", "current")
    assert in_step(torn)["d/f.txt"] == b"edited"


def test_no_conflict_there(torn: Replicas) -> None:
    assert "no conflict at other" in torn("b", "resolve", "other", "--keep", "both", code=1).err
    torn("b", "resolve", "none", "--keep", "both", code=1)
    torn("b", "resolve", "/etc/passwd", "--keep", "both", code=2)


@pytest.mark.parametrize(
    "words",
    [["d/f.txt"], ["--keep", "both"], ["d/f.txt", "--keep", "mine"], ["d/f.txt", "--keep", "both", "--copy", "x"],
     ["d/f.txt", "--keep", "both", "--forget-missing"], ["d/f.txt", "--copy", "x", "--tool"]],
)  # fmt: skip
def test_usage(torn: Replicas, words: list[str]) -> None:
    torn("b", "resolve", *words, code=2)


def test_in_json(torn: Replicas) -> None:
    done = torn.json("b", "resolve", "d/f.txt", "--keep", "both")
    assert done == {"head": torn.head("b"), "resolved": [{"path": "d/f.txt"}], "pending": [], "open": [], "wire": None}


def test_a_link_in_the_way_is_not_followed(torn: Replicas) -> None:
    (torn.base / "outside").mkdir()
    torn.write("outside/f.txt", "by b")
    copy = os.path.basename(torn.json("b", "conflicts")[0]["copy"])
    torn.write(f"outside/{copy}", "by a")
    os.rename(torn.base / "b/d", torn.base / "b/real")
    (torn.base / "b/d").symlink_to(torn.base / "outside")
    torn("b", "resolve", "real/f.txt", "--keep", "current", code=None)
    assert sorted(os.listdir(torn.base / "outside")) == sorted(["f.txt", copy])


# -- what is nowhere any more ----------------------------------------------------------------------------------------


@pytest.fixture
def lost(replicas: Replicas) -> Replicas:
    """b's head has versions whose content was destroyed before b got it."""
    replicas.clone({"f": "1", "keep": "k"})
    replicas.write("a/f", "2")
    replicas.write("a/new", "n")
    replicas.write("a/other", "o")
    replicas("a", "commit")
    replicas("b", "fetch")
    for name in ("f", "new"):
        replicas.write(f"a/{name}", "destroyed")
    ended = replicas("b", "merge", code=4)
    assert "no source" in ended.err
    return replicas


def test_missing_versions_are_forgotten_and_the_older_one_stays(lost: Replicas) -> None:
    assert {each["path"] for each in lost.json("b", "status")["pending"]} == {"f", "new"}
    done = lost.json("b", "resolve", "--forget-missing")
    assert done["resolved"] == [{"path": "f"}, {"path": "new"}]
    assert contents(lost.base / "b") == {"f": b"1", "keep": b"k", "other": b"o"}
    assert lost.json("b", "status")["clean"]
    assert "nothing is missing" in lost("b", "resolve", "--forget-missing", code=1).err


def test_one_of_them(lost: Replicas) -> None:
    done = lost.json("b", "resolve", "--forget-missing", "new", code=4)
    assert done["resolved"] == [{"path": "new"}]
    assert [each["path"] for each in done["pending"]] == ["f"]
    assert "nothing is missing at keep" in lost("b", "resolve", "--forget-missing", "keep", code=1).err


def test_not_while_a_remote_may_have_it(lost: Replicas) -> None:
    os.rename(lost.base / "a", lost.base / "away")
    assert "may still be at a remote" in lost("b", "resolve", "--forget-missing", code=3).err
    assert {each["path"] for each in lost.json("b", "status")["pending"]} == {"f", "new"}
