"""A large file that was copied, and is pulled: it is copied here while it is read over there, and not once more."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from folders import assert_equal, noise, write
from links import CutLinks

from replican.effects.doubles import DOUBLE_FROM
from replican.effects.earlytaking import EarlyTaker
from replican.operations.recording import record
from replican.repository import Repository

CONTENT = noise(DOUBLE_FROM + 100_000)
SAID = 5_000


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CutLinks:
    """Two folders in step, with a large file."""
    links = CutLinks(tmp_path, monkeypatch)
    write(links.there / "d/large", CONTENT, 10**18)
    links.pull()
    with Repository(str(links.there)) as there:
        while any(row.is_smudged for row in there.index.rows(b"d")):
            record(there)  # else it were read once more with its copy, by other processes
    return links


@pytest.fixture
def inodes(monkeypatch: pytest.MonkeyPatch, links: CutLinks) -> list[int]:
    """Of the early files, once they have come."""
    found: list[int] = []
    take = EarlyTaker.take

    def take_and_look(taker: EarlyTaker, *words: object) -> None:
        take(taker, *words)  # type: ignore[arg-type]
        with os.scandir(links.here / ".replican/stage") as stage:
            found.extend(each.inode() for each in stage if b"-early-" in os.fsencode(each.name))

    monkeypatch.setattr(EarlyTaker, "take", take_and_look)
    return found


def copy_to(name: str) -> Callable[[CutLinks], None]:
    def copy(links: CutLinks) -> None:
        (links.there / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(links.there / "d/large", links.there / name)

    return copy


@pytest.mark.parametrize("name", ["copy", "d/copy", "new/copy"])
def test_what_came_is_what_is_put_there(links: CutLinks, inodes: list[int], name: str) -> None:
    copy_to(name)(links)
    came = links.pull()
    assert came is not None
    assert came < SAID
    assert [(links.here / name).stat().st_ino] == inodes
    assert_equal(links.there, links.here)
    assert links.stage() == []


def test_what_is_edited_as_well_comes_all_the_same(links: CutLinks) -> None:
    """It is no copy, though it seems to be one: it is asked for by its blocks."""
    edited = bytearray(CONTENT)
    edited[20_000] ^= 1
    write(links.there / "copy", bytes(edited))
    came = links.pull()
    assert came is not None
    assert came < 1 << 20
    assert_equal(links.there, links.here)
    assert links.stage() == []


def test_a_copy_of_what_is_not_here_any_more(links: CutLinks) -> None:
    copy_to("copy")(links)
    os.unlink(links.here / "d/large")
    links.pull()
    assert (links.here / "copy").read_bytes() == CONTENT
    assert links.stage() == []


@pytest.mark.parametrize("cut", [60, 250, 450])
def test_a_link_that_is_cut(links: CutLinks, cut: int) -> None:
    copy_to("copy")(links)
    assert links.pull(answers=cut) is None
    assert not (links.here / "copy").exists()
    links.pull()
    assert_equal(links.there, links.here)
    assert links.stage() == []
