"""The index: what the folder was last known to hold, one record for each directory.

Two layers lie in one table. *Base* records are what the last recording or transition left on the disk; *observed* ones,
beside them, what a scan has seen since. Every record carries a generation: up to ``base_gen`` it is base, above it is
observed, and of one path the greatest counts. So observed records become base records by one number.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Final

from replican.effects import index_records as records
from replican.effects import index_tables as tables
from replican.effects.index_births import IndexBirths
from replican.effects.index_database import Database, open_database
from replican.effects.index_records import ASIDE, DirRecord, Known
from replican.effects.index_schema import IndexDamagedError
from replican.values.errors import NotFoundError
from replican.values.ids import EMPTY_TREE, ID_SIZE, BlobId, CheckpointId, TreeId, tree_id
from replican.values.journal import Beside, JournalEntry, Nowhere
from replican.values.listing import Row
from replican.values.paths import name_of, parent_of
from replican.values.progress import Problem
from replican.values.trees import Entry, encode_tree

if TYPE_CHECKING:
    from replican.effects.trash import TrashItem

__all__ = ["ASIDE", "DirRecord", "Index", "IndexDamagedError", "JournalEntry", "Known"]

_MARK: Final = "noted"


class Index:
    """An open index. A context manager; not for more than one thread.

    Every method raises ``IndexDamagedError`` where the database or a row is not what was written, never wrong rows;
    those that write raise ``NoSpaceError`` on a full disk.
    """

    def __init__(self, database: Database, created: bool) -> None:
        self._database = database
        self.writable = database.writable
        self.beside: Beside = Nowhere()
        self.births = IndexBirths(database)
        self.created = created
        """Whether there was no index: nothing is known of the folder."""

    @classmethod
    def open(cls, path: str, writable: bool = False, rebuild: bool = False, kept: bool = False) -> "Index":
        """Open the index at ``path``; a writer creates a missing one, a reader takes it for empty.

        A writer must hold the lock. ``rebuild`` throws away what is there; for ``kept`` see ``index_database.keep``.
        """
        return cls(*open_database(path, writable, rebuild, kept))

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it; the write-ahead log is emptied, as far as no reader is in it."""
        self._database.close()

    # -- records ---------------------------------------------------------------------------------------------

    def base_root(self) -> TreeId:
        """The tree of the base records; the empty tree where there are none."""
        return self._root(observed=False)

    def observed_root(self) -> TreeId:
        """The tree of the folder as last seen; the base's if nothing was seen since."""
        return self._root(observed=True)

    def _root(self, observed: bool) -> TreeId:
        known = self.known(b"", observed)
        return EMPTY_TREE if known is None else known.tree

    def has_observed(self) -> bool:
        """Whether there are observed records that have not become base records."""
        with self._database.reading():
            return self._database.number("top_gen") > self._database.number("base_gen")

    def _newest(self, observed: bool) -> int:
        return self._database.number("top_gen" if observed else "base_gen")

    def known(self, path: bytes, observed: bool = True, aside: bool = False) -> Known | None:
        """What is known of a directory, but for its rows; None if it is none, or (unless ``aside``) not recorded."""
        with self._database.reading() as connection:
            found = records.find(connection, path, self._newest(observed))
            return None if found is None or (found.tree == ASIDE and not aside) else found

    def record(self, path: bytes, observed: bool = True) -> DirRecord | None:
        """The record of a directory; None if it is none, or not recorded."""
        with self._database.reading() as connection:
            return records.load(connection, path, self._newest(observed))

    def rows(self, path: bytes, observed: bool = True) -> list[Row]:
        """The rows of a directory, sorted by name; none for a directory that is not recorded."""
        with self._database.reading():
            return [] if (record := self.record(path, observed)) is None else record.rows

    def row(self, path: bytes, observed: bool = True) -> Row | None:
        """The row of one path."""
        name = name_of(path)
        return next((row for row in self.rows(parent_of(path), observed) if row.name == name), None)

    def digests(self, observed: bool = True) -> dict[bytes, Known]:
        """Everything but the rows, of every directory; also of those that are not recorded (:data:`ASIDE`)."""
        with self._database.reading() as connection:
            return records.load_all(connection, self._database.number("base_gen"), self._newest(observed))

    def digests_below(self, path: bytes) -> dict[bytes, Known]:
        """What :meth:`digests` has of the directories at and below a path."""
        with self._database.reading() as connection:
            return records.load_below(connection, path, self._newest(True))

    def directory_of_inode(self, ino: int) -> bytes | None:
        """A directory that had this inode when it was last looked at."""
        with self._database.reading() as connection:
            paths = records.with_inode(connection, ino)
        return next((path for path in paths if (known := self.known(path)) is not None and known.ino == ino), None)

    def directories_with(self, text: bytes) -> list[bytes]:
        """The directories of which some name has ``text`` in it, as last seen; perhaps a few others."""
        with self._database.reading() as connection:
            return records.with_text(connection, text, self._newest(observed=True))

    def count_files(self) -> int:
        """How many files and links the folder has by the base. For the gates, after a scan, which has verified
        all records: this does not."""
        with self._database.reading() as connection:
            return records.count_files(connection, self._newest(observed=False))

    def mounts(self) -> list[bytes]:
        """The directories that were mount points when they were recorded (base)."""
        with self._database.reading() as connection:
            return records.mounts(connection, self._newest(observed=False))

    def tree(self, tree: TreeId, /) -> list[Entry]:
        """The entries of a tree that a record has, base or observed: a ``TreeReader``."""
        if tree == EMPTY_TREE:
            return []
        with self._database.reading() as connection:
            rows = records.rows_of_tree(connection, tree)
        if rows is None:
            raise NotFoundError(f"tree {tree.hex()} is not in the index")
        entries = [row.entry for row in rows]
        if tree_id(encode_tree(entries)) != tree:
            raise IndexDamagedError("the index is damaged: a directory has another listing than its tree")
        return entries

    def find_blobs(self, ids: Collection[BlobId]) -> dict[BlobId, tuple[bytes, Row]]:
        """Where content lies, as last seen: a path and its row for each of ``ids`` that some file or link has."""
        with self._database.reading() as connection:
            return records.find_blobs(connection, ids) if ids else {}

    def find_paths(self, blobs: Collection[BlobId]) -> dict[BlobId, bytes]:
        """:meth:`find_blobs` without the rows."""
        return {blob: path for blob, (path, _) in self.find_blobs(blobs).items()}

    def check_pages(self) -> None:
        """Raise ``IndexDamagedError`` where SQLite finds its own structure damaged. Of the rest,
        :func:`replican.effects.index_check.check_index` reads all."""
        with self._database.reading() as connection:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise IndexDamagedError(f"the index is damaged: {verdict}")

    # -- what was seen ---------------------------------------------------------------------------------------

    def observe(self, changed: Iterable[DirRecord], gone: Iterable[bytes], root: TreeId) -> None:
        """Write what a scan saw beside the base, or to it if the tree is the base's. ``gone``: directories that are
        gone with all below them; ``root``: the tree now."""
        with self._database.writing() as connection:
            gen = self._next_gen()
            for path in gone:
                records.bury(connection, path, gen)
            records.put(connection, changed, gen)
            self._database.set_number("top_gen", gen)
            self._check_root(root)
            if root == self.base_root() and self._promised() is None:
                # Stat data alone: there is nothing to record, and no reason to read those files again.
                self.promote()

    def _next_gen(self) -> int:
        """The generation to observe at: above the base, and above what was promised to become it."""
        promised = self._promised()
        return max(self._database.number("base_gen"), 0 if promised is None else promised[1]) + 1

    def _check_root(self, root: TreeId) -> None:
        if self.observed_root() != root:
            raise ValueError("the root's record does not have the tree that was named")

    def discard_observed(self) -> None:
        """Forget what was observed, and any promise."""
        with self._database.writing():
            self._discard_observed()

    def _discard_observed(self) -> None:
        base = self._database.number("base_gen")
        if self._database.number("top_gen") > base:
            self._database.connection.execute("DELETE FROM dirs WHERE gen > ?", (base,))
            self._database.set_number("top_gen", base)
        tables.meta_set(self._database.connection, "promised", None)

    def promise(self, checkpoint: CheckpointId | None) -> None:
        """Name the checkpoint that will make the observed records base records; None takes the promise back.

        Durable when it returns. What is observed afterwards is not part of it.
        """
        with self._database.writing(durable=True) as connection:
            value = None if checkpoint is None else checkpoint + self._database.number("top_gen").to_bytes(8, "big")
            tables.meta_set(connection, "promised", value)

    def _promised(self) -> tuple[CheckpointId, int] | None:
        value = tables.meta_get(self._database.connection, "promised")
        if value is None:
            return None
        return CheckpointId(value[:ID_SIZE]), int.from_bytes(value[ID_SIZE:], "big")

    def promote(self) -> None:
        """Make the observed records base records: those that were promised, or where there is no promise, all."""
        with self._database.writing() as connection:
            promised = self._promised()
            base = self._database.number("base_gen")
            target = self._database.number("top_gen") if promised is None else promised[1]
            tables.meta_set(connection, "promised", None)
            if target <= base:
                return
            records.remove_superseded(connection, base, target)
            self._database.set_number("base_gen", target)

    def settle(self, head: CheckpointId | None) -> bool:
        """After a possible kill: keep the promise if ``head`` is the checkpoint that it names, else forget it.

        Whether a promise was kept.
        """
        with self._database.reading():
            promised = self._promised()
        if promised is None:
            return False
        if promised[0] == head:
            self.promote()
            return True
        self.promise(None)
        return False

    def rebase(
        self,
        changed: Iterable[DirRecord],
        gone: Iterable[bytes],
        root: TreeId,
        moves: Iterable[tuple[bytes, bytes]] = (),
        trash: Iterable["TrashItem"] = (),
        undecided: Iterable[JournalEntry] | None = None,
        before_commit: Callable[[], None] | None = None,
    ) -> None:
        """Write what a transition has put on the disk straight to the base, with what it has put into the trash, and
        clear the journal but for what is ``undecided`` (None: what was so before): one durable transaction, which
        waits for ``before_commit``. What was observed before is forgotten.

        First ``moves`` are done, in their order: all records at and below the old path go to the new one. Then ``gone``
        directories go with all below them, then ``changed`` records take their places.
        """
        with self._database.writing(durable=True) as connection:
            tables.add_trash(connection, trash, b"")
            self._discard_observed()
            for old, new in moves:
                records.move(connection, old, new)
            for path in gone:
                records.remove(connection, path)
            records.replace(connection, changed, self._database.number("base_gen"))
            self._end_journal(connection, undecided)
            self._check_root(root)
            if before_commit is not None:
                before_commit()

    # -- small tables ----------------------------------------------------------------------------------------

    def note_journal(self, entries: Iterable[JournalEntry]) -> None:
        """Add to the journal, durably: these paths are about to be changed."""
        entries = list(entries)
        with self.beside.noting(entries) as noted, self._database.writing(durable=not noted) as connection:
            tables.note_journal(connection, entries)

    def take_journal(self) -> None:
        """After a power cut: take over what was noted beside, and is not known here to be done."""
        mark, entries = self.beside.noted()
        if mark and tables.meta_get(self._database.connection, _MARK) != mark:
            with self._database.writing(durable=True) as connection:
                if self.created:
                    tables.meta_set(connection, _MARK, mark)
                else:
                    tables.note_journal(connection, entries)

    def journal(self) -> list[JournalEntry]:
        """The paths that were about to be changed when the last transition was cut off; sorted."""
        with self._database.reading() as connection:
            return tables.journal(connection)

    def _end_journal(self, connection: sqlite3.Connection, undecided: Iterable[JournalEntry] | None) -> None:
        tables.end_journal(connection, undecided)
        mark, _ = self.beside.noted()
        if mark:
            tables.meta_set(connection, _MARK, mark)

    def set_problems(self, problems: Iterable[Problem]) -> None:
        """Replace the list of paths that could not be read."""
        with self._database.writing() as connection:
            tables.set_problems(connection, tables.PROBLEMS, problems)

    def problems(self) -> list[Problem]:
        with self._database.reading() as connection:
            return tables.problems(connection, tables.PROBLEMS)

    def set_pending(self, problems: Iterable[Problem]) -> None:
        """Replace the list of paths where the disk is behind the head."""
        with self._database.writing() as connection:
            tables.set_problems(connection, tables.PENDING, problems)

    def pending(self) -> list[Problem]:
        with self._database.reading() as connection:
            return tables.problems(connection, tables.PENDING)

    def say_once(self, problems: Iterable[Problem]) -> list[Problem]:
        """Those of ``problems`` that were never passed here before; a reader passes all of them."""
        if not self.writable:
            return list(problems)
        with self._database.writing() as connection:
            return tables.say_once(connection, problems)

    def add_trash(self, items: Iterable["TrashItem"], undo: bytes | None = b"") -> None:
        """Note what was taken to the trash; ``undo`` names the merge that took it (None: they were noted before)."""
        with self._database.writing(durable=undo is not None) as connection:
            tables.add_trash(connection, items, undo)

    def trash(
        self, blobs: Iterable[BlobId] | None = None, undo: bytes | None = None, since_ns: int | None = None
    ) -> list["TrashItem"]:
        """What the trash holds, oldest first: all of it, or only content with one of the ids ``blobs``, or what
        one merge took, or what was taken at ``since_ns`` (ns since 1970) or later."""
        with self._database.reading() as connection:
            if blobs is not None:
                return tables.trash_with(connection, blobs)
            if undo is not None:
                return tables.trash(connection, "WHERE undo = ?", (undo,))
            if since_ns is not None:
                return tables.trash(connection, "WHERE time_ns >= ?", (since_ns,))
            return tables.trash(connection, "", ())

    def drop_trash(self, files: Iterable[bytes]) -> None:
        """Forget what is not in the trash any more, by the names below ``.replican/trash``."""
        with self._database.writing() as connection:
            tables.drop_trash(connection, files)

    def get(self, frontier: frozenset[CheckpointId], /) -> TreeId | None:
        """The tree that a frontier merges to, if it was worked out before: an index is a ``Memo``."""
        with self._database.reading() as connection:
            return tables.memo_get(connection, frontier)

    def put(self, frontier: frozenset[CheckpointId], tree: TreeId, /) -> None:
        """Remember the tree that a frontier merges to; a reader does not."""
        if self.writable:
            with self._database.writing() as connection:
                tables.memo_put(connection, frontier, tree)

    def note_size(self, files: int, now_ns: int, *, anew: bool = False) -> None:
        """Note how many files the folder has at this time (in ns); ``anew``: what it had before is forgotten."""
        with self._database.writing() as connection:
            tables.note_size(connection, files, now_ns, anew)

    def largest_lately(self, now_ns: int) -> int:
        """The most files that the folder is known to have had at any moment of the last ten minutes."""
        with self._database.reading() as connection:
            return tables.largest_lately(connection, now_ns)

    def meta_get(self, key: str) -> bytes | None:
        """A value that was set by :meth:`meta_set`."""
        with self._database.reading() as connection:
            return tables.meta_get(connection, "user." + key)

    def meta_set(self, key: str, value: bytes | None) -> None:
        """Set a value, durably; None removes it."""
        with self._database.writing(durable=True) as connection:
            tables.meta_set(connection, "user." + key, value)
