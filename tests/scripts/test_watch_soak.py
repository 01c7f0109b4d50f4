"""Four folders in a ring, each watched, whose users edit all the time: they come to rest equal, and nothing grows.

For as many seconds as REPLICAN_SOAK says; some by default.
"""

import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from folders import differences, snapshot, write
from users import ACTIONS, User
from watching import PATIENCE, Watch, watching

SECONDS = float(os.environ.get("REPLICAN_SOAK", "15"))
_LATE = 20
"""So many MB more than after the warm-up are growth, and so many descriptors or threads."""
_SAMPLES = 60
"""So often it is looked at what they hold."""


class Held(NamedTuple):
    """What a watch holds with all that it began. ``memory`` is in MB, proportional."""

    processes: int = 0
    threads: int = 0
    descriptors: int = 0
    memory: int = 0


def family(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        try:
            found += [int(child) for child in Path(f"/proc/{each}/task/{each}/children").read_text().split()]
        except OSError:
            continue
    return found


def held(watch: Watch) -> Held:
    processes = threads = descriptors = memory = 0
    for pid in family(watch.process.pid):
        try:
            descriptors += len(os.listdir(f"/proc/{pid}/fd"))
            threads += len(os.listdir(f"/proc/{pid}/task"))
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        processes += 1
        memory += int(rollup.split("Pss:")[1].split()[0])
    return Held(processes, threads, descriptors, memory >> 10)


def rest(cli, roots: list[Path], watches: list[Watch]) -> None:
    """Wait until all are equal, and stay so."""
    end = time.monotonic() + 4 * PATIENCE
    while time.monotonic() < end:
        hear(cli, watches)
        heads = {(root / ".replican/refs/head").read_bytes() for root in roots}
        try:
            seen = [snapshot(root) for root in roots]
        except OSError:
            continue  # it is being merged
        if len(heads) == 1 and all(not differences(seen[0], each) for each in seen[1:]):
            return
        time.sleep(0.2)
    raise AssertionError([differences(seen[0], each)[:5] for each in seen[1:]])


def closed(watch: Watch) -> bool:
    """Whether a gate has closed since this was asked last."""
    new = [event for event in watch.events[watch.seen :] if event["kind"] == "gate"]
    watch.seen = len(watch.events)
    return any(not event["open"] for event in new)


def hear(cli, watches: list[Watch]) -> None:
    """Take in what they say, and decide where a gate closes."""
    for watch in watches:
        watch.read()
    if sum(map(closed, watches)):  # by so many deletions at random: they are meant
        for watch in watches:  # where a remote's gate is closed, it is for that folder's user to decide
            cli("-C", watch.root, "sync", "--allow-mass-delete", code=None)


def told(seconds: float, edits: int, all_held: list[Held]) -> str:
    shown = "; ".join("/".join(map(str, each)) for each in all_held)
    return f"after {seconds:.0f} s and {edits} edits: {shown}"


def test_a_ring_of_four_for_a_while(
    cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    monkeypatch.setitem(ACTIONS, "ignore", (0, User.ignore))  # what is ignored is not to be equal
    roots = [tmp_path / name for name in "abcd"]
    write(roots[0] / "first", "x")
    for before, after in pairwise(roots):
        cli("clone", before, after)
    cli("-C", roots[0], "remote", "add", "round", roots[3])
    rng = random.Random(11)
    users = [User(str(root), 0) for root in roots]
    with watching(*roots) as watches:
        began = time.monotonic()
        samples = [[held(watch) for watch in watches]]
        edits = 0
        while (passed := time.monotonic() - began) < SECONDS:
            edits += 1
            with suppress(OSError):  # a merge may take away what somebody is about to edit
                rng.choice(users).act(rng, f"{edits}.0")
            time.sleep(rng.choice([0, 0, 0.01, 0.05, 0.3]))
            hear(cli, watches)
            if passed > len(samples) * SECONDS / _SAMPLES:
                samples.append([held(watch) for watch in watches])
                with (tmp_path / "held").open("a") as file:  # for whoever waits for an hour
                    file.write(told(passed, edits, samples[-1]) + "\n")
        rest(cli, roots, watches)
        samples.append([held(watch) for watch in watches])
        record_property("summary", f"processes/threads/descriptors/MB {told(0, 0, samples[0])}")
        record_property("summary", told(time.monotonic() - began, edits, samples[-1]))
        errors = [event for watch in watches for event in watch.events if event["kind"] == "error"]
        assert not errors, errors[:5]
        # By then the stores of a watch and of its couriers have filled their caches: some 35 MB each, in half an hour.
        for one, other in zip(samples[len(samples) * 2 // 3], samples[-1], strict=True):
            assert other.processes <= one.processes + 1, samples
            assert other.threads <= one.threads + _LATE, samples
            assert other.descriptors <= one.descriptors + _LATE, samples
            assert other.memory <= one.memory + _LATE, samples
    for root in roots:
        cli("-C", root, "fsck", "--content")
