"""Repositories with a log that was written by hand, in the language of tiny_trees: no file of theirs is looked at."""

from pathlib import Path

from forgetful import Forgetful
from tiny_trees import SECOND, MemoryTrees, parse

from replican.decisions.frontier import merge_checkpoint
from replican.decisions.graph import Graph
from replican.effects.forms import CHECKPOINT, TREE
from replican.effects.refs import HEAD
from replican.operations.recording import new_trees
from replican.repository import Repository
from replican.values.checkpoints import Author, Checkpoint, encode_checkpoint, id_of
from replican.values.ids import CheckpointId, TreeId
from replican.values.trees import TreeOverlay

PEER = "0123456789abcdef"


class SmallRepository:
    """A repository at ``root``, and what to fill it with. Closed after each step: others may use it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        Repository.init(str(root)).close()
        self._time = 1_700_000_000

    def open(self) -> Repository:
        return Repository.open(str(self.root))

    def tree(self, text: str) -> TreeId:
        """Store the tree that ``text`` describes."""
        trees = MemoryTrees()
        made = parse(trees, text)
        with self.open() as repo:
            repo.objects.add({id: (TREE, payload) for id, payload in trees.new.items()})
        return made

    def user(
        self, parent: CheckpointId | None, text: str, message: str = "words", *, head: bool = True
    ) -> CheckpointId:
        """Append a user checkpoint; each is a second later than the one before."""
        tree = self.tree(text)
        self._time += 1
        author = Author("tester", PEER, self._time * SECOND)
        checkpoint = Checkpoint(tree, () if parent is None else (parent,), author, message)
        with self.open() as repo:
            repo.objects.add({id_of(checkpoint): (CHECKPOINT, encode_checkpoint(checkpoint))})
        if head:
            self.set_ref(HEAD, id_of(checkpoint), message)
        return id_of(checkpoint)

    def merge(self, *parents: CheckpointId, head: bool = True) -> CheckpointId:
        """The merge checkpoint that joins ``parents``."""
        with self.open() as repo:
            overlay = TreeOverlay(repo)
            made, checkpoint = merge_checkpoint(Graph(repo.objects), overlay, frozenset(parents), Forgetful())
            trees = {each: (TREE, payload) for each, payload in new_trees(repo, overlay, checkpoint.tree).items()}
            repo.objects.add({**trees, made: (CHECKPOINT, encode_checkpoint(checkpoint))})
        if head:
            self.set_ref(HEAD, made, "merge")
        return made

    def set_ref(self, name: str, to: CheckpointId, reason: str = "test") -> None:
        with self.open() as repo:
            repo.refs.update(name, to, repo.refs.read(name), reason, "tester", self._time)
