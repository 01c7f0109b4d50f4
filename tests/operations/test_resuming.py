"""A link that is cut, at any byte: what has come is not brought again, and no file is mixed."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from folders import assert_equal, write

from replican.decisions import gates
from replican.effects.channel import Channel
from replican.effects.config import RemoteSettings
from replican.operations import remotes
from replican.operations.recording import record
from replican.operations.serving import serve
from replican.operations.syncing import pull, push
from replican.repository import Repository
from replican.values.blocks import MOST
from replican.values.errors import RemoteError, ReplicanError

UNION = frozenset([gates.ALLOW_UNRELATED])
MIB = 1 << 20
OLD = os.urandom(3 * MIB)
SAID = 40_000
"""What an end says besides content, at most: the log, lists, requests."""


class Cuttable:
    """A link to an answerer at ``root``; what either end says is counted, and cut after so many bytes of it."""

    def __init__(self, root: Path, answers: int | None = None, asks: int | None = None) -> None:
        (source, into), (heard, told), (out, target), (listens, says) = os.pipe(), os.pipe(), os.pipe(), os.pipe()
        self.answered = self.asked = 0
        self._ends: list[threading.Thread] = []

        def relay(one: int, other: int, most: int | None, count: Callable[[int], None]) -> None:
            left = most
            try:
                while data := os.read(one, 1 << 16 if left is None else min(1 << 16, left)):
                    count(len(data))
                    left = None if left is None else left - len(data)
                    while data:
                        data = data[os.write(other, data) :]
            except OSError:
                pass
            for fd in (one, other):
                os.close(fd)

        def answer() -> None:
            try:
                serve(listens, told, str(root), wait=5)
            except ReplicanError:
                pass

        for work in (
            lambda: relay(heard, into, answers, self._count_answered),
            lambda: relay(out, says, asks, self._count_asked),
            answer,
        ):
            self._ends.append(threading.Thread(target=work, daemon=True))
            self._ends[-1].start()
        self.channel = Channel(source, target)

    def _count_answered(self, count: int) -> None:
        self.answered += count

    def _count_asked(self, count: int) -> None:
        self.asked += count

    def close(self) -> int:
        self.channel.close()
        for thread in self._ends:
            thread.join(20)
        return 0

    def why_it_ended(self) -> ReplicanError:
        self.close()
        return remotes.LinkError("it ended")


class World:
    """Two folders, and the links between them: ``cut`` says after how many bytes the next one ends."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.there, self.here = base / "there", base / "here"
        self.cut: dict[str, int] = {}
        self.links: list[Cuttable] = []

        def start(*_: object) -> Cuttable:
            self.links.append(Cuttable(self.there, **self.cut))
            self.cut = {}
            return self.links[-1]

        monkeypatch.setattr(remotes, "start", start)
        for root in (self.there, self.here):
            Repository.init(str(root)).close()
        with self.open() as repo:
            repo.config.set_remote("origin", RemoteSettings("host:there"))

    def open(self) -> Repository:
        return Repository(str(self.here), wait=5)

    def pull(self, **cut: int) -> int | None:
        """How many bytes came; None where the link was cut."""
        return self._do(lambda repo: pull(repo, "origin", allowed=UNION), cut, "answered")

    def push(self, **cut: int) -> int | None:
        return self._do(lambda repo: push(repo, "origin"), cut, "asked")

    def _do(self, work: Callable[[Repository], object], cut: dict[str, int], which: str) -> int | None:
        self.cut = cut
        with self.open() as repo:
            try:
                work(repo)
            except RemoteError:
                assert cut
                return None
        return int(getattr(self.links[-1], which))

    def stage(self, root: Path | None = None) -> list[str]:
        return sorted(os.listdir((root or self.here) / ".replican/stage"))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REPLICAN_AUTHOR_NAME", "tester")
    return World(tmp_path, monkeypatch)


def test_a_first_pull_that_is_cut_anywhere(world: World, tmp_path: Path) -> None:
    """Whole files, as nothing is here: each pull brings what has not come, and the small files only once."""
    small = {f"small/{number}": os.urandom(30_000) for number in range(20)}
    for path, content in small.items():
        write(world.there / path, content)
    write(world.there / "large", OLD)
    whole = len(OLD) + 20 * 30_000
    came = 0
    for cut in (10, 1000, 200_000, 500_000, 900_000, 1_500_000, 400_000):
        assert world.pull(answers=cut) is None
        came += max(0, cut - SAID)
    rest = world.pull()
    assert rest is not None
    assert rest < whole - came + 7 * (1 << 18) + SAID
    assert rest < 1_800_000
    assert_equal(world.there, world.here)
    assert world.stage() == []


@pytest.mark.parametrize("cut", [100, 20_000, 300_000, 600_000, 900_000, 1_100_000, 1_300_000])
def test_a_pull_by_blocks_that_is_cut(world: World, cut: int) -> None:
    """What is missing of an edited file comes once, and no block of it twice but the one in flight."""
    write(world.there / "large", OLD)
    world.pull()
    new = OLD[:MIB] + os.urandom(MIB) + OLD[MIB : 2 * MIB] + os.urandom(300_000) + OLD[2 * MIB :]
    write(world.there / "large", new)
    assert world.pull(answers=cut) is None
    assert (world.here / "large").read_bytes() == OLD
    rest = world.pull()
    assert rest is not None
    assert rest < MIB + 300_000 + 4 * MOST - max(0, cut - MOST) + SAID
    assert_equal(world.there, world.here)
    assert world.stage() == []


def test_a_push_that_is_cut_goes_on(world: World) -> None:
    write(world.there / "large", OLD)
    world.pull()
    write(world.here / "large", OLD[:MIB] + os.urandom(2 * MIB) + OLD[MIB:])
    write(world.here / "new", os.urandom(2 * MIB))
    with world.open() as repo:
        record(repo)
    assert world.push(asks=MIB) is None
    assert (world.there / "large").read_bytes() == OLD
    assert world.push(asks=2 * MIB) is None
    assert world.stage(world.there) != []
    rest = world.push()
    assert rest is not None
    assert rest < 4 * MIB + 2 * MOST - 3 * MIB + 2 * MOST + 2 * SAID
    assert_equal(world.there, world.here)
    assert world.stage(world.there) == []


def test_a_whole_file_that_was_cut_is_of_use_for_its_next_version(world: World) -> None:
    """Where it came from its beginning on, and was edited over there before the next pull."""
    write(world.there / "large", OLD)
    assert world.pull(answers=2 * MIB) is None
    write(world.there / "large", OLD[: MIB // 2] + b"an edit" + OLD[MIB // 2 :])
    rest = world.pull()
    assert rest is not None
    assert rest < MIB + 4 * MOST + SAID
    assert_equal(world.there, world.here)


def test_other_work_in_between_does_not_drop_what_has_come(world: World) -> None:
    write(world.there / "large", OLD)
    world.pull()
    write(world.there / "large", os.urandom(2 * MIB) + OLD)
    assert world.pull(answers=MIB + MIB // 2) is None
    (part,) = world.stage()
    assert part.startswith("delta-")
    other = world.here.with_name("other")
    with Repository.init(str(other)) as repo:
        write(other / "elsewhere", b"e")
        record(repo)
    with world.open() as repo:
        repo.config.set_remote("other", RemoteSettings(str(other)))
        pull(repo, "other", allowed=UNION)
    assert (world.here / "elsewhere").exists()
    assert world.stage() == [part]
    rest = world.pull()
    assert rest is not None
    assert rest < MIB + SAID
    assert world.stage() == []


def test_a_part_that_nobody_wants_any_more_goes_after_a_week(world: World) -> None:
    write(world.there / "large", OLD)
    assert world.pull(answers=2 * MIB) is None
    (part,) = world.stage()
    assert part.startswith("part-")
    write(world.there / "large", b"small by now")
    write(world.there / "another", b"1")
    world.pull()
    assert world.stage() == [part]
    old = 1_700_000_000
    os.utime(world.here / ".replican/stage" / part, (old, old))
    write(world.there / "another", b"2")
    world.pull()
    assert world.stage() == []


@pytest.mark.parametrize("damage", ["short", "zeros", "other", "longer"])
def test_a_part_that_is_not_what_it_should_be(world: World, damage: str) -> None:
    """A power cut may have left anything there."""
    write(world.there / "large", OLD)
    assert world.pull(answers=2 * MIB) is None
    (part,) = world.stage()
    path = world.here / ".replican/stage" / part
    content = path.read_bytes()
    path.write_bytes(
        {
            "short": content[:100],
            "zeros": content[:MIB] + bytes(len(content) - MIB),
            "other": os.urandom(len(content)),
            "longer": content + bytes(2 * MIB),
        }[damage]
    )
    rest = world.pull()
    assert rest is not None
    kept = {"short": 0, "zeros": MIB, "other": 0, "longer": MIB}[damage]
    assert rest < len(OLD) - kept + 2 * MOST + SAID
    assert_equal(world.there, world.here)
    assert world.stage() == []
