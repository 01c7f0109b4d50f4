"""Packs of a remote that lie about what they hold: how many objects, where they begin, how they are sorted."""

import hashlib
import struct
import zlib
from collections.abc import Callable

import forging
import pytest
from forging import file, framed, user
from memory import peak
from victims import Victim

NAMES_AT = 8 + 256 * 4
Change = Callable[[bytearray, int], bytes]
"""Makes of the index of a pack, which has so many objects, another one; its own checksum comes behind."""


@pytest.fixture
def victim(replicas) -> Victim:
    return Victim(replicas)


def offsets_at(count: int) -> int:
    return NAMES_AT + count * (32 + 4)


def every_offset(value: int, more: bytes = b"") -> Change:
    """All objects begin there; ``more`` are offsets of 8 bytes."""

    def change(index: bytearray, count: int) -> bytes:
        struct.pack_into(f">{count}L", index, offsets_at(count), *([value] * count))
        return bytes(index[:-32]) + more + bytes(index[-32:])

    return change


def fan_out(of: Callable[[list[int]], list[int]]) -> Change:
    def change(index: bytearray, count: int) -> bytes:
        struct.pack_into(">256L", index, 8, *of(list(struct.unpack_from(">256L", index, 8))))
        return bytes(index)

    return change


def unsorted(index: bytearray, count: int) -> bytes:
    names = [index[NAMES_AT + 32 * at : NAMES_AT + 32 * (at + 1)] for at in range(count)]
    index[NAMES_AT : NAMES_AT + 32 * count] = b"".join(reversed(names))
    return bytes(index)


LIES: dict[str, Change] = {
    "an offset of 8 bytes that is not there": every_offset(0xFFFFFFFF),
    "an offset of more than 63 bits": every_offset(0x80000000, b"\xff" * 8),
    "an offset behind all files": every_offset(0x80000000, b"\x7f" + b"\xff" * 7),
    "an offset behind the end": every_offset(0x7FFFFFFF),
    "an offset before the first object": every_offset(0),
    "an offset in the midst of an object": every_offset(20),
    "one object for all": every_offset(12),
    "four thousand million objects": fan_out(lambda counts: [*counts[:-1], 0xFFFFFFFF]),
    "as many of each": fan_out(lambda counts: [0xFFFFFFFF] * 256),
    "no object": fan_out(lambda counts: [0] * 256),
    "counts that go down": fan_out(lambda counts: [0xFFFFFFFF - at for at in range(255)] + counts[-1:]),
    "counts above the last": fan_out(lambda counts: [1000 + at for at in range(255)] + counts[-1:]),
    "ids that are not sorted": unsorted,
}


def put_pack(victim: Victim, change: Change | None, head: bytes = b"") -> bytes:
    """A pack with a checkpoint, its tree and others; the checkpoint's id. ``head`` is another head of the pack."""
    folder = victim.evil.root / ".replican/objects/pack"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    tree = file(b"x", b"")
    trees = [tree, *(file(b"%03d" % at, b"") for at in range(80))]
    payloads = [(2, each) for each in trees]
    payloads.append((1, user(forging.hash_of(b"tree", tree), victim.head)))
    kinds = {1: b"commit", 2: b"tree"}
    ids = [hashlib.sha256(framed(kinds[kind], payload)).digest() for kind, payload in payloads]
    objects = [
        (kind, len(payload), zlib.compress(payload), id) for (kind, payload), id in zip(payloads, ids, strict=True)
    ]
    data, index = forging.pack(objects)
    if head:
        data = head + data[len(head) : -32]
        data += hashlib.sha256(data).digest()
    index = index[:-64] + data[-32:]
    if change is not None:
        index = change(bytearray(index), len(objects))
    index += hashlib.sha256(index).digest()
    base = folder / f"pack-{data[-32:].hex()}"
    base.with_suffix(".pack").write_bytes(data)
    base.with_suffix(".idx").write_bytes(index)
    return ids[-1]


@pytest.mark.parametrize("what", LIES)
def test_an_index_that_lies(victim: Victim, what: str) -> None:
    victim.evil.set_head(put_pack(victim, LIES[what]))
    victim.refuses_one("", what)
    victim.refuses_all("")
    used = peak(victim.base / "b", "fetch", "evil", code=5)
    assert used < 128 << 10, f"{used} KiB"
    victim.is_sound()


@pytest.mark.parametrize("count", [0, 1, 0xFFFFFFFF])
def test_a_pack_that_lies_about_its_count(victim: Victim, count: int) -> None:
    """Nobody counts on it: objects are found by the index, and each has to have its hash."""
    victim.evil.set_head(put_pack(victim, None, b"PACK" + (2).to_bytes(4, "big") + count.to_bytes(4, "big")))
    with victim.evil.at_work():
        victim.run("b", "--wait", "0", "fetch", "evil")
    victim.is_sound()
