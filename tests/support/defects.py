"""Planted defects: mistakes that somebody could make in replican, each of which a random history has to catch.

Each is planted by replacing a function at run time. Those in the decisions are looked for by histories in memory, those
in what reads and writes the disk by histories of real folders.
"""

import itertools
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import unit_defects

from replican.decisions import frontier, reconcile
from replican.decisions.graph import Graph
from replican.effects import placing, recovery, staging, transition, trash
from replican.effects.assemble import Assembler
from replican.effects.examine import Examined
from replican.effects.index import Index
from replican.effects.knowing import Newcomers
from replican.effects.ledger import Ledger
from replican.operations import merging, recording, tending
from replican.values.checkpoints import Checkpoint
from replican.values.ids import EMPTY_TREE, CheckpointId
from replican.values.listing import DIRECTORY_MODE, KIND_MASK, Row
from replican.values.trees import DIRECTORY, Entry

Patch = pytest.MonkeyPatch


class Histories(NamedTuple):
    """Which are to catch a mistake: drawn as all others, with other ``shares`` (of ``torture.py``) where those are so
    small that most would do without what it takes. ``most`` of them are drawn."""

    name: str
    most: int
    shares: dict[str, Any]


class Defect(NamedTuple):
    """A mistake: what it is, how it is planted, and which histories are to catch it. ``lately`` is a seed that did, and
    the first to be tried: it saves time, and nothing hangs on it."""

    name: str
    histories: Histories
    plant: Callable[[Patch], None]
    lately: int = 0


_KILLS = {"KILLED_SHARE": 1, "EDITED_SHARE": 1, "EARLY_SHARE": 0}
_EDITS = {"KILLED_SHARE": 0, "EDITED_SHARE": 1}
PURE = Histories("in memory", 6000, {})
REAL = Histories("of real folders", 600, {})
KILLED = Histories("of real folders, with a kill in each command", 600, _KILLS)
SHUT = Histories(
    "of real folders, with a kill in each command, and what it was about to change shut after that",
    600,
    {**_KILLS, "SHUT_SHARE": 1},
)
SETTLED = Histories(
    "of two folders, with conflicts settled at once, and kills", 600, {**_KILLS, "SETTLED_SHARE": 0.6, "PEERS": [2]}
)
EDITED = Histories("of real folders, with an edit during each command", 600, _EDITS)
EARLY = Histories("of real folders, with an edit early in each command", 600, {**_EDITS, "EARLY_SHARE": 1})
UNITS = Histories("of real folders with units", 300, {})
HELD = Histories("of real folders, with many files held open", 600, {"HELD_SHARE": 0.3})


def _replaced(owner: Any, name: str, function: Callable[..., Any]) -> Callable[[Patch], None]:
    return lambda patch: patch.setattr(owner, name, function)


# -- in the core -------------------------------------------------------------------------------------------------


def _one_base_of_several(patch: Patch) -> None:
    common = Graph.common
    patch.setattr(Graph, "common", lambda *args: frozenset(sorted(common(*args))[:1]))


def _parents_as_they_come(patch: Patch) -> None:
    turn = itertools.count()

    def merge_checkpoint(graph: Graph, trees: Any, joined: Any, memo: Any) -> tuple[CheckpointId, Checkpoint]:
        made, checkpoint = original(graph, trees, joined, memo)
        if next(turn) % 2:
            checkpoint = checkpoint._replace(parents=checkpoint.parents[::-1])
            made = frontier.id_of(checkpoint)
        return made, checkpoint

    import simulation

    original = frontier.merge_checkpoint
    for module in (frontier, simulation, merging):
        patch.setattr(module, "merge_checkpoint", merge_checkpoint)


def _newest_is_last(graph: Graph, checkpoints: Any) -> frozenset[CheckpointId]:
    """Of several heads only the one whose author's clock is ahead."""
    left = set(checkpoints)
    return frozenset([max(left, key=lambda each: (graph.time_ns(each), each))] if left else [])


def _folded_as_they_come(patch: Patch) -> None:
    """Not in the order of ids, but with the one first that this process met last."""
    turn = itertools.count()
    original = frontier._Fold.__init__

    def init(fold: Any, joined: Any, graph: Graph) -> None:
        original(fold, joined, graph)
        if next(turn) % 2:
            fold.order = fold.order[::-1]
            fold.tree = graph.checkpoint(fold.order[0]).tree

    patch.setattr(frontier._Fold, "__init__", init)


def _merged_group(choose: Callable[[Any, Any, Any], bool]) -> Callable[[Patch], None]:
    """Another rule for which versions of a name stay."""

    def plant(patch: Patch) -> None:
        original = reconcile._versions

        def merge_group(key: bytes, name: bytes, was: Any, ours: Any, yours: Any, merged: Any, newest: Any) -> Any:
            made = {}
            units = reconcile._units_of(ours, yours)
            for each in (ours.keys() | yours.keys()) - units:
                entry = reconcile._merge_directory(each, was.get(each), ours.get(each), yours.get(each), merged)
                if entry is not None:
                    made[each] = entry
            before = original(was, was.keys() if units else ())
            mine, theirs = original(ours, units), original(yours, units)
            kept = [
                mine.get(version) or theirs[version]
                for version in mine.keys() | theirs.keys()
                if choose(version in before, version in mine, version in theirs)
            ]
            for at, entry in enumerate(
                sorted(kept, key=lambda each: reconcile._order(each, each.mtime_ns), reverse=True)
            ):
                taken = name
                if at or name in made:
                    taken = reconcile.copy_name(key, entry.mtime_ns, entry.blob, made)
                made[taken] = entry._replace(name=taken)
            return made

        patch.setattr(reconcile, "_merge_group", merge_group)

    return plant


def _copies_are_unrelated(patch: Patch) -> None:
    """Each conflict copy is merged as a file of its own."""
    patch.setattr(reconcile, "keys_apart", lambda names: {})


def _copies_named_by_whoever_merges(patch: Patch) -> None:
    turn = itertools.count()
    original = reconcile.copy_name

    def copy_name(key: bytes, mtime_ns: int, blob: Any, taken: Any) -> bytes:
        return original(key, mtime_ns + next(turn) % 7 * 10**9, blob, taken)

    patch.setattr(reconcile, "copy_name", copy_name)


def _empty_directories_go(patch: Patch) -> None:
    original = reconcile._merge_directory

    def merge_directory(*args: Any) -> Entry | None:
        made = original(*args)
        return None if made is not None and made.id == EMPTY_TREE else made

    patch.setattr(reconcile, "_merge_directory", merge_directory)


def _attributes_outlive_a_deletion(patch: Patch) -> None:
    """A version is what its bytes, time and permissions are."""

    def versions(group: dict[bytes, Entry], units: Any = ()) -> dict[Any, Entry]:
        return {
            (entry.kind, entry.id, entry.perm, entry.mtime_ns): entry
            for entry in group.values()
            if entry.kind != DIRECTORY or entry.is_unit
        }

    patch.setattr(reconcile, "_versions", versions)


# -- on the disk -------------------------------------------------------------------------------------------------


def _no_last_look(patch: Patch) -> None:
    def at(self: Any, change: Any, fd: int, row: Row | None) -> bool:
        try:
            found = os.lstat(os.path.basename(change.path), dir_fd=fd)
        except OSError:
            found = None
        self.found[change.path] = found if change.old is not None else None
        return True

    patch.setattr(placing.Looked, "_at", at)
    _what_came_out_is_not_looked_at(patch)  # which would notice most of it


def _what_came_out_is_not_looked_at(patch: Patch) -> None:
    for module in (trash, transition, placing):
        patch.setattr(module, "is_same_inode", lambda *args: True)


def _base_before_the_head(patch: Patch) -> None:
    """What was observed becomes base though the head did not move."""

    def settle(self: Index, head: CheckpointId | None) -> bool:
        self.promote()
        return True

    patch.setattr(Index, "settle", settle)


def _what_a_merge_wrote_is_an_edit(patch: Patch) -> None:
    """Rows of what a transition wrote have another id than what lies there."""
    original = Ledger.put

    def put(self: Ledger, directory: bytes, row: Row) -> None:
        original(self, directory, row if row.kind == DIRECTORY else row._replace(perm=row.perm ^ 0o001))

    patch.setattr(Ledger, "put", put)


def _the_disk_is_the_truth(patch: Patch) -> None:
    """A commit records the disk, whatever is pending."""
    real = recording.reconcile

    def commit(trees: Any, base: Any, left: Any, right: Any, budget: Any = None) -> Any:
        return real(trees, left, left, right)

    patch.setattr(recording, "reconcile", commit)


def _head_alone_is_kept(repo: Any) -> set[bytes]:
    return set() if repo.head is None else {repo.head}


def _unverified(source: int, target: int, size: int, blob: bytes) -> bool:
    data = os.read(source, size + 1)
    os.write(target, data)
    return True


def _subdirectories_are_forgotten(patch: Patch) -> None:
    """What becomes of a directory that was there does not reach the listings two above it."""
    original = Assembler._tell

    def tell(self: Assembler, path: bytes, tree: Any, was: Any) -> None:
        if was is None or b"/" not in path:
            original(self, path, tree, was)

    patch.setattr(Assembler, "_tell", tell)


def _no_recovery(patch: Patch) -> None:
    def recover(*given: Any) -> list[str]:
        given[2].rebase([], [], given[2].base_root(), undecided=[])
        return []

    patch.setattr(recovery, "recover", recover)


def _nothing_noted(self: Index, entries: Any) -> None:
    """A killed transition leaves nobody a word of what it was about to change."""


def _ignored_are_deleted(patch: Patch) -> None:
    """Ignore rules are asked about what is tracked, too."""
    original = Examined.compare

    def compare(self: Examined, items: Any, known: Any, rules: Any, full: bool, dir_fd: int) -> None:
        kept = [
            each for each in items if not rules.ignores(os.fsencode(each[0]), each[1] & KIND_MASK == DIRECTORY_MODE)
        ]
        original(self, kept, known, rules, full, dir_fd)

    patch.setattr(Examined, "compare", compare)


def _bases_without_a_base(patch: Patch) -> None:
    """Several merge bases are joined as if they had nothing in common."""
    original = frontier._known_tree

    def known_tree(graph: Any, trees: Any, joined: Any, made: Any, memo: Any) -> Any:
        if len(joined) < 2:
            return original(graph, trees, joined, made, memo)
        tree = EMPTY_TREE
        for each in sorted(joined):
            tree = reconcile.reconcile(trees, EMPTY_TREE, tree, graph.checkpoint(each).tree).tree
        return tree

    patch.setattr(frontier, "_known_tree", known_tree)


def _the_oldest_base(patch: Patch) -> None:
    """The merge base is where the histories began, not where they parted."""

    def common(self: Graph, heads: Any, other: CheckpointId) -> frozenset[CheckpointId]:
        found = original(self, heads, other)
        first = [each for each in self.closure(found) if not self.checkpoint(each).parents]
        return frozenset(sorted(first)[:1])

    original = Graph.common
    patch.setattr(Graph, "common", common)


def _copies_named_by_the_time_of_day(patch: Patch) -> None:
    """By the clock of whoever merges. A history is over in a moment, so that its days go by fast."""
    original = reconcile.copy_name

    def copy_name(key: bytes, mtime_ns: int, blob: Any, taken: Any) -> bytes:
        return original(key, time.monotonic_ns() * 100_000, blob, taken)

    patch.setattr(reconcile, "copy_name", copy_name)


def _promise_forgotten(patch: Patch) -> None:
    """A kill between the head's move and the rows' promotion leaves the old rows."""
    patch.setattr(Index, "settle", lambda self, head: False)


def _killed_rows_trusted(patch: Patch) -> None:
    """What lies at a path after a kill is taken for what was meant to be put there."""

    def look_at(self: Any, entry: Any) -> None:
        directory, _, name = entry.path.rpartition(b"/")
        if entry.new is None:
            self.ledger.drop(entry.path)
            return
        try:
            found = os.lstat(name, dir_fd=self._directories.open(directory))
        except OSError:
            return
        self.ledger.put(directory, recovery.smudged(entry.new, found, self._traits))

    patch.setattr(recovery._Recovery, "look_at", look_at)


def _unread_is_forgotten(patch: Patch) -> None:
    """What cannot be read after a kill is treated as what holds neither of its versions."""
    original = recovery._Recovery.look_at

    def look_at(self: Any, entry: Any) -> None:
        original(self, entry)
        for path, *_ in self.undecided:
            self._forget_group(*os.path.split(path))
        self.undecided.clear()

    patch.setattr(recovery._Recovery, "look_at", look_at)


DEFECTS = [
    Defect("one merge base of several", PURE, _one_base_of_several),
    Defect("no merge base", PURE, _replaced(Graph, "common", lambda *_: frozenset())),
    Defect("parents in the order of their coming", PURE, _parents_as_they_come),
    Defect("checkpoints folded in no fixed order", PURE, _folded_as_they_come),
    Defect("author times in the place of ancestry", PURE, _replaced(Graph, "maximal", _newest_is_last)),
    Defect("a deletion counts for nothing", PURE, _merged_group(lambda was, mine, theirs: True)),
    Defect("a deletion takes an edit", PURE, _merged_group(lambda was, mine, theirs: mine and theirs)),
    Defect("copies are merged as unrelated files", PURE, _copies_are_unrelated),
    Defect("copies named by whoever merges", PURE, _copies_named_by_whoever_merges),
    Defect("empty directories go", PURE, _empty_directories_go),
    Defect("attributes outlive a deletion", PURE, _attributes_outlive_a_deletion),
    Defect("no last look before a change", EDITED, _no_last_look),
    Defect("what came out of a name is not looked at", EDITED, _what_came_out_is_not_looked_at),
    Defect("base rows before the head moves", KILLED, _base_before_the_head),
    Defect("what a merge wrote is recorded as an edit", REAL, _what_a_merge_wrote_is_an_edit),
    Defect("a commit records the disk alone", REAL, _the_disk_is_the_truth),
    Defect("the trash is not looked at again", HELD, lambda patch: _no_rescue(patch)),
    Defect("gc keeps the head alone", REAL, _replaced(tending, "reachable", _head_alone_is_kept)),
    Defect("content is not verified", EARLY, _replaced(staging, "copy_verified", _unverified)),
    Defect("after a kill the journal is thrown away", KILLED, _no_recovery),
    Defect("no journal is written", SETTLED, _replaced(Index, "note_journal", _nothing_noted), 119),
    Defect("after a kill the rows of a recorded head are forgotten", KILLED, _promise_forgotten),
    Defect("after a kill whatever lies there counts as ours", KILLED, _killed_rows_trusted),
    Defect("new directories are not known after a kill", SHUT, _replaced(Newcomers, "know", lambda *_: None), 103),
    Defect("after a kill what cannot be read is forgotten", SHUT, _unread_is_forgotten),
    Defect("what is undecided is planned for", SHUT, _replaced(merging, "leave", lambda plan, _: (plan, []))),
    Defect("a change deep down is not told above", REAL, _subdirectories_are_forgotten),
    Defect("ignored files count as deleted", REAL, _ignored_are_deleted, 188),
    Defect("several merge bases joined without a base", PURE, _bases_without_a_base),
    Defect("the oldest merge base", PURE, _the_oldest_base),
    Defect("copies named by the time of day", PURE, _copies_named_by_the_time_of_day),
    Defect("units are merged by their names", PURE, unit_defects.units_are_descended_into),
    *[Defect(name, UNITS, plant, seed) for name, plant, seed in unit_defects.ON_THE_DISK],
]


def _no_rescue(patch: Patch) -> None:
    for module in (recording, merging, tending):
        patch.setattr(module, "rescue_changed", lambda *args, **named: [])
