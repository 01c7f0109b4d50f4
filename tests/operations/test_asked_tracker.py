"""Status, asked of the tracker that runs: the same as by a scan, at every moment, and without one."""

import json
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

from replican.decisions.pace import Bounds
from replican.effects.index import Index
from replican.operations import looking
from replican.operations.looking import look
from replican.operations.recorder import Recorder
from replican.operations.recording import record
from replican.operations.status import Status, ask_watch, encode_told, parse_told
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
        patch.setattr(looking, "ask_watch", lambda _: None)
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
            eventually(
                lambda: (
                    (told := ask_watch(repo.root)) is not None and told.state is not None and not told.state.doubtful
                )
            )
        assert conflicts() == [b"a/b/file"]


def test_what_looks_at_folders_is_not_even_loaded(root: Path) -> None:
    """It is answered in the time of a start-up, of which loading is the most."""
    heavy = {"msgspec", "socket", "replican.effects.scan", "replican.effects.observe", "replican.effects.recovery"}
    at_rest = {"sqlite3", "hashlib", "replican.repository", "replican.operations.looking", "replican.effects.index"}

    def loaded(names: set[str]) -> str:
        script = f"""
import sys
from replican.porcelain._main import run
run(["status"])
print({names} & set(sys.modules), file=sys.stderr)
"""
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=root)
        assert done.returncode == 0, done.stderr
        return done.stderr

    with tracked(root):
        assert loaded(heavy | at_rest) == "set()\n"
    with tracked(root, looks=False):
        (root / "top").unlink()
        os.mkfifo(root / "top")  # it cannot be read, and stands as it was
        with Repository.open(str(root)) as repo:
            record(repo)
    with tracked(root):
        assert loaded(heavy) == "set()\n"


def test_there_is_something_to_do_unless_all_is_the_same(root: Path, unscanned: None) -> None:
    """The watch says at once how a folder stands in which there is nothing to do, and only then."""

    def at_rest() -> bool:
        told = ask_watch(str(root))
        assert told is not None
        return told.rest is not None

    with tracked(root), Repository.open(str(root)) as repo:
        assert at_rest()
        config = root / ".replican/config.toml"
        config.write_text(config.read_text() + '\n[remotes.far]\nurl = "/nowhere"\n')
        assert [(each.name, each.state) for each in status(root).remotes] == [("far", "unknown")], "an edit by hand"
        assert at_rest()
        first = repo.head
        assert first is not None
        repo.refs.update("remotes/far/head", first, None, "test", "me 0")
        assert [each.state for each in status(root).remotes] == ["up to date"]
        assert at_rest()
        (root / "top").write_text("new")
        assert not at_rest()
        record(repo)
        eventually(lambda: status(root).clean)
        assert [(each.state, each.ahead) for each in status(root).remotes] == [("ahead", 1)]
        assert not at_rest()


def at_rest_of(answer: dict[str, object]) -> bytes:
    return json.dumps({"watch": None, "rest": answer}).encode() + b"\n"


REST: dict[str, object] = {"head": "ab" * 32, "title": "all", "remotes": [["far", "/nowhere", "unknown", 0, 0]]}
STATES = b"replican 1 - 0\nreplican 1 - 0\n"


def test_what_is_told_is_taken_apart() -> None:
    told = parse_told(at_rest_of(REST))
    assert told is not None
    assert told.rest is not None
    assert (told.rest.head, told.rest.title, told.rest.clean) == (b"\xab" * 32, "all", True)
    assert told.rest.remotes == [("far", "/nowhere", "unknown", 0, 0)]
    assert parse_told(encode_told(told)) == told
    for states in (STATES, b""):
        nothing = parse_told(b'{"watch": null, "rest": null}\n' + states)
        assert nothing is not None
        assert parse_told(encode_told(nothing)) == nothing


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{}\n",
        b"[]\n",
        b"\xff\n",
        b"[" * 100_000 + b"\n",
        b'{"watch": null, "rest": null}' + STATES,
        b'{"watch": null, "rest": null}\nreplican 1 - 0\n',
        b'{"watch": null, "rest": null}\n' + STATES + b"replican 1 - 0\n",
        b'{"watch": null, "rest": null}\n' + STATES[:-1],
        at_rest_of(REST)[:-1],
        at_rest_of(REST) + STATES,
        at_rest_of({**REST, "head": "ab"}),
        at_rest_of({**REST, "head": "no hex"}),
        at_rest_of({**REST, "head": 1}),
        at_rest_of({**REST, "head": None}),
        at_rest_of({**REST, "title": None}),
        at_rest_of({**REST, "title": 1}),
        at_rest_of({**REST, "remotes": [["far"]]}),
        at_rest_of({**REST, "remotes": [["far", "/nowhere", "unknown", 0, "0"]]}),
        at_rest_of({**REST, "remotes": None}),
    ],
)
def test_what_is_not_told(answer: bytes) -> None:
    assert parse_told(answer) is None


def test_a_change_that_is_heard_of_by_who_is_asked_is_recorded(root: Path) -> None:
    """Whoever waits for changes is woken by the system; who answers takes them in, too, and is not to keep them."""
    with (
        Repository.open(str(root), wait=0) as repo,
        Recorder(repo, Bounds(), clock=lambda: 100.0, chance=lambda: 0.5) as recorder,
    ):
        recorder.record(lambda: None, everything=True)
        (root / "top").write_text("new")
        recorder.tracker.told(100.0)
        recorder.hear()
        assert recorder.due == 100.0


def test_a_killed_tracker_is_not_asked(root: Path) -> None:
    with tracked(root) as pid:
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
        (root / "top").write_text("new")
        with Repository.open(str(root)) as repo:
            assert ask_watch(repo.root) is None
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
            assert asked == by_scan(root, monkeypatch)
            if rng.random() < 0.3:
                with Repository.open(str(root)) as repo:
                    record(repo, allowed=frozenset(["--allow-mass-delete"]))
