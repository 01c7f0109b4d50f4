"""Streams: whatever comes, objects and contents or an error of the protocol."""

import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replican.values import blocks, streams
from replican.values.blocks import BlockList
from replican.values.errors import LinkError, ProtocolError
from replican.values.frames import BYTES, PREAMBLE, Deframer, encode_frame
from replican.values.ids import object_hash
from replican.values.streams import (
    StreamReader,
    encode_answer,
    encode_listed,
    encode_object,
    end_of_objects,
    read_answer,
    read_end,
    read_listed,
    read_objects,
    read_ranges_begin,
    read_small,
)


def source(data: bytes, step: int) -> Callable[[], bytes]:
    """The pieces of a stream; after them the link is cut."""
    left = [data[at : at + step] for at in range(0, len(data), step)]

    def more() -> bytes:
        if not left:
            raise LinkError("the link was cut")
        return left.pop(0)

    return more


OBJECTS = st.lists(st.tuples(st.sampled_from([b"tree", b"commit"]), st.binary(max_size=200)), max_size=10)


@given(OBJECTS, st.integers(1, 100))
def test_objects_arrive(objects: list[tuple[bytes, bytes]], step: int) -> None:
    data = b"".join(encode_object(*each) for each in objects) + end_of_objects()
    found = list(read_objects(StreamReader(source(data, step))))
    assert [each[1:] for each in found] == objects
    assert [each[0] for each in found] == [object_hash(*each) for each in objects]


@given(st.binary(max_size=300), st.integers(1, 50))
def test_anything_is_objects_or_refused(data: bytes, step: int) -> None:
    try:
        for _ in read_objects(StreamReader(source(data, step)), limit=10_000):
            pass
    except (ProtocolError, LinkError):
        pass


@given(OBJECTS, st.integers(0, 5000), st.integers(1, 255))
def test_damaged_objects_have_other_ids_or_are_refused(objects: list[tuple[bytes, bytes]], at: int, bits: int) -> None:
    data = bytearray(b"".join(encode_object(*each) for each in objects) + end_of_objects())
    data[at % len(data)] ^= bits
    try:
        found = list(read_objects(StreamReader(source(bytes(data), 7)), limit=10_000))
    except (ProtocolError, LinkError):
        return
    assert [each[1:] for each in found] != objects


def test_limits_of_objects() -> None:
    def of(*objects: bytes, limit: int) -> None:
        list(read_objects(StreamReader(source(b"".join(objects), 1000)), limit))

    one = encode_object(b"tree", bytes(100))
    of(one, one, end_of_objects(), limit=200)
    with pytest.raises(ProtocolError, match="too many"):
        of(one, one, end_of_objects(), limit=199)
    for letter in (b"c", b"t"):
        with pytest.raises(ProtocolError, match="too large"):
            of(letter + b"\xff\xff\xff\xff", limit=1 << 40)
    with pytest.raises(ProtocolError, match="more than was asked for"):
        of(end_of_objects(), b"t", limit=10)


def test_an_announcement_takes_no_memory() -> None:
    announced = b"t" + (100 << 20).to_bytes(4, "big")
    tracemalloc.start()
    with pytest.raises(LinkError):
        list(read_objects(StreamReader(source(announced + bytes(1000), 100))))
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


@given(st.binary(max_size=40), st.none() | st.integers(0, 300), st.integers(1, 9))
def test_anything_is_an_answer_or_refused(data: bytes, size: int | None, step: int) -> None:
    reader = StreamReader(source(data, step))
    offset = 0 if size is None else size // 2
    try:
        answer = read_answer(reader, size, offset, 1000)
        assert not answer.is_there or answer.size == size or (size is None and 0 <= answer.size <= 1000)
        read_end(reader)
        reader.finish()
    except (ProtocolError, LinkError):
        pass


@pytest.mark.parametrize("letter", [streams.GONE, streams.CHANGED, streams.FROM_FOLDER, streams.FROM_TRASH])
def test_answers_arrive(letter: bytes) -> None:
    reader = StreamReader(source(encode_answer(letter, 7) + streams.STAYED + streams.BROKEN, 3))
    answer = read_answer(reader, 7, 0, 0)
    assert answer == (letter, 7 if answer.is_there else 0)
    assert read_end(reader)
    assert not read_end(reader)
    reader.finish()


def test_a_content_of_another_size_is_refused() -> None:
    for size, most in ((8, 100), (None, 6)):
        with pytest.raises(ProtocolError, match="of 7 bytes came"):
            read_answer(StreamReader(source(encode_answer(streams.FROM_FOLDER, 7), 9)), size, 0, most)


def test_small_contents() -> None:
    def of(data: bytes, size: int = 4) -> tuple[bytes, bytes | None]:
        return read_small(StreamReader(source(data, 3)), size)

    whole = encode_answer(streams.FROM_TRASH, 4) + b"dear"
    assert of(whole + streams.STAYED) == (streams.FROM_TRASH, b"dear")
    assert of(whole + streams.BROKEN) == (streams.FROM_TRASH, None)
    assert of(encode_answer(streams.FROM_FOLDER, 0) + streams.STAYED, 0) == (streams.FROM_FOLDER, b"")
    assert of(streams.GONE) == (streams.GONE, None)
    assert of(streams.CHANGED) == (streams.CHANGED, None)
    for wrong in (whole + b"?", b"?" + whole, encode_answer(streams.FROM_FOLDER, 5) + b"dear" + streams.STAYED):
        with pytest.raises(ProtocolError):
            of(wrong)
    with pytest.raises(LinkError):
        of(whole)


@given(st.binary(max_size=40), st.integers(0, 30), st.integers(1, 9))
def test_anything_is_a_small_content_or_refused(data: bytes, size: int, step: int) -> None:
    try:
        _, content = read_small(StreamReader(source(data, step)), size)
    except (ProtocolError, LinkError):
        return
    assert content is None or len(content) == size


LISTS = st.lists(st.tuples(st.integers(blocks.LEAST, blocks.MOST), st.binary(min_size=16, max_size=16)), max_size=5)


@given(LISTS, st.booleans(), st.integers(1, 100))
def test_block_lists_arrive(pieces: list[tuple[int, bytes]], short: bool, step: int) -> None:
    sent = blocks.list_blocks(pieces)
    sent = sent.shortened() if short else sent
    reader = StreamReader(source(streams.GONE + streams.CHANGED + encode_listed(sent.encoded), step))
    assert read_listed(reader, sent.size) == streams.GONE
    assert read_listed(reader, sent.size) == streams.CHANGED
    assert read_listed(reader, sent.size) == sent
    reader.finish()


@given(st.binary(max_size=80), st.integers(0, 1 << 40), st.integers(1, 50))
def test_anything_is_a_block_list_or_refused(data: bytes, size: int, step: int) -> None:
    try:
        found = read_listed(StreamReader(source(data, step)), size)
    except (ProtocolError, LinkError):
        return
    assert found in (streams.GONE, streams.CHANGED) or (isinstance(found, BlockList) and found.size == size)


@given(LISTS, st.integers(0, 5000), st.integers(1, 255))
def test_a_damaged_block_list_is_of_that_size_or_refused(pieces: list[tuple[int, bytes]], at: int, bits: int) -> None:
    sent = blocks.list_blocks(pieces)
    data = bytearray(encode_listed(sent.encoded))
    data[at % len(data)] ^= bits
    try:
        found = read_listed(StreamReader(source(bytes(data), 7)), sent.size)
    except (ProtocolError, LinkError):
        return
    if isinstance(found, BlockList):
        assert found.size == sent.size
    assert found != sent


def test_what_is_no_block_list_of_the_file() -> None:
    def of(data: bytes, size: int) -> object:
        return read_listed(StreamReader(source(data, 1000)), size)

    encoded = blocks.list_blocks([(20_000, bytes(16))]).encoded
    assert of(encode_listed(b"\x07" + encoded[1:]), 20_000) == streams.GONE, "of a later release"
    with pytest.raises(ProtocolError, match="of a file of 20000 bytes came"):
        of(encode_listed(encoded), 19_999)
    with pytest.raises(ProtocolError, match="ends before it begins"):
        of(encode_listed(b""), 20_000)
    with pytest.raises(ProtocolError, match="what is none"):
        of(b"?", 20_000)
    for size, most in ((20_000, 13 + 2 * 20), (1 << 60, blocks.ENCODED_LIMIT)):
        assert blocks.longest_encoding(size) == most
        with pytest.raises(LinkError):
            of(b"l" + most.to_bytes(4, "big"), size)
        with pytest.raises(ProtocolError, match="too long"):
            of(b"l" + (most + 1).to_bytes(4, "big"), size)


def test_an_announced_list_takes_no_memory() -> None:
    announced = b"l" + blocks.ENCODED_LIMIT.to_bytes(4, "big")
    tracemalloc.start()
    with pytest.raises(LinkError):
        read_listed(StreamReader(source(announced + bytes(1000), 100)), 1 << 50)
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


def test_what_stands_before_ranges() -> None:
    for letter in (streams.GONE, streams.CHANGED, streams.FROM_FOLDER, streams.FROM_TRASH):
        assert read_ranges_begin(StreamReader(source(letter, 1))) == letter
    with pytest.raises(ProtocolError, match="what is none"):
        read_ranges_begin(StreamReader(source(b"y", 1)))


FILES = st.lists(
    st.builds(
        streams.CopiedFile,
        st.sampled_from([b"a", b"file", b"\xff"]),
        st.integers(0, 0o777),
        st.integers(-(1 << 63), (1 << 63) - 1),
        st.binary(max_size=20),
    ),
    max_size=4,
)


def frame_plain(data: bytes) -> bytes:
    return encode_frame(BYTES, data)


def copies_in(frames: bytes) -> list[tuple[bytes, list[streams.CopiedFile]]]:
    """What stands in frames of copies, each of which is read by itself."""
    deframer, found = Deframer(), list[tuple[bytes, list[streams.CopiedFile]]]()
    deframer.feed(PREAMBLE + frames)
    while (frame := deframer.take()) is not None:
        found += streams.read_copies(frame.body)
    assert not len(deframer)
    return found


@given(st.lists(st.tuples(st.sampled_from([b"", b"a", b"a/b"]), FILES), max_size=4), st.integers(1, 100))
def test_copies_arrive(directories: list[tuple[bytes, list[streams.CopiedFile]]], step: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(streams, "RECORD_BYTES", step)
        patched.setattr(streams, "PIECE_BYTES", 2 * step)
        records = [record for path, files in directories for record in streams.encode_copies(path, files)]
        found = copies_in(streams.frame_copies(records, frame_plain))
    parts = [(path, file) for path, files in found for file in files]
    assert parts == [(path, file) for path, files in directories for file in files]


@pytest.mark.parametrize(
    ("path", "file"),
    [
        (b"..", streams.CopiedFile(b"a", 0, 0, b"")),
        (b"a//b", streams.CopiedFile(b"a", 0, 0, b"")),
        (b"/", streams.CopiedFile(b"a", 0, 0, b"")),
        (b".replican", streams.CopiedFile(b"a", 0, 0, b"")),
        (bytes(streams.PATH_LIMIT + 1), streams.CopiedFile(b"a", 0, 0, b"")),
        (b"a", streams.CopiedFile(b"..", 0, 0, b"")),
        (b"a", streams.CopiedFile(b"", 0, 0, b"")),
        (b"a", streams.CopiedFile(b"a/b", 0, 0, b"")),
        (b"a", streams.CopiedFile(b"a", 0o1000, 0, b"")),
        (b"a", streams.CopiedFile(b"a", 0, 0, bytes(streams.COPY_LIMIT + 1))),
    ],
)
def test_copies_that_are_refused(path: bytes, file: streams.CopiedFile) -> None:
    data = b"".join(streams.encode_copies(path, [file])[0].pieces)
    with pytest.raises(ProtocolError):
        list(streams.read_copies(data))


@given(st.tuples(st.sampled_from([b"", b"a", b"a/b"]), FILES.filter(len)), st.data())
def test_a_record_ends_with_its_frame(record: tuple[bytes, list[streams.CopiedFile]], data: st.DataObject) -> None:
    whole = b"".join(streams.encode_copies(*record)[0].pieces)
    assert [(path, files) for path, files in streams.read_copies(whole)] == [record]
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(ProtocolError):
        list(streams.read_copies(whole[:cut]))
    with pytest.raises(ProtocolError):
        list(streams.read_copies(whole + b"x"))


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda data: b"d" + data))
def test_anything_is_copies_or_refused(data: bytes) -> None:
    try:
        for _, files in streams.read_copies(data):
            for file in files:
                assert file.perm <= 0o777
    except ProtocolError:
        pass
