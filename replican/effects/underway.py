"""Bytes of a large file that are done before all of it is: a bar that waited for the whole file would stand still.

Of small files nothing is told: they are counted when they are done, and so is a large one, with all its bytes. What was
told of it before is taken off then.
"""

from collections.abc import Callable
from typing import Final

from replican.values.progress import Progress

Advance = Callable[[int], None]
"""Is told of so many bytes more of a large file; of fewer than none, where what was done came to nothing."""

_AT_ONCE: Final = 16 << 20


class Told:
    """What one attempt at a file has told, to be taken back where it comes to nothing."""

    def __init__(self, advance: Advance | None) -> None:
        self._advance = advance
        self._count = 0

    def add(self, count: int) -> None:
        """So many bytes more are done."""
        if self._advance is not None:
            self._count += count
            self._advance(count)

    def take_back(self) -> None:
        """It came to nothing."""
        if self._advance is not None and self._count:
            self._advance(-self._count)
        self._count = 0


class Underway:
    """Shows files that are done one after the other, by the process that shows."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._told = 0

    def advance(self, count: int) -> None:
        """So many bytes more of the next file are done."""
        self._told += count
        self._progress.advance(0, count)

    def count(self, files: int, size: int) -> None:
        """So many files are done, of so many bytes: what was told is among them."""
        self.note(0, files, size)

    def note(self, told: int, files: int = 0, size: int = 0) -> None:
        """As much is told of what is not done yet; and so many files more are done, of so many bytes."""
        before, self._told = self._told, told
        self._progress.advance(files, size + told - before)


class Reporter:
    """Tells the process that began this one, many bytes at a time, and so nothing of what is smaller. ``send`` is given
    to it there."""

    def __init__(self) -> None:
        self.send: Advance | None = None
        self._unsent = 0

    def advance(self, count: int) -> None:
        """So many bytes more of a file are done."""
        self._unsent += count
        if self.send is not None and abs(self._unsent) >= _AT_ONCE:
            self.send(self._unsent)
            self._unsent = 0

    def end(self) -> None:
        """A job is done: whoever has its result knows all of it."""
        self._unsent = 0
