"""How often the disk is waited for until an edit is on the other side: two folders, both watched."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import faults
import pytest
from false_ssh import false_ssh
from folders import write
from replicas import Replicas
from watching import Watch, eventually, holds

pytestmark = pytest.mark.skipif(faults.why_not() is not None, reason=str(faults.why_not()))

MOST = 4
QUIET = 3.5
"""Seconds after which a watch has put down what it had recorded."""
_FLUSH = re.compile(r"^\d+ +(\d+\.\d+) (?:fsync|fdatasync|syncfs)\(")
_PLACED = re.compile(r"^\d+ +(\d+\.\d+) renameat2\(.*\"edited\".*RENAME_(?:EXCHANGE|NOREPLACE)\) = 0")


def times(log: Path, pattern: re.Pattern[str]) -> Iterator[float]:
    for line in log.read_text(errors="replace").splitlines():
        match = pattern.match(line)
        if match is not None:
            yield float(match[1])


def waited_for(replicas: Replicas, edited: str, other: str, environment: dict[str, str] | None = None) -> list[int]:
    """How often, for each of a few edits in one of two watched folders; whatever answers for the other one counts."""
    calls = "fsync,fdatasync,syncfs,renameat2"
    logs = [replicas.base / f"trace-{name}" for name in "ab"]
    with ExitStack() as held:
        for name, log in zip("ab", logs, strict=True):
            strace = ["strace", "-D", "-f", "-ttt", "-qq", "-o", str(log), "-e", f"trace={calls}"]
            watch = Watch(replicas.base / name, under=strace, environment=environment)
            held.callback(watch.stop)
            watch.wait("live")
        watch.wait("synced")
        counts = []
        for number in range(4):
            time.sleep(QUIET)  # what belongs to the edit before is not counted with this one
            began = time.time()
            write(replicas.base / edited / "d/edited", f"edit {number}")
            eventually(partial(holds, replicas.base / other / "d/edited", f"edit {number}"))
            placed = min(at for log in logs for at in times(log, _PLACED) if at > began)
            counts.append(sum(began < at < placed for log in logs for at in times(log, _FLUSH)))
    assert all(counts), "nothing was flushed, or nothing counted"
    assert os.path.getsize(replicas.base / other / ".replican/tail")
    return counts


FILES = {"d/edited": "first", "d/e/f": "beside", "top": "above"}


def test_an_edit_waits_for_four_flushes(replicas: Replicas) -> None:
    replicas.clone(FILES)
    counts = waited_for(replicas, "a", "b")
    assert min(counts[1:]) <= MOST, counts


@pytest.mark.parametrize(("edited", "other"), [("a", "b"), ("b", "a")], ids=["brought", "pushed"])
def test_so_it_does_over_a_link(replicas: Replicas, edited: str, other: str) -> None:
    """Who answers at the far end of it counts as well."""
    replicas.clone(FILES)
    replicas("b", "remote", "set-url", "origin", f"host:{replicas.base}/a")
    (replicas.base / "home").mkdir()
    counts = waited_for(replicas, edited, other, {"REPLICAN_SSH": str(false_ssh(replicas.base))})
    assert min(counts[1:]) <= MOST, counts
