"""The cache of block lists: it knows, or it does not, and is never wrong."""

import os
import sqlite3
from pathlib import Path

import pytest

from replican.effects.block_cache import BlockCache, check_cache
from replican.values.blocks import LEAST, BlockList, list_blocks
from replican.values.ids import BlobId, blob_id
from replican.values.sums import PIECE, SUM_SIZE


def a_list(*names: int) -> BlockList:
    return list_blocks((LEAST, blob_id(b"%d" % name)[:16]) for name in names)


def blob(number: int) -> BlobId:
    return blob_id(b"blob %d" % number)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "blocks.db")


def fill(path: str, count: int = 3) -> dict[BlobId, BlockList]:
    known = {blob(number): a_list(*range(number, number + 5)) for number in range(count)}
    with BlockCache(path) as cache:
        for each, blocks in known.items():
            cache.put(each, blocks)
    return known


def test_what_was_put_is_there(path: str) -> None:
    known = fill(path)
    with BlockCache(path) as cache:
        assert {each: cache.get(each) for each in known} == known
        assert cache.get(blob(99)) is None
        assert cache.blobs() == set(known)
        cache.put(blob(0), a_list(7))
        assert cache.get(blob(0)) == a_list(7)
    assert check_cache(path) is None


def test_nothing_is_made_before_a_list_is_put(path: str) -> None:
    with BlockCache(path) as cache:
        assert (cache.get(blob(0)), cache.blobs(), cache.sharing(a_list(1), 3)) == (None, set(), [])
        cache.drop([blob(0)])
    assert not os.path.exists(path)
    assert check_cache(path) is None


def test_who_shares_most_comes_first(path: str) -> None:
    fill(path, 8)
    with BlockCache(path) as cache:
        assert cache.sharing(a_list(3, 4, 5, 6, 7), 2)[0] == blob(3)
        assert set(cache.sharing(a_list(3, 4, 5, 6, 7), 3)) <= {blob(2), blob(3), blob(4)}
        assert cache.sharing(a_list(100), 3) == []
        cache.drop([blob(3)])
        assert blob(3) not in cache.sharing(a_list(3, 4, 5, 6, 7), 9)


def test_large_files_are_found_by_a_part_of_their_blocks(path: str) -> None:
    with BlockCache(path) as cache:
        cache.put(blob(1), a_list(*range(1000)))
        cache.put(blob(2), a_list(*range(1000, 1060)))
        assert cache.sharing(a_list(*range(500, 1500)), 2) == [blob(1), blob(2)]
        assert cache.sharing(a_list(*range(900, 950)), 2) == [blob(1)]


def test_it_stays_small_and_what_was_used_last_stays(path: str) -> None:
    size = len(a_list(1).encoded)
    with BlockCache(path, limit=4 * size) as cache:
        for number in range(4):
            cache.put(blob(number), a_list(number))
        with sqlite3.connect(path) as database:
            database.execute("UPDATE lists SET used = 0 WHERE blob = ?", (blob(0),))
            database.execute("UPDATE lists SET used = 1 WHERE blob = ?", (blob(2),))
        database.close()
        assert cache.get(blob(0)) == a_list(0)
        cache.put(blob(4), a_list(4))
        assert cache.blobs() == {blob(0), blob(1), blob(3), blob(4)}
        cache.put(blob(5), a_list(*range(100)))
        assert blob(5) not in cache.blobs()


def test_what_is_dropped_gives_its_room_back(path: str) -> None:
    with BlockCache(path) as cache:
        for number in range(20):
            cache.put(blob(number), a_list(*range(1000 * number, 1000 * number + 1000)))
    before = os.path.getsize(path)
    with BlockCache(path) as cache:
        cache.drop([blob(number) for number in range(1, 20)])
        assert cache.blobs() == {blob(0)}
    assert os.path.getsize(path) < before / 5


@pytest.mark.parametrize("share", range(0, 100, 2))
def test_damage_anywhere_gives_no_wrong_list(path: str, share: int) -> None:
    known = fill(path, 40)
    content = bytearray(Path(path).read_bytes())
    at = len(content) * share // 100
    content[at : at + 64] = bytes(64)
    Path(path).write_bytes(content)
    found = check_cache(path)
    with BlockCache(path) as cache:
        for each, blocks in known.items():
            assert cache.get(each) in (blocks, None)
        if found is None:
            assert all(cache.get(each) == blocks for each, blocks in known.items())
        # A write may find what reading did not, and then all that there was before is gone.
        for each, blocks in known.items():
            cache.put(each, blocks)
            assert cache.get(each) == blocks


def fine(blocks: BlockList, byte: int = 0) -> bytes:
    return bytes([byte]) * (len(blocks) * LEAST // PIECE * SUM_SIZE)


def test_fine_sums(path: str) -> None:
    known = fill(path)
    with BlockCache(path) as cache:
        for number, (each, blocks) in enumerate(known.items()):
            assert cache.sums(each, blocks) is None
            cache.put_sums(each, fine(blocks, number))
        for number, (each, blocks) in enumerate(known.items()):
            found = cache.sums(each, blocks)
            assert found is not None
            assert found.encoded == fine(blocks, number)
        assert cache.sums(blob(0), a_list(1)) is None  # of so many blocks there are others
        assert cache.sums(blob(99), a_list(1)) is None
        cache.put_sums(blob(3), fine(a_list(1)), blob(0))
        assert cache.sums(blob(0), known[blob(0)]) is None
        assert cache.sums(blob(3), a_list(1)) is not None
        cache.drop([blob(1)])
        assert cache.sums(blob(1), known[blob(1)]) is None
        assert cache.sums(blob(2), known[blob(2)]) is not None
    assert check_cache(path) is None


def test_fine_sums_stay_few_and_the_youngest_stay(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = a_list(1)
    monkeypatch.setattr("replican.effects.block_cache.SUMS_LIMIT", 3 * len(fine(blocks)))
    with BlockCache(path) as cache:
        for number in range(5):
            cache.put_sums(blob(number), fine(blocks))
        assert [cache.sums(blob(number), blocks) is not None for number in range(5)] == [False, False, True, True, True]
        cache.put_sums(blob(5), fine(a_list(*range(4))))
        assert cache.sums(blob(5), a_list(*range(4))) is None
        assert cache.sums(blob(4), blocks) is not None


def test_damaged_fine_sums_are_none(path: str) -> None:
    known = fill(path, 2)
    with BlockCache(path) as cache:
        for each, blocks in known.items():
            cache.put_sums(each, fine(blocks))
    with sqlite3.connect(path) as database:
        database.execute("UPDATE sums SET sums = ? WHERE blob = ?", (fine(known[blob(0)], 1), blob(0)))
    database.close()
    assert check_cache(path) == "fine sums are not what was written"
    with BlockCache(path) as cache:
        assert cache.sums(blob(0), known[blob(0)]) is None
        assert cache.sums(blob(1), known[blob(1)]) is not None


def test_a_cache_of_before_has_no_fine_sums_and_gets_some(path: str) -> None:
    known = fill(path)
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE sums")
    database.close()
    assert check_cache(path) is None
    with BlockCache(path) as cache:
        assert cache.sums(blob(0), known[blob(0)]) is None
        assert cache.get(blob(0)) == known[blob(0)]
        cache.put_sums(blob(0), fine(known[blob(0)]))
        assert cache.sums(blob(0), known[blob(0)]) is not None
        assert cache.blobs() == set(known)


def test_a_list_under_another_blob_is_none(path: str) -> None:
    fill(path, 2)
    with sqlite3.connect(path) as database:
        (encoded,) = database.execute("SELECT blocks FROM lists WHERE blob = ?", (blob(1),)).fetchone()
        database.execute("UPDATE lists SET blocks = ? WHERE blob = ?", (encoded, blob(0)))
    database.close()
    assert check_cache(path) == "a block list is not what was written"
    with BlockCache(path) as cache:
        assert cache.get(blob(0)) is None
        assert cache.blobs() == {blob(1)}


@pytest.mark.parametrize("content", [b"", b"garbage", b"SQLite format 3\0" + bytes(200)])
def test_what_is_no_database_is_made_anew(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)
    assert check_cache(path) is not None
    with BlockCache(path) as cache:
        assert cache.get(blob(0)) is None
    known = fill(path)
    with BlockCache(path) as cache:
        assert cache.blobs() == set(known)
    assert check_cache(path) is None


def test_nothing_is_written_through_a_link_nor_waited_for(path: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for make in (lambda: os.symlink("elsewhere", path), lambda: os.mkdir(path), lambda: os.mkfifo(path)):
        make()
        assert check_cache(path) == "blocks.db is not a file"
        with BlockCache(path) as cache:
            cache.put(blob(0), a_list(1))
            assert cache.get(blob(0)) is None
        os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
    assert not (tmp_path / "elsewhere").exists()


def test_who_finds_it_busy_goes_without(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replican.effects.block_cache._BUSY_SECONDS", 0)
    known = fill(path)
    busy = sqlite3.connect(path, isolation_level=None)
    busy.execute("BEGIN IMMEDIATE")
    try:
        with BlockCache(path) as cache:
            assert cache.get(blob(0)) == known[blob(0)]
            cache.put(blob(9), a_list(9))
            assert cache.get(blob(9)) is None
    finally:
        busy.close()
    with BlockCache(path) as cache:
        assert cache.blobs() == set(known)


def test_two_at_once(path: str) -> None:
    with BlockCache(path) as one, BlockCache(path) as other:
        one.put(blob(1), a_list(1))
        other.put(blob(2), a_list(2))
        assert one.blobs() == other.blobs() == {blob(1), blob(2)}


def test_short_lists_find_but_are_not_kept(path: str) -> None:
    fill(path, 8)
    short = a_list(3, 4, 5, 6, 7).shortened()
    with BlockCache(path) as cache:
        assert cache.sharing(short, 1) == [blob(3)]
        with pytest.raises(ValueError, match="short"):
            cache.put(blob(3), short)
