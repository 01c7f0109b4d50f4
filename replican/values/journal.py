"""The journal of a transition: the paths that it is about to change."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, Protocol

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


class Beside(Protocol):
    """Where a journal is noted, too: one flush for it, and for what is recorded with it."""

    def noting(self, entries: Sequence[JournalEntry]) -> AbstractContextManager[bool]:
        """Note what is about to be changed; whether that will be durable once the block has ended."""

    def noted(self) -> tuple[bytes, Sequence[JournalEntry]]:
        """What was noted last, and a mark that is its own; nothing, where nothing was."""


class Nowhere:
    """No :class:`Beside`."""

    def noting(self, entries: Sequence[JournalEntry]) -> AbstractContextManager[bool]:
        return nullcontext(False)

    def noted(self) -> tuple[bytes, Sequence[JournalEntry]]:
        return b"", ()
