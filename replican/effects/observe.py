"""Looking at some paths only, and finding the paths that changed: the tracker's half, and the poller's.

:func:`observe_paths` makes the records that result from looking at the paths it is given; what it is not told about
stands. :func:`poll` only names paths.
"""

from collections.abc import Iterable

from replican.effects.assemble import Assembled, chain
from replican.effects.examine import NAME_NOT_ALLOWED, Examined
from replican.effects.hashing import Job, PuttingOff
from replican.effects.index import Index
from replican.effects.mirror import Copying
from replican.effects.reading import hash_all
from replican.effects.scan import Scan, Survey, uncollected
from replican.effects.walk import Wanted
from replican.values.listing import Row
from replican.values.names import is_tree_name
from replican.values.paths import join
from replican.values.progress import Problem, Progress, Silent
from replican.values.trees import DIRECTORY

__all__ = ["Assembled", "chain", "observe_paths", "poll", "poll_paths"]


def observe_paths(
    root: str,
    index: Index,
    paths: Iterable[bytes],
    *,
    progress: Progress | None = None,
    workers: int | None = None,
    full: bool = False,
    mirror: Copying | None = None,
    leave_units: bool = False,
    putting_off: PuttingOff | None = None,
    held: Iterable[Problem] = (),
) -> Scan:
    """Look at these paths alone, of a directory at everything below it; raises as a scan does.

    A path that is not there any more is gone; where a directory above it is gone or has become something else, that is
    seen. The path ``b""`` means the whole folder; one that no tree may hold is a problem. ``mirror``, ``putting_off``
    and ``held`` are those of a scan.
    """
    with uncollected():
        wanted, refused = _wanted(paths)
        partly = wanted != {}
        survey = Survey(
            root, index, full, None, workers, mirror, partly, None, leave_units, putting_off=putting_off, held=held
        )
        survey.walk.problems += refused
        if wanted is not None:
            survey.go(wanted, progress or Silent())
        return survey.result()


def _wanted(paths: Iterable[bytes]) -> tuple[Wanted | None, list[Problem]]:
    """The paths as a tree of names, without what lies below another of them; None for no path at all."""
    top: Wanted | None = None
    refused: list[Problem] = []
    before, within = b"", dict[bytes, Wanted]()
    for path in sorted(set(paths)):
        if not path:
            return {}, refused
        above, _, name = path.rpartition(b"/")
        if within and above == before and name not in within and is_tree_name(name):
            within[name] = {}  # most lie beside the one before
            continue
        parts = path.split(b"/")
        if not all(is_tree_name(part) for part in parts):
            refused.append(Problem(path, NAME_NOT_ALLOWED))
            continue
        top = at = within = {} if top is None else top
        for depth, part in enumerate(parts, 1):
            below = at.get(part)
            if below is None:
                below = at[part] = {}
            elif not below:
                within = {}
                break  # all of it is wanted already: sorted, what is above comes first
            elif depth == len(parts):
                below.clear()
            before, within, at = above, at, below
    return top, refused


def poll(root: str, index: Index, most: int | None = None) -> list[bytes]:
    """The paths that differ from the observed rows, sorted; of a directory that is new or gone, only its own.

    Reads no files but those that may have changed without their stat data showing it; one of more than ``most`` bytes
    is taken for changed then. Raises as a scan does.
    """
    with uncollected():
        return _Polled(root, index, most=most).paths({})


def poll_paths(root: str, index: Index, paths: Iterable[bytes], most: int | None = None) -> list[bytes]:
    """Those at and below ``paths`` alone; what no tree may hold is left out."""
    wanted, _ = _wanted(paths)
    if wanted is None:
        return []
    with uncollected():
        return _Polled(root, index, wanted != {}, most).paths(wanted)


class _Polled:
    """Paths, gathered from a walk of which nothing is assembled."""

    def __init__(self, root: str, index: Index, partly: bool = False, most: int | None = None) -> None:
        self._root = root
        self._most = most
        self._survey = Survey(root, index, take=self._take, partly=partly)
        self._changed: list[bytes] = []
        self._doubtful: list[tuple[bytes, list[Row]]] = []

    def paths(self, wanted: Wanted) -> list[bytes]:
        walk = self._survey.walk
        walk.go(wanted, Silent())
        self._changed += walk.renames.taken
        self._resolve_doubtful()
        changed = sorted(set(self._changed))
        new = {path for path in changed if path not in self._survey.known}
        return [path for path in changed if not any(above in new for above in _above(path))]

    def _take(self, examined: Examined, rows: dict[bytes, Row]) -> None:
        path = examined.path
        if path and not examined.tracked:
            if examined.keep or examined.rows or examined.todo:
                self._changed.append(path)
            return
        found = {row.name: row for row in examined.rows}
        todo = {name for name, _ in examined.todo}
        doubtful = [row for _, row in examined.todo if row is not None and row.is_smudged]
        if doubtful:
            self._doubtful.append((path, doubtful))
            todo -= {row.name for row in doubtful}
        self._changed += [join(path, name) for name in todo]
        for name, row in rows.items():
            now = found.get(name)
            if now is None:
                if name not in todo and not any(row.name == name for row in doubtful):
                    self._changed.append(join(path, name))
            elif row.kind == DIRECTORY and row.entry != now.entry:
                self._changed.append(join(path, name))

    def _resolve_doubtful(self) -> None:
        """Read those files whose stat data prove nothing."""
        jobs = [Job(path, [row.name for row in rows], most=self._most) for path, rows in self._doubtful]
        for number, answers in hash_all(self._root, jobs, Silent()):
            path, rows = self._doubtful[number]
            for row, answer in zip(rows, answers, strict=True):
                if isinstance(answer, tuple):
                    kind, mode, _, mtime, _, _, made = answer
                    if (kind, mode, mtime, made) == (row.kind, row.disk_mode, row.disk_mtime_ns, row.id):
                        continue
                self._changed.append(join(path, row.name))


def _above(path: bytes) -> list[bytes]:
    """The directories above a path, but for the root."""
    parts = path.split(b"/")
    return [b"/".join(parts[:depth]) for depth in range(1, len(parts))]
