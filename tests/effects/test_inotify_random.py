"""Whatever happens to a folder, its watches are those of the directories that there are, each at its own path."""

import os
import random
import shutil
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="inotify is Linux's")
if sys.platform.startswith("linux"):
    from noticing import Seen


def edit(chance: random.Random, root: Path, outside: Path) -> None:
    """One random change."""
    everything = [path for path in root.rglob("*") if ".replican" not in path.parts]
    folders = [root, *(path for path in everything if path.is_dir() and not path.is_symlink())]
    target = chance.choice(folders) / chance.choice("abcd")
    chosen = chance.choice(everything) if everything else target
    is_free = not os.path.lexists(target) and chosen not in target.parents
    match chance.randrange(9):
        case 0 | 1 if is_free:
            target.write_text(str(chance.random()))
        case 2 | 3 if is_free:
            target.mkdir()
        case 4 if os.path.lexists(chosen) and is_free:
            chosen.rename(target)
        case 5 if os.path.lexists(chosen) and is_free:
            chosen.rename(target)
        case 6 if chosen.is_dir() and not chosen.is_symlink():
            shutil.rmtree(chosen)
        case 6 if os.path.lexists(chosen):
            chosen.unlink()
        case 7 if os.path.lexists(chosen):
            chosen.rename(outside / str(chance.random()))
        case 8 if is_free:
            parked = sorted(outside.iterdir())
            if parked:
                chance.choice(parked).rename(target)
        case _:
            pass


@pytest.mark.parametrize("seed", range(10))
def test_the_watches_are_those_of_the_directories_that_there_are(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    seen = Seen(root)
    for _ in range(20):
        for _ in range(chance.randrange(1, 12)):
            edit(chance, root, outside)
        assert_all_watched(seen)
    seen.watcher.close()


def assert_all_watched(seen: Seen) -> None:
    seen.drain()
    folders = {os.fsencode(path.relative_to(seen.root)) for path in seen.root.rglob("*") if path.is_dir()}
    assert seen.watched() == {b"", *folders}
    assert len(seen.watcher._watches.paths) == len(folders) + 1
    for path in folders:
        (seen.root / os.fsdecode(path) / "probe").write_text("1")
    assert seen.settled() == {path + b"/probe" for path in folders}
    for path in folders:
        (seen.root / os.fsdecode(path) / "probe").unlink()
    seen.drain()


@pytest.mark.parametrize("seed", range(2))
def test_the_same_while_changes_go_on(tmp_path: Path, seed: int) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    seen = Seen(root)
    pid = os.fork()
    if pid == 0:
        chance = random.Random(seed)
        try:
            for _ in range(600):
                edit(chance, root, outside)
        finally:
            os._exit(0)
    drains = 0
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        seen.drain()
        drains += 1
    assert drains > 10
    assert_all_watched(seen)
    seen.watcher.close()
