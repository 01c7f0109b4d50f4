"""Runs ``replican`` under strace, which kills it, or fails it, at its Nth system call of a kind that changes something.

Counted are the calls of each kind and of each process by itself, workers too. Never with ``--seccomp-bpf``, which
drops injected signals without a word; that the fault came about is read from the trace.
"""

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

OPENS = ("openat",)
"""Calls that create a file, or only open one."""
CHANGES = (
    *OPENS,
    "write", "pwrite64", "writev", "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat",
    "rmdir", "symlink", "symlinkat", "link", "linkat", "truncate", "ftruncate", "chmod", "fchmod", "fchmodat",
    "utimensat", "fsync", "fdatasync", "syncfs",
)  # fmt: skip
SPACE = (
    *OPENS, "write", "pwrite64", "fsync", "fdatasync", "syncfs", "mkdir", "mkdirat", "symlink", "symlinkat", "link",
    "linkat", "rename", "renameat2", "ftruncate", "fchmod", "utimensat",
)  # fmt: skip
"""Those that may fail for want of room, or by a bad disk."""


class Faulty(NamedTuple):
    """How a run ended: its exit code (-9: killed), what it said, and how many faults came about."""

    code: int
    out: bytes
    err: str
    faults: int


@cache
def why_not() -> str | None:
    """Why nothing can be traced here; None where it can."""
    strace = shutil.which("strace")
    if strace is None:
        return "strace is not installed"
    done = subprocess.run([strace, "-qq", "-o", "/dev/null", "true"], capture_output=True, check=False)
    return None if done.returncode == 0 else f"strace may not trace here: {done.stderr.decode()[:100]}"


def run_with(
    fault: str, calls: Sequence[str], when: int, program: Sequence[str], env: Mapping[str, str], log: Path
) -> Faulty:
    """``fault`` is ``signal=SIGKILL`` or ``error=ENOSPC`` and the like, at the call of number ``when``."""
    listed = ",".join(name for name in calls if name in known_calls())
    command = ["strace", "-f", "-qq", "-o", os.fspath(log), "-e", f"trace={listed}"]
    command += ["-e", f"inject={listed}:{fault}:when={when}", *program]
    done = subprocess.run(command, env=env, capture_output=True, timeout=600, check=False)
    text = log.read_text(errors="replace")
    faults = killed_in_call(text) if "signal" in fault else text.count("(INJECTED)")
    return Faulty(done.returncode, done.stdout, done.stderr.decode("utf-8", "surrogateescape"), faults)


def killed_in_call(text: str) -> int:
    """How many processes of a trace were killed in the middle of a call. A worker that has given its answer, and whose
    parent is faster than it in making an end, is not."""
    last: dict[str, str] = {}
    found = 0
    for line in text.splitlines():
        pid, _, said = line.partition(" ")
        found += "killed by SIGKILL" in said and last.get(pid, "").endswith(("= ?", "<unfinished ...>"))
        if not said.lstrip().startswith("---"):  # a signal that came to it
            last[pid] = said
    return found


def creating(program: Sequence[str], env: Mapping[str, str], log: Path) -> list[int]:
    """Which of its calls to open, counted in each process, may create a file, and only that in whichever process; of a
    run in which nothing fails."""
    command = ["strace", "-f", "-qq", "-o", os.fspath(log), "-e", f"trace={OPENS[0]}", *program]
    subprocess.run(command, env=env, capture_output=True, timeout=120, check=True)
    counts: Counter[str] = Counter()
    found: dict[bool, set[int]] = {True: set(), False: set()}
    for line in log.read_text(errors="replace").splitlines():
        pid, _, said = line.partition(" ")
        if said.strip().startswith(OPENS[0]):
            counts[pid] += 1
            found["O_CREAT" in said].add(counts[pid])
    return sorted(found[True] - found[False])


@cache
def known_calls(asked: tuple[str, ...] = (*CHANGES, *SPACE)) -> frozenset[str]:
    """Those of the calls ``asked`` for that this machine has: some have no rename, say, but renameat only."""
    found = set()
    for name in dict.fromkeys(asked):
        done = subprocess.run(
            ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={name}", "true"], capture_output=True, check=False
        )
        if done.returncode == 0:
            found.add(name)
    return frozenset(found)
