"""Scans of folders that changed: what is found, what is read for it, and racy times."""

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import scanning
from scanning import Watched, assert_found, assert_quiet, fill

from replican.effects.assemble import chain
from replican.effects.index_check import check_index
from replican.effects.scan import scan
from replican.values.ids import EMPTY_TREE
from replican.values.listing import SMUDGED
from replican.values.progress import Silent


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path)
    yield watched
    watched.close()


def test_one_changed_file_changes_its_directory_and_those_above(folder: Watched) -> None:
    fill(folder)
    folder.record()
    folder.write("a/b/file1", b"new")
    seen = folder.record()
    assert set(seen.changed) == {b"", b"a", b"a/b"}
    assert (seen.hashed_files, seen.files) == (1, 12)
    assert_found(folder, seen)
    assert_quiet(folder)


@pytest.mark.parametrize("mtime", ["kept", "new"])
def test_an_edit_of_the_same_size_is_seen(folder: Watched, mtime: str) -> None:
    path = folder.write("file", b"one")
    was = os.stat(path).st_mtime_ns
    folder.record()
    folder.write("file", b"two")
    if mtime == "kept":
        os.utime(path, ns=(was, was))
    assert_found(folder, folder.record())


def test_a_touch_changes_the_time_and_a_chmod_the_permissions(folder: Watched) -> None:
    fill(folder)
    folder.record()
    os.utime(folder.path("file1"), ns=(0, 5))
    os.chmod(folder.path("a/file1"), 0o600)
    os.chmod(folder.path("c"), 0o700)
    seen = folder.record()
    assert_found(folder, seen)
    assert seen.hashed_files == 2
    assert folder.entries(seen)[b"c"].perm == 0o700


def test_deletions(folder: Watched) -> None:
    fill(folder)
    folder.record()
    os.unlink(folder.path("file0"))
    shutil.rmtree(folder.path("a"))
    seen = folder.record()
    assert seen.gone == [b"a"], "the topmost"
    assert (seen.files, seen.hashed_files) == (5, 0)
    assert_found(folder, seen)
    assert folder.index.record(b"a/b") is None
    assert_quiet(folder)


def test_an_emptied_folder(folder: Watched) -> None:
    fill(folder)
    folder.record()
    for name in os.listdir(folder.root):
        path = folder.path(name)
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    seen = folder.record()
    assert (seen.root, seen.files) == (EMPTY_TREE, 0)


@pytest.mark.parametrize("direction", ["file to directory", "directory to file", "file to link", "directory to link"])
def test_one_kind_becomes_another(folder: Watched, direction: str) -> None:
    folder.write("file")
    folder.write("dir/sub/file")
    folder.record()
    match direction:
        case "file to directory":
            os.unlink(folder.path("file"))
            folder.write("file/below")
        case "directory to file":
            shutil.rmtree(folder.path("dir"))
            folder.write("dir")
        case "file to link":
            os.unlink(folder.path("file"))
            os.symlink("dir", folder.path("file"))
        case "directory to link":
            shutil.move(folder.path("dir"), folder.path("moved"))
            os.symlink("moved", folder.path("dir"))
    assert_found(folder, folder.record())
    assert_quiet(folder)
    check_index(folder.index)


def test_observed_and_base(folder: Watched) -> None:
    fill(folder)
    folder.record()
    base = folder.index.base_root()
    folder.write("new")
    seen = folder.observe()
    assert folder.index.base_root() == base != seen.root == folder.index.observed_root()
    assert_quiet(folder)
    os.unlink(folder.path("new"))
    shutil.rmtree(folder.path("c"))
    folder.observe()
    shutil.copytree(folder.path("a"), folder.path("c"))
    assert_found(folder, folder.observe())
    folder.index.promote()
    assert_quiet(folder)
    check_index(folder.index)


def test_a_full_scan_reads_everything_and_changes_nothing(folder: Watched) -> None:
    fill(folder)
    os.symlink("a", folder.path("link"))
    folder.record()
    seen = folder.scan(full=True)
    assert (seen.changed, seen.gone, seen.hashed_files) == ({}, [], 13)


def test_content_that_changed_without_its_stat_data_is_found_by_a_full_scan(folder: Watched) -> None:
    fill(folder)
    folder.record()
    rows = folder.index.rows(b"a")
    lying = [row._replace(id=bytes(range(32))) if row.name == b"file1" else row for row in rows]
    made = chain(folder.index, {b"a": lying})
    folder.index.rebase(made.changed.values(), made.gone, made.root)
    assert folder.scan().hashed_files == 0
    assert_found(folder, folder.scan(full=True))


@pytest.mark.parametrize("workers", [1, None])
def test_many_files_by_one_process_or_more(folder: Watched, workers: int | None) -> None:
    for number in range(1200):
        folder.write(f"{number % 7}/{number % 3}/file{number}", b"%d" % number)
    seen = folder.scan(workers=workers)
    folder.index.observe(seen.changed.values(), seen.gone, seen.root)
    assert_found(folder, seen)
    assert seen.hashed_files == 1200
    assert_quiet(folder)


def test_progress_counts_what_is_looked_at_and_what_is_read(folder: Watched) -> None:
    for number in range(30):
        for file in range(100):
            folder.write(f"d{number}/{file}", b"x")
    told: list[tuple[str, int | None, int]] = []

    class Telling(Silent):
        def begin(self, task: str, files: int | None = None, size: int | None = None) -> None:
            told.append((task, files, 0))

        def advance(self, files: int = 0, size: int = 0) -> None:
            task, total, done = told.pop()
            told.append((task, total, done + files))

    def look() -> list[tuple[str, int | None, int]]:
        told.clear()
        seen = scan(str(folder.root), folder.index, progress=Telling())
        folder.index.observe(seen.changed.values(), seen.gone, seen.root)
        return told

    scanning.settle()
    (first, reading) = look()
    assert (first[:2], reading) == (("looking", None), ("reading", 3000, 3000))
    assert first[2] >= 2000
    assert [task[:2] for task in look()] == [("looking", 3000)]


# -- racy times -------------------------------------------------------------------------------------------------------


def test_an_edit_within_the_same_tick_is_seen(folder: Watched) -> None:
    for attempt in range(20):
        path = folder.write("d/file", b"one")
        was = os.stat(path)
        first = folder.observe(settled=False)
        with open(path, "r+b") as file:
            file.write(b"two")
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
        second = folder.observe(settled=False)
        assert folder.entries(second)[b"d/file"].id == scanning.blob(b"two"), attempt
        assert first.root != second.root
        os.unlink(path)


def test_young_files_are_read_again_until_they_have_settled(folder: Watched) -> None:
    path = folder.write("d/old")
    os.utime(path, ns=(0, 5))
    scanning.settle()
    folder.write("d/young")
    folder.observe(settled=False)
    assert {row.name: row.ctime_ns == SMUDGED for row in folder.index.rows(b"d")} == {b"old": False, b"young": True}
    known = folder.index.known(b"d")
    assert known is not None
    assert known.digest is None
    seen = folder.observe()
    assert seen.hashed_files == 1
    assert set(seen.changed) == {b"d"}, "the tree is the same, the row is not"
    assert_quiet(folder)


def test_a_racy_record_stays_as_it_is_until_something_is_known(folder: Watched) -> None:
    folder.write("file")
    folder.observe()
    rows = [row._replace(ctime_ns=SMUDGED) for row in folder.index.rows(b"")]
    made = chain(folder.index, {b"": rows}, observed=True)
    folder.index.observe(made.changed.values(), made.gone, made.root)
    assert folder.scan().hashed_files == 1


# -- logical values ---------------------------------------------------------------------------------------------------


def test_what_the_disk_cannot_hold_is_no_edit(folder: Watched) -> None:
    """A file system of whole seconds and no permissions: what it has is not what was to be written."""
    folder.write("file")
    folder.observe()

    def logical() -> None:
        rows = [row._replace(perm=0o600, mtime_ns=123_456_789) for row in folder.index.rows(b"")]
        made = chain(folder.index, {b"": rows}, observed=True)
        folder.index.observe(made.changed.values(), made.gone, made.root)

    logical()
    assert_quiet(folder)
    seen = folder.scan(full=True)
    assert not seen.changed, "read again, and still no edit"
    os.utime(folder.path("file"), ns=(0, 99))
    entry = folder.entries(folder.observe())[b"file"]
    assert (entry.perm, entry.mtime_ns) == (0o600, 99), "each value by itself"
    os.chmod(folder.path("file"), 0o640)
    assert folder.entries(folder.observe())[b"file"].perm == 0o640


def test_a_folder_that_changes_while_it_is_scanned(folder: Watched) -> None:
    """Whatever goes on meanwhile, nothing is raised, and a look after it has ended finds everything."""
    fill(folder)
    stop = threading.Event()

    def churn() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            folder.write(f"d{turn % 5}/sub/file{turn % 3}", b"%d" % turn)
            shutil.rmtree(folder.path(f"d{(turn + 2) % 5}"), ignore_errors=True)
            name = folder.path(f"swap{turn % 2}")
            if os.path.islink(name):
                os.unlink(name)
                os.mkdir(name)
            elif os.path.isdir(name):
                os.rmdir(name)
                os.symlink("a", name)
            else:
                os.mkdir(name)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(30):
            folder.observe(settled=False)
    finally:
        stop.set()
        thread.join()
    assert_found(folder, folder.observe())
    folder.index.promote()
    check_index(folder.index)
    assert_quiet(folder)
