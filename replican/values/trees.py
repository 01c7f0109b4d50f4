"""Trees: a directory listing as an object.

A payload is the entries one after the other, sorted by the bytes of their names::

    <kind><perm, 4 octal digits> <size> <mtime in ns> <name>\\0<32 bytes of id>

A directory that is to be taken as one, a *unit*, has 1 for the first of the four digits.

The place for later attributes is after the last entry: ``*<version>\\0<bytes>``. None are known yet.

There is one encoding for each listing: :func:`parse_tree` refuses whatever :func:`encode_tree` would not
have written. ``man 5 replican-format`` describes it byte by byte.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import lt
from typing import Final, NamedTuple, Protocol

from replican.values.errors import MalformedError, UnsupportedError
from replican.values.ids import ID_SIZE, BlobId, TreeId, tree_id
from replican.values.names import is_tree_name

FILE: Final = b"f"
DIRECTORY: Final = b"d"
LINK: Final = b"l"

LINK_PERM: Final = 0o777
PERMS: Final = 0o777
"""The bits of ``perm`` that are permissions. Nothing else of it may reach a disk."""
ATOMIC: Final = 0o1000
"""In the ``perm`` of a directory: it is a unit, which is recorded, moved and fought for as a whole."""
TIME_LIMIT: Final = 1 << 63
"""Times are of less than this many ns before or after 1970 (the years 1677 to 2262)."""
SIZE_LIMIT: Final = 1 << 63


class Entry(NamedTuple):
    """One name of a directory.

    ``perm`` is the nine permission bits (a link's are 0777), of a directory with :data:`ATOMIC` where it is a unit;
    ``size`` is in bytes and ``mtime_ns`` in ns since 1970, both 0 for a directory; ``id`` is a :data:`BlobId`, or a
    :data:`TreeId` for a directory.
    """

    name: bytes
    kind: bytes
    perm: int
    size: int
    mtime_ns: int
    id: bytes

    @property
    def is_unit(self) -> bool:
        """Whether it is a directory that is taken as one."""
        return self.perm > PERMS

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
    rb"([fdl])(0[0-7]{3}|(?<=d)1[0-7]{3}) (0|[1-9][0-9]{0,18}) (0|-?[1-9][0-9]{0,18}) ([^\0/]{1,255})\0(.{32})",
    re.DOTALL,
)
_TRAILER = re.compile(rb"\*[1-9][0-9]{0,5}\0")
_PERMS = {b"%04o" % perm: perm for perm in range(2 * ATOMIC)}


def parse_tree(payload: bytes) -> list[Entry]:
    """The entries of an encoded tree; raises ``MalformedError`` for anything but the one encoding of a listing.

    ``UnsupportedError`` is for a listing with attributes of a later release.
    """
    # Column by column: listings are many, and each call for a single entry is felt.
    entries: list[Entry] = []
    end, last = 0, b""
    for found, found_end in _split(payload):
        kinds, perms, sizes, mtimes, names, ids = zip(*found, strict=True)
        end += _FIXED_SIZE * len(found) + sum(map(len, (b"".join(sizes), b"".join(mtimes), b"".join(names))))
        if end != found_end:
            raise _refusal(payload)
        size, mtime, perm = list(map(int, sizes)), list(map(int, mtimes)), [_PERMS[digits] for digits in perms]
        if names[0] <= last or not all(map(lt, names, names[1:])):
            raise MalformedError("tree has entries that are twice there or not sorted")
        last = names[-1]
        _check_names(names)
        if max(size) >= SIZE_LIMIT or min(mtime) <= -TIME_LIMIT or max(mtime) >= TIME_LIMIT:
            raise MalformedError("tree has a size or time out of range")
        if kinds.count(FILE) != len(kinds):
            _check_attributes(zip(kinds, perm, size, mtime, strict=True))
        entries += [_new_entry(Entry, each) for each in zip(names, kinds, perm, size, mtime, ids, strict=True)]
    if end != len(payload):
        raise _refusal(payload)
    return entries


_AT_ONCE = 4096
_SMALL = 1 << 20
_FIXED_SIZE = 1 + 4 + 1 + 1 + 1 + 1 + ID_SIZE
"""An entry's bytes but for its size, time and name: kind, permissions, three spaces, NUL, id."""
_new_entry = tuple.__new__  # what ``Entry(...)`` does, without a call in between


def _split(payload: bytes) -> Iterator[tuple[list[tuple[bytes, ...]], int]]:
    """The fields of what looks like entries, none overlapping, and where they have to end if nothing lies in between.

    A listing may have a million names: of a large one, some come at a time.
    """
    if len(payload) <= _SMALL:
        if found := _ENTRY.findall(payload):
            yield found, len(payload)
        return
    matches = _ENTRY.finditer(payload)
    while some := list(islice(matches, _AT_ONCE)):
        yield [match.groups() for match in some], some[-1].end()


def _check_names(names: Sequence[bytes]) -> None:
    text = b"/".join(names)
    if text.isascii() and b"~" not in text and b"/." not in text and text[0] != _DOT:
        return  # nearly all listings end here
    for name in names:
        if not is_tree_name(name):
            raise MalformedError(f"tree has the forbidden name {name!r}")


_DOT = 0x2E


def _check_attributes(entries: Iterable[tuple[bytes, int, int, int]]) -> None:
    for kind, perm, size, mtime in entries:
        if kind != FILE and ((perm != LINK_PERM) if kind == LINK else (size or mtime)):
            raise MalformedError("tree has an entry with attributes that its kind cannot have")


def _refusal(payload: bytes) -> MalformedError | UnsupportedError:
    at = 0
    while found := _ENTRY.match(payload, at):
        at = found.end()
    if _TRAILER.match(payload, at):
        return UnsupportedError("tree has attributes of a later release", "upgrade replican")
    return MalformedError(f"tree has no entry at byte {at}")


def has_units(payload: bytes) -> bool:
    """Whether there is a unit among the entries of an encoded tree."""
    # Nearly all trees end at the first: an id may have these bytes, too.
    return b"d1" in payload and any(entry.is_unit for entry in parse_tree(payload))


_PARSED_ENTRIES: Final = 150_000


class TreeOverlay:
    """Trees in memory above those of a reader: where decisions put the trees that they make.

    ``new`` holds the payloads that were added and that the reader may not have; of those that are read, some stay
    parsed.
    """

    def __init__(self, below: TreeReader) -> None:
        self.below = below
        self.new: dict[TreeId, bytes] = {}
        self._parsed: dict[TreeId, Sequence[Entry]] = {}
        self._room = _PARSED_ENTRIES

    def tree(self, tree: TreeId, /) -> Sequence[Entry]:
        entries = self._parsed.get(tree)
        if entries is not None:
            return entries
        payload = self.new.get(tree)
        if payload is None:
            return self.below.tree(tree)
        entries = parse_tree(payload)
        if len(entries) < self._room:
            self._room -= len(entries) + 1
            self._parsed[tree] = entries
        return entries

    def add(self, entries: Iterable[Entry]) -> TreeId:
        """Encode and keep a listing; the entries must be sorted by name."""
        payload = encode_tree(entries)
        made = tree_id(payload)
        self.new[made] = payload
        return made
