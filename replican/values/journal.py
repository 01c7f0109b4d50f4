"""The journal of a transition: the paths that it is about to change."""

from typing import NamedTuple

from replican.values.trees import Entry


class JournalEntry(NamedTuple):
    """One path, with what it held before and what it shall hold; None for nothing.

    It is noted before the disk is touched and cleared when the rows are: after a kill, a path here may hold either.
    With a ``cause`` it is *undecided*: what it holds could not be told after a kill, for this reason, and is looked for
    again by each command that writes.
    """

    path: bytes
    old: Entry | None
    new: Entry | None
    cause: str = ""
