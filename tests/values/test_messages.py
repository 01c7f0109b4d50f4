"""Messages: whatever comes, a message that is allowed or an error of the protocol."""

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from replican.values import messages
from replican.values.errors import ProtocolError
from replican.values.frames import BODY_LIMIT, HEAD_SIZE
from replican.values.messages import decode_message, encode_message, is_path

ID = bytes(range(32))
ITEM = messages.Item(ID, size=7, offset=3, path=b"a/b")
NOTE = messages.Note(b"a", "special file", held=True)
ALL = [
    messages.Hello(1, 1, "0123456789abcdef", "0.1", ["zstd"], ["later"], replica=False, read_only=True),
    messages.Failed("refused", "a gate", "a flag"),
    messages.Bye(),
    messages.Init(),
    messages.Record("origin", [ID]),
    messages.Recorded(ID, [ID], True, ["a note"], [NOTE], refused=True),
    messages.Recorded(None),
    messages.ListRefs(),
    messages.Refs([messages.Ref("head", ID)]),
    messages.WantLog([ID], [ID, ID], 10),
    messages.WantObjects([ID], below=True),
    messages.WantContents([ITEM, messages.Item(ID, link=True)]),
    messages.WantCopies([messages.Directory(ID, b"a/b", [1, 7]), messages.Directory(ID)]),
    messages.WantBlocks([ITEM]),
    messages.WantRanges(ID, 100, [(0, 3), (3, 4), (99, 1)], b"a/b"),
    messages.Locate([ITEM]),
    messages.Located([ID], []),
    messages.Push(ID, ID),
    messages.Pushed(ID, True, [NOTE], (1, 2, 3, 4), ["a note"], 5, 6),
    messages.Subscribe(ID),
    messages.Unsubscribe(),
    messages.Moved(ID),
]


def body_of(message: messages.Message) -> bytes:
    return encode_message(message)[HEAD_SIZE:]


@pytest.mark.parametrize("message", ALL, ids=lambda message: type(message).__name__)
def test_what_is_sent_arrives(message: messages.Message) -> None:
    assert decode_message(body_of(message)) == message


def test_every_message_is_among_these() -> None:
    kinds = set(messages.Message.__args__)  # type: ignore[attr-defined]
    assert {type(each) for each in ALL} == kinds


@given(st.binary(max_size=500))
@example(b"\x81\xa4type\xa4init" + b"\x91" * 100)
@example(b"\x82\xa4type\xa4init\xa1x" + b"\x91" * 500_000)
@example(b"\x82\xa4type\xa4refs\xa4refs\xdd\xff\xff\xff\xff")
@example(b"\x82\xa4type\xa8want-log\xa5heads\xc6\xff\xff\xff\xff")
def test_anything_is_a_message_or_refused(body: bytes) -> None:
    try:
        decode_message(body)
    except ProtocolError:
        pass


@given(st.sampled_from(ALL), st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=3)), max_size=4))
def test_a_damaged_message_is_another_or_refused(message: messages.Message, damage: list[tuple[int, bytes]]) -> None:
    body = body_of(message)
    for at, new in damage:
        at %= len(body) + 1
        body = body[:at] + new + body[at + max(1, len(new)) :]
    try:
        decode_message(body)
    except ProtocolError:
        pass


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(ALL), st.data())
def test_any_value_in_any_field_is_allowed_or_refused(message: messages.Message, data: st.DataObject) -> None:
    fields = msgspec.to_builtins(message)
    for name in data.draw(st.lists(st.sampled_from([*type(message).__struct_fields__, "new"]), max_size=3)):
        fields[name] = data.draw(VALUES)
    encoded = {**fields, "type": message.__struct_config__.tag}
    try:
        decode_message(msgspec.msgpack.encode(encoded))
    except ProtocolError:
        pass


def test_fields_of_a_later_release_are_skipped() -> None:
    body = msgspec.msgpack.encode({"type": "push", "head": ID, "later": {"a": [1, None]}})
    assert decode_message(body) == messages.Push(ID)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "later"},
        {"type": "push", "head": ID[:-1]},
        {"type": "push", "head": ID + b"x"},
        {"type": "push"},
        {"type": "want-log", "heads": [], "have": [], "most": 0},
        {"type": "want-log", "heads": [], "have": [], "most": messages.LOG_STEP + 1},
        {"type": "want-log", "heads": [ID] * (messages.FEW + 1), "have": [], "most": 1},
        {"type": "want-contents", "items": []},
        {"type": "want-contents", "items": [{"id": ID}] * (messages.AT_ONCE + 1)},
        {"type": "want-contents", "items": [{"id": ID, "size": -1}]},
        {"type": "want-contents", "items": [{"id": ID, "size": 1 << 63}]},
        {"type": "want-contents", "items": [{"id": ID, "size": 1, "offset": 2}]},
        *[
            {"type": "want-contents", "items": [{"id": ID, "path": path}]}
            for path in (b"/etc/passwd", b"../x", b"a/../b", b"a//b", b"a/", b".", b".replican/objects", b"a\0b")
        ],
        {"type": "want-blocks", "items": [{"id": ID}]},
        {"type": "want-blocks", "items": [{"id": ID, "size": 5, "link": True}]},
        {"type": "want-blocks", "items": [{"id": ID, "size": 5, "path": b"../x"}]},
        *[
            {"type": "want-ranges", "id": ID, "size": 100, "ranges": ranges}
            for ranges in (
                [],
                [[0, 0]],
                [[-1, 2]],
                [[0, 101]],
                [[100, 1]],
                [[1 << 62, 1 << 62]],
                [[5, 5], [0, 5]],
                [[0, 5], [4, 5]],
                [[0, 5, 5]],
                [[0]],
                [[at, 1] for at in range(messages.FEW + 1)],
            )
        ],
        {"type": "want-ranges", "id": ID, "size": 100, "ranges": [[0, 1]], "path": b"/etc/passwd"},
        {"type": "want-ranges", "id": ID, "size": 1 << 63, "ranges": [[0, 1]]},
        {"type": "record", "name": "x" * 256},
        {"type": "failed", "code": "c", "message": "m" * 4097},
        {"type": "pushed", "head": ID, "moved": True, "tally": [1, 2, 3]},
    ],
    ids=lambda fields: str(fields)[:60],
)
def test_what_is_not_allowed(fields: dict[str, object]) -> None:
    with pytest.raises(ProtocolError):
        decode_message(msgspec.msgpack.encode(fields))


def test_a_message_that_is_too_large_is_not_sent() -> None:
    items = [messages.Item(ID, path=b"/".join([b"x" * 200] * 60))] * messages.AT_ONCE
    with pytest.raises(ProtocolError, match="too large"):
        encode_message(messages.WantContents(items))
    assert len(encode_message(messages.WantContents(items[:80]))) < BODY_LIMIT


def test_paths() -> None:
    assert is_path(b"a/b c/\xff")
    assert not is_path(b"")


def hello(**fields: object) -> messages.Hello:
    return messages.Hello(**{"version": 1, "oldest": 1, **fields})  # type: ignore[arg-type]


def test_versions_and_capabilities() -> None:
    able = frozenset(["zstd"])
    messages.check_hello(hello(), able)
    messages.check_hello(hello(version=9, able=["what is not known"], required=["zstd"]), able)
    for wrong, text in (
        (hello(version=3, oldest=2), "one end speaks protocol 1, the other 2 to 3"),
        (hello(version=0, oldest=0), "the other 0 to 0"),
        (hello(required=["zstd", "b", "a"]), "requires what the other cannot do: a, b"),
    ):
        with pytest.raises(ProtocolError, match=text) as caught:
            messages.check_hello(wrong, able)
        assert caught.value.hint == "upgrade the older replican of the two"
