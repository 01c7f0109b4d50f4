"""The benchmarks that the README quotes: whole processes, side by side with rsync, unison and git.

Run by `make bench`; `python bench/run.py --help` tells how to choose among them. What it prints are medians and ratios:
the bars are ratios, since machines differ.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable

import corpus
import deltas
import measure
from measure import remove, run

Row = tuple[str, str, float, str]


class Bench:
    """One folder of the disk with the corpus, and a copy for each peer."""

    def __init__(self, root: str, program: str, rounds: int, files: int) -> None:
        self.root = root
        self.replican = program
        self.rounds = rounds
        self.files = files
        self.rows: list[Row] = []
        self.python = sys.executable
        self.source = f"{root}/source"
        corpus.make_corpus(self.source, files)

    def at(self, name: str) -> str:
        return f"{self.root}/{name}"

    def has(self, program: str) -> bool:
        return shutil.which(program) is not None

    def note(self, work: str, ours: float, medians: dict[str, float], quotients: dict[str, float]) -> None:
        for name, quotient in quotients.items():
            self.rows.append((work, name, quotient, f"{ours:.2f} s, {medians[name]:.2f} s"))
            print(f"{work:42} {quotient:6.2f} x {name:22} ({ours:.2f} s against {medians[name]:.2f} s)", flush=True)

    def compare(
        self,
        work: str,
        ours: Callable[[], float],
        others: dict[str, Callable[[], float]],
        before: Callable[[int], None],
        rounds: int | None = None,
    ) -> None:
        present = {name: go for name, go in others.items() if self.has(name.split()[0])}
        self.note(work, *measure.ratios(ours, present, rounds or self.rounds, before))

    def unison(self, one: str, other: str) -> float:
        env = {**os.environ, "UNISON": self.at("unison-state")}
        options = ["-batch", "-silent", "-confirmbigdel=false", "-times", "-perms", "-1"]
        return run(["unison", one, other, *options], env=env)

    def git(self, *words: str, cwd: str) -> float:
        return run([*measure.GIT, *words], cwd=cwd)

    # -- the benchmarks -----------------------------------------------------------------------------------------

    def commit(self) -> None:
        """The first commit of the folder."""

        folders = {"ours": "", "git": ""}

        def before(number: int) -> None:
            for name in folders:
                folders[name] = self.at(f"commit-{name}{number}")
                corpus.make_corpus(folders[name], self.files)
            run([self.replican, "init", folders["ours"]])
            if self.has("git"):
                self.git("init", "-q", cwd=folders["git"])

        def git() -> float:
            return self.git("add", "-A", cwd=folders["git"]) + self.git("commit", "-qm", "x", cwd=folders["git"])

        self.compare(
            "first commit",
            lambda: run([self.replican, "-C", folders["ours"], "commit", "-q"]),
            {"git": git},
            before,
            max(1, self.rounds // 2),
        )
        size = measure.size_of(f"{folders['ours']}/.replican") / 1e6
        print(f"{'.replican after the first commit':42} {size:6.1f} MB", flush=True)

    def clone(self) -> None:
        """A first clone into an empty folder."""

        source, number = self.source, 0

        def before(round_: int) -> None:
            nonlocal number
            number = round_
            remove(f"{source}/.replican", self.at("unison-state"))

        def ours() -> float:
            took = run([self.replican, "clone", source, self.at(f"cloned{number}"), "-q"])
            remove(f"{source}/.replican")
            return took

        self.compare(
            "clone to an empty folder",
            ours,
            {
                "rsync": lambda: run(["rsync", "-a", f"{source}/", self.at(f"rsynced{number}/")]),
                "unison": lambda: self.unison(source, self.at(f"unisoned{number}")),
            },
            before,
        )

    def prepare_pairs(self) -> None:
        """A synced pair of folders for each tool."""
        remove(f"{self.source}/.replican", self.at("unison-state"))
        for name in ("rsync", "unison", "git"):
            if self.has(name):
                corpus.make_corpus(self.at(f"{name}-a"), self.files)
        run([self.replican, "clone", self.source, self.at("copy"), "-q"])
        if self.has("rsync"):
            run(["rsync", "-a", self.at("rsync-a/"), self.at("rsync-b/")])
        if self.has("unison"):
            self.unison(self.at("unison-a"), self.at("unison-b"))
        if self.has("git"):
            self.git("init", "-q", "-b", "main", cwd=self.at("git-a"))
            self.git("add", "-A", cwd=self.at("git-a"))
            self.git("commit", "-qm", "first", cwd=self.at("git-a"))
            self.git("clone", "-q", self.at("git-a"), self.at("git-b"), cwd=self.root)

    def sync_after(self, work: str, change: Callable[[str, int], None], delete: bool = False) -> None:
        rsync = ["rsync", "-a", *(["--delete"] if delete else []), self.at("rsync-a/"), self.at("rsync-b/")]

        def before(number: int) -> None:
            for folder in (self.source, self.at("rsync-a"), self.at("unison-a"), self.at("git-a")):
                if os.path.isdir(folder):
                    change(folder, number)

        def git() -> float:
            took = self.git("add", "-A", cwd=self.at("git-a"))
            took += self.git("commit", "-q", "--allow-empty", "-m", "x", cwd=self.at("git-a"))
            return took + self.git("pull", "-q", cwd=self.at("git-b"))

        self.compare(
            work,
            lambda: run([self.replican, "-C", self.at("copy"), "sync", "-q"]),
            {
                "rsync": lambda: run(rsync),
                "unison": lambda: self.unison(self.at("unison-a"), self.at("unison-b")),
                "git": git,
            },
            before,
        )

    def syncs(self) -> None:
        self.prepare_pairs()
        self.sync_after("sync, nothing to do", lambda folder, number: None)
        self.sync_after("sync, one file changed", corpus.change_one)
        self.sync_after("sync, 1 % changed, created, deleted", corpus.change_some, delete=True)
        names = ["d3", *(f"moved{number}" for number in range(100))]
        self.sync_after(
            f"sync, directory of {self.files // corpus.TOP} files renamed",
            lambda folder, number: os.rename(f"{folder}/{names[number]}", f"{folder}/{names[number + 1]}"),
            delete=True,
        )

    def big_file(self) -> None:
        """One file of 512 MiB."""
        folder = self.at("big")
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/big.bin", "wb") as file:
            file.writelines(os.urandom(1 << 20) for _ in range(512))

        def before(_: int) -> None:
            remove(f"{folder}/.replican", self.at("big-copy"), self.at("big-rsynced"))

        self.compare(
            "clone of one file of 512 MiB",
            lambda: run([self.replican, "clone", folder, self.at("big-copy"), "-q"]),
            {"rsync": lambda: run(["rsync", "-a", f"{folder}/", self.at("big-rsynced/")])},
            before,
        )
        remove(folder, self.at("big-copy"), self.at("big-rsynced"))

    def deltas(self) -> None:
        """Cutting files into blocks, what of an edited one has to be fetched, and that over a pipe."""
        deltas.run(self.root)
        if self.has("rsync"):
            place = self.at("piped")
            os.mkdir(place)
            deltas.over_a_pipe(place, self.replican, rounds=self.rounds)
            remove(place)

    def start(self) -> None:
        """The whole process of a small plumbing command."""
        path = self.at("small.txt")
        with open(path, "w") as file:
            file.write("small\n")
        ours, medians, quotients = measure.ratios(
            lambda: run([self.replican, "hash-object", path]),
            {"python -c pass": lambda: run([self.python, "-c", "pass"])},
            20,
            lambda _: None,
        )
        self.note("hash-object of a small file", ours, medians, quotients)

    def memory(self) -> None:
        """The peak of all processes together, for each of the works above."""
        source, copy = self.at("weighed"), self.at("weighed-copy")
        corpus.make_corpus(source, self.files)
        run([self.replican, "init", source])

        def weigh(work: str, *words: str) -> None:
            print(
                f"{'memory: ' + work:42} {measure.peak_memory([self.replican, *words, '-q']) / 1e6:6.0f} MB", flush=True
            )

        weigh("first commit", "-C", source, "commit")
        weigh("clone", "clone", source, copy)
        weigh("sync, nothing to do", "-C", copy, "sync")
        corpus.change_some(source, 999, self.files)
        weigh("sync after 1 %", "-C", copy, "sync")
        os.rename(f"{source}/d3", f"{source}/moved")
        weigh("sync, directory renamed", "-C", copy, "sync")


def installed() -> str:
    """The program beside this interpreter, or the one on PATH."""
    beside = os.path.join(os.path.dirname(sys.executable), "replican")
    return beside if os.path.exists(beside) else shutil.which("replican") or "replican"


BENCHMARKS = ("start", "commit", "clone", "syncs", "big_file", "deltas", "memory")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="*", choices=[*BENCHMARKS, []], help="all, unless some are named")
    parser.add_argument("--replican", default=installed(), help="the program to measure")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=corpus.FILES)
    parser.add_argument("--keep", help="work in this folder, and leave it there")
    given = parser.parse_args()
    root = given.keep or tempfile.mkdtemp(prefix="replican-bench-")
    try:
        bench = Bench(root, given.replican, given.rounds, given.files)
        for name in given.which or BENCHMARKS:
            getattr(bench, name)()
    finally:
        if not given.keep:
            remove(root)


if __name__ == "__main__":
    main()
