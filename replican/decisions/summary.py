"""The log summary: what a log tells about itself in one small answer, and what another log makes of it.

The sample holds ancestors at growing distances (1, 2, 4, ...) from the head, so that an answer about a log of a
hundred thousand checkpoints has a few dozen ids, and the newest of them that the asker has is at most twice
as far back as the last common checkpoint on that line.
"""

from collections.abc import Container
from typing import NamedTuple

from replican.decisions.graph import Graph
from replican.values.ids import CheckpointId


class Summary(NamedTuple):
    """A log in short. ``head`` is None for an empty log; ``sample`` are ancestors of it, newest first.

    ``complete`` says that the sample's last is a root; else the question can be asked again from there.
    """

    head: CheckpointId | None
    sample: tuple[CheckpointId, ...]
    complete: bool


def summarize(graph: Graph, head: CheckpointId | None, reach: int = 1 << 14) -> Summary:
    """The summary of the log below ``head``, looking at no more than ``reach`` checkpoints.

    At a merge all that it joins are told, and the walk goes on below the newest of these.
    """
    if head is None:
        return Summary(None, (), True)
    sample: dict[CheckpointId, None] = {}
    at, distance, wanted = head, 0, 1
    while distance < reach:
        parents = graph.parents(at)
        if not parents:
            sample[at] = None
            return Summary(head, tuple(each for each in sample if each != head), True)
        if len(parents) > 1:
            parents = tuple(sorted(parents, key=lambda each: (-graph.time_ns(each), each)))
            if distance < wanted <= distance + 1:
                sample.update(dict.fromkeys(parents))
        at = parents[0]
        distance += 1
        if distance == wanted:
            sample[at] = None
            wanted *= 2
    sample[at] = None
    return Summary(head, tuple(sample), False)


def last_common(summary: Summary, have: Container[CheckpointId]) -> CheckpointId | None:
    """The newest checkpoint of ``summary`` that is in ``have``; None where nothing of it is.

    ``have`` must hold the ancestors of what it holds. What the summary left out between this and the next newer one
    may be common, too: ``Graph.missing`` finds it out while it walks.
    """
    if summary.head is not None and summary.head in have:
        return summary.head
    return next((each for each in summary.sample if each in have), None)
