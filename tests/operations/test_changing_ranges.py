"""Large files that change while their blocks are asked for: one version comes or the other, and never a mixture."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from folders import noise, write
from links import CutLinks

from replican.effects.channel import Channel
from replican.operations import cutting
from replican.operations.cutting import Cutter
from replican.operations.syncing import pull
from replican.values.messages import WantBlocks, WantRanges
from replican.values.sums import sums_of_block

MIB = 1 << 20
OLD = noise(3 * MIB)


class Changing(CutLinks):
    """Two folders in step, and a large file over there that something happens to while it is asked for."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(base, monkeypatch)
        self.versions = {OLD}
        write(self.there / "large", OLD)
        write(self.there / "small", b"s")
        self.pull_only()
        self.forget_lists()

    def edit(self, data: bytes, at: int = MIB) -> None:
        """Write over a part of the file, in place."""
        with open(self.there / "large", "r+b") as file:
            file.seek(at)
            file.write(data)
        self.versions.add((self.there / "large").read_bytes())

    def pull_only(self) -> None:
        with self.open() as repo:
            pull(repo, "origin")

    def large_ones(self) -> set[bytes]:
        """What the large files here hold."""
        return {path.read_bytes() for path in self.here.glob("large*")}

    def follow(self) -> bytes:
        """Pull; what the file holds here then."""
        self.pull_only()
        found = (self.here / "large").read_bytes()
        assert found in self.versions
        assert self.stage() == []
        return found


@pytest.fixture
def changing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Changing:
    return Changing(tmp_path, monkeypatch)


def before(monkeypatch: pytest.MonkeyPatch, kind: type, work: Callable[[int], None]) -> None:
    """Have ``work`` done before each answer to a request of this kind; it is told how many there were."""
    answer = Cutter.answer
    count = 0

    def answer_later(cutter: Cutter, message: WantBlocks | WantRanges, channel: Channel) -> None:
        nonlocal count
        if isinstance(message, kind):
            work(count)
            count += 1
        answer(cutter, message, channel)

    monkeypatch.setattr(Cutter, "answer", answer_later)


NEW = OLD[:MIB] + noise(MIB) + OLD[2 * MIB :]


def test_it_changes_before_its_list_is_asked_for(changing: Changing, monkeypatch: pytest.MonkeyPatch) -> None:
    changing.edit(NEW, 0)
    before(monkeypatch, WantBlocks, lambda count: changing.edit(b"later") if not count else None)
    assert changing.follow() == (changing.there / "large").read_bytes()


@pytest.mark.parametrize("at", [0, MIB, MIB + 500_000, 3 * MIB - 10])
def test_it_changes_after_its_list_was_sent(changing: Changing, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    changing.edit(NEW, 0)
    before(monkeypatch, WantRanges, lambda count: changing.edit(b"later" * 2, at) if not count else None)
    assert changing.follow() == (changing.there / "large").read_bytes()


@pytest.mark.parametrize("grown", [-MIB, MIB])
def test_it_becomes_longer_or_shorter(changing: Changing, monkeypatch: pytest.MonkeyPatch, grown: int) -> None:
    changing.edit(NEW, 0)

    def work(count: int) -> None:
        if not count:
            os.truncate(changing.there / "large", len(NEW) + grown)
            changing.edit(b"", 0)

    before(monkeypatch, WantRanges, work)
    assert changing.follow() == (changing.there / "large").read_bytes()


def test_it_changes_while_ranges_of_it_are_read(changing: Changing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of them are old and some new: what was put together is none of both, and is not taken."""
    changing.edit(NEW, 0)
    send = cutting._send_range
    left = [b"one", b"other"]

    def send_and_change(fd: int, offset: int, length: int, channel: Channel) -> int:
        if left:
            changing.edit(left.pop() * 100, offset + length // 2)
        return send(fd, offset, length, channel)

    monkeypatch.setattr(cutting, "_send_range", send_and_change)
    changing.follow()
    assert changing.follow() == (changing.there / "large").read_bytes()


def test_it_changes_all_the_time(changing: Changing, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that was frozen when it was recorded is delivered, by its blocks."""
    changing.edit(NEW, 0)
    before(monkeypatch, WantBlocks | WantRanges, lambda count: changing.edit(b"%d" % count, MIB + 1000 * count))
    found = changing.follow()
    assert found not in (OLD, NEW)
    assert changing.links[-1].answered < 2 * MIB


def test_a_basis_changes_meanwhile(changing: Changing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here, after it was cut: the blocks that it has no more are asked for."""
    changing.edit(NEW, 0)

    def work(count: int) -> None:
        if not count:
            with open(changing.here / "large", "r+b") as file:
                file.write(b"by here")

    before(monkeypatch, WantRanges, work)
    changing.pull_only()
    copies = changing.large_ones()
    assert copies <= {NEW, b"by here" + OLD[7:]}
    changing.pull_only()
    assert changing.large_ones() == {NEW, b"by here" + OLD[7:]}
    assert changing.stage() == []


def test_it_is_gone_when_ranges_are_asked_for(changing: Changing, monkeypatch: pytest.MonkeyPatch) -> None:
    changing.edit(NEW, 0)
    before(monkeypatch, WantRanges, lambda _: (changing.there / "large").unlink(missing_ok=True))
    changing.pull_only()
    assert (changing.here / "large").read_bytes() == OLD
    changing.pull_only()
    assert not (changing.here / "large").exists()


def test_it_changes_after_its_sums_were_sent(changing: Changing, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its sums said is not so any more: the pieces that they name do not make the blocks that are wanted."""
    edited = bytearray(OLD)
    for at in range(0, len(edited), 50_000):
        edited[at] ^= 1
    changing.edit(bytes(edited), 0)
    asked: list[bool] = []

    def answer(cutter: Cutter, message: WantRanges, channel: Channel) -> None:
        asked.append(message.sums)
        if message.sums:
            changing.edit(OLD[MIB : MIB + 200_000])  # for a moment it is here as it was
        send(cutter, message, channel)
        if message.sums:
            changing.edit(bytes(edited[MIB : MIB + 200_000]))

    send = Cutter._send_ranges
    monkeypatch.setattr(Cutter, "_send_ranges", answer)
    assert changing.follow() == edited
    assert True in asked


@pytest.mark.parametrize("lie", [bytes(4), b"\xff" * 4])
def test_sums_that_lie(changing: Changing, monkeypatch: pytest.MonkeyPatch, lie: bytes) -> None:
    changing.edit(NEW, 0)
    monkeypatch.setattr(cutting, "sums_of_block", lambda data: lie * (len(data) // 4096))
    assert changing.follow() == NEW


def test_sums_of_the_old_version(changing: Changing, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is missing seems to be here."""
    changing.edit(NEW, 0)
    monkeypatch.setattr(
        cutting, "_send_sums", lambda fd, offset, length, channel: channel.put(_old_sums(offset, length)) or 0
    )
    assert changing.follow() == NEW


def _old_sums(offset: int, length: int) -> bytes:
    return sums_of_block(memoryview(OLD)[offset : offset + length])
