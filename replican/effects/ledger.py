"""The ledger of a transition: what it has put on the disk, as rows, until the index is told.

Rows are loaded a directory at a time, and edited here; :meth:`Ledger.settle` writes all of them at once, with
the trees above them. What is not in the ledger has not been done.
"""

import errno
import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext

from replican.effects.assemble import Assembled, chain
from replican.effects.index import Index
from replican.effects.index_births import Birth
from replican.effects.index_records import DirRecord
from replican.effects.mirror import Filled
from replican.effects.trash import TrashItem
from replican.values.ids import TreeId
from replican.values.journal import JournalEntry
from replican.values.listing import Row, decode_listing, is_racy
from replican.values.paths import ancestors_of, join, name_of, parent_of
from replican.values.trees import DIRECTORY


class Ledger:
    """The base rows of the directories that a transition touches."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._rows: dict[bytes, dict[bytes, Row]] = {}
        self._loaded: dict[bytes, DirRecord] = {}
        self._dirty: set[bytes] = set()
        self._records: dict[bytes, DirRecord] = {}
        self._gone: set[bytes] = set()
        self._moves: list[tuple[bytes, bytes]] = []
        self.births: list[Birth] = []
        """Of large files that came."""

    def rows(self, directory: bytes) -> dict[bytes, Row]:
        """The rows of a directory, by name; empty for one that is not there."""
        rows = self._rows.get(directory)
        if rows is None:
            record = self._records.pop(directory, None)
            if record is not None:
                self._dirty.add(directory)
                rows = self._rows[directory] = {row.name: row for row in record.rows}
                return rows
            rows = self._rows[directory] = {} if directory in self._gone else self._load(directory)
        return rows

    def _load(self, directory: bytes) -> dict[bytes, Row]:
        record = self._index.record(directory, observed=False)
        if record is None:
            return {}
        self._loaded[directory] = record
        return {row.name: row for row in record.rows}

    def tree(self, directory: bytes) -> TreeId | None:
        """The tree of a directory as the index has it; None where it has none, or nothing of it was loaded."""
        self.rows(directory)
        record = self._loaded.get(directory)
        return None if record is None else record.tree

    def row(self, path: bytes) -> Row | None:
        """What the disk was last known to hold at ``path``."""
        return self.rows(parent_of(path)).get(name_of(path))

    def expect_directory(self, path: bytes) -> None:
        """Raise ``FileNotFoundError`` where no directory has come to ``path``.

        What answers to the name is another's then, in the eyes of a directory that folds names where the probe's does
        not.
        """
        row = self.row(path) if path else None
        if path and (row is None or row.kind != DIRECTORY):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fsdecode(path))

    def put(self, directory: bytes, row: Row) -> None:
        """``row`` is on the disk now; if it was written just now, it will be looked at again."""
        self.rows(directory)[row.name] = row.settled(time.time_ns())
        self._dirty.add(directory)

    def put_placed(self, directory: bytes, row: Row) -> None:
        """The same of what was staged and has just taken its place: nobody else could write to it before."""
        self.rows(directory)[row.name] = row.placed(time.time_ns())
        self._dirty.add(directory)

    def note_mode(self, path: bytes, found: os.stat_result) -> None:
        """A directory has other permissions than were meant: its file system keeps none, and they are no edit."""
        row = self.row(path)
        if row is not None:
            self.put(parent_of(path), row._replace(disk_mode=found.st_mode & 0o7777))

    def enter(self, path: bytes) -> None:
        """A directory is there, whatever of it comes to be known: it has a record even if that is nothing."""
        self.rows(path)
        self._gone.discard(path)
        self._dirty.add(path)

    def drop(self, path: bytes) -> None:
        """``path`` is not on the disk any more, or nothing is known of it."""
        directory = parent_of(path)
        if self.rows(directory).pop(name_of(path), None) is not None:
            self._dirty.add(directory)

    def add_directory(self, filled: Filled, tree: TreeId | None, added: list[Row]) -> None:
        """A new directory came, as it was filled; ``tree`` is its tree where that is known, ``added`` are further
        rows."""
        path, now = filled.path, time.time_ns()
        self._gone.discard(path)
        if tree is not None and not added and not is_racy(filled.newest_ns, now):
            self._records[path] = DirRecord(path, tree, filled.digest, filled.ino, False, filled.rows_blob)
            return
        rows = decode_listing(filled.rows_blob) + added
        self._rows[path] = {row.name: row.settled(now) for row in rows}
        self._dirty.add(path)

    def drop_directory(self, path: bytes) -> None:
        """A directory went, or what is left in it is not the log's concern."""
        self.drop(path)
        self._rows.pop(path, None)
        self._dirty.discard(path)
        self._gone.add(path)

    def drop_whole(self, path: bytes) -> None:
        """A directory went, with all that is known of it and below it."""
        stack = [path]
        while stack:
            at = stack.pop()
            stack += [join(at, row.name) for row in self.rows(at).values() if row.kind == DIRECTORY]
            self.drop_directory(at)

    def move_directory(self, old: bytes, new: bytes, row: Row) -> None:
        """A directory went to another place with all that is below it; ``row`` is the new place's."""
        self.drop(old)
        self.put(parent_of(new), row)
        self._moves.append((old, new))

    def settle(
        self,
        trash: Sequence[TrashItem] = (),
        flushing: AbstractContextManager[None] | None = None,
        undecided: Sequence[JournalEntry] | None = None,
    ) -> None:
        """Tell the index, in one transaction: rows, trees above them, what came to the ``trash``; the journal is
        cleared but for what is ``undecided`` (None: what was so before). ``flushing`` is done before that is
        committed, beside working the trees out and writing rows."""
        with ExitStack() as held:
            held.enter_context(flushing or nullcontext())
            records, assembled = self._assemble()
            self._index.births.note(self.births)
            self._index.rebase(
                records,
                assembled.gone,
                assembled.root,
                self._moves,
                trash=trash,
                undecided=undecided,
                before_commit=held.close,
            )
        self._records.clear()
        self._rows.clear()
        self._loaded.clear()
        self._dirty.clear()
        self._gone.clear()
        self._moves.clear()
        self.births.clear()

    def _assemble(self) -> tuple[list[DirRecord], Assembled]:
        # A packed record above a directory that is made anew is made anew, too.
        for path in (*self._dirty, *self._gone):
            for above in ancestors_of(path):
                if above in self._records:
                    self.rows(above)
        changes: dict[bytes, list[Row] | None] = {path: sorted(self._rows[path].values()) for path in self._dirty}
        for path in self._gone:
            changes.setdefault(path, None)
        assembled = chain(self._index, changes, observed=False, loaded=self._loaded)
        return [*self._records.values(), *assembled.changed.values()], assembled
