"""The first half of a transition: all content that a plan needs is staged, verified and flushed.

Nothing of the user's is touched here, and nothing is recorded: it may fail or be killed at any moment, and what was
staged is found again by the next run. Content is taken from this folder or its trash where they have it; only what is
left is read from a remote.
"""

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from replican.decisions.plan import NewDirectory, Plan
from replican.effects.alongside import alongside
from replican.effects.choosing import Jobs, total
from replican.effects.contents import ContentStore, Needed, Wanted
from replican.effects.durable import explain
from replican.effects.forkpool import beside
from replican.effects.groundwork import Groundwork
from replican.effects.linux import flush_filesystem
from replican.effects.mirror import Filled, Mirror
from replican.effects.prepared import NO_SOURCE, TAKEN, BuiltDirectory, Prepared, place_of, wanted_of
from replican.effects.staging import SMALL, Slot, Stage
from replican.effects.treebuild import Building, Landed, TreeBuilder, folded
from replican.effects.underway import Underway
from replican.effects.units import without_units
from replican.effects.worktree import give_mode
from replican.values.errors import FoldedError, NoSpaceError
from replican.values.ids import EMPTY_TREE, TreeId
from replican.values.listing import Row
from replican.values.paths import join, name_of, parent_of
from replican.values.progress import Problem, Progress
from replican.values.traits import twins
from replican.values.trees import DIRECTORY, FILE, Entry, TreeReader, encode_tree, parse_tree

_ONE_BY_ONE = 200
_FLUSH_ONE_BY_ONE = 32
_FLUSH_BESIDE = 64 << 20
_LITTLE = 64 << 10


class _Planned(NamedTuple):
    """What is to be made for a new directory: it and those below, parents first; the trees of all of them; those that
    their owner cannot reach into, with their permissions, the deepest first."""

    new: NewDirectory
    jobs: list[Building]
    trees: dict[bytes, TreeId]
    closed: list[tuple[bytes, int]]


class Preparation:
    """Stages the content of one plan, from ``local`` stores first, then ``remote`` ones. A ``strong`` file system keeps
    whatever a file is given."""

    def __init__(
        self,
        trees: TreeReader,
        stage: Stage,
        local: Sequence[ContentStore],
        remote: Sequence[ContentStore],
        progress: Progress,
        mirror: Mirror | None = None,
        groundwork: Groundwork | None = None,
        strong: bool = False,
    ) -> None:
        self._trees = trees
        self._stage = stage
        self._local = list(local)
        self._remote = list(remote)
        self._progress = progress
        self._underway = Underway(progress)
        self._mirror = mirror
        self._groundwork = groundwork
        self._own_mirror: Mirror | None = None
        self._strong = strong
        self._lacking: list[Problem] = []
        self._going: list[bytes] = []
        self._units: set[bytes] = set()
        self._came = {blob for store in remote for blob in store.came_early}
        # What is no farther over there than here is not looked for here first: that is a look at the whole index.
        self._beside = [store for store in remote if store.lies_beside(stage.fd)]

    def prepare(self, plan: Plan, meanwhile: Callable[[Plan], None] | None = None) -> Prepared:
        """Stage everything, and flush it, with something to do ``meanwhile``; raises ``NoSpaceError`` on a full disk,
        ``FolderError`` if the stage cannot be written, and ``FoldedError`` where the file system takes two names of the
        plan for one."""
        olds = [(path, old) for group in plan.groups for path, old, _ in group.changes if old is not None]
        self._going = [path for path, old in olds if old.kind == FILE and old.size > SMALL]
        try:
            slots = self._stage_files(plan)
            built = self._build(plan)
            if self._groundwork is not None:
                self._groundwork.wait()
            with alongside(self._stage.flush):
                if meanwhile is not None:
                    meanwhile(plan)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpaceError(
                    f"{os.strerror(error.errno).lower()} while staging content",
                    "nothing was changed or recorded; make room and run the command again",
                ) from error
            raise explain(error, f"write to {self._stage.path}") from error
        finally:
            self._progress.end()
            if self._own_mirror is not None:
                self._own_mirror.close()
        return Prepared(plan, slots, built, self._lacking)

    def _stage_files(self, plan: Plan) -> dict[bytes, Slot]:
        slots: dict[bytes, Slot] = {}
        if not (wanted := list(wanted_of(plan.groups))):
            return slots
        self._progress.begin("staging", len(wanted), sum(entry.size for entry, _ in wanted))
        if early := [pair for pair in wanted if pair[1].blob in self._came]:
            self._bring(early)  # of a copy, what it is a copy of is here: it would be copied once more
        if (groundwork := self._groundwork) is not None:
            wanted = self._put_each(wanted, slots, lambda entry, _: groundwork.take(entry))
        is_little = _are_small_edits(plan, wanted)
        for stores in (self._beside, self._local, self._remote):
            if not stores or not wanted:
                continue
            if stores is self._local and not is_little:
                self._locate(stores, wanted)
            wanted = self._try(stores, wanted, slots)
            if wanted and stores is self._remote:
                # Not where the trees say: ask the remote's index, once for all of them.
                self._locate(stores, wanted)
                wanted = self._try(stores, wanted, slots)
        if wanted and self._bring(wanted):
            wanted = self._try([self._stage.shelf, *self._remote], wanted, slots)
        if wanted and is_little:
            self._locate(self._local, wanted)
            wanted = self._try(self._local, wanted, slots)
        self._lacking += [Problem(item.hint, NO_SOURCE) for _, item in wanted]
        return slots

    def _put_each(
        self,
        wanted: list[Needed],
        slots: dict[bytes, Slot],
        find: Callable[[Entry, Wanted], Slot | None],
    ) -> list[Needed]:
        """Note the slots of those that ``find`` has or makes one for; what is left to be staged."""
        left: list[Needed] = []
        for entry, item in wanted:
            slot = find(entry, item)
            if slot is None:
                left.append((entry, item))
            else:
                slots[item.hint] = slot
                self._underway.count(1, entry.size)
        return left

    def _spare(self, size: int) -> None:
        """So many bytes were found nearer than in any far store."""
        for store in self._remote[:1]:
            store.spare(size)

    @staticmethod
    def _locate(stores: Sequence[ContentStore], wanted: list[Needed]) -> None:
        for store in stores:
            store.locate([item for _, item in wanted])

    def _try(self, stores: list[ContentStore], wanted: list[Needed], slots: dict[bytes, Slot]) -> list[Needed]:
        def put(entry: Entry, item: Wanted) -> Slot | None:
            slot = self._mirrored(entry, item)
            if slot is None:
                slot = self._stage.put(entry, item, stores, self._underway.advance)
                if slot is not None and stores is self._local and not slot.source:
                    self._spare(entry.size)
            return slot

        return self._put_each(wanted, slots, put)

    def _bring(self, wanted: Sequence[Needed]) -> bool:
        """Have far stores bring what they have of this; whether there are any."""
        far = [store for store in self._remote if store.is_far]
        for store in far:
            store.bring(wanted, self._stage, self._progress, self._going)
        return bool(far)

    def _mirrored(self, entry: Entry, item: Wanted) -> Slot | None:
        if self._mirror is None or self._mirror.copy_of(parent_of(item.hint), entry) is None:
            return None
        return self._stage.adopt(join(self._mirror.place, item.hint), entry)

    def _build(self, plan: Plan) -> list[BuiltDirectory]:
        """Build all new directories in one go. An empty folder has no content to offer for them."""
        if not (coming := plan.arriving):
            return []
        place = place_of(plan, self._mirror)
        siblings: dict[bytes, list[bytes]] = {}
        for new in coming:
            siblings.setdefault(parent_of(new.path), []).append(name_of(new.path))
        for above, names in siblings.items():
            self._check_twins(above, names)
        filled: dict[bytes, Filled] = {}
        planned = [self._planned(new, filled) for new in coming]
        jobs = [job for each in planned for job in each.jobs]
        leftovers: list[tuple[bytes, Entry]] = []
        source = next(iter(self._remote), self._local[0])
        if plan.base != EMPTY_TREE and source not in self._beside:
            jobs, leftovers = self._leave_local(jobs)
            self._spare(sum([entry.size for _, entry in leftovers]))
        files, _ = total(jobs)
        source = source if files else self._local[0]
        if source.is_far and self._strong and files > _ONE_BY_ONE:
            jobs = self._bring_copies(source, place, planned, jobs, leftovers, filled)
            files, _ = total(jobs)
        copied = sum([each.files for each in filled.values()])
        builder = TreeBuilder(self._stage, place, self._progress, self._mirror)
        if self._mirror is not None:
            builder.tidy({new.path.split(b"/", 1)[0] for new in coming})
        try:
            self._fill(builder, jobs, leftovers, source, filled)
        except FoldedError:
            self._stage.remove(place)  # what belongs into two directories may lie in one of them
            raise
        missing = leftovers + [(each.path, entry) for each in filled.values() for entry in each.missing]
        added: dict[bytes, list[Row]] = {}
        lost = self._fill_missing(builder, missing, added)
        built: list[BuiltDirectory] = []
        for new, _, trees, closed in planned:
            # Those below it have their permissions already: each was given them by the one above.
            top = builder.open(new.path)
            give_mode(top, new.entry.perm | 0o700)
            os.close(top)
            inside, lacks = {path: filled[path] for path in trees}, not lost.isdisjoint(trees)
            whole = not (new.apart or lacks) and added.keys().isdisjoint(trees)
            made = BuiltDirectory(new, place, inside, trees, added, whole, closed, lacks)
            built.append(without_units(self._stage, made, self._units, lost) if lacks else made)
        # Last, for what a directory may be (its permissions) has to be durable with it.
        there = [job for job in jobs if any(job.path in each.filled for each in built)]
        if copied or files > _FLUSH_ONE_BY_ONE or not builder.flush(there):
            self._stage.flush_everything()
        return built

    def _bring_copies(
        self,
        source: ContentStore,
        place: bytes,
        planned: Sequence[_Planned],
        jobs: list[Building],
        leftovers: Sequence[tuple[bytes, Entry]],
        filled: dict[bytes, Filled],
    ) -> list[Building]:
        """Have a far source send small files a directory at a time. The directories that have come whole are
        ``filled``; those that are left to be made."""
        if self._mirror is None:
            self._mirror = self._own_mirror = Mirror(self._stage, place)
        all_of_it = Jobs(jobs, {path: tree for each in planned for path, tree in each.trees.items()})
        directories, totals = all_of_it.choose(self._trees, self._stage)
        source.bring_copies(directories, self._mirror, self._progress, totals)
        # What lacks something, for now or on purpose, is not taken whole.
        lacking = {path for each in planned if each.new.apart for path in each.trees}
        return all_of_it.take_whole(self._mirror, lacking.union([path for path, _ in leftovers]), filled)

    def _fill(
        self,
        builder: TreeBuilder,
        jobs: list[Building],
        leftovers: Sequence[tuple[bytes, Entry]],
        source: ContentStore,
        filled: dict[bytes, Filled],
    ) -> None:
        """Have all directories ``filled``. Where they are large, the disk is told to write when half is done, not at
        the end. The ``leftovers`` only count: they follow."""
        if source.is_far:
            wanted = self._wanted_by(jobs)
            self._bring(wanted)
            builder.landed = Landed(self._stage, [entry for entry, _ in wanted])
        files, size = total(jobs)
        self._progress.begin("copying", files + len(leftovers), size + sum([entry.size for _, entry in leftovers]))
        done, half = 0, size // 2 if size > _FLUSH_BESIDE else size + 1
        with ExitStack() as held:
            for each in builder.build(jobs, source):
                filled[each.path] = each
                if done <= half < done + each.size:
                    held.enter_context(beside(lambda: flush_filesystem(self._stage.fd)))
                done += each.size

    def _planned(self, new: NewDirectory, filled: dict[bytes, Filled]) -> _Planned:
        """What is to be made of a new directory. What the mirror has of it, whole, is ``filled``."""
        jobs: list[Building] = []
        trees: dict[bytes, TreeId] = {}
        closed: list[tuple[bytes, int]] = []
        stack = [(new.path, new.entry)]
        while stack:
            path, above = stack.pop()
            trees[path] = above.tree
            if above.is_unit:
                self._units.add(path)
            if above.perm & 0o700 != 0o700:
                closed.append((path, above.perm))
            copied = None if self._mirror is None or new.apart else self._mirror.whole(path, above.tree)
            if copied is not None:
                filled[path] = copied
                continue
            entries = self._trees.tree(above.tree)
            if new.apart:
                entries = [entry for entry in entries if join(path, entry.name) not in new.apart]
            self._check_twins(path, [entry.name for entry in entries])
            jobs.append(_building(path, entries))
            stack += [(join(path, entry.name), entry) for entry in entries if entry.kind == DIRECTORY]
        closed.reverse()
        return _Planned(new, jobs, trees, closed)

    def _check_twins(self, directory: bytes, names: list[bytes]) -> None:
        """Raise ``FoldedError`` where two of these new names would be one: what cannot be was to be no part of the
        plan."""
        for one, other in twins(names):
            if self._stage.takes_for_one(one, other):
                raise folded(join(directory, other))

    def _leave_local(self, jobs: list[Building]) -> tuple[list[Building], list[tuple[bytes, Entry]]]:
        """Take out of ``jobs`` what this folder has elsewhere: it is not read from a remote."""
        listed = [(job.path, parse_tree(job.payload)) for job in jobs]
        wanted = [
            Wanted(entry.blob, entry.kind, entry.size, join(path, entry.name))
            for path, entries in listed
            for entry in entries
            if entry.kind != DIRECTORY and entry.size
        ]
        local: set[bytes] = set()
        for store in self._local:
            store.locate(wanted)
            local.update(store.located())
        local -= self._came
        if not local:
            return jobs, []
        kept = [
            _building(path, [e for e in entries if e.kind == DIRECTORY or e.id not in local])
            for path, entries in listed
        ]
        left = [(path, e) for path, entries in listed for e in entries if e.kind != DIRECTORY and e.id in local]
        return kept, left

    def _fill_missing(
        self, builder: TreeBuilder, missing: list[tuple[bytes, Entry]], added: dict[bytes, list[Row]]
    ) -> set[bytes]:
        """Ask every store for what the first source did not have; the directories that still lack something then."""
        lost: set[bytes] = set()
        if not missing:
            return lost
        wanted = [Wanted(e.blob, e.kind, e.size, join(path, e.name)) for path, e in missing]
        for store in (*self._local, *self._remote):
            store.locate(wanted)
        if any(not store.is_far for store in self._remote):  # else all of it has been asked for
            near = [store for store in (*self._local, *self._remote) if not store.is_far]
            left = [(entry, item) for (_, entry), item in zip(missing, wanted, strict=True)]
            self._bring([each for each in left if not any(store.has(each[1]) for store in near)])
        for (path, entry), item in zip(missing, wanted, strict=True):
            try:
                row = builder.fill_missing(path, entry, item, self._local + self._remote)
                cause, held = NO_SOURCE, False
            except FileExistsError:
                row, cause, held = None, TAKEN, True
            if row is None:
                self._lacking.append(Problem(item.hint, cause, held))
                lost.add(path)
            else:
                added.setdefault(path, []).append(row)
        return lost

    def _wanted_by(self, jobs: Iterable[Building]) -> list[Needed]:
        """All content that new directories need, and a mirror has not got."""
        mirror = self._mirror
        return [
            (entry, Wanted(entry.blob, entry.kind, entry.size, join(job.path, entry.name)))
            for job in jobs
            for entry in parse_tree(job.payload)
            if entry.kind != DIRECTORY and (mirror is None or mirror.copy_of(job.path, entry) is None)
        ]


def _are_small_edits(plan: Plan, wanted: Iterable[Needed]) -> bool:
    """Whether all of this is little, and new content of files that are there: it is seldom that of another one, and to
    have it come is less than a look at the whole index, which would find that."""
    if sum([entry.size for entry, _ in wanted]) > _LITTLE:
        return False
    edited = {path for group in plan.groups for path, old, _ in group.changes if old is not None and old.kind == FILE}
    return all(item.hint in edited for _, item in wanted)


def _building(path: bytes, entries: Sequence[Entry]) -> Building:
    files = [entry.size for entry in entries if entry.kind != DIRECTORY]
    return Building(path, encode_tree(entries), len(files), sum(files))
