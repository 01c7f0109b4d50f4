"""Completing: the record of a directory, once all its names have been looked at, by whoever has read them.

What is packed by the process that has read the files comes to the one that gathers as a few bytes, and not as many
objects.
"""

from collections.abc import Sequence
from typing import NamedTuple

from replican.effects.assemble import Packed, pack
from replican.effects.examine import Examined, make_row
from replican.effects.hashing import Found
from replican.effects.index_births import Birth
from replican.effects.mirror import Copied, Filled
from replican.values.ids import TreeId
from replican.values.listing import Row, digest_of_rows, encode_listing
from replican.values.progress import Problem
from replican.values.trees import Entry

Sides = tuple[Entry | None, Entry | None]
"""A file or a link as it was and as it is; None where it is not there."""


class Completed(NamedTuple):
    """All of a directory: its rows, packed; ``pairs`` are as :meth:`Examined.pairs` has them, where they were asked
    for; ``files`` and ``size`` (bytes) were read for it, ``copied`` is what was copied of that, and by ``births`` large
    ones are known again."""

    path: bytes
    packed: Packed
    digest: bytes | None
    ino: int
    mount: bool
    keep: bool
    problems: list[Problem]
    pairs: list[Sides] | None
    files: int
    size: int
    copied: Copied | None
    births: list[Birth]


class Glimpse(NamedTuple):
    """A directory without subdirectories that was found changed: its tree before, and its listing now, as a tree."""

    path: bytes
    before: TreeId
    payload: bytes


def complete(examined: Examined, known: dict[bytes, Row], found: Found | None, with_pairs: bool) -> Completed:
    """Complete a directory, of which ``known`` are the rows that it was compared with, by what was found of what was
    to be read in it, if anything was."""
    names = [name for name, _ in examined.todo]
    if found is not None:
        examined.take(found.answers)
    rows = examined.rows
    rows.sort()
    packed = pack(rows)
    return Completed(
        examined.path,
        packed,
        examined.digest(),
        examined.ino,
        examined.mount,
        examined.keep,
        examined.problems,
        examined.pairs(known) if with_pairs else None,
        0 if found is None else found.files,
        0 if found is None else found.size,
        None if found is None or not any(found.copies) else _copied(examined.path, rows, packed, names, found),
        [] if found is None or not found.births else _sure(found.births, rows),
    )


def _sure(births: Sequence[Birth], rows: Sequence[Row]) -> list[Birth]:
    """Of a file that may have been written to since without a sign, nothing is known."""
    smudged = {row.ino for row in rows if row.is_smudged}
    return [birth._replace(mark=b"") if birth.ino in smudged else birth for birth in births]


def _copied(path: bytes, rows: Sequence[Row], packed: Packed, names: Sequence[bytes], found: Found) -> Copied:
    """The copies that were made in a directory, as rows: those whose originals have the time and the permissions that
    are recorded."""
    made = dict(zip(names, found.copies, strict=True))
    copies: list[Row] = []
    for name, kind, perm, size, mtime_ns, id_, mode, disk_mtime_ns, _, _ in rows:
        copy = made.get(name)
        if copy is not None and mtime_ns == disk_mtime_ns and perm == mode & 0o777:
            ino, ctime_ns = copy
            copies.append(make_row((name, kind, perm, size, mtime_ns, id_, perm, mtime_ns, ctime_ns, ino)))
    newest = max([row.ctime_ns for row in copies], default=0)
    size = sum([row.size for row in copies])
    filled = Filled(path, encode_listing(copies), digest_of_rows(copies), found.ino, newest, [], len(copies), size)
    return Copied(filled, packed.tree if len(copies) == len(rows) else None)
