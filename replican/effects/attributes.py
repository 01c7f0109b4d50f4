"""Attributes: `.replicanattributes` files, in any directory, with lines as gitattributes files have them.

One attribute is known, and it means directories alone: one that is ``atomic`` is a unit, recorded, moved and fought
for as a whole. A pattern means what it means in a gitignore file, with or without a slash at its end; later lines go
before earlier ones, and those of a nearer file before those of one further up.
"""

import os
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator

ATTRIBUTES_NAME: Final = ".replicanattributes"
ATTRIBUTES_BYTES: Final = os.fsencode(ATTRIBUTES_NAME)
UNITS: Final = b"atomic"
USUAL_UNITS: Final = """\
# Directories that are kept in step as one: man 5 replican-attributes
.git/ atomic
*.git/ atomic
"""
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class AttributeLine(NamedTuple):
    """One line that says something of units: what it matches, and whether that is one."""

    matches: "re.Pattern[bytes]"
    atomic: bool
    number: int
    line: bytes


class Flaw(NamedTuple):
    """A line that means nothing: its number, and why."""

    number: int
    problem: str


def parse_attributes(text: bytes) -> tuple[list[AttributeLine], list[Flaw]]:
    """The lines of an attribute file that are about units, and those that nothing can be made of."""
    import re

    from dulwich.ignore import translate
    from dulwich.wildmatch import MalformedPattern

    lines: list[AttributeLine] = []
    flaws: list[Flaw] = []
    for number, line, pattern, attributes in _lines(text):
        if pattern.startswith(b"!"):
            flaws.append(Flaw(number, "a pattern cannot be negated here; write PATTERN -atomic instead"))
            continue
        if UNITS not in attributes:
            continue
        value = attributes[UNITS]
        if value not in (True, False, None):
            flaws.append(Flaw(number, "atomic has no value; write atomic or -atomic"))
            continue
        wanted = pattern.rstrip(b"/")
        if wanted.startswith((b"\\!", b"\\#")):
            wanted = wanted[1:]
        try:
            if not wanted:
                raise MalformedPattern(pattern.decode("utf-8", "replace"))
            matches = re.compile(translate(wanted))
        except (MalformedPattern, re.error):
            flaws.append(Flaw(number, "not a pattern"))
            continue
        lines.append(AttributeLine(matches, value is True, number, line))
    return lines, flaws


def _lines(text: bytes) -> "Iterator[tuple[int, bytes, bytes, dict[bytes, object]]]":
    import io

    from dulwich.attrs import parse_git_attributes

    for number, line in enumerate(text.removeprefix(_BYTE_ORDER_MARK).split(b"\n"), 1):
        for pattern, attributes in parse_git_attributes(io.BytesIO(line)):
            yield number, line.strip(), pattern, dict(attributes)


def deciding(lines: "Iterable[AttributeLine]", path: bytes) -> AttributeLine | None:
    """The line of one file that decides about a directory at ``path`` below it: the last that matches."""
    found = None
    for each in lines:
        if each.matches.match(path):
            found = each
    return found
