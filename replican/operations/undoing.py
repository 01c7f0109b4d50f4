"""Undo: take back what the last merge changed here, as a new user checkpoint.

``T = reconcile(base = the merged head, left = what is recorded now, right = what was recorded before the merge)``: so
only what the merge changed is taken back, and what was edited since stays. The head never moves back.
"""

from typing import Final, NamedTuple

from replican.decisions.reconcile import reconcile
from replican.effects.contents import Wanted
from replican.effects.preparing import needs_content
from replican.effects.refs import HEAD, ReflogEntry
from replican.operations.amending import Amended, amend, would_amend
from replican.operations.comparing import Difference, differences, on_disk
from replican.operations.merging import check_found, new_conflicts
from replican.operations.recording import Recorded, record
from replican.operations.sources import NO_CONTENT, Sources, find, sources
from replican.repository import Repository
from replican.values.errors import RefusedError
from replican.values.ids import TreeId
from replican.values.trees import DIRECTORY, TreeOverlay

_MERGES: Final = ("merge", "push")
"""What the reason of a head's move begins with where somebody else's checkpoints came in."""


class Undone(NamedTuple):
    """What an undo did, or would: the merge that it takes back, what it changes, and new conflicts with later edits.

    After a dry run ``recorded`` is None.
    """

    merge: ReflogEntry
    recorded: Recorded | None
    changes: list[Difference]
    amended: Amended
    conflicts: list[bytes]


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
    if dry_run:
        merge = last_merge(repo)
        seen = on_disk(repo)
        tree, changes = _taken_back(repo, seen.trees, merge, seen.recorded)
        with sources(repo) as found:
            _check_content(changes, found)
        amended = would_amend(repo, seen.trees, seen.recorded, tree, allowed=allowed)
        return Undone(merge, None, changes, amended, _conflicts(seen.trees, seen.recorded, tree))
    with repo.writing("undo"):
        merge = last_merge(repo)
        recorded = record(repo, allowed=allowed)
        overlay = TreeOverlay(repo)
        now = repo.head_tree
        tree, changes = _taken_back(repo, overlay, merge, now)
        with sources(repo) as found:
            _check_content(changes, found)
            message = f"undo: {merge.reason}"
            came = frozenset(change.path for change in changes)
            amended = amend(repo, overlay, tree, message, found.for_writing, allowed=allowed, must_have=came)
        return Undone(merge, recorded, changes, amended, _conflicts(overlay, now, tree))


def _taken_back(
    repo: Repository, overlay: TreeOverlay, merge: ReflogEntry, now: TreeId
) -> tuple[TreeId, list[Difference]]:
    """The tree without what a merge changed, and how it differs from the one that is now."""
    tree = reconcile(overlay, repo.tree_of(merge.new), now, repo.tree_of(merge.old)).tree
    return tree, differences(overlay, now, tree)


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
