import itertools
import random

import pytest
from forgetful import Forgetful
from tiny_logs import MemoryLog, log, random_log
from tiny_trees import MemoryTrees, parse, show

from replican.decisions.frontier import (
    Joined,
    JoinKind,
    check_received,
    join,
    join_frontiers,
    merge_checkpoint,
    merged_tree,
    rules_of,
)
from replican.decisions.graph import Graph
from replican.decisions.limits import Budget, LimitError, Limits
from replican.values.checkpoints import PLAIN_RULES, RULES, Author, Checkpoint
from replican.values.errors import RemoteError, UnsupportedError
from replican.values.ids import EMPTY_TREE, CheckpointId, TreeId

# -- M(S) --------------------------------------------------------------------------------------------------------------


def merged(text: str, names: str) -> str:
    """``M`` of the checkpoints of these names, shown."""
    trees = MemoryTrees()
    made, at = log(text, trees)
    tree = merged_tree(Graph(made), trees, frozenset(at[name] for name in names.split()), Forgetful())
    return show(trees, tree)


def test_of_none_and_of_one() -> None:
    assert merged("a: | f=1", "") == ""
    assert merged("a: | f=1", "a") == "f=1"


def test_of_two() -> None:
    assert merged("a: | f=1 g=1\nb: a | f=2 g=1\nc: a | f=1", "b c") == "f=2"


def test_of_many() -> None:
    text = "a: | f=1\n" + "\n".join(f"b{n}: a | f=1 n{n}={n}" for n in range(40))
    assert len(merged(text, " ".join(f"b{n}" for n in range(40))).split()) == 41


def test_of_unrelated_ones_it_is_the_union() -> None:
    assert merged("a: | f=1@1 g=1\nb: | f=2@2 h=1", "a b") == "f=2@2 f~1@1 g=1 h=1"


def test_what_was_deleted_does_not_come_back_over_several_bases() -> None:
    """``x`` and ``y`` both know what ``b`` made, and ``x`` deletes it; ``c`` as the only base would bring it back."""
    text = """
        a: | f=1
        b: a | f=1 new=1
        c: a | f=1 other=1
        m: b c
        x: m | f=1 other=1
        d: b | f=1 new=1 d=1
        n: d c
        y: n | f=1 new=1 d=1 other=1 y=1
    """
    assert merged(text, "x y") == "d=1 f=1 other=1 y=1"


def test_the_order_of_the_fold_is_that_of_the_ids() -> None:
    """Whoever has the same user checkpoints has the same merge, whatever way they took."""
    trees = MemoryTrees()
    made, at = log("a: | f=0\n" + "\n".join(f"b{n}: a | f={n}@{n} n{n}={n}" for n in range(1, 5)), trees)
    whole = frozenset(at[f"b{n}"] for n in range(1, 5))
    heads = set()
    for order in itertools.permutations(sorted(whole)):
        graph, memo = Graph(made), Forgetful()
        head: CheckpointId | None = None
        for each in order:
            joined = join(graph, head, each)
            head, checkpoint = merge_checkpoint(graph, trees, joined.frontier, memo)
            made.checkpoints[head] = checkpoint
        heads.add(head)
    assert len(heads) == 1


@pytest.mark.parametrize("seed", range(15))
def test_random_logs_give_the_same_with_any_memo(seed: int) -> None:
    random_ = random.Random(seed)
    made, ids = random_log(random_, 30)
    trees = MemoryTrees()
    text = [f"{name}={content}" for name in "abc" for content in "12"]
    for each in ids:
        tree = parse(trees, " ".join({word[0]: word for word in random_.sample(text, 3)}.values()))
        made.checkpoints[each] = made.checkpoints[each]._replace(tree=tree)
    shared = Forgetful()
    for _ in range(10):
        frontier = Graph(made).maximal(each for each in random_.sample(ids, 4) if not made.checkpoints[each].is_merge)
        alone = merged_tree(Graph(made), trees, frontier, Forgetful())
        assert merged_tree(Graph(made), trees, frontier, shared) == alone
        assert merged_tree(Graph(made), trees, frontier, shared) == alone


def test_the_memo_is_used_for_virtual_bases_too() -> None:
    trees = MemoryTrees()
    made, at = log("a:\nb: a | b=1\nc: a | c=1\nm: b c\nx: m | x=1\ny: m | y=1", trees)

    class Recording(Forgetful):
        def __init__(self) -> None:
            super().__init__()
            self.asked: list[frozenset[CheckpointId]] = []

        def put(self, frontier: frozenset[CheckpointId], tree: TreeId, /) -> None:
            self.asked.append(frontier)
            super().put(frontier, tree)

    memo = Recording()
    frontier = frozenset([at["x"], at["y"]])
    merged_tree(Graph(made), trees, frontier, memo)
    assert memo.asked == [frozenset([at["b"], at["c"]]), frontier]
    merged_tree(Graph(made), trees, frontier, memo)
    assert len(memo.asked) == 2


def test_a_remembered_tree_that_nobody_kept_is_made_again() -> None:
    trees = MemoryTrees()
    made, at = log("a: | f=1\nb: a | f=2@2\nc: a | f=3@3", trees)
    frontier, memo = frozenset([at["b"], at["c"]]), Forgetful()
    tree = merged_tree(Graph(made), trees, frontier, memo)
    del trees.new[tree]
    trees.parsed.pop(tree, None)
    assert merged_tree(Graph(made), trees, frontier, memo) == tree
    assert tree in trees.new


def test_many_received_together_get_less_than_each_alone() -> None:
    made = MemoryLog()
    trees = MemoryTrees()
    frontier = ladder(made, 200)
    graph = Graph(made)
    received = graph.missing(frontier, ())
    check_received(graph, trees, received, Forgetful(), limits=Limits(merges=10))
    assert len(received) == 2 + 3 * 200
    bases = {each for each in received if made.checkpoints[each].is_merge}
    with pytest.raises(LimitError):
        check_received(graph, trees, [max(bases, key=graph.generation)], Forgetful(), limits=Limits(merges=10))


def ladder(made: MemoryLog, floors: int) -> frozenset[CheckpointId]:
    """Two lines that merge each other on every floor: every base has two checkpoints, down to the bottom."""
    one, other = made.user(None, name="x"), made.user(None, name="y")
    for floor in range(floors):
        one, other = (made.user(made.merge([one, other]), name=f"{side}{floor}") for side in ("x", "y"))
    return frozenset([one, other])


def test_walks_over_a_log_that_is_built_to_be_walked_are_counted() -> None:
    """Every merge joins half of a wide floor, so each has as many common ancestors with what was folded before."""
    made, chance = MemoryLog(), random.Random(1)
    floor = [made.user(None, name=f"0 {number}") for number in range(16)]
    for number in range(1, 5):
        floor = [made.user(made.merge(chance.sample(floor, 8)), name=f"{number} {at}") for at in range(16)]
    graph = Graph(made)
    received = graph.missing(floor, ())
    check_received(graph, MemoryTrees(), received, Forgetful())
    steps, graph = graph.steps, Graph(made)
    assert steps > 1000
    with pytest.raises(LimitError, match="more work than is allowed"):
        check_received(graph, MemoryTrees(), received, Forgetful(), limits=Limits(work=-4096 * len(received)))
    assert graph.steps < steps / 2


def test_virtual_bases_thousands_deep() -> None:
    made = MemoryLog()
    trees = MemoryTrees()
    frontier = ladder(made, 3000)
    assert merged_tree(Graph(made), trees, frontier, Forgetful()) == EMPTY_TREE
    with pytest.raises(LimitError):
        merged_tree(Graph(made), trees, frontier, Forgetful(), Budget(Limits(merges=1000)))


def test_a_frontier_may_be_too_large() -> None:
    made = MemoryLog()
    frontier = frozenset(made.user(None, name=str(number)) for number in range(257))
    with pytest.raises(LimitError, match="257"):
        merged_tree(Graph(made), MemoryTrees(), frontier, Forgetful())


def test_a_bomb_of_trees_ends_in_a_refusal() -> None:
    trees = MemoryTrees()

    def bomb(content: str) -> TreeId:
        entry = trees.tree(parse(trees, f"d/f={content}"))[0]
        tree = entry.tree
        for _ in range(50):
            tree = trees.add([entry._replace(name=name, id=tree) for name in (b"a", b"b")])
        return tree

    made = MemoryLog()
    base = made.user(None, bomb("1"), "base")
    frontier = frozenset([made.user(base, bomb("2"), "left"), made.user(base, bomb("3"), "right")])
    with pytest.raises(LimitError):
        merged_tree(Graph(made), trees, frontier, Forgetful(), Budget(Limits(work=10_000)))


# -- joining -----------------------------------------------------------------------------------------------------------


def test_join() -> None:
    made, at = log("a:\nb: a\nc: a\nm: b c\nd: m\ne: m")
    graph = Graph(made)

    def joined(ours: str, theirs: str) -> Joined:
        return join(graph, at.get(ours), at.get(theirs))

    bc = frozenset([at["b"], at["c"]])
    assert joined("", "") == (JoinKind.UP_TO_DATE, frozenset(), None)
    assert joined("a", "") == (JoinKind.UP_TO_DATE, {at["a"]}, at["a"])
    assert joined("", "m") == (JoinKind.FAST_FORWARD, bc, at["m"])
    assert joined("m", "m") == (JoinKind.UP_TO_DATE, bc, at["m"])
    assert joined("m", "b") == (JoinKind.UP_TO_DATE, bc, at["m"])
    assert joined("b", "m") == (JoinKind.FAST_FORWARD, bc, at["m"])
    assert joined("a", "m") == (JoinKind.FAST_FORWARD, bc, at["m"])
    assert joined("d", "a") == (JoinKind.UP_TO_DATE, {at["d"]}, at["d"])
    assert joined("m", "d") == (JoinKind.FAST_FORWARD, {at["d"]}, at["d"])
    assert joined("b", "c") == (JoinKind.MERGE, bc, None)
    assert joined("d", "e") == (JoinKind.MERGE, {at["d"], at["e"]}, None)


def test_join_of_overlapping_frontiers() -> None:
    made, at = log("a:\nb: a\nc: a\nd: a\nm: b c\nn: c d\ne: b")
    graph = Graph(made)
    joined = join(graph, at["m"], at["n"])
    assert joined == (JoinKind.MERGE, {at["b"], at["c"], at["d"]}, None)
    assert join_frontiers(graph, frozenset([at["b"], at["c"]]), frozenset([at["e"]])) == {at["e"], at["c"]}


# -- claims ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def trees() -> MemoryTrees:
    return MemoryTrees()


TWO = "a: | f=1\nb: a | f=2@2\nc: a | f=3@3\nm: b c"


def refused(made: MemoryLog, trees: MemoryTrees, claim: CheckpointId, problem: str) -> None:
    with pytest.raises(RemoteError, match=problem):
        check_received(Graph(made), trees, [claim], Forgetful())


def test_what_is_right_is_accepted(trees: MemoryTrees) -> None:
    made, at = log(TWO, trees)
    graph = Graph(made)
    check_received(graph, trees, graph.missing([at["m"]], ()), Forgetful())


def test_another_tree_is_refused(trees: MemoryTrees) -> None:
    made, at = log(TWO, trees)
    forged = made.merge([at["b"], at["c"]], parse(trees, "f=2@2"))
    refused(made, trees, forged, "not what merging")
    check_received(Graph(made), trees, [forged], Forgetful(), trusted={forged})


def test_a_merge_of_a_merge_is_refused(trees: MemoryTrees) -> None:
    made, at = log(TWO + "\nd: a", trees)
    refused(made, trees, made.merge([at["m"], at["d"]]), "never has a merge")


def test_an_ancestor_beside_its_descendant_is_refused(trees: MemoryTrees) -> None:
    made, at = log(TWO, trees)
    refused(made, trees, made.merge([at["a"], at["b"]], parse(trees, "f=2@2")), "comes from another")


def test_parents_that_are_not_sorted_or_twice_there_are_refused(trees: MemoryTrees) -> None:
    made, at = log(TWO, trees)
    good = made.checkpoints[at["m"]]
    refused(made, trees, made.add(good._replace(parents=good.parents[::-1])), "sorted")
    refused(made, trees, made.add(good._replace(parents=(good.parents[0],) * 2)), "two or more")
    refused(made, trees, made.add(good._replace(parents=good.parents[:1])), "two or more")


def test_a_user_checkpoint_with_two_parents_is_refused(trees: MemoryTrees) -> None:
    made, at = log(TWO, trees)
    forged = made.add(made.checkpoints[at["m"]]._replace(author=Author("x", "0" * 16, 0)))
    refused(made, trees, forged, "several parents")


def test_rules_never_grow_less(trees: MemoryTrees) -> None:
    made, at = log(TWO, trees)
    newer = made.user(at["b"], name="newer", rules=RULES + 1)
    check_received(Graph(made), trees, [newer], Forgetful())
    refused(made, trees, made.user(newer, name="older", rules=RULES), "merge rules")


def test_unknown_rules_are_not_merged(trees: MemoryTrees) -> None:
    made, at = log(TWO, trees)
    newer = made.user(at["b"], name="newer", rules=RULES + 1)
    frontier = frozenset([newer, at["c"]])
    with pytest.raises(UnsupportedError):
        merged_tree(Graph(made), trees, frontier, Forgetful())
    claim = made.add(Checkpoint(EMPTY_TREE, tuple(sorted(frontier)), None, "", RULES + 1))
    with pytest.raises(UnsupportedError):
        check_received(Graph(made), trees, [claim], Forgetful())
    assert rules_of(Graph(made), [at["c"]]) == PLAIN_RULES


def test_merge_checkpoint(trees: MemoryTrees) -> None:
    made, at = log(TWO, trees)
    graph = Graph(made)
    frontier = frozenset([at["b"], at["c"]])
    own, checkpoint = merge_checkpoint(graph, trees, frontier, Forgetful())
    assert own == at["m"]
    assert checkpoint.parents == tuple(sorted(frontier))
    assert checkpoint.author is None
    assert show(trees, checkpoint.tree) == "f=3@3 f~2@2"
    assert merge_checkpoint(graph, trees, frozenset([at["b"]]), Forgetful()) == (at["b"], made.checkpoints[at["b"]])
