"""Progress on a terminal: what is being done, how many files and bytes, and how long it will take.

Nothing is shown in the first second, and rich is not imported before it is over. It draws when progress is reported
and has no thread of its own: a process that forks workers must not have one.
"""

import time
from typing import TYPE_CHECKING, Any, TextIO

from replican.values.progress import show_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from replican.values.progress import Traffic

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
        self._wire: Callable[[], Traffic] | None = None
        self._wire_before: Traffic | None = None
        self._files = self._size = 0
        self._began = self._next = 0.0

    def begin(
        self,
        task: str,
        files: int | None = None,
        size: int | None = None,
        *,
        wire: "Callable[[], Traffic] | None" = None,
    ) -> None:
        self.end()
        self._name, self._totals, self._wire = task, (files, size), wire
        self._wire_before = None if wire is None else wire()
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
        return ", ".join(parts) + self._on_the_wire()

    def _on_the_wire(self) -> str:
        """A second line: what has gone over the link since this task began, and how fast."""
        if self._wire is None or self._wire_before is None:
            return ""
        now, before = self._wire(), self._wire_before
        gone = now.received + now.sent - before.received - before.sent
        seconds = now.seconds - before.seconds
        parts = [f"{show_size(gone)} on the wire"]
        parts += [f"{show_size(now.saved)} saved"] * bool(now.saved)
        parts += [f"{show_size(int(gone / seconds))}/s"] if seconds > 0 else []
        return "\n" + ", ".join(parts)


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
