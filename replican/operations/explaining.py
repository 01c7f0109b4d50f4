"""Why: all that is known about one path. What is recorded, by whom; what is on the disk; why there is a copy; what
holds it back.
"""

import os
import stat
from typing import NamedTuple

from replican.decisions.reconcile import OpenConflict, conflicts_of
from replican.effects.contents import Wanted, find
from replican.operations.comparing import on_disk
from replican.operations.history import LogEntry, at_path, last_change, writer_of
from replican.operations.sources import sources
from replican.operations.status import ask_watch
from replican.repository import Repository
from replican.values.ids import TreeId
from replican.values.names import group_key
from replican.values.paths import ancestors_of, join, name_of, parent_of
from replican.values.progress import PUT_OFF, Problem
from replican.values.trees import DIRECTORY, Entry, TreeReader


class Version(NamedTuple):
    """One of the versions of a name: where it lies, what it is, and the checkpoint that wrote it (None if not
    recorded yet)."""

    path: bytes
    entry: Entry
    writer: LogEntry | None


class Explained(NamedTuple):
    """What is known of a path.

    ``recorded`` is what the head has there, ``disk`` what the folder holds as a commit would see it; ``lies_there``
    what kind of thing the disk has at all (empty for nothing). ``last`` is the last user checkpoint that changed it,
    ``what`` what it did. ``versions`` are all those of its name where that has more than one, the current one first.
    ``holding`` is what holds it back; ``places`` are the stores that have its recorded content.
    """

    path: bytes
    recorded: Entry | None
    disk: Entry | None
    lies_there: str
    ignored: bool
    last: LogEntry | None
    what: str
    versions: list[Version]
    holding: list[Problem]
    places: list[str]

    @property
    def is_known(self) -> bool:
        return bool(self.recorded or self.disk or self.lies_there or self.last)

    @property
    def is_put_off(self) -> bool:
        """Whether what lies there has changed, and is not read yet: then ``disk`` is as it was before."""
        return any(each.path == self.path and each.cause in PUT_OFF for each in self.holding)


def explain(repo: Repository, path: bytes) -> Explained:
    """All that is known about ``path``. Takes no lock."""
    head = repo.head
    recorded = at_path(repo, repo.head_tree, path)
    now = on_disk(repo, ask_watch(repo.root))
    disk = at_path(now.trees, now.disk, path)
    last = last_change(repo, head, path)
    if recorded is not None and recorded.kind != DIRECTORY and (last is None or last.new != recorded):
        # Of two that did not know of each other the merge took one: it is the one to be told of.
        last = writer_of(repo, head, (path,), recorded) or last
    conflict = _conflict_at(now.trees, now.recorded, path)
    versions: list[Version] = []
    if conflict is not None:
        places = (
            join(parent_of(path), group_key(name_of(path))),
            conflict.path,
            *(copy for copy, _ in conflict.copies),
        )
        for at, entry in ((conflict.path, conflict.current), *conflict.copies):
            found = None if entry.kind == DIRECTORY else writer_of(repo, head, tuple(dict.fromkeys(places)), entry)
            versions.append(Version(at, entry, None if found is None else found.entry))
    lies_there = _lies_there(repo.root, path)
    return Explained(
        path,
        recorded,
        disk,
        lies_there,
        bool(lies_there) and recorded is None and disk is None and _is_ignored(repo, path, lies_there),
        None if last is None else last.entry,
        "" if last is None else _what(last.old, last.new),
        versions,
        _holding(repo, path, [*now.problems, *_left_alone(repo.root, path, lies_there)]),
        _places(repo, recorded, path),
    )


def _what(old: Entry | None, new: Entry | None) -> str:
    if new is None:
        return "deleted"
    if old is None:
        return "added"
    return "changed" if (old.kind, old.id) != (new.kind, new.id) else "given other attributes"


def _conflict_at(trees: TreeReader, tree: TreeId, path: bytes) -> OpenConflict | None:
    directory = at_path(trees, tree, parent_of(path))
    if directory is None or directory.kind != DIRECTORY:
        return None
    for conflict in conflicts_of(parent_of(path), trees.tree(directory.tree)):
        if path == conflict.path or path in [copy for copy, _ in conflict.copies]:
            return conflict
    return None


def _lies_there(root: str, path: bytes) -> str:
    from replican.effects.worktree import Directories

    if not path:
        return "directory"
    try:
        with Directories(root) as directories:
            mode = os.lstat(name_of(path), dir_fd=directories.open(parent_of(path))).st_mode
    except OSError:
        return ""
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "link" if stat.S_ISLNK(mode) else "special file"


def _is_ignored(repo: Repository, path: bytes, kind: str) -> bool:
    from replican.operations.ignoring import Ignoring

    with Ignoring(repo) as rules:
        return rules.verdict(path, kind == "directory") is not None


def _holding(repo: Repository, path: bytes, problems: list[Problem]) -> list[Problem]:
    """What stands in the way of this path, or of a directory above it: what is pending, and what could not be read."""
    concerned = {path, *ancestors_of(path)}
    found = [problem for problem in [*repo.index.pending(), *problems] if problem.path in concerned]
    return list(dict.fromkeys(found))


def _left_alone(root: str, path: bytes, kind: str) -> list[Problem]:
    """What is never recorded, whatever it holds: whoever asks a watch hears nothing of that."""
    from replican.effects.hashing import SPECIAL
    from replican.effects.roots import is_replica
    from replican.effects.walk import NESTED

    if kind == SPECIAL:
        return [Problem(path, SPECIAL)]
    above = [*ancestors_of(path), path] if kind else []
    return [Problem(at, NESTED) for at in above if at and is_replica(os.path.join(root, os.fsdecode(at)))]


def _places(repo: Repository, entry: Entry | None, path: bytes) -> list[str]:
    """Every store that has the content, as far as it knows."""
    if entry is None or entry.kind == DIRECTORY:
        return []
    wanted = [Wanted(entry.blob, entry.kind, entry.size, path)]
    with sources(repo) as found:
        return [store.name for store in found.all if find([store], wanted)]
