"""A scan: what the folder holds now, as records that differ from the index's. Nothing is written."""

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from replican.effects.assemble import Assembled, Assembler, topmost
from replican.effects.births import Births
from replican.effects.completing import Completed, Glimpse, Sides, complete
from replican.effects.examine import Examined
from replican.effects.hashing import Found, Job, PuttingOff
from replican.effects.index import ASIDE, DirRecord, Index, Known
from replican.effects.index_births import Birth
from replican.effects.mirror import Copying
from replican.effects.partly import PartlyKnown
from replican.effects.reading import Reading
from replican.effects.walk import Walk, Wanted
from replican.values.ids import EMPTY_TREE, TreeId
from replican.values.journal import JournalEntry
from replican.values.listing import Row, listing_totals
from replican.values.paths import is_below, join
from replican.values.progress import Problem, Progress, Silent


class Scan(NamedTuple):
    """What a look at the folder found.

    ``changed`` has a record for each directory that differs from the index (those whose tree is ``ASIDE`` are not
    recorded); ``gone`` are directories that went, with all below them; ``root`` is the folder's tree; ``payloads`` are
    the trees that are new. ``problems`` are paths that could not be seen: what the index has of them stands.
    ``skipped`` is what is never recorded (special files and the like), named when its directory is compared. ``pairs``
    are the files and links that differ from what was known of them, before and after; None where directories came or
    went, whose files they would lack. ``files`` and ``size`` (bytes) are those of the whole folder, links too (None
    where only parts of it were looked at); ``hashed_files`` and ``hashed_size`` were read for it. ``units`` were left
    for a look of their own; ``flaws`` are in attribute files that were read; by ``births``, large files that were read
    are known again.
    """

    changed: dict[bytes, DirRecord]
    gone: list[bytes]
    root: TreeId
    payloads: dict[TreeId, bytes]
    problems: list[Problem]
    skipped: list[Problem]
    pairs: list[Sides] | None
    files: int | None
    size: int | None
    hashed_files: int
    hashed_size: int
    units: Sequence[bytes] = ()
    flaws: Sequence[Problem] = ()
    births: Sequence[Birth] = ()


Take = Callable[[Examined, dict[bytes, Row]], None]
See = Callable[[Glimpse], None]
_LATELY_NS: Final = 10_000_000_000
"""Who has written to a file for a longer time than that is not waited for."""

_Waiting = tuple[Examined, dict[bytes, Row]]


class Survey:
    """What a walk finds, gathered: a directory is read where that has to be, and goes to the assembler.

    ``take`` is given, in place of that, every directory that differs from its record, with the record's rows.
    """

    def __init__(
        self,
        root: str,
        index: Index,
        full: bool = False,
        take: Take | None = None,
        workers: int | None = None,
        mirror: Copying | None = None,
        partly: bool = False,
        see: See | None = None,
        leave_units: bool = False,
        putting_off: PuttingOff | None = None,
        held: Iterable[Problem] = (),
    ) -> None:
        """``partly``: no more than some paths will be wanted. ``see`` is shown changed directories on the way. What is
        known of paths that are ``held`` stands."""
        self._mirror = mirror
        self._putting_off = putting_off
        self._see = see
        self.known: Mapping[bytes, Known] = PartlyKnown(index) if partly else index.digests()
        self.assembler = Assembler(self.known.get, index.record, index.observed_root())
        # Who only asks what differs is told of those, too: one command more looks at them again.
        undecided = [entry for entry in index.journal() if entry.cause] if take is None else []
        undecided += [JournalEntry(path, None, None, cause) for path, cause, _, _ in held]
        # Nor does that one take anything over, as nobody does who is to read all there is.
        self._births = None if full or take is not None else Births(root, index.births, partly)
        self.births: list[Birth] = []
        self.walk = Walk(
            root, index, self.known, self.assembler, take or self._take, full, undecided, leave_units, self._births
        )
        self._reading: Reading[_Waiting, Completed] = Reading(root, self._complete, workers, mirror)
        self._pairs: list[Sides] | None = []
        self.hashed_files = 0
        self.hashed_size = 0

    def _take(self, examined: Examined, known: dict[bytes, Row]) -> None:
        if examined.large and self._births is not None:
            examined.recognise(self._births)
        if not examined.todo:
            self._put(complete(examined, known, None, self._pairs is not None))
            return
        job = self._job(examined)
        for completed in self._reading.give((examined, known), job):
            self._put(completed)

    def _job(self, examined: Examined) -> Job:
        path, names = examined.path, [name for name, _ in examined.todo]
        if self._putting_off is None:
            return Job(path, names, examined.size)
        before, most, rested = self._putting_off
        known = {name: before[at] for name in names if (at := join(path, name)) in before} if before else {}
        since_ns = None if rested is None else time.time_ns() - _LATELY_NS
        still = [name for name in names if join(path, name) in rested] if rested else ()
        return Job(path, names, examined.size if examined.size <= most else 0, most, known, since_ns, still)

    def _complete(self, waiting: _Waiting, found: Found) -> Completed:
        """In whatever process has read it."""
        return complete(*waiting, found, self._pairs is not None)

    def _put(self, completed: Completed) -> None:
        """A directory of which all is known now."""
        path, packed, digest, ino, mount, keep, problems, pairs, files, size, copied, births = completed
        if self._pairs is not None:
            self._pairs = None if pairs is None else self._pairs + pairs
        self.walk.problems += problems
        self.hashed_files += files
        self.hashed_size += size
        self.births += births
        if copied is not None and self._mirror is not None:
            self._mirror.note(copied)
        if self._see is not None and packed.tree is not None and packed.payload is not None:
            known = self.known.get(path)
            before = EMPTY_TREE if known is None else known.tree
            # A new directory is told where its files are copied meanwhile: elsewhere it may only have moved.
            if before not in (ASIDE, packed.tree) and (known is not None or self._mirror is not None):
                self._see(Glimpse(path, before, packed.payload))
        self.assembler.put_packed(path, packed, digest, ino, mount, keep)

    def go(self, wanted: Wanted, progress: Progress) -> None:
        """Walk, over everything or over what is wanted, and read what has to be, meanwhile where that is much."""
        expected = 0 if wanted else sum([known.files for known in self.known.values()])
        with self._reading:
            progress.begin("looking", expected or None)
            try:
                self.walk.go(wanted, progress)
            finally:
                progress.end()
            for completed in self._reading.rest(progress):
                self._put(completed)

    def result(self) -> Scan:
        """All of it together. Known directories that were not met where the walk has met all that is there, are
        gone."""
        walk = self.walk
        partly = self.known if isinstance(self.known, PartlyKnown) else None
        known = self.known if partly is None else partly.below(topmost(walk.whole))
        missing = [path for path in known if path not in walk.seen and self._was_covered(path)]
        for path in topmost(missing):
            self.assembler.remove(path)
        made = self.assembler.finish()
        files, size = (None, None) if partly is not None else self._totals(made, set(missing))
        return Scan(
            made.changed,
            made.gone,
            made.root,
            made.payloads,
            sorted(walk.problems),
            sorted(walk.skipped),
            None if missing or walk.renames.taken or walk.standing else self._pairs,
            files,
            size,
            self.hashed_files,
            self.hashed_size,
            sorted(walk.units),
            walk.flaws,
            self.births,
        )

    def _totals(self, made: Assembled, missing: set[bytes]) -> tuple[int, int]:
        changed = [listing_totals(record.rows_blob) for record in made.changed.values()]
        same = [
            (known.files, known.size)
            for path, known in self.known.items()
            if path not in made.changed and path not in missing
        ]
        return sum([files for files, _ in changed + same]), sum([size for _, size in changed + same])

    def _was_covered(self, path: bytes) -> bool:
        """Whether the walk would have met this directory if it were there."""
        walk = self.walk
        return any(is_below(path, top) for top in walk.whole) and not any(is_below(path, top) for top in walk.standing)


def scan(
    root: str,
    index: Index,
    *,
    progress: Progress | None = None,
    workers: int | None = None,
    full: bool = False,
    mirror: Copying | None = None,
    see: See | None = None,
    leave_units: bool = False,
    putting_off: PuttingOff | None = None,
    held: Iterable[Problem] = (),
) -> Scan:
    """Look at the whole folder, in one pass, against the observed rows of ``index``.

    Files whose stat data are as the index has them are not read, unless ``full``. ``workers`` is the number of
    processes that hash where there is much to hash; 1 keeps it in this one. What is read is copied to ``mirror``;
    ``see`` is shown directories that have changed, as they are met. ``leave_units``: what is known of directories that
    are units stands. With ``putting_off``, large files are not read; what is known of paths that are ``held`` stands,
    whatever is found there.
    Raises ``NoRepositoryError`` without a folder, ``FolderError`` if it can't be read, ``IndexDamagedError``.
    """
    with uncollected():
        survey = Survey(
            root, index, full, None, workers, mirror, False, see, leave_units, putting_off=putting_off, held=held
        )
        survey.go({}, progress or Silent())
        return survey.result()


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the cyclic garbage collector: a walk makes no cycles, and it would look through everything again and
    again."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
