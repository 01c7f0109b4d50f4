"""Users who do not wait for a merge to end: none of their versions is lost, and the merge ends."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from folders import contents, in_step, write

SUPPORT = Path(__file__).resolve().parents[1] / "support"
NAMES = ["a", "b", "c.txt", "d/x", "d/y"]
TORTURE = int(os.environ.get("REPLICAN_TORTURE", "0"))
ROUNDS = 12 if TORTURE else 4
LONG = 60
"""Seconds within which a merge has to end, whatever is done to the folder."""


@contextmanager
def busy(*words: str) -> Iterator[Any]:
    """A process that writes until this ends; its output is in ``told`` then."""
    process = subprocess.Popen(
        [sys.executable, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ}
    )
    assert process.stdin
    assert process.stdout
    process.told = [process.stdout.readline()]  # type: ignore[attr-defined]
    try:
        yield process
    finally:
        out, _ = process.communicate("", timeout=30)
        process.told += out.splitlines(keepends=True)  # type: ignore[attr-defined]
    assert process.returncode == 0


def whole_contents(folder: Path) -> set[bytes]:
    """What lies in a folder, in its trash and on its stage."""
    found = set(contents(folder).values())
    for place in ("trash", "stage"):
        found.update(path.read_bytes() for path in (folder / ".replican" / place).rglob("*") if path.is_file())
    return found


@pytest.mark.parametrize("seed", range(6 if TORTURE else 2))
def test_no_version_of_a_busy_user_is_lost(seed: int, tmp_path: Path, cli: Any) -> None:
    """Who is busy in the folder that the other one syncs with, or in the very one that a merge changes."""
    rng = random.Random(seed)
    a, b, aside = tmp_path / "a", tmp_path / "b", tmp_path / "aside"
    busy_one, calm_one = (a, b) if seed % 2 == 0 else (b, a)
    aside.mkdir()
    written, dropped = set(), set()
    for name in NAMES:
        write(a / name, f"first-{name}")
        written.add(f"first-{name}".encode())
    for number in range(30):
        write(a / "ballast" / str(number), str(number))
    cli("init", a)
    cli("clone", a, b)
    said = ""
    log = tmp_path / "said"
    with log.open("w") as file:
        writer = subprocess.Popen(
            [sys.executable, SUPPORT / "busy_writer.py", busy_one, aside, str(seed)], stdin=subprocess.PIPE, stdout=file
        )
    try:
        begun = time.monotonic()
        while not log.read_text() and time.monotonic() - begun < 10:
            time.sleep(0.01)
        for round_ in range(ROUNDS):
            for name in rng.sample(NAMES, 3):  # edits that the busy user knows nothing of
                there = calm_one / name
                if there.is_file():
                    dropped.add(there.read_bytes())
                text = f"calm-{round_}-{name}"
                written.add(text.encode())
                write(there, text)
            begun = time.monotonic()
            done = cli("-C", b, "sync", code=None)
            assert done.code in (0, 4, 5), done.err
            assert time.monotonic() - begun < LONG
            assert writer.poll() is None
    finally:
        writer.communicate(timeout=30)
    assert writer.returncode == 0
    said = log.read_text()
    for line in said.splitlines():
        word, _, text = line.partition(" ")
        if word in ("wrote", "dropped"):
            (written if word == "wrote" else dropped).add(text.encode())
    assert said.count("wrote") > 50
    cli("-C", b, "sync", code=None)
    in_step(cli, a, b)
    left = whole_contents(a) | whole_contents(b)
    assert sorted(written - dropped - left) == []
    for folder in (a, b):
        cli("-C", folder, "fsck", "--content")


APPENDING = """
import select, sys
with open(sys.argv[1], "ab", buffering=0) as file:
    number = 0
    while not select.select([sys.stdin], [], [], 0.0002)[0]:
        file.write(b"%09d\\n" % number)
        number += 1
        if number == 1:
            print("ready", flush=True)
"""


@pytest.mark.parametrize("changed_there", [False, True], ids=["here only", "there, too"])
def test_a_file_that_never_stops_changing_holds_up_no_other(changed_there: bool, tmp_path: Path, cli: Any) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    for number in range(40):
        write(a / f"{number % 4}" / str(number), str(number))
    write(a / "hot", b"begun\n")
    cli("init", a)
    cli("clone", a, b)
    for number in range(0, 40, 2):
        write(b / f"{number % 4}" / str(number), f"{number} there")
        write(a / f"{(number + 1) % 4}" / str(number + 1), f"{number + 1} here")
    if changed_there:
        write(b / "hot", b"there\n")
    with busy("-c", APPENDING, str(a / "hot")):
        begun = time.monotonic()
        done = cli("-C", b, "sync", code=None)
        assert time.monotonic() - begun < LONG
        assert done.code in (0, 4, 5), done.err
        for folder in (a, b):
            others = {path: text for path, text in contents(folder).items() if not path.startswith("hot")}
            wanted = {f"{n % 4}/{n}": f"{n} {'here' if n % 2 else 'there'}".encode() for n in range(40)}
            assert others == wanted
    cli("-C", b, "sync", code=None)
    in_step(cli, a, b)
    lines = {line for path in a.glob("hot*") for line in path.read_bytes().splitlines()}
    hot = sorted(int(line) for line in lines if line.isdigit())
    assert hot == list(range(len(hot)))
    assert len(hot) > 100
    assert b"begun" in lines
    assert (b"there" in lines) == changed_there
