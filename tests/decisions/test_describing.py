"""What a checkpoint that nobody wrote a message for says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replican.decisions.describing import LONGEST, NAMES, describe, describe_changes
from replican.decisions.treediff import Change, Tally
from replican.values.quoting import escape_terminal
from replican.values.trees import DIRECTORY, FILE, Entry


def entry(path: bytes, id: int = 0, kind: bytes = FILE) -> Entry:
    return Entry(path.rpartition(b"/")[2], kind, 0o644, 1, 2, bytes([id]) * 32)


def added(path: bytes, id: int = 1, kind: bytes = FILE) -> Change:
    return Change(path, None, entry(path, id, kind))


def deleted(path: bytes, id: int = 2, kind: bytes = FILE) -> Change:
    return Change(path, entry(path, id, kind), None)


def changed(path: bytes) -> Change:
    return Change(path, entry(path, 3), entry(path, 4))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ([changed(b"notes/a.txt")], "notes/a.txt changed"),
        ([added(b"b"), added(b"a")], "a, b added"),
        ([deleted(b"z"), changed(b"c"), added(b"b")], "c changed, b added, z deleted"),
        ([added(b"%d" % number) for number in range(5)], "0, 1, 2 added and 2 more"),
        ([deleted(b"old", 7), added(b"d/new", 7)], "old to d/new renamed"),
        ([deleted(b"one", 7, DIRECTORY), added(b"two", 7, DIRECTORY)], "one/ to two/ renamed"),
        ([deleted(b"old", 7), added(b"new", 8)], "new added, old deleted"),
        ([deleted(b"old", 7, DIRECTORY), added(b"new", 7)], "new added, old/ deleted"),
        ([deleted(b"old", 7), added(b"new", 7), added(b"too", 7)], "too added, old to new renamed"),
        ([added("grün".encode())], "grün added"),
        ([added(b"\x1b[2J\xff\n\t evil\xe2\x80\xae")], "\\033[2J\\377 evil\\u202e added"),
        ([], "folders and attributes"),
    ],
)
def test_names(changes: list[Change], text: str) -> None:
    assert describe_changes(changes) == text


def test_counts() -> None:
    assert describe(Tally(1, 2, 3, 4)) == "1 added, 4 changed, 3 moved, 2 deleted"


NAME = st.binary(min_size=1, max_size=255).filter(lambda name: b"\0" not in name)


@given(st.lists(st.tuples(NAME, st.sampled_from([added, deleted])), max_size=12, unique_by=lambda each: each[0]))
def test_one_short_line_that_a_terminal_only_shows(made: list[tuple[bytes, object]]) -> None:
    text = describe_changes([make(path) for path, make in made])  # type: ignore[operator]
    assert text
    assert escape_terminal(text, keep="") == text
    text.encode()
    assert len(text) <= 2 * NAMES * (6 * LONGEST + 20)
