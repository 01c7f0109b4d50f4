"""Hooks as their owner meets them: which is run, when, with what, and that nothing is lost by one that misbehaves."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from false_ssh import false_ssh
from folders import assert_equal, write
from forging import Forger, directory, file

from replican.values.hooks import CONFLICT, GATE, NAMES, POST_CHECKPOINT, POST_MERGE, PRE_MERGE

TELLS = 'printf "%s\\n" "$REPLICAN_HOOK" "$@" >> "$REPLICAN_ROOT/../told-$(basename "$REPLICAN_ROOT")"; exit 0'


class Told(Protocol):
    def __call__(self, where: str) -> list[str]: ...


def put(root: Path, name: str, script: str = TELLS) -> None:
    path = root / ".replican/hooks" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def pair(cli, tmp_path: Path) -> tuple[Path, Path]:
    """``a`` and ``b``, its clone; every hook of ``b`` notes what it is told."""
    a, b = tmp_path / "a", tmp_path / "b"
    for number in range(30):
        write(a / f"d/{number}", str(number))
    cli("clone", "a", "b")
    for name in NAMES:
        put(b, name)
    return a, b


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """What the hooks of a folder have noted since this was last asked."""

    def ask(where: str) -> list[str]:
        path = tmp_path / f"told-{where}"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    return ask


def head(cli, root: Path) -> str:
    return cli("rev-parse", "HEAD", cwd=root).text.strip()


def test_init_makes_a_place_for_them_and_puts_nothing_there(cli, tmp_path: Path) -> None:
    cli("init", "new")
    place = tmp_path / "new/.replican/hooks"
    assert os.listdir(place) == []
    assert place.stat().st_mode & 0o777 == 0o700


def test_each_is_told_when_it_happens(cli, pair: tuple[Path, Path], told: Told) -> None:
    a, b = pair
    cli("commit", cwd=b)
    assert told("b") == [], "nothing was recorded"
    write(b / "d/0", "by b")
    write(b / "new", "n")
    cli("commit", cwd=b)
    ours = head(cli, b)
    assert told("b") == [POST_CHECKPOINT, ours, "2"]
    write(a / "d/0", "by a", 2_000_000_000_000_000_000)
    cli("commit", cwd=a)
    theirs = head(cli, a)
    cli("pull", cwd=b)
    joined = head(cli, b)
    assert told("b") == [PRE_MERGE, "origin", theirs, POST_MERGE, "origin", ours, joined, CONFLICT, "origin"]
    cli("pull", cwd=b)
    assert told("b") == [], "it is up to date"
    cli("resolve", "--keep", "current", "d/0", cwd=b)
    assert told("b") == [POST_CHECKPOINT, head(cli, b), "1"]
    cli("undo", "--dry-run", cwd=b)
    cli("merge", "--dry-run", cwd=b)
    assert told("b") == []


def test_a_conflict_is_told_with_its_copies(cli, pair: tuple[Path, Path], tmp_path: Path) -> None:
    a, b = pair
    put(b, CONFLICT, f"cat > {tmp_path}/given")
    for root, time_ns in ((a, 1), (b, 2)):
        write(root / "d/0", f"by {root.name}", time_ns * 10**18)
        write(root / "d/1 \n", f"by {root.name}", time_ns * 10**18)
    cli("sync", cwd=b)
    given = (tmp_path / "given").read_bytes().split(b"\0")
    listed = cli("conflicts", "--json", cwd=b).json()
    assert given.pop() == b""
    assert [name.decode() for name in given] == [part for each in listed for part in (each["path"], each["copy"])]
    assert len(listed) == 2


def test_a_pre_merge_that_fails_is_a_closed_gate(cli, pair: tuple[Path, Path], told: Told) -> None:
    a, b = pair
    put(b, PRE_MERGE, "echo the dinosaurs are loose >&2; exit 1")
    write(a / "d/0", "by a")
    write(b / "mine", "m")
    before = head(cli, b)
    for words in (["pull"], ["sync"], ["merge", "remote"], ["merge", "origin/head"]):
        done = cli(*words, cwd=b, code=3)
        assert "replican: the hook pre-merge ended with 1" in done.err
        assert "pre-merge: the dinosaurs are loose" in done.err
        assert "hint: nothing was merged; " in done.err
    assert (b / "d/0").read_text() == "0"
    assert cli("log", "--json", cwd=b).json()[1]["id"] == before, "what was edited here is recorded"
    lines = told("b")
    assert lines.count(GATE) == 4
    at = lines.index(GATE)
    assert lines[at : at + 4] == [GATE, PRE_MERGE, "the hook pre-merge ended with 1", "origin"]
    put(b, PRE_MERGE, "exit 0")
    cli("sync", cwd=b)
    assert_equal(a, b)


def test_a_gate_is_told_which_it_is(cli, pair: tuple[Path, Path], told: Told) -> None:
    a, b = pair
    for number in range(25):
        (b / f"d/{number}").unlink()
    done = cli("commit", cwd=b, code=3)
    message = done.err.splitlines()[0].removeprefix("replican: ")
    assert told("b") == [GATE, "mass-delete", message, "-"]
    for number in range(25):
        write(b / f"d/{number}", str(number))
        (a / f"d/{number}").unlink()
    cli("commit", cwd=b)
    told("b")
    cli("commit", "--allow-mass-delete", cwd=a)
    cli("pull", cwd=b, code=3)
    (name, gate, _, whom) = told("b")
    assert (name, gate, whom) == (GATE, "mass-delete", "origin")
    cli("pull", "--allow-mass-delete", cwd=b)
    assert [line for line in told("b") if line in NAMES] == [PRE_MERGE, POST_MERGE]


@pytest.mark.parametrize("name", ["origin", "far"])
def test_a_gate_over_there_is_told_here_too(
    cli, pair: tuple[Path, Path], told: Told, tmp_path: Path, environment: dict[str, str], name: str
) -> None:
    a, b = pair
    environment["REPLICAN_SSH"] = str(false_ssh(tmp_path))
    cli("remote", "add", "far", f"host:{a}", cwd=b)
    for number in range(25):
        (b / f"d/{number}").unlink()
    cli("commit", "--allow-mass-delete", cwd=b)
    for words in (["push", name], ["sync", name]):
        told("b")
        message = cli(*words, cwd=b, code=3).err.splitlines()
        (shown,) = [line.removeprefix("replican: ") for line in message if "would be deleted" in line]
        assert shown.startswith(f"remote {name}: ")
        assert told("b") == [GATE, "mass-delete", shown, name]


def test_those_of_the_receiving_folder_are_run_at_its_end_of_a_link(
    cli, pair: tuple[Path, Path], told: Told, tmp_path: Path, environment: dict[str, str]
) -> None:
    a, b = pair
    environment["REPLICAN_SSH"] = str(false_ssh(tmp_path))
    cli("remote", "add", "far", f"host:{b}", cwd=a)
    write(a / "new", "n")
    write(b / "theirs", "t")
    cli("sync", "far", cwd=a)
    over_there = told("b")
    assert [line for line in over_there if line in NAMES] == [POST_CHECKPOINT, PRE_MERGE, POST_MERGE]
    assert over_there[over_there.index(PRE_MERGE) + 1] == "-"
    put(b, PRE_MERGE, "echo '\033[31mnot from you'; exit 7")
    write(a / "new", "more")
    cli("commit", cwd=a)
    done = cli("push", "far", cwd=a, code=3)
    assert "the hook pre-merge ended with 7: \\033[31mnot from you" in done.err
    assert (b / "new").read_text() == "n"
    put(b, PRE_MERGE, "exit 0")
    put(b, POST_MERGE, "echo thank you")
    assert "far: post-merge: thank you" in cli("push", "far", cwd=a).err


def test_those_of_a_remote_folder_are_not_run_unless_they_are_trusted(cli, pair: tuple[Path, Path], told: Told) -> None:
    a, b = pair
    cli("remote", "add", "b", "../b", cwd=a)
    write(a / "new", "n")
    write(b / "theirs", "t")
    done = cli("sync", "b", cwd=a, code=3)
    assert told("b") == []
    assert "replican: b: its hook pre-merge is not run from here" in done.err
    assert "replican: b: its hook post-checkpoint is not run from here" in done.err
    assert not (b / "new").exists()
    (b / ".replican/hooks" / PRE_MERGE).unlink()
    assert "its hook post-merge is not run from here" in cli("sync", "b", cwd=a).err
    assert_equal(a, b)
    assert told("b") == []
    cli("config", "remote.b.hooks", "true", cwd=a)
    write(a / "new", "again")
    write(b / "theirs", "again")
    cli("sync", "b", cwd=a)
    assert [line for line in told("b") if line in NAMES] == [POST_CHECKPOINT, POST_MERGE]
    assert_equal(a, b)


def test_a_clone_runs_none(cli, pair: tuple[Path, Path], told: Told) -> None:
    write(pair[1] / "new", "n")
    cli("clone", "b", "c")
    assert told("b") == []


def test_no_tree_brings_one(cli, pair: tuple[Path, Path], tmp_path: Path, told: Told) -> None:
    evil = Forger(tmp_path / "evil")
    script = f"#!/bin/sh\ntouch {tmp_path}/ran\n".encode()
    hooks = evil.tree(file(b"post-merge", script, perm=b"0755"))
    evil.offer(evil.tree(directory(b".replican", evil.tree(directory(b"hooks", hooks)))))
    write(evil.root / ".replican/hooks/post-merge", script)
    before = sorted(os.listdir(pair[1] / ".replican/hooks"))
    cli("remote", "add", "evil", "../evil", cwd=pair[1])
    cli("pull", "evil", cwd=pair[1], code=5)
    assert sorted(os.listdir(pair[1] / ".replican/hooks")) == before
    assert not (tmp_path / "ran").exists()


def fails(cli, b: Path) -> None:
    put(b, POST_CHECKPOINT, "exit 9")
    put(b, POST_MERGE, "kill -9 $$")


def hangs(cli, b: Path) -> None:
    cli("config", "hooks.timeout", "1", cwd=b)
    put(b, POST_MERGE, "sleep 1000")


def edits(cli, b: Path) -> None:
    put(b, PRE_MERGE, "echo by hook > d/0; rm -f d/1; echo new > made; exit 0")
    put(b, POST_MERGE, "echo after > after")


def removes_itself(cli, b: Path) -> None:
    put(b, PRE_MERGE, 'rm -r "$REPLICAN_ROOT/.replican/hooks"; exit 0')


@pytest.mark.parametrize("misbehaves", [fails, hangs, edits, removes_itself])
def test_nothing_is_lost_by_one_that_misbehaves(cli, pair: tuple[Path, Path], misbehaves: Callable[..., None]) -> None:
    a, b = pair
    misbehaves(cli, b)
    write(a / "d/0", "by a")
    (a / "d/1").unlink()
    write(b / "mine", "m")
    done = cli("pull", cwd=b, code=None)
    assert done.code in (0, 4), done.err
    if misbehaves is fails:
        assert "replican: the hook post-checkpoint ended with 9" in done.err
        assert "replican: the hook post-merge was ended by signal 9" in done.err
    if misbehaves is hangs:
        assert "replican: the hook post-merge took more than 1 s, and was ended (hooks.timeout)" in done.err
    cli("sync", cwd=b, code=None)
    cli("sync", cwd=b)
    assert_equal(a, b)
    found = {path.read_text() for path in b.rglob("*") if path.is_file() and ".replican" not in path.parts}
    assert {"by a", "m"} <= found
    if misbehaves is edits:
        assert {"by hook\n", "new\n", "after\n"} <= found


def test_one_that_hears_of_something_may_use_the_folder_and_is_not_called_by_that(
    cli, program, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    _, b = pair
    put(b, POST_CHECKPOINT, f"echo x >> by-hook; echo $1 >> ../heads; {program[0]} commit")
    write(b / "mine", "m")
    done = cli("commit", cwd=b)
    assert "locked" not in done.err
    log = cli("log", "--json", cwd=b).json()
    assert (tmp_path / "heads").read_text().split() == [log[1]["id"]], "its own commit does not call it again"
    assert (b / "by-hook").read_text() == "x\n"
    assert cli("status", "--json", cwd=b).json()["clean"]
