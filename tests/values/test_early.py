"""Streams of early files: what is written is read, and nothing else is taken in."""

import pytest

from replican.values.blocks import MOST
from replican.values.early import (
    FILES_LIMIT,
    NEW_LIMIT,
    RUN_LIMIT,
    EarlyFile,
    Step,
    encode_beginning,
    encode_ending,
    encode_new,
    encode_run,
    end_of_early,
    read_early,
)
from replican.values.errors import ProtocolError
from replican.values.ids import blob_id
from replican.values.streams import StreamReader

OLD = blob_id(b"old")
END = end_of_early()


def reader_of(data: bytes, piece: int = 7) -> StreamReader:
    pieces = iter([data[at : at + piece] for at in range(0, len(data), piece)])
    return StreamReader(lambda: next(pieces))


def read(data: bytes, piece: int = 7) -> list[tuple[EarlyFile, list[Step]]]:
    return [(file, list(file.steps())) for file in read_early(reader_of(data, piece))]


def beginning(size: int) -> bytes:
    return encode_beginning(OLD, size)


WHOLE = encode_ending(True)


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_what_is_written_is_read(piece: int) -> None:
    some = encode_run(5, 10) + encode_new(b"new") + encode_run(0, RUN_LIMIT)
    files = [beginning(13 + RUN_LIMIT) + some + WHOLE, beginning(0) + WHOLE, beginning(100) + encode_ending(False)]
    found = read(b"".join(files) + END, piece)
    assert [(file.old, file.size, file.is_whole) for file, _ in found] == [
        (OLD, 13 + RUN_LIMIT, True),
        (OLD, 0, True),
        (OLD, 100, False),
    ]
    assert found[0][1] == [Step(5, 10, None), Step(0, 3, b"new"), Step(0, RUN_LIMIT, None)]
    assert read(END) == []


LIES = {
    "no file": b"z",
    "a size that no file has": beginning(1 << 63),
    "more than the size": beginning(5) + encode_new(b"123456"),
    "less than the size": beginning(5) + encode_new(b"1234") + WHOLE,
    "an empty step": beginning(5) + encode_new(b""),
    "an empty run": beginning(5) + encode_run(0, 0),
    "a long run": beginning(1 << 40) + encode_run(0, RUN_LIMIT + 1),
    "a run from where no file has bytes": beginning(5) + encode_run((1 << 64) - 1, 5),
    "more new bytes than a block": beginning(1 << 40) + b"b\xff\xff\xff\xff",
    "no step": beginning(5) + b"g",
    "more after the end": END + b".",
}


@pytest.mark.parametrize("name", LIES)
def test_lies(name: str) -> None:
    with pytest.raises(ProtocolError):
        read(LIES[name] + bytes(100), 10_000)


def test_too_many_new_bytes() -> None:
    """Over all files together, however few each has."""
    step = encode_new(bytes(MOST))
    count = NEW_LIMIT // MOST
    each = beginning(MOST) + step + WHOLE
    assert len(read(each * count + END, 1 << 20)) == count
    with pytest.raises(ProtocolError, match="unasked"):
        read(each * count + beginning(1) + encode_new(b"1") + WHOLE + END, 1 << 20)


def test_too_many_files() -> None:
    each = beginning(0) + WHOLE
    assert len(read(each * FILES_LIMIT + END, 1 << 20)) == FILES_LIMIT
    with pytest.raises(ProtocolError):
        read(each * (FILES_LIMIT + 1) + END, 1 << 20)
