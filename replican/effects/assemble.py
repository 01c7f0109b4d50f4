"""From rows to trees: the records of some directories, and of all above them, made anew from the bottom up.

One changed file changes the listing of its directory, and in each directory above it one row's tree id: only these are
made again. A scan and a transition both end here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from replican.effects.index_records import ASIDE, DirRecord, Known
from replican.values.ids import ID_SIZE, TreeId, tree_id
from replican.values.listing import Row, decode_listing, digest_of_rows, encode_listing
from replican.values.paths import is_below, join, name_of, parent_of
from replican.values.trees import DIRECTORY, encode_tree

if TYPE_CHECKING:
    from replican.effects.index import Index

PLACEHOLDER = bytes(ID_SIZE)
"""The id of a directory's row as long as its tree is not known."""


_MANY = 200


class Assembled(NamedTuple):
    """Records to write, directories that are gone (with all below them), the root's tree, and the payloads of new
    trees."""

    changed: dict[bytes, DirRecord]
    gone: list[bytes]
    root: TreeId
    payloads: dict[TreeId, bytes]


class Packed(NamedTuple):
    """The rows of one directory as a listing, and as a tree: None where there are directories among them, whose own
    trees may not be known yet."""

    rows_blob: bytes
    payload: bytes | None
    tree: TreeId | None


def pack(rows: Sequence[Row]) -> Packed:
    """Pack rows that are sorted by name."""
    if any(row.kind == DIRECTORY for row in rows):
        return Packed(encode_listing(rows), None, None)
    return _pack_whole(rows)


def _pack_whole(rows: Sequence[Row]) -> Packed:
    # A row begins with an entry's fields.
    payload = encode_tree([row[:6] for row in rows])  # type: ignore[misc]
    return Packed(encode_listing(rows), payload, tree_id(payload))


class _Open(NamedTuple):
    """A directory whose subdirectories may still change; its rows are packed meanwhile."""

    rows_blob: bytes
    digest: bytes | None
    ino: int
    mount: bool
    keep: bool


class Assembler:
    """Takes directories in any order, and gives all records at the end.

    ``known`` tells what the index has of a directory (also :data:`ASIDE` ones), ``record`` loads it.
    """

    def __init__(
        self, known: Callable[[bytes], Known | None], record: Callable[[bytes], DirRecord | None], root: TreeId
    ) -> None:
        self._known = known
        self._record = record
        self._root = root
        self._changed: dict[bytes, DirRecord] = {}
        self._gone: list[bytes] = []
        self._payloads: dict[TreeId, bytes] = {}
        self._open: dict[bytes, _Open] = {}
        # For each directory, what became of subdirectories (None: no row for it), and whether that is news for it.
        self._below: dict[bytes, dict[bytes, TreeId | None]] = {}
        self._outdated: set[bytes] = set()
        self._taken: set[bytes] = set()
        self._new_rows: dict[bytes, Row] = {}

    def put(
        self, path: bytes, rows: Sequence[Row], digest: bytes | None, ino: int, mount: bool = False, keep: bool = True
    ) -> None:
        """The rows of a directory, sorted by name; the ids of rows of directories are filled in later where those are
        put, too.

        Without ``keep``, the directory is not recorded if no rows are left in the end.
        """
        self.put_packed(path, pack(rows), digest, ino, mount, keep)

    def put_packed(self, path: bytes, packed: Packed, digest: bytes | None, ino: int, mount: bool, keep: bool) -> None:
        """The same, of rows that are packed already."""
        if packed.payload is None:
            self._open[path] = _Open(packed.rows_blob, digest, ino, mount, keep)
        else:
            self._close(path, packed, digest, ino, mount, keep)

    def take_over(self, record: DirRecord) -> None:
        """A directory that is as the index knew it at another path."""
        self._changed[record.path] = record
        self._taken.add(record.path)
        self._tell(record.path, record.tree, None)

    def set_row(self, path: bytes, row: Row) -> None:
        """The row of a directory in the one above it, for when that one lacks it."""
        self._new_rows[path] = row

    def remove(self, path: bytes) -> None:
        """A directory is gone, with all below it."""
        self._gone.append(path)
        known = self._known(path)
        self._tell(path, None, None if known is None else _recorded(known.tree))

    def set_aside(self, path: bytes, digest: bytes | None, ino: int) -> None:
        """A directory is there, and not recorded."""
        self._note(DirRecord(path, ASIDE, digest, ino, False, encode_listing(())))

    def _close(self, path: bytes, packed: Packed, digest: bytes | None, ino: int, mount: bool, keep: bool) -> None:
        rows_blob, payload, tree = packed
        assert payload is not None
        assert tree is not None
        if not payload and not keep and path:
            self.set_aside(path, digest, ino)
            return
        known = self._known(path)
        if known is None or known.tree != tree:
            self._payloads[tree] = payload
        self._note(DirRecord(path, tree, digest, ino, mount, rows_blob))

    def _note(self, record: DirRecord) -> None:
        """Keep a record if it says anything new, and tell the directory above it."""
        path, tree, digest, ino, mount, blob = record
        known = self._known(path)
        same = known is not None and known[:4] == (digest, tree, ino, mount)
        if same and digest is None and tree != ASIDE:
            # Without a digest, rows may differ though all else agrees.
            old = self._record(path)
            same = old is not None and old.rows_blob == blob
        if not same:
            self._changed[path] = record
        else:
            self._changed.pop(path, None)
        self._tell(path, _recorded(tree), _recorded(known.tree) if known is not None else None)

    def _tell(self, path: bytes, tree: TreeId | None, was: TreeId | None) -> None:
        if path:
            directory = parent_of(path)
            self._below.setdefault(directory, {})[name_of(path)] = tree
            # What was taken over has rows for directories of another place: whatever became of them here is news.
            if tree != was or directory in self._taken:
                self._outdated.add(directory)

    def finish(self) -> Assembled:
        """Close what is open, and everything above what has changed, the deepest first."""
        levels: dict[int, set[bytes]] = {}
        for path in (*self._open, *self._outdated):
            levels.setdefault(_depth(path), set()).add(path)
        for depth in range(max(levels, default=-1), -1, -1):
            for path in sorted(levels.get(depth, ())):
                self._finish(path)
                if path and parent_of(path) in self._outdated:
                    levels.setdefault(depth - 1, set()).add(parent_of(path))
        root = self._changed.get(b"")
        return Assembled(self._changed, topmost(self._gone), self._root if root is None else root.tree, self._payloads)

    def _finish(self, path: bytes) -> None:
        below = self._below.pop(path, {})
        held = self._open.pop(path, None)
        if held is None:
            # Not looked into itself, so its stat data are as they were: the digest stays good.
            record = self._changed.get(path) or self._record(path)
            if record is None:
                self._finish_unrecorded(path, below)
                return
            rows, held = record.rows, _Open(b"", record.digest, record.ino, record.mount, True)
        else:
            rows = decode_listing(held.rows_blob)
        kept: list[Row] = []
        for row in rows:
            if row.kind == DIRECTORY and row.name in below:
                tree = below.pop(row.name)
                if tree is None:
                    continue
                row = row._replace(id=tree)
            if row.id == PLACEHOLDER:
                raise ValueError(f"nothing is known of the directory {join(path, row.name)!r}")
            kept.append(row)
        self._add_rows(path, kept, below)
        self._close(path, _pack_whole(kept), held.digest, held.ino, held.mount, held.keep)

    def _finish_unrecorded(self, path: bytes, below: dict[bytes, TreeId | None]) -> None:
        """Something appeared in a directory that was not recorded: now it is."""
        rows: list[Row] = []
        self._add_rows(path, rows, below)
        if rows:
            known = self._known(path)
            digest, ino = (None, 0) if known is None else (known.digest, known.ino)
            self._close(path, _pack_whole(rows), digest, ino, False, True)

    def _add_rows(self, path: bytes, rows: list[Row], below: dict[bytes, TreeId | None]) -> None:
        new = [(name, tree) for name, tree in below.items() if tree is not None]
        for name, tree in new:
            row = self._new_rows.get(join(path, name))
            if row is None:
                raise ValueError(f"the directory {join(path, name)!r} has no row in the one above it")
            rows.append(row._replace(id=tree))
        if new:
            rows.sort()


def chain(
    index: "Index",
    changes: Mapping[bytes, Sequence[Row] | None],
    observed: bool = False,
    loaded: Mapping[bytes, DirRecord] | None = None,
) -> Assembled:
    """The records that result when some directories get other rows (None: the directory is gone), with all above them.

    A directory that is new or gone must also be so in the rows given for the one above it. The tree id of a directory's
    row is filled in where that directory is among ``changes`` or above one of them; else the row's own id stands, as
    that of a moved directory, which is not known under its new path yet. What the stat data of a directory digest to is
    worked out from the rows, which holds where the directory has nothing else in it (it only costs a comparison at the
    next scan where it has). ``loaded`` are the records of some directories, where they are at hand.
    """
    loaded = loaded or {}
    many = index.digests(observed) if len(changes) - len(loaded) > _MANY else None

    def known(path: bytes) -> Known | None:
        if many is not None:
            return many.get(path)
        found = loaded.get(path)
        if found is None:
            return index.known(path, observed)
        return Known(found.digest, found.tree, found.ino, found.mount, 0, 0)

    assembler = Assembler(
        known,
        lambda path: loaded.get(path) or index.record(path, observed),
        index.observed_root() if observed else index.base_root(),
    )
    inodes = {
        join(path, row.name): row.ino for path, rows in changes.items() if rows for row in rows if row.kind == DIRECTORY
    }
    gone = topmost([path for path, rows in changes.items() if rows is None and path not in inodes])
    for path in gone:
        assembler.remove(path)
    for path, rows in changes.items():
        if rows is None or (gone and any(is_below(path, above) for above in gone)):
            continue
        old = known(path)
        ino = inodes.get(path, 0 if old is None else old.ino)
        assembler.put(path, rows, digest_of_rows(rows), ino, old is not None and old.mount)
    return assembler.finish()


def _depth(path: bytes) -> int:
    return path.count(b"/") + 1 if path else 0


def _recorded(tree: TreeId) -> TreeId | None:
    return None if tree == ASIDE else tree


def topmost(paths: list[bytes]) -> list[bytes]:
    """Those of ``paths`` that lie below none of the others; sorted."""
    found: list[bytes] = []
    for path in sorted(paths, key=lambda path: path.split(b"/")):
        if not found or not is_below(path, found[-1]):
            found.append(path)
    return found
