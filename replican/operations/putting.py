"""Putting staged content in its place one by one, outside of a merge: what restore does to a folder.

Nothing is followed, nothing is overwritten: what was last seen at a path goes to the trash, and what is not that
any more stays where it is, as a problem.
"""

import errno
import os

from replican.effects.index import Index
from replican.effects.linux import rename_new
from replican.effects.placing import CHANGED_HERE, adopt_attributes, failure_of, look, place_across
from replican.effects.staging import Slot, Stage
from replican.effects.trash import Trash
from replican.effects.worktree import Directories, set_mode
from replican.values.listing import Row
from replican.values.paths import join, name_of, parent_of, show
from replican.values.progress import Problem
from replican.values.traits import twin_of
from replican.values.trees import DIRECTORY, PERMS, Entry

_IN_THE_WAY = "a directory is in the way"
_FILE_IN_THE_WAY = "a file or a link is in the way"
_EXISTS = "something is there already"


class Putter:
    """Puts entries below one root. With an index (of the folder itself) what was seen there may be replaced.

    A context manager. Give it directories before what lies in them.
    """

    def __init__(self, root: str, stage: Stage, trash: Trash, index: Index | None) -> None:
        self._directories = Directories(root)
        self._stage = stage
        self._trash = trash
        self._index = index
        self._rows: dict[bytes, dict[bytes, Row]] = {}
        self._perms: list[tuple[bytes, int]] = []
        self._touched: set[bytes] = set()
        self._done: list[bytes] = []
        self._problems: list[Problem] = []

    def __enter__(self) -> "Putter":
        return self

    def __exit__(self, *_: object) -> None:
        self._directories.close()

    def put(self, path: bytes, entry: Entry, slot: Slot | None) -> None:
        """Have ``path`` hold ``entry``, with the content in ``slot``; None where content is not what has to change."""
        try:
            if entry.kind == DIRECTORY:
                self._put_directory(path, entry)
                return
            fd = self._open(parent_of(path))
            cause = self._put_file(fd, path, entry, slot)
        except OSError as error:
            cause = _FILE_IN_THE_WAY if error.errno in (errno.ENOTDIR, errno.ELOOP) else failure_of(error)
        if cause is None:
            self._done.append(path)
        else:
            self._problems.append(Problem(path, cause))
            if slot is not None:
                self._stage.drop(slot)

    def _open(self, directory: bytes) -> int:
        """A descriptor of a directory; what is missing of it is made."""
        try:
            fd = self._directories.open(directory)
        except FileNotFoundError:
            at = b""
            for part in directory.split(b"/"):
                above = self._directories.open(at)
                try:
                    os.mkdir(part, 0o755, dir_fd=above)
                    self._touched.add(at)
                except FileExistsError:
                    pass
                at = join(at, part)
            fd = self._directories.open(directory)
        self._touched.add(directory)
        return fd

    def _put_directory(self, path: bytes, entry: Entry) -> None:
        parent = parent_of(path)
        fd = self._open(parent)
        try:
            os.mkdir(name_of(path), entry.perm & PERMS | 0o700, dir_fd=fd)
        except FileExistsError:
            self._directories.open(path)  # an error, if it is none
            if self._index is None:
                return
        self._perms.append((path, entry.perm))

    def _put_file(self, fd: int, path: bytes, entry: Entry, slot: Slot | None) -> str | None:
        name = name_of(path)
        row = self._row(path)
        if row is None:
            if slot is None:
                return CHANGED_HERE
            try:
                self._place(slot, fd, name)
            except FileExistsError:
                names = [*map(os.fsencode, os.listdir(fd))]
                twin = None if name in names else twin_of(name, names)
                return _EXISTS if twin is None else f"the same name as {show(twin)} on this file system, which is there"
            return None
        if row.kind == DIRECTORY:
            return _IN_THE_WAY
        found = look(name, fd, row)
        if found is None:
            return CHANGED_HERE
        if slot is None:
            self._touched.add(path)
            adopt_attributes(name, fd, found, row.entry, entry, modes=False)
            return None
        if not self._trash.take(fd, name, path, row.entry, found):
            return CHANGED_HERE
        self._place(slot, fd, name)
        return None

    def _row(self, path: bytes) -> Row | None:
        if self._index is None:
            return None
        directory = parent_of(path)
        if directory not in self._rows:
            self._rows[directory] = {row.name: row for row in self._index.rows(directory)}
        return self._rows[directory].get(name_of(path))

    def _place(self, slot: Slot, fd: int, name: bytes) -> None:
        try:
            rename_new(self._stage.fd, slot.name, fd, name)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            place_across(self._stage.fd, slot.name, fd, name)

    def finish(self) -> tuple[list[bytes], list[Problem]]:
        """Set what permissions had to wait, and flush: the files that were put, and what could not be."""
        for path, perm in reversed(self._perms):
            try:
                self._touched.add(path)
                set_mode(name_of(path), self._directories.open(parent_of(path)), perm, kept=False)
            except OSError as error:
                self._problems.append(Problem(path, failure_of(error)))
        self._directories.flush(sorted(self._touched))
        self._trash.flush()
        return self._done, sorted(self._problems)
