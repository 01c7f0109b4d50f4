"""Consolidation: what many small writes left is put together, so that readers have few places to look into.

As in git's geometric repacking: where there are more packs than a few, so many of the smallest become one that each
pack has at least twice as many objects as all that are smaller. So a store of n objects has packs in the order of
log n, and an object is copied about as often. Packs are copied as they are encoded, nothing is inflated; loose objects
are read, verified and packed once they are many.

It is done by whoever adds an object, since nothing else makes them more, and the lock is held. Who adds a pack has so
much to do that the small packs make no difference; who adds a few loose objects looks at how many there are, and one
in a hundred of them packs them for all (some 50 ms).

Nothing is dropped and nothing gets another age. What is damaged stays where it is, for `fsck`. The new pack is durable
under its name before the first of the old files goes: after a kill in between objects are there twice, until the next
time. Readers take no lock; what moved under their hands they look for again.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Final

from replican.effects import durable
from replican.effects.joining import join_packs
from replican.effects.loose import LooseObjects, damaged_object
from replican.effects.packs import Pack, discard_pack, write_pack
from replican.effects.salvage import sweep
from replican.values.errors import DamagedError

_FACTOR: Final = 2


def smallest(counts: Sequence[int]) -> int:
    """How many of the smallest packs become one; ``counts`` are their numbers of objects, in ascending order."""
    taken = total = 0
    for number, count in enumerate(counts):
        if number and count < _FACTOR * total:
            taken = number + 1
        total += count
    return taken


def join_small_packs(directory: str, packs: Sequence[Pack]) -> bool:
    """Put small packs together, where there are any that should be; whether anything changed. Raises ``OSError``."""
    packs = sorted(packs, key=lambda pack: (pack.count, pack.name))
    joined = packs[: smallest([pack.count for pack in packs])]
    while len(joined) > 1:
        try:
            base = join_packs(directory, joined)
        except DamagedError:
            joined = [pack for pack in joined if _is_as_written(pack)]
            continue
        for pack in joined:
            if pack.base != base:
                discard_pack(pack.base)
        sweep(directory)
        return True
    return False


def _is_as_written(pack: Pack) -> bool:
    try:
        return sum(1 for _ in pack.encoded()) == pack.count
    except DamagedError:
        return False


def pack_loose(directory: str, loose: LooseObjects) -> bool:
    """Make a pack of all loose objects that are whole; whether anything changed. Raises ``OSError``."""
    ids = sorted(bytes.fromhex(name) for name in loose.names())
    reading: list[bytes] = []

    def objects() -> Iterator[tuple[bytes, bytes, bytes]]:
        for id in ids:
            reading[:] = [id]
            found = loose.read(id)
            if found is None:
                raise damaged_object(id, "it is gone")
            yield id, *found

    while ids:
        times = {id: os.lstat(loose.path_of(id)).st_mtime_ns for id in ids}
        try:
            durable.make_directory(directory)
            write_pack(directory, objects(), len(ids), times=times)
        except DamagedError:
            ids.remove(reading[0])
            continue
        for id in ids:
            durable.discard(loose.path_of(id))
        sweep(loose.path)
        return True
    return False
