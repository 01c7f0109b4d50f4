"""Ancestry among checkpoints.

Order comes from *generation numbers* (1 + the largest parent's) that are computed here, never read from a peer,
and never from author times: clocks are wrong, and wrong clocks give wrong merge bases. Computing one walks down
to what is known, so a ``GenerationMemo`` that lasts makes every question cost what lies between its checkpoints.
Without one, questions about checkpoints on a single line (which is the normal case) still walk only that line.
Nothing recurses: logs have hundreds of thousands of checkpoints.
"""

from collections.abc import Container, Iterable, Iterator
from heapq import heapify, heappop, heappush
from typing import Protocol

from replican.values.checkpoints import Checkpoint
from replican.values.ids import CheckpointId

_Ids = frozenset[CheckpointId]
_LEFT, _RIGHT, _BELOW = 1, 2, 4
_BOTH = _LEFT | _RIGHT
_FEW = 4


class CheckpointReader(Protocol):
    """Where checkpoints come from."""

    def checkpoint(self, checkpoint: CheckpointId, /) -> Checkpoint:
        """The checkpoint of that id; raises ``NotFoundError`` or ``DamagedError``."""


class GenerationMemo(Protocol):
    """Remembers generation numbers. A dict is one; one that is kept on disk may lose any of them at any time."""

    def get(self, checkpoint: CheckpointId, /) -> int | None: ...

    def __setitem__(self, checkpoint: CheckpointId, generation: int, /) -> None: ...


class Graph:
    """The checkpoints of a reader, and who descends from whom. Heads may be user or merge checkpoints."""

    def __init__(self, reader: CheckpointReader, generations: GenerationMemo | None = None) -> None:
        self._reader = reader
        self._memo = generations
        self._generations: dict[CheckpointId, int] = {}
        self._parents: dict[CheckpointId, tuple[CheckpointId, ...]] = {}
        self.steps = 0
        """How many checkpoints the walks that look for common ancestors went over so far: what they cost."""

    def checkpoint(self, checkpoint: CheckpointId) -> Checkpoint:
        """The checkpoint itself, from the reader."""
        return self._reader.checkpoint(checkpoint)

    def parents(self, checkpoint: CheckpointId) -> tuple[CheckpointId, ...]:
        """Its parents: none or one of a user checkpoint, two or more of a merge."""
        parents = self._parents.get(checkpoint)
        if parents is None:
            parents = self._parents[checkpoint] = self._reader.checkpoint(checkpoint).parents
        return parents

    def frontier(self, head: CheckpointId | None) -> _Ids:
        """The user checkpoints that ``head`` stands for: a merge's parents, itself otherwise; none of no head."""
        if head is None:
            return frozenset()
        parents = self.parents(head)
        return frozenset(parents) if len(parents) > 1 else frozenset([head])

    def time_ns(self, checkpoint: CheckpointId) -> int:
        """Its author's time; of a merge, the newest of its parents'. For showing and sorting, never for ancestry."""
        found = self._reader.checkpoint(checkpoint)
        if found.author is not None:
            return found.author.time_ns
        return max(
            (parent.author.time_ns for each in found.parents if (parent := self._reader.checkpoint(each)).author),
            default=0,
        )

    def generation(self, checkpoint: CheckpointId) -> int:
        """1 for a checkpoint without parents, else 1 + the largest of its parents'."""
        known = self._generation(checkpoint)
        if known is not None:
            return known
        stack = [checkpoint]
        while stack:
            at = stack[-1]
            largest = 0
            waiting = False
            for parent in self.parents(at):
                below = self._generation(parent)
                if below is None:
                    stack.append(parent)
                    waiting = True
                elif below > largest:
                    largest = below
            if not waiting:
                stack.pop()
                if at not in self._generations:
                    self._generations[at] = largest + 1
                    if self._memo is not None:
                        self._memo[at] = largest + 1
        return self._generations[checkpoint]

    def _generation(self, checkpoint: CheckpointId) -> int | None:
        known = self._generations.get(checkpoint)
        if known is None and self._memo is not None:
            known = self._memo.get(checkpoint)
            if known is not None:
                self._generations[checkpoint] = known
        return known

    # -- who descends from whom ----------------------------------------------------------------------------------

    def is_ancestor(self, ancestor: CheckpointId, descendant: CheckpointId) -> bool:
        """Whether ``descendant`` comes from ``ancestor``, or is it."""
        if ancestor == descendant:
            return True
        meeting = self._meeting_on_lines([ancestor], descendant)
        if meeting is not None:
            return meeting == ancestor
        floor = self.generation(ancestor)
        seen, stack = {descendant}, [descendant]
        while stack:
            self.steps += 1
            for parent in self.parents(stack.pop()):
                if parent == ancestor:
                    return True
                if parent not in seen and self.generation(parent) > floor:
                    seen.add(parent)
                    stack.append(parent)
        return False

    def maximal(self, checkpoints: Iterable[CheckpointId]) -> _Ids:
        """Those of ``checkpoints`` that none of the others comes from."""
        left = set(checkpoints)
        if len(left) < 2:
            return frozenset(left)
        if len(left) <= _FEW:
            return frozenset(
                one for one in left if not any(one != other and self.is_ancestor(one, other) for other in left)
            )
        floor = min(self.generation(each) for each in left)
        seen: set[CheckpointId] = set()
        stack = list(left)
        while stack:
            self.steps += 1
            for parent in self.parents(stack.pop()):
                if parent not in seen and self.generation(parent) >= floor:
                    seen.add(parent)
                    stack.append(parent)
        return frozenset(left - seen)

    def common(self, frontier: Iterable[CheckpointId], checkpoint: CheckpointId) -> _Ids:
        """The frontier of the common ancestors: user checkpoints that both ``checkpoint`` and one of ``frontier`` come
        from (each counts as its own ancestor), and that no other such comes from."""
        found: set[CheckpointId] = set()
        for best in self._best_common(set(frontier), checkpoint):
            found |= self.frontier(best)
        return self.maximal(found)

    def merge_base(self, one: CheckpointId, other: CheckpointId) -> _Ids:
        """The best common ancestors, merges among them; empty where the histories are unrelated."""
        return self._best_common({one}, other)

    def _best_common(self, ones: set[CheckpointId], other: CheckpointId) -> _Ids:
        meeting = self._meeting_on_lines(ones, other)
        if meeting is not None:
            return frozenset([meeting])
        marks = dict.fromkeys(ones, _LEFT)
        marks[other] = marks.get(other, 0) | _RIGHT
        queue = [(-self.generation(each), each) for each in marks]
        heapify(queue)
        live = len(queue)  # how many in the queue are not below a best common ancestor
        best: list[CheckpointId] = []
        while live:
            _, at = heappop(queue)
            self.steps += 1
            mark = marks[at]
            if not mark & _BELOW:
                live -= 1
                if mark & _BOTH == _BOTH:
                    best.append(at)
                    mark |= _BELOW
            for parent in self.parents(at):
                old = marks.get(parent)
                if old is None:
                    heappush(queue, (-self.generation(parent), parent))
                    live += not mark & _BELOW
                    marks[parent] = mark
                else:
                    live -= not old & _BELOW and bool(mark & _BELOW)
                    marks[parent] = old | mark
        return frozenset(best)

    def _meeting_on_lines(self, ones: Iterable[CheckpointId], other: CheckpointId) -> CheckpointId | None:
        """The single best common ancestor where the lines of single parents down from each of ``ones`` all join that
        down from ``other``; None where they do not, which says nothing.

        It is exact: what the line holds above the topmost join has no other way to be reached. All lines are walked at
        the same speed, so that heads that are close to each other do not walk the log. Where generations are known or
        remembered, they are the better guide.
        """
        ones = list(ones)
        if not ones or self._memo is not None or all(each in self._generations for each in (other, *ones)):
            return None
        lines: list[dict[CheckpointId, int]] = [{other: 0}, *({one: 0} for one in ones)]
        tips: list[CheckpointId | None] = [other, *(next(iter(line)) for line in lines[1:])]
        joins: list[int | None] = [None] * len(lines)  # where each joined: its place on the main line, counted down
        main = lines[0]
        walking = True
        while walking:
            walking = False
            for at, tip in enumerate(tips):
                if tip is None or joins[at] is not None:
                    continue
                if at and tip in main:
                    joins[at] = main[tip]
                    continue
                parents = self.parents(tip)
                if len(parents) != 1:
                    tips[at] = None
                    continue
                walking = True
                self.steps += 1
                below = tips[at] = parents[0]
                lines[at][below] = len(lines[at])
                if not at:
                    for number, line in enumerate(lines):
                        if number and below in line and joins[number] is None:
                            joins[number] = main[below]
            if all(join is not None for join in joins[1:]):
                topmost = min(join for join in joins[1:] if join is not None)
                return next(each for each, place in main.items() if place == topmost)
        return None

    # -- walks ---------------------------------------------------------------------------------------------------

    def closure(self, heads: Iterable[CheckpointId]) -> set[CheckpointId]:
        """Every checkpoint, user and merge, that ``heads`` come from, themselves included."""
        return set(self.missing(heads, ()))

    def missing(self, heads: Iterable[CheckpointId], have: Container[CheckpointId]) -> list[CheckpointId]:
        """What must be fetched for ``heads`` to be whole: all that is reachable and not in ``have``, parents first.

        The walk stops at what is in ``have``, which must hold the ancestors of what it holds, as an object store does.
        """
        seen: set[CheckpointId] = set()
        ordered: list[CheckpointId] = []
        stack = [(head, False) for head in heads if head not in have]
        while stack:
            at, done = stack.pop()
            if done:
                ordered.append(at)
            elif at not in seen:
                seen.add(at)
                stack.append((at, True))
                stack += [(each, False) for each in self.parents(at) if each not in seen and each not in have]
        return ordered

    def reachable(self, heads: Iterable[CheckpointId], without: Iterable[CheckpointId] = ()) -> set[CheckpointId]:
        """All that ``heads`` come from (they too), but for what those of ``without`` come from (they too)."""
        excluded = set(without)
        if not excluded:
            return self.closure(heads)
        marks = dict.fromkeys(heads, _LEFT)
        marks.update(dict.fromkeys(excluded, _BELOW))
        queue = [(-self.generation(each), each) for each in marks]
        heapify(queue)
        found: set[CheckpointId] = set()
        live = sum(mark == _LEFT for mark in marks.values())
        while live:
            _, at = heappop(queue)
            mark = marks[at]
            if mark == _LEFT:
                live -= 1
                found.add(at)
            for parent in self.parents(at):
                old = marks.get(parent)
                if old is None:
                    heappush(queue, (-self.generation(parent), parent))
                    live += mark == _LEFT
                    marks[parent] = mark
                elif old == _LEFT != mark:
                    live -= 1
                    marks[parent] = _BELOW
        return found

    def topological(self, head: CheckpointId) -> Iterator[CheckpointId]:
        """``head`` and all that it comes from: children before parents, then the newest first (by :meth:`time_ns`).

        Lazy: the first of a long log cost little.
        """
        at = head
        while len(parents := self.parents(at)) < 2:  # one line: nothing has to be compared
            yield at
            if not parents:
                return
            at = parents[0]
        ready = [(0, at)]
        unexplored = [(-self.generation(at), at)]  # seen, but their parents do not count them yet
        children = {at: 0}  # of each that was seen: how many of those that count have not been told
        while ready:
            _, at = heappop(ready)
            yield at
            self._explore(unexplored, children, self.generation(at))
            for parent in self.parents(at):
                children[parent] -= 1
                if not children[parent]:
                    self._explore(unexplored, children, self.generation(parent))
                    if not children[parent]:  # no other child turned up
                        heappush(ready, (-self.time_ns(parent), parent))

    def _explore(
        self, unexplored: list[tuple[int, CheckpointId]], children: dict[CheckpointId, int], floor: int
    ) -> None:
        """Count the children of all that lie at or above the generation ``floor``."""
        while unexplored and -unexplored[0][0] >= floor:
            _, at = heappop(unexplored)
            for parent in self.parents(at):
                if parent not in children:
                    children[parent] = 0
                    heappush(unexplored, (-self.generation(parent), parent))
                children[parent] += 1
