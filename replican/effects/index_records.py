"""The records of directories in the index's database: reading, writing, moving them. Functions on a connection.

Every record carries a generation; of one path, the greatest counts. A record without a listing says that its
directory is gone.
"""

import sqlite3
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from xxhash import xxh3_64_intdigest

from replican.effects.index_schema import IndexDamagedError
from replican.effects.index_tables import SEAL_OFFSET, seal_of, signed, unsigned
from replican.values.ids import BlobId, TreeId
from replican.values.listing import Row, decode_listing, listing_ids, listing_totals
from replican.values.paths import join
from replican.values.trees import DIRECTORY

ASIDE: Final = TreeId(b"")
"""The ``tree`` of a directory that was looked into and is not recorded: it holds only ignored and skipped things,
or is a replica of its own. It is in no tree and has no rows."""

_BELOW: Final = "(path = :path OR (path > :first AND path < :last))"
_KNOWN: Final = "path, digest, tree, ino, mount, files, size, seal"


class DirRecord(NamedTuple):
    """A directory: its tree, the digest of its stat data, its inode, whether it is a mount point, and its packed rows.

    ``digest`` is None where the rows have to be compared one by one.
    """

    path: bytes
    tree: TreeId
    digest: bytes | None
    ino: int
    mount: bool
    rows_blob: bytes

    @property
    def rows(self) -> list[Row]:
        return decode_listing(self.rows_blob)


class Known(NamedTuple):
    """All of a record but its rows; ``files`` (and links) and ``size`` (bytes) are those of the directory itself."""

    digest: bytes | None
    tree: TreeId
    ino: int
    mount: bool
    files: int
    size: int


def below(path: bytes) -> dict[str, bytes]:
    """The bounds of all paths at and below ``path``: ``/`` is followed by ``0``."""
    if not path:
        return {"path": b"", "first": b"", "last": b"\xff" * 256}
    return {"path": path, "first": path + b"/", "last": path + b"0"}


def _seal(path: bytes, digest: bytes | None, tree: bytes, mount: int) -> int:
    return seal_of(b"%s%s%s" % (path, digest or b"", tree), mount)


def _checked(
    path: bytes, digest: bytes | None, tree: bytes, ino: int, mount: int, files: int, size: int, seal: int
) -> Known:
    if type(tree) is not bytes or seal != _seal(path, digest, tree, mount):
        raise IndexDamagedError("the index is damaged: a directory's record is not what was written")
    return Known(digest, TreeId(tree), unsigned(ino), bool(mount), files, size)


def find(connection: sqlite3.Connection, path: bytes, newest: int) -> tuple[Known, int] | None:
    """The newest record of a directory up to a generation, and the number of its listing."""
    row = connection.execute(
        f"SELECT {_KNOWN}, listing FROM dirs WHERE path = ? AND gen <= ? ORDER BY gen DESC LIMIT 1", (path, newest)
    ).fetchone()
    if row is None or row[8] is None:
        return None
    return _checked(*row[:8]), row[8]


def load(connection: sqlite3.Connection, path: bytes, newest: int) -> DirRecord | None:
    """The newest record of a directory up to a generation, whole; None if it is gone or not recorded."""
    row = connection.execute(
        f"SELECT {_KNOWN}, listing, rows FROM dirs LEFT JOIN listings ON id = listing"
        " WHERE path = ? AND gen <= ? ORDER BY gen DESC LIMIT 1",
        (path, newest),
    ).fetchone()
    if row is None or row[8] is None:
        return None
    digest, tree, ino, mount, files, size = _checked(*row[:8])
    if tree == ASIDE:
        return None
    if type(row[9]) is not bytes or listing_totals(row[9]) != (files, size):
        raise IndexDamagedError("the index is damaged: a directory has another listing than was written")
    return DirRecord(path, tree, digest, ino, mount, row[9])


def load_all(connection: sqlite3.Connection, base: int, newest: int) -> dict[bytes, Known]:
    """What is known of every directory: the base's, and over it what was observed up to a generation."""
    found: dict[bytes, Known] = {}
    # The same as _checked(), without the calls: this stands at the start of every scan.
    make = Known._make
    try:
        for path, digest, tree, ino, mount, files, size, seal in connection.execute(
            f"SELECT {_KNOWN} FROM dirs WHERE gen <= ?", (base,)
        ):
            if seal != xxh3_64_intdigest(path + (digest or b"") + tree, mount) - SEAL_OFFSET:
                raise IndexDamagedError("the index is damaged: a directory's record is not what was written")
            found[path] = make((digest, tree, ino if ino >= 0 else unsigned(ino), mount == 1, files, size))
    except TypeError as error:
        raise IndexDamagedError("the index is damaged: a directory's record is not what was written") from error
    if newest > base:
        query = f"SELECT {_KNOWN}, listing FROM dirs WHERE gen > ? AND gen <= ? ORDER BY gen"
        for row in connection.execute(query, (base, newest)):
            if row[8] is None:
                found.pop(row[0], None)
            else:
                found[row[0]] = _checked(*row[:8])
    return found


def mounts(connection: sqlite3.Connection, newest: int) -> list[bytes]:
    rows = connection.execute("SELECT path FROM dirs WHERE mount = 1 AND gen <= ? ORDER BY path", (newest,))
    return [row[0] for row in rows]


def with_tree(connection: sqlite3.Connection, tree: TreeId) -> list[bytes]:
    """The paths of all records that have this tree, of whatever generation."""
    return [row[0] for row in connection.execute("SELECT path FROM dirs WHERE tree = ? ORDER BY path", (tree,))]


def rows_of_tree(connection: sqlite3.Connection, tree: TreeId) -> list[Row] | None:
    row = connection.execute(
        "SELECT rows FROM dirs JOIN listings ON id = listing WHERE tree = ? LIMIT 1", (tree,)
    ).fetchone()
    return None if row is None else decode_listing(row[0])


def find_blobs(connection: sqlite3.Connection, ids: Collection[BlobId]) -> dict[BlobId, tuple[bytes, Row]]:
    """A path and its row for each of ``ids`` that a file or link has in the newest record of its directory."""
    wanted = frozenset(ids)
    found: dict[BlobId, tuple[bytes, Row]] = {}
    # A look at the ids alone takes some 20 ms for 100,000 files, however many are wanted.
    query = "SELECT path, gen, rows FROM dirs JOIN listings ON id = listing WHERE files > 0"
    for path, gen, blob in connection.execute(query):
        if wanted.isdisjoint(listing_ids(blob)):
            continue
        newest = connection.execute("SELECT max(gen) FROM dirs WHERE path = ?", (path,)).fetchone()[0]
        if newest != gen:
            continue
        for row in decode_listing(blob):
            if row.id in wanted and row.kind != DIRECTORY:
                found.setdefault(BlobId(row.id), (join(path, row.name), row))
    return found


def put(connection: sqlite3.Connection, changed: Iterable[DirRecord], gen: int) -> None:
    """Write records at a generation, over those that are there."""
    for path, tree, digest, ino, mount, blob in changed:
        connection.execute("DELETE FROM dirs WHERE path = ? AND gen = ?", (path, gen))
        listing = connection.execute("INSERT INTO listings (rows) VALUES (?)", (blob,)).lastrowid
        files, size = listing_totals(blob)
        seal = _seal(path, digest, tree, int(mount))
        connection.execute(
            "INSERT INTO dirs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (path, gen, listing, tree, digest, signed(ino), int(mount), files, size, seal),
        )


def bury(connection: sqlite3.Connection, path: bytes, gen: int) -> None:
    """Say at a generation that a directory is gone with all below it."""
    values = {"gen": gen, **below(path)}
    connection.execute(f"DELETE FROM dirs WHERE gen = :gen AND {_BELOW}", values)
    connection.execute(f"INSERT INTO dirs (path, gen) SELECT DISTINCT path, :gen FROM dirs WHERE {_BELOW}", values)


def remove(connection: sqlite3.Connection, path: bytes) -> None:
    """Delete all records at and below a path."""
    connection.execute(f"DELETE FROM dirs WHERE {_BELOW}", below(path))


def remove_superseded(connection: sqlite3.Connection, base: int, target: int) -> None:
    """Delete what the generations above ``base`` and up to ``target`` replace, and their marks of what is gone."""
    connection.execute(
        "DELETE FROM dirs WHERE (path, gen) IN (SELECT old.path, old.gen FROM dirs AS new"
        " JOIN dirs AS old ON old.path = new.path AND old.gen < new.gen WHERE new.gen > ? AND new.gen <= ?)",
        (base, target),
    )
    connection.execute("DELETE FROM dirs WHERE listing IS NULL AND gen <= ?", (target,))


def move(connection: sqlite3.Connection, old: bytes, new: bytes) -> None:
    """Give all records at and below ``old`` their paths at and below ``new``; what was there is deleted."""
    remove(connection, new)
    moved = connection.execute(f"SELECT path, gen, digest, tree, mount FROM dirs WHERE {_BELOW}", below(old)).fetchall()
    changes = []
    for path, gen, digest, tree, mount in moved:
        to = new + path[len(old) :]
        changes.append((to, _seal(to, digest, tree, mount), path, gen))
    connection.executemany("UPDATE dirs SET path = ?, seal = ? WHERE path = ? AND gen = ?", changes)
