"""Repacking: every object of the log into one pack, and what nobody needs any more let go. The lock has to be held."""

import time
from collections.abc import Callable, Container, Mapping
from typing import NamedTuple

from replican.effects import durable
from replican.effects.ages import ages
from replican.effects.loose import LooseObjects
from replican.effects.packs import Pack, discard_pack, write_pack
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
    limit_ns = _limit_ns(grace_seconds)
    kept: list[bytes] = []
    young: dict[bytes, int] = {}
    dropped = 0
    added_ns = ages(held.loose, held.packs)
    for id, time_ns in added_ns.items():
        if id in keep:
            kept.append(id)
        elif time_ns > limit_ns:
            young[id] = time_ns
        else:
            dropped += 1
    # The young must not get younger by it, or they would be kept for ever.
    kept_base, young_base = _pack_again(held, sorted(kept)), _pack_again(held, sorted(young), young)
    for pack in held.packs:
        if pack.base not in (kept_base, young_base):
            discard_pack(pack.base)
    for id in added_ns:
        durable.discard(held.loose.path_of(id))
    sweep(held.loose.path, held.directory)
    return Repacked(len(kept) + len(young), dropped)


def prunable(held: Holdings, keep: Container[bytes], grace_seconds: float) -> int:
    """How many objects :func:`repack` would drop."""
    limit_ns = _limit_ns(grace_seconds)
    return sum(id not in keep and time_ns <= limit_ns for id, time_ns in ages(held.loose, held.packs).items())


def _limit_ns(grace_seconds: float) -> int:
    return time.time_ns() - int(grace_seconds * 1_000_000_000)


def _pack_again(held: Holdings, ids: list[bytes], times: Mapping[bytes, int] | None = None) -> str | None:
    if not ids:
        return None
    durable.make_directory(held.directory)
    return write_pack(held.directory, ((id, *held.read(id)) for id in ids), len(ids), times=times)
