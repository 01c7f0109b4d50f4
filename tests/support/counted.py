"""A sink for progress that adds up what each task comes to."""

from collections.abc import Callable

from replican.values.progress import Silent, Traffic


class Counted(Silent):
    """Of each task, by its name: what it was to come to, and what it came to, in files and bytes; and in how many steps
    that was told."""

    def __init__(self) -> None:
        self.wanted: dict[str, list[int]] = {}
        self.done: dict[str, list[int]] = {}
        self.steps: dict[str, int] = {}
        self._task = ""

    def begin(
        self,
        task: str,
        files: int | None = None,
        size: int | None = None,
        *,
        wire: Callable[[], Traffic] | None = None,
    ) -> None:
        self._task = task
        self._add(self.wanted, files or 0, size or 0)

    def advance(self, files: int = 0, size: int = 0) -> None:
        self._add(self.done, files, size)
        self.steps[self._task] = self.steps.get(self._task, 0) + 1

    def _add(self, to: dict[str, list[int]], files: int, size: int) -> None:
        counts = to.setdefault(self._task, [0, 0])
        counts[0] += files
        counts[1] += size
