"""Rows: what the index knows of each name, and how the rows of one directory are packed into one blob.

A row is an :class:`~replican.values.trees.Entry` (the *logical* values, which a tree records) and the stat data
that the disk had when it was looked at. A blob is columnar, so that 100,000 rows pack and unpack in a tenth of a
second::

    <version><xxh3_64 of all that follows><rows><files><bytes of the files><flags><length of the names>
    kinds  perms  disk modes  sizes  mtimes  [disk mtimes]  ctimes  inodes  ids  names joined by NUL

Numbers are little-endian. The disk's mtimes are left out where they are the logical ones.
"""

import marshal
import os
import struct
import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from xxhash import xxh3_64_digest, xxh3_128_digest

from replican.values.errors import MalformedError
from replican.values.ids import ID_SIZE
from replican.values.trees import DIRECTORY, FILE, LINK, PERMS, SIZE_LIMIT, TIME_LIMIT, Entry

DIGEST_SIZE: Final = 16
"""The size of a digest of stat data, in bytes."""
RACY_NS: Final = 20_000_000
"""A file whose ctime is younger than this when it is looked at may change again without its stat data changing."""
RACY_COARSE_NS: Final = 2_000_000_000
"""The same where the file system keeps whole seconds (or, as FAT, two)."""
SMUDGED: Final = 0
"""The ``ctime_ns`` of a row that no stat matches: the file is read again at the next look."""

KIND_MASK: Final = 0o170000
"""What of an ``st_mode`` says the kind: one of the next three, or it is a special file."""
DIRECTORY_MODE: Final = 0o040000
FILE_MODE: Final = 0o100000
LINK_MODE: Final = 0o120000

Stat = tuple[str, int, int] | tuple[str, int, int, int, int, int]
"""One name of a directory, as stat shows it: (name, mode, inode), and but for a directory (size, mtime in ns,
ctime in ns)."""


class Row(NamedTuple):
    """One name of a directory: an entry's fields, then the stat data of the disk.

    ``disk_mode`` is ``st_mode & 0o7777``. A directory has ``size``, ``mtime_ns``, ``disk_mtime_ns`` and ``ctime_ns`` 0
    and its TreeId as ``id``. A ``ctime_ns`` of :data:`SMUDGED` never matches the disk.
    """

    name: bytes
    kind: bytes
    perm: int
    size: int
    mtime_ns: int
    id: bytes
    disk_mode: int
    disk_mtime_ns: int
    ctime_ns: int
    ino: int

    @property
    def entry(self) -> Entry:
        """What a tree records of it."""
        return Entry(*self[:6])

    @property
    def is_unit(self) -> bool:
        """Whether it is a directory that is taken as one."""
        return self.perm > PERMS

    @property
    def is_smudged(self) -> bool:
        return self.ctime_ns == SMUDGED and self.kind != DIRECTORY

    def settled(self, looked_ns: int) -> "Row":
        """This row, smudged if a change right after ``looked_ns`` could leave its stat data as they are.

        ``looked_ns`` is a moment before the content was known to be this row's, or before anybody but us could reach
        the file.
        """
        return self if self.kind == DIRECTORY or not is_racy(self.ctime_ns, looked_ns) else self._replace(ctime_ns=0)

    def placed(self, looked_ns: int) -> "Row":
        """The same of a file or link that was ours alone up to ``looked_ns``, and got its time before it took its
        place: whoever writes to it makes its mtime and its ctime the same, which they are not."""
        return self.settled(looked_ns) if is_racy(self.disk_mtime_ns, self.ctime_ns) else self


def is_racy(ctime_ns: int, looked_ns: int) -> bool:
    """Whether a file with this ctime, looked at then, could have changed since within one tick of the clock."""
    return ctime_ns > looked_ns - (RACY_NS if ctime_ns % 1_000_000_000 else RACY_COARSE_NS)


def clamp_time(time_ns: int) -> int:
    """``time_ns``, within what a tree can record."""
    return time_ns if -TIME_LIMIT < time_ns < TIME_LIMIT else max(1 - TIME_LIMIT, min(TIME_LIMIT - 1, time_ns))


_HEAD = struct.Struct("<B8sIIQBI")
_VERSION = 1
_SAME_TIMES = 1
_CHECKED_FROM = 9
_KINDS = {FILE[0]: FILE, DIRECTORY[0]: DIRECTORY, LINK[0]: LINK}
_BIG_ENDIAN = sys.byteorder == "big"


def _column(code: str, values: Iterable[int]) -> bytes:
    numbers = array(code, values)
    if _BIG_ENDIAN:
        numbers.byteswap()
    return numbers.tobytes()


def encode_listing(rows: Sequence[Row]) -> bytes:
    """The blob of a directory's rows, which must be sorted by name."""
    if not rows:
        names, ids, columns, files, size, flags = b"", b"", b"", 0, 0, _SAME_TIMES
    else:
        # Ten columns at once: a row is ten fields, and nothing here may cost a call for each of them.
        name, kind, perm, sizes, mtime, id_, mode, disk_mtime, ctime, ino = zip(*rows, strict=True)
        names, ids, kinds = b"\0".join(name), b"".join(id_), b"".join(kind)
        files, size = len(rows) - kinds.count(DIRECTORY), min(sum(sizes), SIZE_LIMIT - 1)
        flags = _SAME_TIMES if mtime == disk_mtime else 0
        columns = b"".join(
            (
                kinds,
                _column("H", perm),
                _column("H", mode),
                _column("q", sizes),
                _column("q", mtime),
                b"" if flags else _column("q", map(clamp_time, disk_mtime)),
                _column("q", ctime),
                _column("Q", ino),
            )
        )
    body = b"%s%s%s" % (columns, ids, names)
    head = _HEAD.pack(_VERSION, b"", len(rows), files, size, flags, len(names))[_CHECKED_FROM:]
    return b"%c%s%s%s" % (_VERSION, xxh3_64_digest(head + body), head, body)


def listing_totals(blob: bytes) -> tuple[int, int]:
    """How many files and links a listing has, and how many bytes they have together; from its head alone."""
    if len(blob) < _HEAD.size:
        raise MalformedError("a listing is cut off")
    _, _, _, files, size, _, _ = _HEAD.unpack_from(blob)
    return files, size


def listing_sum(blob: bytes) -> bytes:
    """The checksum that a listing carries, unverified: it tells sound listings apart."""
    return blob[1:_CHECKED_FROM]


def listing_ids(blob: bytes) -> list[bytes]:
    """The ids of a listing, in its order. Not verified: to find candidates by."""
    if len(blob) < _HEAD.size:
        raise MalformedError("a listing is cut off")
    _, _, count, _, _, _, names = _HEAD.unpack_from(blob)
    end = len(blob) - names
    return [blob[at : at + ID_SIZE] for at in range(end - count * ID_SIZE, end, ID_SIZE)]


def check_listing(blob: bytes) -> None:
    """Raise ``MalformedError`` if a blob is damaged, or is none."""
    if len(blob) < _HEAD.size or blob[0] != _VERSION:
        raise MalformedError("a listing is cut off, or of another version")
    if xxh3_64_digest(memoryview(blob)[_CHECKED_FROM:]) != blob[1:_CHECKED_FROM]:
        raise MalformedError("a listing is damaged")


def decode_listing(blob: bytes) -> list[Row]:
    """The rows of a blob; raises ``MalformedError`` if it is damaged or not one."""
    check_listing(blob)
    _, _, count, _, _, flags, names_size = _HEAD.unpack_from(blob)
    width = 1 + 2 + 2 + 8 + 8 + (0 if flags & _SAME_TIMES else 8) + 8 + 8 + ID_SIZE
    if len(blob) != _HEAD.size + width * count + names_size:
        raise MalformedError("a listing has another length than it says")
    if not count:
        return []
    at = _HEAD.size

    def column(code: str, size: int) -> "array[int]":
        nonlocal at
        numbers = array(code)
        numbers.frombytes(blob[at : at + size * count])
        if _BIG_ENDIAN:
            numbers.byteswap()
        at += size * count
        return numbers

    try:
        kinds = [_KINDS[kind] for kind in column("B", 1)]
    except KeyError:
        raise MalformedError("a listing has an unknown kind") from None
    perms, modes = column("H", 2), column("H", 2)
    sizes, mtimes = column("q", 8), column("q", 8)
    disk_mtimes = mtimes if flags & _SAME_TIMES else column("q", 8)
    ctimes, inodes = column("q", 8), column("Q", 8)
    ids = [blob[start : start + ID_SIZE] for start in range(at, at + count * ID_SIZE, ID_SIZE)]
    names = blob[at + count * ID_SIZE :].split(b"\0")
    if len(names) != count:
        raise MalformedError("a listing has another number of names than of rows")
    columns = (names, kinds, perms, sizes, mtimes, ids, modes, disk_mtimes, ctimes, inodes)
    return list(map(Row._make, zip(*columns, strict=True)))


def stat_digest(items: Sequence[Stat]) -> bytes:
    """The digest of one directory's stat data, a list sorted by name: equal exactly if every name's are.

    Directories count with name, mode and inode only: what changes within them is seen there.
    """
    # marshal packs numbers and names six times faster than struct or repr would. Version 2 has no references, which
    # depend on who else holds an object, so that equal items have equal bytes.
    return xxh3_128_digest(marshal.dumps(items, 2))  # type: ignore[arg-type]  # it takes a list


def digest_of_rows(rows: Sequence[Row], others: Iterable[Stat] = ()) -> bytes | None:
    """The digest that a directory has while it holds just these rows, and ``others``; None if a row is smudged."""
    items: list[Stat] = [*others]
    texts = os.fsdecode(b"\0".join([row[0] for row in rows])).split("\0")
    for text, (_, kind, _, size, _, _, mode, disk_mtime, ctime, ino) in zip(texts, rows, strict=False):
        if kind == DIRECTORY:
            items.append((text, DIRECTORY_MODE | mode, ino))
        elif ctime == SMUDGED:
            return None
        else:
            items.append((text, (FILE_MODE if kind == FILE else LINK_MODE) | mode, ino, size, disk_mtime, ctime))
    items.sort()
    return stat_digest(items)
