"""The lines beside a log: how its checkpoints come from each other."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

Id = TypeVar("Id")


def draw(log: Iterable[tuple[Id, Sequence[Id], str]]) -> Iterator[str]:
    """The lines of a graph. ``log`` is (id, parents, text), children before parents.

    Each column is a line down to a checkpoint that is still to come. Where a checkpoint has parents that have no
    column yet,
    columns open to its right (``|\\``); where columns wait for the same one, they join when it comes (``|/``).
    """
    columns: list[Id] = []
    for own, parents, text in log:
        if own not in columns:
            columns.append(own)
        at = columns.index(own)
        while columns.count(own) > 1:  # those to the right join the first
            last = len(columns) - 1 - columns[::-1].index(own)
            yield _joining(len(columns), at, last)
            del columns[last]
        yield " ".join(["*" if place == at else "|" for place in range(len(columns))]) + " " + text
        if not parents:
            if at < len(columns) - 1:
                yield _closing(len(columns), at)
            del columns[at]
            continue
        columns[at] = parents[0]
        for number, parent in enumerate(parents[1:], 1):
            yield _opening(len(columns), at + number - 1)
            columns.insert(at + number, parent)


def _opening(width: int, at: int) -> str:
    """A column opens to the right of ``at``: those right of it move over."""
    return " ".join(["|"] * at + ["|\\"] + ["\\"] * (width - at - 1))


def _closing(width: int, at: int) -> str:
    """The column ``at`` ends: those to its right move over."""
    return (" ".join(["|"] * at) + (" " if at else "") + " " + " ".join(["/"] * (width - at - 1))).rstrip()


def _joining(width: int, at: int, last: int) -> str:
    """The column ``last`` comes over to ``at``, and those right of it move over."""
    line = [" "] * (2 * width - 1)
    for column in range(width):
        if column < last:
            line[2 * column] = "|"
        else:
            line[2 * column - 1] = "/"
    for between in range(at, last - 1):
        line[2 * between + 1] = "_"
    return "".join(line).rstrip()
