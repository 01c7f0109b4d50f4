"""What is sent of a log: with each checkpoint all that its tree consists of, and nothing twice."""

import random
from pathlib import Path

import pytest
from folders import write

from replican.decisions.treediff import walk_tree
from replican.effects.forms import TREE
from replican.operations.recording import record
from replican.operations.sending import log_above
from replican.repository import Repository
from replican.values.ids import EMPTY_TREE, CheckpointId, tree_id
from replican.values.trees import DIRECTORY


def sent_trees(repo: Repository, have: list[CheckpointId]) -> set[bytes]:
    """The trees that are sent to who has these checkpoints; none comes twice."""
    assert repo.head is not None
    sent = log_above(repo.objects, [repo.head], have, 1000)
    found = [bytes(tree_id(each.payload)) for each in sent if each.kind == TREE]
    assert len(found) == len(set(found))
    return set(found)


def trees_of(repo: Repository, checkpoint: CheckpointId) -> set[bytes]:
    tree = repo.tree_of(checkpoint)
    below = {bytes(entry.id) for _, entry in walk_tree(repo, tree) if entry.kind == DIRECTORY}
    return ({bytes(tree)} | below) - {bytes(EMPTY_TREE)}


def test_a_new_directory_that_was_renamed_and_renamed_back(tmp_path: Path) -> None:
    """Each of the three states has it from another: one of them has to be where it comes from."""
    root = tmp_path / "root"
    write(root / "file", "x")
    with Repository.init(str(root)) as repo:
        first = record(repo).head
        assert first is not None
        write(root / "a/inner/file", "new")
        record(repo)
        (root / "a").rename(root / "b")
        record(repo)
        (root / "b").rename(root / "a")
        last = record(repo).head
        assert last is not None
        assert trees_of(repo, last) <= sent_trees(repo, [first])


@pytest.mark.parametrize("seed", range(10))
def test_directories_that_are_renamed_all_the_time(tmp_path: Path, seed: int) -> None:
    chance, root = random.Random(seed), tmp_path / "root"
    write(root / "file", "x")
    with Repository.init(str(root)) as repo:
        heads = [record(repo).head]
        for _ in range(12):
            below = [each for each in root.rglob("*") if each.is_dir() and ".replican" not in each.parts]
            places = [root, *sorted(below)]
            if chance.random() < 0.4:
                write(chance.choice(places) / f"{chance.randrange(3)}/file", f"{chance.randrange(3)}")
            source, target = chance.choice(places), chance.choice(places) / f"{chance.randrange(3)}"
            if source != root and not target.exists() and source not in target.parents:
                source.rename(target)
            heads.append(record(repo).head)
        known = [each for each in dict.fromkeys(heads) if each is not None]
        have = chance.choice(known[:-1])
        there = {tree for each in known[: known.index(have) + 1] for tree in trees_of(repo, each)}
        came = sent_trees(repo, [have])
        for each in known[known.index(have) + 1 :]:
            assert trees_of(repo, each) <= there | came
