"""The poller's rounds: what a quick one finds, what only a full one does, and what is told once."""

import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from replican.effects.index import Index
from replican.effects.observe import poll
from replican.effects.worktree import Directories
from replican.operations import polling
from replican.operations.polling import HOT_ROUNDS, Poller
from replican.operations.recording import record
from replican.operations.tracking import update_index
from replican.repository import Repository


class Polled:
    """A recorded folder in which nothing has happened for a while, and its poller."""

    def __init__(self, root: Path) -> None:
        for name in ("a/b/file", "a/other", "c/file", "top"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)
        self.root = root
        self.repo = Repository.init(str(root))
        self.rest()
        record(self.repo)
        self.poller = Poller(self.repo)
        assert self.full() == []

    def rest(self) -> None:
        """Until no time is so young that it could stay the same."""
        time.sleep(0.03)

    def quick(self) -> list[bytes]:
        self.rest()
        return self.poller.round(False)

    def full(self) -> list[bytes]:
        self.rest()
        return self.poller.round(True)


@pytest.fixture
def polled(tmp_path: Path) -> Iterator[Polled]:
    polled = Polled(tmp_path / "root")
    yield polled
    polled.repo.close()


def test_nothing(polled: Polled) -> None:
    assert polled.quick() == []
    assert polled.full() == []
    assert polled.quick() == []


def test_what_a_quick_round_finds(polled: Polled) -> None:
    root = polled.root
    (root / "a/new").write_text("1")
    (root / "c/file").unlink()
    (root / "a/b").chmod(0o700)
    (root / "dir/deep").mkdir(parents=True)
    (root / "dir/deep/file").write_text("1")
    (root / "saved").write_text("new")
    (root / "saved").rename(root / "top")
    assert polled.quick() == [b"a/b", b"a/new", b"c/file", b"dir", b"top"]
    assert polled.quick() == [], "it has been told"


def test_a_file_written_in_place_is_found_by_a_full_round_or_where_something_happens(polled: Polled) -> None:
    root = polled.root
    with open(root / "a/b/file", "r+b") as file:
        file.write(b"new")
    assert polled.quick() == []
    (root / "a/b/beside").write_text("1")
    assert polled.quick() == [b"a/b/beside", b"a/b/file"]
    with open(root / "a/b/file", "r+b") as file:
        file.write(b"newer")
    assert polled.quick() == [b"a/b/file"], "it is not long ago that something was found beside it"
    with open(root / "top", "r+b") as file:
        file.write(b"new")
    assert polled.quick() == []
    assert polled.full() == [b"a/b/beside", b"a/b/file", b"top"]


def test_a_directory_cools_down(polled: Polled) -> None:
    (polled.root / "a/b/beside").write_text("1")
    assert polled.quick() == [b"a/b/beside"]
    update_index(polled.repo, [b"a/b/beside"])
    for _ in range(HOT_ROUNDS):
        assert polled.poller.round(False) == []
    with open(polled.root / "a/b/file", "r+b") as file:
        file.write(b"new")
    assert polled.quick() == []
    assert polled.full() == [b"a/b/file"]


def test_what_the_index_lacks_is_told_again_by_full_rounds_alone(polled: Polled) -> None:
    (polled.root / "new").write_text("1")
    assert polled.quick() == [b"new"]
    assert polled.quick() == []
    assert polled.full() == [b"new"]
    (polled.root / "new").write_text("22")
    assert polled.quick() == [b"new"], "it has changed since"
    update_index(polled.repo, [b"new"])
    assert polled.full() == []


def test_new_directories_are_part_of_the_next_round(polled: Polled) -> None:
    (polled.root / "n/m").mkdir(parents=True)
    assert polled.quick() == [b"n"]
    update_index(polled.repo, [b"n"])
    assert polled.quick() == []
    (polled.root / "n/m/file").write_text("1")
    assert polled.quick() == [b"n/m/file"]


def test_what_would_not_be_recorded_is_not_found(polled: Polled) -> None:
    (polled.root / ".replicanignore").write_text("*.o\n")
    assert polled.quick() == [b".replicanignore"]
    update_index(polled.repo, [b""])
    (polled.root / "a/x.o").write_text("1")
    (polled.root / "a/.replican").write_text("1")
    (polled.root / ".replican/stage/x").write_text("1")
    os.mkfifo(polled.root / "c/fifo")
    assert polled.quick() == []


def test_a_link_in_the_place_of_a_directory_is_not_followed(polled: Polled, tmp_path: Path) -> None:
    (tmp_path / "elsewhere/b").mkdir(parents=True)
    (tmp_path / "elsewhere/b/secret").write_text("1")
    shutil.rmtree(polled.root / "a")
    (polled.root / "a").symlink_to(tmp_path / "elsewhere")
    assert polled.quick() == [b"a"]


def test_the_folder_is_emptied(polled: Polled) -> None:
    for name in ("a", "c"):
        shutil.rmtree(polled.root / name)
    (polled.root / "top").unlink()
    assert polled.quick() == [b"a", b"c", b"top"]


@pytest.mark.parametrize("seed", range(6))
def test_where_nothing_is_written_in_place_quick_rounds_find_what_full_ones_do(polled: Polled, seed: int) -> None:
    rng, root = random.Random(seed), polled.root
    for turn in range(15):
        for _ in range(rng.randrange(4)):
            folders = [path for path in [root, *root.rglob("*")] if path.is_dir() and ".replican" not in path.parts]
            target = rng.choice(folders) / rng.choice("abcde")
            everything = [path for path in root.rglob("*") if ".replican" not in path.parts]
            chosen = rng.choice(everything) if everything else target
            match rng.randrange(5):
                case 0 | 1 if not target.is_dir():
                    (root.parent / "made").write_text(f"{turn}")
                    (root.parent / "made").rename(target)
                case 2 if not target.exists():
                    target.mkdir()
                case 3 if chosen.exists() and not target.exists() and chosen not in target.parents:
                    chosen.rename(target)
                case 4 if chosen.is_dir():
                    shutil.rmtree(chosen)
                case 4 if chosen.exists():
                    chosen.unlink()
        polled.rest()
        expected = poll(polled.repo.root, polled.repo.index)
        polled.repo.close_index()
        assert polled.poller.round(False) == expected
        update_index(polled.repo, expected)


def test_new_directories_that_are_as_the_index_has_them_are_not_looked_at_by_name(
    polled: Polled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came by an archive or a merge is known by the time of the next round."""
    for number in range(120):
        (polled.root / f"new{number}").mkdir()
        (polled.root / f"new{number}/file").write_text(str(number))
    polled.rest()
    record(polled.repo)
    looked: list[bytes] = []
    names = polling._names

    def counted(index: Index, directories: Directories, directory: bytes) -> list[bytes]:
        looked.append(directory)
        return names(index, directories, directory)

    monkeypatch.setattr(polling, "_names", counted)
    assert (polled.quick(), looked) == ([], [b""])  # which has more than what is recorded
    (polled.root / "new7/more").write_text("more")
    assert (polled.quick(), looked) == ([b"new7/more"], [b"", b"new7"])
