"""Fetch: bring the log up to what a remote has recorded. No file of the user's changes.

Only checkpoints and trees that are not here travel; each is checked, hash and form and whether it is allowed at
all, before it is stored, and the ref that remembers the remote's head moves last.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from replican.decisions.frontier import check_received
from replican.decisions.graph import Graph
from replican.decisions.limits import LimitError, Limits, Measure, measure_tree
from replican.decisions.treediff import unknown_below
from replican.effects.forms import CHECKPOINT, TREE, parse_as_tree
from replican.effects.refs import remote_head
from replican.operations.remotes import ObjectSource, Remote, of_remote
from replican.repository import Repository
from replican.values.checkpoints import Checkpoint, encode_checkpoint
from replican.values.errors import (
    DamagedError,
    MalformedError,
    MissingObjectError,
    NotFoundError,
    RemoteError,
    ReplicanError,
)
from replican.values.ids import EMPTY_TREE, CheckpointId, TreeId
from replican.values.trees import DIRECTORY, Entry, TreeOverlay

Parse = Callable[[bytes, bytes], list[Entry]]
"""Makes entries of a tree's id and its payload; raises what :func:`parse_as_tree` does, or what becomes of it."""


class Fetched(NamedTuple):
    """What came: ``old`` and ``new`` are the remote's head as known before and now; counts of what was new here.
    ``forced`` tells that the new head does not come from the old one."""

    remote: str
    old: CheckpointId | None
    new: CheckpointId | None
    checkpoints: int
    trees: int
    forced: bool = False


class _Received:
    """Checkpoints on their way in: those here and, above them, those that came."""

    def __init__(self, repo: Repository) -> None:
        self._repo = repo
        self.new: dict[CheckpointId, Checkpoint] = {}

    def checkpoint(self, checkpoint: CheckpointId, /) -> Checkpoint:
        found = self.new.get(checkpoint)
        return self._repo.checkpoint(checkpoint) if found is None else found


def fetch_from(repo: Repository, remote: Remote, *, trust: bool = False) -> Fetched:
    """Take over what is new of the remote's log. ``trust`` (a first clone) takes its merges as they are.

    Raises ``RemoteError`` where something is wrong with what the remote has, ``DamagedError`` with what is here.
    """
    ref = remote_head(remote.name)
    with repo.writing("fetch"):
        old = repo.refs.read(ref)
        try:
            head = remote.head
        except (DamagedError, NotFoundError) as error:
            raise remote.damaged(error) from error
        try:
            counts = (0, 0) if head is None else _take_theirs(repo, remote, head, trust)
        except (DamagedError, MissingObjectError) as error:
            raise damaged_here(error) from error
        except NotFoundError as error:  # what it names is here, and is something else
            raise remote.damaged(error) from error
        except LimitError as error:  # no gate of the user's: nothing that is typed here opens it
            raise of_remote(remote.name, error) from error
        if head is None:
            if old is not None:
                raise RemoteError(
                    f"remote {remote.name} has an empty log, and had one before",
                    "it was made anew: if this is meant, remove the remote and add it again",
                )
        elif head != old:
            repo.refs.update(ref, head, old, f"fetch {remote.name}", repo.who, soon=True)
        forced = old is not None and head is not None and not _comes_from(repo, head, old, counts[0])
        return Fetched(remote.name, old, head, *counts, forced)


def _take_theirs(repo: Repository, remote: Remote, head: CheckpointId, trust: bool) -> tuple[int, int]:
    theirs = _Theirs(remote, remote.log_above(repo, head))
    return take_over(repo, theirs, head, trust=trust, parse=theirs.parse)


class _Theirs:
    """What a remote hands out: whatever is wrong with that is the remote's."""

    def __init__(self, remote: Remote, source: ObjectSource) -> None:
        self._remote = remote
        self._source = source

    def checkpoint(self, checkpoint: CheckpointId, /) -> Checkpoint:
        try:
            return self._source.checkpoint(checkpoint)
        except (DamagedError, NotFoundError) as error:
            raise self._remote.damaged(error) from error

    def payload(self, kind: bytes, id: bytes, /) -> bytes:
        try:
            return self._source.payload(kind, id)
        except (DamagedError, NotFoundError) as error:
            raise self._remote.damaged(error) from error

    def parse(self, tree: bytes, payload: bytes) -> list[Entry]:
        """The entries of a tree that it handed out."""
        try:
            return parse_as_tree(tree, payload)
        except DamagedError as error:
            raise self._remote.damaged(error) from error


def damaged_here(error: ReplicanError) -> ReplicanError:
    """What to raise where an object that should be in the log here is missing or damaged."""
    if isinstance(error, DamagedError) and error.code not in (DamagedError.code, MalformedError.code):
        return error  # of the index, which is no log
    hint = "run `replican fsck --repair`: what is lost is taken from the remotes where they have it"
    return DamagedError(f"the log here is damaged: {error.message}", hint)


def _comes_from(repo: Repository, head: CheckpointId, old: CheckpointId, came: int) -> bool:
    """Whether ``head`` comes from ``old``, or is it. Mostly that is the parent of one of those that ``came``: the log
    below need not be walked."""
    seen, waiting = {head}, deque([head])
    while waiting and old not in seen and came >= 0:
        came -= 1
        parents = repo.graph.parents(waiting.popleft())
        waiting.extend(each for each in parents if each not in seen)
        seen.update(parents)
    return old in seen or repo.graph.is_ancestor(old, head)


def take_over(
    repo: Repository,
    source: ObjectSource,
    head: CheckpointId,
    *,
    trust: bool = False,
    parse: Parse = parse_as_tree,
) -> tuple[int, int]:
    """Copy ``head`` with all that it needs from ``source``, of which trees are read by ``parse``; how many checkpoints
    and trees were new."""
    received = _Received(repo)
    order: list[CheckpointId] = []
    stack = [head]
    while stack:
        at = stack.pop()
        if at in received.new or repo.objects.has(at):
            continue
        checkpoint = source.checkpoint(at)
        received.new[at] = checkpoint
        order.append(at)
        stack.extend(checkpoint.parents)
    if not order:
        repo.checkpoint(head)  # what is here may be no checkpoint
        return 0, 0
    overlay = TreeOverlay(repo)
    plain = _take_trees(repo, source, parse, overlay, (received.new[at].tree for at in reversed(order)))
    graph = Graph(received)
    parents_first = graph.missing([head], Stored(repo))
    trusted = received.new if trust else ()
    check_received(graph, overlay, parents_first, repo.index, trusted=trusted, plain=plain)
    objects: dict[bytes, tuple[bytes, bytes]] = {tree: (TREE, payload) for tree, payload in overlay.new.items()}
    trees = len(objects)
    for at in parents_first:
        objects[at] = (CHECKPOINT, encode_checkpoint(received.new[at]))
    repo.objects.add(objects)
    return len(parents_first), trees


class _AtHand:
    """The one tree that is being looked at; of those that are here already nothing is counted again.

    So a tree may grow beyond the limits over many fetches: a merge measures all that it would write out.
    """

    def __init__(self) -> None:
        self.id = EMPTY_TREE
        self.entries: Sequence[Entry] = ()

    def tree(self, tree: TreeId, /) -> Sequence[Entry]:
        return self.entries if tree == self.id else ()


def _take_trees(
    repo: Repository, source: ObjectSource, parse: Parse, overlay: TreeOverlay, tops: Iterable[TreeId]
) -> set[TreeId]:
    """Read what is new of these trees and measure it, those below first. Those that have no units, as far as that can
    be told from what is new alone."""
    plain = {EMPTY_TREE}
    limits, measured, at_hand = Limits(), dict[TreeId, Measure](), _AtHand()
    payloads: dict[TreeId, bytes] = {}

    def read(tree: TreeId) -> Sequence[Entry]:
        # Everybody knows the empty one, so it need not be there.
        payloads[tree] = payload = b"" if tree == EMPTY_TREE else source.payload(TREE, tree)
        return parse(tree, payload)

    def lacking(trees: Iterable[TreeId]) -> list[TreeId]:
        # One that is here as a checkpoint is no tree, whatever a listing says: it is lacking, and not to be had.
        # Of the checkpoint that needs them it was looked for whether it had come: that is once for all.
        return repo.objects.lacking([tree for tree in trees if tree not in overlay.new], TREE, looked=True)

    for top in tops:
        for tree, entries in unknown_below(read, lacking, top):
            at_hand.id, at_hand.entries = tree, entries
            measure_tree(at_hand, tree, limits, measured)
            overlay.new[tree] = payloads.pop(tree)
            repo.objects.keep_parsed(tree, entries)
            below = [entry for entry in entries if entry.kind == DIRECTORY]
            if plain.issuperset([entry.tree for entry in below]) and not any(entry.is_unit for entry in below):
                plain.add(tree)
    return plain


class Stored:
    """The checkpoints that ``repo`` has."""

    def __init__(self, repo: Repository) -> None:
        self._repo = repo

    def __contains__(self, checkpoint: object) -> bool:
        return isinstance(checkpoint, bytes) and self._repo.objects.has(checkpoint)
