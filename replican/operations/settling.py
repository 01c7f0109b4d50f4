"""Conflicts: which names have more than one version, and how a user ends that, for every replica.

To resolve is an edit of the recorded tree, put on the log as a user checkpoint; the folder follows by a transition,
so what goes from its name goes to the trash, and what somebody changed meanwhile stays.
"""

import fnmatch
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from replican.decisions.edits import edit_tree
from replican.decisions.reconcile import OpenConflict, conflicts_in
from replican.decisions.resolution import Changes, forget, settle
from replican.decisions.treediff import find_entry, walk_tree
from replican.decisions.units import unit_at
from replican.effects.prepared import NO_SOURCE, NOT_HERE
from replican.operations.amending import amend
from replican.operations.comparing import on_disk
from replican.operations.reading import BlobReader
from replican.operations.recording import record
from replican.operations.sources import sources
from replican.operations.status import ask_watch
from replican.repository import Repository
from replican.values.errors import NotFoundError, RefusedError
from replican.values.ids import CheckpointId, TreeId
from replican.values.paths import is_below, name_of, parent_of, show
from replican.values.progress import Problem, Traffic, together
from replican.values.trees import DIRECTORY, Entry, TreeOverlay, TreeReader


def conflicts(repo: Repository) -> list[OpenConflict]:
    """The open conflicts, unrecorded edits included. Takes no lock."""
    found = on_disk(repo, ask_watch(repo.root))
    return list(conflicts_in(found.trees, found.recorded))


class Resolved(NamedTuple):
    """What was settled: the names; the heads before and now; what is pending. ``wire`` is what went over the wire, if
    there is one."""

    names: list[bytes]
    old: CheckpointId | None
    head: CheckpointId | None
    pending: list[Problem]
    wire: Traffic | None = None


def resolve(
    repo: Repository,
    paths: Sequence[bytes],
    keep: str,
    *,
    copy: bytes | None = None,
    message: str | None = None,
    allowed: frozenset[str] = frozenset(),
) -> Resolved:
    """End the conflicts that ``paths`` name (a name, one of its copies, a directory, or a pattern of a shell).

    Edits are recorded first. Raises ``NotFoundError`` for a path without a conflict, ``RefusedError`` where it is not
    clear which copy is meant.
    """
    with repo.writing("resolve"):
        record(repo, past_gates=True)
        tree = repo.head_tree
        chosen = choose(list(conflicts_in(repo, tree)), paths)
        if copy is not None and len(chosen) > 1:
            raise RefusedError(f"--copy is for one conflict, and these are {len(chosen)}", "resolve them one by one")
        changes: Changes = {}
        for conflict in chosen:
            names = names_in(repo, tree, parent_of(conflict.path))
            # What is settled in one directory takes names that the next must not take again.
            names |= {name_of(path) for path in changes if parent_of(path) == parent_of(conflict.path)}
            changes.update(settle(conflict, keep, copy, names))
        if message is None:
            message = f"resolve {_some(chosen)}: keep {keep}"
        return _amend(repo, [each.path for each in chosen], changes, message, allowed, [])


def _amend(
    repo: Repository,
    names: list[bytes],
    changes: Changes,
    message: str,
    allowed: frozenset[str],
    wires: list[Traffic],
) -> Resolved:
    overlay = TreeOverlay(repo)
    tree = edit_tree(overlay, repo.head_tree, changes)
    with sources(repo, wires=wires) as found:
        done = amend(repo, overlay, tree, message, found.for_writing, allowed=allowed)
    return Resolved(names, done.old, done.head, done.outcome.pending, together(wires))


def _some(chosen: Sequence[OpenConflict]) -> str:
    shown = ", ".join(show(name_of(each.path)).encode("utf-8", "replace").decode() for each in chosen[:3])
    return shown if len(chosen) <= 3 else f"{shown} and {len(chosen) - 3} more"


def names_in(reader: TreeReader, tree: TreeId, directory: bytes) -> set[bytes]:
    """All names of one directory of a tree; none where there is no such directory."""
    if directory:
        entry = find_entry(reader, tree, directory)
        if entry is None:
            return set()
        tree = entry.tree
    return {entry.name for entry in reader.tree(tree)}


def choose(known: list[OpenConflict], paths: Iterable[bytes]) -> list[OpenConflict]:
    """Those of the ``known`` conflicts that ``paths`` name; raises ``NotFoundError`` for a path that names none."""
    chosen: dict[bytes, OpenConflict] = {}
    for path in paths:
        found = [each for each in known if path == each.path or path in [copy for copy, _ in each.copies]]
        found = found or [each for each in known if is_below(each.path, path)]
        found = found or [each for each in known if fnmatch.fnmatchcase(show(each.path), show(path))]
        if not found:
            raise NotFoundError(
                f"no conflict at {show(path) or 'all'}", "`replican conflicts` lists those that are open"
            )
        chosen.update((each.path, each) for each in found)
    return [chosen[path] for path in sorted(chosen)]


# -- versions that are nowhere any more ------------------------------------------------------------------------------


def forget_missing(repo: Repository, paths: Sequence[bytes] = (), *, allowed: frozenset[str] = frozenset()) -> Resolved:
    """Drop the versions that no store has which can be reached: all of them, or those at and below ``paths``.

    Where the folder still holds an older version under that name, that one stays. Raises ``NotFoundError`` where
    nothing is missing, ``RefusedError`` where a remote that may have it cannot be reached.
    """
    with repo.writing("resolve"):
        record(repo, past_gates=True)
        wires: list[Traffic] = []
        lost, unreached = _lost(repo, paths, wires)
        if not lost:
            raise NotFoundError(
                "nothing is missing" + (f" at {show(paths[0])}" if paths else ""),
                "`replican status` lists what is pending",
            )
        if unreached:
            raise RefusedError(
                f"{show(lost[0])} may still be at a remote that cannot be reached: {'; '.join(unreached)}",
                "connect it and sync; or if it is gone for good, `replican remote remove` it first",
            )
        head_tree, base = repo.head_tree, repo.index.base_root()
        open_at = {conflict.path: conflict for conflict in conflicts_in(repo, head_tree)}
        changes: Changes = {}
        # A unit of which something is nowhere is a version that is.
        lost = sorted({unit_at(repo, head_tree, path) or path for path in lost})
        for path in lost:
            here = find_entry(repo, base, path)
            is_version = here is not None and (here.kind != DIRECTORY or here.is_unit)
            changes.update(forget(open_at.get(path), path, here if is_version else None))
        return _amend(repo, lost, changes, f"forget {len(lost)} missing", allowed, wires)


def _lost(repo: Repository, paths: Sequence[bytes], wires: list[Traffic]) -> tuple[list[bytes], list[str]]:
    """The pending paths whose content no store really has; the remotes that could not be asked, and why."""
    head_tree = repo.head_tree
    wanted: dict[bytes, Entry] = {}
    for problem in repo.index.pending():
        if not problem.cause.startswith((NO_SOURCE, NOT_HERE)):
            continue
        if paths and not any(is_below(problem.path, path) for path in paths):
            continue
        entry = find_entry(repo, head_tree, problem.path)
        if entry is not None and entry.kind == DIRECTORY:
            wanted.update(each for each in walk_tree(repo, entry.tree, problem.path) if each[1].kind != DIRECTORY)
        elif entry is not None:
            wanted[problem.path] = entry
    lost: list[bytes] = []
    with BlobReader(repo, wires) as reader:
        for path, entry in sorted(wanted.items()):
            try:
                reader.read(entry.blob, path).close()
            except NotFoundError:
                lost.append(path)
        return lost, reader.unreachable
