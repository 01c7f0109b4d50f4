"""Times of whole processes, side by side, and the memory of all their processes together."""

import os
import resource
import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

Command = Sequence[str]

GIT = ["git", "-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "gc.auto=0", "-c", "gc.autoDetach=0"]
"""Git tidies up by itself after a commit, in the background: it would do so beside what is measured next."""


def run(command: Command, cwd: str | None = None, env: dict[str, str] | None = None) -> float:
    """Run to the end; the wall time in s. Raises when it fails."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    took = time.perf_counter() - start
    if done.returncode != 0:
        raise RuntimeError(
            f"{' '.join(command)}: exit {done.returncode}: {done.stderr.decode(errors='replace')[-500:]}"
        )
    return took


def processor_time() -> float:
    """What all processes that have been run so far took of the processors, in s."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def settle(*folders: str) -> None:
    """Have the disk write what is waiting, so that no run pays for the one before it."""
    del folders
    os.sync()


def ratios(
    ours: Callable[[], float], others: dict[str, Callable[[], float]], rounds: int, before: Callable[[int], None]
) -> tuple[float, dict[str, float], dict[str, float]]:
    """Median time of ours, medians of the others, and the median of ours divided by theirs, round by round.

    ``before`` is called ahead of each round and is not timed; the order turns from round to round.
    """
    mine: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in others}
    for number in range(rounds):
        before(number)
        runs: list[tuple[str | None, Callable[[], float]]] = [(None, ours), *others.items()]
        if number % 2:
            runs.reverse()
        for name, go in runs:
            settle()
            took = go()
            (mine if name is None else theirs[name]).append(took)
    medians = {name: statistics.median(values) for name, values in theirs.items()}
    quotients = {
        name: statistics.median([a / b for a, b in zip(mine, values, strict=True)]) for name, values in theirs.items()
    }
    return statistics.median(mine), medians, quotients


def peak_memory(command: Command, cwd: str | None = None) -> int:
    """The largest sum of proportional set sizes (bytes) over a command's processes while it runs."""
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            peak = max(peak, sum(memory_of(pid) for pid in family(process.pid)))
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    process.wait()
    watcher.join()
    return peak


def family(pid: int) -> list[int]:
    """A process, and all that descend from it."""
    found = [pid]
    for at in found:
        try:
            with open(f"/proc/{at}/task/{at}/children") as file:
                found += [int(child) for child in file.read().split()]
        except OSError:
            continue
    return found


def memory_of(pid: int) -> int:
    """Its proportional set size, in bytes; 0 where it is gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def size_of(folder: str) -> int:
    """Bytes of all files below a folder, as the disk counts them."""
    total = 0
    for directory, _, names in os.walk(folder):
        total += sum(os.lstat(os.path.join(directory, name)).st_blocks * 512 for name in names)
    return total


def remove(*folders: str) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
