"""Recording anew: after the head was put back to an older checkpoint, since the last ones are nowhere any more.

The folder is ahead of its log then, and the index says how far. Left so, the next command would bring the folder back
to the older head, and the work that the lost checkpoints had recorded would go into the trash.
"""

from replican.decisions.edits import edit_tree
from replican.decisions.reconcile import reconcile
from replican.decisions.treediff import tally
from replican.operations.recording import append
from replican.repository import Repository
from replican.values.ids import EMPTY_TREE, CheckpointId
from replican.values.trees import TreeOverlay


def record_anew(repo: Repository, lost: CheckpointId) -> CheckpointId | None:
    """Put what the folder is known to hold on top of the head, for ``lost`` and those before it; needs the lock.

    None where nothing differs, or nothing is known: an index that was lost, too, leaves every version of a name to the
    next commit. No file is looked at, and none changes. Of a path that was pending nobody knows which of both is the
    newer: it keeps both. Raises what reading the head and the index does.
    """
    old, base = repo.head_tree, repo.index.base_root()
    if base in (old, EMPTY_TREE):
        return None
    overlay = TreeOverlay(repo)
    common = edit_tree(overlay, old, dict.fromkeys(problem.path for problem in repo.index.pending()))
    tree = reconcile(overlay, common, old, base).tree
    if tree == old:
        return None
    message = (
        f"what the folder held, recorded anew\n\n"
        f"The checkpoint {lost.hex()} was lost; fsck --repair put this in its place.\n"
    )
    return append(repo, overlay, tree, repo.head, message, tally(overlay, old, tree), observed=False)
