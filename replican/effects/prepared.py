"""What a preparation comes to, and what a plan needs for it: the content of files that come, by where they will lie."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from replican.decisions.plan import Group, NewDirectory, Plan
from replican.effects.contents import Needed, Wanted
from replican.effects.gleaning import BUILT
from replican.effects.mirror import PLACE, Filled, Mirror
from replican.effects.staging import Slot
from replican.values.ids import TreeId
from replican.values.listing import Row
from replican.values.progress import Problem
from replican.values.trees import Entry

NO_SOURCE = "no source"
NOT_HERE = "not here yet"
TAKEN = "the same name as another on this file system"


class BuiltDirectory(NamedTuple):
    """A new directory on the stage, as ``place``: what was filled of it, directory by directory.

    ``added`` are rows that came from other stores, by directory. ``whole`` tells that nothing is missing, came so, or
    is moved in later: its trees are those of the head. ``closed`` are the directories, deepest first, whose permissions
    shut out their owner: they get them last. ``lacks``: some of it is not to be had.
    """

    new: NewDirectory
    place: bytes
    filled: dict[bytes, Filled]
    trees: dict[bytes, TreeId]
    added: dict[bytes, list[Row]]
    whole: bool
    closed: list[tuple[bytes, int]]
    lacks: bool = False


class Prepared(NamedTuple):
    """A plan with its content on the stage: ``slots`` says what will lie at a path; ``lacking`` was not to be had."""

    plan: Plan
    slots: dict[bytes, Slot]
    built: list[BuiltDirectory]
    lacking: list[Problem]


def needs_content(old: Entry | None, new: Entry | None) -> bool:
    """Whether a change brings bytes, not only attributes or an end."""
    return new is not None and (old is None or old.kind != new.kind or old.id != new.id)


def wanted_of(groups: Iterable[Group]) -> Iterator[Needed]:
    """All content that the single files of a plan need."""
    for group in groups:
        for change in group.changes:
            new = change.new
            if new is not None and needs_content(change.old, new):
                yield new, Wanted(new.blob, new.kind, new.size, change.path)


def place_of(plan: Plan, mirror: Mirror | None) -> bytes:
    """Where on the stage the new directories of a plan are built."""
    return BUILT + plan.head.hex().encode() if mirror is None else PLACE
