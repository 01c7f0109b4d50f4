"""What a scan counts as changed is what comparing the trees before and after it says."""

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from scanning import Watched, fill

from replican.decisions.treediff import tally, tally_pairs
from replican.values.ids import EMPTY_TREE, TreeId
from replican.values.trees import Entry, parse_tree


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path)
    yield watched
    watched.close()


class _Trees:
    """Every tree that a scan has made so far."""

    def __init__(self) -> None:
        self.payloads: dict[TreeId, bytes] = {EMPTY_TREE: b""}

    def tree(self, tree: TreeId, /) -> list[Entry]:
        return parse_tree(self.payloads[tree])


def test_files_that_changed_are_told_with_what_they_were(folder: Watched) -> None:
    fill(folder)
    folder.record()
    folder.write("a/b/file1", b"new")
    os.unlink(folder.path("file1"))
    folder.write("a/came", b"came")
    os.utime(folder.path("a/file1"), ns=(0, 5))
    pairs = folder.record().pairs
    assert pairs is not None
    names = {((old or new).name, old is None, new is None) for old, new in pairs if old or new}  # type: ignore[union-attr]
    assert names == {
        (b"file1", False, False),
        (b"file1", False, True),
        (b"came", True, False),
    }


@pytest.mark.parametrize("seed", range(40))
def test_the_count_is_that_of_the_trees(folder: Watched, seed: int) -> None:
    chance, trees = random.Random(seed), _Trees()
    fill(folder)
    seen = folder.record()
    trees.payloads.update(seen.payloads)
    told = 0
    for step in range(12):
        before = seen.root
        for _ in range(chance.randint(1, 3)):
            _edit(folder, chance, step)
        seen = folder.record()
        trees.payloads.update(seen.payloads)
        if seen.pairs is not None:
            told += 1
            assert tally_pairs(seen.pairs) == tally(trees, before, seen.root)
    assert told > 2


def _edit(folder: Watched, chance: random.Random, step: int) -> None:
    directory = chance.choice(["", "a/", "a/b/", "c/"])
    name = f"{directory}file{chance.randint(0, 4)}"
    path = Path(folder.path(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    what = chance.randrange(8)
    if what < 4 and not path.is_dir():
        if path.is_symlink():
            path.unlink()
        folder.write(name, b"%d %d" % (step, chance.randint(0, 3)))
    elif what == 4 and path.exists() and not path.is_dir():
        os.rename(path, f"{path}.moved{step}")
    elif what == 5 and (path.exists() or path.is_symlink()):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else os.unlink(path)
    elif what == 6 and not path.exists() and not path.is_symlink():
        if chance.random() < 0.5:
            os.symlink("elsewhere", path)
        else:
            path.mkdir()
    elif what == 7 and directory and chance.random() < 0.3:
        os.rename(path.parent, f"{path.parent}-{step}")
