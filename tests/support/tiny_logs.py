"""A tiny language for logs: one line a checkpoint, ``name: parents | tree``, in the language of tiny_trees.

``|`` and the tree may be left out (an empty folder). A merge has two parents or more; its tree is made, not given.
"""

import random

from forgetful import Forgetful
from tiny_trees import MemoryTrees, parse

from replican.decisions.frontier import merge_checkpoint
from replican.decisions.graph import Graph
from replican.values.checkpoints import Author, Checkpoint, id_of
from replican.values.ids import EMPTY_TREE, CheckpointId, TreeId


class MemoryLog:
    """Checkpoints in memory, by id; ``names`` are theirs in the test. ``read`` counts."""

    def __init__(self) -> None:
        self.checkpoints: dict[CheckpointId, Checkpoint] = {}
        self.names: dict[CheckpointId, str] = {}
        self.read = 0

    def checkpoint(self, checkpoint: CheckpointId, /) -> Checkpoint:
        self.read += 1
        return self.checkpoints[checkpoint]

    def add(self, checkpoint: Checkpoint, name: str = "") -> CheckpointId:
        made = id_of(checkpoint)
        self.checkpoints[made] = checkpoint
        self.names[made] = name
        return made

    def user(
        self, parent: CheckpointId | None, tree: TreeId = EMPTY_TREE, name: str = "", time_ns: int = 0, rules: int = 1
    ) -> CheckpointId:
        """Append a user checkpoint; the name makes its id different from all others'."""
        author = Author("user", "0" * 16, time_ns)
        return self.add(Checkpoint(tree, (parent,) if parent else (), author, name, rules), name)

    def merge(self, parents: list[CheckpointId], tree: TreeId = EMPTY_TREE, name: str = "") -> CheckpointId:
        return self.add(Checkpoint(tree, tuple(sorted(parents)), None, ""), name)


def log(text: str, trees: MemoryTrees | None = None) -> tuple[MemoryLog, dict[str, CheckpointId]]:
    """The log that ``text`` describes, and its ids by name."""
    trees = trees or MemoryTrees()
    made = MemoryLog()
    graph, memo = Graph(made), Forgetful()
    ids: dict[str, CheckpointId] = {}
    for line in text.strip().splitlines():
        left, _, tree_text = line.partition("|")
        name, _, parents = (part.strip() for part in left.partition(":"))
        above = [ids[parent] for parent in parents.split()]
        if len(above) > 1:
            _, checkpoint = merge_checkpoint(graph, trees, frozenset(above), memo)
            ids[name] = made.add(checkpoint, name)
        else:
            ids[name] = made.user(above[0] if above else None, parse(trees, tree_text), name)
    return made, ids


def random_log(random_: random.Random, count: int) -> tuple[MemoryLog, list[CheckpointId]]:
    """Users on one head or none, and merges of frontiers, as replican makes them; with clocks that lie."""
    made = MemoryLog()
    ids: list[CheckpointId] = []
    above: dict[CheckpointId, frozenset[CheckpointId]] = {}
    for number in range(count):
        parents: list[CheckpointId] = []
        what = random_.random()
        if ids and what < 0.35:
            users = [each for each in ids if not made.checkpoints[each].is_merge]
            picked = set(random_.sample(users, min(len(users), random_.randint(2, 4))))
            parents = [each for each in picked if not any(each in above[other] for other in picked - {each})]
        if len(parents) > 1:
            new = made.merge(parents, name=f"m{number}")
            if new in ids:
                continue
        else:
            parent = random_.choice(ids[-6:]) if ids and what < 0.97 else None
            parents = [parent] if parent else []
            new = made.user(parent, name=f"u{number}", time_ns=random_.randint(-(10**18), 10**18))
        above[new] = frozenset({new}).union(*(above[parent] for parent in parents))
        ids.append(new)
    return made, ids
