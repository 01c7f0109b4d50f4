"""Merge: join another head to this one, and bring the folder to what comes of it.

Plan, gates, stage, record, transition: up to the record nothing of the user's is touched, and after it a kill or a path
that cannot be written only leaves the disk behind the head, where the next command goes on.
"""

import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import NamedTuple

from replican.decisions import gates
from replican.decisions.fitting import plan_for
from replican.decisions.frontier import Joined, JoinKind, join, merge_checkpoint
from replican.decisions.limits import Limits, Measure, measured_changes
from replican.decisions.plan import Plan, leave
from replican.decisions.reconcile import OpenConflict, conflicts_in, conflicts_of
from replican.decisions.treediff import Change, Tally, diff_trees, find_entry, listing_at, tally, tally_changes
from replican.effects.contents import ContentStore, FolderStore
from replican.effects.forms import CHECKPOINT, TREE
from replican.effects.gleaning import glean
from replican.effects.groundwork import Groundwork
from replican.effects.mirror import Mirror
from replican.effects.prepared import NO_SOURCE, NOT_HERE, Prepared, place_of
from replican.effects.preparing import Preparation
from replican.effects.refs import HEAD, remote_head
from replican.effects.site import Site
from replican.effects.staging import Stage
from replican.effects.transition import Outcome, Transition
from replican.effects.trash import Trash
from replican.operations.hooking import MERGING, ask_before_merge, tell_of_merge, told_at_gates
from replican.operations.recording import count_anew, deletion_gates, new_trees
from replican.operations.room import blobs_of, room_gates
from replican.operations.trashing import rescue_changed
from replican.repository import Repository
from replican.values import paths
from replican.values.checkpoints import Checkpoint, encode_checkpoint
from replican.values.errors import DamagedError, FoldedError, NotFoundError, RefusedError, RemoteError
from replican.values.hooks import NOBODY
from replican.values.ids import EMPTY_TREE, CheckpointId, TreeId
from replican.values.progress import Problem, Traffic
from replican.values.traits import STRONG
from replican.values.trees import DIRECTORY, TreeOverlay, TreeReader


class Merged(NamedTuple):
    """What a merge did: ``kind`` is how the heads related, ``tally`` what changed in this folder, without what is
    pending.

    ``conflicts`` are the names that have more than one version since this merge; ``pending`` where the disk is
    behind the head now. With a dry run, ``plan`` is what would be done, and nothing was. ``wire`` is what went over the
    wire, where whoever merges has opened the links.
    """

    kind: JoinKind
    old: CheckpointId | None
    head: CheckpointId | None
    tally: Tally
    outcome: Outcome
    conflicts: list[OpenConflict]
    pending: list[Problem]
    plan: Plan
    wire: Traffic | None = None


NO_OUTCOME = Outcome(0, 0, 0, [])


def merge(
    repo: Repository,
    theirs: CheckpointId | None,
    stores: Sequence[ContentStore],
    *,
    allowed: frozenset[str] = frozenset(),
    merged_before: bool = False,
    dry_run: bool = False,
    reason: str = "merge",
    whom: str = NOBODY,
    mirror: Mirror | None = None,
) -> Merged:
    """Join ``theirs`` to the head. ``stores`` may have content that is not here; ``allowed`` are flags of open gates.

    ``merged_before`` tells that this history once had something in common with ours; ``whom``, for hooks, which remote
    it is of. Raises ``RefusedError`` at a closed gate or where a hook refuses, ``NoSpaceError``, ``RemoteError`` where
    content is needed and no source is there at all.
    """
    with repo.writing("merge"):
        ours = repo.head
        joined = join(repo.graph, ours, theirs)
        overlay = TreeOverlay(repo)
        head, checkpoint = _head_of(repo, overlay, joined)
        tree = EMPTY_TREE if checkpoint is None else checkpoint.tree
        unrelated = _unrelated(repo, joined, merged_before) if joined.kind is JoinKind.MERGE else None
        if dry_run:
            aim = aim_at(repo, overlay, tree, stores, [unrelated], allowed)
            return Merged(joined.kind, ours, head, aim.tally, NO_OUTCOME, aim.conflicts, [], aim.plan)
        with told_at_gates(repo, whom, MERGING):
            aim = aim_at(repo, overlay, tree, stores, [unrelated], allowed)
            if head != ours and theirs is not None:
                ask_before_merge(repo, whom, theirs)
        outcome = carry_out(
            repo,
            overlay,
            aim.plan,
            stores,
            lambda: record_merge(repo, overlay, ours, head, checkpoint, reason),
            mirror=mirror,
        )
        count_anew(repo, allowed)
        tell_of_merge(repo, whom, ours, head, aim.conflicts)
        done = done_of(repo, overlay, aim.plan, aim.tally)
        return Merged(joined.kind, ours, head, done, outcome, aim.conflicts, outcome.pending, aim.plan)


class Aim(NamedTuple):
    """What it takes to bring the folder to another tree, past the gates: see :class:`Merged`."""

    plan: Plan
    tally: Tally
    conflicts: list[OpenConflict]


def aim_at(
    repo: Repository,
    overlay: TreeOverlay,
    tree: TreeId,
    stores: Sequence[ContentStore],
    closed: list[gates.Gate | None],
    allowed: frozenset[str],
) -> Aim:
    """Plan how the folder comes to hold ``tree``, with content of ``stores``; raises ``RefusedError`` at a gate, also
    at those in ``closed``."""
    base, head = repo.index.base_root(), repo.head_tree
    measured: dict[TreeId, Measure] = {}
    changes = measured_changes(overlay, base, tree, Limits(), measured)
    plan, counted = plan_past_gates(repo, overlay, base, tree, allowed, stores, closed, changes, measured)
    return Aim(plan, counted, new_conflicts(overlay, head, tree, changes if base == head else None))


def plan_past_gates(
    repo: Repository,
    overlay: TreeOverlay,
    base: TreeId,
    tree: TreeId,
    allowed: frozenset[str],
    stores: Sequence[ContentStore] = (),
    closed: Sequence[gates.Gate | None] = (),
    changes: Sequence[Change] | None = None,
    measured: dict[TreeId, Measure] | None = None,
) -> tuple[Plan, Tally]:
    """The plan that brings the folder from ``base`` to ``tree``, and what it comes to.

    ``stores`` have content for it; ``changes`` are those between the two, and ``measured`` are directories, where they
    are known. Raises ``RefusedError`` at a gate, also at those in ``closed``.
    """
    plan = plan_for(overlay, repo.traits, base, tree, changes)
    if plan.fitted is None and changes is not None:
        counted = tally_changes(overlay, changes)
    else:
        counted = tally(overlay, base, tree if plan.fitted is None else plan.fitted)
    room = room_gates(repo, overlay, plan, {} if measured is None else measured, stores)
    gates.pass_gates([*closed, *deletion_gates(repo.index, counted), *room], allowed)
    return plan, counted


def retry_pending(repo: Repository) -> list[Problem]:
    """Try again what holds the disk behind the head, with the content that is at hand here; what is still pending.

    No remote is asked: what is not here may have a source all the same, unless that was found out before."""
    with repo.writing("retry"):
        nowhere = {problem.path for problem in repo.index.pending() if problem.cause == NO_SOURCE}
        pending = settle_pending(repo).pending
        told = [
            _not_here(repo, problem) if problem.cause == NO_SOURCE and problem.path not in nowhere else problem
            for problem in pending
        ]
        if told != pending:
            repo.index.set_pending(told)
        return told


def _not_here(repo: Repository, problem: Problem) -> Problem:
    """The same, with who will be asked: the remote whose head, as last fetched, has this very content there."""
    wanted = find_entry(repo, repo.head_tree, problem.path)
    for name in repo.config.remotes:
        with suppress(DamagedError, NotFoundError):
            there = find_entry(repo, repo.tree_of(repo.refs.read(remote_head(name))), problem.path)
            if there is not None and wanted is not None and (there.kind, there.id) == (wanted.kind, wanted.id):
                return problem._replace(cause=f"{NOT_HERE}: the next sync asks {name} for it")
    return problem


def settle_pending(repo: Repository, stores: Sequence[ContentStore] = ()) -> Outcome:
    """Try once more to bring the disk to the head; nothing is recorded. Needs the lock."""
    base = repo.index.base_root()
    if base == repo.head_tree:
        repo.index.set_pending([])
        return NO_OUTCOME
    overlay = TreeOverlay(repo)
    return carry_out(repo, overlay, plan_for(overlay, repo.traits, base, repo.head_tree), stores, None)


def _head_of(repo: Repository, overlay: TreeOverlay, joined: Joined) -> tuple[CheckpointId | None, Checkpoint | None]:
    if joined.head is not None:
        return joined.head, repo.checkpoint(joined.head)
    if not joined.frontier:
        return None, None
    return merge_checkpoint(repo.graph, overlay, joined.frontier, repo.index)


def _unrelated(repo: Repository, joined: Joined, merged_before: bool) -> gates.Gate | None:
    """No ancestor in common: a union, but not with a history that we have merged before."""
    parts = sorted(joined.frontier)
    related = any(repo.graph.common(parts[:at], parts[at]) for at in range(1, len(parts)))
    return gates.unrelated_histories(related, merged_before)


def new_conflicts(
    trees: TreeReader, before: TreeId, after: TreeId, changes: Iterable[Change] | None = None
) -> list[OpenConflict]:
    """The names with several versions in ``after`` that were not so in ``before``; reads only what differs.

    ``changes`` are those between the two, where they are known.
    """
    found: list[OpenConflict] = []
    touched: set[bytes] = set()
    inside: bytes | None = None
    for path, old, new in diff_trees(trees, before, after) if changes is None else changes:
        if inside is not None and paths.is_below(path, inside):
            continue  # in a unit, no name is a copy of another
        touched.add(paths.parent_of(path))
        if new is not None and new.is_unit:
            inside = path
        elif new is not None and new.kind == DIRECTORY and (old is None or old.kind != DIRECTORY):
            found += [_below(path, conflict) for conflict in conflicts_in(trees, new.tree)]
    for path in touched:
        now = [*conflicts_of(path, listing_at(trees, after, path))]
        if now:
            known = {conflict.path for conflict in conflicts_of(path, listing_at(trees, before, path))}
            found += [conflict for conflict in now if conflict.path not in known]
    return sorted(found)


def _below(path: bytes, conflict: OpenConflict) -> OpenConflict:
    copies = tuple((paths.join(path, name), entry) for name, entry in conflict.copies)
    return OpenConflict(paths.join(path, conflict.path), conflict.current, copies)


def record_merge(
    repo: Repository,
    overlay: TreeOverlay,
    ours: CheckpointId | None,
    head: CheckpointId | None,
    checkpoint: Checkpoint | None,
    reason: str,
) -> None:
    """Have the log's head be ``head``, where it is not ``ours`` already; needs the lock. It is durable before a batch
    begins, or with the end of the lock."""
    if head is None or checkpoint is None or head == ours:
        return
    objects = {each: (TREE, payload) for each, payload in new_trees(repo, overlay, checkpoint.tree).items()}
    repo.objects.add({**objects, head: (CHECKPOINT, encode_checkpoint(checkpoint))})
    repo.refs.update(HEAD, head, ours, reason, repo.who, soon=True)


def carry_out(
    repo: Repository,
    overlay: TreeOverlay,
    plan: Plan,
    stores: Sequence[ContentStore],
    record: Callable[[], None] | None,
    must_have: Container[bytes] = (),
    *,
    mirror: Mirror | None = None,
    groundwork: Groundwork | None = None,
) -> Outcome:
    """Stage, record, transition; the pending paths are noted for ``status``.

    Where the content of a path in ``must_have`` is not to be had, nothing is recorded: ``RefusedError``. What was made
    ready for it is in the ``groundwork``.
    """
    plan, left = leave(plan, [entry.path for entry in repo.index.journal()])
    if plan.base != EMPTY_TREE and not repo.objects.has(plan.base):
        # The disk was behind: only the index has this, and soon it has another one.
        overlay.new.update((TreeId(at), payload) for at, payload in new_trees(repo, overlay, plan.base).items())
    if plan.is_empty:
        if record is not None:
            record()
        return NO_OUTCOME._replace(pending=_note_pending(repo, [*plan.held, *left]))
    with opened_site(repo) if groundwork is None else nullcontext(groundwork.site) as site:
        stage, trash = site.stage, site.trash
        if mirror is None and any(store.is_far for store in stores):
            glean(stage)
        _make_room(stage, overlay, plan, mirror)
        here = FolderStore("this folder", repo.root, repo.index, by_hint=False)
        try:
            local: list[ContentStore] = [here, trash.shelf, stage.shelf]
            strong = repo.traits == STRONG
            preparation = Preparation(overlay, stage, local, stores, repo.progress, mirror, groundwork, strong=strong)
            prepared = preparation.prepare(plan, site.look_ahead)
        except FoldedError:
            repo.forget_traits()
            raise
        finally:
            here.close()
        repo.check_place()
        if record is not None:
            _check_sources(prepared, stores, must_have)
            record()
        outcome = Transition(site, repo.progress).run(prepared)
        outcome = outcome._replace(pending=_note_pending(repo, [*plan.held, *left, *outcome.pending]))
        repo.notes += rescue_changed(repo.root, repo.index, trash)
        repo.index.note_size(repo.index.count_files(), time.time_ns())
        stage.clear()
    return outcome


def done_of(repo: Repository, overlay: TreeOverlay, plan: Plan, planned: Tally) -> Tally:
    """What was done of what a plan comes to, once it has been carried out: what is pending is not."""
    now = repo.index.base_root()
    wanted = plan.head if plan.fitted is None else plan.fitted
    return planned if now == wanted else tally(overlay, plan.base, now)


def _make_room(stage: Stage, overlay: TreeOverlay, plan: Plan, mirror: Mirror | None) -> None:
    place = place_of(plan, mirror)
    if stage.leftovers() not in ([], [place]):
        stage.make_room(set(blobs_of(overlay, plan)), place)


@contextmanager
def opened_site(repo: Repository) -> Iterator[Site]:
    """The folder, to be changed, with its stage and its trash. Needs the lock."""
    with (
        Stage(f"{repo.dotdir}/stage") as stage,
        Trash(f"{repo.dotdir}/trash") as trash,
        Site(repo.root, repo.index, stage, trash, repo.traits) as site,
    ):
        yield site


def _note_pending(repo: Repository, pending: Sequence[Problem]) -> list[Problem]:
    """Keep for ``status`` what is pending; the same, where what was held before this command is marked as known."""
    before = repo.held_before
    repo.index.set_pending(pending)
    return [each._replace(known=each.held and each[:2] in before) for each in pending]


def _check_sources(prepared: Prepared, stores: Sequence[ContentStore], must_have: Container[bytes]) -> None:
    check_found([problem.path for problem in prepared.lacking if problem.path in must_have])
    lacking = [problem for problem in prepared.lacking if not problem.held]
    if lacking and not any(store.is_reached for store in stores):
        first = lacking[0].path.decode("utf-8", "surrogateescape")
        raise RemoteError(
            f"content is missing ({first} and so on) and no source can be reached",
            "nothing was recorded; connect the remote and try again",
        )


def check_found(lost: Sequence[bytes]) -> None:
    """Raise ``RefusedError`` if any path is in ``lost``: those whose content is nowhere any more."""
    if lost:
        shown = ", ".join(paths.show(path) for path in lost[:3])
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        raise RefusedError(
            f"the content of {len(lost)} {'file' if len(lost) == 1 else 'files'} is nowhere any more: {shown}{more}",
            "nothing was changed; connect a remote that has it, or bring back single files with `replican restore`",
        )
