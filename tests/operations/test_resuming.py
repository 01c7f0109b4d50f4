"""A link that is cut, at any byte: what has come is not brought again, and no file is mixed."""

import os
from pathlib import Path

import pytest
from folders import assert_equal, noise, write
from links import UNION, CutLinks

from replican.effects import earlysending
from replican.effects.config import RemoteSettings
from replican.operations.recording import record
from replican.operations.syncing import pull
from replican.repository import Repository
from replican.values.blocks import MOST

MIB = 1 << 20
OLD = noise(3 * MIB)
SAID = 40_000
"""What an end says besides content, at most: the log, lists, requests."""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CutLinks:
    return CutLinks(tmp_path, monkeypatch)


def test_a_first_pull_that_is_cut_anywhere(world: CutLinks, tmp_path: Path) -> None:
    """Whole files, as nothing is here: each pull brings what has not come, and the small files only once."""
    small = {f"small/{number}": noise(30_000, number) for number in range(20)}
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
def test_a_pull_by_blocks_that_is_cut(world: CutLinks, cut: int) -> None:
    """What is missing of an edited file comes once, and no block of it twice but the one in flight."""
    write(world.there / "large", OLD)
    world.pull()
    world.forget_lists()
    new = OLD[:MIB] + noise(MIB) + OLD[MIB : 2 * MIB] + noise(300_000) + OLD[2 * MIB :]
    write(world.there / "large", new)
    assert world.pull(answers=cut) is None
    assert (world.here / "large").read_bytes() == OLD
    rest = world.pull()
    assert rest is not None
    assert rest < MIB + 300_000 + 4 * MOST - max(0, cut - MOST) + SAID
    assert_equal(world.there, world.here)
    assert world.stage() == []


@pytest.mark.parametrize("cut", [100, 20_000, 300_000, 600_000, 900_000, 1_100_000, 1_300_000])
def test_a_pull_of_what_comes_early_that_is_cut(world: CutLinks, cut: int) -> None:
    """An edit is on its way before anybody has asked for it."""
    write(world.there / "large", OLD)
    world.pull()
    new = OLD[:MIB] + noise(MIB) + OLD[MIB : 2 * MIB] + noise(300_000) + OLD[2 * MIB :]
    write(world.there / "large", new)
    assert world.pull(answers=cut) is None
    assert (world.here / "large").read_bytes() == OLD
    rest = world.pull()
    assert rest is not None
    assert rest < MIB + 300_000 + 4 * MOST - max(0, cut - 3 * MOST) + SAID
    assert_equal(world.there, world.here)
    assert world.stage() == []


def test_what_is_too_much_to_come_early_comes_once(world: CutLinks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlysending, "NEW_LIMIT", MIB)
    write(world.there / "large", OLD)
    world.pull()
    write(world.there / "large", OLD[:MIB] + noise(2 * MIB) + OLD[MIB:])
    came = world.pull()
    assert came is not None
    assert came < 2 * MIB + 4 * MOST + SAID
    assert_equal(world.there, world.here)
    assert world.stage() == []


def test_a_link_that_is_cut_again_and_again(world: CutLinks) -> None:
    """Each pull loses what was in flight, and no more: so all comes in the end, however short the links last."""
    write(world.there / "large", OLD)
    world.pull()
    write(world.there / "large", OLD[:MIB] + noise(2 * MIB) + OLD[MIB:])
    came, pulls = None, 0
    while came is None:
        pulls += 1
        assert pulls <= 2 * MIB // (2 * MOST - MOST - SAID) + 3
        came = world.pull(answers=2 * MOST + 10_000 * pulls)
    assert pulls > 3
    assert_equal(world.there, world.here)
    assert world.stage() == []


def test_a_push_that_is_cut_goes_on(world: CutLinks) -> None:
    write(world.there / "large", OLD)
    world.pull()
    write(world.here / "large", OLD[:MIB] + noise(2 * MIB) + OLD[MIB:])
    write(world.here / "new", noise(2 * MIB, 1))
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


def test_a_whole_file_that_was_cut_is_of_use_for_its_next_version(world: CutLinks) -> None:
    """Where it came from its beginning on, and was edited over there before the next pull."""
    write(world.there / "large", OLD)
    assert world.pull(answers=2 * MIB) is None
    write(world.there / "large", OLD[: MIB // 2] + b"an edit" + OLD[MIB // 2 :])
    rest = world.pull()
    assert rest is not None
    assert rest < MIB + 4 * MOST + SAID
    assert_equal(world.there, world.here)


def test_other_work_in_between_does_not_drop_what_has_come(world: CutLinks) -> None:
    write(world.there / "large", OLD)
    world.pull()
    world.forget_lists()
    write(world.there / "large", noise(2 * MIB) + OLD)
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


def test_a_part_that_nobody_wants_any_more_goes_after_a_week(world: CutLinks) -> None:
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
def test_a_part_that_is_not_what_it_should_be(world: CutLinks, damage: str) -> None:
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
            "other": noise(len(content)),
            "longer": content + bytes(2 * MIB),
        }[damage]
    )
    rest = world.pull()
    assert rest is not None
    kept = {"short": 0, "zeros": MIB, "other": 0, "longer": MIB}[damage]
    assert rest < len(OLD) - kept + 2 * MOST + SAID
    assert_equal(world.there, world.here)
    assert world.stage() == []
