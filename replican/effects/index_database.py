"""The index's database: how it is opened, and its transactions.

Writers hold the repository's lock; readers do not, and need not: SQLite's write-ahead log lets them read the
last transaction that was finished. On a read-only disk the file is read as it lies.
"""

import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from replican.effects.durable import explain
from replican.effects.index_schema import APPLICATION_ID, BIRTHS, SCHEMA_VERSION, TABLES, IndexDamagedError, translated
from replican.effects.index_tables import meta_get, meta_set
from replican.values.errors import DamagedError, FolderError, MalformedError, UnsupportedError

_BUSY_SECONDS: Final = 10
_MAKING_SECONDS: Final = 2.0
_CACHE_KIB: Final = 12_000
_PLAIN: Final = frozenset(b"/-_.ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")


class _UnmadeError(IndexDamagedError):
    """There is nothing in the database, not even tables: it is being made, or its making was cut off."""


class Database:
    """A connection with its transactions."""

    def __init__(self, connection: sqlite3.Connection, path: str, writable: bool, kept: bool = False) -> None:
        self.connection = connection
        self.writable = writable
        self._kept = kept
        self._path = path
        self._synchronous = ""
        self._deep = False
        self._numbers: dict[str, int] = {}

    def close(self) -> None:
        """Close it; the write-ahead log is emptied, as far as no reader is in it, and it is not kept."""
        try:
            if self.writable and not self._kept:
                self.connection.execute("PRAGMA busy_timeout = 0")
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            pass  # what was committed lies in the log, and is read from there next time
        finally:
            self.connection.close()

    @contextmanager
    def writing(self, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction; within another, a part of that. ``durable``: it has survived a power cut once this
        returns."""
        if not self.writable:
            raise ValueError("the index was opened for reading")
        connection = self.connection
        if self._deep:
            yield connection
            return
        with translated(self._path):
            wanted = "FULL" if durable and not self._kept else "NORMAL"
            if wanted != self._synchronous:
                connection.execute(f"PRAGMA synchronous = {wanted}")
                self._synchronous = wanted
            connection.execute("BEGIN IMMEDIATE")
            self._deep = True
            try:
                yield connection
                connection.execute("COMMIT")
                if durable and self._kept:
                    self._flush()
            except BaseException:
                self._numbers.clear()
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            finally:
                self._deep = False

    def _flush(self) -> None:
        """What SQLite does at the end of a transaction, without the flush of the directory that it adds for each new
        connection: the log was made, and its name flushed, long ago."""
        try:
            fd = os.open(self._path + "-wal", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return  # all of it is in the database, which was flushed before the log went
        try:
            os.fdatasync(fd)
        except OSError as error:
            raise explain(error, f"write {self._path}-wal") from error
        finally:
            os.close(fd)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        with translated(self._path):
            try:
                yield self.connection
            except MalformedError as error:
                raise IndexDamagedError(f"the index is damaged: {error.message}") from error

    def number(self, key: str) -> int:
        """A number among the meta values, 0 if it was never set."""
        # Kept: a writer has the lock, and a reader one snapshot.
        number = self._numbers.get(key)
        if number is None:
            value = meta_get(self.connection, key)
            number = self._numbers[key] = 0 if value is None else int.from_bytes(value, "big")
        return number

    def set_number(self, key: str, value: int) -> None:
        meta_set(self.connection, key, value.to_bytes(8, "big"))
        self._numbers[key] = value


def open_database(path: str, writable: bool, rebuild: bool, kept: bool = False) -> tuple[Database, bool]:
    """The database at ``path``, and whether there was none; ``rebuild`` throws an old one away."""
    if rebuild:
        let_go(path)
    with translated(path):
        connection, created = _open_for_writing(path, rebuild) if writable else _open_for_reading(path)
        if kept and writable:
            keep(path)
    return Database(connection, path, writable, kept), created


_kept: dict[str, tuple[int, sqlite3.Connection]] = {}


def keep(path: str) -> None:
    """Have this process keep the database open: what SQLite does at each end and at each new beginning of its
    write-ahead log, several flushes, is not for who opens it again with each edit."""
    known = _kept.get(path)
    if known is not None:
        if known[0] == os.stat(path).st_ino:
            return
        let_go(path)
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    connection.execute("SELECT count(*) FROM meta").fetchone()
    _kept[path] = os.stat(path).st_ino, connection


def let_go(path: str) -> None:
    """Do not keep it open any more."""
    known = _kept.pop(path, None)
    if known is not None:
        known[1].close()


def _let_all_go() -> None:
    """A child would take the locks of its parent's connections for its own."""
    for path in list(_kept):
        let_go(path)


os.register_at_fork(before=_let_all_go)


def _open_for_writing(path: str, rebuild: bool) -> tuple[sqlite3.Connection, bool]:
    """A connection that may write, and whether the database is a new one. ``rebuild`` throws an old one away."""
    if rebuild:
        _remove(path)
    _check_files(path)
    created = not os.path.exists(path)
    _follow_permissions(path)
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        # Before anything is written to it. What a killed creation leaves is damage, too.
        if not created:
            _check_schema(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        # Most of the index of 100,000 files; what is deleted here is no secret (some builds overwrite it).
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA secure_delete = OFF")
        if created:
            connection.executescript(
                f"BEGIN IMMEDIATE; {TABLES} {BIRTHS} PRAGMA application_id = {APPLICATION_ID};"
                f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT"
            )
        else:
            connection.execute(BIRTHS)
    except BaseException:
        connection.close()
        if created:  # on a full disk, say: half an index would be taken for damage
            _remove(path)
        raise
    return connection, created


def _files(path: str) -> tuple[str, ...]:
    return path, path + "-wal", path + "-shm"


def _check_files(path: str) -> None:
    """SQLite would write through a link, and wait for a FIFO."""
    for name in _files(path):
        try:
            mode = os.lstat(name).st_mode
        except FileNotFoundError:
            continue
        if stat.S_ISDIR(mode):
            raise DamagedError(f"the index is damaged: {name} is a directory", "move it away")
        if not stat.S_ISREG(mode):
            raise IndexDamagedError(f"the index is damaged: {name} is not a file")


def _follow_permissions(path: str) -> None:
    """What SQLite made beside an index that was read-only is read-only, too, and would stay so."""
    main, *beside = _files(path)
    for name in beside:
        try:
            if not os.access(name, os.W_OK) and os.access(main, os.W_OK):
                os.chmod(name, 0o600)
        except OSError:
            continue  # it is not there, or not ours


def _remove(path: str) -> None:
    for name in _files(path):
        try:
            os.unlink(name)
        except FileNotFoundError:
            pass


def _open_for_reading(path: str) -> tuple[sqlite3.Connection, bool]:
    """A connection that only reads, and whether it stands for a database that is not there: it is empty then."""
    _check_files(path)
    if not os.path.exists(path):
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.executescript(
            f"{TABLES} {BIRTHS} PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION}"
        )
        return connection, True
    for option in ("mode=rw", "mode=ro"):
        try:
            return _open_made(path, option), False
        except sqlite3.OperationalError:
            pass
    # No -shm can be made on a read-only disk. Without a log beside it, the file alone is the whole truth.
    if os.path.exists(path + "-wal") and os.path.getsize(path + "-wal"):
        raise FolderError(
            f"the index at {path} was left in the middle of something, on a disk that cannot be written",
            "run any command where it can be written",
        )
    return _open_uri(path, "immutable=1"), False


def _open_made(path: str, option: str) -> sqlite3.Connection:
    """A connection to a database that another process may be making at this moment."""
    end = time.monotonic() + _MAKING_SECONDS
    while True:
        try:
            return _open_uri(path, option)
        except _UnmadeError:
            if time.monotonic() > end:
                raise
        time.sleep(0.01)


def _open_uri(path: str, option: str) -> sqlite3.Connection:
    quoted = "".join([chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in os.fsencode(path)])
    connection = sqlite3.connect(f"file:{quoted}?{option}", uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        # One snapshot for as long as it is open: what a writer commits meanwhile does not mix with what was read
        # before.
        connection.execute("PRAGMA query_only = 1")
        connection.execute("BEGIN")
        _check_schema(connection)
        connection.execute("SELECT count(*) FROM meta").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _check_schema(connection: sqlite3.Connection) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application == version == 0 and not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise _UnmadeError("the index is damaged: it is empty")
    if application != APPLICATION_ID:
        raise IndexDamagedError("the index is damaged: it is not an index of replican's")
    if version > SCHEMA_VERSION:
        raise UnsupportedError(f"the index was written by a newer release (format {version})", "upgrade replican")
    if version != SCHEMA_VERSION:
        raise IndexDamagedError(f"the index is of format {version}, which this release does not know")
