"""One change costs what its own directories cost, however large the folder around it is."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import scanning
from counting import Counted, counting
from scanning import Watched

from replican.effects.index_check import check_index
from replican.effects.observe import observe_paths
from replican.effects.scan import Scan

FEW, MANY = 4, 400


def made(place: Path, directories: int) -> Watched:
    """A folder of so many directories beside the one in which something will change."""
    place.mkdir()
    folder = Watched(place)
    for number in range(directories):
        folder.write(f"d{number % 20}/e{number}/file")
    for name in ("a/b/c/file", "a/b/c/other", "a/beside", "a/gone/below/file"):
        folder.write(name)
    folder.record()
    return folder


def edit(folder: Watched) -> list[bytes]:
    folder.write("a/b/c/file", b"new")
    return [b"a/b/c/file"]


def add(folder: Watched) -> list[bytes]:
    folder.write("a/new/deep/file", b"new")
    return [b"a/new"]


def remove(folder: Watched) -> list[bytes]:
    shutil.rmtree(folder.path("a/gone"))
    return [b"a/gone"]


def rename(folder: Watched) -> list[bytes]:
    os.rename(folder.path("a/gone"), folder.path("a/come"))
    return [b"a/gone", b"a/come"]


def nothing(folder: Watched) -> list[bytes]:
    return [b"a/b/c/file", b"a/b"]


def look(place: Path, directories: int, change: Callable[[Watched], list[bytes]]) -> tuple[Counted, Scan]:
    """What it costs to look at a change, to note it, and to make it the base."""
    folder = made(place, directories)
    paths = change(folder)
    scanning.settle()
    with counting(folder.index) as counted:
        seen = observe_paths(str(folder.root), folder.index, paths)
        if seen.changed or seen.gone:
            folder.index.observe(seen.changed.values(), seen.gone, seen.root)
            folder.index.promote()
    check_index(folder.index)
    assert scanning.plain(folder.entries(seen)) == scanning.on_disk(folder.root)
    folder.close()
    return counted, seen


@pytest.mark.parametrize("change", [edit, add, remove, rename, nothing])
def test_a_change_costs_the_same_in_a_larger_folder(tmp_path: Path, change: Callable[[Watched], list[bytes]]) -> None:
    small, seen = look(tmp_path / "small", FEW, change)
    large, in_large = look(tmp_path / "large", MANY, change)
    assert set(seen.changed) == set(in_large.changed)
    assert seen.hashed_files == in_large.hashed_files
    assert large.statements == small.statements
    assert large.listings == small.listings
    assert large.steps <= small.steps * 1.1 + 5


def test_only_the_directories_on_the_way_are_looked_at(tmp_path: Path) -> None:
    counted, seen = look(tmp_path / "folder", FEW, edit)
    assert set(seen.changed) == {b"", b"a", b"a/b", b"a/b/c"}
    assert (counted.listings, seen.hashed_files) == (0, 1)
