"""Renamed directories: what lies below is not read again, and no file is taken for another."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import scanning
from scanning import Watched

from replican.effects.assemble import chain
from replican.effects.index_check import check_index
from replican.effects.scan import Scan


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path)
    for directory in ("a/", "a/b/", "a/b/c/", "other/"):
        for number in range(5):
            watched.write(f"{directory}file{number}", f"{directory}{number}".encode())
    os.symlink("file0", watched.path("a/link"))
    os.mkdir(watched.path("a/empty"))
    watched.record()
    yield watched
    watched.close()


def look(folder: Watched, hashed: int) -> Scan:
    """Record what is there; it has to be what the disk holds, and so many files may be read for it."""
    seen = folder.record()
    assert scanning.plain(folder.entries(seen)) == scanning.on_disk(folder.root)
    assert seen.hashed_files == hashed
    check_index(folder.index)
    again = folder.scan()
    assert (again.changed, again.hashed_files) == ({}, 0)
    return seen


def test_nothing_below_a_renamed_directory_is_read(folder: Watched) -> None:
    os.rename(folder.path("a"), folder.path("moved"))
    seen = look(folder, hashed=0)
    assert seen.gone == [b"a"]
    assert seen.files == 21


def test_nor_below_one_moved_into_another(folder: Watched) -> None:
    os.makedirs(folder.path("new/deep"))
    os.rename(folder.path("a/b"), folder.path("new/deep/b"))
    os.rename(folder.path("other"), folder.path("a/other"))
    look(folder, hashed=0)


def test_two_that_changed_places(folder: Watched) -> None:
    os.rename(folder.path("a"), folder.path("t"))
    os.rename(folder.path("other"), folder.path("a"))
    os.rename(folder.path("t"), folder.path("other"))
    look(folder, hashed=0)


def test_one_that_took_the_place_of_another(folder: Watched) -> None:
    shutil.rmtree(folder.path("other"))
    os.rename(folder.path("a"), folder.path("other"))
    look(folder, hashed=0)


def test_only_what_changed_below_is_read(folder: Watched) -> None:
    os.rename(folder.path("a"), folder.path("moved"))
    folder.write("moved/b/file1", b"edited")
    folder.write("moved/b/new", b"new")
    os.unlink(folder.path("moved/b/c/file0"))
    os.rename(folder.path("moved/b/c"), folder.path("moved/b/z"))
    look(folder, hashed=2)


def test_a_renamed_file_is_read(folder: Watched) -> None:
    os.rename(folder.path("a/file0"), folder.path("a/renamed"))
    look(folder, hashed=1)


def test_a_new_file_with_an_old_inode_is_read(folder: Watched) -> None:
    """The inode of a deleted file is given to the next one; size and time can be equal, too."""
    path = folder.path("a/file1")
    for attempt in range(50):
        was = os.stat(path)
        os.rename(folder.path("a"), folder.path("b" if attempt % 2 else "c"))
        now = folder.path("b/file1" if attempt % 2 else "c/file1")
        os.unlink(now)
        content = b"%05d" % attempt
        with open(now, "wb") as file:
            file.write(content[: was.st_size])
        os.utime(now, ns=(was.st_atime_ns, was.st_mtime_ns))
        seen = folder.record()
        found = folder.entries(seen)[b"b/file1" if attempt % 2 else b"c/file1"]
        assert found.id == scanning.blob(content[: was.st_size])
        os.rename(folder.path("b" if attempt % 2 else "c"), folder.path("a"))
        folder.record()


def test_a_new_directory_with_an_old_inode_is_no_rename(folder: Watched) -> None:
    for attempt in range(20):
        ino = os.stat(folder.path("other")).st_ino
        shutil.rmtree(folder.path("other"))
        os.mkdir(folder.path("fresh"))
        same = os.stat(folder.path("fresh")).st_ino == ino
        for number in range(5):
            folder.write(f"fresh/file{number}", b"%07d" % attempt)
        look(folder, hashed=5)
        os.rename(folder.path("fresh"), folder.path("other"))
        look(folder, hashed=0)
        if same and attempt > 3:
            break


def test_logical_values_go_with_a_renamed_directory(folder: Watched) -> None:
    rows = [row._replace(perm=0o600, mtime_ns=77) if row.name == b"file2" else row for row in folder.index.rows(b"a")]
    made = chain(folder.index, {b"a": rows})
    folder.index.rebase(made.changed.values(), made.gone, made.root)
    os.rename(folder.path("a"), folder.path("moved"))
    folder.write("moved/file1", b"so that it is compared row by row")
    entry = folder.entries(folder.record())[b"moved/file2"]
    assert (entry.perm, entry.mtime_ns) == (0o600, 77)


def test_a_full_scan_takes_nothing_over(folder: Watched) -> None:
    os.rename(folder.path("a"), folder.path("moved"))
    assert folder.scan(full=True).hashed_files == 21


def test_other_rules_may_hold_at_the_new_path(folder: Watched) -> None:
    folder.write(".replicanignore", b"/moved/file*\n/moved/b/c/\n")
    folder.record()
    os.rename(folder.path("a"), folder.path("moved"))
    seen = folder.record()
    entries = folder.entries(seen)
    assert b"moved/b/file0" in entries
    assert b"moved/link" in entries
    assert b"moved/file0" not in entries
    assert b"moved/b/c" not in entries
    assert seen.hashed_files == 0
    again = folder.scan()
    assert (again.changed, again.hashed_files) == ({}, 0)


def test_an_unrecorded_directory_that_comes_to_hold_something_while_its_parent_is_renamed(folder: Watched) -> None:
    os.mkdir(folder.path("a/aside"))
    os.mkfifo(folder.path("a/aside/fifo"))
    folder.record()
    os.rename(folder.path("a"), folder.path("moved"))
    folder.write("moved/aside/file")
    seen = folder.record()
    assert b"moved/aside/file" in folder.entries(seen)
    assert seen.hashed_files == 1
    check_index(folder.index)


def test_below_a_renamed_directory_nothing_may_be_left_to_record(folder: Watched) -> None:
    """Its digest has no more of a subdirectory than name, mode and inode: what is in that is seen there."""
    folder.write("old/sub/file", b"x")
    folder.record()
    os.rename(folder.path("old"), folder.path("new"))
    os.unlink(folder.path("new/sub/file"))
    os.mkfifo(folder.path("new/sub/fifo"))
    seen = folder.observe()
    check_index(folder.index)
    assert {path for path in folder.entries(seen) if path.startswith((b"old", b"new"))} <= {b"new"}
