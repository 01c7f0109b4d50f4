import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from replican.values.ids import BlobId, blob_id
from replican.values.names import NAME_LIMIT, are_tree_names, copy_name, group_key, is_copy_name, is_tree_name

BLOB = blob_id(b"x")
HEX = BLOB.hex().encode()
SUFFIX = b".conflict-20240102T030405Z-0123abcd"
SECOND = 1_000_000_000
RULE = re.compile(rb"^(.+)\.conflict-\d{8}T\d{6}Z-[0-9a-f]{8,64}(\.[^.]*)?\Z", re.DOTALL)

names = st.one_of(
    st.binary(min_size=1, max_size=255),
    st.text(min_size=1, max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(
        st.sampled_from(
            [
                b"a",
                b".",
                b"..",
                b".txt",
                b"~",
                SUFFIX,
                SUFFIX + b"f",
                b".replican",
                b"x" * 90,
                "é".encode() * 50,
                b"\xff",
            ]
        ),
        min_size=1,
        max_size=6,
    ).map(b"".join),
).filter(is_tree_name)


@pytest.mark.parametrize(
    "name",
    [
        b"", b".", b"..", b"a/b", b"/", b"a\0", b"\0", b"x" * 256,
        b".replican", b".REPLICAN", b".Replican",
        ".rep\u200clican".encode(), "\ufeff.replican".encode(), ".replican\u2060".encode(),
        "．ＲＥＰＬＩＣＡＮ".encode(),
        "\u2024replican".encode(), ".replic\u00adan".encode(), ".re\u034fplican".encode(), ".ⓡeplican".encode(),
        b".replican.", b".Replican . .", b".replican:stream", ".replican\u200d .".encode(), b"REPLIC~1", b"replic~9.",
    ],
)  # fmt: skip
def test_forbidden(name: bytes) -> None:
    assert not is_tree_name(name)


@pytest.mark.parametrize(
    "name",
    [
        b"a", b"...", b".a", b"replican", b".replican2", b".replicanignore", b"x.replican", b"x" * 255, b" ", b"\n",
        b"\xff", b".replican\xff", b"\x80", "é".encode(), "．x".encode(), ".replıcan".encode(), b"~", b"-rf", b"a\\b",
        b"replic~", b"replic~10", b"replic~1x", b".replican.d", b"file~1", b". .",
    ],
)  # fmt: skip
def test_allowed(name: bytes) -> None:
    assert is_tree_name(name)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (b"a" + SUFFIX, b"a"),
        (b"a" + SUFFIX + b".txt", b"a.txt"),
        (b"a.tar" + SUFFIX + b".gz", b"a.tar.gz"),
        (b".bashrc" + SUFFIX, b".bashrc"),
        (b"a" + SUFFIX + b".", b"a."),
        (b"a\nb" + SUFFIX + b".\n", b"a\nb.\n"),
        (b"a" + SUFFIX + SUFFIX, b"a"),
        (b"a" + SUFFIX + b".txt" + SUFFIX, b"a.txt"),
        (b"a" + SUFFIX + SUFFIX + b".txt", b"a.txt"),
        (b"a" + SUFFIX + b"0" * 56, b"a"),
        (b"." + SUFFIX + b".foo", b"..foo"),
    ],
)
def test_copies(name: bytes, key: bytes) -> None:
    assert is_copy_name(name)
    assert group_key(name) == key


@pytest.mark.parametrize(
    "name",
    [
        b"a",
        SUFFIX,  # nothing to derive from
        SUFFIX + b".txt",
        b"." + SUFFIX,  # would be .
        b".." + SUFFIX,  # would be ..
        b".replican" + SUFFIX,
        b".Replican" + SUFFIX,
        b"a" + SUFFIX + b"\n",  # no extension without a dot
        b"a" + SUFFIX + b".tar.gz",
        b"a" + SUFFIX + b"0" * 57,
        b"a" + SUFFIX[:-1],
        b"a" + SUFFIX.upper(),
        b"a.conflict-20240102T030405-0123abcd",
        b"a.conflict-2024010\xd9\xa2T030405Z-0123abcd",
    ],
)
def test_no_copies(name: bytes) -> None:
    assert not is_copy_name(name)
    assert group_key(name) == name


@pytest.mark.parametrize(
    ("key", "mtime_ns", "name"),
    [
        (b"a", 0, b"a.conflict-19700101T000000Z-" + HEX[:8]),
        (b"a.txt", 1704164645 * SECOND + 999_999_999, b"a.conflict-20240102T030405Z-" + HEX[:8] + b".txt"),
        (b"a.tar.gz", -1, b"a.tar.conflict-19691231T235959Z-" + HEX[:8] + b".gz"),
        (b".bashrc", 1 << 80, b".bashrc.conflict-99991231T235959Z-" + HEX[:8]),
        (b".a.b", -(1 << 80), b".a.conflict-00010101T000000Z-" + HEX[:8] + b".b"),
        (b"a.", -62135596800 * SECOND, b"a.conflict-00010101T000000Z-" + HEX[:8] + b"."),
    ],
)
def test_copy_name(key: bytes, mtime_ns: int, name: bytes) -> None:
    assert copy_name(key, mtime_ns, BLOB, ()) == name


def test_more_digits_while_taken() -> None:
    taken: set[bytes] = set()
    for _ in range(12):  # past the 64 digits, too: a file and a link may have the same bytes
        name = copy_name(b"a.txt", 0, BLOB, taken)
        assert name not in taken
        assert group_key(name) == b"a.txt"
        taken.add(name)
    start = b"a.conflict-19700101T000000Z-"
    assert {start + HEX[:size] + b".txt" for size in (8, 16, 32, 64)} < taken


def test_long_names_share_a_cut_form() -> None:
    long = b"x" * 250 + b".txt"
    key = group_key(long)
    assert re.fullmatch(rb"x+~[0-9a-f]{16}\.txt", key)
    assert group_key(key) == key
    assert group_key(copy_name(key, 0, BLOB, ())) == key
    assert group_key(b"x" * 251 + b".txt") != key
    assert group_key(b"x" * 200 + b".txt") == b"x" * 200 + b".txt", "a name that can take a suffix is not cut"


def test_a_long_name_is_not_cut_inside_a_character() -> None:
    key = group_key("ü".encode() * 127)
    key.decode()
    assert len(copy_name(key, 0, BLOB, ())) <= NAME_LIMIT


def test_a_long_extension_is_cut_like_the_rest() -> None:
    key = group_key(b"a." + b"x" * 250)
    assert key.startswith(b"a.xxx")
    assert len(copy_name(key, 0, BLOB, ())) <= NAME_LIMIT


def test_a_long_name_with_taken_copies() -> None:
    key = group_key(b"x" * 255)
    taken: set[bytes] = set()
    for _ in range(20):
        name = copy_name(key, 0, BLOB, taken)
        assert len(name) <= NAME_LIMIT
        assert group_key(name) == key
        assert name not in taken
        taken.add(name)


@given(names, st.integers(-(1 << 70), 1 << 70), st.binary(min_size=32, max_size=32), st.integers(0, 6))
@example(b".replican" + SUFFIX, 0, bytes(32), 6)
@example(b"." + SUFFIX, 0, bytes(32), 6)
@example(b"a" * 100 + SUFFIX + b".fo." + b"z" * 110, 0, bytes(32), 1)
def test_a_copy_belongs_to_its_group(name: bytes, mtime_ns: int, blob: bytes, often: int) -> None:
    key = group_key(name)
    assert is_tree_name(key)
    assert group_key(key) == key, "suffixes never nest"
    taken: set[bytes] = {key}
    for _ in range(often):
        copy = copy_name(key, mtime_ns, BlobId(blob), taken)
        assert is_tree_name(copy)
        assert is_copy_name(copy)
        assert copy not in taken
        assert group_key(copy) == key
        taken.add(copy)


@given(names)
def test_the_one_rule(name: bytes) -> None:
    match = RULE.match(name)
    derived = match and match[1] + (match[2] or b"")
    assert is_copy_name(name) == bool(derived and is_tree_name(derived))


@given(st.binary(max_size=300))
def test_what_is_allowed_is_a_single_part(name: bytes) -> None:
    if is_tree_name(name):
        assert name not in (b"", b".", b"..")
        assert b"/" not in name
        assert b"\0" not in name
        assert len(name) <= NAME_LIMIT
        assert name.lower() != b".replican"


ODD_NAMES = [b"", b"/", b"a/b", b"a\0", b".", b"..", b".replican", b"REPLIC~1", b".a", b"x" * 256]


@given(st.lists(names | st.sampled_from(ODD_NAMES), max_size=4))
@example([b"a/b", b""])
def test_names_are_looked_at_together(some: list[bytes]) -> None:
    assert are_tree_names(some) == all(map(is_tree_name, some))
