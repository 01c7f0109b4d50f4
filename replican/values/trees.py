"""Trees: a directory listing as an object.

A payload is the entries one after the other, sorted by the bytes of their names::

    <kind><perm, 4 octal digits> <size> <mtime in ns> <name>\\0<32 bytes of id>

The place for later attributes is after the last entry: ``*<version>\\0<bytes>``. None are known yet.

There is one encoding for each listing: :func:`parse_tree` refuses whatever :func:`encode_tree` would not
have written. ``man 5 replican-format`` describes it byte by byte.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from replican.values.errors import MalformedError, UnsupportedError
from replican.values.ids import BlobId, TreeId, tree_id
from replican.values.names import is_tree_name

FILE: Final = b"f"
DIRECTORY: Final = b"d"
LINK: Final = b"l"

LINK_PERM: Final = 0o777
TIME_LIMIT: Final = 1 << 63
"""Times are of less than this many ns before or after 1970 (the years 1677 to 2262)."""
SIZE_LIMIT: Final = 1 << 63


class Entry(NamedTuple):
    """One name of a directory.

    ``perm`` is the nine permission bits (a link's are 0777); ``size`` is in bytes and ``mtime_ns`` in ns
    since 1970, both 0 for a directory; ``id`` is a :data:`BlobId`, or a :data:`TreeId` for a directory.
    """

    name: bytes
    kind: bytes
    perm: int
    size: int
    mtime_ns: int
    id: bytes

    @property
    def tree(self) -> TreeId:
        """The id of the directory that this entry names."""
        return TreeId(self.id)

    @property
    def blob(self) -> BlobId:
        """The id of the content of the file or link that this entry names."""
        return BlobId(self.id)


class TreeReader(Protocol):
    """Where trees come from."""

    def tree(self, tree: TreeId, /) -> Sequence[Entry]:
        """The entries of ``tree``, sorted by name; raises ``NotFoundError`` or ``DamagedError``."""


def encode_tree(entries: Iterable[Entry]) -> bytes:
    """The payload of a tree. The entries must be well-formed and sorted by name."""
    return b"".join(
        [
            b"%s%04o %d %d %s\0%s" % (kind, perm, size, mtime, name, id_)
            for name, kind, perm, size, mtime, id_ in entries
        ]
    )


_ENTRY = re.compile(
    rb"([fdl])(0[0-7]{3}) (0|[1-9][0-9]{0,18}) (0|-?[1-9][0-9]{0,18}) ([^\0/]{1,255})\0(.{32})", re.DOTALL
)
_TRAILER = re.compile(rb"\*[1-9][0-9]{0,5}\0")
_PERMS = {b"%04o" % perm: perm for perm in range(0o1000)}


def parse_tree(payload: bytes) -> list[Entry]:
    """The entries of an encoded tree; raises ``MalformedError`` for anything but the one encoding of a listing.

    ``UnsupportedError`` is for a listing with attributes of a later release.
    """
    entries: list[Entry] = []
    at, end, last = 0, len(payload), b""
    match = _ENTRY.match
    while at < end:
        found = match(payload, at)
        if found is None:
            raise _refusal(payload, at)
        at = found.end()
        kind, perm_digits, size_digits, mtime_digits, name, id_ = found.groups()
        perm, size, mtime = _PERMS[perm_digits], int(size_digits), int(mtime_digits)
        if name <= last:
            raise MalformedError("tree has entries that are twice there or not sorted")
        if (name[0] == _DOT or b"~" in name or not name.isascii()) and not is_tree_name(name):
            raise MalformedError(f"tree has the forbidden name {name!r}")
        if size >= SIZE_LIMIT or not -TIME_LIMIT < mtime < TIME_LIMIT:
            raise MalformedError("tree has a size or time out of range")
        if kind != FILE and ((perm != LINK_PERM) if kind == LINK else (size or mtime)):
            raise MalformedError("tree has an entry with attributes that its kind cannot have")
        entries.append(_new_entry(Entry, (name, kind, perm, size, mtime, id_)))
        last = name
    return entries


_DOT = 0x2E
_new_entry = tuple.__new__  # what ``Entry(...)`` does, without a call in between: listings have many


def _refusal(payload: bytes, at: int) -> MalformedError | UnsupportedError:
    if _TRAILER.match(payload, at):
        return UnsupportedError("tree has attributes of a later release", "upgrade replican")
    return MalformedError(f"tree has no entry at byte {at}")


class TreeOverlay:
    """Trees in memory above those of a reader: where decisions put the trees that they make.

    ``new`` holds the payloads that were added and that the reader may not have.
    """

    def __init__(self, below: TreeReader) -> None:
        self.below = below
        self.new: dict[TreeId, bytes] = {}

    def tree(self, tree: TreeId, /) -> Sequence[Entry]:
        payload = self.new.get(tree)
        return self.below.tree(tree) if payload is None else parse_tree(payload)

    def add(self, entries: Iterable[Entry]) -> TreeId:
        """Encode and keep a listing; the entries must be sorted by name."""
        payload = encode_tree(entries)
        made = tree_id(payload)
        self.new[made] = payload
        return made
