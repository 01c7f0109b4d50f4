"""Changes as people are told of them: each file by itself, or in short; what was only moved, with where it went from.

Pure: all of it follows from the changes that :func:`~replican.decisions.treediff.diff_trees` finds.
"""

from collections.abc import Iterator
from typing import NamedTuple

from replican.decisions.treediff import ADDED, DELETED, Change, walk_tree
from replican.values.ids import EMPTY_TREE
from replican.values.trees import DIRECTORY, Entry, TreeReader


class Changed(NamedTuple):
    """One path that differs: how, in one of the words of :attr:`Change.word`, and what lies there now (or lay, for a
    deletion).

    ``source`` is where the same content went from, for what was moved. ``files`` counts what a directory holds.
    """

    path: bytes
    status: str
    entry: Entry
    source: bytes | None = None
    files: int = 1


def expand(reader: TreeReader, changes: list[Change]) -> Iterator[Changed]:
    """One change for every file and link, and for a directory only if it is empty or its permissions changed."""
    sources = moved(changes)
    for change in _shown(changes):
        path, old, new = change
        if old is not None and new is not None and (old.kind == new.kind or DIRECTORY not in (old.kind, new.kind)):
            yield Changed(path, change.word, new)
            continue
        source = sources.get(path)
        for entry, status in ((old, DELETED), (new, ADDED)):
            if entry is None:
                continue
            if entry.kind != DIRECTORY or entry.id == EMPTY_TREE:
                yield Changed(path, status, entry, source if status == ADDED else None)
                continue
            for below, inner in walk_tree(reader, entry.tree, path):
                if inner.kind != DIRECTORY or inner.id == EMPTY_TREE:
                    came = None if source is None or status == DELETED else source + below[len(path) :]
                    yield Changed(below, status, inner, came)


def _shown(changes: list[Change]) -> Iterator[Change]:
    """All but what only says that a unit is another one: what differs in it follows."""
    for change in changes:
        _, old, new = change
        if old is None or new is None or not old.kind == DIRECTORY == new.kind or old.perm != new.perm:
            yield change


def summarize(reader: TreeReader, changes: list[Change]) -> list[Changed]:
    """One change for every path at which trees differ; what was only moved is one, too."""
    sources = moved(changes)
    gone = set(sources.values())
    found: list[Changed] = []
    for change in _shown(changes):
        path, old, new = change
        if new is None:
            if old is not None and path not in gone:
                found.append(Changed(path, DELETED, old, None, _count(reader, old)))
        elif old is None:
            found.append(Changed(path, ADDED, new, sources.get(path), _count(reader, new)))
        else:
            found.append(Changed(path, change.word, new))
    return found


def moved(changes: list[Change]) -> dict[bytes, bytes]:
    """The new paths whose very content went from another, with that other; nothing is guessed, and nothing empty
    counts."""
    gone: dict[tuple[bytes, bytes], list[bytes]] = {}
    for path, old, new in reversed(changes):
        if new is None and old is not None and (old.id != EMPTY_TREE if old.kind == DIRECTORY else old.size):
            gone.setdefault((old.kind, old.id), []).append(path)
    found: dict[bytes, bytes] = {}
    for path, old, new in changes:
        if old is None and new is not None:
            paths = gone.get((new.kind, new.id))
            if paths:
                found[path] = paths.pop()
    return found


def _count(reader: TreeReader, entry: Entry) -> int:
    if entry.kind != DIRECTORY:
        return 1
    return sum(below.kind != DIRECTORY for _, below in walk_tree(reader, entry.tree))
