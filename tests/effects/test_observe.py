"""Looking at some paths, finding those that changed, and that both come to what a whole scan comes to."""

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import scanning
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from indexes import totals
from scanning import Watched

from replican.effects.index_check import check_index
from replican.effects.observe import _wanted, observe_paths, poll
from replican.effects.scan import Scan, scan
from replican.values.progress import Problem


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path)
    for directory in ("", "a/", "a/b/", "c/"):
        for number in range(3):
            watched.write(f"{directory}file{number}", f"{directory}{number}".encode())
    watched.record()
    yield watched
    watched.close()


def polled(folder: Watched) -> list[bytes]:
    scanning.settle()
    return poll(str(folder.root), folder.index)


def assert_found(folder: Watched, seen: Scan) -> None:
    assert scanning.plain(folder.entries(seen)) == scanning.on_disk(folder.root)


_NAMES = st.sampled_from([b"a", b"a!", b"a0", b"b", b"..", b".replican", b"c"])


@given(st.lists(st.lists(_NAMES, min_size=1, max_size=4).map(b"/".join), max_size=12))
def test_paths_are_the_tree_of_their_names(paths: list[bytes]) -> None:
    refused = {path for path in paths if {b"..", b".replican"}.intersection(path.split(b"/"))}
    good = set(paths) - refused
    topmost = {path for path in good if not any(path.startswith(above + b"/") for above in good)}
    tree: dict[bytes, dict] = {}
    for path in topmost:
        at = tree
        for name in path.split(b"/"):
            at = at.setdefault(name, {})
    wanted, problems = _wanted(paths)
    assert (wanted, {problem.path for problem in problems}) == (tree if good else None, refused)


# -- some paths -------------------------------------------------------------------------------------------------------


def test_one_file(folder: Watched) -> None:
    folder.write("a/b/file1", b"new")
    folder.write("a/file1", b"not looked at")
    seen = folder.observe([b"a/b/file1"])
    assert set(seen.changed) == {b"", b"a", b"a/b"}
    assert (seen.hashed_files, seen.files, seen.gone) == (1, None, [])
    assert totals(folder.index)[0] == 12
    entries = folder.entries(seen)
    assert entries[b"a/b/file1"].id == scanning.blob(b"new")
    assert entries[b"a/file1"].id == scanning.blob(b"a/1")
    assert_found(folder, folder.observe([b"a/file1"]))
    check_index(folder.index)


def test_nothing_changed(folder: Watched) -> None:
    for paths in ([], [b"file1"], [b"a"], [b"a/b/file1", b"c"], [b""], [b"a/nothing"], [b"no/such/path"]):
        seen = folder.observe(paths)
        assert (seen.changed, seen.gone, seen.hashed_files) == ({}, [], 0), paths
        assert seen.files == (12 if paths == [b""] else None)
        assert seen.root == folder.index.base_root()


def test_a_directory_means_all_below_it(folder: Watched) -> None:
    folder.write("a/b/file1", b"new")
    folder.write("a/new/file", b"new")
    os.unlink(folder.path("a/file0"))
    folder.write("c/file1", b"not looked at")
    seen = folder.observe([b"a", b"a/b/file1", b"a/b"])
    assert seen.hashed_files == 2
    entries = folder.entries(seen)
    assert {b"a/new/file", b"a/new"} <= set(entries)
    assert b"a/file0" not in entries
    assert entries[b"c/file1"].id == scanning.blob(b"c/1")


def test_what_went(folder: Watched) -> None:
    os.unlink(folder.path("file0"))
    shutil.rmtree(folder.path("a"))
    shutil.rmtree(folder.path("c"))
    seen = folder.observe([b"file0", b"a/b/file1"])
    assert seen.gone == [b"a"]
    assert set(folder.entries(seen)) == {b"file1", b"file2", b"c", b"c/file0", b"c/file1", b"c/file2"}
    check_index(folder.index)
    assert_found(folder, folder.observe([b"c"]))
    check_index(folder.index)


def test_new_directories_on_the_way(folder: Watched) -> None:
    folder.write("new/deep/file", b"1")
    folder.write("new/deep/other", b"2")
    folder.write("new/beside", b"3")
    seen = folder.observe([b"new/deep/file"])
    assert {b"new", b"new/deep", b"new/deep/file"} <= set(folder.entries(seen))
    assert b"new/beside" not in folder.entries(seen)
    check_index(folder.index)
    assert_found(folder, folder.observe())


def test_a_directory_became_a_link_and_is_not_followed(folder: Watched) -> None:
    shutil.move(folder.path("a"), folder.path("elsewhere"))
    os.symlink("elsewhere", folder.path("a"))
    seen = folder.observe([b"a/b/file1"])
    assert seen.gone == [b"a"]
    assert folder.entries(seen)[b"a"].kind == b"l"
    check_index(folder.index)


def test_a_file_became_a_directory(folder: Watched) -> None:
    os.unlink(folder.path("file0"))
    folder.write("file0/below", b"new")
    assert_found(folder, folder.observe([b"file0/below"]))
    check_index(folder.index)


def test_permissions_of_a_directory(folder: Watched) -> None:
    os.chmod(folder.path("a/b"), 0o700)
    seen = folder.observe([b"a/b"])
    assert folder.entries(seen)[b"a/b"].perm == 0o700
    assert seen.hashed_files == 0


def test_rules_hold_for_paths_too(folder: Watched) -> None:
    folder.write(".replicanignore", b"*.o\nout/\n")
    folder.write("c/.replicanignore", b"*.x\n")
    folder.record()
    for name in ("x.o", "a/b/x.o", "out/file", "a/out/deep/file", "c/y.x", "a/y.x"):
        folder.write(name)
    paths = [b"x.o", b"a/b/x.o", b"out/file", b"a/out/deep/file", b"c/y.x", b"a/y.x"]
    seen = folder.observe(paths)
    assert b"a/y.x" in folder.entries(seen)
    assert not {b"x.o", b"a/b/x.o", b"out", b"a/out", b"c/y.x"} & set(folder.entries(seen))


def test_the_rules_themselves_by_path(folder: Watched) -> None:
    folder.write("a/.replicanignore", b"*.o\n")
    folder.write("a/x.o")
    folder.write("a/.replican", b"a file of that name")
    seen = folder.observe([b"a/.replicanignore", b"a/x.o"])
    assert [row.name for row in folder.index.rows(b"a")].count(b".replicanignore") == 1
    assert b"a/x.o" not in folder.entries(seen)
    assert (seen.skipped, seen.hashed_files) == ([], 1)
    check_index(folder.index)


def test_paths_that_no_tree_can_hold_are_problems(folder: Watched) -> None:
    paths = [b"../x", b"/etc", b"a//b", b".replican/config", b"a/./b", b"a/.Replican", b"x\0y"]
    seen = folder.observe(paths)
    assert seen.problems == [Problem(path, "name not allowed") for path in sorted(paths)]
    assert (seen.changed, seen.gone) == ({}, [])


def test_paths_in_a_replica_within(folder: Watched) -> None:
    folder.write("nested/.replican/x")
    folder.write("nested/file")
    seen = folder.observe([b"nested/file"])
    assert b"nested" not in folder.entries(seen)
    os.mkdir(folder.path("a/.replican"))
    folder.write("a/b/file1", b"new")
    seen = folder.observe([b"a/b/file1"])
    assert seen.problems == [Problem(b"a", "nested replica")]
    assert folder.entries(seen)[b"a/b/file1"].id == scanning.blob(b"a/b/1")


def test_a_file_observed_in_the_tick_of_its_edit_is_looked_at_again(folder: Watched) -> None:
    path = folder.write("c/file1", b"one")
    was = os.stat(path)
    folder.observe([b"c/file1"], settled=False)
    with open(path, "r+b") as file:
        file.write(b"two")
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert b"c/file1" in poll(str(folder.root), folder.index)
    assert_found(folder, folder.observe([b"c/file1"], settled=False))


# -- the poller -------------------------------------------------------------------------------------------------------


def test_poll_finds_nothing_where_nothing_changed(folder: Watched) -> None:
    assert polled(folder) == []


def test_poll_names_what_changed(folder: Watched) -> None:
    folder.write("file1", b"new")
    folder.write("new")
    os.unlink(folder.path("a/file2"))
    os.chmod(folder.path("a/b"), 0o700)
    os.utime(folder.path("a/b/file0"), ns=(0, 1))
    shutil.rmtree(folder.path("c"))
    folder.write("dir/sub/file")
    os.symlink("x", folder.path("a/link"))
    expected = [b"a/b", b"a/b/file0", b"a/file2", b"a/link", b"c", b"dir", b"file1", b"new"]
    assert polled(folder) == expected
    assert folder.index.has_observed() is False, "it only looks"
    assert_found(folder, folder.observe(expected))
    assert polled(folder) == []


def test_poll_names_the_old_and_the_new_path_of_a_renamed_directory(folder: Watched) -> None:
    os.rename(folder.path("a"), folder.path("moved"))
    assert polled(folder) == [b"a", b"moved"]
    seen = folder.observe([b"a", b"moved"])
    assert seen.hashed_files == 0
    assert_found(folder, seen)


def test_poll_reads_only_what_is_in_doubt(folder: Watched) -> None:
    folder.write("c/file1", b"one")
    folder.observe(settled=False)
    assert polled(folder) == []
    folder.write("c/file1", b"two")
    assert polled(folder) == [b"c/file1"]


def test_poll_leaves_out_what_would_not_be_recorded(folder: Watched) -> None:
    folder.write(".replicanignore", b"*.o\n")
    folder.record()
    folder.write("a/x.o")
    folder.write("only/x.o")
    os.mkfifo(folder.path("c/fifo"))
    folder.write("nested/.replican/x")
    assert polled(folder) == []


# -- both against a whole scan ----------------------------------------------------------------------------------------


def edit(folder: Watched, chance: random.Random, turn: int) -> None:
    """One random change to the folder."""
    everything = [os.fsencode(path.relative_to(folder.root)) for path in sorted(folder.root.rglob("*"))]
    directories = [
        b"",
        *[path for path in everything if os.path.isdir(folder.path(path)) and not os.path.islink(folder.path(path))],
    ]
    place = chance.choice(directories)
    name = place + (b"/" if place else b"") + chance.choice([b"x", b"y", b"z", b"d", b"e"])
    path = folder.path(name)

    def remove(path: str | bytes) -> None:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)

    match chance.randrange(8):
        case 0 | 1 | 2:
            remove(path)
            folder.write(name, b"%d" % turn)
        case 3:
            remove(path)
            os.mkdir(path)
        case 4:
            remove(path)
            os.symlink(b"target%d" % turn, path)
        case 5 if everything:
            remove(folder.path(chance.choice(everything)))
        case 6 if everything:
            old = chance.choice(everything)
            if not (name == old or name.startswith(old + b"/") or old.startswith(name + b"/")):
                remove(path)
                os.rename(folder.path(old), path)
        case 7 if everything:
            old = chance.choice(everything)
            if not os.path.islink(folder.path(old)):
                os.chmod(folder.path(old), chance.choice([0o700, 0o755, 0o711]))


@settings(
    max_examples=(settings.default or settings()).max_examples // 4,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.integers(0, 1 << 32))
def test_poll_and_observe_come_to_what_a_scan_comes_to(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    place = tmp_path / f"{seed}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    folder = Watched(place)
    try:
        for turn in range(12):
            for _ in range(chance.randrange(1, 5)):
                edit(folder, chance, turn)
            if chance.random() < 0.6:
                scanning.settle()
            root, index = str(folder.root), folder.index
            whole = scan(root, index)
            assert scanning.plain(folder.entries(whole)) == scanning.on_disk(folder.root)
            paths = poll(root, index)
            if chance.random() < 0.7:
                seen = observe_paths(root, index, paths)
                assert seen.root == whole.root
                assert seen.gone == whole.gone
            else:
                seen = whole
            index.observe(seen.changed.values(), seen.gone, seen.root)
            assert totals(index) == (whole.files, whole.size)
            if chance.random() < 0.4:
                index.promote()
            check_index(index)
            assert poll(root, index) == []
            fresh = scan(root, index, full=True)
            assert (fresh.root, fresh.gone) == (seen.root, [])
    finally:
        folder.close()
