"""``replican fsck --repair``: what is damaged is made anew from whatever still knows it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from folders import assert_equal, contents, snapshot
from replicas import OLD, Replicas

from replican.effects.block_cache import BlockCache
from replican.values.blocks import LEAST, list_blocks
from replican.values.ids import blob_id


@pytest.fixture
def here(replicas: Replicas) -> Replicas:
    """``b`` is a clone of ``a`` with some history, and edits that are not recorded yet."""
    replicas.clone({"f": "content", "d/g": "2", "d/e/h": "3"})
    replicas.write("a/f", "content 2", OLD)
    replicas.write("b/d/g", "of b", OLD)
    replicas("b", "sync")
    replicas.write("b/new", "not recorded", OLD)
    return replicas


def dot(here: Replicas, name: str = "") -> Path:
    return Path(here.base / "b/.replican" / name)


def mend(here: Replicas, *, code: int = 0, damaged: bool = True) -> list[tuple[str, str]]:
    """Repair; no file of the user's is touched, and a sync works afterwards."""
    if damaged:
        here("b", "fsck", "--content", code=6)
    before = snapshot(here.base / "b")
    found = here.json("b", "fsck", "--repair", code=code)
    assert found["ok"] is (code == 0)
    assert all(set(each) == {"what", "name", "how"} for each in found["mended"])
    assert snapshot(here.base / "b") == before
    if not code:
        assert here.json("b", "fsck", "--content", "--repair")["mended"] == []
        here("b", "sync")
        assert_equal(here.base / "a", here.base / "b")
    return [(each["what"], each["name"]) for each in found["mended"]]


def overwrite(path: Path, content: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(content)


def test_where_all_is_well_nothing_is_done(here: Replicas) -> None:
    here("b", "commit")
    before = {path: path.read_bytes() for path in sorted(dot(here, "objects").rglob("*")) if path.is_file()}
    assert mend(here, damaged=False) == []
    assert not dot(here, "damaged").exists()
    assert before.items() <= {path: path.read_bytes() for path in before}.items()


@pytest.mark.parametrize("how", ["gone", "empty", "garbage", "of another", "a directory"])
@pytest.mark.parametrize("kind", ["id", "tree"])
def test_an_object_is_taken_from_the_remote(here: Replicas, kind: str, how: str) -> None:
    entry, other = here.json("b", "log")[:2]
    path = dot(here, f"objects/loose/{entry[kind]}")
    if how in ("gone", "a directory"):
        path.unlink()
    if how == "a directory":
        (path / "in the way").mkdir(parents=True)
    elif how != "gone":
        content = {"empty": b"", "garbage": b"garbage"}.get(how)
        overwrite(path, dot(here, f"objects/loose/{other[kind]}").read_bytes() if content is None else content)
    assert ("object", entry[kind]) in mend(here)


def test_a_tree_that_no_remote_has_is_taken_from_the_index(here: Replicas) -> None:
    here("b", "commit")
    here("b", "remote", "remove", "origin")
    tree = here.json("b", "log")[0]["tree"]
    dot(here, f"objects/loose/{tree}").unlink()
    found = here.json("b", "fsck", "--repair")
    assert [each["how"] for each in found["mended"]] == ["taken from the index"]
    here("b", "fsck", "--content")


def test_an_object_that_nobody_has_is_told(here: Replicas) -> None:
    here("b", "remote", "remove", "origin")
    first = here.json("b", "log")[-1]["id"]
    overwrite(dot(here, f"objects/loose/{first}"), b"garbage")
    assert mend(here, code=6) == [("object", first)]
    assert (dot(here, "damaged") / first).read_bytes() == b"garbage"
    assert "is missing" in here.json("b", "fsck", code=6)["damage"][0]["problem"]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    overwrite(path, bytes(content))


def truncate(path: Path) -> None:
    overwrite(path, path.read_bytes()[:-40])


@pytest.mark.parametrize("suffix", [".pack", ".idx"])
@pytest.mark.parametrize("change", [flip, truncate, Path.unlink])
def test_a_pack_is_salvaged(here: Replicas, suffix: str, change: Callable[[Path], None]) -> None:
    here("b", "gc")
    (path,) = dot(here, "objects/pack").glob(f"*{suffix}")
    change(path)
    mended = mend(here)
    assert ("object", path.stem) in mended
    if suffix == ".idx":
        assert len(mended) == 1, "all objects are in the pack, whole"
    elif change is flip:
        assert len(mended) == 2, "one object was damaged, and came from the remote"


def test_a_repair_that_was_cut_off_is_gone_on_with(here: Replicas) -> None:
    here("b", "gc")
    here("b", "remote", "remove", "origin")
    dot(here, "damaged").mkdir()
    for path in dot(here, "objects/pack").iterdir():
        path.rename(dot(here, "damaged") / path.name)
    here("b", "fsck", code=6)
    here("b", "fsck", "--repair")
    here("b", "fsck", "--content")


@pytest.mark.parametrize("content", [b"", b"nonsense\n", b"0123456789abcdef" * 4 + b"\n", None])
@pytest.mark.parametrize("name", ["head", "remotes/origin/head"])
def test_a_ref_is_put_back(here: Replicas, name: str, content: bytes | None) -> None:
    path = dot(here, f"refs/{name}")
    good = path.read_bytes()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    assert mend_ref(here, path) == [("ref", name)]
    assert path.read_bytes() == good


def mend_ref(here: Replicas, path: Path) -> list[tuple[str, str]]:
    here("b", "fsck", code=6)
    found = here.json("b", "fsck", "--repair")
    assert path.is_file()
    here("b", "fsck", "--content")
    return [(each["what"], each["name"]) for each in found["mended"]]


def test_what_lies_in_a_refs_place_is_set_aside(here: Replicas) -> None:
    path = dot(here, "refs/head")
    good = path.read_bytes()
    path.unlink()
    (path / "in the way").mkdir(parents=True)
    assert mend_ref(here, path) == [("ref", "head")]
    assert path.read_bytes() == good
    assert (dot(here, "damaged") / "head/in the way").is_dir()
    shutil.rmtree(dot(here, "refs/remotes/origin"))
    os.mkfifo(dot(here, "refs/remotes/origin"))
    here("b", "fsck", "--repair")
    here("b", "sync")


def test_a_remotes_ref_without_reflog_is_made_anew_by_a_fetch(here: Replicas) -> None:
    dot(here, "refs/remotes/origin/head.log").unlink()
    dot(here, "refs/remotes/origin/head").write_bytes(b"nonsense")
    assert mend(here) == [("ref", "remotes/origin/head")]


def test_reflogs(here: Replicas) -> None:
    log = dot(here, "refs/head.log")
    good = log.read_bytes()
    log.write_bytes(b"what is this\n" + good + b"cut o")
    assert mend(here) == [("reflog", "head")]
    assert log.read_bytes().startswith(good)
    log.unlink()
    assert ("reflog", "head") in mend(here)
    assert len(here.json("b", "reflog")) == 1


@pytest.mark.parametrize("at", [0, 5000])
def test_the_index(here: Replicas, at: int) -> None:
    """Damage at its beginning is found by opening it, the other by reading it. Then all files are known again."""
    here("b", "commit")
    path = dot(here, "index.db")
    content = bytearray(path.read_bytes())
    content[at : at + 4000] = os.urandom(4000)
    path.write_bytes(content)
    here("b", "fsck", "--content", code=6)
    assert here.json("b", "fsck", "--repair")["mended"] == [
        {"what": "index", "name": "index.db", "how": "made anew by a scan of the folder"}
    ]
    assert here.json("b", "fsck", "--content")["files"] == len(contents(here.base / "b"))
    assert mend(here, damaged=False) == []


def test_all_at_once(here: Replicas) -> None:
    for path in dot(here, "objects/loose").iterdir():
        path.unlink()
    dot(here, "refs/head").unlink()
    dot(here, "index.db").write_bytes(b"no index")
    kinds = {what for what, _ in mend(here)}
    assert kinds == {"object", "ref", "index"}


def test_the_config_is_for_its_user(here: Replicas) -> None:
    path = dot(here, "config.toml")
    path.write_text(path.read_text().replace("[remotes", "[trash]\nexpiry_days = 'soon'\n[remotes"))
    assert mend(here, code=6) == []


def test_damaged_block_lists_make_room(here: Replicas) -> None:
    path = dot(here, "blocks.db")
    with BlockCache(str(path)) as cache:
        cache.put(blob_id(b"x"), list_blocks([(LEAST, bytes(16))]))
    assert mend(here, damaged=False) == []
    overwrite(path, path.read_bytes().replace(b"\x01" + LEAST.to_bytes(8, "big"), b"\x01" + bytes(8)))
    (damage,) = here.json("b", "fsck", code=6)["damage"]
    assert (damage["what"], damage["name"]) == ("blocks", "blocks.db")
    assert mend(here) == [("blocks", "blocks.db")]
    assert not path.exists()
    assert dot(here, "damaged/blocks.db").exists()
