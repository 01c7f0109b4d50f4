"""What of an edited region is as it was: a region of a new version of a file, against the pieces of the old one.

An edit leaves what is before it at its distance from the beginning of the region, and what is behind it at its distance
from the end. Only these two are looked at: bytes in between that were moved are as good as new.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from replican.values.sums import Piece, sum_of


class Kept(NamedTuple):
    """Bytes of the region, by where they begin in it and how many they are, that the old version has at ``offset``."""

    start: int
    length: int
    offset: int


def kept_of_gap(
    new: memoryview, start: int, before: Iterable[Piece], end: int | None = None, behind: Iterable[Piece] = ()
) -> list[Kept]:
    """Which bytes of the region ``new`` are as they were, in their order.

    Its counterpart in the old version begins at ``start``, and ``before`` are the pieces from there on, in their order;
    it ends at ``end``, if that is known, and ``behind`` are the pieces up to there, backwards.
    """
    found = list(_matching(new, _forward(before, start, len(new))))
    if end is not None:
        free = _Free(found)
        found += [each for each in _matching(new, _backward(behind, end, len(new))) if free.has(each)]
    return _joined(sorted(found))


class _Free:
    """What is not taken by some ranges, which are in their order; it is asked backwards."""

    def __init__(self, taken: list[Kept]) -> None:
        self._taken = list(taken)

    def has(self, each: Kept) -> bool:
        while self._taken and self._taken[-1].start >= each.start + each.length:
            self._taken.pop()
        return not self._taken or self._taken[-1].start + self._taken[-1].length <= each.start


def _forward(pieces: Iterable[Piece], start: int, size: int) -> Iterator[tuple[int, Piece]]:
    for piece in pieces:
        at = piece.offset - start
        if at + piece.length > size:
            return
        yield at, piece


def _backward(pieces: Iterable[Piece], end: int, size: int) -> Iterator[tuple[int, Piece]]:
    for piece in pieces:
        at = size - (end - piece.offset)
        if at < 0:
            return
        yield at, piece


def _matching(new: memoryview, pieces: Iterable[tuple[int, Piece]]) -> Iterator[Kept]:
    for at, piece in pieces:
        if sum_of(new[at : at + piece.length]) == piece.sum:
            yield Kept(at, piece.length, piece.offset)


def _joined(found: list[Kept]) -> list[Kept]:
    joined: list[Kept] = []
    for each in found:
        last = joined[-1] if joined else None
        if last is not None and (last.start + last.length, last.offset + last.length) == (each.start, each.offset):
            joined[-1] = last._replace(length=last.length + each.length)
        else:
            joined.append(each)
    return joined
