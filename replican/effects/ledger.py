"""The ledger of a transition: what it has put on the disk, as rows, until the index is told.

Rows are loaded a directory at a time, and edited here; :meth:`Ledger.settle` writes all of them at once, with
the trees above them. What is not in the ledger has not been done.
"""

from replican.effects.assemble import chain
import time

from replican.effects.index import Index
from replican.values.listing import Row
from replican.values.paths import name_of, parent_of


class Ledger:
    """The base rows of the directories that a transition touches."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._rows: dict[bytes, dict[bytes, Row]] = {}
        self._dirty: set[bytes] = set()
        self._gone: set[bytes] = set()
        self._moves: list[tuple[bytes, bytes]] = []

    def rows(self, directory: bytes) -> dict[bytes, Row]:
        """The rows of a directory, by name; empty for one that is not there."""
        rows = self._rows.get(directory)
        if rows is None:
            listed = [] if directory in self._gone else self._index.rows(directory, observed=False)
            rows = self._rows[directory] = {row.name: row for row in listed}
        return rows

    def row(self, path: bytes) -> Row | None:
        """What the disk was last known to hold at ``path``."""
        return self.rows(parent_of(path)).get(name_of(path))

    def put(self, directory: bytes, row: Row) -> None:
        """``row`` is on the disk now; if it was written just now, it will be looked at again."""
        self.rows(directory)[row.name] = row.settled(time.time_ns())
        self._dirty.add(directory)

    def drop(self, path: bytes) -> None:
        """``path`` is not on the disk any more, or nothing is known of it."""
        directory = parent_of(path)
        if self.rows(directory).pop(name_of(path), None) is not None:
            self._dirty.add(directory)

    def add_directories(self, rows: dict[bytes, list[Row]]) -> None:
        """Whole directories came; the row of the topmost is put on its own."""
        now = time.time_ns()
        for path, listed in rows.items():
            self._gone.discard(path)
            self._rows[path] = {row.name: row.settled(now) for row in listed}
            self._dirty.add(path)

    def drop_directory(self, path: bytes) -> None:
        """A directory went, or what is left in it is not the log's concern."""
        self.drop(path)
        self._rows.pop(path, None)
        self._dirty.discard(path)
        self._gone.add(path)

    def move_directory(self, old: bytes, new: bytes, row: Row) -> None:
        """A directory went to another place with all that is below it; ``row`` is the new place's."""
        self.drop(old)
        self.put(parent_of(new), row)
        self._moves.append((old, new))

    def settle(self) -> None:
        """Tell the index, in one transaction: rows, trees above them, and that the journal is done with."""
        changes: dict[bytes, list[Row] | None] = {path: sorted(self._rows[path].values()) for path in self._dirty}
        for path in self._gone:
            changes.setdefault(path, None)
        assembled = chain(self._index, changes, observed=False)
        self._index.rebase(assembled.changed.values(), assembled.gone, assembled.root, self._moves)
        self._rows.clear()
        self._dirty.clear()
        self._gone.clear()
        self._moves.clear()
