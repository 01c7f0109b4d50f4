"""Scans of real folders: what is found, whatever a folder may hold."""

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from scanning import Watched, assert_found, assert_quiet, fill

from replican.effects.index import ASIDE
from replican.effects.index_check import check_index
from replican.effects.scan import scan
from replican.values.errors import NoRepositoryError
from replican.values.ids import EMPTY_TREE
from replican.values.progress import Problem


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path)
    yield watched
    watched.close()


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
    check_index(folder.index)


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
