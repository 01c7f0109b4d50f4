"""Sets of checkpoints, as ``A..B`` and ``^A B`` name them, in the order of the log; and the objects that they have."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from replican.operations.revisions import checkpoint_named
from replican.repository import Repository
from replican.values.ids import EMPTY_TREE, CheckpointId, TreeId
from replican.values.paths import join
from replican.values.trees import DIRECTORY


class Range(NamedTuple):
    """What ``heads`` come from, themselves included, but for what ``without`` come from, themselves included."""

    heads: list[CheckpointId]
    without: list[CheckpointId]


def parse_range(repo: Repository, words: Iterable[str]) -> Range:
    """What ``REF``, ``^REF``, ``A..B`` and ``A...B`` mean together; raises ``NotFoundError``."""
    found = Range([], [])
    for word in words:
        one, dots, other = word.partition("...") if "..." in word else word.partition("..")
        if dots:
            first, second = checkpoint_named(repo, one or "HEAD"), checkpoint_named(repo, other or "HEAD")
            found.heads.append(second)
            if dots == "..":
                found.without.append(first)
            else:
                found.heads.append(first)
                found.without.extend(repo.graph.merge_base(first, second))
        elif word[:1] == "^":
            found.without.append(checkpoint_named(repo, word[1:]))
        else:
            found.heads.append(checkpoint_named(repo, word))
    return found


def all_heads(repo: Repository) -> list[CheckpointId]:
    """Where the refs are, each once."""
    return sorted({id for name in repo.refs.names() if (id := repo.refs.read(name)) is not None})


def walk(repo: Repository, wanted: Range) -> Iterator[CheckpointId]:
    """The checkpoints of a range: children before their parents, then the newest first."""
    graph, heads = repo.graph, list(dict.fromkeys(wanted.heads))
    if len(heads) == 1 and not wanted.without:
        yield from graph.topological(heads[0])
        return
    found = graph.reachable(heads, wanted.without) if heads else set()
    children = Counter([parent for id in found for parent in graph.parents(id)])
    ready = [(-graph.time_ns(id), id) for id in found if not children[id]]
    heapify(ready)
    while ready:
        _, at = heappop(ready)
        yield at
        for parent in graph.parents(at):
            children[parent] -= 1
            if not children[parent] and parent in found:
                heappush(ready, (-graph.time_ns(parent), parent))


def trees_of(
    repo: Repository, checkpoints: Sequence[CheckpointId], without: Iterable[CheckpointId] = ()
) -> Iterator[tuple[TreeId, bytes]]:
    """Every tree of ``checkpoints``, once, with a path where it lies; not those of the trees of ``without``."""
    seen: set[TreeId] = set()
    for id in without:
        for _ in _new_trees(repo, repo.checkpoint(id).tree, seen):
            pass
    for id in checkpoints:
        yield from _new_trees(repo, repo.checkpoint(id).tree, seen)


def _new_trees(repo: Repository, top: TreeId, seen: set[TreeId]) -> Iterator[tuple[TreeId, bytes]]:
    stack = [(top, b"")]
    while stack:
        tree, path = stack.pop()
        if tree in seen:
            continue
        seen.add(tree)
        if tree == EMPTY_TREE and not repo.objects.has(tree):
            continue  # an empty folder needs no object
        yield tree, path
        stack += [
            (entry.tree, join(path, entry.name)) for entry in reversed(repo.tree(tree)) if entry.kind == DIRECTORY
        ]
