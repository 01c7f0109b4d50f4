"""Ancestry, against the plainest way to compute it; and what it costs."""

import random
import sys

import pytest
from tiny_logs import MemoryLog, log, random_log

from replican.decisions.graph import Graph
from replican.values.ids import CheckpointId


def ancestors(made: MemoryLog, start: CheckpointId) -> set[CheckpointId]:
    """The plain way: itself included."""
    found, stack = {start}, [start]
    while stack:
        for parent in made.checkpoints[stack.pop()].parents:
            if parent not in found:
                found.add(parent)
                stack.append(parent)
    return found


def named(made: MemoryLog, ids: frozenset[CheckpointId] | set[CheckpointId]) -> str:
    return " ".join(sorted(made.names[each] for each in ids))


RING = """
    a:
    b: a
    c: a
    m: b c
    d: m
    e: m
    f: c
    n: d f
"""
CRISS_CROSS = """
    a:
    b: a
    c: a
    m: b c
    d: b
    e: c
    x: m
    p: d c
    y: p
"""


def test_common_ancestors() -> None:
    made, at = log(RING)
    graph = Graph(made)
    assert named(made, graph.common([at["d"]], at["e"])) == "b c"
    assert named(made, graph.common([at["d"]], at["f"])) == "c"
    assert named(made, graph.common([at["b"]], at["c"])) == "a"
    assert named(made, graph.common([at["d"]], at["d"])) == "d"
    assert named(made, graph.common([at["d"], at["f"]], at["e"])) == "b c"
    assert named(made, graph.merge_base(at["d"], at["e"])) == "m"
    assert named(made, graph.merge_base(at["n"], at["e"])) == "m"
    assert named(made, graph.merge_base(at["n"], at["f"])) == "f"
    assert graph.common([], at["a"]) == frozenset()


def test_several_best_common_ancestors() -> None:
    made, at = log(CRISS_CROSS)
    graph = Graph(made)
    assert named(made, graph.common([at["x"]], at["y"])) == "b c"
    assert named(made, graph.merge_base(at["x"], at["y"])) == "b c"
    assert named(made, graph.common([at["x"]], at["e"])) == "c"


def test_unrelated() -> None:
    made, at = log("a:\nb:\nc: a\nd: b")
    graph = Graph(made)
    assert graph.merge_base(at["c"], at["d"]) == frozenset()
    assert graph.common([at["c"]], at["d"]) == frozenset()
    assert not graph.is_ancestor(at["a"], at["d"])


def test_frontier_and_maximal() -> None:
    made, at = log(RING)
    graph = Graph(made)
    assert graph.frontier(None) == frozenset()
    assert named(made, graph.frontier(at["b"])) == "b"
    assert named(made, graph.frontier(at["m"])) == "b c"
    assert named(made, graph.maximal(at[name] for name in "abcde")) == "d e"
    assert named(made, graph.maximal([at["a"]])) == "a"
    assert graph.maximal([]) == frozenset()


@pytest.mark.parametrize("seed", range(60))
def test_random_logs(seed: int) -> None:
    random_ = random.Random(seed)
    made, ids = random_log(random_, 40)
    above = {each: ancestors(made, each) for each in ids}
    users = {each for each in ids if not made.checkpoints[each].is_merge}

    def plain_maximal(these: set[CheckpointId]) -> set[CheckpointId]:
        return {each for each in these if not any(each in above[other] for other in these if other != each)}

    memo: dict[CheckpointId, int] = {}
    for round_ in range(30):
        # A new graph knows nothing and tries lines first; one that knows all generations never does; one shares a memo.
        graph = Graph(made, memo if round_ % 3 == 0 else None)
        if round_ % 3 == 1:
            for each in ids:
                graph.generation(each)
        one, other = random_.choice(ids), random_.choice(ids)
        several = set(random_.sample(ids, random_.randint(1, 6)))
        assert graph.is_ancestor(one, other) == (one in above[other])
        assert graph.maximal(several) == plain_maximal(several)
        assert graph.merge_base(one, other) == plain_maximal(above[one] & above[other])
        folded = plain_maximal(several & users)
        expected = plain_maximal(set().union(*(above[each] for each in folded)) & above[other] & users)
        assert graph.common(folded, other) == expected
        assert graph.closure(several) == set().union(*(above[each] for each in several))
        without = set(random_.sample(ids, random_.randint(0, 3)))
        excluded: set[CheckpointId] = set().union(*(above[each] for each in without))
        assert graph.reachable(several, without) == graph.closure(several) - excluded
        missing = graph.missing(several, excluded)
        assert set(missing) == graph.closure(several) - excluded
        assert len(missing) == len(set(missing))
        place = {each: number for number, each in enumerate(missing)}
        assert all(place.get(parent, -1) < place[each] for each in missing for parent in graph.parents(each))
        ordered = list(graph.topological(one))
        assert sorted(ordered) == sorted(above[one])
        place = {each: number for number, each in enumerate(ordered)}
        assert all(place[each] < place[parent] for each in ordered for parent in graph.parents(each))
        assert ordered == plain_topological(made, graph, one)
        assert graph.generation(one) == 1 + max((graph.generation(parent) for parent in graph.parents(one)), default=0)


def plain_topological(made: MemoryLog, graph: Graph, head: CheckpointId) -> list[CheckpointId]:
    """Of those whose children are all out, always the newest."""
    left = ancestors(made, head)
    ordered = []
    while left:
        waiting = {parent for each in left for parent in graph.parents(each)}
        ready = sorted((-graph.time_ns(each), each) for each in left - waiting)
        ordered.append(ready[0][1])
        left.remove(ready[0][1])
    return ordered


def test_time_of_a_merge_is_the_newest_of_its_parents() -> None:
    made = MemoryLog()
    one, other = made.user(None, name="a", time_ns=5), made.user(None, name="b", time_ns=-7)
    merged = made.merge([one, other])
    assert Graph(made).time_ns(merged) == 5
    assert Graph(made).time_ns(other) == -7


def test_a_lost_memo_is_computed_again() -> None:
    made, ids = random_log(random.Random(5), 50)
    memo: dict[CheckpointId, int] = {}
    expected = [Graph(made).generation(each) for each in ids]
    assert [Graph(made, memo).generation(each) for each in ids] == expected
    for each in ids[::3]:
        del memo[each]
    assert [Graph(made, memo).generation(each) for each in ids] == expected


# -- cost --------------------------------------------------------------------------------------------------------------

LONG = 100_000


@pytest.fixture(scope="module")
def long_log() -> tuple[MemoryLog, list[CheckpointId]]:
    made = MemoryLog()
    ids: list[CheckpointId] = []
    head = None
    for number in range(LONG):
        head = made.user(head, name=str(number))
        ids.append(head)
    return made, ids


def cost(made: MemoryLog) -> int:
    read, made.read = made.read, 0
    return read


def test_close_heads_do_not_walk_the_log(long_log: tuple[MemoryLog, list[CheckpointId]]) -> None:
    made, ids = long_log
    fork = made.user(ids[-5], name="fork")
    cost(made)
    graph = Graph(made)
    assert graph.merge_base(ids[-1], fork) == {ids[-5]}
    assert graph.common([ids[-1]], fork) == {ids[-5]}
    assert graph.is_ancestor(ids[-9], ids[-1])
    assert not graph.is_ancestor(ids[-1], fork)
    assert graph.maximal([ids[-1], ids[-4], fork]) == {ids[-1], fork}
    assert next(iter(graph.topological(ids[-1]))) == ids[-1]
    assert cost(made) < 50


def test_with_a_memo_merges_do_not_walk_the_log_either(long_log: tuple[MemoryLog, list[CheckpointId]]) -> None:
    made, ids = long_log
    memo: dict[CheckpointId, int] = {}
    Graph(made, memo).generation(ids[-1])
    x, y = made.user(ids[-3], name="x"), made.user(ids[-2], name="y")
    merge = made.merge([x, y])
    z, after = made.user(ids[-4], name="z"), made.user(merge, name="after")
    cost(made)
    assert Graph(made, memo).merge_base(after, z) == {ids[-4]}
    assert Graph(made, memo).common([after], made.user(y, name="late")) == {y}
    assert cost(made) < 50


def test_the_whole_log_is_walked_once(long_log: tuple[MemoryLog, list[CheckpointId]]) -> None:
    made, ids = long_log
    stranger = made.user(None, name="stranger")
    graph = Graph(made)
    cost(made)
    assert graph.is_ancestor(ids[0], ids[-1])
    assert graph.merge_base(ids[-1], stranger) == frozenset()
    assert graph.generation(ids[-1]) == LONG
    assert len(graph.closure([ids[-1]])) == LONG
    assert len(graph.missing([ids[-1]], {ids[10]})) == LONG - 11
    assert sum(1 for _ in graph.topological(ids[-1])) == LONG
    assert cost(made) <= LONG + 10
    assert sys.getrecursionlimit() < LONG
