"""Choosing: which small files of new directories come over a link with their directories, and not by their ids.

Nearly all do. What is left out is what need not come: it lies on the stage already, or is wanted in several places and
large enough for that to count.
"""

from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from replican.effects.mirror import Filled, Mirror
from replican.effects.staging import Stage
from replican.effects.treebuild import Building
from replican.values.ids import TreeId
from replican.values.streams import COPY_LIMIT
from replican.values.trees import DIRECTORY, FILE, Entry, TreeReader, parse_tree

if TYPE_CHECKING:
    from replican.values.messages import Directory

_TWICE: Final = 4096
"""What is wanted more than once, and has more bytes, comes once."""


class Jobs:
    """Directories that are to be filled; ``ids`` are those of their trees, by their paths."""

    def __init__(self, jobs: Sequence[Building], ids: Mapping[bytes, TreeId]) -> None:
        self._jobs = jobs
        self._ids = ids

    def choose(self, trees: TreeReader, stage: Stage) -> "tuple[list[Directory], tuple[int, int]]":
        """The directories to ask for; and how many files, of how many bytes, will come."""
        # Here, since between folders nobody needs what the messages are made of.
        from replican.values.messages import FEW, Directory

        listed = [(job, trees.tree(self._ids[job.path])) for job in self._jobs]
        counts = Counter([entry.id for _, entries in listed for entry in entries if entry.kind == FILE])
        # Nearly always there are none of these, and then nobody is asked about each file.
        others = {id for id, count in counts.items() if count > 1}
        may_lie_here = bool(stage.left or stage.landed)
        chosen: list[Directory] = []
        files = size = 0
        for job, entries in listed:
            coming = [entry for entry in _of_job(job, entries) if is_small(entry)]
            if others or may_lie_here:
                coming = [entry for entry in coming if _has_to_come(entry, others, stage)]
            left_out: list[int] = []
            if len(coming) < len(entries):
                names = {entry.name for entry in coming}
                small = [(number, entry.name) for number, entry in enumerate(entries) if is_small(entry)]
                left_out = [number for number, name in small if name not in names]
            if coming and len(left_out) <= FEW:
                chosen.append(Directory(self._ids[job.path], job.path, left_out))
                files += len(coming)
                size += sum([entry.size for entry in coming])
        return chosen, (files, size)

    def take_whole(self, mirror: Mirror, but: Collection[bytes], filled: dict[bytes, Filled]) -> list[Building]:
        """Have those ``filled`` that a mirror has whole, ``but`` for these paths; those that are left."""
        left: list[Building] = []
        for job in self._jobs:
            whole = None if job.path in but else mirror.whole(job.path, self._ids[job.path])
            if whole is None:
                left.append(job)
            else:
                filled[job.path] = whole
        return left


def total(jobs: Iterable[Building]) -> tuple[int, int]:
    """How many files are to be made, and of how many bytes."""
    return sum([job.files for job in jobs]), sum([job.size for job in jobs])


def is_small(entry: Entry) -> bool:
    """Whether an entry is a file that may come with its directory."""
    return entry.kind == FILE and entry.size <= COPY_LIMIT


def _has_to_come(entry: Entry, others: Container[bytes], stage: Stage) -> bool:
    if entry.size > _TWICE and entry.id in others:
        return False
    return not entry.size or not stage.find_landed(entry)


def _of_job(job: Building, entries: Sequence[Entry]) -> Sequence[Entry]:
    """Those entries of its tree that a job has: it may lack some."""
    if job.files == len(entries) or job.files == len([entry for entry in entries if entry.kind != DIRECTORY]):
        return entries
    names = {entry.name for entry in parse_tree(job.payload)}
    return [entry for entry in entries if entry.name in names]
