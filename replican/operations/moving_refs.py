"""Moving refs by hand, as far as that can do no harm."""

from replican.decisions import gates
from replican.decisions.treediff import tally
from replican.effects.lock import Lock
from replican.effects.refs import ANY, HEAD, Anything, Expected
from replican.operations.recording import deletion_gates
from replican.repository import Repository
from replican.values.errors import DamagedError, MovedError, NotFoundError, RefusedError
from replican.values.ids import CheckpointId


def move_ref(
    repo: Repository,
    ref: str,
    new: CheckpointId,
    old: Expected = ANY,
    *,
    reason: str = "update-ref",
    allowed: frozenset[str] = frozenset(),
) -> None:
    """Move a ref to a checkpoint that is on the log, if it is at ``old`` (None: not there), else raise ``MovedError``.

    The head only ever goes forward, and past the gates before mass deletion; else ``RefusedError``. One that is damaged
    may be put anywhere.
    """
    if not repo.objects.has(new):
        raise NotFoundError(f"no object '{new.hex()}' on the log")
    repo.tree(repo.checkpoint(new).tree)  # is there, or it raises
    if ref != HEAD:
        with repo.writing("update-ref"):
            repo.refs.update(ref, new, old, reason, repo.who)
        return
    try:
        repo.refs.read(HEAD)
    except DamagedError:
        _mend_head(repo, new, old, reason)
        return
    with repo.writing("update-ref"):
        head = repo.head
        if not isinstance(old, Anything) and head != old:
            raise MovedError(f"head is not at {_show(old)}: it is at {_show(head)}", "run the command again")
        if head == new:
            return
        if head is not None and not repo.graph.is_ancestor(head, new):
            raise RefusedError(
                "the head never moves back or aside: that checkpoint does not come from it",
                "`replican undo` takes back a merge, `replican merge ID` joins another line",
            )
        counted = tally(repo, repo.index.base_root(), repo.tree_of(new))
        gates.pass_gates(deletion_gates(repo.index, counted), allowed)
        repo.refs.update(HEAD, new, head, reason, repo.who)


def _mend_head(repo: Repository, new: CheckpointId, old: Expected, reason: str) -> None:
    # Without what the other commands do once they have the lock: all of it begins at the head.
    lock = Lock(repo.dotdir, "update-ref")
    lock.acquire(repo.wait)
    try:
        repo.refs.update(HEAD, new, old, reason, repo.who)
    finally:
        lock.release()


def delete_ref(repo: Repository, ref: str, old: Expected = ANY) -> None:
    """Delete a ref that is at ``old``, else raise ``MovedError``. The head is never deleted."""
    if ref == HEAD:
        raise RefusedError("the head is never deleted", "a folder without a log is made by deleting its .replican")
    with repo.writing("update-ref"):
        repo.refs.delete(ref, old)


def _show(id: CheckpointId | None) -> str:
    return "nothing" if id is None else id.hex()
