"""Commit: what a folder's user did is recorded, on top of the head.

``T = reconcile(index, head, disk)``: with nothing pending that is simply the disk; where the disk is behind
the head, an edit made on the old version joins the newer one instead of burying it. Nothing of the user's is touched.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from itertools import islice
from typing import NamedTuple

from replican.decisions import gates
from replican.decisions.describing import MANY, describe, describe_changes
from replican.decisions.reconcile import reconcile
from replican.decisions.treediff import Tally, diff_trees, tally, tally_pairs, unknown_below
from replican.decisions.units import units_in_new
from replican.effects.completing import Sides
from replican.effects.forms import CHECKPOINT, TREE
from replican.effects.hashing import PuttingOff
from replican.effects.index import ASIDE, Index
from replican.effects.mirror import Copying
from replican.effects.observe import observe_paths
from replican.effects.refs import HEAD
from replican.effects.renames import moved_unread
from replican.effects.scan import Scan, scan
from replican.effects.trash import Trash
from replican.operations.hooking import gate_closed, gate_open
from replican.operations.telling import Tell, Telling
from replican.operations.trashing import rescue_changed
from replican.operations.units import look_at_units
from replican.repository import Repository
from replican.values.checkpoints import PLAIN_RULES, RULES, Checkpoint, encode_checkpoint, id_of
from replican.values.errors import DamagedError, RefusedError
from replican.values.hooks import POST_CHECKPOINT
from replican.values.ids import EMPTY_TREE, CheckpointId, TreeId
from replican.values.paths import is_below, show
from replican.values.progress import Problem
from replican.values.trees import TreeOverlay, encode_tree, has_units

NOTHING = Tally(0, 0, 0, 0)


class Recorded(NamedTuple):
    """What a commit did. ``new`` tells whether there was anything to record; ``head`` is None for an empty log.

    ``problems`` could not be read, and stand as they were last recorded; ``skipped`` are never recorded.
    ``gated`` is the error of a closed gate, where the caller asked to go on in spite of it. ``behind`` tells that the
    disk has not got all that the head has.
    """

    head: CheckpointId | None
    new: bool
    tally: Tally
    problems: list[Problem]
    skipped: list[Problem]
    gated: RefusedError | None = None
    behind: bool = False

    def then(self, later: "Recorded") -> "Recorded":
        """What two commits did, one after the other."""
        done, skipped = Tally.total([self.tally, later.tally]), [*self.skipped, *later.skipped]
        return later._replace(new=self.new or later.new, tally=done, skipped=skipped)


def observe(
    repo: Repository,
    *,
    full: bool = False,
    mirror: Copying | None = None,
    paths: Collection[bytes] | None = None,
    telling: Telling | None = None,
    wait: bool = True,
    putting_off: PuttingOff | None = None,
) -> Scan:
    """Bring the index's observed rows up to the disk; needs the lock. A damaged index is rebuilt, and said.

    With ``paths``, only these are looked at (of a directory, all below it), and what is known of the rest stands.
    ``telling`` is told what is seen, and all of it before the rows are written. Units are seen only where they are
    at rest, for which this may ``wait`` a moment. With ``putting_off``, large files are not read, and stand as they
    were known.
    """
    try:
        return _observe(repo, full, mirror, paths, telling, wait, putting_off)
    except DamagedError as error:
        if error.code != "index-damaged":
            raise
        repo.rebuild_index(error.message)
        return _observe(repo, full, mirror, None, None, wait, putting_off)


def _observe(
    repo: Repository,
    full: bool,
    mirror: Copying | None,
    paths: Collection[bytes] | None,
    telling: Telling | None,
    wait: bool,
    putting_off: PuttingOff | None,
) -> Scan:
    if not repo.traits.modes:
        mirror = None  # its copies would have the permissions that the disk shows, which are nobody's
    with Trash(f"{repo.dotdir}/trash") as trash:
        repo.notes += rescue_changed(repo.root, repo.index, trash)
    index, root = repo.index, repo.root

    def look(held: Collection[Problem] = ()) -> Scan:
        if paths is None:
            see = None if telling is None else telling.see
            return scan(
                root,
                index,
                progress=repo.progress,
                full=full,
                mirror=mirror,
                see=see,
                leave_units=True,
                putting_off=putting_off,
                held=held,
            )
        return observe_paths(
            root,
            index,
            paths,
            progress=repo.progress,
            mirror=mirror,
            leave_units=True,
            putting_off=putting_off,
            held=held,
        )

    seen = look()
    if putting_off is not None and (held := moved_unread(root, index, seen)):
        seen = look(held)
    if seen.births:
        index.births.note(seen.births)  # before the rows: one that does not match costs reading
    if seen.units:
        if seen.changed or seen.gone:
            index.observe(seen.changed.values(), seen.gone, seen.root)
        seen = look_at_units(repo, seen, full=full, wait=wait, putting_off=putting_off)
        index.births.note(seen.births)
    repo.notes += [f"{show(flaw.path)}: {flaw.cause}" for flaw in index.say_once(seen.flaws)] if seen.flaws else []
    if telling is not None:
        telling.scanned(seen)
    if seen.changed or seen.gone:
        index.observe(seen.changed.values(), seen.gone, seen.root)
    before = index.problems()
    looked = [] if paths is None else [*paths, *seen.units]
    left = [] if paths is None else [each for each in before if not any(is_below(each.path, path) for path in looked)]
    problems = sorted({*left, *seen.problems})
    if problems != before:
        index.set_problems(problems)
    return seen._replace(skipped=index.say_once(seen.skipped)) if seen.skipped else seen


def record(
    repo: Repository,
    message: str | None = None,
    *,
    allowed: frozenset[str] = frozenset(),
    past_gates: bool = False,
    full: bool = False,
    mirror: Copying | None = None,
    paths: Collection[bytes] | None = None,
    tell: Tell | None = None,
    putting_off: PuttingOff | None = None,
) -> Recorded:
    """Record the folder's state. ``allowed`` are the flags of gates that may stand open. ``tell`` is told what will be
    recorded if the gates are passed, where nothing but a scan is needed to know, and that it is. With ``paths``,
    whoever calls knows that nothing else has changed, and only these are looked at; with ``putting_off``, large files
    are left to who reads them beside, and what is known of them stands.

    Raises ``RefusedError`` at a closed gate, unless ``past_gates``: then nothing is recorded and the error is a
    value of the result. Raises ``DamagedError``, ``LockedError``, ``FolderError``.
    """
    with repo.writing("commit"):
        fresh = not repo.index.has_observed()
        telling = _begin_telling(repo, tell, mirror) if tell is not None and fresh else None
        seen = observe(repo, full=full, mirror=mirror, paths=paths, telling=telling, putting_off=putting_off)
        index, head = repo.index, repo.head
        head_tree = repo.tree_of(head)
        base, observed = index.base_root(), index.observed_root()
        overlay = TreeOverlay(repo)
        overlay.new.update(repo.at_hand)
        overlay.new.update(seen.payloads)
        tree = reconcile(overlay, base, head_tree, observed).tree
        if tree == head_tree:
            if base != observed:
                index.promise(head)
                index.promote()
            behind = index.base_root() != tree
            gate_open(repo)
            return Recorded(head, False, NOTHING, seen.problems, seen.skipped, behind=behind)
        try:
            # Otherwise they are what differs from what was seen earlier, and not from the base.
            pairs = seen.pairs if fresh else None
            counted = _pass_gates(repo, overlay, seen, pairs, base, observed, allowed)
        except RefusedError as error:
            index.discard_observed()
            gate_closed(repo, error)
            if past_gates:
                return Recorded(head, False, NOTHING, seen.problems, seen.skipped, error)
            raise
        gate_open(repo)
        plain = (base, observed) == (head_tree, tree)
        done = counted if plain or head_tree == EMPTY_TREE else tally(overlay, head_tree, tree)
        if message is None:
            message = _describe(overlay, head_tree, tree, done, by_name=paths is not None)
        # What a lone scan found is all that is new; trees that were observed earlier have to be looked for.
        payloads = seen.payloads if fresh and tree == observed else None
        told = None if telling is None else telling.made
        made = append(repo, overlay, tree, head, message, done, payloads=payloads, told=told)
        count_anew(repo, allowed)
        return Recorded(made, True, done, seen.problems, seen.skipped, behind=tree != observed)


def _begin_telling(repo: Repository, tell: Tell, mirror: Copying | None) -> Telling | None:
    """Whoever is told has to know what the folder held: what its log says, or nobody is told."""
    try:
        before = repo.index.base_root()
    except DamagedError:
        return None  # who looks at the folder sees to that
    return Telling(tell, before, mirror) if before == repo.head_tree else None


def _describe(overlay: TreeOverlay, before: TreeId, after: TreeId, done: Tally, by_name: bool) -> str:
    """The message where nobody wrote one; ``by_name`` where nobody sees it now, and somebody may look for it later."""
    if not by_name or before == EMPTY_TREE or sum(done) > MANY:
        return describe(done)
    return describe_changes(islice(diff_trees(overlay, before, after), MANY))


def append(
    repo: Repository,
    overlay: TreeOverlay,
    tree: TreeId,
    head: CheckpointId | None,
    message: str,
    counted: Tally,
    *,
    observed: bool = True,
    payloads: Mapping[TreeId, bytes] | None = None,
    told: Callable[[CheckpointId], None] | None = None,
) -> CheckpointId:
    """Put a user checkpoint on the log, and make the observed rows base rows with the head's move; needs the lock.

    Objects are flushed before the ref moves; the rows name the checkpoint before it moves, and become base rows after.
    A ``tree`` that is not what was ``observed`` leaves them all as they are: the disk is behind it. ``payloads`` are
    all trees that the log lacks, those below first, where the caller knows them; ``counted`` is for the hook; ``told``
    is told as soon as the head has moved.
    """
    repo.check_place()
    trees = new_trees(repo, overlay, tree) if payloads is None else payloads
    rules = PLAIN_RULES if head is None else repo.checkpoint(head).rules
    if rules < RULES and (
        units_in_new(overlay, repo.tree_of(head), tree) if payloads is None else any(map(has_units, trees.values()))
    ):
        rules = RULES
    checkpoint = Checkpoint(tree, () if head is None else (head,), repo.author(time.time_ns()), message, rules)
    made = id_of(checkpoint)
    objects: dict[bytes, tuple[bytes, bytes]] = {each: (TREE, payload) for each, payload in trees.items()}
    repo.objects.add({**objects, made: (CHECKPOINT, encode_checkpoint(checkpoint))})
    if observed:
        repo.index.promise(made)
    repo.refs.update(HEAD, made, head, f"commit: {message.partition(chr(10))[0]}", repo.who)
    if told is not None:
        told(made)
    if observed:
        repo.index.promote()
        repo.index.note_size(repo.index.count_files(), time.time_ns())
    repo.hooks.tell_later(POST_CHECKPOINT, [made.hex(), str(sum(counted))])
    return made


def new_trees(repo: Repository, overlay: TreeOverlay, tree: TreeId) -> dict[bytes, bytes]:
    """The trees at and below ``tree`` that the log does not have, with their payloads, those below first."""
    absent = frozenset(repo.objects.lacking(overlay.new))  # one look for all of them

    def lacking(trees: Iterable[TreeId]) -> list[TreeId]:
        others = [each for each in trees if each not in overlay.new]
        lost = frozenset(repo.objects.lacking(others)) if others else ()
        return [each for each in trees if each in absent or each in lost]

    return {
        at: overlay.new.get(at) or encode_tree(entries) for at, entries in unknown_below(overlay.tree, lacking, tree)
    }


def _pass_gates(
    repo: Repository,
    overlay: TreeOverlay,
    seen: Scan,
    pairs: list[Sides] | None,
    base: TreeId,
    observed: TreeId,
    allowed: frozenset[str],
) -> Tally:
    """The gates before a commit; what the folder's user added and deleted."""
    if base == EMPTY_TREE and seen.files is not None:
        return Tally(seen.files, 0, 0, 0)
    counted = tally(overlay, base, observed, partial(_files_below, repo.index)) if pairs is None else tally_pairs(pairs)
    closed = [gates.missing_mount(mounts_gone(repo.index))]
    closed += deletion_gates(repo.index, counted)
    gates.pass_gates(closed, allowed)
    return counted


def _files_below(index: Index, path: bytes) -> int:
    """How many files and links there are at and below a directory, as last seen: what its trees have, too."""
    return sum([known.files for known in index.digests_below(path).values() if known.tree != ASIDE])


def mounts_gone(index: Index) -> list[str]:
    """Directories that were mount points at the last recording, and were none when they were last looked at, whoever
    looked, and whenever."""
    known = [(path, index.known(path)) for path in index.mounts()]
    return [show(path) for path, found in known if found is None or not found.mount]


def count_anew(repo: Repository, allowed: frozenset[str]) -> None:
    """Where the flag was given, what has gone until now was meant: a deletion after it is counted from here, and not
    refused for ten minutes more. To be called when it is done."""
    if gates.ALLOW_MASS_DELETE in allowed:
        repo.index.note_size(repo.index.count_files(), time.time_ns(), anew=True)


def deletion_gates(index: Index, counted: Tally) -> list[gates.Gate | None]:
    """The gates against losing a folder's files. ``counted`` is what would change against the base."""
    if not counted.deleted:
        return []
    before = index.count_files()
    after = before + counted.added - counted.deleted
    return [
        gates.emptied_root(before, after),
        gates.mass_delete(counted.deleted, before, after, index.largest_lately(time.time_ns())),
    ]
