"""Progress on a terminal: what is being done, how many files and bytes, and how long it will take.

Nothing is shown in the first second, and rich is not imported before it is over. It draws when progress is reported
and has no thread of its own: a process that forks workers must not have one.
"""

import time
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

DELAY = 1.0
"""Seconds before anything is shown."""
INTERVAL = 0.1
"""Seconds between two drawings."""


class TerminalProgress:
    """A :class:`replican.values.progress.Progress` that draws on ``stream``."""

    def __init__(self, stream: TextIO, delay: float = DELAY) -> None:
        self._stream = stream
        self._delay = delay
        self._rich: RichProgress | None = None
        self._task: TaskID | None = None
        self._name = ""
        self._totals: tuple[int | None, int | None] = (None, None)
        self._files = self._size = 0
        self._began = self._next = 0.0

    def begin(self, task: str, files: int | None = None, size: int | None = None) -> None:
        self.end()
        self._name, self._totals = task, (files, size)
        self._files = self._size = 0
        self._began = time.monotonic()
        self._next = self._began + self._delay

    def advance(self, files: int = 0, size: int = 0) -> None:
        self._files += files
        self._size += size
        now = time.monotonic()
        if now >= self._next:
            self._next = now + INTERVAL
            self._draw()

    def end(self) -> None:
        if self._rich is not None:
            self._draw()
            self._rich.stop()
            self._rich = self._task = None

    def _draw(self) -> None:
        if self._rich is None:
            self._rich = _bar(self._stream)
            self._task = self._rich.add_task(self._name, total=None, amount="")
            self._rich.tasks[0].start_time = self._began
            self._rich.start()
        files, size = self._totals
        # bytes tell better than files how much is done, where there are any
        done, total = (self._size, size) if size else (self._files, files)
        assert self._task is not None
        self._rich.update(self._task, completed=done, total=total, amount=self._amount())
        self._rich.refresh()

    def _amount(self) -> str:
        from rich.filesize import decimal

        files, size = self._totals
        parts = []
        if files is not None or self._files:
            parts.append(f"{self._files:,} files" if files is None else f"{self._files:,} of {files:,} files")
        if size is not None or self._size:
            parts.append(decimal(self._size) if size is None else f"{decimal(self._size)} of {decimal(size)}")
        return ", ".join(parts)


def _bar(stream: TextIO) -> "RichProgress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns: list[Any] = [
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[amount]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
    ]
    return Progress(*columns, console=Console(file=stream), auto_refresh=False, transient=True)
