"""Undo: take back what the last merge changed here, as a new user checkpoint.

``T = reconcile(base = the merged head, left = what is recorded now, right = what was recorded before the merge)``: so
only what the merge changed is taken back, and what was edited since stays. The head never moves back.
"""

from typing import Final, NamedTuple

from replican.decisions.edits import edit_tree
from replican.decisions.reconcile import reconcile
from replican.decisions.treediff import diff_trees, listing_at
from replican.effects.contents import NO_CONTENT, Wanted, find
from replican.effects.prepared import needs_content
from replican.effects.reflog import ReflogEntry
from replican.effects.refs import HEAD
from replican.operations.amending import Amended, amend, would_amend
from replican.operations.comparing import Difference, differences, on_disk
from replican.operations.merging import check_found, new_conflicts
from replican.operations.recording import Recorded, record
from replican.operations.sources import Sources, sources
from replican.repository import Repository
from replican.values.errors import RefusedError
from replican.values.ids import TreeId
from replican.values.names import group_key
from replican.values.paths import name_of, parent_of
from replican.values.progress import Traffic, together
from replican.values.trees import DIRECTORY, Entry, TreeOverlay

_MERGES: Final = ("merge", "push", "apply-plan: merge")
"""What the reason of a head's move begins with where somebody else's checkpoints came in."""


class Undone(NamedTuple):
    """What an undo did, or would: the merge that it takes back, what it changes, and new conflicts with later edits.

    After a dry run ``recorded`` is None. ``wire`` is what went over the wire, if there is one.
    """

    merge: ReflogEntry
    recorded: Recorded | None
    changes: list[Difference]
    amended: Amended
    conflicts: list[bytes]
    wire: Traffic | None = None


def last_merge(repo: Repository) -> ReflogEntry:
    """The last move of the head that was a merge; raises ``RefusedError`` where there is none that can be taken
    back."""
    for line in repo.refs.reflog(HEAD):
        if line.reason.startswith(_MERGES):
            if line.old is None:
                raise RefusedError(
                    "there is no merge to undo: the first one filled this folder",
                    "to have the folder no more, delete it with its .replican",
                )
            return line
    raise RefusedError("there is no merge to undo", "`replican reflog` shows what happened to this folder")


def undo(repo: Repository, *, allowed: frozenset[str] = frozenset(), dry_run: bool = False) -> Undone:
    """Take back what the last merge changed here. Edits are recorded first; a dry run records nothing.

    ``allowed`` are flags of open gates. Raises ``RefusedError`` where there is no merge, where the content of what it
    replaced is nowhere any more, or at a closed gate: then nothing was changed.
    """
    wires: list[Traffic] = []
    if dry_run:
        merge = last_merge(repo)
        seen = on_disk(repo)
        tree, changes = _taken_back(repo, seen.trees, merge, seen.recorded)
        with sources(repo, wires=wires) as found:
            _check_content(changes, found)
        amended = would_amend(repo, seen.trees, seen.recorded, tree, allowed=allowed)
        conflicts = _conflicts(seen.trees, seen.recorded, tree)
        return Undone(merge, None, changes, amended, conflicts, together(wires))
    with repo.writing("undo"):
        merge = last_merge(repo)
        recorded = record(repo, allowed=allowed)
        overlay = TreeOverlay(repo)
        now = repo.head_tree
        tree, changes = _taken_back(repo, overlay, merge, now)
        with sources(repo, wires=wires) as found:
            _check_content(changes, found)
            message = f"undo: {merge.reason}"
            came = frozenset(change.path for change in changes)
            amended = amend(repo, overlay, tree, message, found.for_writing, allowed=allowed, must_have=came)
        return Undone(merge, recorded, changes, amended, _conflicts(overlay, now, tree), together(wires))


def _taken_back(
    repo: Repository, overlay: TreeOverlay, merge: ReflogEntry, now: TreeId
) -> tuple[TreeId, list[Difference]]:
    """The tree without what a merge changed, and how it differs from the one that is now."""
    before = repo.tree_of(merge.old)
    tree = reconcile(overlay, repo.tree_of(merge.new), now, before).tree
    tree = edit_tree(overlay, tree, _settled_since(overlay, before, now, tree))
    return tree, differences(overlay, now, tree)


def _settled_since(overlay: TreeOverlay, before: TreeId, now: TreeId, tree: TreeId) -> dict[bytes, Entry]:
    """What is now at names that would be left with nothing, though they had something before the merge.

    A conflict of the merge that was settled since, in favour of the other side: each of the two has removed what the
    other kept. Nobody wants neither, so what was settled stands.
    """
    kept: dict[bytes, Entry] = {}
    for path, old, new in diff_trees(overlay, now, tree):
        if new is not None or old is None or old.kind == DIRECTORY:
            continue
        directory, key = parent_of(path), group_key(name_of(path))
        if _has(overlay, before, directory, key) and not _has(overlay, tree, directory, key):
            kept[path] = old
    return kept


def _has(overlay: TreeOverlay, tree: TreeId, directory: bytes, key: bytes) -> bool:
    return any(
        group_key(entry.name) == key and entry.kind != DIRECTORY for entry in listing_at(overlay, tree, directory)
    )


def _conflicts(overlay: TreeOverlay, now: TreeId, tree: TreeId) -> list[bytes]:
    return [conflict.path for conflict in new_conflicts(overlay, now, tree)]


def _check_content(changes: list[Difference], found: Sources) -> None:
    """Nothing is recorded that could not be brought back: what a merge replaced is in the trash until that expires."""
    wanted = [
        Wanted(new.blob, new.kind, new.size, path)
        for path, _, old, new in changes
        if new is not None and new.kind != DIRECTORY and needs_content(old, new) and new.id != NO_CONTENT
    ]
    there = find(found.all, wanted)
    check_found([item.hint for item in wanted if item.blob not in there])
