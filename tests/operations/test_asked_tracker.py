"""Status, asked of the tracker that runs: the same as by a scan, at every moment, and without one."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tracked import tracked
from watching import eventually

from replican.effects.index import Index
from replican.operations import looking
from replican.operations.looking import Status, ask_tracker, look
from replican.operations.recording import record
from replican.repository import Repository
from replican.values.ids import BlobId
from replican.values.names import copy_name

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is told by inotify here")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name in ("a/b/file", "a/other", "c/file", "top"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    with Repository.init(str(root)) as repo:
        record(repo)
    return root


@pytest.fixture
def unscanned(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan would be a failure."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a scan, where the tracker should have been asked")

    monkeypatch.setattr("replican.effects.scan.scan", fail)


def status(root: Path) -> Status:
    with Repository.open(str(root)) as repo:
        return look(repo)


def by_scan(root: Path, monkeypatch: pytest.MonkeyPatch) -> Status:
    with monkeypatch.context() as patch:
        patch.setattr(looking, "ask_tracker", lambda _: None)
        return status(root)


def changes(found: Status) -> list[tuple[bytes, str]]:
    return [(each.path, each.status) for each in found.changes]


def test_nothing_has_changed(root: Path, unscanned: None) -> None:
    with tracked(root):
        assert status(root).clean


@pytest.mark.parametrize("looks", [True, False])
def test_what_has_changed_a_moment_ago(root: Path, unscanned: None, looks: bool) -> None:
    with tracked(root, looks=looks):
        for turn in range(20):
            (root / "top").write_text(f"edit {turn}")
            (root / f"new{turn}").mkdir()
            (root / f"new{turn}/file").write_text("")
            found = dict(changes(status(root)))
            assert found[b"top"] == "modified"
            assert found[f"new{turn}/file".encode()] == "added"
        shutil.rmtree(root / "a")
        (root / "c/file").chmod(0o600)
        found = dict(changes(status(root)))
        assert found[b"a/other"] == found[b"a/b/file"] == "deleted"
        assert found[b"c/file"] == "attributes changed"


def test_a_file_that_is_being_written_to(root: Path, unscanned: None) -> None:
    with tracked(root), open(root / "log", "wb", buffering=0) as file:
        for turn in range(3):
            file.write(b"1")
            (found,) = status(root).changes
            assert (found.path, found.status, found.entry.size) == (b"log", "added", turn + 1)


def test_what_cannot_be_seen_stays_told(root: Path, unscanned: None) -> None:
    (root / "top").unlink()
    os.mkfifo(root / "top")
    with tracked(root):
        assert [each.path for each in status(root).unread] == [b"top"]
        (root / "c/file").write_text("new")
        found = status(root)
        assert ([each.path for each in found.unread], changes(found)) == ([b"top"], [(b"c/file", "modified")])


def test_conflict_copies_are_known_to_the_tracker(root: Path, unscanned: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for the status of a large folder does not look through it."""

    def fail(*_: object) -> None:
        raise AssertionError("all listings were looked through, where the tracker should have been asked")

    def conflicts() -> list[bytes]:
        with monkeypatch.context() as patch:
            patch.setattr(Index, "directories_with", fail)
            return [each.path for each in status(root).conflicts]

    with tracked(root):
        assert conflicts() == []
        copy = copy_name(b"file", 1_600_000_000_000_000_000, BlobId(b"x" * 32), [])
        (root / "a/b" / os.fsdecode(copy)).write_text("theirs")
        assert [each.path for each in status(root).conflicts] == [b"a/b/file"], "it has perhaps not been looked at yet"
        with Repository.open(str(root)) as repo:
            eventually(lambda: (state := ask_tracker(repo)) is not None and not state.doubtful)
        assert conflicts() == [b"a/b/file"]


def test_what_looks_at_folders_is_not_even_loaded(root: Path) -> None:
    """It is answered in the time of a start-up, of which loading is the most."""
    heavy = {"msgspec", "socket", "replican.effects.scan", "replican.effects.observe", "replican.effects.recovery"}
    script = f"""
import sys
from replican.operations.looking import look
from replican.repository import Repository
with Repository.open({str(root)!r}) as repo:
    assert look(repo).clean
print({heavy} & set(sys.modules))
"""
    with tracked(root):
        done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True, text=True)
    assert done.stdout == "set()\n"


def test_a_killed_tracker_is_not_asked(root: Path) -> None:
    with tracked(root) as pid:
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
        (root / "top").write_text("new")
        with Repository.open(str(root)) as repo:
            assert ask_tracker(repo) is None
        assert changes(status(root)) == [(b"top", "modified")]


def test_a_stopped_tracker_is_not_waited_for_long(root: Path) -> None:
    with tracked(root) as pid:
        os.kill(pid, signal.SIGSTOP)
        try:
            (root / "top").write_text("new")
            assert changes(status(root)) == [(b"top", "modified")]
        finally:
            os.kill(pid, signal.SIGCONT)


def test_an_index_that_is_not_the_trackers_is_not_believed(root: Path) -> None:
    with tracked(root, looks=False):
        (root / "top").write_text("new")
        with Repository.open(str(root)) as repo:
            record(repo)
        (root / "c/file").write_text("new")
        assert changes(status(root)) == [(b"c/file", "modified")]


@pytest.mark.parametrize("seed", range(4))
def test_random_edits(root: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    with tracked(root):
        for turn in range(12):
            for _ in range(rng.randrange(6)):
                place = root / rng.choice(["", "a", "a/b", "c", "n"]) / rng.choice(["file", "x", "top"])
                if rng.random() < 0.3 and place.is_file():
                    place.unlink()
                elif rng.random() < 0.2 and place.parent.is_dir() and place.parent != root:
                    shutil.rmtree(place.parent)
                elif not place.is_dir():
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_text(f"{turn}")
            asked = status(root)
            assert asked.changes == by_scan(root, monkeypatch).changes
            if rng.random() < 0.3:
                with Repository.open(str(root)) as repo:
                    record(repo, allowed=frozenset(["--allow-mass-delete"]))
