"""What of missing blocks is here all the same: pieces of them, at the places where an edit has left them.

Blocks that are nowhere here were edited, mostly, and lie between others that were not. So their pieces are looked for
as far behind the blocks before as they are in the wanted file, and as far before the blocks behind, by their sums.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from replican.decisions.delta import FETCHED, DeltaPlan, Range
from replican.values.sums import PIECE, SUM_SIZE, count_of, sum_of

LONGEST: Final = 4 << 20
"""Of a longer gap, in bytes, most is taken to be new."""


class Place(NamedTuple):
    """An offset in the file of number ``basis``."""

    basis: int
    offset: int


class Gap(NamedTuple):
    """Missing blocks that lie side by side, with the numbers from ``first`` to before ``end``, and where the file that
    the blocks around them come from has its counterpart of them: from ``before`` on, and up to ``behind``."""

    first: int
    end: int
    range: Range
    before: Place | None
    behind: Place | None

    @property
    def promise(self) -> int:
        """How many bytes of it may be here."""
        if self.before is None or self.behind is None or self.before.basis != self.behind.basis:
            return self.range.length
        return max(0, min(self.range.length, self.behind.offset - self.before.offset))


class Part(NamedTuple):
    """Bytes of the wanted file, and where they are: at ``source`` in the file of number ``basis``, or to be fetched."""

    offset: int
    length: int
    basis: int
    source: int


def gaps_of(plan: DeltaPlan, sizes: Sequence[int]) -> list[Gap]:
    """The gaps of a plan of which pieces may be here; the files that blocks come from have these ``sizes``."""
    pieces, found = plan.pieces, list[Gap]()
    end = 0
    while end < len(pieces):
        first = end
        while end < len(pieces) and pieces[end].basis == FETCHED:
            end += 1
        if end == first:
            end += 1
            continue
        start = pieces[first].block.offset
        length = pieces[end - 1].block.offset + pieces[end - 1].block.length - start
        before, behind = None, None
        if first and pieces[first - 1].basis < len(sizes):
            last = pieces[first - 1]
            before = Place(last.basis, last.source + last.block.length)
        if end < len(pieces) and pieces[end].basis < len(sizes):
            behind = Place(pieces[end].basis, pieces[end].source)
        if before is None and first == 0 and behind is not None:
            before = Place(behind.basis, 0)
        if behind is None and end == len(pieces) and before is not None:
            behind = Place(before.basis, sizes[before.basis])
        gap = Gap(first, end, Range(start, length), before, behind)
        if (before or behind) and gap.promise and length <= LONGEST:
            found.append(gap)
    return found


def parts_of_gap(gap: Gap, sums: bytes, read: Callable[[Place, int], bytes]) -> list[Part]:
    """A gap as parts, in their order, by the sums of its pieces; ``read`` gives so many bytes of what is at a place, or
    fewer."""
    offset, length = gap.range
    aligned: list[tuple[Place, memoryview]] = []
    if gap.before is not None:
        aligned.append((gap.before, memoryview(read(gap.before, length))))
    if gap.behind is not None and gap.behind.offset:
        lacking = max(0, length - gap.behind.offset)
        place = Place(gap.behind.basis, gap.behind.offset - length + lacking)
        data = bytes(lacking) + read(place, length - lacking)
        if len(data) == length:
            aligned.append((Place(place.basis, place.offset - lacking), memoryview(data)))
    parts: list[Part] = []
    for number, at in enumerate(range(0, length, PIECE)):
        size = min(PIECE, length - at)
        sum = sums[number * SUM_SIZE : (number + 1) * SUM_SIZE]
        part = Part(offset + at, size, FETCHED, 0)
        for (basis, source), there in aligned:
            if source + at >= 0 and len(there) >= at + size and sum_of(there[at : at + size]) == sum:
                part = Part(offset + at, size, basis, source + at)
                break
        _add(parts, part)
    return parts


def _add(parts: list[Part], part: Part) -> None:
    last = parts[-1] if parts else None
    # what is fetched is side by side anyhow
    step = 0 if last is None or part.basis == FETCHED else last.length
    if last is not None and (last.basis, last.source + step) == (part.basis, part.source):
        parts[-1] = last._replace(length=last.length + part.length)
    else:
        parts.append(part)


def refined(plan: DeltaPlan, gaps: Sequence[Gap], sums: bytes, read: Callable[[Place, int], bytes]) -> "Refined":
    """The plan by the sums of all pieces of these gaps, one gap after the other."""
    parts: dict[int, list[Part]] = {}
    at = 0
    for gap in gaps:
        size = count_of(gap.range.length) * SUM_SIZE
        found = parts_of_gap(gap, sums[at : at + size], read)
        at += size
        for number in range(gap.first, gap.end):
            block = plan.pieces[number].block
            within = list(_within(found, block.offset, block.offset + block.length))
            if any(part.basis != FETCHED for part in within):
                parts[number] = within
    missing: list[Range] = []
    for number, (block, basis, _) in enumerate(plan.pieces):
        if basis == FETCHED:
            whole = [Part(block.offset, block.length, FETCHED, 0)]
            for part in parts.get(number, whole):
                if part.basis == FETCHED:
                    _add_range(missing, part)
    return Refined(plan._replace(missing=missing), parts)


class Refined(NamedTuple):
    """A plan, and the parts of some of its missing blocks, by their numbers."""

    plan: DeltaPlan
    parts: dict[int, list[Part]]


def _within(parts: list[Part], start: int, end: int) -> Iterator[Part]:
    for offset, length, basis, source in parts:
        first, last = max(start, offset), min(end, offset + length)
        if first < last:
            yield Part(first, last - first, basis, source + first - offset if basis != FETCHED else 0)


def _add_range(ranges: list[Range], part: Part) -> None:
    if ranges and ranges[-1].offset + ranges[-1].length == part.offset:
        ranges[-1] = Range(ranges[-1].offset, ranges[-1].length + part.length)
    else:
        ranges.append(Range(part.offset, part.length))
