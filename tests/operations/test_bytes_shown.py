"""What is shown of a large file while it is on its way, and not only when all of it is there."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from folders import noise, write

from replican.effects import copying, underway
from replican.operations.ahead import stage_content
from replican.operations.cloning import clone
from replican.operations.fetching import fetch_from
from replican.operations.recording import record
from replican.operations.remotes import opened_remote
from replican.operations.restoring import restore
from replican.operations.syncing import pull
from replican.repository import Repository
from replican.values.progress import Silent, Traffic

MIB = 1 << 20
LARGE = 7 * MIB  # the kernel copies it
MIDDLE = 3 * MIB  # goes through buffers
SMALL = 100


class Noted(Silent):
    """Progress that is noted in a file: what other processes than this one tell, too."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def begin(
        self,
        task: str,
        files: int | None = None,
        size: int | None = None,
        *,
        wire: Callable[[], Traffic] | None = None,
    ) -> None:
        self._note(f"begin {task} {files or 0} {size or 0}")

    def advance(self, files: int = 0, size: int = 0) -> None:
        self._note(f"advance {files} {size}")

    def _note(self, line: str) -> None:
        with self.path.open("a") as file:
            file.write(f"{line}\n")

    def steps(self, task: str) -> list[tuple[int, int]]:
        """The steps of a task, in files and bytes; they come to what it was to come to."""
        found: list[tuple[int, int]] = []
        wanted, own = (0, 0), False
        for line in self.path.read_text().splitlines():
            kind, *words = line.split()
            if kind == "begin":
                own = words[0] == task
                wanted = (int(words[1]), int(words[2])) if own else wanted
            elif own:
                found.append((int(words[0]), int(words[1])))
        assert (sum([files for files, _ in found]), sum([size for _, size in found])) == wanted
        return found


@pytest.fixture
def shown(tmp_path: Path) -> Noted:
    return Noted(tmp_path / "shown")


@pytest.fixture(autouse=True)
def _heard(shown: Noted, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large is small enough for a test. Each of the other processes waits until it is heard: who shows it may
    not have its turn before all is done."""
    monkeypatch.setattr(underway, "_AT_ONCE", MIB)
    monkeypatch.setattr(copying, "BY_KERNEL", MIDDLE + 1)
    monkeypatch.setattr(copying, "_PIECE", MIB)
    tell = underway.Reporter.advance

    def tell_and_wait(reporter: underway.Reporter, count: int) -> None:
        before = os.path.getsize(shown.path)
        tell(reporter, count)
        end = time.monotonic() + 5
        while not reporter._unsent and os.path.getsize(shown.path) == before and time.monotonic() < end:
            time.sleep(0.001)

    monkeypatch.setattr(underway.Reporter, "advance", tell_and_wait)


def folder(root: Path, large: int, small: int = 0) -> Path:
    """A folder with two large files, which differ, and so many small ones."""
    content = noise(large)
    write(root / "d/large", content)
    write(root / "d/other", content[1:])
    for number in range(small):
        write(root / f"small/{number}", b"%0*d" % (SMALL, number))
    return root


def assert_moves(steps: list[tuple[int, int]], large: int) -> None:
    """Bytes come between the files, and nothing is as large as a large file."""
    between = [size for files, size in steps if not files]
    assert len(between) >= 2
    assert max(size for _, size in steps) < large
    assert min(size for _, size in steps) > -large


@pytest.mark.parametrize("small", [0, 300], ids=["by this process", "by others"])
@pytest.mark.parametrize("large", [MIDDLE, LARGE])
def test_clone_of_a_replica(tmp_path: Path, shown: Noted, large: int, small: int) -> None:
    with Repository.init(str(folder(tmp_path / "a", large, small))) as repo:
        record(repo)
    clone(str(tmp_path / "a"), str(tmp_path / "b"), progress=shown)
    assert_moves(shown.steps("copying"), large)


def test_clone_of_a_folder_with_one_file(tmp_path: Path, shown: Noted) -> None:
    write(tmp_path / "a/large", noise(LARGE))
    clone(str(tmp_path / "a"), str(tmp_path / "b"), progress=shown)
    assert_moves(shown.steps("reading"), LARGE)


def test_clone_of_a_folder_that_others_read(tmp_path: Path, shown: Noted) -> None:
    clone(str(folder(tmp_path / "a", LARGE)), str(tmp_path / "b"), progress=shown)
    assert_moves(shown.steps("reading"), LARGE)


def test_commit(tmp_path: Path, shown: Noted) -> None:
    with Repository.init(str(folder(tmp_path / "a", LARGE)), progress=shown) as repo:
        record(repo)
    assert_moves(shown.steps("reading"), LARGE)


def test_small_files_tell_nothing_of_their_own(tmp_path: Path, shown: Noted) -> None:
    with Repository.init(str(folder(tmp_path / "a", SMALL, 300))) as repo:
        record(repo)
    clone(str(tmp_path / "a"), str(tmp_path / "b"), progress=shown)
    assert all(files for files, size in shown.steps("copying") if size)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders in step; then ``a`` gets two large files."""
    write(tmp_path / "a/d/first", b"first")
    clone(str(tmp_path / "a"), str(tmp_path / "b"))
    return folder(tmp_path / "a", LARGE), tmp_path / "b"


def test_pull(pair: tuple[Path, Path], shown: Noted) -> None:
    with Repository(str(pair[1]), progress=shown) as repo:
        pull(repo, "origin")
    assert_moves(shown.steps("staging"), LARGE)


def test_content_that_is_fetched_ahead_and_then_found_again(pair: tuple[Path, Path], shown: Noted) -> None:
    with Repository(str(pair[1]), progress=shown) as repo:
        with opened_remote(repo, "origin") as remote:
            remote.refresh()
            fetch_from(repo, remote)
            stage_content(repo, remote)
        assert_moves(shown.steps("staging"), LARGE)
        os.truncate(shown.path, 0)
        pull(repo, "origin")
    assert_moves(shown.steps("staging"), LARGE)


def test_restore(pair: tuple[Path, Path], shown: Noted) -> None:
    with Repository(str(pair[1]), progress=shown) as repo:
        pull(repo, "origin")
        os.unlink(pair[1] / "d/large")
        os.unlink(pair[1] / "d/other")
        restore(repo, repo.head_tree, [b"d"])
    assert_moves(shown.steps("restoring"), LARGE)


def test_a_file_that_is_written_to_meanwhile_is_counted_once(
    tmp_path: Path, shown: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first copy of it comes to nothing."""
    path = write(tmp_path / "a/large", noise(LARGE))
    copy, changed = os.copy_file_range, []

    def copy_and_change(*given: int) -> int:
        count = copy(*given)
        if not changed:
            changed.append(True)
            time.sleep(0.01)
            os.utime(path)
        return count

    monkeypatch.setattr(os, "copy_file_range", copy_and_change)
    clone(str(tmp_path / "a"), str(tmp_path / "b"), progress=shown)
    steps = shown.steps("reading")
    assert min(size for _, size in steps) == -LARGE
    assert (tmp_path / "b/large").read_bytes() == path.read_bytes()
