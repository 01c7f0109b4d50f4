"""Units: directories that are recorded as a whole, and only while nothing in them changes.

A look at one reads file after file, and somebody may be at work in it meanwhile. So what was seen is compared with
what lies there once all has been read; and what changed a moment ago is about to change again.
"""

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from replican.effects.index import ASIDE, DirRecord
from replican.effects.worktree import TEMPORARY_PREFIX, Directories
from replican.values.listing import Row, clamp_time, decode_listing, encode_listing
from replican.values.paths import ancestors_of, is_below, join, name_of, parent_of
from replican.values.trees import DIRECTORY, FILE

if TYPE_CHECKING:
    from replican.effects.prepared import BuiltDirectory
    from replican.effects.staging import Stage

STILL_CHANGING: Final = "still changing"
_SOON_NS: Final = 60 * 1_000_000_000
"""A time so far ahead of the clock is a wrong one, and no change that was just made."""

Records = Callable[[bytes], DirRecord | None]


def is_at_rest(directories: Directories, unit: bytes, records: Records, now_ns: int, quiet_ns: int) -> bool:
    """Whether what was seen of a unit is what lies there now, and has been for ``quiet_ns``.

    ``records`` are what was seen of each directory. Nothing is read but stat data.
    """
    stack = [unit]
    newest = 0
    while stack:
        path = stack.pop()
        record = records(path)
        if record is None:
            return False
        if record.tree == ASIDE:
            continue
        try:
            fd = directories.open(path)
            newest = max(newest, os.fstat(fd).st_ctime_ns)
            for row in (rows := {row.name: row for row in record.rows}).values():
                found = os.lstat(row.name, dir_fd=fd)
                newest = max(newest, found.st_ctime_ns)
                if not _is_that(row, found):
                    return False
                if row.kind == DIRECTORY:
                    stack.append(join(path, row.name))
            if not _are_left_out(path, fd, rows, records):
                return False
        except OSError:
            return False
    return not now_ns - quiet_ns < newest < now_ns + _SOON_NS


def _is_that(row: Row, found: os.stat_result) -> bool:
    if row.kind == DIRECTORY:
        return stat.S_ISDIR(found.st_mode) and (row.ino, row.disk_mode) == (found.st_ino, found.st_mode & 0o7777)
    if not (stat.S_ISREG(found.st_mode) if row.kind == FILE else stat.S_ISLNK(found.st_mode)):
        return False
    seen = row.ino, row.size, clamp_time(row.disk_mtime_ns), row.disk_mode
    if seen != (found.st_ino, found.st_size, clamp_time(found.st_mtime_ns), found.st_mode & 0o7777):
        return False
    return row.is_smudged or row.ctime_ns == found.st_ctime_ns


def _are_left_out(path: bytes, fd: int, rows: Mapping[bytes, Row], records: Records) -> bool:
    """Whether all names that have no row are of what is never recorded."""
    for name in map(os.fsencode, os.listdir(fd)):
        if name in rows or name.startswith(TEMPORARY_PREFIX):
            continue
        mode = os.lstat(name, dir_fd=fd).st_mode
        if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
            return False
        if stat.S_ISDIR(mode):
            record = records(join(path, name))
            if record is None or record.tree != ASIDE:
                return False
    return True


def restless(root: str, units: Sequence[bytes], records: Records, now_ns: int, quiet_ns: int) -> list[bytes]:
    """Those of ``units`` that are not at rest."""
    with Directories(root) as directories:
        return [unit for unit in units if not is_at_rest(directories, unit, records, now_ns, quiet_ns)]


def without_units(stage: "Stage", built: "BuiltDirectory", units: set[bytes], lost: set[bytes]) -> "BuiltDirectory":
    """A new directory without those of its ``units`` that lack something in the directories ``lost``: they come with
    all that they hold, or not at all."""
    if built.new.entry.is_unit:
        return built  # it does not come
    above_lost = [[*reversed(ancestors_of(path)), path] for path in lost if path in built.trees]
    tops = {next((path for path in way if path in units), None) for way in above_lost} - {None}
    for top in tops:
        assert top is not None
        stage.remove(join(built.place, top))
        left = [path for path in built.trees if not is_below(path, top)]
        filled = {path: built.filled[path] for path in left}
        above = filled[parent_of(top)]
        rows = [row for row in decode_listing(above.rows_blob) if row.name != name_of(top)]
        filled[above.path] = above._replace(rows_blob=encode_listing(rows), digest=None)
        closed = [each for each in built.closed if not is_below(each[0], top)]
        trees = {path: built.trees[path] for path in left}
        built = built._replace(filled=filled, trees=trees, closed=closed)
    return built
