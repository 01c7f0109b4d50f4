"""Ignore rules: `.replicanignore` files, in any directory, with the meaning that gitignore files have.

They are asked only about names that the index does not have: what is tracked stays tracked. A directory that is ignored
is not looked into, so nothing below it can be taken back by a rule. The attribute files of directories come along,
since they hold for the same places: a unit is whole, and nothing in it is ignored.
"""

import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from xxhash import xxh3_64_digest

from replican.effects.attributes import AttributeLine, deciding, parse_attributes
from replican.effects.worktree import FILE_FLAGS
from replican.values.names import group_key

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

IGNORE_NAME: Final = ".replicanignore"
_SIZE_LIMIT: Final = 1 << 20
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class _Pattern:
    """One line: what it matches, whether that is ignored or taken back, and whether it means directories only."""

    __slots__ = ("directories", "ignores", "line", "matches", "number")

    def __init__(
        self, matches: "re.Pattern[bytes]", ignores: bool, directories: bool, number: int, line: bytes
    ) -> None:
        self.number = number
        self.line = line
        self.matches = matches
        self.ignores = ignores
        self.directories = directories


class Reason(NamedTuple):
    """The line that decides: its number (from 1) and text in the ignore file of the directory that is ``above`` so
    many steps up."""

    above: int
    number: int
    line: bytes


class Rules:
    """The rules that hold in one directory: its own file's, then those of the directories above it.

    ``fingerprint`` is equal exactly where the rules are; empty where there are none.
    """

    __slots__ = (
        "_above",
        "_any",
        "_excluded",
        "_lines",
        "_name",
        "_patterns",
        "_text",
        "_units",
        "fingerprint",
        "units",
    )

    def __init__(self, above: "Rules | None", name: bytes, text: bytes | None, units: bytes | None = None) -> None:
        """``text`` is what the ignore file holds, ``units`` what the attribute file does; None where there is none."""
        self._above = above
        self._name = name
        self._text = text
        self._patterns: list[_Pattern] | None = None
        self._any: re.Pattern[bytes] | None = None
        self._excluded: bool | None = None
        self._units = units
        self._lines: list[AttributeLine] | None = None
        self.units: bool = units is not None or (above is not None and above.units)
        """Whether any attribute file says what is a unit."""
        made = b"" if above is None else above.fingerprint
        if text is not None:
            made = xxh3_64_digest(b"%s%s\0%s" % (made, name, text))
        if units is not None:
            made = xxh3_64_digest(b"%s%s\0\0%s" % (made, name, units))
        self.fingerprint: bytes = made

    def below(self, name: bytes, text: bytes | None, units: bytes | None = None) -> "Rules":
        """The rules in the subdirectory ``name``, whose own files hold ``text`` and ``units`` (None: it has none)."""
        if text is None and units is None and not self.fingerprint:
            return self
        return Rules(self if self.fingerprint else None, name, text, units)

    def makes_unit(self, name: bytes) -> bool:
        """Whether a directory ``name`` in this one is a unit. A conflict copy is what it is a copy of."""
        found = self.units and self.line_of_unit(group_key(name))
        return found[0].atomic if found else False

    def line_of_unit(self, name: bytes) -> "tuple[AttributeLine, int] | None":
        """The line that decides about a directory, and how many steps up its file is."""
        rules: Rules | None = self
        above = 0
        while rules is not None:
            if rules._units is not None:
                if rules._lines is None:
                    rules._lines, _ = parse_attributes(rules._units)
                line = deciding(rules._lines, name)
                if line is not None:
                    return line, above
            name = b"%s/%s" % (rules._name, name)
            rules = rules._above
            above += 1
        return None

    def ignores(self, name: bytes, is_directory: bool) -> bool:
        """Whether an untracked ``name`` in this directory is left out."""
        return bool(self.fingerprint) and (self._is_excluded() or self._decide(name, is_directory))

    def _is_excluded(self) -> bool:
        """Whether this directory is itself ignored (and was entered because something in it is tracked)."""
        if self._excluded is None:
            self._excluded = self._above is not None and self._above.ignores(self._name, True)
        return self._excluded

    def _decide(self, name: bytes, is_directory: bool) -> bool:
        found = self._deciding(name, is_directory)
        return found is not None and found[0].ignores

    def explain(self, name: bytes, is_directory: bool) -> "Reason | None":
        """Why :meth:`ignores` would say so; None where it would not."""
        if not self.ignores(name, is_directory):
            return None
        if self._is_excluded():
            assert self._above is not None
            reason = self._above.explain(self._name, True)
            assert reason is not None
            return reason._replace(above=reason.above + 1)
        found = self._deciding(name, is_directory)
        assert found is not None
        pattern, above = found
        return Reason(above, pattern.number, pattern.line)

    def _deciding(self, name: bytes, is_directory: bool) -> tuple[_Pattern, int] | None:
        # The file that is nearest decides, and in it the last line that matches.
        rules: Rules | None = self
        above = 0
        while rules is not None:
            if rules._text:
                patterns = rules._load()
                if rules._any is not None and rules._any.match(name):
                    for pattern in reversed(patterns):
                        if (is_directory or not pattern.directories) and pattern.matches.match(name):
                            return pattern, above
            name = b"%s/%s" % (rules._name, name)
            rules = rules._above
            above += 1
        return None

    def _load(self) -> list[_Pattern]:
        if self._patterns is None:
            self._patterns, self._any = _parse(self._text or b"")
        return self._patterns


NO_RULES: Final = Rules(None, b"", None)
"""Where no directory from the root down has an ignore file."""


class _NoRulesBelow(Rules):
    __slots__ = ()

    def below(self, name: bytes, text: bytes | None, units: bytes | None = None) -> Rules:
        return self


WITHIN_UNIT: Final = _NoRulesBelow(None, b"", None)
"""What holds in a unit, whatever files are in it."""


def _parse(text: bytes) -> "tuple[list[_Pattern], re.Pattern[bytes] | None]":
    """The patterns of a file, and one expression that matches whatever any of them does: it answers most questions."""
    import re

    from dulwich.ignore import read_ignore_patterns, translate
    from dulwich.wildmatch import MalformedPattern

    patterns: list[_Pattern] = []
    expressions: list[bytes] = []
    for number, shown in _lines(text, read_ignore_patterns):
        line = shown
        ignores = not line.startswith(b"!")
        if not ignores or line.startswith((b"\\!", b"\\#")):
            line = line[1:]
        wanted = line.rstrip(b"/")
        if not wanted:
            continue
        try:
            # translate() adds no backreferences, and always the same flags in front.
            expression = translate(wanted)
            matches = re.compile(expression)
        except (MalformedPattern, re.error):
            continue  # as git does
        patterns.append(_Pattern(matches, ignores, line.endswith(b"/"), number, shown))
        expressions.append(b"(?:%s)" % expression.removeprefix(b"(?ms)"))
    return patterns, re.compile(b"(?ms)" + b"|".join(expressions)) if expressions else None


def _lines(text: bytes, read: "Callable[[BinaryIO], Iterable[bytes]]") -> "Iterator[tuple[int, bytes]]":
    """The patterns of a file as they are written, with the numbers of their lines."""
    import io

    for number, line in enumerate(text.removeprefix(_BYTE_ORDER_MARK).split(b"\n"), 1):
        for pattern in read(io.BytesIO(line)):
            yield number, pattern


def read_rules(dir_fd: int, name: str = IGNORE_NAME) -> bytes | None:
    """What the ignore file (or attribute file) of a directory holds; None if it has none, or something else has that
    name."""
    try:
        fd = os.open(name, FILE_FLAGS, dir_fd=dir_fd)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        return os.read(fd, _SIZE_LIMIT)
    except OSError:
        return None
    finally:
        os.close(fd)
