"""A file put together from pieces of edited blocks, too: whatever the sums and the files are, it is the wanted one."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from folders import noise

from replican.decisions.delta import Range
from replican.effects.blocks import blocks_of_pieces
from replican.effects.delta import Basis, Delta, name_on_stage
from replican.values.ids import blob_id
from replican.values.sums import PIECE, sums_of_block

MIB = 1 << 20
OLD = noise(2 * MIB)


def touched_up(content: bytes) -> bytes:
    new = bytearray(content)
    for at in range(5, len(new), 70_000):
        new[at] ^= 1
    return bytes(new)


EDITS = {
    "bytes here and there": touched_up(OLD),
    "bytes in the middle": OLD[:MIB] + b"in the middle" + OLD[MIB:],
    "bytes in front, and at the end": b"in front" + OLD + b"at the end",
    "fewer bytes": OLD[100:MIB] + OLD[MIB + 100 : -100],
    "another middle": OLD[: MIB // 2] + noise(MIB) + OLD[MIB // 2 + MIB :],
}


class Bringing:
    """The old version is here, and a stage; the other end has the new one."""

    def __init__(self, base: Path, new: bytes) -> None:
        (base / "old").write_bytes(OLD)
        self.new = new
        self.stage = os.open(base, os.O_RDONLY)
        self.old = os.open(base / "old", os.O_RDWR)
        self.path = base / os.fsdecode(name_on_stage(blob_id(new)))
        self.asked: list[Sequence[Range]] = []
        blocks = blocks_of_pieces([new]).shortened()
        self.delta = Delta(self.stage, blob_id(new), len(new), blocks, [Basis(self.old, blocks_of_pieces([OLD]))])

    def sums(self, content: bytes) -> bytes:
        """What the other end says of the gaps, if it has this."""
        return b"".join(
            sums_of_block(memoryview(content[at : at + size].ljust(size, b"\0")))
            for at, size in [gap.range for gap in self.delta.gaps]
        )

    def fetch(self, ranges: Sequence[Range]) -> Iterator[bytes]:
        self.asked.append(list(ranges))
        for offset, length in ranges:
            yield self.new[offset : offset + length]

    def is_brought(self) -> bool:
        """Put it together: it is the wanted one, with its list."""
        is_whole = self.delta.assemble(self.fetch)
        if is_whole:
            assert self.path.read_bytes() == self.new
            assert self.delta.blocks == blocks_of_pieces([self.new])
        return is_whole

    def close(self) -> None:
        self.delta.close()
        os.close(self.stage)
        os.close(self.old)


@pytest.fixture(params=EDITS)
def bringing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bringing]:
    made = Bringing(tmp_path, EDITS[request.param])
    yield made
    made.close()


def test_less_has_to_come(bringing: Bringing) -> None:
    before, gaps = bringing.delta.missing_size, bringing.delta.gaps
    bringing.delta.refine(gaps, bringing.sums(bringing.new))
    missing = bringing.delta.missing
    assert bringing.delta.missing_size < before
    if len(bringing.new) != len(OLD) or bringing.new == EDITS["bytes here and there"]:
        assert bringing.delta.missing_size <= (len(OLD) // 70_000 + 1) * PIECE
    assert bringing.is_brought()
    assert bringing.asked == [missing]


def test_sums_that_say_that_all_is_here(bringing: Bringing) -> None:
    """The blocks do not come to what they should: they are fetched whole."""
    bringing.delta.refine(bringing.delta.gaps, bringing.sums(OLD))
    assert bringing.is_brought()


@pytest.mark.parametrize("byte", [0, 255])
def test_sums_of_something_else(bringing: Bringing, byte: int) -> None:
    missing = bringing.delta.missing
    bringing.delta.refine(bringing.delta.gaps, bytes([byte]) * len(bringing.sums(OLD)))
    assert bringing.delta.missing == missing
    assert bringing.is_brought()


def test_the_old_version_changes_after_its_pieces_were_found(bringing: Bringing) -> None:
    bringing.delta.refine(bringing.delta.gaps, bringing.sums(bringing.new))
    for at in range(0, len(OLD), 30_000):
        os.pwrite(bringing.old, b"changed", at)
    assert bringing.is_brought()


def test_the_old_version_is_shorter_by_now(bringing: Bringing) -> None:
    gaps, sums = bringing.delta.gaps, bringing.sums(bringing.new)
    bringing.delta.refine(gaps, sums)
    os.ftruncate(bringing.old, MIB)
    assert bringing.is_brought()
