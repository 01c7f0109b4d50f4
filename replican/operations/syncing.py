"""Pull, push and sync: a folder and a remote's folder in step.

Nobody who holds one side's lock waits for the other's: two folders that sync with each other at the same moment wait,
and do not block each other. (The process that records over there holds that side's lock and waits for nobody; this one
may hold its own meanwhile, and wait for that process to be done.)
"""

from collections.abc import Callable, Collection
from contextlib import closing
from typing import Final, NamedTuple

from replican.decisions.frontier import JoinKind
from replican.decisions.treediff import Tally
from replican.effects.mirror import Mirror
from replican.effects.precutting import Precutter
from replican.effects.prepared import NO_SOURCE
from replican.effects.refs import remote_head
from replican.operations.ahead import bring_ahead, take_ahead
from replican.operations.fetching import Fetched, damaged_here, fetch_from
from replican.operations.foretold import Foretold, merge_foretold
from replican.operations.hooking import PUSHING, told_at_gates
from replican.operations.keeping import Keeping
from replican.operations.merging import Merged, merge
from replican.operations.recording import Recorded, record
from replican.operations.remotes import Refreshed, Remote, opened_remote
from replican.repository import Repository
from replican.values.errors import DamagedError, DivergedError, MissingObjectError, RefusedError
from replican.values.ids import CheckpointId
from replican.values.paths import show
from replican.values.progress import Problem, Traffic

MOST_ROUNDS = 5
_CHANGED_SINCE: Final = "it has changed here since it was recorded; `replican sync` records it once more"


class Pulled(NamedTuple):
    """What a pull did, step by step; ``theirs`` is how the remote recorded its user's edits. ``wire`` is what went over
    the wire, if there is one, here and below."""

    recorded: Recorded
    fetched: Fetched
    merged: Merged
    theirs: Refreshed
    wire: Traffic | None = None


class Pushed(NamedTuple):
    """What a push did: where the remote's head was and is, what is pending there, what it changed there (None where its
    head did not move; what is pending is not in it), how it recorded its user's edits, and how many paths are pending
    there that ``pending`` lacks."""

    remote: str
    old: CheckpointId | None
    new: CheckpointId | None
    pending: list[Problem]
    tally: Tally | None
    theirs: Refreshed
    wire: Traffic | None = None
    unnoted: int = 0


class Synced(NamedTuple):
    """What a sync with one remote did; ``equal`` tells that both heads are the same now, ``theirs`` how the remote
    recorded its user's edits."""

    remote: str
    recorded: Recorded
    pulled: list[Merged]
    pushed: list[Pushed]
    equal: bool
    theirs: Refreshed
    wire: Traffic | None = None


def merge_remote(
    repo: Repository,
    remote: Remote,
    *,
    allowed: frozenset[str] = frozenset(),
    mirror: Mirror | None = None,
) -> Merged:
    """Merge what is known of a remote's head, with its folder as the source of content."""
    ref = remote_head(remote.name)
    theirs = repo.refs.read(ref)
    before = theirs != repo.head and merged_before(repo, remote.name)
    with remote.contents() as stores, repo.writing("merge"):
        take_ahead(repo, remote.name)
        return merge(
            repo,
            theirs,
            stores,
            allowed=allowed,
            merged_before=before,
            reason=f"merge {remote.name}",
            whom=remote.name,
            mirror=mirror,
        )


def _has_changed(remote: Remote, merged: Merged) -> bool:
    """Whether what this merge lacks may be had if the remote records once more."""
    remote.lacked([each.path for each in merged.pending if each.cause == NO_SOURCE])
    return remote.has_changed


def merged_before(repo: Repository, name: str) -> bool:
    """Whether this log and what a remote once was ever had something in common."""
    ours = repo.head
    if ours is None:
        return False
    if any(line.reason == f"merge {name}" for line in repo.refs.reflog("head")):
        return True
    known = [line.old for line in repo.refs.reflog(remote_head(name)) if line.old is not None]
    return any(repo.objects.has(old) and repo.graph.merge_base(old, ours) for old in known)


def pull(repo: Repository, name: str, *, allowed: frozenset[str] = frozenset(), message: str | None = None) -> Pulled:
    """Commit local edits, fetch, merge."""
    with opened_remote(repo, name) as remote:
        recorded, theirs, ahead = _record_both(repo, remote, message, allowed)
        if ahead is not None and remote.head == ahead.fetched.new:
            fetched, merged = ahead
        else:  # or what changes there all the time was recorded after it
            fetched, merged = fetch_from(repo, remote), merge_remote(repo, remote, allowed=allowed)
            merged = merged if ahead is None else _together(ahead.merged, merged)
        if _has_changed(remote, merged):
            again, merged = merge_again(repo, remote, merged, allowed=allowed)
            counts = fetched.checkpoints + again.checkpoints, fetched.trees + again.trees
            fetched = Fetched(name, fetched.old, again.new, *counts, fetched.forced or again.forced)
        repo.notes += remote.summary()
        return Pulled(recorded, fetched, merged, theirs, remote.traffic)


def merge_again(
    repo: Repository, remote: Remote, merged: Merged, *, allowed: frozenset[str] = frozenset()
) -> tuple[Fetched, Merged]:
    """Fetch and merge once more, after a merge during which files changed over there: now the remote makes sure that
    what it records of them can be had."""
    repo.notes += remote.keep_changing(remote.refresh()).notes
    fetched = fetch_from(repo, remote)
    return fetched, _together(merged, merge_remote(repo, remote, allowed=allowed))


def _together(one: Merged, other: Merged) -> Merged:
    """What two merges did, one after the other."""
    kind = one.kind if other.kind is JoinKind.UP_TO_DATE else other.kind
    tally = Tally.total([one.tally, other.tally])
    return other._replace(kind=kind, old=one.old, tally=tally, conflicts=one.conflicts + other.conflicts)


def _record_both(
    repo: Repository, remote: Remote, message: str | None, allowed: frozenset[str]
) -> tuple[Recorded, Refreshed, Foretold | None]:
    """Record both folders' edits at the same time: the remote's scan is another process's. Where only the remote was
    edited, it is merged meanwhile."""

    with remote.refreshing() as over_there:
        is_wired = remote.traffic is not None
        precutter = Precutter(repo.block_cache_path, lambda path: repo.index.rows(path), is_wired)
        recorded = record(repo, message, allowed=allowed, past_gates=True, mirror=precutter)
        ahead = None
        if not recorded.new and recorded.gated is None:
            ahead = merge_foretold(repo, remote, over_there.told(), over_there.told, allowed=allowed)
        refreshed = over_there.result()
    refreshed = remote.keep_changing(refreshed)
    repo.notes += refreshed.notes
    return recorded, refreshed, ahead


def push(repo: Repository, name: str) -> Pushed:
    """Have a remote's folder take in what is recorded here, if that is a fast-forward over there, by its own gates.

    Its user's edits are recorded first. Raises ``DivergedError`` where it has checkpoints that are not here.
    """
    with opened_remote(repo, name) as remote:
        refreshed = remote.refresh()
        repo.notes += refreshed.notes
        pushed = push_to(repo, remote)._replace(theirs=refreshed, wire=remote.traffic)
        _tell_unsent(repo, remote, pushed)
        repo.notes += remote.summary()
        return pushed


def push_to(repo: Repository, remote: Remote) -> Pushed:
    """Push to an opened remote whose user's edits have been recorded."""
    head = repo.head
    try:
        with told_at_gates(repo, remote.name, PUSHING):
            taken = remote.push(repo, head)
    except RefusedError:
        repo.notes += repo.hooks.tell_now()
        raise
    except (DamagedError, MissingObjectError) as error:  # what is wrong over there is the remote's error
        raise damaged_here(error) from error
    repo.notes += taken.notes
    if taken.new is not None:
        with repo.writing("push"):
            known = repo.refs.read(remote_head(remote.name))
            if known != taken.new:
                repo.refs.update(remote_head(remote.name), taken.new, known, f"push {remote.name}", repo.who, soon=True)
    nothing = Refreshed([], [])
    return Pushed(remote.name, taken.old, taken.new, taken.pending, taken.tally, nothing, unnoted=taken.unnoted)


def sync(repo: Repository, name: str, *, allowed: frozenset[str] = frozenset(), message: str | None = None) -> Synced:
    """Pull and push until both heads are the same.

    A gate that is closed here stops recording only: what it holds back is in ``recorded.gated``. One that is closed
    over there raises ``RefusedError``.
    """
    with opened_remote(repo, name) as remote, closing(Keeping(repo, remote, allowed, message)) as keeping:
        recorded, theirs, ahead = _record_both(repo, remote, message, allowed)
        recorded = keeping.record_changing(recorded)

        def record_again(unsent: Collection[bytes]) -> None:
            nonlocal recorded
            recorded = keeping.record(recorded, unsent)

        again = record_again if recorded.gated is None else None
        exchanged = exchange(repo, remote, allowed=allowed, ahead=ahead, settled=theirs.settled, record_again=again)
        for pushed in exchanged.pushed[-1:]:
            _tell_unsent(repo, remote, pushed)
        repo.notes += remote.summary()
        theirs = theirs if exchanged.theirs is None else exchanged.theirs
        return Synced(name, recorded, exchanged.pulled, exchanged.pushed, exchanged.equal, theirs, remote.traffic)


def _tell_unsent(repo: Repository, remote: Remote, pushed: Pushed) -> None:
    """Tell why what is pending over there was not sent."""
    unsent = {*remote.unsent}.intersection([each.path for each in pushed.pending])
    repo.notes += [f"{show(path)} was not sent: {_CHANGED_SINCE}" for path in sorted(unsent)]


class Exchanged(NamedTuple):
    """What pulling from a remote and pushing to it came to; ``equal`` tells that both heads are the same now,
    ``theirs`` how the remote recorded its user's edits once more, where it had to."""

    pulled: list[Merged]
    pushed: list[Pushed]
    equal: bool
    theirs: Refreshed | None


def exchange(
    repo: Repository,
    remote: Remote,
    *,
    allowed: frozenset[str] = frozenset(),
    ahead: Foretold | None = None,
    settled: CheckpointId | None = None,
    unlocked: bool = False,
    record_again: Callable[[Collection[bytes]], None] | None = None,
) -> Exchanged:
    """Pull and push until both heads are the same, where both sides' edits have been recorded; with what was merged
    ``ahead``, if anything was. At the head ``settled`` the remote has nothing pending. Much content is brought
    ``unlocked``, where others want to record meanwhile, and watch both folders. ``record_again`` is told the paths of
    what a push could not send, since it had changed. Raises as :func:`sync` does."""
    pulled: list[Merged] = []
    pushed: list[Pushed] = []
    theirs: Refreshed | None = None
    recorded_there = False
    for round_ in range(MOST_ROUNDS):
        if round_ and not recorded_there:
            theirs = remote.keep_changing(remote.refresh(prompt=unlocked))
            repo.notes += theirs.notes
        recorded_there = False
        if round_ or ahead is None:
            if repo.head != remote.head or repo.head != repo.refs.read(remote_head(remote.name)):
                with repo.tailing.lasting():
                    fetch_from(repo, remote)
            if unlocked:
                bring_ahead(repo, remote)
            pulled.append(merge_remote(repo, remote, allowed=allowed))
        else:
            pulled.append(ahead.merged)
        # What may never be had from there leaves a round for what could not be sent.
        if _has_changed(remote, pulled[-1]) and round_ + 2 < MOST_ROUNDS:
            continue  # once more: now it makes sure that what it records can be had
        head = repo.head
        if settled is not None and head == settled == remote.head:
            pushed.append(Pushed(remote.name, head, head, [], None, Refreshed([], [])))
            break
        try:
            pushed.append(push_to(repo, remote))
        except DivergedError:
            # Just now, by somebody who has looked through it for that. Where it is not afar, its head is read anew.
            recorded_there = remote.traffic is None
            continue
        if record_again is None or not remote.unsent or round_ + 1 == MOST_ROUNDS:
            break
        record_again(remote.unsent)
    return Exchanged(pulled, pushed, repo.head == remote.head, theirs)
