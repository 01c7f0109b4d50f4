"""Doubles: what seems to be a copy of a known file is told at once; whether it is one, its id says."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from counted import Counted
from folders import noise, write

from replican.effects.block_cache import BlockCache
from replican.effects.blocks import blocks_of_pieces
from replican.effects.doubles import DOUBLE_FROM, Doubles
from replican.effects.earlysending import EarlySender
from replican.effects.earlytaking import EarlyTaker, OldVersion
from replican.effects.precutting import Precutter
from replican.operations.recording import record
from replican.repository import Repository
from replican.values.early import encode_beginning, encode_ending, encode_run, end_of_early
from replican.values.ids import BlobId, blob_id
from replican.values.progress import Silent
from replican.values.streams import StreamReader

MIB = 1 << 20
SIZE = DOUBLE_FROM + 12_345
CONTENT = noise(MIB) * (SIZE // MIB) + noise(SIZE % MIB, 2)
LONG_AGO = 10**18


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[Repository]:
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder/d/large", CONTENT)
    write(tmp_path / "folder/d/small", CONTENT[:MIB])
    os.utime(tmp_path / "folder/d/large", ns=(LONG_AGO, LONG_AGO))
    with Repository.init(str(tmp_path / "folder")) as repo:
        record(repo)
        while any(row.is_smudged for row in repo.index.rows(b"d")):
            record(repo)  # else they were read once more, by other processes
        yield repo


def double_of(repo: Repository, path: Path) -> BlobId | None:
    fd = os.open(path, os.O_RDONLY)
    try:
        with Doubles(repo.root, lambda: repo.index) as doubles:
            return doubles.of(fd)
    finally:
        os.close(fd)


def copied(repo: Repository, content: bytes = CONTENT) -> Path:
    return write(Path(repo.root) / "new/copy", content)


def recorded_early(repo: Repository) -> bytes:
    """What is sent while it is recorded."""
    stream = bytearray()
    with (
        EarlySender(stream.extend, lambda: None) as early,
        Doubles(repo.root, lambda: repo.index) as doubles,
    ):
        record(
            repo,
            mirror=Precutter(repo.block_cache_path, lambda path: repo.index.rows(path), True, None, early, doubles),
        )
        early.end()
    return bytes(stream)


def taken(stage: Path, source: Path, stream: bytes, wanted: bytes) -> bool:
    """Whether a stream makes ``wanted`` of what the other end has."""
    pieces = iter([stream])
    with EarlyTaker(str(stage), lambda old: OldVersion(os.open(source, os.O_RDONLY), None)) as taker:
        taker.take(StreamReader(lambda: next(pieces)), Silent())
        return blob_id(wanted) in taker.came


def test_a_copy(repo: Repository) -> None:
    assert double_of(repo, copied(repo)) == blob_id(CONTENT)


@pytest.mark.parametrize("at", [0, SIZE // 2, SIZE - 1])
def test_what_is_another_where_it_is_looked_at_is_none(repo: Repository, at: int) -> None:
    at = SIZE * 32 // 65 if at == SIZE // 2 else at
    other = bytearray(CONTENT)
    other[at] ^= 1
    assert double_of(repo, copied(repo, bytes(other))) is None


def test_what_is_shorter_or_small_is_none(repo: Repository) -> None:
    assert double_of(repo, copied(repo, CONTENT[:-1])) is None
    assert double_of(repo, copied(repo, CONTENT[: DOUBLE_FROM - 1])) is None


def test_of_what_has_changed_since_nothing_is_a_copy(repo: Repository) -> None:
    copy = copied(repo)
    os.utime(Path(repo.root) / "d/large")
    assert double_of(repo, copy) is None


def test_nothing_is_a_copy_of_itself(repo: Repository) -> None:
    assert double_of(repo, Path(repo.root) / "d/large") is None
    os.link(Path(repo.root) / "d/large", Path(repo.root) / "linked")
    record(repo)
    assert double_of(repo, Path(repo.root) / "linked") is None


def test_a_known_file_behind_a_link_is_not_looked_at(repo: Repository, tmp_path: Path) -> None:
    copy = copied(repo)
    shutil.move(f"{repo.root}/d", tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", f"{repo.root}/d")
    assert double_of(repo, copy) is None


def test_a_copy_is_sent_as_one_while_it_is_read(repo: Repository, tmp_path: Path) -> None:
    copied(repo)
    stream = recorded_early(repo)
    runs = b"".join(encode_run(at, min(MIB, SIZE - at)) for at in range(0, SIZE, MIB))
    whole = encode_beginning(blob_id(CONTENT), SIZE) + runs + encode_ending(True) + end_of_early()
    assert stream == whole
    row = repo.index.row(b"new/copy")
    assert row is not None
    assert row.id == blob_id(CONTENT)
    assert taken(tmp_path / "stage", Path(repo.root) / "d/large", stream, CONTENT)


def test_the_bytes_of_a_copy_are_shown_while_it_is_read(repo: Repository) -> None:
    copied(repo)
    shown = Counted()
    repo.progress = shown
    recorded_early(repo)
    assert shown.done["reading"] == shown.wanted["reading"] == [1, len(CONTENT)]
    assert shown.steps["reading"] > 2


def test_what_only_seems_to_be_a_copy_is_not(repo: Repository, tmp_path: Path) -> None:
    """Its id is that of what it holds, and nothing is made of what was told."""
    other = bytearray(CONTENT)
    other[20_000] ^= 1
    copied(repo, bytes(other))
    stream = recorded_early(repo)
    assert stream.startswith(encode_beginning(blob_id(CONTENT), SIZE))
    assert stream.endswith(encode_ending(False) + end_of_early())
    row = repo.index.row(b"new/copy")
    assert row is not None
    assert row.id == blob_id(other)
    stage = tmp_path / "stage"
    assert not taken(stage, Path(repo.root) / "d/large", stream, bytes(other))
    assert os.listdir(stage) == []


def test_several_copies_are_read_by_who_sends(repo: Repository) -> None:
    for name in ("new/a", "new/b", "d/c"):
        write(Path(repo.root) / name, CONTENT)
    assert recorded_early(repo).count(encode_beginning(blob_id(CONTENT), SIZE)) == 3


def test_a_copy_in_the_place_of_an_edited_file_is_cut(repo: Repository, tmp_path: Path) -> None:
    """Its old version is what is likely to be there."""
    write(Path(repo.root) / "d/small", CONTENT)
    record(repo)
    with BlockCache(repo.block_cache_path) as cache:
        cache.put(blob_id(CONTENT), blocks_of_pieces([CONTENT]))
    edited = CONTENT[: SIZE // 2] + b"x" + CONTENT[SIZE // 2 + 1 :]
    write(Path(repo.root) / "d/small", edited)
    stream = recorded_early(repo)
    assert stream.endswith(encode_ending(True) + end_of_early())
    assert taken(tmp_path / "stage", Path(repo.root) / "d/large", stream, edited)
    assert b"b\0" in stream  # of the block that differs, bytes come
