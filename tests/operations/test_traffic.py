"""What went over the wire is counted: at both ends, and what was here already, too."""

import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from counted import Counted
from false_ssh import cut_after, false_ssh
from folders import assert_equal, write
from in_process import InProcess

from replican.effects.channel import Terms
from replican.effects.config import RemoteSettings
from replican.operations import remotes
from replican.operations.recording import record
from replican.operations.remotes import terms_of
from replican.operations.syncing import pull, push, sync
from replican.repository import Repository
from replican.values.errors import RemoteError
from replican.values.progress import Silent, Traffic, together

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


def test_merge_and_restore_tell_it_too(folders: tuple[Path, Path]) -> None:
    there, here = folders
    run = InProcess(here)
    write(there / "other", OTHER_NOISE)
    run("fetch")
    told = run("merge", "--limit-rate", "50M")
    assert re.search(r"^replican: origin: 3\.0 MB received, .*, 1 file, ", told.err, re.MULTILINE), told.err
    assert run("merge", "--json").json()["wire"] is None  # there was nothing to ask for
    write(there / "more", SMALL[1:])
    run("fetch")
    assert run("merge", "--json").json()["wire"]["files"] == 1
    for words in ([], ["--from", "origin"]):
        os.unlink(here / "other")
        shutil.rmtree(here / ".replican/trash")
        told = run("restore", "other", "--limit-rate", "50M", *words, "--json")
        assert told.json()["wire"]["files"] == 1
        assert 3_000_000 < told.json()["wire"]["received"] < 3_010_000
        assert "replican: origin: 3.0 MB received" in told.err
    for words in (["merge"], ["restore", "other"], ["undo"], ["resolve", "x", "--keep", "copy"], ["apply-plan"]):
        assert "not a rate" in run(*words, "--limit-rate", "slow", code=2).err
    assert_equal(there, here)


@pytest.mark.parametrize("words", [["merge"], ["restore", "more", "--checkpoint", "origin/head"]])
def test_the_rate_holds_for_merge_and_restore(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    there, here = folders
    run = InProcess(here)
    write(there / "more", SMALL[1:])
    run("fetch")
    asked: list[Terms] = []
    start = remotes.start
    monkeypatch.setattr(remotes, "start", lambda *given: (asked.append(given[3]), start(*given))[1])
    run(*words, "--limit-rate", "20M")
    assert [terms.rate for terms in asked] == [20 << 20]


def plan_of_a_merge(run: InProcess, there: Path, here: Path) -> list[str]:
    write(there / "more", SMALL[1:])
    run("fetch")
    write(here.parent / "plan", run("merge", "--dry-run", "--json").out)
    return ["apply-plan", str(here.parent / "plan")]


def merge_to_undo(run: InProcess, there: Path, here: Path) -> list[str]:
    """What it replaced is nowhere but over there, under another name."""
    write(there / "small", b"another one")
    run("pull")
    write(there / "kept", SMALL)
    run("commit", cwd=there)
    shutil.rmtree(here / ".replican/trash")
    return ["undo"]


def conflict_for_a_tool(run: InProcess, there: Path, here: Path) -> list[str]:
    """What both versions come from is nowhere but over there, under another name."""
    write(there / "small", b"by there")
    write(there / "kept", SMALL)
    write(here / "small", b"by here")
    run("sync")
    os.unlink(here / "kept")
    shutil.rmtree(here / ".replican/trash")
    run("config", "merge.tool", 'cat "$BASE" "$COPY" > "$RESULT"')
    return ["resolve", "small", "--tool"]


@pytest.mark.parametrize("begin", [plan_of_a_merge, merge_to_undo, conflict_for_a_tool])
def test_others_that_bring_content(
    folders: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    begin: Callable[[InProcess, Path, Path], list[str]],
) -> None:
    """It is told, as by a merge, and the rate holds."""
    there, here = folders
    run = InProcess(here)
    words = begin(run, there, here)
    asked: list[Terms] = []
    start = remotes.start
    monkeypatch.setattr(remotes, "start", lambda *given: (asked.append(given[3]), start(*given))[1])
    told = run(*words, "--limit-rate", "20M", "--json")
    assert {terms.rate for terms in asked} == {20 << 20}
    assert len(SMALL) - 1 < told.json()["wire"]["received"] < len(SMALL) + 2000
    assert "replican: origin: 30." in told.err
    run("sync")
    assert_equal(there, here)


def test_a_conflict_that_needs_nothing(folders: tuple[Path, Path]) -> None:
    there, here = folders
    run = InProcess(here)
    write(there / "small", b"by there")
    write(here / "small", b"by here")
    run("sync")
    told = run("resolve", "small", "--keep", "current", "--json")
    assert told.json()["wire"] is None
    assert "received" not in told.err
    assert run("undo", "--dry-run", "--json").json()["wire"] is None


def test_links_together() -> None:
    assert together([]) is None
    assert together([Traffic(1, 2, 3, 4, 5.0), Traffic(10, 20, 30, 40, 0.5)]) == Traffic(11, 22, 33, 44, 5.0)


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


def test_progress_of_a_push_by_blocks(folders: tuple[Path, Path]) -> None:
    _, here = folders
    inserted = OTHER_NOISE[:1_000_000]
    write(here / "large", NOISE[:1_000_000] + inserted + NOISE[1_000_000:])
    counted = Counted()
    with Repository(str(here), progress=counted) as repo:
        record(repo)
        push(repo, "origin")
    files, size = counted.done["sending"]
    assert files == 1
    assert len(inserted) <= size < len(inserted) + 300_000
    assert counted.steps["sending"] > 4  # while it goes, and not in the end only


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
