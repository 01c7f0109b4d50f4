"""Early files, from one end to the other: what is put together is what was read, or nothing is."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from folders import noise

from replican.effects.blocks import blocks_of_pieces, read_hashed_blocks
from replican.effects.earlysending import EarlySender
from replican.effects.earlytaking import EarlyFound, EarlyTaker, OldVersion
from replican.values.blocks import MOST, BlockList
from replican.values.early import NEW_LIMIT, encode_beginning, encode_ending, encode_new, encode_run, end_of_early
from replican.values.errors import LinkError
from replican.values.ids import BlobId, blob_id
from replican.values.progress import Silent
from replican.values.streams import StreamReader
from replican.values.sums import PIECE, FineSums, Summing

MIB = 1 << 20
OLD = noise(3 * MIB)


class Here:
    """A stage, and an old version that may be here."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.stage = base / "stage"
        self.old = base / "old"
        self.old.write_bytes(OLD)
        self.blocks: BlockList | None = blocks_of_pieces([OLD])
        self.is_old = blob_id(OLD)
        self.asked: list[BlobId] = []

    def find(self, old: BlobId) -> OldVersion | None:
        self.asked.append(old)
        return OldVersion(os.open(self.old, os.O_RDONLY), self.blocks) if old == self.is_old else None

    def take(self, stream: bytes, wanted: bytes, cut_at: int | None = None) -> EarlyFound | None:
        """Take a stream; what came of ``wanted``, which lies under the name ``landed`` then."""
        data = stream[:cut_at]
        at = 0

        def more() -> bytes:
            nonlocal at
            if at >= len(data):
                raise LinkError("the link was cut")
            at += 50_000
            return data[at - 50_000 : at]

        with EarlyTaker(str(self.stage), self.find) as taker:
            taker.take(StreamReader(more), Silent())
            fd = os.open(self.stage, os.O_RDONLY)
            try:
                return taker.land(blob_id(wanted), fd, b"landed")
            finally:
                os.close(fd)

    def names(self) -> list[str]:
        return sorted(os.listdir(self.stage))


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


def sums_of(content: bytes) -> FineSums:
    blocks, summing = blocks_of_pieces([content]), Summing(None, None)
    for offset, length, hash in blocks:
        summing.take(memoryview(content)[offset : offset + length], hash)
    return FineSums(blocks, summing.encoded())


def sent(here: Here, *versions: bytes, old: bytes = OLD, sums: FineSums | None = None, has_sums: bool = False) -> bytes:
    """The stream of files that all were ``old``, which has these fine sums, if they are known."""
    stream = bytearray()
    with EarlySender(stream.extend, lambda: None, has_sums) as sender:
        for new in versions:
            path = here.base / "new"
            path.write_bytes(new)
            steps = sender.file(blob_id(old), blocks_of_pieces([old]), sums, len(new))
            assert steps is not None
            fd = os.open(path, os.O_RDONLY)
            assert read_hashed_blocks(fd, len(new), None, steps.take) is not None
            os.close(fd)
            steps.end(True)
        sender.end()
    return bytes(stream)


EDITS: dict[str, Callable[[bytes], bytes]] = {
    "bytes inserted in the middle": lambda old: old[:MIB] + noise(100_000, 2) + old[MIB:],
    "bytes in front": lambda old: b"ten bytes!" + old,
    "bytes appended": lambda old: old + noise(100_000, 2),
    "halves exchanged": lambda old: old[MIB:] + old[:MIB],
    "the same twice": lambda old: old + old,
    "truncated": lambda old: old[: 2 * MIB + 5],
    "nothing in common": lambda old: noise(2 * MIB, 3),
    "zeros": lambda old: bytes(2 * MIB),
    "nothing left": lambda old: b"",
    "nothing changed": lambda old: old,
    "bytes here and there": lambda old: scattered(old),
    "bytes deleted, at the end of a block too": lambda old: old[: MIB - 5] + old[MIB:-10],
    "much in the place of much": lambda old: old[:10] + noise(2 * MIB + MIB // 2, 3) + old[2 * MIB + MIB // 2 + 10 :],
}


NEW = {
    "bytes inserted in the middle": 100_000,
    "bytes in front": 10,
    "bytes appended": 100_000,
    "halves exchanged": 0,
    "the same twice": 0,
    "truncated": 0,
    "nothing left": 0,
    "nothing changed": 0,
    "bytes deleted, at the end of a block too": 0,
}
"""How many new bytes there are. Those around them come, too: the blocks around them where no fine sums are known."""


def scattered(old: bytes) -> bytes:
    new = bytearray(old)
    for at in range(0, len(new), 50_000):
        new[at] ^= 1
    return bytes(new)


@pytest.mark.parametrize("is_fine", [True, False])
@pytest.mark.parametrize("name", EDITS)
def test_an_edit(here: Here, name: str, is_fine: bool) -> None:
    new = EDITS[name](OLD)
    stream = sent(here, new, sums=sums_of(OLD) if is_fine else None)
    found = here.take(stream, new)
    assert found is not None
    assert (here.stage / "landed").read_bytes() == new
    assert found.blocks == blocks_of_pieces([new])
    assert here.names() == ["landed"]
    assert found.new <= len(stream) <= found.new + 5000
    if is_fine and name in NEW:
        assert NEW[name] <= found.new <= NEW[name] + 2 * PIECE
    elif name in NEW:
        assert found.new < 100_000 + 2 * MOST
    assert (here.stage / "landed").stat().st_mode & 0o777 == 0o600


def test_of_bytes_here_and_there_a_piece_each_comes(here: Here) -> None:
    new = scattered(OLD)
    found = here.take(sent(here, new, sums=sums_of(OLD)), new)
    assert found is not None
    assert found.new <= -(-len(OLD) // 50_000) * PIECE


def test_where_it_is_not_known_what_of_blocks_differs_not_many_are_sent(here: Here) -> None:
    """The other end asks for their fine sums then, if it can."""
    old = noise(6 * MIB, 9)
    here.old.write_bytes(old)
    here.is_old, here.blocks = blob_id(old), blocks_of_pieces([old])
    new = scattered(old)
    assert MIB < len(sent(here, new, old=old, has_sums=True)) < MIB + 2 * MOST
    assert here.take(sent(here, new, old=old, has_sums=True), new) is None
    assert here.take(sent(here, new, old=old), new) is not None
    assert here.take(sent(here, new, old=old, sums=sums_of(old), has_sums=True), new) is not None
    inserted = old[:MIB] + noise(3 * MIB, 2) + old[MIB:]
    assert here.take(sent(here, inserted, old=old, has_sums=True), inserted) is not None


def test_a_piece_that_is_another_though_its_sum_is_not(here: Here) -> None:
    """Nothing is made of what was put together then."""
    new = scattered(OLD)
    lies = FineSums(blocks_of_pieces([OLD]), sums_of(new).encoded)
    assert here.take(sent(here, new, sums=lies), new) is None
    assert here.names() == []


def test_holes_stay_holes(here: Here) -> None:
    old = OLD[:MIB] + bytes(40 * MIB) + OLD[MIB:]
    with open(here.old, "wb") as file:
        file.write(OLD[:MIB])
        file.seek(41 * MIB)
        file.write(OLD[MIB:])
    here.is_old, here.blocks = blob_id(old), blocks_of_pieces([old])
    new = b"in front" + old + bytes(MIB)
    assert here.take(sent(here, new, old=old), new) is not None
    assert (here.stage / "landed").read_bytes() == new
    assert (here.stage / "landed").stat().st_blocks * 512 < 6 * MIB


def test_several_files_and_what_nobody_wants_goes(here: Here) -> None:
    versions = [edit(OLD) for edit in EDITS.values()]
    assert here.take(sent(here, *versions), versions[2]) is not None
    assert here.names() == ["landed"]
    assert (here.stage / "landed").read_bytes() == versions[2]
    assert here.asked == [blob_id(OLD)] * len(versions)


def test_where_the_old_version_is_not(here: Here) -> None:
    other = noise(2 * MIB, 5)
    assert here.take(sent(here, other + b"x", old=other), other + b"x") is None
    assert here.names() == []


@pytest.mark.parametrize("changed", [OLD[:MIB], b"x" + OLD[1:], b""])
def test_an_old_version_that_is_another_by_now(here: Here, changed: bytes) -> None:
    here.old.write_bytes(changed)
    new = OLD + b"more"
    assert here.take(sent(here, new), new) is None
    assert here.names() == []


def test_where_the_list_of_the_old_version_is_not_known_the_new_one_is_cut(here: Here) -> None:
    here.blocks = None
    new = OLD[:MIB] + b"more" + OLD[MIB:]
    found = here.take(sent(here, new), new)
    assert found is not None
    assert found.blocks == blocks_of_pieces([new])


def test_of_what_has_too_many_new_bytes_the_rest_is_asked_for(here: Here) -> None:
    new = OLD + noise(NEW_LIMIT + MOST, 6)
    stream = sent(here, new)
    assert NEW_LIMIT - MOST < len(stream) < NEW_LIMIT + 10_000
    assert here.take(stream, new) is None
    (part,) = here.names()
    assert part.startswith("part-")
    content = (here.stage / part).read_bytes()
    assert content == new[: len(content)]
    assert len(content) > NEW_LIMIT


def test_a_link_that_is_cut(here: Here) -> None:
    """Little is sent once more; of much, what has come is there for the next run to take blocks from."""
    new = OLD[:MIB] + noise(MIB, 7) + OLD[MIB:]
    stream = sent(here, new)
    with pytest.raises(LinkError):
        here.take(stream, new, 200_000)
    assert here.names() == []
    with pytest.raises(LinkError):
        here.take(stream, new, len(stream) - 200_000)
    (part,) = here.names()
    assert part.startswith("part-")
    assert len((here.stage / part).read_bytes()) > MIB + MIB // 2


def test_steps_that_are_no_blocks_are_right_all_the_same(here: Here) -> None:
    """The other end may cut as it likes; its file is known by its id, and its list is what cutting it here gives."""
    new = OLD[5:1000] + b"new" + OLD[1:MIB] + b"a" + OLD[MIB : MIB + 2] + OLD[500:200_000]
    steps = [encode_run(5, 995), encode_new(b"new"), encode_run(1, 5000), encode_run(5001, MIB - 5001)]
    steps += [encode_new(b"a"), encode_run(MIB, 2), encode_run(500, 199_500), encode_ending(True)]
    found = here.take(encode_beginning(blob_id(OLD), len(new)) + b"".join(steps) + end_of_early(), new)
    assert found is not None
    assert (here.stage / "landed").read_bytes() == new
    assert found.blocks == blocks_of_pieces([new])


def test_beyond_the_old_version_there_is_nothing(here: Here) -> None:
    stream = encode_beginning(blob_id(OLD), 10) + encode_run(len(OLD) - 5, 10)
    assert here.take(stream + encode_ending(True) + end_of_early(), OLD[-5:] + bytes(5)) is None
    assert here.names() == []


def test_a_file_for_which_there_is_no_room_is_not_begun(here: Here) -> None:
    stream = encode_beginning(blob_id(OLD), 1 << 55) + encode_run(0, 10) + encode_ending(False)
    assert here.take(stream + end_of_early(), b"") is None
    assert here.asked == []
