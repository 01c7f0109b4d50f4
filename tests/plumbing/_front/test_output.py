import io
import os
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replican.plumbing._front.output import Format, json_path, split_stream
from replican.values.errors import UsageError
from replican.values.quoting import quote

FIELDS = frozenset({"path", "id"})


def test_format_puts_fields_in_place() -> None:
    line = Format("%(id) %(path)%%%x09%n|", FIELDS)
    assert line({"path": b"a\tb", "id": "12"}) == b'12 "a\\tb"%\t\n|\n'
    assert Format("%(path)", FIELDS, nul=True)({"path": b"a\tb\xff"}) == b"a\tb\xff\0"
    assert Format("", FIELDS)({}) == b"\n"


@pytest.mark.parametrize("template", ["%(size)", "%", "%z", "%x", "%xg0", "%(id", "%()"])
def test_a_bad_format_is_refused(template: str) -> None:
    with pytest.raises(UsageError):
        Format(template, FIELDS)


@given(st.binary())
def test_formatted_paths_are_quoted(path: bytes) -> None:
    assert Format("%(path)", FIELDS)({"path": path}) == quote(path).encode() + b"\n"


def test_paths_in_json() -> None:
    assert json_path("é".encode()) == {"path": "é"}
    assert json_path(b"\xe9", "copy") == {"copy": "\udce9", "copy_b64": "6Q=="}


@given(st.lists(st.binary().filter(lambda piece: b"\0" not in piece and b"\n" not in piece)), st.booleans())
def test_streams_are_split_at_their_ends(pieces: list[bytes], nul: bool) -> None:
    end = b"\0" if nul else b"\n"
    stream: IO[bytes] = io.BytesIO(b"".join(piece + end for piece in pieces))
    assert list(split_stream(stream, end)) == pieces


def test_a_piece_is_there_as_soon_as_it_ends() -> None:
    reader, writer = os.pipe()
    with open(reader, "rb") as stream, open(writer, "wb", buffering=0) as sink:
        sink.write(b"one\0tw")
        pieces = split_stream(stream, b"\0")
        assert next(pieces) == b"one"
        sink.write(b"o")
        sink.close()
        assert list(pieces) == [b"two"]
