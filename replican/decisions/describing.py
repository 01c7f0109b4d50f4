"""What a checkpoint is about, where nobody wrote a message for it: counts, or where a watch records, names."""

import re
from collections.abc import Iterable
from typing import Final

from replican.decisions.treediff import Change, Tally
from replican.values.paths import show
from replican.values.quoting import escape_terminal
from replican.values.trees import DIRECTORY, Entry

NAMES: Final = 3
"""So many names are told; of all others, how many."""
LONGEST: Final = 80
"""A longer path is told by its beginning and its end."""
MANY: Final = 1000
"""So many changes are worth looking through for names."""

_VERBS = ("changed", "added", "renamed", "deleted")
_BREAKS = re.compile(r"[\t\n\r ]+")


def describe(done: Tally) -> str:
    """How much changed, in numbers of files."""
    parts = [
        f"{count} {word}"
        for count, word in (
            (done.added, "added"),
            (done.changed, "changed"),
            (done.moved, "moved"),
            (done.deleted, "deleted"),
        )
        if count
    ]
    return ", ".join(parts) or "folders and attributes"


def describe_changes(changes: Iterable[Change]) -> str:
    """What changed, by name: of few, all; of more, the first and how many more there are. One line, fit for a terminal.

    What went and came again elsewhere, the same, was renamed; a directory that came or went is one.
    """
    told = sorted(_told(list(changes)))
    groups: dict[str, list[str]] = {}
    for verb, name in told[:NAMES]:
        groups.setdefault(_VERBS[verb], []).append(name)
    if not told:
        return describe(Tally(0, 0, 0, 0))
    text = ", ".join([f"{', '.join(names)} {verb}" for verb, names in groups.items()])
    return text if len(told) <= NAMES else f"{text} and {len(told) - NAMES} more"


def _told(changes: list[Change]) -> Iterable[tuple[int, str]]:
    gone: dict[tuple[bytes, bytes], list[bytes]] = {}
    for path, old, new in changes:
        if old is not None and new is None:
            gone.setdefault(_same(old), []).append(path)
    renamed: set[bytes] = set()
    for path, old, new in changes:
        if old is None and new is not None and gone.get(_same(new)):
            before = gone[_same(new)].pop(0)
            renamed |= {before, path}
            yield 2, f"{_shown(before, new)} to {_shown(path, new)}"
    for path, old, new in changes:
        entry = old if new is None else new
        if path not in renamed and entry is not None:
            yield 0 if old and new else 1 if new else 3, _shown(path, entry)


def _same(entry: Entry) -> tuple[bytes, bytes]:
    return entry.kind, entry.id


def _shown(path: bytes, entry: Entry) -> str:
    text = _BREAKS.sub(" ", show(path))
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]}...{text[-LONGEST // 2 :]}"
    return escape_terminal(text, keep="") + "/" * (entry.kind == DIRECTORY)
