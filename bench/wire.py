"""What goes over a link, side by side with rsync over the same link: times, bytes each way, round trips.

Run by `make bench-wire`; `python bench/wire.py --help` tells how to choose, and `--quick` how to be done in a minute or
two. Times are medians of whole processes, and ratios those of one round each, in turns; processor time is that of all
processes at both ends; bytes are those of one more run each, through a relay that counts them. Over sshd they have what
ssh itself says to begin with.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable

import corpus
import measure
from links import Links
from longlogs import add_checkpoints, make_log
from measure import remove, run
from run import installed

Run = Callable[[str], float]
"""Does the work over the link that this program makes; the wall time in s."""

DELAY = 20
LONG = 100_000
MORE = 10


class Wire:
    """A folder of the disk with the corpus, copies of it, and the links."""

    def __init__(self, root: str, program: str, rounds: int, files: int, long: int) -> None:
        self.root = root
        self.replican = program
        self.rounds = rounds
        self.files = files
        self.directories = max(10, files // 20)
        self.long = long
        self.links = Links(f"{root}/links", program)
        self.source = f"{root}/source"

    def at(self, name: str) -> str:
        return f"{self.root}/{name}"

    def there(self, path: str) -> str:
        return f"{self.links.host}:{path}"

    def make_corpus(self, root: str, *, text: bool = True) -> None:
        corpus.make_corpus(root, self.files, self.directories, text=text)

    def ours(self, program: str, *words: str) -> float:
        return run([self.replican, *words, "-q"], env={**os.environ, "REPLICAN_SSH": program})

    def rsync(self, program: str, source: str, target: str, *words: str) -> float:
        return run(["rsync", "-a", *words, "-e", program, self.there(f"{source}/"), f"{target}/"])

    # -- one row ------------------------------------------------------------------------------------------------

    def compare(
        self, kind: str, work: str, ours: Run, rsync: Run, before: Callable[[int], None], rounds: int = 0
    ) -> None:
        """Times in turns, and the bytes of one more round."""
        rounds = rounds or self.rounds
        plain = self.links.program(kind)
        used: dict[Run, list[float]] = {ours: [], rsync: []}

        def go(work: Run) -> float:
            start = measure.processor_time()
            took = work(plain)
            used[work].append(measure.processor_time() - start)
            return took

        took, medians, quotients = measure.ratios(lambda: go(ours), {"rsync": lambda: go(rsync)}, rounds, before)
        processors = statistics.median(used[ours]) / statistics.median(used[rsync])
        sizes: list[tuple[int, int]] = []
        before(rounds)
        for each in (ours, rsync):
            each(self.links.program(kind, watched=True))
            sizes.append(self.links.watched.take())
        (to, fro), (its_to, its_fro) = sizes
        print(
            f"{kind}: {work:42} {quotients['rsync']:5.2f} x rsync ({took:.2f} s, {medians['rsync']:.2f} s),"
            f" {processors:5.2f} x its processor time, {(to + fro) / (its_to + its_fro):.3f} x its bytes"
            f" ({to:,} to, {fro:,} fro; {its_to:,}, {its_fro:,})",
            flush=True,
        )

    # -- the benchmarks -----------------------------------------------------------------------------------------

    def clones(self, kind: str) -> None:
        """First clones: of text and of bytes by chance, of a folder that is none yet and of a replica."""
        for text in (True, False):
            self.make_corpus(self.source, text=text)
            what = "text" if text else "no text"
            for is_replica in (False, True):
                self._clone(kind, f"first clone, {what}, {'a replica' if is_replica else 'a plain folder'}", is_replica)
            remove(self.source)

    def _clone(self, kind: str, work: str, is_replica: bool) -> None:
        number = 0

        def before(round_: int) -> None:
            nonlocal number
            remove(self.at(f"cloned{number}"), self.at(f"rsynced{number}"))
            number = round_
            remove(f"{self.source}/.replican")
            if is_replica:
                run([self.replican, "-C", self.source, "init", "-q"])
                run([self.replican, "-C", self.source, "commit", "-q"])

        def rsync(program: str) -> float:
            return self.rsync(program, self.source, self.at(f"rsynced{number}"), "--exclude=/.replican")

        self.compare(
            kind,
            work,
            lambda program: self.ours(program, "clone", self.there(self.source), self.at(f"cloned{number}")),
            rsync,
            before,
        )
        remove(self.at(f"cloned{number}"), self.at(f"rsynced{number}"), f"{self.source}/.replican")

    def pairs(self) -> None:
        """The corpus and a copy of it in step, once for each tool."""
        for name in ("ours", "rsync"):
            remove(self.at(f"{name}-a"), self.at(f"{name}-b"))
            self.make_corpus(self.at(f"{name}-a"))
        program = self.links.program("pipe")
        self.ours(program, "clone", self.there(self.at("ours-a")), self.at("ours-b"))
        self.rsync(program, self.at("rsync-a"), self.at("rsync-b"))

    def _sync(self, program: str) -> float:
        return self.ours(program, "-C", self.at("ours-b"), "sync")

    def _rsync(self, program: str) -> float:
        return self.rsync(program, self.at("rsync-a"), self.at("rsync-b"), "--delete")

    def _after(self, change: Callable[[str, int], None]) -> Callable[[int], None]:
        def before(number: int) -> None:
            for name in ("ours", "rsync"):
                change(self.at(f"{name}-a"), number)

        return before

    def syncs(self, kind: str) -> None:
        """Two folders that are in step but for little."""
        self.pairs()
        for name in ("ours", "rsync"):
            os.rename(self.at(f"{name}-a/d3"), self.at(f"{name}-a/moved0"))
        self._sync(self.links.program(kind))
        self._rsync(self.links.program(kind))

        works: dict[str, Callable[[str, int], None]] = {
            "nothing to do": lambda folder, number: None,
            "one file changed": self._change_one,
            f"directory of {self.files // corpus.TOP:,} files renamed": lambda folder, number: os.rename(
                f"{folder}/moved{number}", f"{folder}/moved{number + 1}"
            ),
        }
        for work, go in works.items():
            self.compare(kind, work, self._sync, self._rsync, self._after(go))

    def _change_one(self, folder: str, number: int) -> None:
        with open(f"{folder}/{corpus.directory_of(7, self.directories)}/changing.txt", "ab") as file:
            file.write(b"one more line, round %d\n" % number)

    def delays(self, kind: str) -> None:
        """Round trips: what 20 ms more each way cost, divided by 40 ms."""
        self.pairs()
        works: dict[str, Callable[[str, int], None]] = {
            "nothing to do": lambda folder, number: None,
            "one file changed": self._change_one,
        }
        for work, change in works.items():
            before, found = self._after(change), list[str]()
            for name, go in (("ours", self._sync), ("rsync", self._rsync)):
                times: dict[int, list[float]] = {0: [], DELAY: []}
                for number in range(max(3, self.rounds)):
                    for delay, held in times.items():
                        before(number * 2 + bool(delay))
                        measure.settle()
                        held.append(go(self.links.program(kind, delay=delay)))
                slow, quick = (statistics.median(times[delay]) for delay in (DELAY, 0))
                found.append(f"{name} {(slow - quick) * 1000 / (2 * DELAY):.1f} round trips ({slow:.2f} s)")
            self.links.watched.take()
            print(f"{kind}: {f'{DELAY} ms each way, {work}':42} {', '.join(found)}", flush=True)

    def logs(self, kind: str) -> None:
        """Ten new checkpoints on top of a long log and of a short one."""
        lengths = {"short": 100, "long": self.long}
        for name, length in lengths.items():
            make_log(self.replican, self.at(f"{name}-log"), length)
            self.ours(
                self.links.program(kind), "clone", self.there(self.at(f"{name}-log")), self.at(f"{name}-log-copy")
            )

        def before(number: int) -> None:
            for name in lengths:
                add_checkpoints(self.replican, self.at(f"{name}-log"), MORE, number)

        def fetch(name: str, program: str) -> float:
            return self.ours(program, "-C", self.at(f"{name}-log-copy"), "fetch")

        program = self.links.program(kind)
        took, medians, quotients = measure.ratios(
            lambda: fetch("long", program), {"short": lambda: fetch("short", program)}, max(5, self.rounds), before
        )
        before(max(5, self.rounds))
        sizes: list[int] = []
        for name in ("long", "short"):
            fetch(name, self.links.program(kind, watched=True))
            sizes.append(sum(self.links.watched.take()))
        print(
            f"{kind}: {f'{MORE} checkpoints on top of {self.long:,}':42} {quotients['short']:5.2f} x that on 100"
            f" ({took:.2f} s, {medians['short']:.2f} s), {sizes[0]:,} and {sizes[1]:,} bytes",
            flush=True,
        )
        for name in lengths:
            remove(self.at(f"{name}-log"), self.at(f"{name}-log-copy"))


BENCHMARKS = ("logs", "clones", "syncs", "delays")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="*", choices=[*BENCHMARKS, []], help="all, unless some are named")
    parser.add_argument("--replican", default=installed(), help="the program to measure")
    parser.add_argument("--link", choices=("pipe", "sshd"), help="one kind of link only")
    parser.add_argument("--quick", action="store_true", help="5,000 files, a log of 5,000, 3 rounds")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--files", type=int)
    parser.add_argument("--keep", help="work in this folder, and leave it there")
    given = parser.parse_args()
    root = os.path.realpath(given.keep or tempfile.mkdtemp(prefix="replican-wire-"))
    files = given.files or (5000 if given.quick else corpus.FILES)
    bench = Wire(root, given.replican, given.rounds or (3 if given.quick else 5), files, 5000 if given.quick else LONG)
    try:
        for kind in [given.link] if given.link else bench.links.kinds:
            for name in given.which or BENCHMARKS:
                getattr(bench, name)(kind)
    finally:
        bench.links.close()
        if not given.keep:
            remove(root)


if __name__ == "__main__":
    main()
