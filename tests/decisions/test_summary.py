import random

import pytest
from tiny_logs import MemoryLog, random_log

from replican.decisions.graph import Graph
from replican.decisions.summary import Summary, last_common, summarize
from replican.values.ids import CheckpointId


def line(made: MemoryLog, count: int, start: CheckpointId | None = None, name: str = "u") -> list[CheckpointId]:
    ids = []
    for number in range(count):
        start = made.user(start, name=f"{name}{number}")
        ids.append(start)
    return ids


def test_an_empty_log() -> None:
    assert summarize(Graph(MemoryLog()), None) == Summary(None, (), True)
    assert last_common(Summary(None, (), True), set()) is None


def test_one_checkpoint() -> None:
    made = MemoryLog()
    (only,) = line(made, 1)
    assert summarize(Graph(made), only) == Summary(only, (), True)


def test_distances_grow() -> None:
    made = MemoryLog()
    ids = line(made, 1000)
    summary = summarize(Graph(made), ids[-1])
    distances = [len(ids) - 1 - ids.index(each) for each in summary.sample]
    assert distances == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 999]
    assert summary.complete


def test_reach() -> None:
    made = MemoryLog()
    ids = line(made, 1000)
    made.read = 0
    summary = summarize(Graph(made), ids[-1], reach=100)
    assert made.read <= 101
    assert not summary.complete
    assert summary.sample[-1] == ids[-101]
    further = summarize(Graph(made), summary.sample[-1])
    assert further.complete
    assert further.sample[-1] == ids[0]


@pytest.mark.parametrize("common", [1, 2, 3, 10, 500, 999, 1000])
def test_the_last_common_is_found_within_twice_the_distance(common: int) -> None:
    made = MemoryLog()
    theirs = line(made, 1000)
    have = set(theirs[:common]) | set(line(made, 50, theirs[common - 1], "ours"))
    found = last_common(summarize(Graph(made), theirs[-1]), have)
    assert found is not None
    distance, real = 999 - theirs.index(found), 1000 - common
    assert real <= distance <= max(2 * real, real)
    assert set(Graph(made).missing([theirs[-1]], have)) == set(theirs[common:])


def test_nothing_in_common() -> None:
    made = MemoryLog()
    theirs, ours = line(made, 20), line(made, 20, name="ours")
    assert last_common(summarize(Graph(made), theirs[-1]), set(ours)) is None


@pytest.mark.parametrize("seed", range(20))
def test_random_logs(seed: int) -> None:
    """Whatever is named is an ancestor, and something common is found wherever the sample goes to a common root."""
    made, ids = random_log(random.Random(seed), 60)
    graph = Graph(made)
    summary = summarize(graph, ids[-1])
    closure = graph.closure([ids[-1]])
    assert set(summary.sample) <= closure
    assert summary.complete
    assert len(summary.sample) == len(set(summary.sample))
    have = graph.closure([random.Random(seed).choice(ids)])
    found = last_common(summary, have)
    assert found is None or found in have & closure
