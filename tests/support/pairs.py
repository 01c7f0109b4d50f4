"""Two folders in step, in one process: what one has comes to the other, or with something done in between."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from folders import assert_equal, write

from replican.effects.index_check import check_index
from replican.effects.transition import Transition
from replican.operations.cloning import clone
from replican.operations.merging import Merged
from replican.operations.recording import Recorded, record
from replican.operations.syncing import Pulled, Synced, pull, sync
from replican.repository import Repository

OLD = 1_600_000_000_000_000_000
"""The time of files at the beginning (ns), long enough ago for no row to be racy by it."""

FULL = {
    "a.txt": "a",
    "b.txt": "b",
    "empty": "",
    "d/one": "1",
    "d/two": "2",
    "d/deep/three": "3",
    "e/four": "4",
    "nothing/": "",
}
"""What most tests begin with; a name that ends in a slash is an empty directory."""

Build = Callable[[Path], None] | Mapping[str, str | None]


def build(root: Path, what: Build) -> None:
    """Change a folder: by a function, or by a mapping from paths to content (None: delete)."""
    if callable(what):
        what(root)
        return
    for path, content in what.items():
        if content is None:
            (root / path).unlink()
        elif path.endswith("/"):
            (root / path).mkdir(parents=True, exist_ok=True)
        else:
            write(root / path, content)


class Pair:
    """``a``, and ``b``, which was cloned from it. Nothing is open in between."""

    def __init__(self, base: Path, start: Build) -> None:
        self.a, self.b = base / "a", base / "b"
        self.a.mkdir()
        build(self.a, start)
        clone(str(self.a), str(self.b))
        assert_equal(self.a, self.b)

    def pull(self) -> Pulled:
        """Have ``b`` take in what happened to ``a``."""
        with Repository(str(self.b)) as repo:
            return pull(repo, "origin")

    def sync(self) -> Synced:
        with Repository(str(self.b)) as repo:
            return sync(repo, "origin")

    def record(self, root: Path) -> Recorded:
        with Repository(str(root)) as repo:
            return record(repo)

    def assert_at_rest(self) -> None:
        """Both folders are equal, nothing is pending, and neither finds anything to record that was not its user's."""
        assert_equal(self.a, self.b)
        for root in (self.a, self.b):
            with Repository(str(root)) as repo:
                made = record(repo)
                assert not made.new, (root, made)
                assert repo.index.base_root() == repo.head_tree
                assert repo.index.pending() == []
                assert repo.index.journal() == []
                check_index(repo.index)

    def heads(self) -> tuple[str, str]:
        found = []
        for root in (self.a, self.b):
            with Repository(str(root)) as repo:
                found.append(repo.head.hex() if repo.head else "")
        return found[0], found[1]


def pending(merged: Merged) -> dict[str, str]:
    return {os.fsdecode(problem.path): problem.cause for problem in merged.pending}


def just_before(monkeypatch: object, do: Callable[[], None]) -> None:
    """Do something once when everything is staged and recorded, and no file has been touched."""
    whole = Transition.run
    left = [do]

    def run(self: Transition, prepared: object) -> object:
        if left:
            left.pop()()
        return whole(self, prepared)  # type: ignore[arg-type]

    monkeypatch.setattr(Transition, "run", run)  # type: ignore[attr-defined]
