"""Frames: whatever comes, a frame or an error of the protocol, and no more memory than what came."""

import itertools
import random
import tracemalloc

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from replican.values.errors import ProtocolError
from replican.values.frames import (
    ALIVE,
    BODY_LIMIT,
    BYTES,
    HEAD_SIZE,
    MESSAGE,
    PACKED,
    PREAMBLE,
    Deframer,
    Frame,
    Packer,
    encode_frame,
    unpack,
)

BODIES = st.binary(max_size=300)
FRAMES = st.builds(Frame, st.sampled_from([MESSAGE, BYTES, PACKED]), BODIES) | st.just(Frame(ALIVE, b""))


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[one:other] for one, other in itertools.pairwise(at)]


def take_all(data: bytes, cuts: list[int]) -> tuple[list[Frame], Deframer]:
    deframer, found = Deframer(), []
    for piece in pieces(data, cuts):
        deframer.feed(piece)
        while (frame := deframer.take()) is not None:
            found.append(frame)
    return found, deframer


@given(st.lists(FRAMES, max_size=20), st.lists(st.integers(0, 2000), max_size=10))
def test_frames_come_out_as_they_went_in_however_they_are_cut(frames: list[Frame], cuts: list[int]) -> None:
    data = PREAMBLE + b"".join(encode_frame(*frame) for frame in frames)
    found, deframer = take_all(data, cuts)
    assert found == frames
    assert len(deframer) == 0


@given(st.binary(max_size=2000), st.booleans(), st.lists(st.integers(0, 2000), max_size=5))
@example(b"Welcome to this machine!\n", False, [])
@example(b"\xff\xff\xff\xff\x01", True, [])
@example(b"\0\0\0\x01\0x", True, [])
def test_anything_is_frames_or_refused(data: bytes, begun: bool, cuts: list[int]) -> None:
    try:
        found, deframer = take_all(PREAMBLE + data if begun else data, cuts)
    except ProtocolError:
        return
    assert sum(HEAD_SIZE + len(frame.body) for frame in found) + len(deframer) <= len(data) + len(PREAMBLE)


def test_what_a_login_prints_is_told() -> None:
    with pytest.raises(ProtocolError, match="it began with b'Welcome'") as caught:
        take_all(b"Welcome", [])
    assert "login" in (caught.value.hint or "")


def test_limits() -> None:
    whole = encode_frame(BYTES, bytes(BODY_LIMIT))
    assert take_all(PREAMBLE + whole, [])[0] == [Frame(BYTES, bytes(BODY_LIMIT))]
    with pytest.raises(ValueError, match="too large"):
        encode_frame(BYTES, bytes(BODY_LIMIT + 1))
    for head in ("00100001 02", "00000001 00", "00000000 04"):
        with pytest.raises(ProtocolError):
            take_all(PREAMBLE + bytes.fromhex(head), [])


def test_an_announcement_takes_no_memory() -> None:
    deframer = Deframer()
    tracemalloc.start()
    deframer.feed(PREAMBLE + bytes.fromhex("00100000 02"))
    assert deframer.take() is None
    assert tracemalloc.get_traced_memory()[1] < 10_000
    tracemalloc.stop()


@given(st.binary(max_size=5000), st.integers(1, 50))
def test_packed_or_not_it_comes_out_the_same(data: bytes, times: int) -> None:
    packer = Packer()
    for _ in range(2):
        (frame,), _ = take_all(PREAMBLE + packer.frame(data * times), [])
        assert (unpack(frame.body) if frame.kind == PACKED else frame.body) == data * times


def test_packing_is_given_up_for_a_while_where_it_does_not_help() -> None:
    packer, noise, text = Packer(), random.Random(1).randbytes(10_000), b"words and words " * 1000
    kinds = [packer.frame(data)[4] for data in (text, noise, text, *[noise] * 15, text)]
    assert kinds == [PACKED, *[BYTES] * 17, PACKED]


def test_little_is_not_packed_and_says_nothing_of_what_follows() -> None:
    packer = Packer()
    kinds = [packer.frame(data)[4] for data in (b"a" * 63, b"a" * 64, random.Random(1).randbytes(63), b"a" * 64)]
    assert kinds == [BYTES, PACKED, BYTES, PACKED]


@given(st.binary(max_size=1000))
@example(b"")
def test_anything_packed_is_unpacked_or_refused(body: bytes) -> None:
    try:
        assert len(unpack(body)) <= BODY_LIMIT
    except ProtocolError:
        pass


@given(st.binary(min_size=1, max_size=3000), st.integers(0, 4000), st.integers(1, 255))
def test_a_damaged_packed_frame_is_unpacked_or_refused(data: bytes, at: int, bits: int) -> None:
    body = bytearray(zstandard.ZstdCompressor(level=1).compress(data))
    body[at % len(body)] ^= bits
    try:
        assert len(unpack(bytes(body))) <= BODY_LIMIT
    except ProtocolError:
        pass


def test_a_bomb_takes_no_memory() -> None:
    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(1 << 28))
    without_size = zstandard.ZstdCompressor(level=1, write_content_size=False).compress(bytes(1 << 24))
    assert len(bomb) < BODY_LIMIT
    tracemalloc.start()
    for body in (bomb, without_size):
        with pytest.raises(ProtocolError, match="too large"):
            unpack(body)
    assert tracemalloc.get_traced_memory()[1] < 2 * BODY_LIMIT
    tracemalloc.stop()
