"""Block lists that are known, by blob id: ``.replican/blocks.db``, so that a file is cut once.

A cache. Each list is sealed, and what is not what was written is dropped, as is the whole where SQLite cannot read it:
it is filled again as lists are needed. Nothing here fails: where the disk is full, or cannot be written, or somebody
else is writing, there is no list, and the content is cut. Beside the lists lie marks of some of their blocks, by which
files are found that have blocks in common; they only nominate, and need no seal. Of files that are edited again and
again, there are sealed fine sums, too.
"""

import errno
import os
import sqlite3
import stat
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from replican.effects.index_tables import seal_of
from replican.values.blocks import HASH_SIZE, BlockList, parse_blocks
from replican.values.errors import ReplicanError
from replican.values.ids import BlobId
from replican.values.sums import FineSums

_FORMAT: Final = 1
_APPLICATION: Final = 0x7265626C
_TABLES: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE lists (
    number INTEGER PRIMARY KEY, blob BLOB NOT NULL UNIQUE, length INTEGER NOT NULL, used INTEGER NOT NULL,
    blocks BLOB NOT NULL, seal INTEGER NOT NULL
);
CREATE TABLE marks (mark INTEGER NOT NULL, list INTEGER NOT NULL, PRIMARY KEY (mark, list)) WITHOUT ROWID;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_FORMAT};
COMMIT;
"""
_SUMS: Final = """
CREATE TABLE IF NOT EXISTS sums (
    blob BLOB PRIMARY KEY, made INTEGER NOT NULL, sums BLOB NOT NULL, seal INTEGER NOT NULL
)
"""
"""Made where it is missing: a cache of before has none."""
LIMIT: Final = 64 << 20
"""How many bytes of lists are kept: those of some 250 GiB of files. What was used longest ago goes."""

SUMS_LIMIT: Final = 32 << 20
"""How many bytes of fine sums are kept: those of some 32 GiB of files."""

_BUSY_SECONDS: Final = 1
_MARK_ALL: Final = 64
_MARK_ONE_OF: Final = 8
_NOMINATED: Final = 64
_USED_NS: Final = 3600 * 1_000_000_000
"""How much older than now a list's last use may be told to be."""

_PASSING: Final = frozenset(
    [
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
    ]
)
_T = TypeVar("_T")


class BlockCache:
    """The cache at ``path``, which is made by the first list that is put. A context manager.

    No lock is needed: SQLite's own keeps writers apart.
    """

    def __init__(self, path: str, limit: int = LIMIT) -> None:
        self.path = path
        self._limit = limit
        self._connection: sqlite3.Connection | None = None
        self._is_off = False

    def __enter__(self) -> "BlockCache":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            try:
                self._connection.execute("PRAGMA busy_timeout = 0")
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.Error:
                pass
            self._connection.close()
            self._connection = None

    # -- lists ----------------------------------------------------------------------------------------------------

    def get(self, blob: BlobId) -> BlockList | None:
        """The block list of a content, if it is known."""
        return self._work(lambda connection: _get(connection, blob), None)

    def put(self, blob: BlobId, blocks: BlockList) -> None:
        """Note the full list of a content: one that was made of it here."""
        if blocks.hash_size != HASH_SIZE:
            raise ValueError("short lists are for links")
        if len(blocks.encoded) > self._limit:
            return

        def put(connection: sqlite3.Connection) -> bool:
            _put(connection, blob, blocks, self._limit)
            if _get(connection, blob) != blocks:
                raise sqlite3.DatabaseError("what was written is not found")
            return True

        # A damaged database may hide it: then the next one has it.
        _ = self._work(put, False, create=True) or self._work(put, False, create=True)

    def sums(self, blob: BlobId, blocks: BlockList) -> FineSums | None:
        """The fine sums of a content that has these blocks, if they are known."""
        return self._work(lambda connection: _get_sums(connection, blob, blocks), None)

    def put_sums(self, blob: BlobId, sums: bytes, instead_of: BlobId | None = None) -> None:
        """Note the fine sums of a content; those of the version before it, ``instead_of`` which it is, go."""
        if len(sums) <= SUMS_LIMIT:
            self._work(lambda connection: _put_sums(connection, blob, sums, instead_of), None, create=True)

    def sharing(self, blocks: BlockList, most: int) -> list[BlobId]:
        """The contents that seem to have most blocks in common with this one, the best first."""
        return self._work(lambda connection: _sharing(connection, blocks, most), [])

    # -- tending --------------------------------------------------------------------------------------------------

    def blobs(self) -> set[BlobId]:
        """All contents of which there is a list."""

        def all_of(connection: sqlite3.Connection) -> set[BlobId]:
            return {BlobId(blob) for (blob,) in connection.execute("SELECT blob FROM lists") if type(blob) is bytes}

        return self._work(all_of, set())

    def drop(self, blobs: Collection[BlobId]) -> None:
        """Drop the lists of these, and give their room back."""

        def drop(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                for table in ("lists", "sums"):
                    connection.executemany(f"DELETE FROM {table} WHERE blob = ?", [(blob,) for blob in blobs])
                connection.execute("DELETE FROM marks WHERE list NOT IN (SELECT number FROM lists)")
            connection.execute("VACUUM")

        if blobs:
            self._work(drop, None)

    # -- the database ---------------------------------------------------------------------------------------------

    def _work(self, work: Callable[[sqlite3.Connection], _T], otherwise: _T, create: bool = False) -> _T:
        """What ``work`` gives; ``otherwise``, where there is no database or it is of no use."""
        if self._is_off:
            return otherwise
        try:
            if self._connection is None:
                if not create and not os.path.lexists(self.path):
                    return otherwise
                self._connection = _open(self.path)
            return work(self._connection)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            self._is_off = True
            if is_damage(error):
                self._throw_away()
        except OSError:
            self._is_off = True
        return otherwise

    def _throw_away(self) -> None:
        """The next that puts a list makes it anew."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        try:
            for path in files_of(self.path):
                if os.path.lexists(path):
                    os.unlink(path)
            self._is_off = False
        except OSError:
            pass


def files_of(path: str) -> tuple[str, ...]:
    """The files of the database at ``path``, which need not all be there."""
    return path, path + "-wal", path + "-shm"


def is_damage(error: Exception) -> bool:
    """Whether an error of SQLite's tells of a damaged file, and not of what may be different the next time."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _PASSING


def check_cache(path: str) -> str | None:
    """What is wrong with the cache at ``path``; None where all is well, or there is none. Changes nothing."""
    if not os.path.lexists(path):
        return "its file is missing, and a log of it is not" if any(map(os.path.lexists, files_of(path))) else None
    try:
        connection = _open(path, reading=True)
    except OSError as error:
        return str(error.strerror)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        return str(error) if is_damage(error) else None
    try:
        verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        if verdict != "ok":
            return verdict
        for blob, blocks, seal in connection.execute("SELECT blob, blocks, seal FROM lists"):
            if _unsealed(blob, blocks, seal) is None:
                return "a block list is not what was written"
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sums'").fetchone() is not None:
            for blob, sums, seal in connection.execute("SELECT blob, sums, seal FROM sums"):
                if not _is_sealed(blob, sums, seal):
                    return "fine sums are not what was written"
    except (sqlite3.Error, UnicodeDecodeError) as error:
        return str(error) if is_damage(error) else None
    finally:
        connection.close()
    return None


def _open(path: str, reading: bool = False) -> sqlite3.Connection:
    """Raises ``OSError`` where something else has the place of one of its files: SQLite would write through a link, and
    wait for a FIFO."""
    for name in files_of(path):
        if os.path.lexists(name) and not stat.S_ISREG(os.lstat(name).st_mode):
            raise OSError(errno.EINVAL, f"{os.path.basename(name)} is not a file")
    created = not os.path.exists(path)
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        if reading:
            connection.execute("PRAGMA query_only = 1")
        else:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        if created:
            connection.executescript(_TABLES)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if (connection.execute("PRAGMA application_id").fetchone()[0], version) != (_APPLICATION, _FORMAT):
            raise sqlite3.DatabaseError("it is no cache of this release's")
        if not reading:
            connection.execute(_SUMS)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _get(connection: sqlite3.Connection, blob: BlobId) -> BlockList | None:
    row = connection.execute("SELECT number, used, blocks, seal FROM lists WHERE blob = ?", (blob,)).fetchone()
    if row is None:
        return None
    number, used, encoded, seal = row
    blocks = _unsealed(blob, encoded, seal)
    if blocks is None:
        with _transaction(connection):
            connection.execute("DELETE FROM lists WHERE number = ?", (number,))
        return None
    now = time.time_ns()
    if type(used) is not int or not 0 <= now - used < _USED_NS:
        try:
            with _transaction(connection):
                connection.execute("UPDATE lists SET used = ? WHERE number = ?", (now, number))
        except sqlite3.OperationalError as error:
            if is_damage(error):
                raise
    return blocks


def _is_sealed(blob: object, content: object, seal: object) -> bool:
    return type(blob) is bytes and type(content) is bytes and seal == seal_of(blob + content)


def _unsealed(blob: object, encoded: object, seal: object) -> BlockList | None:
    if not _is_sealed(blob, encoded, seal) or type(encoded) is not bytes:
        return None
    try:
        blocks = parse_blocks(encoded)
    except ReplicanError:
        return None
    return blocks if blocks.hash_size == HASH_SIZE else None


def _put(connection: sqlite3.Connection, blob: BlobId, blocks: BlockList, limit: int) -> None:
    encoded = blocks.encoded
    with _transaction(connection):
        connection.execute("DELETE FROM lists WHERE blob = ?", (blob,))
        total = connection.execute("SELECT coalesce(sum(length), 0) FROM lists").fetchone()[0]
        if total + len(encoded) > limit:
            _make_room(connection, total + len(encoded) - limit)
        number = connection.execute(
            "INSERT INTO lists (blob, length, used, blocks, seal) VALUES (?, ?, ?, ?, ?)",
            (blob, len(encoded), time.time_ns(), encoded, seal_of(blob + encoded)),
        ).lastrowid
        connection.executemany(
            "INSERT OR IGNORE INTO marks VALUES (?, ?)", [(mark, number) for mark in sorted(_marks(blocks))]
        )


def _get_sums(connection: sqlite3.Connection, blob: BlobId, blocks: BlockList) -> FineSums | None:
    row = connection.execute("SELECT sums, seal FROM sums WHERE blob = ?", (blob,)).fetchone()
    if row is None or not _is_sealed(blob, *row):
        return None
    try:
        return FineSums(blocks, row[0])
    except ReplicanError:
        return None


def _put_sums(connection: sqlite3.Connection, blob: BlobId, sums: bytes, instead_of: BlobId | None) -> None:
    with _transaction(connection):
        connection.executemany("DELETE FROM sums WHERE blob = ?", [(blob,), (instead_of,)])
        left = SUMS_LIMIT - len(sums)
        for other, length in connection.execute("SELECT blob, length(sums) FROM sums ORDER BY made DESC").fetchall():
            left -= length
            if left < 0:
                connection.execute("DELETE FROM sums WHERE blob = ?", (other,))
        connection.execute("INSERT INTO sums VALUES (?, ?, ?, ?)", (blob, time.time_ns(), sums, seal_of(blob + sums)))


def _make_room(connection: sqlite3.Connection, size: int) -> None:
    """Drop what was used longest ago, until so many bytes are free."""
    gone: list[tuple[int]] = []
    for number, length in connection.execute("SELECT number, length FROM lists ORDER BY used"):
        gone.append((number,))
        size -= length
        if size <= 0:
            break
    connection.executemany("DELETE FROM lists WHERE number = ?", gone)
    # by the mark, not the list: so all are read, which is no more than it takes to have an index of them
    connection.execute("DELETE FROM marks WHERE list NOT IN (SELECT number FROM lists)")


def _marks(blocks: BlockList) -> Iterator[int]:
    """Of a small file all its blocks, of others those that their hashes choose: the same for any file that has them."""
    everything = len(blocks) <= _MARK_ALL
    for block in blocks:
        if everything or block.hash[0] % _MARK_ONE_OF == 0:
            yield int.from_bytes(block.hash[:8], "big", signed=True)


def _sharing(connection: sqlite3.Connection, blocks: BlockList, most: int) -> list[BlobId]:
    common: Counter[int] = Counter()
    for mark in set(_marks(blocks)):
        found = connection.execute(f"SELECT list FROM marks WHERE mark = ? LIMIT {_NOMINATED}", (mark,))
        common.update([number for (number,) in found])
    blobs: list[BlobId] = []
    for number, _ in sorted(common.items(), key=lambda item: (-item[1], item[0])):
        row = connection.execute("SELECT blob FROM lists WHERE number = ?", (number,)).fetchone()
        if row is not None and type(row[0]) is bytes:
            blobs.append(BlobId(row[0]))
        if len(blobs) == most:
            break
    return blobs
