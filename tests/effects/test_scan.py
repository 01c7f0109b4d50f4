"""Scans of real folders: what is found, what is read for it, and what stands though it could not be seen."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import scanning
from scanning import Watched

from replican.effects.assemble import chain
from replican.effects.index import ASIDE, Index
from replican.effects.scan import Scan, scan
from replican.values.errors import NoRepositoryError
from replican.values.ids import EMPTY_TREE
from replican.values.listing import SMUDGED
from replican.values.progress import Problem, Silent


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path)
    yield watched
    watched.close()


def assert_found(folder: Watched, seen: Scan) -> None:
    """What a scan found is what the disk holds."""
    assert scanning.plain(folder.entries(seen)) == scanning.on_disk(folder.root)


def assert_quiet(folder: Watched) -> None:
    """A second look finds nothing, and reads nothing."""
    seen = folder.scan()
    assert (seen.changed, seen.gone, seen.payloads, seen.hashed_files) == ({}, [], {}, 0)
    assert seen.root == folder.index.observed_root()


def fill(folder: Watched) -> None:
    for directory in ("", "a/", "a/b/", "c/"):
        for number in range(3):
            folder.write(f"{directory}file{number}", f"{directory}{number}".encode())


# -- what a folder may hold -------------------------------------------------------------------------------------------


def test_an_empty_folder(folder: Watched) -> None:
    seen = folder.record()
    assert (seen.root, seen.files, seen.size) == (EMPTY_TREE, 0, 0)
    assert_quiet(folder)


def test_files_and_directories(folder: Watched) -> None:
    fill(folder)
    seen = folder.record()
    assert_found(folder, seen)
    assert (seen.files, seen.hashed_files) == (12, 12)
    assert seen.size == seen.hashed_size == sum(len(f"{d}{n}") for d in ("", "a/", "a/b/", "c/") for n in range(3))
    assert_quiet(folder)
    folder.index.check()


def test_names_of_every_kind(folder: Watched) -> None:
    names = [
        b"\xff\xfe",
        b"new\nline",
        b"tab\t",
        b"\x1b[31m",
        b"-rf",
        b" ",
        b"a" * 255,
        "é".encode(),
        "e\u0301".encode(),
    ]
    names += [b"\xf0\x9f\x98\x80", b".hidden", b"...", b".replican-", b".replicated", b"x.replican", b"*?[", b"\\"]
    for name in names:
        folder.write(name, name)
        folder.write(b"in " + name[:200] + b"/" + name, name)
    assert_found(folder, folder.record())
    assert_quiet(folder)


def test_permissions(folder: Watched) -> None:
    for perm in (0o000, 0o400, 0o600, 0o644, 0o755, 0o777, 0o604):
        os.chmod(folder.write(f"file{perm:o}", b"x"), perm)
        os.mkdir(folder.path(f"dir{perm:o}"))
        if perm & 0o500 == 0o500:
            os.chmod(folder.path(f"dir{perm:o}"), perm)
    os.chmod(folder.write("set-id", b"x"), 0o6755)
    seen = folder.record() if os.geteuid() == 0 else folder.scan()
    entries = folder.entries(seen)
    assert entries[b"set-id"].perm == 0o755
    assert {entry.perm for entry in entries.values()} >= {0o400, 0o644, 0o755, 0o604}


@pytest.mark.parametrize(
    "mtime_ns", [0, 1, -1, -1_000_000_001, -(2**31) * 10**9, 1_234_567_890_123_456_789, 253402300799 * 10**9]
)
def test_times_in_ns_and_before_1970(folder: Watched, mtime_ns: int) -> None:
    path = folder.write("file")
    os.utime(path, ns=(0, mtime_ns))
    os.symlink("file", folder.path("link"))
    os.utime(folder.path("link"), ns=(0, mtime_ns), follow_symlinks=False)
    kept = os.stat(path).st_mtime_ns
    seen = folder.record()
    assert [entry.mtime_ns for entry in folder.entries(seen).values()] == [min(kept, 2**63 - 1)] * 2
    assert_quiet(folder)


def test_links_are_data(folder: Watched, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    folder.write("dir/file")
    for name, target in [
        ("to-dir", "dir"), ("to-file", "dir/file"), ("dangling", "nowhere"), ("out", str(outside)), ("loop", "loop"),
        ("dir/up", ".."), ("long", "x" * 4000),
    ]:  # fmt: skip
        os.symlink(target, folder.path(name))
    os.symlink(b"\xff\n", folder.path(b"bytes"))
    seen = folder.record()
    assert_found(folder, seen)
    assert not any(b"secret" in path for path in folder.entries(seen))
    assert not seen.problems
    assert_quiet(folder)


def test_empty_directories_are_recorded(folder: Watched) -> None:
    os.makedirs(folder.path("a/b/c"))
    seen = folder.record()
    assert set(folder.entries(seen)) == {b"a", b"a/b", b"a/b/c"}
    assert_quiet(folder)


def test_sparse_files_and_hard_links(folder: Watched) -> None:
    with open(folder.path("sparse"), "wb") as file:
        file.truncate(5_000_000)
    os.link(folder.path("sparse"), folder.path("twin"))
    os.link(folder.write("d/one", b"same"), folder.path("two"))
    assert_found(folder, folder.record())
    assert_quiet(folder)
    # Written through one name, it is seen through both.
    folder.write("two", b"other")
    seen = folder.record()
    assert_found(folder, seen)
    assert seen.hashed_files == 2


def test_what_is_special_is_skipped_and_never_opened(folder: Watched) -> None:
    os.mkfifo(folder.path("fifo"))
    os.mkdir(folder.path("only"))
    os.mkfifo(folder.path("only/fifo"))
    listener = socket.socket(socket.AF_UNIX)
    where = os.getcwd()
    os.chdir(folder.root)
    try:
        listener.bind("socket")
    finally:
        os.chdir(where)
    folder.write("file")
    opened = threading.Event()

    def write() -> None:
        # Waits until somebody opens the FIFO for reading.
        os.close(os.open(folder.path("fifo"), os.O_WRONLY))
        opened.set()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    seen = folder.record()
    listener.close()
    assert not opened.is_set()
    assert set(folder.entries(seen)) == {b"file"}
    assert seen.skipped == [Problem(path, "special file") for path in (b"fifo", b"only/fifo", b"socket")]
    assert not seen.problems
    again = folder.scan()
    assert again.skipped == [], "said once"
    assert_quiet(folder)
    assert not opened.is_set()
    os.close(os.open(folder.path("fifo"), os.O_RDONLY | os.O_NONBLOCK))
    writer.join()


def test_deep_trees_need_neither_recursion_nor_many_descriptors(folder: Watched) -> None:
    depth = 1500
    fd = os.open(folder.root, os.O_RDONLY)
    for level in range(depth):
        os.mkdir("d", dir_fd=fd)
        if level % 500 == 0:
            os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
            os.mkdir("z", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    before = set(os.listdir("/proc/self/fd"))
    try:
        seen = folder.record()
        assert len(folder.entries(seen)) == depth + 3 + 3
        assert_quiet(folder)
        assert set(os.listdir("/proc/self/fd")) == before
    finally:
        subprocess.run(["rm", "-rf", folder.root], check=True)
        folder.root.mkdir()


def test_no_folder(folder: Watched, tmp_path: Path) -> None:
    with pytest.raises(NoRepositoryError):
        scan(str(tmp_path / "nowhere"), folder.index)
    (tmp_path / "file").touch()
    with pytest.raises(NoRepositoryError):
        scan(str(tmp_path / "file"), folder.index)


def test_what_is_ours_is_not_seen(folder: Watched) -> None:
    folder.write(".replican/config.toml")
    folder.write(".replican-tmp-123")
    folder.write("d/.replican-tmp-123")
    folder.write("file")
    seen = folder.record()
    assert set(folder.entries(seen)) == {b"file", b"d"}
    folder.write(".replican/more")
    folder.write(".replican-tmp-124")
    assert_quiet(folder)


@pytest.mark.parametrize("name", [".REPLICAN", ".Replican", "\uff0ereplican", ".repl\u200bican"])
def test_names_that_fold_to_ours_are_skipped(folder: Watched, name: str) -> None:
    folder.write(f"{name}/file")
    folder.write(f"d/{name}")
    folder.write("d/file")
    seen = folder.record()
    assert set(folder.entries(seen)) == {b"d", b"d/file"}
    assert {problem.cause for problem in seen.skipped} == {"name not allowed"}
    assert_quiet(folder)


def test_a_replica_within_is_left_alone(folder: Watched) -> None:
    folder.write("nested/.replican/config.toml")
    folder.write("nested/file")
    folder.write("nested/sub/file")
    seen = folder.record()
    assert folder.entries(seen) == {}
    assert seen.skipped == [Problem(b"nested", "nested replica")]
    again = folder.scan()
    assert (again.changed, again.skipped) == ({}, [])
    shutil.rmtree(folder.path("nested/.replican"))
    assert set(folder.entries(folder.record())) == {b"nested", b"nested/file", b"nested/sub", b"nested/sub/file"}
    assert_quiet(folder)


# -- changes ----------------------------------------------------------------------------------------------------------


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
    folder.index.check()


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
    folder.index.check()


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
    for number in range(600):
        folder.write(f"{number % 7}/{number % 3}/file{number}", b"%d" % number)
    seen = folder.scan(workers=workers)
    folder.index.observe(seen.changed.values(), seen.gone, seen.root)
    assert_found(folder, seen)
    assert seen.hashed_files == 600
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


# -- not seen is not deleted ---------------------------------------------------------------------------------


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
    folder.index.check()


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
        assert first.mounts_gone == []
        assert_quiet(folder)
    finally:
        subprocess.run(["umount", folder.path("disk")], check=True)
    seen = folder.observe()
    assert seen.mounts_gone == [b"disk"]
    assert folder.scan().mounts_gone == [b"disk"], "as long as the base has it"
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
    folder.index.check()
    assert_quiet(folder)


def test_never_through_a_link(folder: Watched, tmp_path: Path) -> None:
    """A directory that is swapped for a link right after it was listed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    folder.write("dir/file")
    folder.record()
    real = os.open

    def swapping(path: object, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "dir" and not os.path.islink(folder.path("dir")):
            shutil.rmtree(folder.path("dir"))
            os.symlink(outside, folder.path("dir"))
        return real(path, flags, mode, dir_fd=dir_fd)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", swapping)
        seen = folder.observe()
    assert seen.problems == [Problem(b"dir", "changed while read")]
    assert set(folder.entries(seen)) == {b"dir", b"dir/file"}, "what is known stands until the next look"
    assert set(folder.entries(folder.observe())) == {b"dir"}


def test_aside(folder: Watched) -> None:
    """A directory with nothing to record in it is known to the index, and to nobody else."""
    os.mkdir(folder.path("d"))
    os.mkfifo(folder.path("d/fifo"))
    seen = folder.record()
    assert seen.changed[b"d"].tree == ASIDE
    assert folder.index.record(b"d") is None
    assert folder.index.rows(b"") == []
    assert_quiet(folder)
    folder.write("d/sub/file")
    assert set(folder.entries(folder.record())) == {b"d", b"d/sub", b"d/sub/file"}
    shutil.rmtree(folder.path("d/sub"))
    seen = folder.record()
    assert set(folder.entries(seen)) == {b"d"}, "tracked, and so it stays, empty"
    os.unlink(folder.path("d/fifo"))
    os.rmdir(folder.path("d"))
    assert folder.entries(folder.record()) == {}
    assert_quiet(folder)
