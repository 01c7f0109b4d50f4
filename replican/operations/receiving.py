"""What a folder does for who asks it as a remote: it records its user's edits, and takes in what is pushed to it.

Beside the pushing folder or at the far end of a wire, it is the same.
"""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from replican.effects.hashing import PuttingOff
from replican.operations.recording import record
from replican.operations.remotes import ObjectSource, Refreshed, Taken, diverged
from replican.operations.telling import Tell
from replican.repository import Repository
from replican.values.errors import FolderError, LockedError, RefusedError, WorkerError
from replican.values.ids import CheckpointId
from replican.values.progress import Problem
from replican.values.quoting import quote

if TYPE_CHECKING:
    from replican.effects.contents import ContentStore
    from replican.effects.mirror import Copying

_SHOWN = 10


def record_for(
    repo: Repository,
    name: str,
    *,
    mirror: "Copying | None" = None,
    paths: Collection[bytes] | None = None,
    tell: Tell | None = None,
    prompt: bool = False,
) -> Refreshed:
    """Record what the folder's user did, for somebody who calls this folder ``name``.

    What stands in the way of it is told, and what was recorded before is what the folder offers. (Decision 5: somebody
    has to do something about a gate and a full disk; a lock goes, and where nobody may write, nothing is amiss.) Raises
    ``DamagedError``, ``NotFoundError``, and ``WorkerError``, for a second try may do it. What is read is copied to
    ``mirror``; ``paths`` and ``tell`` are as those of ``record``. To be ``prompt`` is to put off large files, and those
    that somebody is writing to: who watches the folder records them.
    """
    notes: list[str] = []
    unread: list[Problem] = []
    refused = False
    settled: CheckpointId | None = None
    try:
        putting_off = PuttingOff(rested=()) if prompt else None
        made = record(repo, past_gates=True, mirror=mirror, paths=paths, tell=tell, putting_off=putting_off)
        unread = made.problems
        # Nobody over there is told, and it is said once only.
        left_alone = [f"{quote(each.path)}: {each.cause}" for each in made.skipped[:_SHOWN]]
        notes += [f"{name}: not recorded, and left alone: {shown}" for shown in left_alone]
        if len(made.skipped) > _SHOWN:
            notes.append(f"{name}: and {len(made.skipped) - _SHOWN} more that are left alone")
        refused = made.gated is not None
        settled = None if refused or made.behind else made.head
        if made.gated is not None:
            notes.append(f"{name} has edits that it does not record: {made.gated.message}")
    except WorkerError:
        raise
    except (FolderError, LockedError, RefusedError) as error:
        if repo.head is None:
            raise  # nothing was recorded before: there is nothing to offer
        refused = isinstance(error, RefusedError)
        notes.append(f"{name} could not record its latest edits: {error.message}")
    return Refreshed(take_notes(repo, name) + notes, unread, refused, settled)


def take_notes(repo: Repository, name: str) -> list[str]:
    """What the folder has to tell, to be told elsewhere."""
    notes = [f"{name}: {note}" for note in repo.notes]
    repo.notes.clear()
    return notes


def take_in(
    repo: Repository,
    name: str,
    head: CheckpointId | None,
    source: ObjectSource,
    stores: "Sequence[ContentStore]",
    check: Callable[[CheckpointId | None], None],
) -> Taken:
    """Take in ``head``, which was pushed to this folder, by its own gates; with the same head, try what is pending.

    ``check`` is told the head that stands here, with the lock held, and raises where ``head`` is no fast-forward.
    """
    from replican.decisions.frontier import JoinKind, join
    from replican.operations.fetching import take_over
    from replican.operations.merging import merge, settle_pending

    with repo.writing("receive a push"):
        old = repo.head
        if head == old:
            pending = settle_pending(repo, stores).pending if repo.index.base_root() != repo.head_tree else []
            taken = Taken(old, old, pending, None, [])
        else:
            check(old)
            assert head is not None
            take_over(repo, source, head)
            if join(repo.graph, old, head).kind is not JoinKind.FAST_FORWARD:  # whatever the pusher thinks
                raise diverged(name)
            merged = merge(repo, head, stores, reason="push from elsewhere")
            taken = Taken(old, merged.head, merged.pending, merged.tally, [])
    return taken._replace(notes=take_notes(repo, name))  # with what hooks had to say, once nothing was locked
