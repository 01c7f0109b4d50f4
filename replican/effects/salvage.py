"""What is still whole in a damaged object store, and the place where damaged files are kept.

Nothing damaged is deleted: it is moved to `.replican/damaged`, where whoever knows better may look at it, and whence
:func:`whole_objects` reads whatever in it still has the hash that its id says.
"""

import os
import re
import time
import zlib
from collections.abc import Iterator
from typing import Final

from replican.effects import durable
from replican.effects.ages import TIMES
from replican.effects.packs import Pack, parse_head
from replican.values.errors import DamagedError, ReplicanError
from replican.values.ids import object_hash

PLACE: Final = "damaged"

Whole = tuple[bytes, bytes, bytes]
"""An object: id, kind, payload."""

_PACK = re.compile(r"pack-[0-9a-f]{64}\.(?:pack|idx)")
_PACK_HEAD: Final = 12
_HEAD_LIMIT: Final = 16
_LEFTOVER_SECONDS: Final = 3600.0
_CHUNK: Final = 1 << 16


def set_aside(dotdir: str, path: str) -> str:
    """Move ``path`` (a file, a link, a directory) to the damaged things of this replica; its new path. Durable."""
    place = f"{dotdir}/{PLACE}"
    durable.make_directory(place)
    name, count = os.path.basename(path), 0
    target = f"{place}/{name}"
    while os.path.lexists(target):
        count += 1
        stem, dot, extension = name.rpartition(".")
        target = f"{place}/{stem}-{count}{dot}{extension}" if dot else f"{place}/{name}-{count}"
    os.rename(path, target)
    durable.flush_directory(place)
    durable.flush_directory(os.path.dirname(path))
    return target


def bad_packs(directory: str) -> list[str]:
    """The paths, without suffix, of the packs in ``directory`` that lack a half, or are not what was written."""
    bases = {f"{directory}/{name.rpartition('.')[0]}" for name in durable.names_in(directory) if _PACK.fullmatch(name)}
    return sorted(base for base in bases if not _is_whole(base))


def _is_whole(base: str) -> bool:
    try:
        pack = Pack(base)
    except (ReplicanError, OSError):
        return False
    try:
        return pack.check() and sum(1 for _ in whole_objects(base)) == pack.count
    except (ReplicanError, OSError):
        return False
    finally:
        pack.close()


def sweep(*directories: str) -> None:
    """Delete what killed writers left behind in directories of objects, an hour ago or more."""
    limit = time.time() - _LEFTOVER_SECONDS
    for directory in directories:
        for name in durable.names_in(directory):
            base, suffix = os.path.splitext(f"{directory}/{name}")
            orphan = suffix in (".pack", TIMES) and not os.path.lexists(base + ".idx")
            if name.startswith(durable.TEMPORARY_PREFIX) or orphan:
                path = f"{directory}/{name}"
                if os.lstat(path).st_mtime < limit:
                    durable.discard(path)


def packs_aside(dotdir: str) -> list[str]:
    """The paths of packs that were set aside, without their suffix."""
    place = f"{dotdir}/{PLACE}"
    return sorted(f"{place}/{name[:-5]}" for name in durable.names_in(place) if name.endswith(".pack"))


def whole_objects(base: str) -> Iterator[Whole]:
    """The objects of the pack at ``base`` (without suffix) that have the hash that their id says, each once.

    With a sound index, all that are whole; without, those before the first that is not.
    """
    try:
        pack = Pack(base)
    except (DamagedError, OSError):
        yield from _in_sequence(f"{base}.pack")
        return
    try:
        for position in range(pack.count):
            try:
                kind, payload = pack.read(position)
            except (DamagedError, OSError):
                continue
            id = pack.id_at(position)
            if object_hash(kind, payload) == id:
                yield id, kind, payload
    finally:
        pack.close()


def _in_sequence(path: str) -> Iterator[Whole]:
    """The objects of a pack one after the other, as far as they can be inflated: their hashes are their ids."""
    try:
        fd = durable.open_file(path)
    except OSError:
        return
    with open(fd, "rb") as file:
        data = file.read(_PACK_HEAD)
        if data[:4] != b"PACK":
            return
        data = b""
        while True:
            if len(data) < _HEAD_LIMIT:
                data += file.read(_CHUNK)
            head = parse_head(data)
            if head is None:
                return
            kind, size, at = head
            inflater = zlib.decompressobj()
            try:
                payload = inflater.decompress(data[at:], size + 1)
                while not inflater.eof and len(payload) <= size:
                    more = inflater.unconsumed_tail or file.read(_CHUNK)
                    if not more:
                        return
                    payload += inflater.decompress(more, size + 1 - len(payload))
            except zlib.error:
                return
            if not inflater.eof or len(payload) != size:
                return
            data = inflater.unused_data
            yield object_hash(kind, payload), kind, payload
