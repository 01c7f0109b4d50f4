"""A sync that is cut off at each single change that it makes to a file, and then run again.

All is as if nothing had happened: both folders equal, nothing lost, nothing back, no checkpoint that nobody made.
"""

import itertools
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from folders import assert_equal, remove, snapshot, write
from replicas import OLD

pytestmark = pytest.mark.within

SCRIPT = Path(__file__).resolve().parents[1] / "support/crashing.py"
TORTURE = int(os.environ.get("REPLICAN_TORTURE", "0"))
STEP = 1 if TORTURE else 23
NEVER = 1 << 30


@pytest.fixture
def diverged(cli, tmp_path: Path) -> Path:
    """Two folders in step (``a``, ``b``), in which much was done since; kept in the folder that is returned."""
    a, b = tmp_path / "a", tmp_path / "b"
    for number in range(6):
        write(a / f"folder/{number}.txt", f"file {number}")
    write(a / "fixed/file", "x").chmod(0o400)
    for name in ("gone/x", "edit", "both", "swap", "move/1", "move/2", "kept/z"):
        write(a / name, f"old {name}")
    for name in ("linked/1", "linked/2", "linked/3"):
        write(a / name, "one file", OLD)
    cli("clone", "a", "b")
    # One file with three names, in one of the folders: three files to replican.
    for name in ("linked/2", "linked/3"):
        (b / name).unlink()
        (b / name).hardlink_to(b / "linked/1")
    write(a / "linked/1", "edited")
    (a / "linked/2").chmod(0o600)
    write(a / "folder/new", "new")
    (a / "folder/1.txt").unlink()
    (a / "folder/2.txt").rename(a / "two.txt")
    write(a / "edit", "edited").chmod(0o600)
    write(a / "both", "by a")
    (a / "move").rename(a / "moved")
    (a / "swap").unlink()
    write(a / "swap/in/side", "in a directory")
    shutil.rmtree(a / "gone")
    write(a / "gone", "a file now")
    write(a / "fresh/deep/f", "fresh f")
    write(a / "fresh/g", "fresh g")
    (a / "kept").chmod(0o700)
    write(a / "closed/shut/file", "y")
    (a / "closed/shut").chmod(0o500)
    (a / "fixed").chmod(0o500)
    write(b / "both", "by b")
    write(b / "folder/5.txt", "edited by b")
    write(b / "also/new", "new, too")
    kept = tmp_path / "kept"
    kept.mkdir()
    for folder in (a, b):
        folder.rename(kept / folder.name)
    return kept


def cut_off(words: list[str | Path], environment: Mapping[str, str], put_back: Callable[[], None]) -> Iterator[int]:
    """Run a command again and again, from what ``put_back`` makes: once to its end, which tells how many changes it
    makes, then killed just before each of these. The number of the change, each time that it is over."""
    changes = NEVER
    for number in itertools.chain([NEVER], itertools.count(0, STEP)):
        if NEVER > number >= changes:
            return
        put_back()
        done = subprocess.run(
            [sys.executable, SCRIPT, str(number), *words],
            env=environment,
            capture_output=True,
            start_new_session=True,
            check=False,
        )
        if number == NEVER:
            assert done.returncode == 0, done
            changes = int(done.stderr.split()[-1])
            assert changes > STEP, "next to nothing was changed"
        else:
            assert done.returncode == -9, f"not cut off at {number} of {changes}: {done}"
        yield number


def test_every_moment_of_a_sync(cli, tmp_path: Path, diverged: Path, environment: dict[str, str]) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    expected: Counter[bytes] | None = None
    linked = snapshot(diverged / "b")[b"linked/3"]

    def put_back() -> None:
        for folder in (a, b):
            remove(folder)
            subprocess.run(["cp", "-a", diverged / folder.name, folder], check=True)

    # The first run is not cut off, and says what has to come out.
    for number in cut_off(["-C", b, "sync"], environment, put_back):
        seen = snapshot(b)
        assert seen[b"linked/3"] == linked, f"another name of a file changed: cut off at {number}"
        assert seen[b"linked/2"] in (linked, (linked[0], 0o600, *linked[2:])), f"cut off at {number}"
        cli("-C", b, "sync", code=None)
        cli("-C", b, "sync")
        assert_equal(a, b)
        found = Counter(seen[3] for seen in snapshot(a).values() if seen[0] == "file")
        expected = expected or found
        assert found == expected, f"cut off at {number}: lost {expected - found}, back {found - expected}"
        log = cli("-C", b, "log", "--json").json()
        assert Counter(entry["kind"] for entry in log) == {"user": 3, "merge": 1}, f"cut off at {number}"


@pytest.mark.parametrize("words", [[], ["--join"]], ids=["empty", "join"])
def test_every_moment_of_a_clone(cli, tmp_path: Path, environment: dict[str, str], words: list[str]) -> None:
    a, b, source = tmp_path / "a", tmp_path / "b", tmp_path / "source"
    for name in ("folder/1", "folder/2", "x/y/z", "top"):
        write(source / name, f"this is {name}")
    (source / "link").symlink_to("top")
    (source / "x/y").chmod(0o500)
    (source / "top").chmod(0o400)

    def put_back() -> None:
        for folder in (a, b):
            remove(folder)
        subprocess.run(["cp", "-a", source, a], check=True)
        if words:
            write(b / "folder/1", "by b")
            write(b / "own", "b's own")

    for number in cut_off(["clone", *words, a, b], environment, put_back):
        again = cli("clone", *words, a, b, code=None)
        assert again.code == 0 or "is a replica already" in again.err, f"cut off at {number}: {again.err}"
        cli("-C", b, "sync")
        assert_equal(a, b)
        assert len(snapshot(a)) == (10 if words else 8), f"cut off at {number}"
        assert len(cli("-C", b, "log", "--json").json()) == (3 if words else 1), f"cut off at {number}"
