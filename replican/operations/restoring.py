"""Restore: bring back files as a checkpoint has them, from wherever their content still is.

The log holds no content, so how much can be brought back is a question to the stores: this folder, its trash, the
folders of its remotes. What is restored is an edit like any other, which the next commit records; what it replaces
goes to the trash.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import NamedTuple

from replican.decisions.treediff import diff_trees, walk_tree
from replican.effects.contents import NO_CONTENT, ContentStore, Needed, Wanted, find
from replican.effects.prepared import NO_SOURCE, needs_content
from replican.effects.staging import Slot, Stage
from replican.effects.trash import Trash
from replican.effects.underway import Underway
from replican.operations.comparing import on_disk
from replican.operations.history import at_path, last_change
from replican.operations.putting import Putter
from replican.operations.recording import observe
from replican.operations.room import check_room
from replican.operations.sources import Sources, sources
from replican.operations.trashing import rescue_changed
from replican.repository import Repository
from replican.values.errors import NotFoundError, UsageError
from replican.values.ids import EMPTY_TREE, TreeId
from replican.values.paths import is_below, show
from replican.values.progress import Problem, Progress, Traffic, together
from replican.values.trees import DIRECTORY, Entry, TreeReader

_Asked = Callable[[], AbstractContextManager[Sources]]


class Wish(NamedTuple):
    """A path that shall hold ``entry``, and what was last seen there."""

    path: bytes
    old: Entry | None
    entry: Entry


class Restored(NamedTuple):
    """What was restored, or would be. Counts are of files and links.

    ``in_place`` need nothing; ``places`` tells from where how many come; ``restored`` are the paths that were written
    (or would be); ``missing`` are those whose content no store has that could be asked; ``problems`` could not be
    written. ``wire`` is what went over the wire, if there is one.
    """

    tree: TreeId
    in_place: int
    places: dict[str, int]
    restored: list[bytes]
    missing: list[Problem]
    problems: list[Problem]
    wire: Traffic | None = None


def _where_it_is(repo: Repository, path: bytes) -> str:
    """Which checkpoint has a path that another one has not: of what is gone, the last that had it."""
    last = last_change(repo, repo.head, path)
    if last is None or last.new is not None or not last.entry.checkpoint.parents:
        return "`replican log -- PATH` shows which have it"
    before = last.entry.checkpoint.parents[0].hex()[:12]
    return f"{last.entry.id.hex()[:12]} deleted it: `replican restore --checkpoint {before} PATH` brings it back"


def restore(
    repo: Repository,
    tree: TreeId,
    paths: Sequence[bytes],
    *,
    only: str | None = None,
    to: str | None = None,
    dry_run: bool = False,
) -> Restored:
    """Bring back ``paths`` (with all below them) as ``tree`` has them: in the folder, or below the directory ``to``.

    ``only`` names the one remote to take content from. Below ``to`` nothing is replaced. Raises ``NotFoundError`` for
    a path that the tree does not have, ``NoSpaceError`` where there is too little room: then nothing is written.
    """
    for path in paths:
        if at_path(repo, tree, path) is None:
            raise NotFoundError(f"no {show(path)} in that checkpoint", _where_it_is(repo, path))
    wires: list[Traffic] = []
    asked = partial(sources, repo, only, wires)
    if dry_run:
        return _survey(repo, tree, paths, asked, to)._replace(wire=together(wires))
    with repo.writing("restore"):
        if to is None:
            observe(repo)
            total, wishes = _wishes(repo, repo.index.observed_root(), tree, paths)
            done = _restore(repo, tree, total, wishes, asked, repo.root, inside=True)
        else:
            total, wishes = _wishes(repo, EMPTY_TREE, tree, paths)
            done = _restore(repo, tree, total, wishes, asked, _target(repo, to), inside=False)
    return done._replace(wire=together(wires))


def _target(repo: Repository, to: str) -> str:
    found = os.path.realpath(to)
    if os.path.lexists(found) and not os.path.isdir(found):
        raise UsageError(f"{to} is not a folder")
    if found == repo.dotdir or found.startswith(repo.dotdir + "/"):
        raise UsageError(f"{to} is replican's own", "choose another folder")
    return found


def _wishes(reader: TreeReader, disk: TreeId, tree: TreeId, paths: Sequence[bytes]) -> tuple[int, list[Wish]]:
    """How many files are selected, and what of it is not on the disk as it shall be: directories before what they
    hold."""
    total = sum(entry.kind != DIRECTORY for _, entry in _selected(reader, tree, paths))
    wishes: list[Wish] = []
    for path, old, new in diff_trees(reader, disk, tree):
        if new is None:
            continue
        below = [(path, new)]
        if new.kind == DIRECTORY and (old is None or old.kind != DIRECTORY):
            below += walk_tree(reader, new.tree, path)
        for at, entry in below:
            if any(is_below(at, wanted) for wanted in paths):
                wishes.append(Wish(at, old if at == path else None, entry))
    return total, wishes


def _selected(reader: TreeReader, tree: TreeId, paths: Sequence[bytes]) -> Iterator[tuple[bytes, Entry]]:
    tops = [path for path in set(paths) if not any(path != above and is_below(path, above) for above in paths)]
    for top in sorted(tops):
        entry = at_path(reader, tree, top)
        if entry is None:
            continue
        if top:
            yield top, entry
        if entry.kind == DIRECTORY:
            yield from walk_tree(reader, entry.tree, top)


def _wanted(wishes: Sequence[Wish]) -> list[Needed]:
    return [
        (wish.entry, Wanted(wish.entry.blob, wish.entry.kind, wish.entry.size, wish.path))
        for wish in wishes
        if wish.entry.kind != DIRECTORY and needs_content(wish.old, wish.entry)
    ]


def _survey(repo: Repository, tree: TreeId, paths: Sequence[bytes], asked: _Asked, to: str | None) -> Restored:
    """What a restore would find, as far as the stores know; nothing is read or written."""
    if to is None:
        now = on_disk(repo)
        total, wishes = _wishes(now.trees, now.disk, tree, paths)
    else:
        total, wishes = _wishes(repo, EMPTY_TREE, tree, paths)
    wanted = _wanted(wishes)
    with asked() as found:
        there = find(found.all, [item for entry, item in wanted if entry.id != NO_CONTENT])
    places: dict[str, int] = {}
    restored: list[bytes] = []
    missing: list[Problem] = []
    needing = {item.hint: entry for entry, item in wanted}
    for wish in wishes:
        entry = needing.get(wish.path)
        if entry is None or entry.id == NO_CONTENT or entry.id in there:
            if entry is not None and entry.id != NO_CONTENT:
                place = there[entry.blob]
                places[place] = places.get(place, 0) + 1
            if wish.entry.kind != DIRECTORY:
                restored.append(wish.path)
        else:
            missing.append(Problem(wish.path, NO_SOURCE))
    return Restored(tree, total - _files(wishes), places, restored, missing, [])


def _files(wishes: Sequence[Wish]) -> int:
    return sum(wish.entry.kind != DIRECTORY for wish in wishes)


def _new_directories(wishes: Sequence[Wish]) -> int:
    return sum(wish.entry.kind == DIRECTORY and (wish.old is None or wish.old.kind != DIRECTORY) for wish in wishes)


def _restore(
    repo: Repository, tree: TreeId, total: int, wishes: list[Wish], asked: _Asked, root: str, *, inside: bool
) -> Restored:
    places: dict[str, int] = {}
    missing: list[Problem] = []
    traits = repo.traits
    impossible: list[Problem] = []
    possible: list[Wish] = []
    for wish in wishes:
        # Elsewhere may be more than here, but for links: they are made on our own stage first.
        path = wish.path if inside else b"link"
        reason = traits.why_not_at(path, wish.entry.kind)
        if reason is None:
            possible.append(wish)
        else:
            impossible.append(Problem(wish.path, reason, True))
    with (
        Stage(f"{repo.dotdir}/stage") as stage,
        Trash(f"{repo.dotdir}/trash") as trash,
        asked() as found,
    ):
        wanted = _wanted(possible)
        check_room(repo, wanted, found.all, directories=_new_directories(possible), target=root)
        os.makedirs(root, exist_ok=True)
        slots, taken_from = _stage(repo, stage, found, wanted, missing)
        lost = {problem.path for problem in missing}
        with Putter(root, stage, trash, repo.index if inside else None) as putter:
            for wish in possible:
                if wish.path not in lost:
                    putter.put(wish.path, wish.entry, slots.pop(wish.path, None))
            restored, problems = putter.finish()
        for path in restored:
            place = taken_from.get(path)
            if place is not None:
                places[place] = places.get(place, 0) + 1
        for slot in slots.values():
            stage.drop(slot)
        repo.index.add_trash(trash.taken)
        repo.notes += rescue_changed(repo.root, repo.index, trash)
    return Restored(tree, total - _files(wishes), places, restored, missing, sorted([*impossible, *problems]))


def _take(
    stage: Stage,
    stores: Sequence[ContentStore],
    wanted: list[Needed],
    slots: dict[bytes, Slot],
    taken_from: dict[bytes, str],
    progress: Progress,
) -> list[Needed]:
    """Stage each from the first store that really has it; what none of them has."""
    left: list[Needed] = []
    brought: dict[bytes, str] = {}
    underway = Underway(progress)
    for entry, item in wanted:
        for store in stores:
            slot = stage.put(entry, item, [store], underway.advance)
            if slot is not None:
                slots[item.hint] = slot
                if entry.id != NO_CONTENT:
                    taken_from[item.hint] = brought.setdefault(entry.id, slot.source or store.name)
                underway.count(1, entry.size)
                break
        else:
            left.append((entry, item))
    return left


def _stage(
    repo: Repository,
    stage: Stage,
    found: Sources,
    wanted: list[Needed],
    missing: list[Problem],
) -> tuple[dict[bytes, Slot], dict[bytes, str]]:
    """Stage what can be had, each from the first store that really has it; the slots, and the stores, by path."""
    slots: dict[bytes, Slot] = {}
    taken_from: dict[bytes, str] = {}
    for store in found.all:
        store.locate([item for _, item in wanted])
    repo.progress.begin("restoring", len(wanted), sum(entry.size for entry, _ in wanted))
    try:
        left = _take(stage, found.all, wanted, slots, taken_from, repo.progress)
        far = [store for store in found.all if store.is_far]
        if left and far:
            for store in far:
                store.bring(left, stage, repo.progress)
            left = _take(stage, [*far, stage.shelf], left, slots, taken_from, repo.progress)
        missing += [Problem(item.hint, NO_SOURCE) for _, item in left]
        stage.flush()
    finally:
        repo.progress.end()
    return slots, taken_from
