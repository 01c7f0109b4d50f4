"""A file put together from others: whatever these turn out to be, it is the wanted one, or is said not to be."""

import os
import random
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from replican.decisions.delta import Range
from replican.effects.blocks import blocks_of_pieces
from replican.effects.delta import Basis, Delta, name_on_stage
from replican.values.blocks import MOST, BlockList, list_blocks
from replican.values.errors import RemoteError
from replican.values.ids import BlobId, blob_id

MIB = 1 << 20


def content(length: int, seed: int = 1) -> bytes:
    return b"".join(blob_id(b"%d %d" % (seed, number)) for number in range(length // 32 + 1))[:length]


OLD = content(3 * MIB)


def blocks_of(data: bytes) -> BlockList:
    return blocks_of_pieces([data])


class Link:
    """Who has the wanted file: gives ranges of it, until so many bytes have been given."""

    def __init__(self, wanted: bytes, cut_after: int | None = None) -> None:
        self.wanted = wanted
        self.asked: list[list[Range]] = []
        self.sent = 0
        self._left = cut_after

    def __call__(self, ranges: Sequence[Range]) -> Iterator[bytes]:
        self.asked.append(list(ranges))
        for offset, length in ranges:
            for at in range(offset, offset + length, 50_000):
                piece = self.wanted[at : min(at + 50_000, offset + length)]
                if self._left is not None:
                    self._left -= len(piece)
                    if self._left < 0:
                        raise ConnectionResetError("cut")
                self.sent += len(piece)
                yield piece


class Stage:
    """A directory with a stage, and files that may be of use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "stage").mkdir()
        self.fd = os.open(path / "stage", os.O_RDONLY)
        self._open: list[int] = []

    def basis(self, data: bytes, blocks: BlockList | None = None) -> Basis:
        """A file of this content; ``blocks`` is the list that it is said to have."""
        path = self.path / f"basis{len(self._open)}"
        path.write_bytes(data)
        self._open.append(os.open(path, os.O_RDWR))
        return Basis(self._open[-1], blocks_of(data) if blocks is None else blocks)

    def delta(self, wanted: bytes, *bases: Basis, blocks: BlockList | None = None, begun: bytes | None = None) -> Delta:
        listed = blocks_of(wanted) if blocks is None else blocks
        return Delta(self.fd, blob_id(wanted), len(wanted), listed, bases, begun)

    def read(self, wanted: bytes) -> bytes:
        return (self.path / "stage" / os.fsdecode(name_on_stage(blob_id(wanted)))).read_bytes()

    def names(self) -> list[str]:
        return os.listdir(self.path / "stage")

    def close(self) -> None:
        for fd in (self.fd, *self._open):
            os.close(fd)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.close()


def bring(stage: Stage, wanted: bytes, *bases: Basis) -> int:
    """Put ``wanted`` together; how many bytes were fetched for it."""
    link = Link(wanted)
    with stage.delta(wanted, *bases) as delta:
        missing = delta.missing_size
        assert delta.assemble(link)
        assert delta.blocks == blocks_of(wanted)
    assert stage.read(wanted) == wanted
    assert link.sent == missing
    return link.sent


EDITS = {
    "nothing": (OLD, 0),
    "bytes inserted in the middle": (OLD[:MIB] + content(100_000, 2) + OLD[MIB:], 100_000 + 2 * MOST),
    "bytes in front": (b"ten bytes!" + OLD, 2 * MOST),
    "bytes appended": (OLD + content(100_000, 2), 100_000 + MOST),
    "a byte changed": (OLD[:MIB] + b"x" + OLD[MIB + 1 :], 2 * MOST),
    "the middle taken out": (OLD[:MIB] + OLD[2 * MIB :], 2 * MOST),
    "halves exchanged": (OLD[MIB:] + OLD[:MIB], 4 * MOST),
    "the same twice": (OLD + OLD, 2 * MOST),
    "truncated": (OLD[: 2 * MIB + 5], MOST),
    "nothing in common": (content(2 * MIB, 3), 2 * MIB),
    "nothing left": (b"", 0),
}


@pytest.mark.parametrize("name", EDITS)
def test_what_is_fetched_is_little_more_than_the_edit(stage: Stage, name: str) -> None:
    wanted, most = EDITS[name]
    assert bring(stage, wanted, stage.basis(OLD)) <= most


@pytest.mark.parametrize("name", EDITS)
def test_a_short_list_does_as_well_and_the_full_one_is_known_then(stage: Stage, name: str) -> None:
    wanted, most = EDITS[name]
    with stage.delta(wanted, stage.basis(OLD), blocks=blocks_of(wanted).shortened()) as delta:
        assert delta.missing_size <= most
        assert delta.assemble(Link(wanted))
        assert delta.blocks == blocks_of(wanted)
    assert stage.read(wanted) == wanted


def test_a_copy_costs_nothing_and_several_files_help(stage: Stage) -> None:
    other = content(2 * MIB, 4)
    assert bring(stage, OLD + other, stage.basis(OLD), stage.basis(other)) <= 3 * MOST
    assert bring(stage, other, stage.basis(OLD), stage.basis(other)) == 0
    assert bring(stage, OLD) == len(OLD)


def test_a_basis_that_was_truncated(stage: Stage) -> None:
    """Its list is known, and is not its own any more."""
    basis = stage.basis(OLD)
    os.ftruncate(basis.fd, MIB)
    wanted = OLD + b"more"
    link = Link(wanted)
    with stage.delta(wanted, basis) as delta:
        assert delta.missing_size < MOST
        assert delta.assemble(link)
    assert stage.read(wanted) == wanted
    assert 2 * MIB <= link.sent < 2 * MIB + 2 * MOST
    assert len(link.asked) == 2


def test_a_basis_that_is_written_to_while_it_is_read(stage: Stage) -> None:
    basis = stage.basis(OLD)
    wanted = content(MIB, 5) + OLD
    link = Link(wanted)

    def fetch(ranges: Sequence[Range]) -> Iterator[bytes]:
        for piece in link(ranges):
            os.pwrite(basis.fd, b"written meanwhile", 2 * MIB)
            yield piece

    with stage.delta(wanted, basis) as delta:
        assert delta.assemble(fetch)
        assert delta.blocks == blocks_of(wanted)
    assert stage.read(wanted) == wanted
    assert link.sent < MIB + 4 * MOST


def test_a_list_that_says_that_we_have_what_we_have_not(stage: Stage) -> None:
    """The far end claims blocks of ours to be in its file: all of it fits, but it is not the wanted content."""
    wanted = content(3 * MIB, 6)
    with stage.delta(wanted, stage.basis(OLD), blocks=blocks_of(OLD)) as delta:
        assert delta.missing == []
        assert not delta.assemble(Link(wanted))
    assert stage.names() == []
    assert bring(stage, wanted) == len(wanted)


def test_a_list_with_wrong_hashes_of_what_is_fetched_does_no_harm(stage: Stage) -> None:
    wanted = content(MIB, 7)
    lie = list_blocks((length, bytes(16)) for _, length, _ in blocks_of(wanted))
    with stage.delta(wanted, stage.basis(OLD), blocks=lie) as delta:
        assert delta.assemble(Link(wanted))
        assert delta.blocks is None
    assert stage.read(wanted) == wanted


def test_a_list_of_another_size_is_refused(stage: Stage) -> None:
    with pytest.raises(RemoteError, match="another size"):
        stage.delta(OLD, blocks=blocks_of(OLD[:-1]))
    assert stage.names() == []


def test_wrong_bytes_are_noticed(stage: Stage) -> None:
    with stage.delta(OLD) as delta:
        assert not delta.assemble(Link(content(3 * MIB, 8)))
    assert stage.names() == []


@pytest.mark.parametrize("change", [-1, 1])
def test_more_or_fewer_bytes_than_asked_for(stage: Stage, change: int) -> None:
    link = Link(OLD + b"more")
    with stage.delta(OLD) as delta, pytest.raises(RemoteError, match="fewer" if change < 0 else "more"):
        delta.assemble(lambda ranges: link([Range(offset, length + change) for offset, length in ranges]))


@pytest.mark.parametrize("after", [0, 100_000, MIB, 2 * MIB])
def test_what_came_before_a_cut_is_not_fetched_again(stage: Stage, after: int) -> None:
    wanted = OLD[:MIB] + content(2 * MIB + 300_000, 9) + OLD[MIB:]
    with stage.delta(wanted, stage.basis(OLD)) as delta:
        missing = delta.missing_size
        with pytest.raises(ConnectionResetError):
            delta.assemble(Link(wanted, after))
    # all but the block in flight, and what the pieces were cut to; also where the basis is gone
    assert bring(stage, wanted, stage.basis(OLD)) <= missing - after + MOST + 50_000
    (name,) = stage.names()
    assert (stage.path / "stage" / name).stat().st_mode & 0o777 == 0o600


def test_cut_again_and_again(stage: Stage) -> None:
    wanted, sent = content(3 * MIB, 10), 0
    for _ in range(20):
        link = Link(wanted, 400_000)
        with stage.delta(wanted) as delta:
            try:
                done = delta.assemble(link)
            except ConnectionResetError:
                done = False
        sent += link.sent
        if done:
            break
    assert stage.read(wanted) == wanted
    assert sent < 3 * MIB + 20 * MOST


def test_the_beginning_of_a_file_that_had_come_is_used(stage: Stage) -> None:
    (stage.path / "stage/part").write_bytes(OLD[: 2 * MIB])
    with stage.delta(OLD, begun=b"part") as delta:
        assert delta.missing_size < MIB + MOST
        assert delta.assemble(Link(OLD))
    assert stage.read(OLD) == OLD
    assert len(stage.names()) == 1


def test_what_lies_on_the_stage_and_is_something_else(stage: Stage) -> None:
    name = stage.path / "stage" / os.fsdecode(name_on_stage(blob_id(OLD)))
    (stage.path / "outside").write_bytes(b"untouched")
    name.symlink_to(stage.path / "outside")
    assert bring(stage, OLD) == len(OLD)
    name.write_bytes(content(4 * MIB, 11))
    assert bring(stage, OLD) == len(OLD)
    assert (stage.path / "outside").read_bytes() == b"untouched"


def test_holes_stay_holes_and_cost_nothing(stage: Stage) -> None:
    wanted = OLD[:MIB] + bytes(8 * MIB) + OLD[MIB:]
    assert bring(stage, wanted) < len(OLD) + 3 * MOST
    (name,) = stage.names()
    assert (stage.path / "stage" / name).stat().st_blocks * 512 < len(OLD) + 3 * MOST
    # and where they are filled with something, that is seen
    with open(stage.path / "stage" / name, "r+b") as file:
        file.seek(5 * MIB)
        file.write(b"no zeros")
    assert bring(stage, wanted) <= 2 * MOST


def test_an_unreadable_basis_is_none(stage: Stage) -> None:
    directory = os.open(stage.path, os.O_RDONLY)
    try:
        with stage.delta(OLD, Basis(directory, blocks_of(OLD))) as delta:
            assert delta.missing == []
            assert delta.assemble(Link(OLD))
    finally:
        os.close(directory)
    assert stage.read(OLD) == OLD


def test_the_id_decides(stage: Stage) -> None:
    """Not the list: all hashes are right, and the file is not what somebody said that it is."""
    with Delta(stage.fd, BlobId(bytes(32)), len(OLD), blocks_of(OLD), [stage.basis(OLD)]) as delta:
        assert not delta.assemble(Link(OLD))
    assert stage.names() == []


def test_memory_does_not_grow_with_the_file(stage: Stage) -> None:
    rng = random.Random(5)
    old = b"".join(rng.randbytes(MIB) for _ in range(32))
    wanted = old[: 20 * MIB] + rng.randbytes(10 * MIB) + old[20 * MIB :]
    link, bases, blocks, blob = Link(wanted), [stage.basis(old)], blocks_of(wanted), blob_id(wanted)
    tracemalloc.start()
    try:
        with Delta(stage.fd, blob, len(wanted), blocks, bases) as delta:
            assert delta.assemble(link)
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()
    assert stage.read(wanted) == wanted
