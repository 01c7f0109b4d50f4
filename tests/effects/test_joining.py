"""Packs that are put together: what dulwich would have written, each object once, and little memory for it."""

import io
import os
import random
import struct
import tracemalloc
from array import array
from pathlib import Path

from dulwich.pack import write_pack_index_v2

from replican.effects.ages import pack_times
from replican.effects.joining import _Joined, join_packs
from replican.effects.packs import Pack, write_pack
from replican.values.ids import object_hash
from replican.values.trees import FILE, Entry, encode_tree

SECOND = 1_000_000_000
Objects = dict[bytes, bytes]


def fresh(count: int, seed: int) -> Objects:
    rng = random.Random(seed)
    payloads = [encode_tree([Entry(b"f", FILE, 0o644, n, n, rng.randbytes(32))]) for n in range(count)]
    return {object_hash(b"tree", payload): payload for payload in payloads}


def packed(directory: Path, objects: Objects, time_ns: int) -> Pack:
    directory.mkdir(exist_ok=True)
    ids = sorted(objects)
    base = write_pack(str(directory), ((id, b"tree", objects[id]) for id in ids), len(ids))
    os.utime(base + ".pack", ns=(time_ns, time_ns))
    return Pack(base)


def test_each_object_once_with_its_latest_time(tmp_path: Path) -> None:
    one, two, both = fresh(50, 1), fresh(300, 2), fresh(20, 3)
    first = packed(tmp_path / "a", one | both, 7 * SECOND)
    second = packed(tmp_path / "b", two | both, 5 * SECOND)
    with_times = Pack(join_packs(str(tmp_path / "b"), [second, first]))
    third = packed(tmp_path / "c", both | fresh(5, 4), 6 * SECOND)
    joined = Pack(join_packs(str(tmp_path), [third, with_times]))
    everything = one | two | both | fresh(5, 4)
    assert [joined.id_at(number) for number in range(joined.count)] == sorted(everything)
    assert all(joined.read(number) == (b"tree", everything[joined.id_at(number)]) for number in range(joined.count))
    expected = dict.fromkeys(two, 5 * SECOND) | dict.fromkeys(fresh(5, 4), 6 * SECOND)
    expected |= dict.fromkeys(one | both, 7 * SECOND)
    assert list(pack_times(joined)) == [expected[id] for id in sorted(everything)]
    assert joined.check()


def test_the_index_is_what_dulwich_writes(tmp_path: Path) -> None:
    """Also of a pack with places beyond 2 GiB, which have a table of their own."""
    pack = packed(tmp_path / "a", fresh(40, 1), SECOND)
    joined = _Joined([pack])
    joined.write_data(io.BytesIO())
    places = [number * 111_111_111 for number in range(40)]
    random.Random(1).shuffle(places)
    joined._offsets = array("Q", places)
    ours, theirs, checksum = io.BytesIO(), io.BytesIO(), bytes(range(32))
    joined.write_index(ours, checksum)
    crcs = [struct.unpack_from(">L", pack._index, pack._crcs_at + 4 * number)[0] for number in range(40)]
    write_pack_index_v2(theirs, [(pack.id_at(n), places[n], crcs[n]) for n in range(40)], checksum)
    assert ours.getvalue() == theirs.getvalue()


def test_it_takes_little_memory(tmp_path: Path) -> None:
    """Lists of tuples, for a moment, took more than 500 bytes for an object; a log has hundreds of thousands."""
    packs = [packed(tmp_path / name, fresh(3000, seed), SECOND) for seed, name in enumerate("ab")]
    tracemalloc.start()
    try:
        join_packs(str(tmp_path), packs)
        assert tracemalloc.get_traced_memory()[1] < 6000 * 250
    finally:
        tracemalloc.stop()
    count = Pack(join_packs(str(tmp_path), packs)).count
    assert count == 6000
