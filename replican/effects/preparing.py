"""The first half of a transition: all content that a plan needs is staged, verified and flushed.

Nothing of the user's is touched here, and nothing is recorded: it may fail or be killed at any moment, and what was
staged is found again by the next run. Content is taken from this folder or its trash where they have it; only what is
left is read from a remote.
"""

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from replican.decisions.plan import Group, NewDirectory, Plan
from replican.effects.contents import ContentStore, Wanted
from replican.effects.staging import Slot, Stage
from replican.effects.treebuild import Building, Filled, TreeBuilder
from replican.values.errors import NoSpaceError
from replican.values.listing import Row
from replican.values.paths import join
from replican.values.progress import Problem, Progress
from replican.values.trees import DIRECTORY, Entry, TreeReader

NO_SOURCE = "no source"


class BuiltDirectory(NamedTuple):
    """A new directory on the stage: ``rows`` has, for each directory at and below its path, what was written there.

    ``whole`` tells that nothing is missing and nothing is moved in later: its trees are those of the head.
    """

    new: NewDirectory
    place: bytes
    rows: dict[bytes, list[Row]]
    whole: bool


class Prepared(NamedTuple):
    """A plan with its content on the stage. ``slots`` has, for a path, what will lie there; ``lacking`` what was not
    to be had."""

    plan: Plan
    slots: dict[bytes, Slot]
    built: list[BuiltDirectory]
    lacking: list[Problem]


def needs_content(old: Entry | None, new: Entry | None) -> bool:
    """Whether a change brings bytes, not only attributes or an end."""
    return new is not None and (old is None or old.kind != new.kind or old.id != new.id)


def wanted_of(groups: Iterable[Group]) -> Iterator[tuple[Entry, Wanted]]:
    """All content that the single files of a plan need."""
    for group in groups:
        for change in group.changes:
            new = change.new
            if new is not None and needs_content(change.old, new):
                yield new, Wanted(new.blob, new.kind, new.size, change.path)


class Preparation:
    """Stages the content of one plan. ``local`` stores are asked first, then ``remote`` ones."""

    def __init__(
        self,
        trees: TreeReader,
        stage: Stage,
        local: Sequence[ContentStore],
        remote: Sequence[ContentStore],
        progress: Progress,
    ) -> None:
        self._trees = trees
        self._stage = stage
        self._local = list(local)
        self._remote = list(remote)
        self._progress = progress
        self._lacking: list[Problem] = []

    def prepare(self, plan: Plan) -> Prepared:
        """Stage everything; raises ``NoSpaceError`` on a full disk, and ``OSError`` if the stage cannot be written."""
        try:
            slots = self._stage_files(plan)
            built = [self._build(number, new) for number, new in enumerate(plan.new)]
            self._stage.flush()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpaceError(
                    "no space left on the disk while staging content",
                    "nothing was changed or recorded; make room and run the command again",
                ) from error
            raise
        finally:
            self._progress.end()
        return Prepared(plan, slots, built, self._lacking)

    def _stage_files(self, plan: Plan) -> dict[bytes, Slot]:
        slots: dict[bytes, Slot] = {}
        wanted = list(wanted_of(plan.groups))
        if not wanted:
            return slots
        self._progress.begin("staging", len(wanted), sum(entry.size for entry, _ in wanted))
        for stores in (self._local, self._remote):
            if not stores or not wanted:
                continue
            if stores is self._local:
                self._locate(stores, wanted)
            wanted = self._try(stores, wanted, slots)
            if wanted and stores is self._remote:
                # Not where the trees say: ask the remote's index, once for all of them.
                self._locate(stores, wanted)
                wanted = self._try(stores, wanted, slots)
        self._lacking += [Problem(item.hint, NO_SOURCE) for _, item in wanted]
        return slots

    @staticmethod
    def _locate(stores: Sequence[ContentStore], wanted: list[tuple[Entry, Wanted]]) -> None:
        for store in stores:
            store.locate([item for _, item in wanted])

    def _try(
        self, stores: list[ContentStore], wanted: list[tuple[Entry, Wanted]], slots: dict[bytes, Slot]
    ) -> list[tuple[Entry, Wanted]]:
        left: list[tuple[Entry, Wanted]] = []
        for entry, item in wanted:
            slot = self._stage.put(entry, item, stores)
            if slot is None:
                left.append((entry, item))
            else:
                slots[item.hint] = slot
                self._progress.advance(1, entry.size)
        return left

    def _build(self, number: int, new: NewDirectory) -> BuiltDirectory:
        if new.path in new.apart:
            return BuiltDirectory(new, b"", {}, False)
        place = b"tree-%s-%d" % (new.entry.id.hex().encode(), number)
        builder = TreeBuilder(self._stage, place, self._progress)
        jobs, leftovers, files, size = self._jobs(new)
        self._progress.begin("copying", files, size)
        rows: dict[bytes, list[Row]] = {}
        missing: list[tuple[bytes, Entry]] = []
        source = next((store for store in self._remote if files), None) or self._local[0]
        for filled in builder.build(jobs, source, self._tick if files > 1000 else None):
            self._note(filled, rows, missing)
        missing += leftovers
        lost = self._fill_missing(builder, missing, rows)
        self._add_directories(builder, jobs, rows)
        self._stage.flush_everything() if files > 8 else self._flush_few(builder, rows)
        return BuiltDirectory(new, place, rows, not lost and not new.apart)

    def _tick(self) -> None:
        """Have the disk write while the processors copy: less is left for the flush at the end."""
        from replican.effects.linux import flush_filesystem

        flush_filesystem(self._stage.fd)

    def _jobs(self, new: NewDirectory) -> tuple[list[Building], list[tuple[bytes, Entry]], int, int]:
        """The directories to make, parents first; the entries that this folder has elsewhere; counts of files and
        bytes."""
        jobs: list[Building] = []
        files = size = 0
        stack = [(new.path, new.entry)]
        while stack:
            path, above = stack.pop()
            entries = tuple(
                entry
                for entry in self._trees.tree(above.tree)
                if not new.apart or join(path, entry.name) not in new.apart
            )
            jobs.append(Building(path, entries))
            for entry in entries:
                if entry.kind == DIRECTORY:
                    stack.append((join(path, entry.name), entry))
                else:
                    files += 1
                    size += entry.size
        leftovers: list[tuple[bytes, Entry]] = []
        local = self._local_blobs(jobs)
        if local:
            kept: list[Building] = []
            for path, entries in jobs:
                leftovers += [(path, entry) for entry in entries if entry.kind != DIRECTORY and entry.id in local]
                kept.append(Building(path, tuple(e for e in entries if e.kind == DIRECTORY or e.id not in local)))
            jobs = kept
        return jobs, leftovers, files, size

    def _local_blobs(self, jobs: list[Building]) -> set[bytes]:
        wanted = [
            Wanted(entry.blob, entry.kind, entry.size, join(path, entry.name))
            for path, entries in jobs
            for entry in entries
            if entry.kind != DIRECTORY and entry.size
        ]
        found: set[bytes] = set()
        for store in self._local:
            store.locate(wanted)
            found.update(store.located())
        return found

    def _note(self, filled: Filled, rows: dict[bytes, list[Row]], missing: list[tuple[bytes, Entry]]) -> None:
        rows[filled.path] = filled.rows
        missing += [(filled.path, entry) for entry in filled.missing]

    def _fill_missing(
        self, builder: TreeBuilder, missing: list[tuple[bytes, Entry]], rows: dict[bytes, list[Row]]
    ) -> bool:
        """Ask every store for what the first source did not have; whether anything was not to be had at all."""
        if not missing:
            return False
        wanted = [Wanted(e.blob, e.kind, e.size, join(path, e.name)) for path, e in missing]
        for store in self._remote:
            store.locate(wanted)
        lost = False
        for (path, entry), item in zip(missing, wanted, strict=True):
            row = builder.fill_missing(path, entry, item, self._local + self._remote)
            if row is None:
                self._lacking.append(Problem(item.hint, NO_SOURCE))
                lost = True
            else:
                rows[path].append(row)
                self._progress.advance(1, entry.size)
        return lost

    def _add_directories(self, builder: TreeBuilder, jobs: list[Building], rows: dict[bytes, list[Row]]) -> None:
        """Give every directory its permissions, deepest first, and its row in the one above it."""
        for path, entries in reversed(jobs):
            here = rows.setdefault(path, [])
            for entry in entries:
                if entry.kind != DIRECTORY:
                    continue
                place = builder.location(join(path, entry.name))
                # Its owner has to reach into it until all is in place: the rest of its bits come then.
                os.chmod(place, entry.perm | 0o700)
                found = os.lstat(place)
                here.append(Row(*entry, entry.perm, 0, 0, found.st_ino))
            here.sort()

    def _flush_few(self, builder: TreeBuilder, rows: dict[bytes, list[Row]]) -> None:
        for path, listed in rows.items():
            directory = os.open(builder.location(path), os.O_RDONLY | os.O_DIRECTORY)
            try:
                for row in listed:
                    if row.kind == b"f" and row.perm & 0o400:
                        fd = os.open(row.name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory)
                        try:
                            os.fsync(fd)
                        finally:
                            os.close(fd)
                    elif row.kind == b"f":
                        self._stage.flush_everything()
                os.fsync(directory)
            finally:
                os.close(directory)
