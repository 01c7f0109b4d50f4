"""Repacking: every object of the log into one pack, and what nobody needs any more let go; by whoever holds the lock.

The age of an object is the time at which it was last added: that of its file, or of the pack that holds it.
"""

import os
import time
from collections.abc import Callable, Container
from typing import NamedTuple

from replican.effects import durable
from replican.effects.loose import LooseObjects
from replican.effects.packs import Pack, write_pack
from replican.effects.salvage import sweep


class Repacked(NamedTuple):
    """What a repack did: objects kept, and dropped."""

    kept: int
    dropped: int


class Holdings(NamedTuple):
    """The files of an object store as they are now, and how to read an object from them, verified."""

    loose: LooseObjects
    directory: str
    packs: list[Pack]
    read: Callable[[bytes], tuple[bytes, bytes]]


def repack(held: Holdings, keep: Container[bytes], grace_seconds: float) -> Repacked:
    """Put every object of ``keep`` into one pack; drop the others, unless they are younger than the grace.

    Nothing is dropped before all that is kept is durable in its new place, so it may stop anywhere. An object of
    ``keep`` that is damaged raises ``DamagedError`` before anything was changed; the disk, ``OSError``.
    """
    limit = time.time() - grace_seconds
    kept: list[bytes] = []
    young: dict[bytes, float] = {}
    dropped = 0
    ages = _ages(held)
    for id, time_s in ages.items():
        if id in keep:
            kept.append(id)
        elif time_s > limit:
            young[id] = time_s
        else:
            dropped += 1
    kept_base, young_base = _pack_again(held, sorted(kept)), _pack_again(held, sorted(young))
    if young_base:  # they must not get younger by it, or they would be kept for ever
        os.utime(young_base + ".pack", (max(young.values()),) * 2)
    for pack in held.packs:
        if pack.base not in (kept_base, young_base):
            durable.discard(pack.base + ".idx")  # first: an index never stays without its pack
            durable.discard(pack.base + ".pack")
    for id in ages:
        durable.discard(held.loose.path_of(id))
    sweep(held.loose.path, held.directory)
    return Repacked(len(kept) + len(young), dropped)


def prunable(held: Holdings, keep: Container[bytes], grace_seconds: float) -> int:
    """How many objects :func:`repack` would drop."""
    limit = time.time() - grace_seconds
    return sum(id not in keep and time_s <= limit for id, time_s in _ages(held).items())


def _pack_again(held: Holdings, ids: list[bytes]) -> str | None:
    if not ids:
        return None
    durable.make_directory(held.directory)
    return write_pack(held.directory, ((id, *held.read(id)) for id in ids), len(ids))


def _ages(held: Holdings) -> dict[bytes, float]:
    """When each object was last added (s since 1970)."""
    ages: dict[bytes, float] = {}
    for pack in held.packs:
        time_s = os.stat(pack.base + ".pack").st_mtime
        for position in range(pack.count):
            id = pack.id_at(position)
            ages[id] = max(time_s, ages.get(id, time_s))
    for name in held.loose.names():
        id, time_s = bytes.fromhex(name), os.lstat(f"{held.loose.path}/{name}").st_mtime
        ages[id] = max(time_s, ages.get(id, time_s))
    return ages
