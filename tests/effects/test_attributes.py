"""Attribute files: what their lines mean, and which directories are units by them."""

import pytest

from replican.effects.attributes import parse_attributes
from replican.effects.ignore import NO_RULES, WITHIN_UNIT, Rules


def at(files: dict[str, bytes], directory: str = "") -> Rules:
    """The rules in a directory; ``files`` are attribute files, by the directory that has them."""
    rules = NO_RULES.below(b"", None, files.get(""))
    path = ""
    for part in directory.split("/") if directory else ():
        path = f"{path}/{part}".lstrip("/")
        rules = rules.below(part.encode(), None, files.get(path))
    return rules


@pytest.mark.parametrize(
    ("lines", "path", "unit"),
    [
        (b"*.git/ atomic", "a.git", True),
        (b"*.git/ atomic", ".git", True),
        (b"*.git atomic", ".git", True),
        (b"*.git/ atomic", "d/e/a.git", True),
        (b"*.git/ atomic", "git", False),
        (b"*.git/ atomic", "a.conflict-20261126T030405Z-0123abcd.git", True),
        (b".git/ atomic", ".git.conflict-20261126T030405Z-0123abcd", True),
        (b".git/ atomic", ".git.conflict-now", False),
        (b"/u atomic", "u", True),
        (b"/u atomic", "d/u", False),
        (b"d/u atomic", "d/u", True),
        (b"d/u atomic", "e/d/u", False),
        (b"**/d/u atomic", "e/d/u", True),
        (b"u atomic\nu -atomic", "u", False),
        (b"u -atomic\nu atomic", "u", True),
        (b"u atomic\nu !atomic", "u", False),
        (b"u atomic\nu text", "u", True),
        (b"u text atomic -diff", "u", True),
        (b"\xef\xbb\xbfu atomic\r\n", "u", True),
        (b"# u atomic\n\n", "u", False),
        (b"u", "u", False),
        (b"[ atomic", "[", False),
    ],
)
def test_lines(lines: bytes, path: str, unit: bool) -> None:
    above, _, name = path.rpartition("/")
    assert at({"": lines}, above).makes_unit(name.encode()) == unit


def test_the_nearest_file_decides() -> None:
    files = {"": b"u atomic\nv atomic", "d": b"u -atomic", "d/e": b"w atomic"}
    assert at(files).makes_unit(b"u")
    assert not at(files, "d").makes_unit(b"u")
    assert at(files, "d").makes_unit(b"v")
    assert not at(files, "d").makes_unit(b"w")
    assert not at(files, "d/e").makes_unit(b"u")
    assert at(files, "d/e").makes_unit(b"w")
    assert at({"d": b"x/u atomic"}, "d/x").makes_unit(b"u")


@pytest.mark.parametrize(
    ("text", "flaws"),
    [
        (b"!u atomic", [(1, "a pattern cannot be negated here; write PATTERN -atomic instead")]),
        (b"u atomic=yes\nv atomic", [(1, "atomic has no value; write atomic or -atomic")]),
        (b"\n/ atomic", [(2, "not a pattern")]),
        (b"u other=3\n\\!v atomic", []),
    ],
)
def test_what_means_nothing_is_told(text: bytes, flaws: list[tuple[int, str]]) -> None:
    assert [tuple(flaw) for flaw in parse_attributes(text)[1]] == flaws


def test_a_fingerprint_is_that_of_all_files_together() -> None:
    one, other = at({"": b"u atomic"}), at({"": b"v atomic"})
    same_text = NO_RULES.below(b"", b"u atomic")
    assert len({one.fingerprint, other.fingerprint, same_text.fingerprint, b""}) == 4
    assert at({"": b"u atomic"}, "d").fingerprint == one.fingerprint
    assert at({"": b"u atomic", "d": b""}, "d").fingerprint != one.fingerprint


def test_nothing_holds_within_a_unit() -> None:
    assert WITHIN_UNIT.below(b"d", b"*", b"* atomic") is WITHIN_UNIT
    assert not WITHIN_UNIT.ignores(b"x", False)
    assert not WITHIN_UNIT.makes_unit(b"x")
