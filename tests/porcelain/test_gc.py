"""``replican gc``."""

import os
import time

import pytest
from folders import contents, write
from replicas import Replicas

from replican.effects.block_cache import BlockCache
from replican.effects.index import Index
from replican.values.blocks import LEAST, list_blocks
from replican.values.ids import blob_id


@pytest.fixture
def here(replicas: Replicas) -> Replicas:
    replicas.clone({"f": "1", "g": "2", "d/h": "3"})
    for number in range(5):
        replicas.write("a/f", f"edit {number}")
        replicas("b", "sync")
    return replicas


def objects(replicas: Replicas) -> list[str]:
    found = []
    for _, _, files in os.walk(replicas.base / "b/.replican/objects"):
        found += files
    return found


def trash(replicas: Replicas) -> set[bytes]:
    return {path.read_bytes() for path in (replicas.base / "b/.replican/trash").iterdir()}


def test_the_log_is_packed_and_says_the_same(here: Replicas) -> None:
    log = here.json("b", "log")
    assert len(objects(here)) > 10
    done = here.json("b", "gc")
    assert (done["dropped"], done["trash"], done["dry_run"]) == (0, 0, False)
    assert done["kept"] == 6 + 7
    assert sorted(name.rpartition(".")[2] for name in objects(here)) == ["idx", "pack"]
    assert here.json("b", "log") == log
    here("b", "fsck", "--content")
    here.write("b/f", "after")
    here("b", "sync")
    assert here.read("a/f") == "after"


def test_the_trash_expires(here: Replicas) -> None:
    assert trash(here) == {b"1", b"edit 0", b"edit 1", b"edit 2", b"edit 3"}
    assert here.json("b", "gc")["trash"] == 0
    assert here.json("b", "gc", "--dry-run", "--trash", "0")["trash"] == 5
    assert len(trash(here)) == 5
    done = here.json("b", "gc", "--trash", "0")
    assert (done["trash"], done["trash_size"]) == (5, 1 + 4 * 6)
    assert trash(here) == set()
    here("b", "config", "set", "trash.expiry_days", "0")
    here.write("a/f", "more")
    here("b", "sync")
    assert here.json("b", "gc")["trash"] == 1


def test_what_the_head_needs_is_spared(here: Replicas) -> None:
    here.write("a/new", "needed")
    here.write("b/new", "needed")
    here("b", "sync")
    os.unlink(here.base / "a/new")
    here("b", "sync")
    assert b"needed" in trash(here)
    here.write("a/again", "needed")
    here("a", "commit")
    here("b", "fetch")
    (here.base / "b/again").mkdir()
    here("b", "merge", code=None)
    os.unlink(here.base / "a/again")
    os.rename(here.base / "a", here.base / "away")
    if any(each["path"] == "again" for each in here.json("b", "status")["pending"]):
        done = here.json("b", "gc", "--trash", "0")
        assert done["spared"] >= 1
        assert b"needed" in trash(here)


def test_a_deletion_that_is_not_recorded_yet_is_not_final(here: Replicas) -> None:
    """The head has it, the folder not any more: the trash may be the last that has it."""
    here.write("a/g", "edited")
    here("b", "sync")
    here.write("a/g", "2")
    here("b", "sync")
    os.unlink(here.base / "b/g")
    assert b"2" in trash(here)
    assert here.json("b", "gc", "--trash", "0")["spared"] == 1
    assert trash(here) == {b"2"}
    os.rename(here.base / "a", here.base / "away")
    here("b", "restore", "g")
    assert here.read("b/g") == "2"


def test_the_same_content_expires_with_the_last_that_was_taken(here: Replicas) -> None:
    directory = here.base / "b/.replican/trash"
    first = min(directory.iterdir())
    content = first.read_bytes()
    long_ago = time.time_ns() - 100 * 86400 * 10**9
    here.write("a/f", content)
    here("b", "sync")
    here.write("a/f", "yet another")
    here("b", "sync")
    assert (directory / f"{first.name}-2").read_bytes() == content
    with Index.open(str(here.base / "b/.replican/index.db"), writable=True) as index:
        index.add_trash(
            [item._replace(time_ns=long_ago) for item in index.trash() if item.file == os.fsencode(first.name)]
        )
    here("b", "gc")
    assert first.read_bytes() == content


def test_what_no_row_tells_of_goes_by_its_time(here: Replicas) -> None:
    os.unlink(here.base / "b/.replican/index.db")
    here("b", "commit")
    assert len(trash(here)) == 5
    assert here.json("b", "gc")["trash"] == 0
    assert here.json("b", "gc", "--trash", "0")["trash"] == 5
    assert trash(here) == set()


def test_objects_that_nothing_refers_to(here: Replicas) -> None:
    tree = here("b", "write-tree").text.strip()
    made = here("b", "mktree", code=0).text.strip()
    assert made != tree
    stray = here.json("b", "gc", "--dry-run", "--grace", "0")["dropped"]
    here("b", "remote", "remove", "origin")
    assert here.json("b", "gc", "--dry-run")["dropped"] == 0
    done = here.json("b", "gc", "--grace", "0")
    assert done["dropped"] == stray
    here("b", "fsck")


def test_a_stale_stage_is_cleared_and_a_fresh_one_is_not(here: Replicas) -> None:
    stage = here.base / "b/.replican/stage"
    write(stage / ("a" * 64), "left over")
    assert here.json("b", "gc")["stage"] == 0
    assert os.listdir(stage) == ["a" * 64]


def test_what_is_still_written_to_comes_back_first(here: Replicas) -> None:
    with open(here.base / "b/g", "ab", buffering=0) as held:
        here.write("a/g", "by a")
        here("b", "sync")
        held.write(b" and more")
    here("b", "gc", "--trash", "0")
    assert b"2 and more" in set(contents(here.base / "b").values())


def test_a_damaged_object_stops_it(here: Replicas) -> None:
    head = here.head("b")
    path = here.base / "b/.replican/objects/loose" / head
    path.chmod(0o600)
    path.write_bytes(b"damaged")
    before = sorted(objects(here))
    ended = here("b", "gc", code=6)
    assert head in ended.err
    assert sorted(objects(here)) == before


def test_usage(here: Replicas) -> None:
    here("b", "gc", "--trash", "-1", code=2)
    here("b", "gc", "--grace", "x", code=2)
    assert here("b", "gc", "-n").lines[0].endswith("objects would be packed, 0 would be dropped")


def test_block_lists_go_with_their_content(here: Replicas) -> None:
    """Of what the folder or the trash has they stay."""
    blocks = list_blocks([(LEAST, bytes(16))])
    contents_there = [blob_id(content) for content in (b"edit 4", b"edit 1", b"long gone")]
    with BlockCache(str(here.base / "b/.replican/blocks.db")) as cache:
        for each in contents_there:
            cache.put(each, blocks)
    assert here.json("b", "gc", "--dry-run")["block_lists"] == 1
    assert here.json("b", "gc")["block_lists"] == 1
    with BlockCache(str(here.base / "b/.replican/blocks.db")) as cache:
        assert cache.blobs() == set(contents_there[:2])
    assert here("b", "gc", "--trash", "0").lines[-1] == "block lists: 1 dropped"
    with BlockCache(str(here.base / "b/.replican/blocks.db")) as cache:
        assert cache.get(contents_there[0]) == blocks
        assert cache.blobs() == {contents_there[0]}
