"""When objects were last added: what a repack drops has to be older than its grace.

A loose object is as old as its file, and those of a pack as the pack's file, unless they were put together from
several: then `pack-CHECKSUM.times` beside it has the time of each. It counts as long as the pack's file has the time
that is noted in it: whoever touches the pack makes all of them young again, as does whoever copies the files. So they
are never taken for older than they are; nor are they if it is damaged or lost.
"""

import os
import struct
import sys
from array import array
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from replican.effects import durable
from replican.values.ids import ID_SIZE

if TYPE_CHECKING:
    from replican.effects.loose import LooseObjects
    from replican.effects.packs import Pack

TIMES: Final = ".times"
"""The suffix of the file."""

_HEAD = b"\xffrpT\0\0\0\1"
_OWN = struct.Struct(">q")
_LIMIT: Final = 1 << 31


def encode_times(times_ns: Sequence[int], pack_ns: int, checksum: bytes) -> bytes:
    """The file for a pack with this checksum, whose file has the time ``pack_ns``: the times of its objects, in the
    order of their ids."""
    content = _HEAD + _OWN.pack(pack_ns) + _turned(array("q", times_ns)).tobytes() + checksum
    return content + sha256(content).digest()


def has_times(path: str) -> bool:
    """Whether the file of objects at ``path`` is a pack whose objects have a time each."""
    base, suffix = os.path.splitext(path)
    return suffix == ".pack" and os.path.lexists(base + TIMES)


def pack_times(pack: "Pack") -> Sequence[int]:
    """When each object of a pack was last added (ns since 1970), in the order of their ids; raises ``OSError``."""
    own_ns = os.stat(pack.base + ".pack").st_mtime_ns
    return _noted(pack, own_ns) or [own_ns] * pack.count


def _noted(pack: "Pack", own_ns: int) -> Sequence[int] | None:
    try:
        with open(durable.open_file(pack.base + TIMES), "rb") as file:
            content = file.read(min(_LIMIT, os.fstat(file.fileno()).st_size + 1))
    except OSError:
        return None
    end = len(_HEAD) + _OWN.size + 8 * pack.count
    if len(content) != end + 2 * ID_SIZE or not content.startswith(_HEAD + _OWN.pack(own_ns)):
        return None
    if content[end:-ID_SIZE] != pack.checksum or sha256(content[:-ID_SIZE]).digest() != content[-ID_SIZE:]:
        return None
    times = array("q", content[len(_HEAD) + _OWN.size : end])
    return _turned(times)


def _turned(numbers: "array[int]") -> "array[int]":
    """From the disk's order of bytes, the most significant first, to this machine's, and back."""
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def ages(loose: "LooseObjects", packs: Iterable["Pack"]) -> dict[bytes, int]:
    """When each of the objects was last added (ns since 1970); raises ``OSError``."""
    found: dict[bytes, int] = {}
    for pack in packs:
        for position, time_ns in enumerate(pack_times(pack)):
            id = pack.id_at(position)
            found[id] = max(time_ns, found.get(id, time_ns))
    for name in loose.names():
        try:
            id, time_ns = bytes.fromhex(name), os.lstat(f"{loose.path}/{name}").st_mtime_ns
        except FileNotFoundError:
            continue  # a reader takes no lock: it is in a pack by now
        found[id] = max(time_ns, found.get(id, time_ns))
    return found
