"""The tracker, told only what the poller saw, knows the same folder as a scan that begins with nothing."""

import os
import random
import shutil
import sys
from pathlib import Path
from select import select

import pytest

from replican.decisions.treediff import walk_tree
from replican.effects.index import Index
from replican.effects.observe import observe_paths, poll
from replican.effects.scan import scan
from replican.operations.recording import record
from replican.operations.tracker import Tracker
from replican.operations.tracking import append_tree, update_index, write_tree
from replican.repository import Repository
from replican.values.ids import TreeId
from replican.values.trees import FILE

NAMES = ["a", "b", "c", "d", "e", "new\nline"]


def change(rng: random.Random, root: Path) -> None:
    """One thing that a user may do."""
    everything = [path for path in root.rglob("*") if ".replican" not in path.parts]
    folders = [root, *(path for path in everything if path.is_dir() and not path.is_symlink())]
    target = rng.choice(folders) / rng.choice(NAMES)
    chosen = rng.choice(everything) if everything else target
    match rng.randrange(8):
        case 0 | 1 if not os.path.lexists(target):
            target.write_text(str(rng.randrange(5)) * rng.randrange(1, 3))
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


def on_disk(repo: Repository) -> TreeId:
    with Index.open(":memory:", writable=True) as nothing:
        return scan(repo.root, nothing, workers=1).root


def files(repo: Repository) -> set[bytes]:
    """Those that are recorded."""
    return {path for path, entry in walk_tree(repo, repo.head_tree) if entry.kind == FILE}


def is_file(root: Path, path: bytes) -> bool:
    name = root.resolve() / os.fsdecode(path)
    return name.is_file() and name.resolve() == name  # there is no link on the way


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is told by inotify here")
@pytest.mark.parametrize("seed", range(12))
def test_large_files_are_put_off_and_nothing_is_taken_for_gone(tmp_path: Path, seed: int) -> None:
    """Half of the files are large, and read at any moment, or not for long. A file that was recorded and is there still
    is never recorded as deleted, and in the end all is recorded as it is."""
    rng = random.Random(2000 + seed)
    root = tmp_path / "replica"
    allowed = frozenset(["--allow-mass-delete"])
    with Repository.init(str(root)) as repo:
        tracker = Tracker(repo, 1)
        tracker.watch()
        tracker.look(0)
        for turn in range(15):
            for _ in range(rng.randrange(12)):
                change(rng, root)
            held, state = on_disk(repo), tracker.state(turn)
            assert observe_paths(repo.root, repo.index, state.doubtful).root == held
            if rng.random() < 0.2:
                tracker.doubt_everything()
            before = files(repo)
            tracker.listen(turn)
            tracker.look(turn)
            record(repo, allowed=allowed, paths=())
            tracker.resume()
            assert not [path for path in before - files(repo) if is_file(root, path)]
            if rng.random() < 0.5:
                while (state := tracker.state(turn)).root is None or state.doubtful:
                    tracker.look(turn)
                    record(repo, allowed=allowed, paths=())
                    tracker.resume()
                    select(tracker.descriptors, [], [], 0.1)
                assert state.root == repo.head_tree == held
                assert repo.index.problems() == []
        tracker.close()
