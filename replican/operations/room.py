"""Room: whether the disk has enough of it, known before anything is written.

What counts are bytes and names: some disks are full of small files while they still have bytes.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from replican.decisions.gates import Gate, no_inodes, no_room, pass_gates
from replican.decisions.limits import Limits, Measure, measure_tree
from replican.decisions.plan import NewDirectory, Plan
from replican.effects.clearing import Taken, left_of, parts_of_others, room_taken
from replican.effects.contents import NO_CONTENT, ContentStore, Needed, Wanted, find
from replican.effects.linux import data_of
from replican.effects.prepared import wanted_of
from replican.effects.staging import HOLE, SMALL
from replican.repository import Repository
from replican.values import paths
from replican.values.ids import BlobId, TreeId
from replican.values.trees import DIRECTORY, FILE, Entry, TreeOverlay


class Need(NamedTuple):
    """The bytes that will be written, and how many files, links and directories will be made."""

    size: int
    names: int


class Room(NamedTuple):
    """What a disk has left: bytes, and names; None where that has no limit."""

    size: int
    names: int | None

    def holds(self, need: Need) -> bool:
        return need.size <= self.size and (self.names is None or need.names <= self.names)

    def gates(self, need: Need) -> list[Gate | None]:
        """The gates that stand closed before this need."""
        names = need.names if self.names is None else self.names
        return [no_room(need.size, self.size), no_inodes(need.names, names)]


def room_at(path: str) -> Room:
    """The room on the disk that has ``path``, or that will have it, once its directories are made."""
    while True:
        try:
            found = os.statvfs(path)
            break
        except FileNotFoundError:
            path = os.path.dirname(path.rstrip("/")) or "."
    # Some file systems make an inode for whatever comes, and tell of none.
    return Room(found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)


def room_gates(
    repo: Repository,
    overlay: TreeOverlay,
    plan: Plan,
    measured: dict[TreeId, Measure],
    stores: Sequence[ContentStore] = (),
) -> list[Gate | None]:
    """Whether the disk has room for what a plan will write; ``measured`` are directories that were measured, and
    ``stores`` have what it needs."""
    need = _needed_by(overlay, plan, measured)
    if not need.names:
        return []
    room = room_at(repo.root)
    if not room.holds(need):
        # What waits on the stage already (a mirror's copies, an interrupted run's) is not written again, or goes before
        # anything comes; but what has come of other large files stays.
        stage = f"{repo.dotdir}/stage"
        staged = room_taken(stage, parts_of_others(stage, blobs_of(overlay, plan)))
        room = Room(room.size + staged.size, None if room.names is None else room.names + staged.names)
        if not room.holds(need):
            need = need._replace(size=need.size - holes_of(_contents_of(overlay, plan), stores))
    return room.gates(need)


def holes_of(wanted: Iterable[Needed], stores: Sequence[ContentStore]) -> int:
    """How many bytes of these contents are holes, where a store can open the files here: they stay holes."""
    large = [(entry, item) for entry, item in wanted if entry.kind == FILE and entry.size > SMALL]
    near = [store for store in stores if not store.is_far]
    for store in near:
        store.locate([item for _, item in large])
    holes = 0
    for entry, item in large:
        for store in near:
            fd = store.open_file(item)
            if fd is not None:
                try:
                    holes += entry.size - data_of(fd, entry.size, HOLE)
                finally:
                    os.close(fd)
                break
    return holes


def _needed_by(overlay: TreeOverlay, plan: Plan, measured: dict[TreeId, Measure]) -> Need:
    size = count = 0
    for entry, _ in wanted_of(plan.groups):
        size += entry.size
        count += 1
    for new in plan.arriving:
        if not new.apart:
            below = measure_tree(overlay, new.entry.tree, Limits(), measured)
            size += below.size
            count += below.entries + 1
            continue
        for _, entry in _made_for(overlay, new):
            count += 1
            size += entry.size
    return Need(size, count)


def blobs_of(overlay: TreeOverlay, plan: Plan) -> Iterator[BlobId]:
    """The ids of all content that a plan puts down."""
    return (entry.blob for entry, _ in _contents_of(overlay, plan))


def _contents_of(overlay: TreeOverlay, plan: Plan) -> Iterator[Needed]:
    yield from wanted_of(plan.groups)
    for new in plan.arriving:
        for path, entry in _made_for(overlay, new):
            if entry.kind != DIRECTORY:
                yield entry, Wanted(entry.blob, entry.kind, entry.size, path)


def _made_for(overlay: TreeOverlay, new: NewDirectory) -> Iterator[tuple[bytes, Entry]]:
    stack = [(new.path, new.entry)]
    while stack:
        path, entry = stack.pop()
        if path in new.apart:
            continue  # it is moved here
        yield path, entry
        if entry.kind == DIRECTORY:
            stack += [(paths.join(path, below.name), below) for below in overlay.tree(entry.tree)]


def check_room(
    repo: Repository,
    wanted: Sequence[Needed],
    stores: Sequence[ContentStore],
    *,
    directories: int = 0,
    target: str | None = None,
) -> None:
    """Raise ``NoSpaceError`` where the stage has no room for all of ``wanted`` that ``stores`` have, or the disk of
    ``target`` for that and so many directories more. By default, what is staged takes its place on the same disk."""
    stage = f"{repo.dotdir}/stage"
    apart = target is not None and _disk_of(target) != _disk_of(repo.dotdir)
    places = [(room_at(stage), True, 0 if apart else directories)]
    if target is not None and apart:
        places.append((room_at(target), False, directories))

    def closed(entries: Sequence[Entry], left: Taken, holes: int = 0) -> list[Gate]:
        size, names = sum([entry.size for entry in entries]) - holes, len(entries)
        found: list[Gate | None] = []
        for room, is_stage, more in places:
            there = left if is_stage else Taken(0, 0)
            found += room.gates(Need(size - there.size, names - there.names + more))
        return [gate for gate in found if gate is not None]

    if closed([entry for entry, _ in wanted], Taken(0, 0)):
        # Looked at closely only now, for it takes long: what is nowhere needs no room, nor what is staged already.
        there = find(stores, [item for entry, item in wanted if entry.id != NO_CONTENT])
        coming = [entry for entry, _ in wanted if entry.id == NO_CONTENT or entry.id in there]
        left = left_of(stage, coming)
        if closed(coming, left):
            fresh = [each for each in wanted if each[0].id in there and not left_of(stage, each[:1]).names]
            pass_gates(closed(coming, left, holes_of(fresh, stores)), ())


def _disk_of(path: str) -> int:
    while True:
        try:
            return os.stat(path).st_dev
        except FileNotFoundError:
            path = os.path.dirname(path.rstrip("/")) or "."
