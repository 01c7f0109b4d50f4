"""Packs are git's: golden bytes, and dulwich reads what we write and the other way round."""

import zlib
from hashlib import sha256
from pathlib import Path

import pytest
from dulwich.object_format import SHA256
from dulwich.objects import RawObjectID
from dulwich.pack import Pack as DulwichPack
from dulwich.pack import UnpackedObject, write_pack_data, write_pack_index_v2

from replican.effects.packs import KIND_NUMBERS, Pack, write_pack
from replican.values.errors import DamagedError
from replican.values.ids import object_hash

TREE = b"f0644 1 2 a\0" + bytes(range(32))
COMMIT = b"tree " + b"0" * 64 + b"\nauthor Ann 0123456789abcdef 5\nrules 1\n\nhello"
OBJECTS = sorted(
    (object_hash(kind, payload), kind, payload) for kind, payload in ((b"tree", TREE), (b"commit", COMMIT))
)


def stored(payload: bytes) -> bytes:
    """A zlib stream at level 0: the one encoding that no version of zlib does otherwise."""
    size = len(payload)
    block = b"\x01" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + payload
    return b"\x78\x01" + block + zlib.adler32(payload).to_bytes(4, "big")


def golden_pack() -> tuple[bytes, list[int]]:
    head = {b"tree": b"\xac\x02", b"commit": b"\x92\x07"}  # kind, size 44; kind, size 114
    data, offsets = b"PACK\0\0\0\2\0\0\0\2", []
    for _, kind, payload in OBJECTS:
        offsets.append(len(data))
        data += head[kind] + stored(payload)
    return data + sha256(data).digest(), offsets


def golden_index(pack: bytes, offsets: list[int]) -> bytes:
    ids = [id for id, _, _ in OBJECTS]
    ends = [*offsets[1:], len(pack) - 32]
    index = b"\xfftOc\0\0\0\2"
    index += b"".join(sum(id[0] <= first for id in ids).to_bytes(4, "big") for first in range(256))
    index += b"".join(ids)
    index += b"".join(zlib.crc32(pack[at:end]).to_bytes(4, "big") for at, end in zip(offsets, ends, strict=True))
    index += b"".join(at.to_bytes(4, "big") for at in offsets)
    index += pack[-32:]
    return index + sha256(index).digest()


def test_the_bytes_of_a_pack_and_its_index(tmp_path: Path) -> None:
    assert (len(TREE), len(COMMIT)) == (44, 114)
    base = write_pack(str(tmp_path), OBJECTS, 2, level=0)
    pack, offsets = golden_pack()
    assert Path(base + ".pack").read_bytes() == pack
    assert Path(base + ".idx").read_bytes() == golden_index(pack, offsets)
    assert base == f"{tmp_path}/pack-{pack[-32:].hex()}"
    assert pack[-32:].hex() == "6e41c803378de4858668458c03dde473d254b55e419e6ddfa6b1ed6f77d42331"
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{Path(base).name}.idx", f"{Path(base).name}.pack"]


def test_golden_bytes_are_read(tmp_path: Path) -> None:
    pack, offsets = golden_pack()
    (tmp_path / "pack-x.pack").write_bytes(pack)
    (tmp_path / "pack-x.idx").write_bytes(golden_index(pack, offsets))
    found = Pack(f"{tmp_path}/pack-x")
    assert [(found.id_at(n), *found.read(n)) for n in range(found.count)] == OBJECTS
    assert [found.head(n) for n in range(2)] == [(kind, len(payload)) for _, kind, payload in OBJECTS]
    assert [found.position(id) for id, _, _ in OBJECTS] == [0, 1]
    assert found.position(b"\0" * 32) is None
    assert found.position(b"\xff" * 32) is None
    assert found.check()
    found.close()


def many(count: int) -> list[tuple[bytes, bytes, bytes]]:
    """Payloads of all sorts of sizes: empty, short, of many inflation steps, that deflate well and not at all."""
    made = {}
    for number in range(count):
        seed = sha256(b"%d" % number).digest()
        for payload in (seed * (number * 37 % 900), bytes(number), seed[: number % 32]):
            made[object_hash(b"tree", payload)] = payload
    for size in (4000, 70_000, 3_000_000):
        noise = b"".join(sha256(b"%d %d" % (size, at)).digest() for at in range(0, size, 32))
        made[object_hash(b"tree", noise)] = noise
    return [(id, b"tree", payload) for id, payload in made.items()]


def test_dulwich_reads_what_we_write(tmp_path: Path) -> None:
    objects = many(60)
    base = write_pack(str(tmp_path), objects, len(objects))
    with DulwichPack(base, object_format=SHA256) as theirs:
        assert len(theirs) == len(objects)
        for id, kind, payload in objects:
            assert theirs.get_raw(RawObjectID(id)) == (KIND_NUMBERS[kind], payload)
    ours = Pack(base)
    for id, kind, payload in objects:
        position = ours.position(id)
        assert position is not None
        assert ours.read(position) == (kind, payload)
        assert ours.head(position) == (kind, len(payload))
    assert [ours.id_at(n) for n in range(ours.count)] == sorted(id for id, _, _ in objects)
    assert ours.check()
    ours.close()


def write_foreign(tmp_path: Path, records: list[UnpackedObject]) -> str:
    base = f"{tmp_path}/pack-foreign"
    with open(base + ".pack", "wb") as file:
        entries, checksum = write_pack_data(file.write, iter(records), SHA256, num_records=len(records))
    with open(base + ".idx", "wb") as file:
        write_pack_index_v2(file, sorted((id, at, crc) for id, (at, crc) in entries.items()), checksum)
    return base


def test_a_delta_is_refused_by_name(tmp_path: Path) -> None:
    base_id, derived = object_hash(b"tree", TREE), object_hash(b"tree", TREE * 2)
    copy = bytes([0x80 | 0x10, len(TREE)])
    delta = bytes([len(TREE), len(TREE) * 2]) + copy + copy
    records = [
        UnpackedObject(2, sha=base_id, decomp_chunks=[TREE]),
        UnpackedObject(7, sha=derived, decomp_chunks=[delta], delta_base=base_id),
    ]
    found = Pack(write_foreign(tmp_path, records))
    position = found.position(derived)
    assert position is not None
    with pytest.raises(DamagedError, match=derived.hex()):
        found.read(position)
    found.close()


def test_a_size_that_lies_is_refused(tmp_path: Path) -> None:
    """Neither a bomb behind a small size, nor a size above the limit, is inflated."""
    bomb = zlib.compress(bytes(1 << 24))
    for number, head in enumerate((b"\xa5\x00", b"\xaf\xff\xff\xff\xff\x7f", b"\xaf" + b"\xff" * 20, b"\xb5\x01")):
        data = b"PACK\0\0\0\2\0\0\0\1" + head + bomb
        data += sha256(data).digest()
        base = f"{tmp_path}/pack-{number}"
        Path(base + ".pack").write_bytes(data)
        with open(base + ".idx", "wb") as file:
            write_pack_index_v2(file, [(b"\1" * 32, 12, 0)], data[-32:])
        found = Pack(base)
        with pytest.raises(DamagedError, match="01" * 32):
            found.read(0)
        found.close()


def test_offsets_beyond_two_gibibytes(tmp_path: Path) -> None:
    base = f"{tmp_path}/pack-large"
    at = (1 << 31) + 5
    with open(base + ".pack", "wb") as file:
        file.seek(at)
        file.write(b"\xac\x02" + zlib.compress(TREE))
    with open(base + ".idx", "wb") as file:
        write_pack_index_v2(file, [(b"\1" * 32, at, 0)], b"\0" * 32)
    found = Pack(base)
    assert found.read(0) == (b"tree", TREE)
    found.close()


def test_check_sees_a_changed_byte(tmp_path: Path) -> None:
    base = write_pack(str(tmp_path), OBJECTS, 2)
    data = bytearray(Path(base + ".pack").read_bytes())
    data[5] ^= 1
    Path(base + ".pack").write_bytes(data)
    found = Pack(base)
    assert not found.check()
    found.close()
