"""Large files that grow in the very moment in which they are sent: no more is sent than was said."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from folders import noise, write
from links import CutLinks

from replican.effects.contents import FolderStore, Wanted
from replican.effects.earlysending import EarlySender

MIB = 1 << 20
OLD = noise(3 * MIB)
NEW = noise(200_000, 1) + OLD


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CutLinks:
    """Two folders in step, and a large file of which both know the blocks."""
    links = CutLinks(tmp_path, monkeypatch)
    for content in (OLD, OLD + b"edited"):
        write(links.there / "large", content)
        links.pull()
    return links


def grow(path: Path, size: int) -> None:
    with open(path, "ab") as file:
        file.write(noise(size, 2))


def growing(method: Callable[..., object], path: Path, size: int, times: int) -> Callable[..., object]:
    """The method, after which the file grows, so often."""
    left = times

    def call(*arguments: object) -> object:
        nonlocal left
        made = method(*arguments)
        if left:
            left -= 1
            grow(path, size)
        return made

    return call


@pytest.mark.parametrize("size", [1, 100_000, 2 * MIB])
def test_while_it_comes_early(links: CutLinks, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    write(links.there / "large", NEW)
    monkeypatch.setattr(EarlySender, "file", growing(EarlySender.file, links.there / "large", size, 1))
    came = links.pull()
    assert (links.here / "large").read_bytes() == NEW + noise(size, 2)
    assert came is not None
    assert came < MIB + 2 * size


def test_one_of_several_that_come_early(links: CutLinks, monkeypatch: pytest.MonkeyPatch) -> None:
    other = noise(3 * MIB, 3)
    for edit in (b"", b"1"):
        write(links.there / "other", other + edit)
        links.pull()
    write(links.there / "large", NEW)
    write(links.there / "other", b"2" + other)
    monkeypatch.setattr(EarlySender, "file", growing(EarlySender.file, links.there / "large", 1, 100))
    links.pull()
    assert (links.here / "other").read_bytes() == b"2" + other
    assert (links.here / "large").read_bytes() in (OLD + b"edited", (links.there / "large").read_bytes())


@pytest.mark.parametrize("is_push", [False, True])
def test_after_it_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_push: bool) -> None:
    """It is another file by then: that is told, and what it holds later comes later."""
    links = CutLinks(tmp_path, monkeypatch)
    source, target = (links.here, links.there) if is_push else (links.there, links.here)
    write(source / "large", OLD)
    if is_push:
        links.pull()
    find = FolderStore.open_each
    left = [b"grown"]

    def find_and_grow(store: FolderStore, wanted: Wanted) -> Iterator[int]:
        for fd in find(store, wanted):
            if left and os.fstat(fd).st_size == len(OLD):
                with open(source / "large", "ab") as file:
                    file.write(left.pop())
            yield fd

    monkeypatch.setattr(FolderStore, "open_each", find_and_grow)
    for _ in range(2):
        links.pull()
        if is_push:
            links.push()
    assert not left
    assert (target / "large").read_bytes() == OLD + b"grown"
