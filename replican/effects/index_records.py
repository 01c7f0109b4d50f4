"""The records of directories in the index's database: reading, writing, moving them. Functions on a connection.

Every record carries a generation; of one path, the greatest counts. A record without a listing says that its
directory is gone.
"""

import sqlite3
from collections.abc import Collection, Iterable
from typing import Any, Final, NamedTuple

from xxhash import xxh3_64_digest, xxh3_64_intdigest

from replican.effects.index_schema import IndexDamagedError
from replican.effects.index_tables import SEAL_OFFSET, seal_of, signed, unsigned
from replican.values.ids import BlobId, TreeId
from replican.values.listing import Row, check_listing, decode_listing, listing_ids, listing_sum, listing_totals
from replican.values.paths import join
from replican.values.trees import DIRECTORY

ASIDE: Final = TreeId(b"")
"""The ``tree`` of a directory that was looked into and is not recorded: it holds only ignored and skipped things,
or is a replica of its own. It is in no tree and has no rows."""

_BELOW: Final = "(path = :path OR (path > :first AND path < :last))"
_COLUMNS: Final = "path, gen, digest, tree, sum, ino, mount, files, size, seal, listing"
_FEW: Final = 8


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


_MASK: Final = (1 << 64) - 1
_ODD: Final = 0x9E3779B97F4A7C15
_ODDER: Final = 0xC2B2AE3D27D4EB4F
_GONE: Final = b"gone"
_DAMAGE: Final = "the index is damaged: a directory's record is not what was written"


def _seal(
    path: bytes,
    gen: int,
    digest: bytes | None,
    tree: bytes,
    rows_sum: bytes,
    ino: int,
    mount: int,
    files: int,
    size: int,
) -> int:
    """A checksum of a record; its rows, which have their own, by that."""
    seed = (ino + files * _ODD + size * _ODDER + (gen << 1) + mount) & _MASK
    return seal_of(path + (digest or b"") + tree + rows_sum, seed)


def _seal_gone(path: bytes, gen: int) -> int:
    return _seal(path, gen, None, _GONE, b"", 0, 0, 0, 0)


def _checked(path: bytes, gen: int, *values: Any) -> Known | None:
    """What a row of ``dirs`` says; None if it says that the directory is gone."""
    digest, tree, rows_sum, ino, mount, files, size, seal, listing = values
    try:
        if listing is None:
            if seal != _seal_gone(path, gen):
                raise IndexDamagedError(_DAMAGE)
            return None
        if seal != _seal(path, gen, digest, tree, rows_sum, ino, mount, files, size):
            raise IndexDamagedError(_DAMAGE)
    except TypeError as error:
        raise IndexDamagedError(_DAMAGE) from error
    return Known(digest, TreeId(tree), unsigned(ino), bool(mount), files, size)


def load(connection: sqlite3.Connection, path: bytes, newest: int) -> DirRecord | None:
    """The newest record of a directory up to a generation, whole; None if it is gone or not recorded."""
    row = connection.execute(
        f"SELECT {_COLUMNS}, rows FROM dirs LEFT JOIN listings ON id = listing"
        " WHERE path = ? AND gen <= ? ORDER BY gen DESC LIMIT 1",
        (path, newest),
    ).fetchone()
    known = None if row is None else _checked(*row[:11])
    if known is None or known.tree == ASIDE:
        return None
    blob = row[11]
    if type(blob) is not bytes or listing_sum(blob) != row[4]:
        raise IndexDamagedError("the index is damaged: a directory has another listing than was written")
    check_listing(blob)
    return DirRecord(path, known.tree, known.digest, known.ino, known.mount, blob)


def find(connection: sqlite3.Connection, path: bytes, newest: int) -> Known | None:
    """What the newest record of a directory up to a generation says but for the rows; None if it is gone."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM dirs WHERE path = ? AND gen <= ? ORDER BY gen DESC LIMIT 1", (path, newest)
    ).fetchone()
    return None if row is None else _checked(*row)


def load_all(connection: sqlite3.Connection, base: int, newest: int) -> dict[bytes, Known]:
    """What is known of every directory: the base's, and over it what was observed up to a generation."""
    found: dict[bytes, Known] = {}
    # The same as _checked(), without the calls: this stands at the start of every scan.
    make = Known._make
    try:
        for path, gen, digest, tree, rows_sum, ino, mount, files, size, seal, _ in connection.execute(
            f"SELECT {_COLUMNS} FROM dirs WHERE +gen <= ?",
            (base,),  # nearly all: better in the order of the table
        ):
            seed = (ino + files * _ODD + size * _ODDER + (gen << 1) + mount) & _MASK
            if seal != xxh3_64_intdigest(path + (digest or b"") + tree + rows_sum, seed) - SEAL_OFFSET:
                raise IndexDamagedError(_DAMAGE)
            found[path] = make((digest, tree, ino if ino >= 0 else unsigned(ino), mount == 1, files, size))
    except TypeError as error:
        raise IndexDamagedError(_DAMAGE) from error
    if newest > base:
        query = f"SELECT {_COLUMNS} FROM dirs WHERE gen > ? AND gen <= ? ORDER BY gen"
        for row in connection.execute(query, (base, newest)):
            known = _checked(*row)
            if known is None:
                found.pop(row[0], None)
            else:
                found[row[0]] = known
    return found


def load_below(connection: sqlite3.Connection, path: bytes, newest: int) -> dict[bytes, Known]:
    """The same of the directories at and below a path alone, up to a generation."""
    found: dict[bytes, Known] = {}
    query = f"SELECT {_COLUMNS} FROM dirs WHERE {_BELOW} AND gen <= :newest ORDER BY gen"
    for row in connection.execute(query, {"newest": newest, **below(path)}):
        known = _checked(*row)
        if known is None:
            found.pop(row[0], None)
        else:
            found[row[0]] = known
    return found


def with_inode(connection: sqlite3.Connection, ino: int) -> list[bytes]:
    """The paths of all records that have this inode, of whatever generation."""
    return [row[0] for row in connection.execute("SELECT path FROM dirs WHERE ino = ? ORDER BY path", (signed(ino),))]


def with_text(connection: sqlite3.Connection, text: bytes, newest: int) -> list[bytes]:
    """The directories in a record of which, up to a generation, some name has ``text`` in it; perhaps a few others."""
    query = "SELECT path, sum, rows FROM dirs JOIN listings ON id = listing WHERE gen <= ?"
    found = []
    for path, rows_sum, blob in connection.execute(query, (newest,)):
        # What is damaged would hide a name.
        if type(blob) is not bytes or listing_sum(blob) != rows_sum or xxh3_64_digest(blob[9:]) != rows_sum:
            raise IndexDamagedError("the index is damaged: a directory has another listing than was written")
        if text in blob:
            found.append(path)
    return found


def count_files(connection: sqlite3.Connection, base: int) -> int:
    """The files and links of all base records together: of each directory there is one."""
    query = "SELECT coalesce(sum(files), 0) FROM dirs WHERE gen <= ?"
    return int(connection.execute(query, (base,)).fetchone()[0])


def mounts(connection: sqlite3.Connection, newest: int) -> list[bytes]:
    rows = connection.execute("SELECT path FROM dirs WHERE mount = 1 AND gen <= ? ORDER BY path", (newest,))
    return [row[0] for row in rows]


def rows_of_tree(connection: sqlite3.Connection, tree: TreeId) -> list[Row] | None:
    row = connection.execute(
        "SELECT rows FROM dirs JOIN listings ON id = listing WHERE tree = ? LIMIT 1", (tree,)
    ).fetchone()
    return None if row is None else decode_listing(row[0])


def find_blobs(connection: sqlite3.Connection, ids: Collection[BlobId]) -> dict[BlobId, tuple[bytes, Row]]:
    """A path and its row for each of ``ids`` that a file or link has in the newest record of its directory."""
    wanted = frozenset(ids)
    found: dict[BlobId, tuple[bytes, Row]] = {}
    # A look at the ids alone takes some 20 ms for 100,000 files, however many are wanted; a few are found faster as
    # bytes.
    few = tuple(wanted) if len(wanted) <= _FEW else ()
    query = "SELECT path, gen, rows FROM dirs JOIN listings ON id = listing WHERE files > 0"
    for path, gen, blob in connection.execute(query):
        if few and not any(each in blob for each in few):
            continue
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
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM listings").fetchone()
    listings: list[tuple[int, bytes]] = []
    rows: list[tuple[bytes | int | None, ...]] = []
    for listing, (path, tree, digest, ino, mount, blob) in enumerate(changed, last + 1):
        files, size = listing_totals(blob)
        values = (path, gen, digest, tree, listing_sum(blob), signed(ino), int(mount), files, size)
        listings.append((listing, blob))
        rows.append((*values, _seal(*values), listing))
    connection.executemany("DELETE FROM dirs WHERE path = ? AND gen = ?", [(row[0], gen) for row in rows])
    connection.executemany("INSERT INTO listings (id, rows) VALUES (?, ?)", listings)
    connection.executemany(f"INSERT INTO dirs ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def replace(connection: sqlite3.Connection, changed: Iterable[DirRecord], gen: int) -> None:
    """Write records in the place of all that their paths have; at a generation, where a path has none.

    Where it has one, that is overwritten as it lies: a deletion and an insertion write twice as many pages.
    """
    anew: list[DirRecord] = []
    listings: list[tuple[bytes, int]] = []
    rows: list[tuple[bytes | int | None, ...]] = []
    for record in changed:
        path, tree, digest, ino, mount, blob = record
        found = connection.execute("SELECT gen, listing FROM dirs WHERE path = ?", (path,)).fetchall()
        if len(found) != 1 or found[0][1] is None:
            anew.append(record)
            continue
        ((lies, listing),) = found
        files, size = listing_totals(blob)
        values = (digest, tree, listing_sum(blob), signed(ino), int(mount), files, size)
        listings.append((blob, listing))
        rows.append((*values, _seal(path, lies, *values), path, lies))
    connection.executemany("UPDATE listings SET rows = ? WHERE id = ?", listings)
    connection.executemany(
        "UPDATE dirs SET digest = ?, tree = ?, sum = ?, ino = ?, mount = ?, files = ?, size = ?, seal = ?"
        " WHERE path = ? AND gen = ?",
        rows,
    )
    connection.executemany("DELETE FROM dirs WHERE path = ?", [(record.path,) for record in anew])
    put(connection, anew, gen)


def bury(connection: sqlite3.Connection, path: bytes, gen: int) -> None:
    """Say at a generation that a directory is gone with all below it."""
    connection.execute(f"DELETE FROM dirs WHERE gen = :gen AND {_BELOW}", {"gen": gen, **below(path)})
    gone = [row[0] for row in connection.execute(f"SELECT DISTINCT path FROM dirs WHERE {_BELOW}", below(path))]
    connection.executemany(
        "INSERT INTO dirs (path, gen, seal) VALUES (?, ?, ?)",
        [(each, gen, _seal_gone(each, gen)) for each in gone],
    )


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
    connection.execute("DELETE FROM dirs WHERE listing IS NULL AND gen > ? AND gen <= ?", (base, target))


def move(connection: sqlite3.Connection, old: bytes, new: bytes) -> None:
    """Give all records at and below ``old`` their paths at and below ``new``; what was there is deleted."""
    remove(connection, new)
    query = f"SELECT path, gen, digest, tree, sum, ino, mount, files, size FROM dirs WHERE {_BELOW}"
    changes = []
    for path, *rest in connection.execute(query, below(old)):
        to = new + path[len(old) :]
        changes.append((to, _seal(to, *rest), path, rest[0]))
    connection.executemany("UPDATE dirs SET path = ?, seal = ? WHERE path = ? AND gen = ?", changes)
