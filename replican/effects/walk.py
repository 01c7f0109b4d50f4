"""The walk: one pass over a folder, which looks into every directory and reads only where something is new.

Directories are opened relative to the one above, never through a link. Of each, the stat data of all its names are
digested; where the index has the same digest, nothing of it is read. Elsewhere names are compared with rows, and what
does not match is put down to be hashed. The walk is a loop, not a recursion, and holds a bounded number of descriptors,
however deep the folder is.
"""

import errno
import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from replican.effects.assemble import Assembler
from replican.effects.attributes import ATTRIBUTES_NAME, parse_attributes
from replican.effects.births import Births
from replican.effects.examine import Examined
from replican.effects.hashing import CHANGED_WHILE_READ, cause_of
from replican.effects.ignore import IGNORE_NAME, NO_RULES, WITHIN_UNIT, Rules, read_rules
from replican.effects.index import ASIDE, Index, Known
from replican.effects.listdir import Directory, Seen, list_known, list_named, list_new
from replican.effects.probing import known_traits
from replican.effects.renames import Renames
from replican.effects.worktree import DIRECTORY_FLAGS, TEMPORARY_PREFIX, open_root, opened_directory
from replican.values.errors import FolderError
from replican.values.journal import JournalEntry
from replican.values.listing import DIGEST_SIZE, DIRECTORY_MODE, KIND_MASK, Row, stat_digest
from replican.values.names import DOT_DIRECTORY
from replican.values.paths import join, name_of, parent_of
from replican.values.progress import Problem, Progress, Silent
from replican.values.trees import DIRECTORY

_MOST_OPEN = 200
_REPORT_EVERY = 2000
_OURS = os.fsdecode(DOT_DIRECTORY)
_TEMPORARY = os.fsdecode(TEMPORARY_PREFIX)

NESTED = "nested replica"
MOUNTED = "mount point"

Wanted = dict[bytes, "Wanted"]
"""Which names of a directory to look at; below each, which of its names. An empty one means all of it."""


class _Place(NamedTuple):
    """A directory to look into: its name, its path, its stat data, and what of it is wanted."""

    name: str
    path: bytes
    mode: int
    ino: int
    dev: int
    wanted: Wanted


class _Frame:
    """A directory whose subdirectories are not all done. ``fd`` is -1 while too many are open."""

    __slots__ = ("below", "dev", "fd", "path", "rules")

    def __init__(self, fd: int, path: bytes, dev: int, rules: Rules, below: list[_Place]) -> None:
        self.fd = fd
        self.path = path
        self.dev = dev
        self.rules = rules
        self.below = below

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Walk:
    """One walk over a folder, or over parts of it.

    ``assembler`` takes what is known at once; ``examined`` gets every directory that differs from its record, with the
    rows that it was compared with (some names may have to be hashed). ``full``: take nothing from the index on the
    strength of stat data. What is ``undecided`` is not looked at: what is known of it stands. ``births`` tell of
    renamed files.
    """

    def __init__(
        self,
        root: str,
        index: Index,
        known: Mapping[bytes, Known],
        assembler: Assembler,
        examined: Callable[[Examined, dict[bytes, Row]], None],
        full: bool = False,
        undecided: Iterable[JournalEntry] = (),
        leave_units: bool = False,
        births: Births | None = None,
    ) -> None:
        self._births = births
        self._leave_units = leave_units
        self.units: list[bytes] = []
        """The units that were left for a look of their own: meanwhile, what is known of them stands."""
        self._progress: Progress = Silent()
        self._uncounted = 0
        self._root = root
        self._index = index
        self._known = known
        self._assembler = assembler
        self._examined = examined
        self._full = full
        self._undecided: dict[bytes, dict[bytes, str]] = {}
        """The causes, by directory and name."""
        for entry in undecided:
            self._undecided.setdefault(parent_of(entry.path), {})[name_of(entry.path)] = entry.cause
        self._traits = known_traits(index)
        self.renames = Renames(index, known, assembler, self._traits.modes)
        self.seen: set[bytes] = set()
        """The known directories that are still there."""
        self.whole: list[bytes] = []
        """Where all that is known, there and below, has been met, or is gone."""
        self.standing: list[bytes] = []
        """Known directories that could not be looked into: what is known of them and all below them stands."""
        self.problems: list[Problem] = []
        self.skipped: list[Problem] = []
        self.flaws: list[Problem] = []
        """Lines of attribute files that mean nothing."""

    def go(self, wanted: Wanted, progress: Progress) -> None:
        """Walk over the folder, or over what is wanted of it. Every name that is looked at is progress.

        Raises ``NoRepositoryError`` where there is no folder, ``FolderError`` where it can't be read.
        """
        self._progress = progress
        fd = open_root(self._root)
        found = os.fstat(fd)
        if not wanted:
            self.whole.append(b"")
        top = _Place("", b"", found.st_mode, found.st_ino, found.st_dev, wanted)
        first = self._look(fd, top, found.st_dev, NO_RULES)
        stack = [] if first is None else [first]
        try:
            while stack:
                frame = stack[-1]
                if not frame.below:
                    frame.close()
                    stack.pop()
                    continue
                below = self._step(frame, frame.below.pop())
                if below is not None:
                    stack.append(below)
                    if len(stack) > _MOST_OPEN:
                        stack[-_MOST_OPEN].close()
        finally:
            for frame in stack:
                frame.close()

    def _step(self, frame: _Frame, place: _Place) -> _Frame | None:
        cause = self._undecided.get(frame.path, {}).get(os.fsencode(place.name)) if self._undecided else None
        if cause is not None and not self._is_recorded(place.path):
            self.problems.append(Problem(place.path, cause))
            self._put_aside(place)
            return None
        try:
            if frame.fd < 0:
                frame.fd = self._reopen(frame.path)
            fd = os.open(place.name, DIRECTORY_FLAGS, dir_fd=frame.fd)
        except OSError as error:
            self._fail(place, error)
            return None
        return self._look(fd, place, frame.dev, frame.rules)

    def _reopen(self, path: bytes) -> int:
        root_fd = open_root(self._root)
        try:
            with opened_directory(root_fd, path) as fd:
                return os.dup(fd)
        finally:
            os.close(root_fd)

    def _look(self, fd: int, place: _Place, dev: int, rules: Rules) -> _Frame | None:
        """Look into the directory that is open as ``fd``, and close that unless a frame for what is below is given
        back."""
        frame = None
        try:
            frame = self._look_open(fd, place, dev, rules)
        except OSError as error:
            self._fail(place, error)
        finally:
            if frame is None:
                os.close(fd)
        return frame

    # -- what cannot be seen -------------------------------------------------------------------------------------

    def _fail(self, place: _Place, error: OSError) -> None:
        gone = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
        self._stand(place, CHANGED_WHILE_READ if gone else cause_of(error))

    def _stand(self, place: _Place, cause: str) -> None:
        """A directory can't be looked into: what is known of it stands."""
        path = place.path
        if not path:
            raise FolderError(f"cannot read the folder {self._root}: {cause}")
        if self._is_recorded(path):
            self.standing.append(path)
            self.problems.append(Problem(path, cause))
            return
        if cause != CHANGED_WHILE_READ:
            self.problems.append(Problem(path, cause))
            if not self._full and self.renames.take_over_unseen(path, place.ino):
                return
        self._put_aside(place)

    def _put_aside(self, place: _Place) -> None:
        # Without a digest, it is looked at every time.
        self.seen.add(place.path)
        self._assembler.set_aside(place.path, None, place.ino)

    def _is_recorded(self, path: bytes) -> bool:
        known = self._known.get(path)
        return known is not None and known.tree != ASIDE

    # -- one directory ----------------------------------------------------------------------------------------------

    def _look_open(self, fd: int, place: _Place, dev: int, rules: Rules) -> _Frame | None:
        path = place.path
        known = self._known.get(path)
        mount = place.dev != dev
        if mount and known is not None and not known.mount and known.tree != ASIDE:
            # What lies under the mount can't be seen, and what is on it was never part of this folder.
            self._stand(place, MOUNTED)
            return None
        if rules.units and path and rules.makes_unit(os.fsencode(place.name)):
            if self._leave_units:
                self._leave_unit(place)
                return None
            rules = WITHIN_UNIT
        old_path = None
        if (known is None or known.ino != place.ino) and not self._full and not place.wanted:
            old_path = self.renames.old_path(place.ino)
        looked_ns = time.time_ns()
        if place.wanted:
            asked = {DOT_DIRECTORY, os.fsencode(IGNORE_NAME), os.fsencode(ATTRIBUTES_NAME), *place.wanted}
            if self._traits.folds:  # a name that is asked for is there under any case
                asked &= set(map(os.fsencode, os.listdir(fd)))
            items, directories = list_named(fd, asked)
        elif known is None and old_path is None:
            items, directories = list_new(fd, None if self._births is None else self._births.inodes)
        else:
            items, directories = list_known(fd)
        self._count(len(items))
        at = bisect_left(items, (_OURS,))
        if at < len(items) and items[at][0].startswith(_OURS):
            nested, rules = self._look_at_ours(fd, place, items, at, rules)
            if nested:
                self._leave_nested(place)
                return None
        elif rules.fingerprint:
            rules = rules.below(os.fsencode(place.name), None)
        if known is not None and self._is_same(known, place, items, mount, rules):
            if known.tree == ASIDE:  # the directory above, if it is compared, must know that this one has no row
                self._assembler.set_aside(path, known.digest, known.ino)
            below = self._known_below(place, directories, rules)
        else:
            names = self._compare(fd, place, items, rules, mount, looked_ns, old_path)
            below = self._wanted_below(place, [each for each in directories if each[0] in names])
        return _Frame(fd, path, place.dev, rules, below) if below else None

    def _count(self, names: int) -> None:
        self._uncounted += names
        if self._uncounted >= _REPORT_EVERY:
            self._progress.advance(self._uncounted)
            self._uncounted = 0

    def _look_at_ours(self, fd: int, place: _Place, items: list[Seen], at: int, rules: Rules) -> tuple[bool, Rules]:
        """Take what is replican's own from the names found; whether this is a replica of its own, and the rules
        here."""
        text = units = None
        while at < len(items) and items[at][0].startswith(_OURS):
            name, mode = items[at][:2]
            if name == IGNORE_NAME:
                text = read_rules(fd)
            elif name == ATTRIBUTES_NAME:
                units = read_rules(fd, ATTRIBUTES_NAME)
            elif name == _OURS and place.path and mode & KIND_MASK == DIRECTORY_MODE:
                return True, rules
            unwanted = place.wanted and os.fsencode(name) not in place.wanted
            if unwanted or (name == _OURS and not place.path) or name.startswith(_TEMPORARY):
                del items[at]
            else:
                at += 1
        if units is not None and rules is not WITHIN_UNIT:
            source = join(place.path, os.fsencode(ATTRIBUTES_NAME))
            self.flaws += [Problem(source, f"line {at}: {problem}") for at, problem in parse_attributes(units)[1]]
        return False, rules.below(os.fsencode(place.name), text, units)

    def _leave_unit(self, place: _Place) -> None:
        self.units.append(place.path)
        if self._is_recorded(place.path):
            self.standing.append(place.path)
        else:
            self._put_aside(place)

    def _leave_nested(self, place: _Place) -> None:
        if self._is_recorded(place.path):
            self._stand(place, NESTED)
            return
        if place.path not in self._known:
            self.skipped.append(Problem(place.path, NESTED))
        self._put_aside(place)

    def _is_same(self, known: Known, place: _Place, items: list[Seen], mount: bool, rules: Rules) -> bool:
        """Whether the directory is as the index has it, by its digest alone."""
        if known.digest is None or self._full or place.wanted or (known.mount, known.ino) != (mount, place.ino):
            return False
        digest = stat_digest(items)  # type: ignore[arg-type]  # everything was looked at
        asked = len(known.digest) > DIGEST_SIZE
        if not asked and rules.units:  # attributes that are new, or came by a merge
            asked = any(item[1] & KIND_MASK == DIRECTORY_MODE for item in items)
        if known.digest != (digest + rules.fingerprint if asked else digest):
            return False
        self.seen.add(place.path)
        return True

    def _known_below(self, place: _Place, directories: list[Directory], rules: Rules) -> list[_Place]:
        """The subdirectories of one that is as it was: those that are not known are left out by an ignore rule."""
        prefix = place.path + b"/" if place.path else b""
        below = []
        for name, mode, ino, dev in directories:
            path = prefix + os.fsencode(name)
            known = self._known.get(path)
            if known is not None:
                if known.tree == ASIDE:
                    self.renames.offer_row(path, name, mode, ino, rules.makes_unit(os.fsencode(name)))
                below.append(_Place(name, path, mode, ino, dev, place.wanted))
        return below

    def _wanted_below(self, place: _Place, directories: list[Directory]) -> list[_Place]:
        prefix = place.path + b"/" if place.path else b""
        below = []
        for name, mode, ino, dev in directories:
            encoded = os.fsencode(name)
            wanted = place.wanted and place.wanted[encoded]
            below.append(_Place(name, prefix + encoded, mode, ino, dev, wanted))
        return below

    def _compare(
        self,
        fd: int,
        place: _Place,
        items: list[Seen],
        rules: Rules,
        mount: bool,
        looked_ns: int,
        old_path: bytes | None,
    ) -> set[str]:
        """Compare a directory with its rows, or with those it had at another path; the subdirectories to look into."""
        path = place.path
        tracked = self._is_recorded(path)
        if path in self._known:
            self.seen.add(path)
        old = None if old_path is None else self._index.record(old_path)
        # Other ignore rules may hold here than there: with any, name is compared by name.
        if old is not None and not rules.fingerprint and self.renames.take_over(path, place.ino, mount, old, items):
            return {item[0] for item in items if item[1] & KIND_MASK == DIRECTORY_MODE}
        record = self._index.record(path) if tracked else old
        rows: dict[bytes, Row] = {} if record is None else {row.name: row for row in record.rows}
        examined = Examined(path, place.ino, mount, looked_ns, tracked, self._traits.modes)
        # Where only some names were asked for, others may lie there.
        examined.keep = tracked or not path or (not items and not (place.wanted and os.listdir(fd)))
        if not self._traits.modes or self._traits.step_ns > 1:
            examined.base = {row.name: row for row in self._index.rows(path, observed=False)}
        examined.compare(items, rows, rules, self._full, fd)
        if self._undecided:
            undecided = self._undecided.get(path, {})
            asked = {name: undecided[name] for name in undecided if not place.wanted or name in place.wanted}
            examined.leave(asked, rows if tracked else {})
        self.problems += examined.problems
        self.skipped += examined.skipped
        self.standing += examined.standing
        examined.problems = []
        below = {os.fsdecode(row.name) for row in examined.rows if row.kind == DIRECTORY}
        if not place.wanted or self._note_parts(place, examined, rows, below):
            self._examined(examined, rows)
        return below

    def _note_parts(self, place: _Place, examined: Examined, rows: dict[bytes, Row], below: set[str]) -> bool:
        """Complete a directory of which only some names were looked at; whether it differs from its record."""
        for name, wanted in place.wanted.items():
            row = rows.get(name)
            if row is not None and row.kind == DIRECTORY and (not wanted or os.fsdecode(name) not in below):
                self.whole.append(join(place.path, name))
        found = {row.name: row for row in examined.rows}
        # Other names may lie there that nobody has looked at: no digest.
        examined.flawed = True
        if not examined.todo and all(found.get(name) == rows.get(name) for name in place.wanted):
            return not examined.tracked
        examined.rows += [row for name, row in rows.items() if name not in place.wanted]
        return True
