"""What could not be seen stands: unreadable things, special files, mounts, replicas within."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import scanning
from scanning import Watched, assert_found, assert_quiet, fill

from replican.effects.index import Index
from replican.effects.index_check import check_index
from replican.effects.scan import Scan, scan
from replican.operations.recording import mounts_gone
from replican.values.ids import EMPTY_TREE
from replican.values.progress import Problem


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path)
    yield watched
    watched.close()


def test_a_special_file_in_the_place_of_a_tracked_one(folder: Watched) -> None:
    fill(folder)
    folder.record()
    os.unlink(folder.path("a/file0"))
    os.mkfifo(folder.path("a/file0"))
    shutil.rmtree(folder.path("c"))
    os.mkfifo(folder.path("c"))
    for _ in range(3):
        seen = folder.observe()
        assert seen.problems == [Problem(b"a/file0", "special file"), Problem(b"c", "special file")]
        assert seen.root == folder.index.base_root()
        assert (seen.files, seen.gone, seen.skipped) == (12, [], [])
    assert folder.scan().changed == {}
    os.unlink(folder.path("c"))
    seen = folder.observe()
    assert seen.gone == [b"c"]
    assert (seen.files, seen.problems) == (9, [Problem(b"a/file0", "special file")])


def test_a_tracked_directory_that_becomes_a_replica(folder: Watched) -> None:
    fill(folder)
    folder.record()
    os.mkdir(folder.path("a/.replican"))
    folder.write("a/file0", b"another replica's")
    seen = folder.observe()
    assert seen.problems == [Problem(b"a", "nested replica")]
    assert (seen.root, seen.gone, seen.files) == (folder.index.base_root(), [], 12)
    os.rmdir(folder.path("a/.replican"))
    assert_found(folder, folder.observe())


@pytest.fixture
def open_folder() -> Iterator[Watched]:
    """One that another user can reach."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o777)
        watched = Watched(Path(place))
        yield watched
        watched.close()
        for directory, _, _ in os.walk(place):
            os.chmod(directory, 0o777)


def scan_as_nobody(folder: Watched) -> Scan:
    folder.index.close()

    def look() -> Scan:
        with Index.open(folder.index_path) as index:
            return scan(str(folder.root), index)

    os.chmod(folder.index_path, 0o666)
    scanning.settle()
    try:
        seen = scanning.as_nobody(look)
    finally:
        folder.index = Index.open(folder.index_path, writable=True)
    assert isinstance(seen, Scan)
    return seen


def test_unreadable_files_and_directories_stand(open_folder: Watched) -> None:
    folder = open_folder
    fill(folder)
    folder.record()
    folder.write("a/file1", b"changed, and closed")
    os.chmod(folder.path("a/file1"), 0o000)
    os.chmod(folder.path("a/b"), 0o000)
    seen = scan_as_nobody(folder)
    assert seen.problems == [Problem(b"a/b", "permission denied"), Problem(b"a/file1", "permission denied")]
    entries, was = folder.entries(seen), folder.entries(folder.scan(full=True))
    assert entries[b"a/file1"].id == scanning.blob(b"a/1")
    assert entries[b"a/b"].id == was[b"a/b"].id
    assert (seen.gone, seen.files) == ([], 12)
    folder.index.observe(seen.changed.values(), seen.gone, seen.root)
    again = scan_as_nobody(folder)
    assert (again.changed, again.problems) == ({}, seen.problems), "said every time, and nothing new to write"


def test_a_directory_that_can_be_listed_but_not_searched(open_folder: Watched) -> None:
    folder = open_folder
    fill(folder)
    folder.record()
    os.chmod(folder.path("a"), 0o444)
    seen = scan_as_nobody(folder)
    assert seen.problems == [Problem(b"a", "permission denied")]
    assert (seen.gone, seen.files) == ([], 12)


def test_new_unreadable_things_are_problems_every_time(open_folder: Watched) -> None:
    folder = open_folder
    folder.write("shut", perm=0o000)
    folder.write("dir/file")
    os.chmod(folder.path("dir"), 0o000)
    problems = [Problem(b"dir", "permission denied"), Problem(b"shut", "permission denied")]
    for _ in range(3):
        seen = scan_as_nobody(folder)
        assert seen.problems == problems
        assert seen.root == EMPTY_TREE
        folder.index.observe(seen.changed.values(), seen.gone, seen.root)
    os.chmod(folder.path("dir"), 0o755)
    os.chmod(folder.path("shut"), 0o644)
    assert_found(folder, folder.observe())


def test_an_unreadable_directory_below_a_renamed_one_goes_with_it(open_folder: Watched) -> None:
    folder = open_folder
    fill(folder)
    folder.record()
    os.chmod(folder.path("a/b"), 0o000)
    folder.record()
    os.rename(folder.path("a"), folder.path("moved"))
    seen = scan_as_nobody(folder)
    assert seen.problems == [Problem(b"moved/b", "permission denied")]
    entries = folder.entries(seen)
    assert b"moved/b/file0" in entries
    assert b"a" not in entries
    folder.index.observe(seen.changed.values(), seen.gone, seen.root)
    check_index(folder.index)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
def test_mounts(folder: Watched) -> None:
    fill(folder)
    os.mkdir(folder.path("disk"))

    def mount(name: str) -> bool:
        command = ["mount", "-t", "tmpfs", "none", folder.path(name)]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    if not mount("disk"):
        pytest.skip("mounting is not allowed here")
    try:
        folder.write("disk/file")
        folder.write("disk/sub/file")
        first = folder.record()
        assert_found(folder, first)
        assert mounts_gone(folder.index) == []
        assert_quiet(folder)
    finally:
        subprocess.run(["umount", folder.path("disk")], check=True)
    folder.observe()
    assert mounts_gone(folder.index) == ["disk"]
    folder.observe()
    assert mounts_gone(folder.index) == ["disk"], "as long as the base has it"
    folder.index.discard_observed()
    assert mount("a")
    try:
        folder.write("a/foreign")
        seen = folder.observe()
        assert Problem(b"a", "mount point") in seen.problems
        assert b"a/foreign" not in folder.entries(seen)
        assert b"a/b/file0" in folder.entries(seen)
    finally:
        subprocess.run(["umount", folder.path("a")], check=True)


@pytest.mark.parametrize("inside", ["junk", "fifo"])
def test_beside_a_directory_that_is_not_recorded_there_may_be_changes(folder: Watched, inside: str) -> None:
    """The listing above is made anew, and the directory has no row in it, whether it is looked into or as it was."""
    folder.write(".replicanignore", b"junk\n")
    folder.write("d/file", b"1")
    folder.write("d/sub/junk", b"x")
    if inside == "fifo":
        os.unlink(folder.path("d/sub/junk"))
        os.mkfifo(folder.path("d/sub/fifo"))
    folder.record()
    for content in (b"22", b"333"):
        folder.write("d/file", content)
        seen = folder.record()
        assert b"d/sub" not in folder.entries(seen)
        check_index(folder.index)
    folder.write("d/sub/real", b"y")
    assert b"d/sub/real" in folder.entries(folder.record())
    check_index(folder.index)
