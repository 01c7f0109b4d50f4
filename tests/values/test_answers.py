"""What a tracker says, written and taken apart; and what is none of its words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replican.values.answers import STATE_LIMIT, State, encode_state, parse_states
from replican.values.ids import TreeId
from replican.values.names import is_tree_name

ROOT = TreeId(bytes(range(32)))
names = st.binary(min_size=1, max_size=20).filter(is_tree_name)
paths = st.lists(names, min_size=1, max_size=4).map(b"/".join)


def test_golden_answers() -> None:
    assert encode_state(State(None, [])) == b"replican 1 - 0\n"
    text = b"replican 1 " + ROOT.hex().encode() + b" 8\na/b\0new\0"
    assert encode_state(State(ROOT, [b"a/b", b"new"])) == text


@given(st.lists(paths))
def test_what_was_written_is_read(doubtful: list[bytes]) -> None:
    state = State(ROOT, doubtful)
    assert parse_states(encode_state(state)) == [state]
    assert parse_states(encode_state(state) + encode_state(State(None, [])) + encode_state(state)) == [
        state,
        State(None, []),
        state,
    ]


def test_who_doubts_too_much_does_not_know() -> None:
    assert encode_state(State(ROOT, [b"x" * 200] * (STATE_LIMIT // 200))) == b"replican 1 - 0\n"


HEX = ROOT.hex().encode()


@pytest.mark.parametrize(
    "answer",
    [
        b"replican 1 - 0",
        b"replican 2 - 0\n",
        b"replican 1 - 2\na\0",
        b"replican 1 %s 0\n" % HEX[:-1],
        b"replican 1 %s 0\n" % HEX.upper(),
        b"replican 1 %s 00\n" % HEX,
        b"replican 1 %s 1\n" % HEX,
        b"replican 1 %s 0\na\0" % HEX,
        b"replican 1 %s 1\na" % HEX,
        b"replican 1 %s 1\n\0" % HEX,
        b"replican 1 %s 5\n../x\0" % HEX,
        b"replican 1 %s 3\n/x\0" % HEX,
        b"replican 1 %s 12\n.replican/x\0" % HEX,
        b"replican 1 %s 9999999999\n" % HEX,
    ],
)
def test_what_is_no_answer(answer: bytes) -> None:
    assert parse_states(answer) is None
    assert parse_states(encode_state(State(ROOT, [])) + answer) is None


@given(st.binary(max_size=200), st.integers(0, 200))
def test_anything_may_come(noise: bytes, at: int) -> None:
    parse_states(noise)
    whole = encode_state(State(ROOT, [b"a/b", b"new"]))
    whole_or_none = [State(ROOT, [b"a/b", b"new"])] if at >= len(whole) else None
    assert parse_states(whole[:at]) == ([] if at == 0 else whole_or_none)
