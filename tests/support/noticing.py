"""A folder that is watched by inotify, and what is told of it. For Linux alone."""

from pathlib import Path

from replican.effects.inotify import InotifyWatcher
from replican.effects.notices import Notices


class Seen:
    """A watched folder; ``tracked`` are the directories in which something is tracked."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tracked: set[bytes] = set()
        self.watcher = InotifyWatcher(str(root), self.tracked.__contains__)

    def drain(self) -> Notices:
        return self.watcher.drain()

    def settled(self) -> set[bytes]:
        """What has changed; nobody is writing to any of it."""
        found = self.drain()
        assert (found.writing, found.everything, found.notes) == (set(), False, [])
        return found.settled | found.modes

    def watched(self) -> set[bytes]:
        return set(self.watcher._watches.paths.values())
