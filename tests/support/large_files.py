"""A folder that a tracker watches, with files that it takes for large."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select

from replican.decisions.treediff import walk_tree
from replican.effects.index import Index
from replican.effects.observe import observe_paths
from replican.effects.scan import scan
from replican.operations.recording import Recorded, record
from replican.operations.tracker import Tracker
from replican.repository import Repository
from replican.values.ids import TreeId
from replican.values.listing import RACY_NS

MOST = 20
PAST = b"large: more than twenty bytes"
NEW = b"large: some other bytes, and more of them"


class Tracked:
    """A folder with a large and a small file, recorded, of which a tracker takes what has more than ``MOST`` bytes for
    large."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name, content in {"large": PAST, "small": b"small", "d/small": b"d"}.items():
            self.write(name, content)
        time.sleep(2 * RACY_NS / 1e9)
        self.repo = Repository.init(str(root), wait=0)
        self.repo.config.set("units.quiet_ms", "0")
        record(self.repo)
        self.tracker = Tracker(self.repo, MOST)
        self.let_read(0)
        self.tracker.watch()
        self.now = 100.0
        self.step()

    def write(self, name: str, content: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def step(self) -> Recorded | None:
        """One turn of a recorder; None where there was nothing to look at."""
        self.now += 0.01
        self.tracker.listen(self.now)
        with self.repo.writing("test"):
            self.tracker.resume()
            seen = self.tracker.look(self.now)
            done = None if seen is None else record(self.repo, past_gates=True, paths=())
            self.tracker.resume()
        return done

    def let_read(self, workers: int) -> None:
        """From now on, as many large files are read at a time: none, while a test looks at what is so meanwhile."""
        self.tracker._beforehand._workers = workers

    def read(self) -> None:
        """Have one large file read, and hear of it."""
        self.let_read(1)
        self.tracker.listen(self.now)
        self.let_read(0)
        while not self.tracker.dirty:
            assert select(self.tracker.descriptors, [], [], 30)[0], "nothing was read"
            self.tracker.listen(self.now)

    def settle(self) -> None:
        """Until nothing is put off."""
        self.step()
        while self.causes():
            self.read()
            self.step()

    def causes(self) -> dict[str, str]:
        with Index.open(f"{self.repo.dotdir}/index.db") as index:
            return {path.decode(): cause for path, cause, *_ in index.problems()}

    def holds(self) -> set[str]:
        """The files that are recorded."""
        return {path.decode() for path, entry in walk_tree(self.repo, self.repo.head_tree) if entry.kind != b"d"}

    def size_of(self, name: str) -> int:
        return next(entry.size for path, entry in walk_tree(self.repo, self.repo.head_tree) if path == name.encode())

    def assert_knows(self) -> None:
        """With a look at what is doubtful, the tracker knows what a scan sees that reads everything; without it, what
        is recorded; and when all is read, what is recorded is that."""
        state = self.tracker.state(self.now)
        with Index.open(f"{self.repo.dotdir}/index.db") as index:
            assert index.observed_root() == state.root
            assert observe_paths(self.repo.root, index, state.doubtful).root == on_disk(self.repo)
        if not state.doubtful:
            assert self.repo.head_tree == on_disk(self.repo)


def on_disk(repo: Repository) -> TreeId:
    with Index.open(":memory:", writable=True) as nothing:
        return scan(repo.root, nothing, workers=1).root


@contextmanager
def tracking(root: Path) -> Iterator[Tracked]:
    tracked = Tracked(root)
    try:
        yield tracked
    finally:
        tracked.tracker.close()
        tracked.repo.close()
