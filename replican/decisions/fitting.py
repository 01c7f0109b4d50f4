"""What of a tree a weak file system can hold, and which names only change their case. Pure.

The head says what should be, for every replica; here is said what can be on *this* disk. The rest is held: nothing
is written for it, what lies there already stays, and it is tried again whenever the folder changes.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from replican.decisions.edits import edit_tree
from replican.decisions.plan import Move, Plan, make_plan
from replican.decisions.treediff import Change
from replican.values.ids import EMPTY_TREE, TreeId
from replican.values.paths import join, show
from replican.values.progress import Problem
from replican.values.traits import Traits
from replican.values.trees import DIRECTORY, Entry, TreeOverlay


class Fitted(NamedTuple):
    """``base``: the tree of the disk once the ``recased`` names have their new case or form (those below first, each
    under the directories' old names); ``tree``: what the disk can hold of the head; ``held``: what it cannot."""

    base: TreeId
    tree: TreeId
    recased: tuple[Move, ...]
    held: tuple[Problem, ...]


def plan_for(
    trees: TreeOverlay, traits: Traits, base: TreeId, head: TreeId, changes: Iterable[Change] | None = None
) -> Plan:
    """The plan that brings a folder on such a file system from ``base`` as near to ``head`` as it can come.

    ``changes`` are those from ``base`` to ``head``, where they are known.
    """
    if traits.holds_all:
        return make_plan(trees, base, head, changes)
    fitted = fit(trees, traits, base, head)
    plan = make_plan(trees, fitted.base, fitted.tree)
    return plan._replace(base=base, head=head, recased=fitted.recased, held=fitted.held, fitted=fitted.tree)


def fit(trees: TreeOverlay, traits: Traits, base: TreeId, head: TreeId) -> Fitted:
    """What can be put down of ``head`` where the disk holds ``base``; reads only what differs."""
    held: list[Problem] = []
    moves: list[Move] = []
    kept: dict[bytes, Entry | None] = {}
    renamed: dict[bytes, Entry | None] = {}
    # A directory under the name that it has on the disk, then under the new one; both trees.
    stack: list[tuple[bytes, bytes, TreeId, TreeId]] = [(b"", b"", base, head)]
    while stack:
        old_path, path, base_tree, head_tree = stack.pop()
        if base_tree == head_tree:
            continue  # it is on the disk
        there = {entry.name: entry for entry in trees.tree(base_tree)}
        wanted = trees.tree(head_tree)
        chosen, reasons = _choose(traits, there, wanted)
        cases = _recased(traits, there, wanted, chosen)
        taken = {name for name, _ in cases.values()}
        for entry in wanted:
            below = join(path, entry.name)
            reason = reasons.get(entry.name) or (_why_not_whole(trees, traits, entry) if entry.is_unit else None)
            if reason is not None:
                held.append(Problem(below, reason, True))
                kept[below] = there.get(entry.name)
                continue
            old_name, was = cases.get(entry.name, (entry.name, there.get(entry.name)))
            if was is not None and old_name != entry.name:
                now = was._replace(name=entry.name)
                moves.append(Move(join(old_path, old_name), join(old_path, entry.name), was, now))
                renamed[below] = now
            if entry.kind == DIRECTORY and not entry.is_unit:
                under = was.tree if was is not None and was.kind == DIRECTORY else EMPTY_TREE
                stack.append((join(old_path, old_name), below, under, entry.tree))
        for name in taken:
            renamed[join(path, name)] = None
    made = base
    # From above to below: what is renamed in a directory is named by the directory's new name.
    for path in sorted(renamed, key=lambda each: (each.count(b"/"), each)):
        made = edit_tree(trees, made, {path: renamed[path]})
    moves.sort(key=lambda move: -move.old.count(b"/"))
    return Fitted(made, edit_tree(trees, head, kept), tuple(moves), tuple(sorted(held)))


def _why_not_whole(trees: TreeOverlay, traits: Traits, unit: Entry) -> str | None:
    """Why a unit cannot be put down: it comes with all that it holds, or not at all."""
    stack = [(unit.name, unit.tree)]
    while stack:
        path, tree = stack.pop()
        listing = trees.tree(tree)
        for name, reason in sorted(_choose(traits, {}, listing)[1].items()):
            return f"it is taken as one, and of {show(join(path, name))}: {reason}"
        stack += [(join(path, entry.name), entry.tree) for entry in listing if entry.kind == DIRECTORY]
    return None


def _choose(
    traits: Traits, there: dict[bytes, Entry], wanted: Sequence[Entry]
) -> tuple[dict[bytes, bytes], dict[bytes, str]]:
    """Which name each set of equal names gets, by what they have in common; and why the others cannot be there."""
    reasons: dict[bytes, str] = {}
    possible: dict[bytes, list[Entry]] = {}
    for entry in wanted:
        reason = traits.why_not(entry.name, entry.kind)
        if reason is not None:
            reasons[entry.name] = reason
            if entry.name not in there:
                continue  # nothing stays in the way of others
        possible.setdefault(traits.fold(entry.name), []).append(entry)
    chosen: dict[bytes, bytes] = {}
    by_fold = {traits.fold(name): entry for name, entry in there.items()} if traits.folds else {}
    for key, entries in possible.items():
        on_disk = by_fold.get(key)
        first = min(entries, key=lambda entry: _rank(entry, on_disk))
        chosen[key] = first.name
        for entry in entries:
            if entry is not first:
                reasons.setdefault(entry.name, f"the same name as {show(first.name)} on this file system")
    return chosen, reasons


def _rank(entry: Entry, on_disk: Entry | None) -> tuple[bool, bool, bytes]:
    """What lies there already comes first, under its own name or with its content."""
    if on_disk is None:
        return True, True, entry.name
    return entry.name != on_disk.name, (entry.kind, entry.id) != (on_disk.kind, on_disk.id), entry.name


def _recased(
    traits: Traits, there: dict[bytes, Entry], wanted: Iterable[Entry], chosen: dict[bytes, bytes]
) -> dict[bytes, tuple[bytes, Entry]]:
    """New names, each with the equal one that it has on the disk and that the head does not have any more."""
    if not traits.folds:
        return {}
    names = {entry.name for entry in wanted}
    found: dict[bytes, tuple[bytes, Entry]] = {}
    for name, entry in there.items():
        new = chosen.get(traits.fold(name))
        if new is not None and new != name and name not in names:
            found[new] = name, entry
    return found
