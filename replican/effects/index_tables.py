"""The small tables of the index: meta values, journal, problems, trash, frontiers, and how large the folder was.

Functions on a connection, which :class:`~replican.effects.index.Index` calls within its transactions. What a merge or a
recovery relies on is sealed with a checksum: SQLite has none of its own.
"""

import hashlib
import sqlite3
from collections.abc import Iterable
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Final

from xxhash import xxh3_64_digest, xxh3_64_intdigest

from replican.decisions.gates import WINDOW_NS
from replican.effects.index_schema import IndexDamagedError
from replican.values.errors import MalformedError
from replican.values.ids import BlobId, CheckpointId, TreeId
from replican.values.journal import JournalEntry
from replican.values.progress import Problem
from replican.values.trees import Entry, encode_tree, parse_tree

if TYPE_CHECKING:
    from replican.effects.trash import TrashItem

PROBLEMS: Final = "problems"
PENDING: Final = "pending"
_JOURNAL: Final = "its journal"
_ALL_OF_JOURNAL: Final = "SELECT path, old, new, cause, seal FROM journal"
SEAL_OFFSET: Final = 1 << 63
_VARIABLES: Final = 900
"""Of one statement: SQLite may allow no more than 999."""


def seal_of(data: bytes, seed: int = 0) -> int:
    """A checksum that fits into SQLite's signed integers."""
    return xxh3_64_intdigest(data, seed) - SEAL_OFFSET


def _seal(*values: object) -> int:
    """The checksum of the values of one row, and of their types."""
    return seal_of(repr(values).encode("utf-8", "surrogatepass"))


def _check(seal: object, what: str, *values: object) -> None:
    if seal != _seal(*values):
        raise IndexDamagedError(f"the index is damaged: {what} is not what was written")


# -- meta values ------------------------------------------------------------------------------------------------------


def meta_get(connection: sqlite3.Connection, key: str) -> bytes | None:
    found = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    if found is None:
        return None
    value = found[0]
    if type(value) is not bytes or len(value) < 8 or xxh3_64_digest(value[8:]) != value[:8]:
        raise IndexDamagedError(f"the index is damaged: its value of {key} is not what was written")
    return value[8:]


def meta_set(connection: sqlite3.Connection, key: str, value: bytes | None) -> None:
    if value is None:
        connection.execute("DELETE FROM meta WHERE key = ?", (key,))
    else:
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, xxh3_64_digest(value) + value))


# -- the journal ------------------------------------------------------------------------------------------------------


def _packed(entry: Entry | None) -> bytes | None:
    return None if entry is None else encode_tree([entry])


def _unpacked(payload: bytes | None) -> Entry | None:
    return None if payload is None else parse_tree(payload)[0]


def note_journal(connection: sqlite3.Connection, entries: Iterable[JournalEntry]) -> None:
    """Add to the journal. A path that is there already keeps its older old version: that is what it held."""
    there: dict[bytes, bytes | None] = {}
    for path, old, new, cause, seal in connection.execute(_ALL_OF_JOURNAL):
        _check(seal, _JOURNAL, path, old, new, cause)
        there[path] = old
    rows = []
    for path, old_entry, new_entry, cause in entries:
        old = there[path] if path in there else _packed(old_entry)
        there[path], new = old, _packed(new_entry)
        rows.append((path, old, new, cause, _seal(path, old, new, cause)))
    connection.executemany("INSERT OR REPLACE INTO journal VALUES (?, ?, ?, ?, ?)", rows)


def journal(connection: sqlite3.Connection) -> list[JournalEntry]:
    entries: list[JournalEntry] = []
    for path, old, new, cause, seal in connection.execute(f"{_ALL_OF_JOURNAL} ORDER BY path"):
        _check(seal, _JOURNAL, path, old, new, cause)
        try:
            entries.append(JournalEntry(path, _unpacked(old), _unpacked(new), cause))
        except (MalformedError, IndexError) as error:
            raise IndexDamagedError("the index is damaged: its journal is not what was written") from error
    return entries


def end_journal(connection: sqlite3.Connection, undecided: Iterable[JournalEntry] | None) -> None:
    """Clear the journal, but for what is ``undecided`` now; None for what was so before."""
    if undecided is None:
        connection.execute("DELETE FROM journal WHERE cause = ''")
        return
    connection.execute("DELETE FROM journal")
    note_journal(connection, undecided)


# -- problems, pending paths, and what was said --------------------------------------------------------------


def set_problems(connection: sqlite3.Connection, which: str, problems: Iterable[Problem]) -> None:
    connection.execute("DELETE FROM problems WHERE list = ?", (which,))
    connection.executemany(
        "INSERT INTO problems VALUES (?, ?, ?, ?)", [(which, each.path, each.cause, each.held) for each in problems]
    )


def problems(connection: sqlite3.Connection, which: str) -> list[Problem]:
    found = connection.execute("SELECT path, cause, held FROM problems WHERE list = ? ORDER BY path", (which,))
    return [Problem(path, cause, bool(held)) for path, cause, held in found]


def say_once(connection: sqlite3.Connection, problems: Iterable[Problem]) -> list[Problem]:
    return [
        problem
        for problem in problems
        if connection.execute("INSERT OR IGNORE INTO said VALUES (?, ?)", problem[:2]).rowcount == 1
    ]


# -- the trash ------------------------------------------------------------------------------------------------------


_TRASH_COLUMNS: Final = "blob, file, path, kind, perm, size, mtime_ns, ino, time_ns, undo"
_CTIME: Final = "ctime_ns"


def add_trash(connection: sqlite3.Connection, items: Iterable["TrashItem"], undo: bytes | None) -> None:
    """Note ``items``, taken by the merge ``undo``; None: they were noted before, and that stands."""
    noted = dict.fromkeys(items, undo) if undo is not None else _noted(connection, items)
    if noted and not _has_ctimes(connection):
        connection.execute(f"ALTER TABLE trash ADD COLUMN {_CTIME} INTEGER")
    rows = [((*item[:7], signed(item.ino), item.time_ns, by), item.ctime_ns) for item, by in noted.items()]
    connection.executemany(
        f"INSERT OR REPLACE INTO trash ({_TRASH_COLUMNS}, seal, {_CTIME}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(*row, _seal_of_trash(row, ctime_ns), ctime_ns) for row, ctime_ns in sorted(rows, key=itemgetter(0))],
    )


def _noted(connection: sqlite3.Connection, items: Iterable["TrashItem"]) -> dict["TrashItem", bytes]:
    """Those of ``items`` that are in the list, each with what is noted of who took it."""
    found = {item: connection.execute("SELECT undo FROM trash WHERE file = ?", (item.file,)) for item in items}
    return {item: undo for item, rows in found.items() for (undo,) in rows}


def _has_ctimes(connection: sqlite3.Connection) -> bool:
    """Whether the table of the trash has its last column: an index that an older release has made has not."""
    found = connection.execute("SELECT 1 FROM pragma_table_info('trash') WHERE name = ?", (_CTIME,)).fetchone()
    return found is not None


def _seal_of_trash(row: tuple[object, ...], ctime_ns: int | None) -> int:
    """The seal of an older release's rows, which know no ctime, is that of the others."""
    return _seal(*row) if ctime_ns is None else _seal(*row, ctime_ns)


def trash(connection: sqlite3.Connection, where: str, values: tuple[bytes | int, ...]) -> list["TrashItem"]:
    from replican.effects.trash import TrashItem

    columns = f"{_TRASH_COLUMNS}, seal, {_CTIME if _has_ctimes(connection) else 'NULL'}"
    items = []
    found = connection.execute(f"SELECT {columns} FROM trash {where} ORDER BY time_ns, file", values)
    for *row, seal, ctime_ns in found:
        if seal != _seal_of_trash(tuple(row), ctime_ns):
            raise IndexDamagedError("the index is damaged: its list of the trash is not what was written")
        blob, file, path, kind, perm, size, mtime_ns, ino, time_ns, _ = row
        if b"/" in file or file in (b"", b".", b".."):  # a seal is no proof: the index of a remote may be anybody's
            raise IndexDamagedError("the index is damaged: its list of the trash has what lies elsewhere")
        items.append(TrashItem(blob, file, path, kind, perm, size, mtime_ns, unsigned(ino), time_ns, ctime_ns))
    return items


def trash_with(connection: sqlite3.Connection, blobs: Iterable[BlobId]) -> list["TrashItem"]:
    """What the trash holds of some content, oldest first."""
    wanted, found = list(blobs), list["TrashItem"]()
    for at in range(0, len(wanted), _VARIABLES):
        some = tuple(wanted[at : at + _VARIABLES])
        found += trash(connection, f"WHERE blob IN ({', '.join('?' * len(some))})", some)
    return sorted(found, key=attrgetter("time_ns", "file"))


def drop_trash(connection: sqlite3.Connection, files: Iterable[bytes]) -> None:
    connection.executemany("DELETE FROM trash WHERE file = ?", [(file,) for file in files])


def signed(ino: int) -> int:
    return ino if ino < SEAL_OFFSET else ino - 2 * SEAL_OFFSET


def unsigned(ino: int) -> int:
    """The inode number that was stored as a signed integer."""
    return ino if ino >= 0 else ino + 2 * SEAL_OFFSET


# -- frontiers ------------------------------------------------------------------------------------------------------


def _frontier_key(frontier: frozenset[CheckpointId]) -> bytes:
    return hashlib.sha256(b"".join(sorted(frontier))).digest()


def memo_get(connection: sqlite3.Connection, frontier: frozenset[CheckpointId]) -> TreeId | None:
    key = _frontier_key(frontier)
    found = connection.execute("SELECT tree, seal FROM frontiers WHERE frontier = ?", (key,)).fetchone()
    if found is None:
        return None
    _check(found[1], "a merged tree's id", key, found[0])
    return TreeId(found[0])


def memo_put(connection: sqlite3.Connection, frontier: frozenset[CheckpointId], tree: TreeId) -> None:
    key = _frontier_key(frontier)
    connection.execute("INSERT OR REPLACE INTO frontiers VALUES (?, ?, ?)", (key, tree, _seal(key, bytes(tree))))


# -- how large the folder was --------------------------------------------------------------------------------


def note_size(connection: sqlite3.Connection, files: int, now_ns: int, anew: bool) -> None:
    """Note the size; what is too old to count goes, but for the last such size, which the window began with. With
    ``anew`` it begins with this one."""
    if anew:
        connection.execute("DELETE FROM sizes")
    connection.execute("INSERT OR REPLACE INTO sizes VALUES (?, ?)", (now_ns, files))
    connection.execute(
        "DELETE FROM sizes WHERE time_ns < (SELECT max(time_ns) FROM sizes WHERE time_ns < ?)", (now_ns - WINDOW_NS,)
    )


def largest_lately(connection: sqlite3.Connection, now_ns: int) -> int:
    since = connection.execute("SELECT max(time_ns) FROM sizes WHERE time_ns < ?", (now_ns - WINDOW_NS,)).fetchone()[0]
    found = connection.execute(
        "SELECT max(files) FROM sizes WHERE time_ns >= ?", (now_ns - WINDOW_NS if since is None else since,)
    ).fetchone()[0]
    return int(found or 0)
