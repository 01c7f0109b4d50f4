"""The index's table of births: of large files, what was read last of each inode, to know a renamed one by.

A cache beside the rows. No row is ever changed for it, and what is missing, or damaged, costs reading a file.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from replican.effects.index_database import Database
from replican.effects.index_tables import signed, unsigned
from replican.values.ids import ID_SIZE
from replican.values.listing import decode_listing, listing_totals

BORN_FROM: Final = 1 << 20
"""The size, in bytes, from which on births are noted: smaller files are read as fast."""
MARK_SIZE: Final = 16
_MANY: Final = 1 << 18
_NOTED: Final = "births"


class Birth(NamedTuple):
    """What was read of an inode: a blob id, and the mark that :mod:`replican.effects.births` makes of both. Without a
    ``mark``, what was known of the inode does not hold any more."""

    ino: int
    blob: bytes
    mark: bytes


class IndexBirths:
    """The births that an index knows; raises as the index does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._there: bool | None = None

    def _is_there(self) -> bool:
        """Whether there is such a table: who only reads may have an index that no writer has opened since it came."""
        if self._there is None:
            query = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'births'"
            with self._database.reading() as connection:
                self._there = connection.execute(query).fetchone()[0] == 1
        return self._there

    def find(self, ino: int) -> Birth | None:
        """What is known of an inode."""
        if not self._is_there():
            return None
        with self._database.reading() as connection:
            row = connection.execute("SELECT blob, mark FROM births WHERE ino = ?", (signed(ino),)).fetchone()
        if row is None or any(type(each) is not bytes for each in row) or tuple(map(len, row)) != (ID_SIZE, MARK_SIZE):
            return None
        return Birth(ino, *row)

    def inodes(self) -> frozenset[int]:
        """All inodes of which anything is known."""
        if not self._is_there():
            return frozenset()
        with self._database.reading() as connection:
            return frozenset([unsigned(ino) for (ino,) in connection.execute("SELECT ino FROM births")])

    def note(self, births: Iterable[Birth]) -> None:
        """Note what was read, in the place of what was known before."""
        rows = [(signed(ino), blob, mark) for ino, blob, mark in births]
        if not rows:
            return
        with self._database.writing() as connection:
            connection.executemany("DELETE FROM births WHERE ino = ?", [row[:1] for row in rows if not row[2]])
            connection.executemany("INSERT OR REPLACE INTO births VALUES (?, ?, ?)", [row for row in rows if row[2]])
            noted = self._database.number(_NOTED) + len(rows)
            self._database.set_number(_NOTED, noted)
            if noted >= _MANY:
                self.tidy()

    def tidy(self) -> int:
        """Forget what is in no directory any more; how many inodes."""
        with self._database.writing() as connection, self._database.reading():
            here: set[int] = set()
            for (blob,) in connection.execute("SELECT rows FROM listings"):
                if listing_totals(blob)[1] >= BORN_FROM:
                    here.update([row.ino for row in decode_listing(blob) if row.size >= BORN_FROM])
            gone = self.inodes() - here
            connection.executemany("DELETE FROM births WHERE ino = ?", [(signed(ino),) for ino in gone])
            self._database.set_number(_NOTED, 0)
        return len(gone)
