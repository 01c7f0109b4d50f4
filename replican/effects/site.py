"""The folder that a transition works on, and what the transition has to say of it so far.

A batch is what the journal names at once: when it ends, what was done is on the disk and in the index.
"""

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from replican.decisions.plan import Plan
from replican.effects.alongside import alongside
from replican.effects.births import birth_of
from replican.effects.index import Index
from replican.effects.index_births import BORN_FROM
from replican.effects.ledger import Ledger
from replican.effects.placing import CHANGED_HERE, failure_of
from replican.effects.staging import Stage
from replican.effects.trash import Trash
from replican.effects.worktree import Directories
from replican.values.journal import JournalEntry
from replican.values.listing import Row
from replican.values.progress import Problem
from replican.values.traits import Traits
from replican.values.trees import Entry

BATCH = 2000

Meant = tuple[bytes, Entry | None, Entry | None]
"""A path with what it holds and what it shall hold."""


class Site:
    """A folder with its index, stage and trash. A context manager; ``pending`` is what could not be done.

    ``written``, ``removed`` and ``moved`` count the names that were changed.
    """

    def __init__(self, root: str, index: Index, stage: Stage, trash: Trash, traits: Traits) -> None:
        self.stage = stage
        self.trash = trash
        self.traits = traits
        self.directories = Directories(root)
        self.ledger = Ledger(index)
        self.pending: list[Problem] = []
        self.written = self.removed = self.moved = 0
        self._index = index
        self._touched: dict[bytes, int | None] = {}
        """What has to be flushed, each with the device on which it lies, where that is known."""

    def __enter__(self) -> "Site":
        return self

    def __exit__(self, *_: object) -> None:
        self.directories.close()

    @contextmanager
    def batch(self, paths: Iterable[Meant]) -> Iterator[None]:
        """Note the paths that are about to be changed; what is done within is on the disk and in the index after it."""
        entries = [JournalEntry(*meant) for meant in paths]
        if entries:
            self._index.note_journal(entries)
        yield
        if entries:
            # What was touched is flushed, then rows are noted and the journal is cleared: never the other way round.
            self.ledger.settle(self.trash.taken, alongside(self._flush))
            self.trash.taken.clear()

    def _flush(self) -> None:
        self.directories.flush(self._touched, self._touched)
        self.trash.flush()
        self._touched.clear()
        self.directories.forget()

    def look_ahead(self, plan: Plan) -> None:
        """Load the rows that the first batch will be compared with."""
        for group in plan.groups[:BATCH]:
            self.ledger.rows(group.directory)

    def fail(self, path: bytes, error: OSError) -> None:
        """What should happen at ``path`` cannot be done."""
        self.pending.append(Problem(path, failure_of(error)))

    def open(self, path: bytes, problem_paths: Callable[[], Iterable[bytes]], names: bool = True) -> int | None:
        """The descriptor of a directory in which ``names`` are about to change, or only what lies there; None, and
        pending, if that cannot be."""
        try:
            self.ledger.expect_directory(path)
            fd = self.directories.open(path)
            if not os.access(".", os.W_OK | os.X_OK if names else os.X_OK, dir_fd=fd, effective_ids=True):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            cause = CHANGED_HERE if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP) else failure_of(error)
            self.pending += [Problem(path, cause) for path in problem_paths()]
            return None
        self._touched[path] = os.fstat(fd).st_dev
        return fd

    def touch(self, path: bytes) -> None:
        """Names in a directory are about to change, or the attributes of whatever lies there: it has to be flushed."""
        self._touched.setdefault(path)

    def forget(self, path: bytes) -> None:
        """A directory was removed: there is nothing to be flushed."""
        self.directories.forget()
        self._touched.pop(path, None)

    def note_birth(self, directory: bytes, row: Row) -> None:
        """A file has come as ``row`` says: if it is large, it is to be known again when it is renamed."""
        if row.size < BORN_FROM:
            return
        try:
            fd = self.directories.open(directory)
        except OSError:
            return  # somebody was quick; what came is to be noted all the same
        birth = birth_of(self.directories.root, fd, row)
        self.ledger.births += [] if birth is None else [birth]
