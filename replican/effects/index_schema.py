"""The tables of the index's database, and what SQLite's errors become."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from replican.values.errors import DamagedError, FolderError, LockedError, NoSpaceError

SCHEMA_VERSION: Final = 2
APPLICATION_ID: Final = 0x7265706C

# dirs is small and lies together, so that all digests are read in a few ms; the rows' blobs are apart.
# A row of dirs without a listing says that the directory is gone. What changes one directory looks at no others: that
# is what the indices are for.
TABLES: Final = """
CREATE TABLE dirs (
    path BLOB NOT NULL, gen INTEGER NOT NULL, listing INTEGER, tree BLOB, digest BLOB, ino INTEGER, mount INTEGER,
    files INTEGER, size INTEGER, sum BLOB, seal INTEGER, PRIMARY KEY (path, gen)
) WITHOUT ROWID;
CREATE INDEX dirs_tree ON dirs (tree);
CREATE INDEX dirs_gen ON dirs (gen, files);
CREATE INDEX dirs_ino ON dirs (ino);
CREATE INDEX dirs_mounts ON dirs (path) WHERE mount = 1;
CREATE TABLE listings (id INTEGER PRIMARY KEY, rows BLOB NOT NULL);
CREATE TRIGGER dirs_gone AFTER DELETE ON dirs WHEN OLD.listing IS NOT NULL BEGIN
    DELETE FROM listings WHERE id = OLD.listing;
END;
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE journal (
    path BLOB PRIMARY KEY, old BLOB, new BLOB, cause TEXT NOT NULL, seal INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE problems (list TEXT NOT NULL, path BLOB NOT NULL, cause TEXT NOT NULL, held INTEGER NOT NULL);
CREATE INDEX problems_list ON problems (list);
CREATE TABLE said (path BLOB NOT NULL, cause TEXT NOT NULL, PRIMARY KEY (path, cause)) WITHOUT ROWID;
CREATE TABLE trash (
    file BLOB PRIMARY KEY, blob BLOB NOT NULL, path BLOB NOT NULL, kind BLOB NOT NULL, perm INTEGER NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ino INTEGER NOT NULL, time_ns INTEGER NOT NULL, undo BLOB NOT
    NULL,
    seal INTEGER NOT NULL, ctime_ns INTEGER
) WITHOUT ROWID;
CREATE INDEX trash_blob ON trash (blob);
CREATE TABLE frontiers (frontier BLOB PRIMARY KEY, tree BLOB NOT NULL, seal INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE sizes (time_ns INTEGER PRIMARY KEY, files INTEGER NOT NULL);
"""
# A cache that came later: an index without it is no other format, and who does not know it leaves it alone.
BIRTHS: Final = """
CREATE TABLE IF NOT EXISTS births (ino INTEGER PRIMARY KEY, blob BLOB NOT NULL, mark BLOB NOT NULL);
"""


class IndexDamagedError(DamagedError):
    """The index is not readable, or not what was written: it has to be rebuilt from the folder."""

    code = "index-damaged"


_FULL = frozenset([sqlite3.SQLITE_FULL])
_BUSY = frozenset([sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED])
_FEW_BYTES: Final = 128 << 10
_DISK = frozenset([sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM])


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Turns SQLite's errors into ours. Whatever is neither a full disk, nor a lock, nor I/O, is damage."""
    try:
        yield
    except UnicodeDecodeError as error:  # of a text in the database, or of SQLite's own message about one
        raise IndexDamagedError("the index is damaged: it holds what is no text") from error
    except sqlite3.Error as error:
        # The extended codes have the plain one in their low byte.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code in _FULL or (code in _DISK and _is_full(path)):
            raise NoSpaceError(f"no space left on the disk that holds {path}", "make room, and try again") from error
        if code in _BUSY:
            raise LockedError(f"another process is writing to {path}", "try again") from error
        if code in _DISK:
            raise FolderError(f"cannot use the index at {path}: {error}") from error
        raise IndexDamagedError(f"the index is damaged: {error}") from error


def _is_full(path: str) -> bool:
    """Whether the disk that holds ``path`` has no room: SQLite calls it an I/O error where its shared memory, or a
    file at all, cannot be made."""
    try:
        room = os.statvfs(os.path.dirname(path) or ".")
    except OSError:
        return False
    return room.f_bavail * room.f_frsize < _FEW_BYTES or (room.f_files > 0 and room.f_favail == 0)
