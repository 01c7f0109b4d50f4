import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replican.values.blocks import (
    BLOCKS_LIMIT,
    ENCODED_LIMIT,
    LEAST,
    MOST,
    Block,
    BlockList,
    list_blocks,
    parse_blocks,
)
from replican.values.errors import MalformedError, UnsupportedError
from replican.values.trees import SIZE_LIMIT

HASHES = st.binary(min_size=16, max_size=16)
WHOLE = st.lists(st.tuples(st.integers(LEAST, MOST), HASHES), max_size=20)
LAST = st.lists(st.tuples(st.integers(1, MOST), HASHES), max_size=1)
PIECES = st.builds(lambda whole, last: whole + last, WHOLE, LAST)


def encoded(version: int, size: int, count: int, lengths: list[int]) -> bytes:
    return struct.pack(">BQI", version, size, count) + b"".join(struct.pack(">I16s", each, b"") for each in lengths)


@given(PIECES)
def test_a_list_comes_back_from_its_encoding(pieces: list[tuple[int, bytes]]) -> None:
    blocks = list_blocks(pieces)
    assert [(block.length, block.hash) for block in blocks] == pieces
    assert len(blocks) == len(pieces)
    assert blocks.size == sum(length for length, _ in pieces)
    again = parse_blocks(blocks.encoded)
    assert (again, again.size, hash(again)) == (blocks, blocks.size, hash(blocks))
    assert len(blocks.encoded) <= ENCODED_LIMIT


@given(PIECES)
def test_blocks_lie_one_behind_the_other(pieces: list[tuple[int, bytes]]) -> None:
    end = 0
    for block in list_blocks(pieces):
        assert block.offset == end
        end += block.length


def test_the_bytes_of_an_encoding() -> None:
    blocks = list_blocks([(LEAST, b"a" * 16), (5, b"b" * 16)])
    assert blocks.encoded == (
        b"\x01" + (LEAST + 5).to_bytes(8, "big") + b"\0\0\0\2\0\0\x40\0" + b"a" * 16 + b"\0\0\0\5" + b"b" * 16
    )
    assert list(blocks) == [Block(0, LEAST, b"a" * 16), Block(LEAST, 5, b"b" * 16)]
    assert list_blocks([]).encoded == b"\x01" + bytes(12)


@given(PIECES)
def test_a_short_list_has_the_same_blocks(pieces: list[tuple[int, bytes]]) -> None:
    blocks = list_blocks(pieces)
    short = blocks.shortened()
    assert [(block.length, block.hash) for block in short] == [(length, hash[:8]) for length, hash in pieces]
    assert (len(short), short.size, short.hash_size, blocks.hash_size) == (len(blocks), blocks.size, 8, 16)
    assert parse_blocks(short.encoded) == short == short.shortened()
    assert len(short.encoded) == 13 + 11 * len(pieces)


def test_the_bytes_of_a_short_list() -> None:
    short = list_blocks([(MOST, b"a" * 16), (5, b"b" * 16)]).shortened()
    assert short.encoded == (
        b"\x02" + (MOST + 5).to_bytes(8, "big") + b"\0\0\0\2\4\0\0" + b"a" * 8 + b"\0\0\5" + b"b" * 8
    )


MALFORMED = {
    "nothing": b"",
    "a short list with full hashes": encoded(2, LEAST, 1, [LEAST]),
    "a short list with a small block": list_blocks([(LEAST, bytes(16))] * 2)
    .shortened()
    .encoded.replace(b"\x40", b"\x3f"),
    "a head that is cut off": encoded(1, 0, 0, [])[:-1],
    "a version that there never was": encoded(0, 0, 0, []),
    "fewer blocks than it says": encoded(1, 2 * LEAST, 2, [LEAST]),
    "more blocks than it says": encoded(1, LEAST, 1, [LEAST, LEAST]),
    "a block that is cut off": encoded(1, LEAST, 1, [LEAST])[:-1],
    "bytes behind its end": encoded(1, LEAST, 1, [LEAST]) + b"x",
    "a gap at the end": encoded(1, LEAST + 1, 1, [LEAST]),
    "an overlap": encoded(1, LEAST, 2, [LEAST, LEAST]),
    "blocks of an empty file": encoded(1, 0, 1, [0]),
    "no block of a file": encoded(1, LEAST, 0, []),
    "an empty last block": encoded(1, LEAST, 2, [LEAST, 0]),
    "a small block that is not the last": encoded(1, 2 * LEAST - 1, 2, [LEAST - 1, LEAST]),
    "a block that is too large": encoded(1, MOST + 1, 1, [MOST + 1]),
    "a count of very many": encoded(1, LEAST, BLOCKS_LIMIT + 1, [LEAST]),
    "the greatest count": encoded(1, LEAST, 2**32 - 1, [LEAST]),
    "a size of no file": encoded(1, min(SIZE_LIMIT, 2**64 - 1), 1, [LEAST]),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_lists_are_refused(name: str) -> None:
    with pytest.raises(MalformedError):
        parse_blocks(MALFORMED[name])


def test_a_later_version_is_not_damage() -> None:
    with pytest.raises(UnsupportedError):
        parse_blocks(encoded(3, LEAST, 1, [LEAST]))


def test_a_count_that_lies_takes_no_memory() -> None:
    import tracemalloc

    lie = encoded(1, LEAST, BLOCKS_LIMIT, [LEAST])
    tracemalloc.start()
    try:
        with pytest.raises(MalformedError):
            parse_blocks(lie)
        assert tracemalloc.get_traced_memory()[1] < 1 << 16
    finally:
        tracemalloc.stop()


@given(PIECES, st.data())
def test_any_change_is_refused_or_another_list(pieces: list[tuple[int, bytes]], data: st.DataObject) -> None:
    blocks = list_blocks(pieces)
    if data.draw(st.booleans()):
        blocks = blocks.shortened()
    changed = bytearray(blocks.encoded)
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] ^= data.draw(st.integers(1, 255))
    try:
        other = parse_blocks(bytes(changed))
    except (MalformedError, UnsupportedError):
        return
    assert other != blocks
    assert other.encoded == changed
    assert_sound(other)


@given(st.binary(max_size=200))
def test_whatever_is_read_is_sound(noise: bytes) -> None:
    for payload in (noise, b"\x01" + noise, b"\x02" + noise):
        try:
            found = parse_blocks(payload)
        except (MalformedError, UnsupportedError):
            continue
        assert_sound(found)


def assert_sound(blocks: BlockList) -> None:
    found = list(blocks)
    assert [block.offset for block in found] == [sum(b.length for b in found[:at]) for at in range(len(found))]
    assert sum(block.length for block in found) == blocks.size
    assert all(LEAST <= block.length <= MOST for block in found[:-1])


def test_what_makes_no_list_of_ours_is_not_written() -> None:
    with pytest.raises(MalformedError):
        list_blocks([(LEAST - 1, bytes(16)), (LEAST, bytes(16))])
    with pytest.raises(MalformedError):
        list_blocks((LEAST, bytes(16)) for _ in range(BLOCKS_LIMIT + 1))
