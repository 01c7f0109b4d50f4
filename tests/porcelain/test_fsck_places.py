"""``replican fsck``: something else has the place of what replican keeps."""

import os
import shutil
from pathlib import Path

import pytest
from folders import assert_equal, contents, snapshot
from replicas import OLD, Replicas


@pytest.fixture
def here(replicas: Replicas) -> Replicas:
    """``b`` is a clone of ``a``, with something in its trash and edits that are not recorded yet."""
    replicas.clone({"f": "content", "d/g": "2"})
    replicas.write("a/f", "content 2", OLD)
    replicas("b", "sync")
    replicas.write("b/new", "not recorded", OLD)
    return replicas


def dot(here: Replicas, name: str) -> Path:
    return Path(here.base / "b/.replican" / name)


def put(path: Path, kind: str) -> None:
    """Have something of that kind at ``path``, in the place of what is there."""
    aside = path.with_name("taken away")
    if os.path.lexists(path):
        path.rename(aside)
    if kind == "a link":
        path.symlink_to(aside)
    elif kind == "a file":
        path.write_text("in the way")
    elif kind == "a fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
        (path / "inside").write_text("in the way")


DIRECTORIES = ["objects", "objects/loose", "refs", "stage", "trash", "hooks"]
FILES = ["lock", "refs/.lock"]


@pytest.mark.parametrize("kind", ["a link", "a file", "a fifo"])
@pytest.mark.parametrize("name", DIRECTORIES)
def test_in_the_place_of_a_directory(here: Replicas, name: str, kind: str) -> None:
    put(dot(here, name), kind)
    found = here.json("b", "fsck", code=6)["damage"]
    shown = kind if kind != "a fifo" else "no directory"
    problem = f"is {shown}: something else has its place"
    assert {"what": "place", "name": name, "problem": problem} in found


@pytest.mark.parametrize("kind", ["a link", "a directory", "a fifo"])
@pytest.mark.parametrize("name", FILES)
def test_in_the_place_of_a_file(here: Replicas, name: str, kind: str) -> None:
    put(dot(here, name), kind)
    before = snapshot(here.base / "b")
    (damage,) = here.json("b", "fsck", code=6)["damage"]
    assert (damage["what"], damage["name"]) == ("place", name)
    if kind != "a fifo":  # which can be locked like any file
        here("b", "commit", code=6)
    done = here.json("b", "fsck", "--repair")
    assert [(each["what"], each["name"]) for each in done["mended"]] == [("place", name)]
    assert snapshot(here.base / "b") == before
    here("b", "sync")
    assert_equal(here.base / "a", here.base / "b")


@pytest.mark.parametrize("kind", ["a file", "a fifo"])
@pytest.mark.parametrize("name", ["stage", "trash", "hooks"])
def test_what_is_in_the_way_is_set_aside(here: Replicas, name: str, kind: str) -> None:
    put(dot(here, name), kind)
    before = snapshot(here.base / "b")
    done = here.json("b", "fsck", "--repair")
    assert ("place", name) in [(each["what"], each["name"]) for each in done["mended"]]
    assert os.path.lexists(dot(here, f"damaged/{name}"))
    assert snapshot(here.base / "b") == before
    here("b", "sync")
    assert_equal(here.base / "a", here.base / "b")
    here("b", "fsck")


@pytest.mark.parametrize("name", DIRECTORIES)
def test_a_link_is_for_its_user(here: Replicas, name: str, tmp_path: Path) -> None:
    """It may lead to what belongs there, on another disk: nothing is written through it, and nothing lost."""
    if name == "objects/loose":
        pytest.skip("what it leads to is read, and made anew")
    put(dot(here, name), "a link")
    outside = dot(here, name).with_name("taken away")
    before = contents(here.base / "b"), sorted(os.listdir(outside))
    assert "is a link" in here("b", "fsck", "--repair", code=6).err
    assert (contents(here.base / "b"), sorted(os.listdir(outside))) == before
    dot(here, name).unlink()
    shutil.move(outside, dot(here, name))
    here("b", "sync")
    assert_equal(here.base / "a", here.base / "b")
