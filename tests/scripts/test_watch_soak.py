"""Four folders in a ring, each watched, whose users edit all the time: they come to rest equal, and nothing grows.

For as many seconds as REPLICAN_SOAK says; some by default.
"""

import os
import random
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from folders import differences, snapshot, write
from users import ACTIONS, User
from watching import PATIENCE, Watch, watching

SECONDS = float(os.environ.get("REPLICAN_SOAK", "15"))
_LATE = 20
"""So many MB more than after the warm-up are growth, and so many descriptors."""


def family(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        try:
            found += [int(child) for child in Path(f"/proc/{each}/task/{each}/children").read_text().split()]
        except OSError:
            continue
    return found


def held(watch: Watch) -> tuple[int, int, int]:
    """Processes, descriptors, and MB of memory (proportional) of a watch with all that it began."""
    processes = descriptors = memory = 0
    for pid in family(watch.process.pid):
        try:
            descriptors += len(os.listdir(f"/proc/{pid}/fd"))
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        processes += 1
        memory += int(rollup.split("Pss:")[1].split()[0])
    return processes, descriptors, memory >> 10


def rest(roots: list[Path], watches: list[Watch]) -> None:
    """Wait until all are equal, and stay so."""
    end = time.monotonic() + 4 * PATIENCE
    while time.monotonic() < end:
        for watch in watches:
            watch.read()
        heads = {(root / ".replican/refs/head").read_bytes() for root in roots}
        try:
            seen = [snapshot(root) for root in roots]
        except OSError:
            continue  # it is being merged
        if len(heads) == 1 and all(not differences(seen[0], each) for each in seen[1:]):
            return
        time.sleep(0.2)
    raise AssertionError([differences(seen[0], each)[:5] for each in seen[1:]])


def test_a_ring_of_four_for_a_while(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
        before: list[tuple[int, int, int]] = []
        number = 0
        while time.monotonic() < began + SECONDS:
            number += 1
            with suppress(OSError):  # a merge may take away what somebody is about to edit
                rng.choice(users).act(rng, f"{number}.0")
            time.sleep(rng.choice([0, 0, 0.01, 0.05, 0.3]))
            for watch in watches:
                watch.read()
            if not before and time.monotonic() > began + SECONDS / 3:
                before = [held(watch) for watch in watches]
        rest(roots, watches)
        after = [held(watch) for watch in watches]
        told = [event for watch in watches for event in watch.events if event["kind"] in ("error", "gate")]
        assert not [each for each in told if each["kind"] == "error"], told
        for one, other in zip(before, after, strict=True):
            assert other[0] <= one[0] + 1, "processes"
            assert other[1] <= one[1] + _LATE, "descriptors"
            assert other[2] <= one[2] + _LATE, "memory"
    for root in roots:
        cli("-C", root, "fsck", "--content")
