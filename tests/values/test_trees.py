"""One encoding for each listing, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replican.values.errors import MalformedError, NotFoundError, UnsupportedError
from replican.values.ids import EMPTY_TREE, TreeId, tree_id
from replican.values.names import is_tree_name
from replican.values.trees import (
    DIRECTORY,
    FILE,
    LINK,
    LINK_PERM,
    SIZE_LIMIT,
    TIME_LIMIT,
    Entry,
    TreeOverlay,
    encode_tree,
    has_units,
    parse_tree,
)

ID = bytes(range(32))

names = st.one_of(
    st.binary(min_size=1, max_size=255), st.text(min_size=1, max_size=60).map(lambda text: text.encode()[:255])
).filter(is_tree_name)
ids = st.binary(min_size=32, max_size=32)
perms = st.integers(0, 0o777)
sizes = st.one_of(st.integers(0, 5000), st.integers(0, SIZE_LIMIT - 1))
times = st.one_of(st.integers(-TIME_LIMIT + 1, TIME_LIMIT - 1), st.sampled_from([0, 1, -1, 10**18]))
entries = st.one_of(
    st.builds(Entry, names, st.just(FILE), perms, sizes, times, ids),
    st.builds(Entry, names, st.just(LINK), st.just(LINK_PERM), sizes, times, ids),
    st.builds(Entry, names, st.just(DIRECTORY), st.integers(0, 0o1777), st.just(0), st.just(0), ids),
)
listings = st.lists(entries, max_size=8, unique_by=lambda entry: entry.name).map(sorted)


def line(
    kind: bytes = b"f", perm: bytes = b"0644", size: bytes = b"1", mtime: bytes = b"2", name: bytes = b"a"
) -> bytes:
    return b"%s%s %s %s %s\0%s" % (kind, perm, size, mtime, name, ID)


@given(listings)
def test_every_listing_comes_back(listing: list[Entry]) -> None:
    assert parse_tree(encode_tree(listing)) == listing


def test_the_bytes_are_those_of_the_format() -> None:
    listing = [
        Entry(b"a\xff\n", FILE, 0o640, 12, -1, ID),
        Entry(b"b", DIRECTORY, 0o755, 0, 0, ID),
        Entry(b"c c", LINK, 0o777, 3, 1_700_000_000_123_456_789, ID),
    ]
    payload = encode_tree(listing)
    assert payload == (
        b"f0640 12 -1 a\xff\n\0" + ID + b"d0755 0 0 b\0" + ID + b"l0777 3 1700000000123456789 c c\0" + ID
    )
    assert tree_id(payload).hex() == "4fa2298960a7a559b0af70c71e5ce903622ad3438607c81cfdee1c8f0804dafa"
    assert parse_tree(payload) == listing
    assert type(parse_tree(payload)[0]) is Entry


def test_a_unit_is_told_by_its_first_digit() -> None:
    unit, plain = Entry(b"u", DIRECTORY, 0o1700, 0, 0, ID), Entry(b"u", DIRECTORY, 0o700, 0, 0, ID)
    assert (encode_tree([unit]), encode_tree([plain])) == (b"d1700 0 0 u\0" + ID, b"d0700 0 0 u\0" + ID)
    assert [entry.is_unit for entry in parse_tree(encode_tree([unit]))] == [True]
    for listing, found in (([unit], True), ([plain], False), ([plain._replace(id=b"d1" * 16)], False)):
        assert has_units(encode_tree(listing)) == found


REFUSED = {
    "unknown kind": line(kind=b"x"),
    "no kind": line()[1:],
    "perm with three digits": line(perm=b"644"),
    "perm with five digits": line(perm=b"00644"),
    "set-user-id": line(perm=b"4755"),
    "a file that is a unit": line(perm=b"1644"),
    "a link that is a unit": line(kind=b"l", perm=b"1777"),
    "a directory with more than a unit's mark": line(kind=b"d", perm=b"3755", size=b"0", mtime=b"0"),
    "a unit with a size": line(kind=b"d", perm=b"1755", size=b"1", mtime=b"0"),
    "perm that is not octal": line(perm=b"0689"),
    "size with a leading zero": line(size=b"01"),
    "size with a sign": line(size=b"+1"),
    "negative size": line(size=b"-1"),
    "no size": line(size=b""),
    "size out of range": line(size=b"9223372036854775808"),
    "size with many digits": line(size=b"1" * 30),
    "time with a leading zero": line(mtime=b"007"),
    "minus zero": line(mtime=b"-0"),
    "time with a plus": line(mtime=b"+7"),
    "time too late": line(mtime=b"9223372036854775808"),
    "time too early": line(mtime=b"-9223372036854775808"),
    "time with an underscore": line(mtime=b"1_0"),
    "digits that are not ascii": line(mtime="٣".encode()),
    "two spaces": b"f0644  1 2 a\0" + ID,
    "a tab for a space": b"f0644\t1 2 a\0" + ID,
    "empty name": line(name=b""),
    "dot": line(name=b"."),
    "dot dot": line(name=b".."),
    "a slash": line(name=b"a/b"),
    "our own directory": line(name=b".replican"),
    "our own directory in capitals": line(name=b".Replican"),
    "our own directory with an invisible character": line(name=".rep\u200blican".encode()),
    "a name of 256 bytes": line(name=b"a" * 256),
    "no NUL": b"f0644 1 2 a",
    "an id cut short": line()[:-1],
    "no id": line()[:-32],
    "an id too long": line() + b"\0",
    "trailing newline": line() + b"\n",
    "twice the same": line() + line(),
    "not sorted": line(name=b"b") + line(name=b"a"),
    "sorted as git sorts directories": line(name=b"a.b") + line(kind=b"d", size=b"0", mtime=b"0", name=b"a"),
    "a file and a directory of one name": line() + line(kind=b"d", size=b"0", mtime=b"0"),
    "a directory with a size": line(kind=b"d", mtime=b"0"),
    "a directory with a time": line(kind=b"d", size=b"0"),
    "a link with other permissions": line(kind=b"l", perm=b"0755"),
    "a trailer without a version": line() + b"*\0abc",
    "a trailer with a bad version": line() + b"*01\0abc",
    "git's own tree": b"100644 a\0" + ID,
}


@pytest.mark.parametrize("payload", REFUSED.values(), ids=REFUSED.keys())
def test_refuses(payload: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_tree(payload)


@pytest.mark.parametrize("payload", [line() + b"*1\0xattrs", b"*2\0"])
def test_attributes_of_a_later_release_are_told_from_damage(payload: bytes) -> None:
    with pytest.raises(UnsupportedError):
        parse_tree(payload)


def test_the_edges_of_the_ranges_are_allowed() -> None:
    for payload in (
        line(mtime=b"9223372036854775807"),
        line(mtime=b"-9223372036854775807"),
        line(size=b"9223372036854775807"),
        line(name=b"a" * 255),
        line(name=b".replican2"),
        line(perm=b"0000"),
        b"",
    ):
        assert encode_tree(parse_tree(payload)) == payload


def _agrees(payload: bytes) -> None:
    """What is parsed encodes to itself, byte for byte."""
    try:
        found = parse_tree(payload)
    except (MalformedError, UnsupportedError):
        return
    assert encode_tree(found) == payload


@given(listings.filter(len), st.data())
def test_any_byte_changed_is_refused_or_another_tree(listing: list[Entry], data: st.DataObject) -> None:
    payload = bytearray(encode_tree(listing))
    at = data.draw(st.integers(0, len(payload) - 1))
    payload[at] = data.draw(st.integers(0, 255))
    _agrees(bytes(payload))


@given(listings, st.binary(max_size=4), st.data())
def test_bytes_cut_or_put_in_are_refused_or_another_tree(
    listing: list[Entry], more: bytes, data: st.DataObject
) -> None:
    payload = encode_tree(listing)
    at = data.draw(st.integers(0, len(payload)))
    _agrees(payload[:at] + more + payload[at:])
    _agrees(payload[:at])
    _agrees(payload[at:])


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    _agrees(noise)


def test_every_single_byte_of_one_tree_changed_to_every_other() -> None:
    payload = line(name=b"a") + line(kind=b"d", size=b"0", mtime=b"0", name=b"b") + line(b"l", b"0777", name=b"c")
    for at in range(len(payload)):
        for value in range(256):
            _agrees(payload[:at] + bytes([value]) + payload[at + 1 :])


class NoTrees:
    def tree(self, tree: TreeId, /) -> list[Entry]:
        raise NotFoundError("none here")


def test_an_overlay_keeps_what_is_made_above_what_is_there() -> None:
    overlay = TreeOverlay(NoTrees())
    listing = [Entry(b"a", FILE, 0o644, 1, 2, ID)]
    made = overlay.add(listing)
    assert overlay.tree(made) == listing
    assert overlay.new == {made: encode_tree(listing)}
    with pytest.raises(NotFoundError):
        overlay.tree(EMPTY_TREE)
