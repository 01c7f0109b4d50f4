"""Folders that are watched: how long an edit takes to the other side, bursts, the start, rest, and `status`.

Run by `make bench-watch`. Times are wall times; processor time and memory are those of all processes of one watch.
Latency is from the end of the write to the moment when the other folder has the whole content, looked for every half
millisecond.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

import corpus
import measure
import syncthing
from links import Links
from run import installed

EDITS = 50
BURST = 10_000
BURSTS = 3
REST_SECONDS = 60
PATIENCE = 300.0
SETTLED_SECONDS = 3.5
"""After so long a watch has put what it had recorded where it belongs."""
STRACE = ["strace", "-D", "-f", "-ttt", "-qq", "-e", "trace=fsync,fdatasync,syncfs,renameat2", "-o"]


@contextmanager
def watch(program: str, folder: str, ssh: str | None = None, under: Sequence[str] = ()) -> Iterator[tuple[int, float]]:
    """A watch of a folder, live: its process, and in how many s it was. ``under`` is a program that runs it."""
    env = os.environ if ssh is None else {**os.environ, "REPLICAN_SSH": ssh}
    began = time.perf_counter()
    words = [*under, program, "-C", folder, "watch", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=env) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if json.loads(line)["kind"] == "live":
                    break
            seconds = time.perf_counter() - began
            threading.Thread(target=process.stdout.read, daemon=True).start()  # else its pipe fills up
            yield process.pid, seconds
        finally:
            process.terminate()
            process.wait()


def until(path: str, content: bytes) -> None:
    """Wait until a file has this content."""
    end = time.monotonic() + PATIENCE
    while True:
        if time.monotonic() > end:
            raise SystemExit(f"{path} never came")
        try:
            with open(path, "rb") as file:
                if file.read() == content:
                    return
        except OSError:
            pass
        time.sleep(0.0005)


def latency(name: str, here: str, there: str) -> float:
    """The median in ms."""
    took = []
    for number in range(EDITS):
        content = f"edit {number} of {time.time_ns()}".encode()
        with open(f"{here}/edited{number % 5}", "wb") as file:
            file.write(content)
        start = time.perf_counter()
        until(f"{there}/edited{number % 5}", content)
        took.append(1000 * (time.perf_counter() - start))
        time.sleep(0.3)
    took.sort()
    median = statistics.median(took)
    print(f"{name:44} median {median:5.0f} ms, p95 {took[int(0.95 * EDITS)]:5.0f} ms", flush=True)
    return median


_FLUSH = re.compile(r"^\d+ +(\d+\.\d+) (?:fsync|fdatasync|syncfs)\(")
_PLACED = re.compile(r"^\d+ +(\d+\.\d+) renameat2\(.*\"flushed\".*\) = 0")


def flushes(program: str, here: str, there: str, root: str) -> None:
    """How often the disk is waited for until an edit is on the other side, over all processes of both watches."""
    if shutil.which("strace") is None:
        print("flushes: strace is not installed", flush=True)
        return
    logs = [f"{root}/trace-{number}" for number in range(2)]
    with ExitStack() as held:
        for folder, log in zip((here, there), logs, strict=True):
            held.enter_context(watch(program, folder, under=[*STRACE, log]))
        time.sleep(2)
        counts = []
        for number in range(6):
            content = f"edit {number} of {time.time_ns()}".encode()
            began = time.time()
            with open(f"{here}/flushed", "wb") as file:
                file.write(content)
            until(f"{there}/flushed", content)
            time.sleep(SETTLED_SECONDS)
            placed = min(at for at in _times(logs[1], _PLACED) if at > began)
            counts.append(sum(began < at < placed for log in logs for at in _times(log, _FLUSH)))
    print(f"{'flushes until an edit is there':44} {statistics.median(counts[1:]):5.0f}", flush=True)


def _times(log: str, pattern: re.Pattern[str]) -> Iterator[float]:
    with open(log, errors="replace") as file:
        for line in file:
            match = pattern.match(line)
            if match is not None:
                yield float(match[1])


def others(here: str, root: str) -> None:
    """The same with lsyncd, which copies one way and has no log, and copies at once what it hears of."""
    if shutil.which("lsyncd") is None:
        print("lsyncd is not installed", flush=True)
        return
    there = f"{root}/lsynced"
    shutil.copytree(here, there, ignore=shutil.ignore_patterns(".replican"), symlinks=True)
    words = ["lsyncd", "-nodaemon", "-delay", "0", "-rsync", here, there]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with open(f"{here}/first", "wb") as file:
                file.write(b"first")
            until(f"{there}/first", b"first")  # its own first look is over
            latency("an edit, by lsyncd, one way", here, there)
        finally:
            process.terminate()


def make_pack(root: str, number: int) -> None:
    """So many files in an archive, and beside it, for rsync; nothing else has their content."""
    pack = f"{root}/pack{number}"
    corpus.make_corpus(pack, BURST, BURST // 20)
    for each in range(BURST):
        with open(corpus.path_of(pack, each, BURST // 20), "ab") as file:
            file.write(b"of pack %d\n" % number)
    measure.run(["tar", "-cf", f"{pack}.tar", "-C", pack, "."])


def unpacked(here: str, there: str, root: str, number: int) -> float:
    """An archive unpacked on one side until all of it is on the other, in s."""
    name = f"unpacked{number}"
    last = corpus.path_of(f"{there}/{name}", BURST - 1, BURST // 20)
    os.sync()
    start = time.perf_counter()
    os.mkdir(f"{here}/{name}")
    measure.run(["tar", "-xf", f"{root}/pack{number}.tar", "-C", f"{here}/{name}"])
    while not os.path.exists(last):  # the many are counted when there is a chance that they are there
        time.sleep(0.005)
    while sum(len(names) for _, _, names in os.walk(f"{there}/{name}")) < BURST:
        time.sleep(0.02)
    return time.perf_counter() - start


def burst(here: str, there: str, root: str) -> float:
    """The same against one rsync of the files, side by side; the median in s."""
    took, ratios = [], []
    for number in range(BURSTS):
        make_pack(root, number)
        os.sync()
        rsync = measure.run(["rsync", "-a", f"{root}/pack{number}/", f"{root}/rsynced{number}/"])
        took.append(unpacked(here, there, root, number))
        ratios.append(took[-1] / rsync)
        time.sleep(SETTLED_SECONDS)
    shown = ", ".join([f"{each:.2f}" for each in sorted(ratios)])
    print(f"{f'burst of {BURST} files':44} {statistics.median(ratios):5.2f} x rsync -a (of {shown})", flush=True)
    return statistics.median(took)


def beside_syncthing(here: str, root: str, ours: float, our_burst: float) -> None:
    """The same by syncthing, in the same run; ``ours`` is our median in ms, ``our_burst`` what a burst took in s."""
    if not syncthing.is_installed():
        print("syncthing is not installed", flush=True)
        return
    one, other = f"{root}/thing1", f"{root}/thing2"
    for there in (one, other):
        shutil.copytree(here, there, ignore=shutil.ignore_patterns(".replican", "unpacked*"), symlinks=True)
    with syncthing.syncthings(root, (one, other)):
        with open(f"{one}/first", "wb") as file:
            file.write(b"first")
        until(f"{other}/first", b"first")  # they have met, and looked through all
        theirs = latency("an edit, by syncthing", one, other)
        print(f"{'an edit, two folders here':44} {ours / theirs:5.3f} x syncthing", flush=True)
        their_burst = statistics.median([unpacked(one, other, root, each) for each in range(BURSTS)])
        print(f"{f'burst of {BURST} files':44} {our_burst / their_burst:5.2f} x syncthing", flush=True)


def rest(pids: list[int], seconds: int) -> None:
    before = [_used(pid) for pid in pids]
    time.sleep(seconds)
    for number, pid in enumerate(pids):
        share = 100 * (_used(pid) - before[number]) / seconds
        memory = sum(measure.memory_of(each) for each in measure.family(pid)) >> 20
        print(f"{f'at rest, folder {number + 1}':44} {share:5.2f} % of a core, {memory} MB", flush=True)


def _used(pid: int) -> float:
    """Processor time of a process and its children, in s."""
    ticks = 0
    for each in measure.family(pid):
        with open(f"/proc/{each}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def status(program: str, folder: str, root: str) -> None:
    git = f"{root}/git"
    shutil.copytree(folder, git, ignore=shutil.ignore_patterns(".replican"), symlinks=True)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"], ["status"]):
        measure.run([*measure.GIT, *words], cwd=git)
    ours = [measure.run([program, "-C", folder, "status"]) for _ in range(9)]
    theirs = [measure.run(["git", "status"], cwd=git) for _ in range(9)]
    mine, other = statistics.median(ours), statistics.median(theirs)
    print(
        f"{'status in a watched folder':44} {mine / other:5.2f} x git status ({mine:.3f} s, {other:.3f} s)", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=corpus.FILES)
    parser.add_argument("--rest", type=int, default=REST_SECONDS, help="seconds of rest")
    parser.add_argument("--folder", help="where to work; a new folder in it is made and removed")
    given = parser.parse_args()
    program = installed()
    with tempfile.TemporaryDirectory(dir=given.folder) as root, ExitStack() as held:
        a, b, c = [f"{root}/{name}" for name in "abc"]
        corpus.make_corpus(a, given.files, given.files // 20)
        measure.run([program, "clone", a, b, "-q"])
        links = held.enter_context(closing(Links(f"{root}/links", program)))
        with watch(program, a) as (one, seconds), watch(program, b) as (other, _):
            print(f"{'from start to live':44} {seconds:5.2f} s", flush=True)
            time.sleep(2)
            ours = latency("an edit, two folders here", a, b)
            latency("an edit, the other way", b, a)
            our_burst = burst(a, b, root)
            time.sleep(5)
            rest([one, other], given.rest)
            status(program, a, root)
            for kind in links.kinds:
                ssh = links.program(kind)
                env = {**os.environ, "REPLICAN_SSH": ssh}
                measure.run([program, "clone", f"{links.host}:{a}", c, "-q"], env=env)
                with watch(program, c, ssh):
                    time.sleep(2)
                    latency(f"an edit, over {kind}", a, c)
                    latency(f"an edit, over {kind}, the other way", c, a)
                shutil.rmtree(c)
        flushes(program, a, b, root)
        others(a, root)
        beside_syncthing(a, root, ours, our_burst)


if __name__ == "__main__":
    main()
