"""Cutting while a scan hashes: the list of an edited file is there afterwards, and is that of what was read."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from folders import noise, write

from replican.chunking import LARGE
from replican.effects.block_cache import BlockCache
from replican.effects.blocks import blocks_of_pieces
from replican.effects.earlysending import EarlySender
from replican.effects.freezing import Freezer
from replican.effects.precutting import Precutter
from replican.effects.staging import Stage
from replican.operations.recording import record
from replican.repository import Repository
from replican.values.blocks import BlockList
from replican.values.early import end_of_early
from replican.values.ids import blob_id

OLD = noise(LARGE + 200_000)
NEW = OLD[:500_000] + b"edited" + OLD[500_000:]


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[Repository]:
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder/d/large", OLD)
    write(tmp_path / "folder/d/small", b"small")
    with Repository.init(str(tmp_path / "folder")) as repo:
        record(repo)
        yield repo


def lists_after(repo: Repository, changes: dict[str, bytes], *, will_ask: bool = True) -> dict[str, BlockList | None]:
    """Write these, record, and see which lists there are."""
    for path, content in changes.items():
        write(Path(repo.root) / path, content)
    precutter = Precutter(repo.block_cache_path, lambda path: repo.index.rows(path), will_ask)
    record(repo, mirror=precutter)
    for path, content in changes.items():
        row = repo.index.row(os.fsencode(path))
        assert row is not None
        assert (row.id, row.size) == (blob_id(content), len(content))
    with BlockCache(repo.block_cache_path) as cache:
        return {path: cache.get(blob_id(content)) for path, content in changes.items()}


def test_what_was_edited_is_cut(repo: Repository) -> None:
    assert lists_after(repo, {"d/large": NEW, "d/small": b"edited"}) == {
        "d/large": blocks_of_pieces([NEW]),
        "d/small": None,
    }


def test_what_is_new_is_not(repo: Repository) -> None:
    assert lists_after(repo, {"d/new": NEW, "other/large": NEW + b"x"}) == {"d/new": None, "other/large": None}


def test_where_nobody_will_ask_only_what_was_cut_before_is(repo: Repository) -> None:
    assert lists_after(repo, {"d/large": NEW}, will_ask=False) == {"d/large": None}
    with BlockCache(repo.block_cache_path) as cache:
        cache.put(blob_id(NEW), blocks_of_pieces([NEW]))
    assert lists_after(repo, {"d/large": OLD}, will_ask=False) == {"d/large": blocks_of_pieces([OLD])}


def test_what_is_to_be_copied_is_copied(repo: Repository) -> None:
    with Stage(f"{repo.dotdir}/stage") as stage:
        freezer = Freezer(stage, [b"d/large"])
        try:
            write(Path(repo.root) / "d/large", NEW)
            record(repo, mirror=Precutter(repo.block_cache_path, lambda path: repo.index.rows(path), True, freezer))
            freezer.end()
            fd = freezer.open(blob_id(NEW))
            assert fd is not None
            assert os.read(fd, len(NEW) + 1) == NEW
            os.close(fd)
        finally:
            freezer.close()


def test_many_large_files_are_read_by_others_and_are_not_cut(repo: Repository) -> None:
    many = {f"d/{number}": noise(3 * LARGE, number) for number in range(4)}
    assert set(lists_after(repo, many).values()) == {None}
    edited = {path: content + b"x" for path, content in many.items()}
    assert set(lists_after(repo, edited).values()) == {None}


def large_files(repo: Repository, edit: bytes, count: int = 6) -> dict[str, bytes]:
    """Files of more than 8 MiB together."""
    files = {f"d/{number}": noise(2 * LARGE, number) + edit for number in range(count)}
    for path, content in files.items():
        write(Path(repo.root) / path, content)
    return files


def recorded_early(repo: Repository) -> bytes:
    """What is sent while it is recorded."""
    stream = bytearray()
    with EarlySender(stream.extend, lambda: None) as early:
        record(repo, mirror=Precutter(repo.block_cache_path, lambda path: repo.index.rows(path), True, None, early))
        early.end()
    return bytes(stream)


def test_several_large_files_that_were_edited_are_sent_early(repo: Repository) -> None:
    large_files(repo, b"")
    assert recorded_early(repo) == end_of_early()
    with BlockCache(repo.block_cache_path) as cache:
        for content in large_files(repo, b"1").values():
            cache.put(blob_id(content[:-1]), blocks_of_pieces([content[:-1]]))
    assert recorded_early(repo).count(b"a" + blob_id(noise(2 * LARGE, 3))) == 1
    files = large_files(repo, b"2")
    stream = recorded_early(repo)
    assert all(b"a" + blob_id(content[:-1] + b"1") in stream for content in files.values())
    assert len(stream) < 6 * 10_000
    row = repo.index.row(b"d/3")
    assert row is not None
    assert row.id == blob_id(files["d/3"])


def test_where_most_is_new_it_is_read_by_others(repo: Repository) -> None:
    """One file that would come early is none of them, then."""
    (content,) = large_files(repo, b"1", 1).values()
    record(repo)
    with BlockCache(repo.block_cache_path) as cache:
        cache.put(blob_id(content), blocks_of_pieces([content]))
    large_files(repo, b"2")
    assert recorded_early(repo) == end_of_early()
