"""The page of the protocol is true: its messages, fields, numbers, letters and example bytes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from replican.effects import channel
from replican.values import blocks, checkpoints, early, frames, messages, streams, sums
from replican.values.ids import blob_id

PAGE = (Path(__file__).resolve().parents[2] / "man/replican-protocol.7").read_text(encoding="utf-8")
PLAIN = re.sub(r"\\f[BRI]|\\&", "", PAGE).replace("\\-", "-").replace("\\(aq", "'")
PARTS = [messages.Item, messages.Directory, messages.Ref, messages.Note]
KINDS: list[Any] = [*messages.Message.__args__, *PARTS]  # type: ignore[attr-defined]


def name_of(kind: Any) -> str:
    return str(kind.__struct_config__.tag or kind.__name__.lower())


def described() -> dict[str, str]:
    """What stands on the page below the name of each message."""
    text = PLAIN.split(".SH MESSAGES")[1].split(".SH STREAMS")[0]
    found = re.findall(r"^\.TP\n\.B (\S+)\n(.*?)(?=^\.TP$|^\.SS |\Z)", text, re.MULTILINE | re.DOTALL)
    return dict(found)


def test_every_message_stands_there_and_no_other() -> None:
    assert set(described()) == {name_of(kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_field_stands_there_with_its_default(kind: type[msgspec.Struct]) -> None:
    text = described()[name_of(kind)]
    for field in msgspec.structs.fields(kind):
        match = re.search(rf'^\.BR? (?:\w+ ", " )?{field.name}\b(?: "? ?\(([^)]+)\)|)', text, re.MULTILINE)
        assert match, f"{kind.__name__}.{field.name}"
        if field.required:
            assert match[1] is None, f"{field.name} has no default"
            continue
        default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
        words = {"''": "empty", "b''": "empty", "[]": "none", "(0, 0, 0, 0)": "four zeros"}
        words |= {"False": "false", "True": "true", "None": "nil"}
        assert match[1] == words.get(repr(default), repr(default)), f"{kind.__name__}.{field.name}"


def test_the_fields_that_stand_there_are_there() -> None:
    fields = {field for kind in KINDS for field in kind.__struct_fields__} | {"type", *messages.ABLE, "--json"}
    fields |= {name_of(kind) for kind in KINDS}
    for name, text in described().items():
        for line in re.findall(r"^\.BR? (.*)$", text, re.MULTILINE):
            for word in re.findall(r"[a-z_-]+", re.sub(r'"[^"]*"', " ", line)):
                assert word in fields, f"{name}: {word}"


def test_numbers() -> None:
    for number in (
        frames.BODY_LIMIT,
        messages.LOG_STEP,
        messages.AT_ONCE,
        messages.FEW,
        streams.OBJECTS_LIMIT,
        streams.TREE_LIMIT,
        streams.PATH_LIMIT,
        checkpoints.MESSAGE_LIMIT,
        streams.COPY_LIMIT,
        int(channel.ALIVE_SECONDS),
        int(channel.DEAD_SECONDS),
    ):
        assert re.search(rf"\b{number}\b", PLAIN), number
    kinds = re.findall(r"^\.TP\n\.B (\d)$", PLAIN.split(".SH FRAMES")[1].split(".SH MESSAGES")[0], re.MULTILINE)
    assert kinds == [str(kind) for kind in (frames.ALIVE, frames.MESSAGE, frames.BYTES, frames.PACKED)]


def limits(kind: type[msgspec.Struct]) -> Iterator[tuple[str, str, int | None]]:
    """Name, type and limit of each field of a message; of a list, of what is in it."""
    for field in msgspec.inspect.type_info(kind).fields:  # type: ignore[attr-defined]
        found = field.type.item_type if isinstance(field.type, msgspec.inspect.ListType) else field.type
        for each in found.types if isinstance(found, msgspec.inspect.UnionType) else [found]:
            if isinstance(each, (msgspec.inspect.StrType, msgspec.inspect.BytesType)):
                yield field.name, type(each).__name__, each.max_length
            elif isinstance(each, msgspec.inspect.IntType):
                yield field.name, "IntType", each.le


def test_limits_of_fields() -> None:
    text = PLAIN.split(".SH MESSAGES")[1].split(".SS Of both ends")[0]
    words = re.search(r"no more than (\d+) characters:\nthese are\n((?:\.BR.*\n|and\n)+)", text)
    numbers = re.search(r"no more than (\d+);\n((?:[^0-9]*\n)+)are no more than (\d+)\.", text)
    texts = re.search(r"texts no more than (\d+) characters,", text)
    paths = re.search(r"Paths have no more than (\d+) bytes", text)
    assert words
    assert numbers
    assert texts
    assert paths
    seen = set()
    for kind in KINDS:
        for field, type_, limit in limits(kind):
            in_words, is_small = (re.search(rf"\b{field}\b", part) for part in (words[2], numbers[2]))
            if type_ == "StrType":
                assert limit == int(words[1] if in_words else texts[1]), field
            elif type_ == "IntType" and field != "most":
                assert limit == int(numbers[3] if is_small else numbers[1]), field
            elif type_ == "BytesType" and limit != len(blob_id(b"")):
                assert limit == int(paths[1]), field
            seen.add(field)
    named = set(re.findall(r"\w+", re.sub(r"\.BR?|and|what is in", " ", words[2] + numbers[2])))
    assert named <= seen


def test_letters() -> None:
    contents = PLAIN.split(".SH STREAMS OF CONTENTS")[1].split(".SH STREAMS OF BLOCK LISTS")[0]
    assert re.findall(r"^\.TP\n\.BR? (.*)$", contents, re.MULTILINE) == ["g", "c", 'f ", " t']
    assert (streams.GONE, streams.CHANGED, streams.FROM_FOLDER, streams.FROM_TRASH) == (b"g", b"c", b"f", b"t")
    assert re.findall(r"^\.BR? ([yn])\b", contents, re.MULTILINE) == ["y", "n", "n"]
    assert (streams.STAYED, streams.BROKEN) == (b"y", b"n")
    assert streams.encode_object(b"commit", b"x") == b"c\0\0\0\1x"
    assert streams.encode_object(b"tree", b"") == b"t\0\0\0\0"
    assert streams.end_of_objects() == b"."


def test_block_lists_and_ranges() -> None:
    lists, ranges = PLAIN.split(".SH STREAMS OF BLOCK LISTS")[1].split(".SH STREAMS OF RANGES")
    assert re.findall(r"^\.TP\n\.BR? (.*)$", lists, re.MULTILINE) == ["g", "c", "l"]
    for number in (blocks.LEAST, blocks.MOST, blocks.AVERAGE, blocks.BLOCKS_LIMIT, blocks.HASH_SIZE, blocks.SHORT_SIZE):
        assert re.search(rf"\b{number}\b", lists), number
    full = blocks.list_blocks([(20_000, bytes(range(16))), (300, bytes(16))])
    head = (20_300).to_bytes(8, "big") + (2).to_bytes(4, "big")
    one, other = (20_000).to_bytes(4, "big"), (300).to_bytes(4, "big")
    assert full.encoded == b"\1" + head + one + bytes(range(16)) + other + bytes(16)
    assert full.shortened().encoded == b"\2" + head + one[1:] + bytes(range(8)) + other[1:] + bytes(8)
    assert streams.encode_listed(full.encoded) == b"l" + len(full.encoded).to_bytes(4, "big") + full.encoded
    assert re.search(rf"pieces of {sums.PIECE} bytes.*first {sums.SUM_SIZE} bytes of its xxh3_64", ranges, re.DOTALL)
    assert re.findall(r"^\.BR? ([gcftyn])\b", ranges, re.MULTILINE) == ["g", "c", "f", "t", "y", "n"]


def test_early_files() -> None:
    text = PLAIN.split(".SH STREAMS OF EARLY FILES")[1].split(".SH STREAMS OF CONTENTS")[0]
    for number in (early.FILES_LIMIT, early.RUN_LIMIT, early.NEW_LIMIT, blocks.MOST):
        assert re.search(rf"\b{number}\b", text), number
    assert re.findall(r"^(?:\.B )?([a-z])(?:\t1 byte|$)", text, re.MULTILINE) == ["a", "o", "b", "e", "x"]
    assert early.encode_beginning(blob_id(b""), 5) == b"a" + blob_id(b"") + bytes(7) + b"\5"
    assert early.encode_run(6, 7) == b"o" + bytes(7) + b"\6" + bytes(3) + b"\7"
    assert early.encode_new(b"new") == b"b" + bytes(3) + b"\3new"
    assert (early.encode_ending(True), early.encode_ending(False), early.end_of_early()) == (b"e", b"x", b".")


def test_the_example() -> None:
    examples = re.findall(r"^\.nf\n((?:[ 0-9a-f]+\n)+)\.fi", PAGE, re.MULTILINE)
    begin, stream = (bytes.fromhex(example) for example in examples)
    hello = messages.Hello(1, 1, able=["zstd"])
    sent = frames.PREAMBLE + messages.encode_message(hello) + messages.encode_message(messages.Record("o"))
    assert begin.hex(" ") == sent.hex(" ")
    content = streams.encode_answer(streams.FROM_FOLDER, 4) + b"dear" + streams.STAYED
    assert stream == frames.encode_frame(frames.BYTES, content)
