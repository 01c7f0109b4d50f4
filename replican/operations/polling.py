"""The poller: finds, round by round, at which paths a folder differs from what the index has seen of it.

A *full* round looks at every name there is. A *quick* one costs a look at each directory, and lists only those that
have changed themselves since the last round: it finds what came, went, was renamed or replaced by rename (as most
programs save), and the permissions of directories, anywhere; but files that were written in place only in directories
where something was found not long ago. All else is found by the next full round.
"""

import os
import time
from collections.abc import Iterable
from typing import Final

from replican.decisions.pace import Bounds
from replican.effects.ignore import IGNORE_NAME
from replican.effects.index import Index, Known
from replican.effects.listdir import list_known
from replican.effects.observe import poll, poll_paths
from replican.effects.worktree import Directories, open_root
from replican.repository import Repository
from replican.values.listing import DIGEST_SIZE, is_racy, stat_digest
from replican.values.names import DOT_DIRECTORY
from replican.values.paths import join, parent_of
from replican.values.trees import DIRECTORY

HOT_ROUNDS: Final = 30
"""For so many quick rounds, a directory in which something was found is looked at whatever its times say."""

MANY: Final = 100
"""Of no more directories than this, a quick round looks at all names, however few there are besides."""

_IGNORE: Final = os.fsencode(IGNORE_NAME)
_OURS: Final = os.fsdecode(DOT_DIRECTORY)
_Look = tuple[int, int, int]


class Poller:
    """Looks at a folder again and again, and writes nothing. It takes no lock."""

    def __init__(self, repo: Repository, most: int | None = None) -> None:
        """Files of more than ``most`` bytes are not read: what may differ is taken to."""
        self._repo = repo
        self._most = most
        self._looks: dict[bytes, _Look] = {}
        self._hot: dict[bytes, int] = {}
        self._told: dict[bytes, tuple[int, ...]] = {}

    def round(self, full: bool) -> list[bytes]:
        """The paths that differ from the index, sorted; of a directory that came or went, only its own.

        One that was told before is told again only if it has changed since, or, while the index lacks it, by a full
        round. Raises as a scan does.
        """
        self._repo.close_index()  # it has one snapshot, and others write to it
        try:
            index = self._repo.index
            found = self._full(index) if full else self._quick(index)
            return self._news(found, full)
        finally:
            self._repo.close_index()

    def begin(self) -> None:
        """Somebody is about to look at the whole folder: rounds have to find what changes from now on."""
        self._repo.close_index()
        try:
            self._look_at(self._repo.index.digests())
        finally:
            self._repo.close_index()

    def _full(self, index: Index) -> list[bytes]:
        self._look_at(index.digests())  # before the walk: what changes meanwhile is found by the next round
        return poll(self._repo.root, index, self._most)

    def _quick(self, index: Index) -> list[bytes]:
        known = index.digests()
        before = self._looks
        self._look_at(known)
        doubtful = [path for path in known if path not in self._looks or self._looks[path] != before.get(path)]
        asked = sorted(set(self._hot).intersection(known).union(doubtful))
        self._hot = {path: left - 1 for path, left in self._hot.items() if left > 1}
        with Directories(self._repo.root) as directories:
            wanted = [path for path in asked if not _is_as_known(directories, path, known[path])]
            if len(wanted) > MANY and 4 * len(wanted) > len(known):
                return poll(self._repo.root, index, self._most)  # name by name it would take longer
            paths = [path for directory in wanted for path in _names(index, directories, directory)]
        return poll_paths(self._repo.root, index, paths, self._most) if paths else []

    def _look_at(self, directories: Iterable[bytes]) -> None:
        """Note the times of directories, but of those that may change again without theirs changing."""
        looks: dict[bytes, _Look] = {}
        now_ns = time.time_ns()
        root_fd = open_root(self._repo.root)
        try:
            for path in directories:
                try:
                    # Where a link took the place of a directory above, the one that has the link has changed.
                    found = os.lstat(path or b".", dir_fd=root_fd)
                except OSError:
                    continue
                if not is_racy(max(found.st_ctime_ns, found.st_mtime_ns), now_ns):
                    looks[path] = found.st_mtime_ns, found.st_ctime_ns, found.st_ino
        finally:
            os.close(root_fd)
        self._looks = looks

    def _news(self, found: list[bytes], full: bool) -> list[bytes]:
        news = []
        told = {} if full else self._told
        for path in found:
            look = self._look_of(path)
            if full or told.get(path) != look:
                news.append(path)
                self._hot[parent_of(path)] = HOT_ROUNDS
            told[path] = look
        self._told = told
        return news

    def _look_of(self, path: bytes) -> tuple[int, ...]:
        try:
            found = os.lstat(os.path.join(os.fsencode(self._repo.root), path))
        except OSError:
            return ()
        return found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _is_as_known(directories: Directories, path: bytes, known: Known) -> bool:
    """Whether a directory has what the index has seen in it, by the digest of that alone: most that came by a burst, or
    by a merge, have."""
    if known.digest is None or len(known.digest) > DIGEST_SIZE:
        return False
    try:
        fd = directories.open(path)
        if os.fstat(fd).st_ino != known.ino:
            return False
        items, _ = list_known(fd)
    except OSError:
        return False
    ours = any(item[0].startswith(_OURS) for item in items)  # some of these do not count
    return not ours and stat_digest(items) == known.digest  # type: ignore[arg-type]  # everything was looked at


def _names(index: Index, directories: Directories, directory: bytes) -> list[bytes]:
    """All that has to be looked at in one directory; of a known directory in it, only itself."""
    try:
        found = {os.fsencode(name) for name in os.listdir(directories.open(directory))}
    except OSError:
        return [directory] if directory else []
    rows = {row.name: row for row in index.rows(directory)}
    paths = []
    for name in found.union(rows):
        row = rows.get(name)
        path = join(directory, name)
        paths.append(join(path, _IGNORE) if row is not None and row.kind == DIRECTORY else path)
    return paths


def bounds_of(repo: Repository) -> Bounds:
    """The pace that the config asks for."""
    least, most, full = [float(repo.config.number(key)) for key in ("poll.min", "poll.max", "poll.full")]
    return Bounds(least, most, full)
