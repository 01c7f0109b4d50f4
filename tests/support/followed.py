"""A folder that a tracker follows, for Linux alone: it is told by inotify."""

import time
from pathlib import Path

from replican.decisions.gates import ALLOW_MASS_DELETE
from replican.effects.index import Index
from replican.effects.observe import observe_paths
from replican.effects.scan import scan
from replican.operations.recording import record
from replican.operations.tracker import Tracker
from replican.repository import Repository
from replican.values.ids import TreeId
from replican.values.listing import RACY_NS


class Watched:
    """A folder, its repository and a tracker that has looked at it once. ``now`` is its clock."""

    def __init__(self, root: Path) -> None:
        for name in ("a/b/file", "a/other", "c/file"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)
        time.sleep(2 * RACY_NS / 10**9)  # else, as anything of this very moment, it would be read once more
        self.root = root
        self.now = 100.0
        self.repo = Repository.init(str(root), wait=0)
        self.tracker = Tracker(self.repo)
        self.tracker.watch()
        self.look()
        self.record()

    def write(self, name: str, content: str = "new") -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(content)

    def look(self) -> set[bytes]:
        """Listen and look; the directories whose records changed."""
        self.tracker.listen(self.now)
        seen = self.tracker.look(self.now)
        return set() if seen is None else {*seen.changed, *seen.gone}

    def record(self) -> None:
        record(self.repo, allowed=frozenset([ALLOW_MASS_DELETE]))
        self.tracker.resume()

    def assert_knows(self) -> None:
        """What the tracker says, with a look at the doubtful paths, is what a scan says that begins with nothing."""
        state = self.tracker.state(self.now)
        assert state.root is not None
        with Index.open(f"{self.repo.dotdir}/index.db") as index:
            assert index.observed_root() == state.root
            assert observe_paths(self.repo.root, index, state.doubtful).root == on_disk(self.repo)


def names(watched: Watched, directory: bytes) -> list[bytes]:
    """What the index has of a directory."""
    return [row.name for row in watched.repo.index.rows(directory)]


def on_disk(repo: Repository) -> TreeId:
    with Index.open(":memory:", writable=True) as nothing:
        return scan(repo.root, nothing, workers=1).root
