"""Work on many files is given to other processes: what happens when one of these is killed in the middle (no memory).

The command ends with 4 and says so; no file of the user's has changed, or it is old or new, and whole; the same command
then succeeds, and all is as if nothing had happened.
"""

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from folders import Seen, assert_equal, contents, differences, remove, snapshot, write

from replican.effects.forking import worker_count

SCRIPT = Path(__file__).resolve().parents[1] / "support/crashing.py"
MANY = 1200
"""More files than one process reads, or writes, alone, and more than one of them gets."""


class Case(NamedTuple):
    """A command whose workers of a generation (a worker may have its own) are killed when they have opened so many
    files."""

    words: list[str]
    generation: int
    kills: list[int]
    prepare: Callable[..., None]


def many(folder: Path, text: str) -> None:
    for number in range(MANY):
        write(folder / f"many/{number % 7}/{number}", f"{text} {number}")


def edited_here(cli, base: Path) -> None:
    many(base / "a", "old")
    cli("clone", "a", "b")
    many(base / "b", "edited")


def edited_there(cli, base: Path) -> None:
    edited_here(cli, base)
    many(base / "a", "edited by a")
    shutil.rmtree(base / "b/many/0")


def new_there(cli, base: Path) -> None:
    write(base / "a/first", "1")
    cli("clone", "a", "b")
    many(base / "a", "new")
    write(base / "b/first", "edited")
    cli("-C", "a", "commit")


def one_replica(cli, base: Path) -> None:
    many(base / "a", "old")
    cli("init", "a")
    cli("-C", "a", "commit")


def deep(cli, base: Path) -> None:
    for name in ("folder/1", "x/y/z", "x/y/deep/er", "top"):
        write(base / "a" / name, f"this is {name}")


def no_replica(cli, base: Path) -> None:
    many(base / "a", "old")


CASES = {
    "reading, commit": Case(["-C", "b", "commit"], 1, [0, 250], edited_here),
    "reading over there, sync": Case(["-C", "b", "sync"], 2, [0, 250], edited_there),
    "recording over there, sync": Case(["-C", "b", "sync"], 1, [0, 20], edited_there),
    "building, pull": Case(["-C", "b", "pull"], 1, [100, 1000], new_there),
    "building, clone": Case(["clone", "a", "b"], 1, [0, 1000], one_replica),
    "recording, clone": Case(["clone", "a", "b"], 1, [0, *range(8, 40, 4)], deep),
    "mirroring, clone": Case(["clone", "a", "b"], 2, [0, 500], no_replica),
}


@pytest.mark.within  # but for the command whose workers are killed
@pytest.mark.skipif(worker_count() < 2, reason="with one core, directories are built without workers")
@pytest.mark.parametrize("name", CASES)
def test_a_killed_worker(cli, tmp_path: Path, environment: Mapping[str, str], name: str) -> None:
    case = CASES[name]
    case.prepare(cli, tmp_path)
    kept = tmp_path / "kept"
    kept.mkdir()
    folders = [tmp_path / each for each in ("a", "b")]
    for folder in filter(Path.exists, folders):
        folder.rename(kept / folder.name)

    def put_back() -> None:
        for folder in folders:
            remove(folder)
            if (kept / folder.name).exists():
                subprocess.run(["cp", "-a", kept / folder.name, folder], check=True)

    put_back()
    old = held(tmp_path)
    cli(*case.words)
    new = held(tmp_path)
    wanted = at_rest(cli, tmp_path)
    for number in case.kills:
        put_back()
        done = subprocess.run(
            [sys.executable, SCRIPT, f"{number}@{case.generation}", *case.words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        where = f"killed at {number}"
        assert done.returncode == 4, (where, done)
        assert "replican: a worker process died\nhint: is there enough memory?" in done.stderr, (where, done.stderr)
        assert "Traceback" not in done.stderr
        for path, content in (found := held(tmp_path)).items():
            assert content in (old.get(path), new.get(path)), (where, path, content)
        assert old.keys() & new.keys() <= found.keys(), (where, "lost")
        again = cli(*case.words, code=None)
        assert again.code == 0 or "is a replica already" in again.err, (where, again)
        left = at_rest(cli, tmp_path)
        assert left[0] == wanted[0], (where, differences(left[0], wanted[0]))
        assert left[1] == wanted[1], (where, left[1], wanted[1])


def held(base: Path) -> dict[str, bytes]:
    """Every user file of both folders."""
    return {
        f"{name}/{path}": content
        for name in ("a", "b")
        if (base / name).exists()
        for path, content in contents(base / name).items()
    }


def at_rest(cli, base: Path) -> tuple[dict[bytes, Seen], Counter[str]]:
    """Both folders in step, and sound: what they hold, and the kinds of checkpoints that it took."""
    cli("-C", "b", "sync")
    assert_equal(base / "a", base / "b")
    for folder in ("a", "b"):
        cli("-C", folder, "fsck", "--content")
    return snapshot(base / "a"), Counter(entry["kind"] for entry in cli("-C", "b", "log", "--json").json())
