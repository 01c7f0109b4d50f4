"""Edits of a tree: some paths are given other entries, and the directories above them follow. Pure."""

from collections.abc import Mapping

from replican.decisions.treediff import find_entry
from replican.values.ids import EMPTY_TREE, TreeId
from replican.values.paths import ancestors_of, name_of, parent_of
from replican.values.trees import DIRECTORY, Entry, TreeOverlay

_DIRECTORY_PERM = 0o755


def edit_tree(trees: TreeOverlay, tree: TreeId, changes: Mapping[bytes, Entry | None]) -> TreeId:
    """``tree`` with other entries at the paths of ``changes``; None takes what is there away, with all below it.

    A name in an entry does not count: its path does. Directories that are missing above a path are made, with
    permissions 0755. What is a file where a directory is needed gives way to it. A directory that loses its last entry
    stays.
    """
    listings: dict[bytes, dict[bytes, Entry]] = {}
    for path, entry in sorted(changes.items()):
        if entry is None and (_goes_with_another(path, changes) or find_entry(trees, tree, path) is None):
            continue
        for above in reversed(ancestors_of(path)):
            if above not in listings:
                listings[above] = _open(trees, tree, above, listings)
        into = listings[parent_of(path)]
        if entry is None:
            into.pop(name_of(path), None)
        else:
            into[name_of(path)] = entry._replace(name=name_of(path))
    # Those below first, so that each finds the ids of what lies in it.
    for path in sorted(listings, key=lambda path: path.count(b"/") + bool(path), reverse=True):
        listing = listings[path]
        made = trees.add([listing[name] for name in sorted(listing)])
        if not path:
            return made
        above_it, name = listings[parent_of(path)], name_of(path)
        old = above_it.get(name)
        if old is None or old.kind != DIRECTORY:
            old = Entry(name, DIRECTORY, _DIRECTORY_PERM, 0, 0, EMPTY_TREE)
        above_it[name] = old._replace(id=made)
    return tree


def _open(
    trees: TreeOverlay, tree: TreeId, path: bytes, listings: dict[bytes, dict[bytes, Entry]]
) -> dict[bytes, Entry]:
    """The listing of a directory whose parent is open already; an empty one where there is no such directory."""
    if not path:
        return {entry.name: entry for entry in trees.tree(tree)}
    entry = listings[parent_of(path)].get(name_of(path))
    if entry is None or entry.kind != DIRECTORY:
        return {}
    return {below.name: below for below in trees.tree(entry.tree)}


def _goes_with_another(path: bytes, changes: Mapping[bytes, Entry | None]) -> bool:
    return any(above in changes and changes[above] is None for above in ancestors_of(path))
