"""Merging ahead: what a remote's folder is about to record is staged here before it has been recorded over there.

Where two folders were in step and only the other one was edited, its scan tells all that there is to know: so it does
where nothing is here yet. While its process still looks, this one loads, reads and stages what it will need for what
has been found so far; while that one makes its log durable, this one looks at the trees, plans, and stages the rest.
Recorded is in the usual order: over there first, then here, then the folder is changed. If anything turns out
otherwise, all that was done is undone by forgetting it, and the usual way is gone.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from replican.decisions.frontier import JoinKind
from replican.effects.contents import ContentStore
from replican.effects.forkpool import beside
from replican.effects.forms import TREE
from replican.effects.groundwork import Groundwork, know_listing
from replican.effects.mirror import Mirror
from replican.effects.refs import remote_head
from replican.operations.fetching import Fetched, fetch_from
from replican.operations.hooking import tell_of_merge
from replican.operations.merging import Merged, aim_at, carry_out, done_of, opened_site, record_merge
from replican.operations.recording import count_anew
from replican.operations.remotes import Remote
from replican.operations.telling import Glimpses, Made, News
from replican.repository import Repository
from replican.values.errors import ReplicanError
from replican.values.hooks import PRE_MERGE
from replican.values.ids import EMPTY_TREE, CheckpointId, TreeId, tree_id
from replican.values.trees import DIRECTORY, TreeOverlay

_MANY = 200  # trees: writing so many down takes longer than beginning another process; fewer are fetched as usual


class Foretold(NamedTuple):
    """What came of it: as if the remote had been fetched and merged after it had recorded."""

    fetched: Fetched
    merged: Merged


class _OtherwiseError(Exception):
    """It turned out otherwise."""


def merge_foretold(
    repo: Repository,
    remote: Remote,
    heard: object,
    hear: Callable[[], object],
    *,
    allowed: frozenset[str] = frozenset(),
    mirror: Mirror | None = None,
) -> Foretold | None:
    """Bring the folder to what the remote is about to record. ``heard`` is what it told first, ``hear`` waits for what
    comes next: see :mod:`replican.operations.telling`. A first clone has a ``mirror`` with what was copied meanwhile.

    None where the two were not in step, or where anything was in the way: then nothing here has changed.
    """
    if not isinstance(heard, Glimpses | News):
        return None
    # Whoever has told of anything holds the lock over there, and waits for nobody.
    with repo.writing("merge"):
        ours, before = repo.head, repo.head_tree
        if repo.refs.read(remote_head(remote.name)) != ours:
            return None
        if repo.index.base_root() != before or repo.index.has_observed():
            return None
        if repo.hooks.has(PRE_MERGE):
            return None  # it wants to know which checkpoint
        came: list[Fetched] = []
        overlay = TreeOverlay(repo)
        try:
            with ExitStack() as held:
                stores = held.enter_context(remote.contents())
                groundwork = None
                if isinstance(heard, Glimpses) and mirror is None:
                    site = held.enter_context(opened_site(repo))
                    groundwork = held.enter_context(Groundwork(overlay, repo.objects.keep_parsed, site, stores))
                while isinstance(heard, Glimpses):
                    if groundwork is not None:
                        groundwork.lay(heard.directories)
                    else:  # content and rows come with the copies
                        for each in heard.directories:
                            know_listing(overlay, each.payload)
                    heard = hear()
                if not isinstance(heard, News) or heard.before != before:
                    return None
                if groundwork is not None:
                    groundwork.flush()
                told = _Told(heard, hear, stores, groundwork)
                return _go_ahead(repo, remote, overlay, told, ours, allowed, mirror, came)
        except _OtherwiseError:
            return None
        except ReplicanError:
            if came:
                raise
            return None  # whatever it is, it will be met on the usual way, and said there


class _Told(NamedTuple):
    """What was told, who tells what comes next, and what was made of it so far."""

    news: News
    hear: Callable[[], object]
    stores: Sequence[ContentStore]
    groundwork: Groundwork | None

    def wait(self) -> None:
        """Wait until it is recorded, or nothing is told any more."""
        heard: object = self.news
        while not (heard is None or isinstance(heard, Made)):
            heard = self.hear()


def _go_ahead(
    repo: Repository,
    remote: Remote,
    overlay: TreeOverlay,
    told: _Told,
    ours: CheckpointId | None,
    allowed: frozenset[str],
    mirror: Mirror | None,
    came: list[Fetched],
) -> Foretold:
    news = told.news
    _take_told(repo, overlay, news)
    if mirror is not None:
        mirror.take_over(news.copied)
    objects = _objects(overlay, news)
    with ExitStack() as held:
        storing = held.enter_context(beside(lambda: repo.objects.add(objects))) if len(objects) > _MANY else None
        aim = aim_at(repo, overlay, news.after, told.stores, [], allowed)

        def record() -> None:
            if storing is not None:
                storing.result()
            told.wait()
            came.append(fetch_from(repo, remote))
            theirs = repo.refs.read(remote_head(remote.name))
            checkpoint = None if theirs is None else repo.checkpoint(theirs)
            if checkpoint is None or (checkpoint.tree, checkpoint.parents) != (
                news.after,
                () if ours is None else (ours,),
            ):
                raise _OtherwiseError
            record_merge(repo, overlay, ours, theirs, checkpoint, f"merge {remote.name}")

        outcome = carry_out(repo, overlay, aim.plan, told.stores, record, mirror=mirror, groundwork=told.groundwork)
        count_anew(repo, allowed)
    head = repo.head
    tell_of_merge(repo, remote.name, ours, head, aim.conflicts)
    done = done_of(repo, overlay, aim.plan, aim.tally)
    merged = Merged(JoinKind.FAST_FORWARD, ours, head, done, outcome, aim.conflicts, outcome.pending, aim.plan)
    return Foretold(came[0], merged)


def _objects(overlay: TreeOverlay, news: News) -> dict[bytes, tuple[bytes, bytes]]:
    """What was taken, to be stored, in the order of what was told: those below first, so that whoever has a tree has
    all of it, also after a kill."""
    return {tree: (TREE, payload) for tree, payload in news.payloads.items() if tree in overlay.new}


def _take_told(repo: Repository, overlay: TreeOverlay, news: News) -> None:
    """Put the trees that were told of into ``overlay``, each verified; what is not told of has to be in the log here.

    Told by our own program, but made from what the remote's index says: so they are checked like a stranger's. Beside
    the old tree, which is whole here, only what differs has to be looked up.
    """
    stack: list[tuple[TreeId, TreeId]] = [(news.before, news.after)]
    met: set[TreeId] = set()
    while stack:
        old, new = stack.pop()
        if new == old or new in met:
            continue
        met.add(new)
        if new not in overlay.new:  # it was not told of on the way
            payload = news.payloads.get(new)
            if payload is None:
                if repo.objects.lacking([new], TREE):
                    raise _OtherwiseError
                continue
            if tree_id(payload) != new:
                raise _OtherwiseError
            overlay.new[new] = payload
        entries = overlay.tree(new)
        repo.objects.keep_parsed(new, entries)  # who checks what was fetched will ask once more
        below = [entry for entry in entries if entry.kind == DIRECTORY]
        if below:
            there = {entry.name: entry.tree for entry in repo.tree(old) if entry.kind == DIRECTORY}
            stack += [(there.get(entry.name, EMPTY_TREE), entry.tree) for entry in below]
