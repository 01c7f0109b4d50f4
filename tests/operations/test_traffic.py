"""What went over the wire is counted: at both ends, and what was here already, too."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from false_ssh import cut_after, false_ssh
from folders import assert_equal, write
from in_process import InProcess

from replican.effects.channel import Terms
from replican.effects.config import RemoteSettings
from replican.operations.recording import record
from replican.operations.remotes import terms_of
from replican.operations.syncing import pull, push, sync
from replican.repository import Repository
from replican.values.errors import RemoteError
from replican.values.progress import Silent, Traffic

NOISE = random.Random(5).randbytes(3_000_000)
OTHER_NOISE = random.Random(6).randbytes(3_000_000)
SMALL = NOISE[:30_000]


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    program = false_ssh(tmp_path)
    monkeypatch.setenv("REPLICAN_SSH", str(program))
    return program


@pytest.fixture
def folders(tmp_path: Path, ssh: Path) -> tuple[Path, Path]:
    there, here = tmp_path / "there", tmp_path / "here"
    Repository.init(str(there)).close()
    write(there / "large", NOISE)
    write(there / "small", SMALL)
    with Repository.init(str(here)) as repo:
        repo.config.set_remote("origin", RemoteSettings(f"host:{there}"))
        wire = pull(repo, "origin").wire
    assert wire is not None
    assert wire.files == 2
    assert wire.saved == 0
    assert wire.received > len(NOISE) + len(SMALL) > 100 * wire.sent
    return there, here


def test_what_was_here_did_not_have_to_come(folders: tuple[Path, Path]) -> None:
    there, here = folders
    write(there / "copies/large", NOISE)
    write(there / "copy", SMALL)
    write(there / "new", b"n" * 100)
    with Repository(str(here)) as repo:
        wire = pull(repo, "origin").wire
        assert wire is not None
        assert (wire.saved, wire.files) == (len(NOISE) + len(SMALL), 1)
        assert wire.received < 5000
        assert repo.notes[-1].startswith("origin: ")
        assert " received, " in repo.notes[-1]
        assert " 3.0 MB saved, 1 file, " in repo.notes[-1]
        os.unlink(here / "copies/large")
        assert sync(repo, "origin").equal
        write(there / "large again", NOISE)
        wire = sync(repo, "origin").wire
        assert wire is not None
        assert (wire.saved, wire.files) == (len(NOISE), 0)
    assert_equal(there, here)


def test_what_was_there_did_not_have_to_go(folders: tuple[Path, Path]) -> None:
    there, here = folders
    write(here / "copies/large", NOISE)
    write(here / "copy", SMALL)
    write(here / "new", b"n" * 100)
    with Repository(str(here)) as repo:
        record(repo)
        wire = push(repo, "origin").wire
        assert wire is not None
        assert (wire.saved, wire.files) == (len(NOISE) + len(SMALL), 1)
        assert wire.sent < 5000
        wire = push(repo, "origin").wire
        assert wire is not None
        assert (wire.saved, wire.files) == (0, 0)
    assert_equal(there, here)


def test_blocks_that_were_here_did_not_have_to_come(folders: tuple[Path, Path]) -> None:
    there, here = folders
    changed = NOISE[:1_000_000] + b"inserted" + NOISE[1_000_000:]
    write(there / "large", changed)
    with Repository(str(here)) as repo:
        wire = pull(repo, "origin").wire
        assert wire is not None
        assert wire.files == 1
        assert len(NOISE) - 500_000 < wire.saved < len(NOISE)
        assert abs(wire.received + wire.saved - len(changed)) < 20_000
        write(here / "large", b"in front of it" + changed)
        record(repo)
        wire = push(repo, "origin").wire
        assert wire is not None
        assert wire.files == 1
        assert len(NOISE) - 500_000 < wire.saved < len(NOISE)
        assert abs(wire.sent + wire.saved - len(changed)) < 20_000
    assert_equal(there, here)


def test_what_an_interrupted_run_had_brought(folders: tuple[Path, Path], ssh: Path) -> None:
    there, here = folders
    for number in range(50):
        write(there / f"many/{number}", NOISE[number : 20_000 + number])
    write(there / "larger", OTHER_NOISE)
    whole = ssh.read_text()
    ssh.write_text(whole.replace('exec sh -c "$1"', f'sh -c "$1" | {cut_after(2_000_000)}'))
    with Repository(str(here)) as repo, pytest.raises(RemoteError):
        pull(repo, "origin")
    ssh.write_text(whole)
    with Repository(str(here)) as repo:
        wire = pull(repo, "origin").wire
    assert wire is not None
    total = 50 * 20_000 + len(OTHER_NOISE)
    assert wire.saved > 1_500_000
    assert abs(wire.received + wire.saved - total) < 20_000
    assert_equal(there, here)


def test_as_json_and_in_words(folders: tuple[Path, Path], tmp_path: Path) -> None:
    there, here = folders
    run = InProcess(here)
    for words in (["fetch"], ["pull"], ["push"], ["sync"]):
        told = run(*words, "--json").json()
        wire = (told["remotes"][0] if words == ["sync"] else told)["wire"]
        assert list(wire) == ["received", "sent", "saved", "files", "seconds", "rate"]
        assert 0 < wire["received"] < 1000
        assert 0 < wire["sent"] < 1000
        assert (wire["saved"], wire["files"]) == (0, 0)
        assert wire["seconds"] > 0
        plain = run(*words)
        assert plain.err.startswith("replican: origin: ")
        assert plain.err.endswith(" bytes sent\n")
        assert run(*words, "--quiet").err == ""
    told = run("clone", "--json", f"host:{there}", "again", cwd=tmp_path).json()
    assert told["wire"]["files"] == 2
    assert run("clone", "--quiet", f"host:{there}", "quiet", cwd=tmp_path).err == ""
    assert run("clone", "--json", there, "plain", cwd=tmp_path).json()["wire"] is None


class Watched(Silent):
    """A sink that looks at the wire as often as one that draws, also when a task ends."""

    def __init__(self) -> None:
        self.tasks: list[str] = []
        self.wire: Callable[[], Traffic] | None = None
        self.most = 0

    def begin(
        self,
        task: str,
        files: int | None = None,
        size: int | None = None,
        *,
        wire: Callable[[], Traffic] | None = None,
    ) -> None:
        self.tasks.append(task)
        self.wire = wire

    def advance(self, files: int = 0, size: int = 0) -> None:
        if self.wire is not None:
            self.most = max(self.most, self.wire().received)

    def end(self) -> None:
        self.advance()


def test_progress_looks_at_the_link_that_there_is(folders: tuple[Path, Path], ssh: Path, tmp_path: Path) -> None:
    """Also when it was cut: no other one is begun for that."""
    there, here = folders
    write(there / "other", OTHER_NOISE)
    whole, begun = ssh.read_text(), tmp_path / "begun"
    ssh.write_text(whole.replace('exec sh -c "$1"', f'echo >> {begun}; sh -c "$1" | {cut_after(500_000)}'))
    watched = Watched()
    with Repository(str(here), progress=watched) as repo, pytest.raises(RemoteError):
        pull(repo, "origin")
    assert begun.read_text() == "\n"
    assert {"receiving the log", "receiving"} < set(watched.tasks)
    assert 400_000 < watched.most <= 500_000
    ssh.write_text(whole)
    with Repository(str(here), progress=watched) as repo:
        assert sync(repo, "origin").equal
        write(here / "mine", SMALL[1:])
        record(repo)
        push(repo, "origin")
    assert "sending" in watched.tasks
    assert_equal(there, here)


def test_what_is_asked_of_a_link(folders: tuple[Path, Path]) -> None:
    """The option counts more than the setting of the remote, and that more than what holds for all."""
    _, here = folders
    with Repository(str(here)) as repo:
        config = repo.config
        assert terms_of(config) == terms_of(config, "origin") == Terms(0, 180)
        config.set("core.timeout", "50")
        assert terms_of(config, "origin", 7000) == Terms(7000, 50)
        config.set("remote.origin.timeout", "9")
        config.set("remote.origin.limit_rate", "3K")
        assert terms_of(config) == Terms(0, 50)
        assert terms_of(config, "origin") == Terms(3072, 9)
        assert terms_of(config, "origin", 0) == Terms(0, 9)
