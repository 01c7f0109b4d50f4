"""Random histories of two to five peers in five topologies: they come to rest with equal heads, nothing is lost, and
nothing that was deleted is back. And the merges are those of the design's runnable model, where that is at hand.

Quick by default, with seeds that never change. ``REPLICAN_TORTURE=<histories>`` runs that many instead, half of them
with kills and what cannot be written, and a tenth as many against the model, from a seed of the moment. What fails
names its seed, and ``tests/support/pure_histories.py`` runs it again and shortens it.
"""

import importlib.util
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from forgetful import Forgetful
from pure_histories import history
from tiny_trees import SECOND, MemoryTrees
from verdicts import told

from replican.decisions.frontier import merged_tree
from replican.decisions.graph import Graph
from replican.values.checkpoints import Author, Checkpoint
from replican.values.ids import BlobId, CheckpointId, TreeId
from replican.values.names import group_key
from replican.values.trees import DIRECTORY, FILE, Entry

TORTURE = int(os.environ.get("REPLICAN_TORTURE", "0"))
FIRST_SEED = int(time.time()) * 1_000_000 if TORTURE else 0
CHUNKS = 8
MODEL = Path(__file__).resolve().parents[3] / "shared" / "model" / "merge_model.py"


def seeds(chunk: int, quick: int, share: int = 2) -> range:
    """Of all histories that are asked for, a ``share``-th."""
    count = (TORTURE // share or quick) // CHUNKS + 1
    return range(FIRST_SEED + chunk * count, FIRST_SEED + (chunk + 1) * count)


@pytest.mark.parametrize("partial", [False, True], ids=["plain", "partial"])
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_histories_converge_and_lose_nothing(
    chunk: int, partial: bool, record_property: Callable[[str, object], None]
) -> None:
    begun, those = time.monotonic(), seeds(chunk, 600)
    failures = {seed: failure for seed in those if (failure := history(seed, partial))}
    record_property("summary", told("in memory" + ", partial" * partial, those, begun, list(failures)))
    assert not failures


# -- against the model -------------------------------------------------------------------------------------------------

Sets = dict[str, tuple[frozenset[tuple[str, int]], dict[str, Any]]]
"""A listing as what it means: for each group, its versions (token and time), and the directories by name."""


@pytest.fixture(scope="module")
def model() -> ModuleType:
    if not MODEL.exists():
        pytest.skip("the model is not beside this checkout")
    spec = importlib.util.spec_from_file_location("merge_model", MODEL)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Translated:
    """The log of a history of the model, as ours: the same ids, the same order of versions."""

    def __init__(self, model: ModuleType) -> None:
        self.model = model
        self.trees = MemoryTrees()
        self.known: dict[str, TreeId] = {}
        self.checkpoints: dict[CheckpointId, Checkpoint] = {}
        for own, (kind, parents, tree) in model.CK.items():
            author = Author("user", "0" * 16, 0) if kind == "u" else None
            above = tuple(self.id(parent) for parent in parents)
            self.checkpoints[self.id(own)] = Checkpoint(self.tree(tree), above, author, "")

    def checkpoint(self, checkpoint: CheckpointId, /) -> Checkpoint:
        return self.checkpoints[checkpoint]

    def id(self, own: str) -> CheckpointId:
        return CheckpointId(bytes.fromhex(own[1:]))

    def tree(self, tree: str) -> TreeId:
        if tree not in self.known:
            entries = []
            for name, entry in self.model.TREES[tree].items():
                ours = self.name(name)
                if entry[0] == "d":
                    entries.append(Entry(ours, DIRECTORY, 0o755, 0, 0, self.tree(entry[1])))
                else:
                    _, mtime, token = entry
                    blob = BlobId(token.encode().ljust(32, b"\0"))
                    entries.append(Entry(ours, FILE, 0o644, 1, mtime * SECOND, blob))
            self.known[tree] = self.trees.add(sorted(entries))
        return self.known[tree]

    def name(self, name: str) -> bytes:
        """A copy's name becomes one of ours, of the same group, as different from all others as it was."""
        stem = self.model.stem(name)
        if stem == name:
            return name.encode()
        digits = name[len(stem) :].encode().hex()
        assert len(digits) <= 2 * 64, "the model nests suffixes no deeper in practice"
        when, digits = ("19700101T000000Z", digits) if len(digits) <= 64 else ("19700102T000000Z", digits[-64:])
        return f"{stem}.conflict-{when}-{digits.ljust(8, '0')}".encode()

    def meaning(self, tree: TreeId) -> Sets:
        found: dict[str, tuple[set[tuple[str, int]], dict[str, Any]]] = {}
        for entry in self.trees.tree(tree):
            versions, directories = found.setdefault(group_key(entry.name).decode(), (set(), {}))
            if entry.kind == DIRECTORY:
                directories[entry.name.decode()] = self.meaning(entry.tree)
            else:
                versions.add((entry.id.rstrip(b"\0").decode(), entry.mtime_ns // SECOND))
        return {key: (frozenset(versions), directories) for key, (versions, directories) in found.items()}

    def model_meaning(self, tree: str) -> Sets:
        found: dict[str, tuple[set[tuple[str, int]], dict[str, Any]]] = {}
        for name, entry in self.model.TREES[tree].items():
            versions, directories = found.setdefault(self.model.stem(name), (set(), {}))
            if entry[0] == "d":
                directories[name] = self.model_meaning(entry[1])
            else:
                versions.add((entry[2], entry[1]))
        return {key: (frozenset(versions), directories) for key, (versions, directories) in found.items()}


@pytest.mark.parametrize("partial", [False, True], ids=["plain", "partial"])
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_merges_are_those_of_the_model(
    chunk: int, partial: bool, model: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "PARTIAL", partial)
    merges = 0
    for seed in seeds(chunk, 160, 20):
        assert model.history(seed) is None
        ours = Translated(model)
        graph, memo = Graph(ours), Forgetful()
        for own, (kind, parents, tree) in list(model.CK.items()):
            if kind != "m":
                continue
            merges += 1
            frontier = frozenset(ours.id(parent) for parent in parents)
            assert graph.maximal(frontier) == frontier
            merged = merged_tree(graph, ours.trees, frontier, memo)
            assert ours.meaning(merged) == ours.model_meaning(tree), f"seed {seed}, merge {own}"
            folded = model.closure(frozenset(parents[:-1])) & model.ancestors(parents[-1])
            common = graph.common([ours.id(parent) for parent in parents[:-1]], ours.id(parents[-1]))
            assert common == {ours.id(each) for each in model.maximal(folded)}
    assert merges > len(seeds(chunk, 160, 20))


def test_a_copy_of_the_model_becomes_one_of_ours(model: ModuleType) -> None:
    translated = Translated.__new__(Translated)
    translated.model = model
    name = translated.name("a.conflict-3-t12")
    assert group_key(name) == b"a"
    assert re.fullmatch(rb"a\.conflict-19700101T000000Z-[0-9a-f]+", name)
