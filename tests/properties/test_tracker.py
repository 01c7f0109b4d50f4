"""The tracker, told only what the poller saw, knows the same folder as a scan that begins with nothing."""

import os
import random
import shutil
import sys
from pathlib import Path

import pytest

from replican.effects.index import Index
from replican.effects.observe import observe_paths, poll
from replican.effects.scan import scan
from replican.operations.tracker import Tracker
from replican.operations.tracking import append_tree, update_index, write_tree
from replican.repository import Repository

NAMES = ["a", "b", "c", "d", "e", "new\nline"]


def change(rng: random.Random, root: Path) -> None:
    """One thing that a user may do."""
    everything = [path for path in root.rglob("*") if ".replican" not in path.parts]
    folders = [root, *(path for path in everything if path.is_dir() and not path.is_symlink())]
    target = rng.choice(folders) / rng.choice(NAMES)
    chosen = rng.choice(everything) if everything else target
    match rng.randrange(8):
        case 0 | 1 if not os.path.lexists(target):
            target.write_text(str(rng.randrange(5)))
            if rng.random() < 0.5:
                os.utime(target, ns=(0, rng.randrange(10)))
        case 2 if not os.path.lexists(target):
            target.mkdir()
        case 3 if not os.path.lexists(target):
            target.symlink_to(rng.choice(NAMES))
        case 4 if chosen.is_dir() and not chosen.is_symlink():
            shutil.rmtree(chosen)
        case 4 if os.path.lexists(chosen):
            chosen.unlink()
        case 5 | 6 if os.path.lexists(chosen) and not os.path.lexists(target) and chosen not in target.parents:
            chosen.rename(target)
        case 7 if os.path.lexists(chosen) and not chosen.is_symlink():
            chosen.chmod(rng.choice([0o700, 0o755]) if chosen.is_dir() else rng.choice([0o600, 0o644, 0o755]))
        case _:
            pass


@pytest.mark.parametrize("seed", range(12))
def test_the_tracker_knows_what_a_scan_sees(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    root = tmp_path / "replica"
    Repository.init(str(root)).close()
    for _ in range(12):
        for _ in range(rng.randrange(12)):
            change(rng, root)
        with Repository.open(str(root)) as repo:
            paths = poll(repo.root, repo.index)
        with Repository.open(str(root)) as repo:
            if paths or rng.random() < 0.5:
                update_index(repo, paths)
            tree = write_tree(repo)
            if rng.random() < 0.7:
                append_tree(repo, tree, allowed=frozenset(["--allow-mass-delete"]))
            with Index.open(":memory:", writable=True) as nothing:
                assert scan(repo.root, nothing, workers=1).root == tree
            assert poll(repo.root, repo.index) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is told by inotify here")
@pytest.mark.parametrize("seed", range(12))
def test_told_by_the_system_it_knows_the_same_at_any_moment(tmp_path: Path, seed: int) -> None:
    rng = random.Random(1000 + seed)
    root = tmp_path / "replica"
    with Repository.init(str(root)) as repo:
        tracker = Tracker(repo)
        tracker.watch()
        tracker.look(0)
        for turn in range(15):
            for _ in range(rng.randrange(12)):
                change(rng, root)
            state = tracker.state(turn)
            with Index.open(":memory:", writable=True) as nothing:
                held = scan(repo.root, nothing, workers=1).root
            assert observe_paths(repo.root, repo.index, state.doubtful).root == held
            if rng.random() < 0.7:
                tracker.look(turn)
                assert tracker.state(turn) == (held, [])
                if rng.random() < 0.5:
                    append_tree(repo, write_tree(repo), allowed=frozenset(["--allow-mass-delete"]))
                    tracker.resume()
        tracker.close()
