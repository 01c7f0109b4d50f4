"""Checkpoints: one encoding each, and the two kinds that there are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replican.values.checkpoints import (
    FRONTIER_LIMIT,
    MESSAGE_LIMIT,
    TIME_LIMIT,
    Author,
    Checkpoint,
    encode_checkpoint,
    id_of,
    is_peer_id,
    parse_checkpoint,
)
from replican.values.errors import MalformedError
from replican.values.ids import CheckpointId, TreeId, checkpoint_id

TREE = TreeId(b"\x11" * 32)
A, B, C = (CheckpointId(bytes([number]) * 32) for number in (0xA0, 0xB0, 0xC0))
PEER = "0123456789abcdef"

ids = st.binary(min_size=32, max_size=32)
author_names = (
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\0"), min_size=1, max_size=20)
    .map(str.strip)
    .filter(bool)
)
authors = st.builds(
    Author,
    author_names,
    st.text("0123456789abcdef", min_size=16, max_size=16),
    st.integers(-TIME_LIMIT + 1, TIME_LIMIT - 1),
)
messages = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
rules = st.integers(1, 999_999)
users = st.builds(Checkpoint, ids.map(TreeId), st.lists(ids, max_size=1).map(tuple), authors, messages, rules)
merges = st.builds(
    Checkpoint,
    ids.map(TreeId),
    st.lists(ids, min_size=2, max_size=6, unique=True).map(sorted).map(tuple),
    st.none(),
    st.just(""),
    rules,
)
checkpoints = st.one_of(users, merges)


def text(
    tree: str = "11" * 32,
    parents: tuple[str, ...] = (),
    author: str | None = f"Ann {PEER} 5",
    rules: str = "1",
    end: str = "\n",
    message: str = "",
) -> bytes:
    lines = [f"tree {tree}\n", *(f"parent {parent}\n" for parent in parents)]
    if author is not None:
        lines.append(f"author {author}\n")
    return ("".join(lines) + f"rules {rules}\n{end}{message}").encode()


@given(checkpoints)
def test_every_checkpoint_comes_back(checkpoint: Checkpoint) -> None:
    payload = encode_checkpoint(checkpoint)
    assert parse_checkpoint(payload) == checkpoint
    assert id_of(checkpoint) == checkpoint_id(payload)


def test_the_bytes_are_those_of_the_format() -> None:
    user = Checkpoint(TREE, (A,), Author("Ann B", PEER, -7), "one\n\ntwo\n")
    assert encode_checkpoint(user) == (
        f"tree {TREE.hex()}\nparent {A.hex()}\nauthor Ann B {PEER} -7\nrules 1\n\none\n\ntwo\n".encode()
    )
    merge = Checkpoint(TREE, (A, B), None, "")
    assert encode_checkpoint(merge) == (f"tree {TREE.hex()}\nparent {A.hex()}\nparent {B.hex()}\nrules 1\n\n".encode())
    assert user.frontier(C) == {C}
    assert merge.frontier(C) == {A, B}
    assert merge.is_merge
    assert not user.is_merge


REFUSED = {
    "nothing": b"",
    "no tree": text()[70:],
    "a tree in capitals": text(tree="AA" * 32),
    "a short tree": text(tree="11" * 31),
    "an unknown header": text().replace(b"rules", b"colour red\nrules"),
    "headers in another order": b"rules 1\n" + text(),
    "no rules": text().replace(b"rules 1\n", b""),
    "rules zero": text(rules="0"),
    "rules with a leading zero": text(rules="01"),
    "rules that are not a number": text(rules="x"),
    "no blank line": text(end=""),
    "a carriage return": text().replace(b"\n", b"\r\n"),
    "author without a name": text(author=f"{PEER} 5"),
    "author of spaces": text(author=f"  {PEER} 5"),
    "author with a space in front": text(author=f" Ann {PEER} 5"),
    "author with a space behind": text(author=f"Ann  {PEER} 5"),
    "author with a NUL": text(author=f"A\0nn {PEER} 5"),
    "author without a peer": text(author="Ann 5"),
    "a peer in capitals": text(author=f"Ann {PEER.upper()} 5"),
    "a peer that is too long": text(author=f"Ann{PEER}0 5"),
    "author without a time": text(author=f"Ann {PEER}"),
    "time with a plus": text(author=f"Ann {PEER} +5"),
    "time with a leading zero": text(author=f"Ann {PEER} 05"),
    "minus zero": text(author=f"Ann {PEER} -0"),
    "time too late": text(author=f"Ann {PEER} {TIME_LIMIT}"),
    "time too early": text(author=f"Ann {PEER} -{TIME_LIMIT}"),
    "author that is not utf-8": text().replace(b"Ann", b"\xff"),
    "message that is not utf-8": text() + b"\xff",
    "message with a surrogate": text() + b"\xed\xa0\x80",
    "an overlong encoding": text() + b"\xc0\x80",
    "a user checkpoint with two parents": text(parents=(A.hex(), B.hex())),
    "a user checkpoint with its parent twice": text(parents=(A.hex(), A.hex())),
    "a merge without parents": text(author=None),
    "a merge of one": text(author=None, parents=(A.hex(),)),
    "a merge of one, twice": text(author=None, parents=(A.hex(), A.hex())),
    "a merge not sorted": text(author=None, parents=(B.hex(), A.hex())),
    "a merge with a message": text(author=None, parents=(A.hex(), B.hex()), message="hello"),
    "a merge of too many": text(
        author=None, parents=tuple(number.to_bytes(32, "big").hex() for number in range(FRONTIER_LIMIT + 1))
    ),
    "too large": text(message="x" * MESSAGE_LIMIT),
    "git's own commit": b"tree " + b"1" * 64 + b"\nauthor A <a> 0 +0000\ncommitter A <a> 0 +0000\n\nhello\n",
}


@pytest.mark.parametrize("payload", REFUSED.values(), ids=REFUSED.keys())
def test_refuses(payload: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_checkpoint(payload)


def test_text_that_utf_8_cannot_hold_is_refused_before_it_is_stored() -> None:
    for bad in (
        Checkpoint(TREE, (), Author("A\udcff", PEER, 0), ""),
        Checkpoint(TREE, (), Author("A", PEER, 0), "\udcff"),
    ):
        with pytest.raises(MalformedError):
            encode_checkpoint(bad)


def _agrees(payload: bytes) -> None:
    try:
        found = parse_checkpoint(payload)
    except MalformedError:
        return
    assert encode_checkpoint(found) == payload


@given(checkpoints, st.data())
def test_any_byte_changed_is_refused_or_another_checkpoint(checkpoint: Checkpoint, data: st.DataObject) -> None:
    payload = bytearray(encode_checkpoint(checkpoint))
    at = data.draw(st.integers(0, len(payload) - 1))
    payload[at] = data.draw(st.integers(0, 255))
    _agrees(bytes(payload))


@given(checkpoints, st.binary(max_size=4), st.data())
def test_bytes_cut_or_put_in_are_refused_or_another_checkpoint(
    checkpoint: Checkpoint, more: bytes, data: st.DataObject
) -> None:
    payload = encode_checkpoint(checkpoint)
    at = data.draw(st.integers(0, len(payload)))
    _agrees(payload[:at] + more + payload[at:])
    _agrees(payload[:at])
    _agrees(payload[at:])


@pytest.mark.parametrize(
    "payload", [text(parents=(A.hex(),), message="hi\n"), text(author=None, parents=(A.hex(), B.hex()))]
)
def test_every_single_byte_of_one_checkpoint_changed_to_every_other(payload: bytes) -> None:
    for at in range(len(payload)):
        for value in range(256):
            _agrees(payload[:at] + bytes([value]) + payload[at + 1 :])


@pytest.mark.parametrize(("name", "is_peer"), [(PEER, True), (PEER.upper(), False), (PEER[1:], False), ("", False)])
def test_peer_ids(name: str, is_peer: bool) -> None:
    assert is_peer_id(name) is is_peer
