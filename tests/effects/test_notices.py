"""Who is writing to what, and a directory taken apart."""

import mmap
import os
import sys
from pathlib import Path

import pytest

from replican.effects.notices import Notices, open_watcher, spread, writers
from replican.values.errors import UnsupportedError

ON_LINUX = sys.platform.startswith("linux")


@pytest.mark.skipif(not ON_LINUX, reason="only Linux tells")
def test_who_has_a_file_open_for_writing(tmp_path: Path) -> None:
    for name in ("idle", "read", "written", "mapped"):
        (tmp_path / name).write_text("content")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("written")
    paths = [os.fsencode(path.name) for path in tmp_path.iterdir()] + [b"nothing", b"nowhere/f"]
    with open(tmp_path / "mapped", "r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    with open(tmp_path / "read", "rb"), open(tmp_path / "written", "ab"):
        found = writers(str(tmp_path), paths)
    assert {path for path, written in found.items() if written} == {b"written", b"mapped"}
    assert None not in found.values()
    mapped.close()
    assert set(writers(str(tmp_path), paths).values()) == {False}


def test_a_file_is_not_changed_by_asking(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("content")
    before = os.stat(tmp_path / "f")
    writers(str(tmp_path), [b"f"])
    after = os.stat(tmp_path / "f")
    assert (after.st_ctime_ns, after.st_mtime_ns) == (before.st_ctime_ns, before.st_mtime_ns)


def test_a_directory_without_some_of_what_it_holds(tmp_path: Path) -> None:
    for name in ("a/b/c", "a/d", "e"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("a/b/c/f", "a/b/c/g", "a/b/h", "a/i", "e/j", "k"):
        (tmp_path / name).write_text("")
    root = str(tmp_path)
    assert set(spread(root, b"a", [b"a/b/c/f"])) == {b"a/b/c/g", b"a/b/h", b"a/d", b"a/i"}
    assert set(spread(root, b"", [b"a/i", b"k"])) == {b"a/b", b"a/d", b"e"}
    assert spread(root, b"e", [b"e/j"]) == []
    assert spread(root, b"gone", [b"gone/x"]) == [b"gone"]


@pytest.mark.skipif(not ON_LINUX, reason="elsewhere there may be none")
def test_a_watcher_for_this_system(tmp_path: Path) -> None:
    watcher = open_watcher(str(tmp_path), lambda path: False)
    try:
        (tmp_path / "f").write_text("")
        assert watcher.drain() == Notices({b"f"}, set(), set(), set(), False, [])
        assert not watcher.drain()
    finally:
        watcher.close()


@pytest.mark.skipif(not ON_LINUX, reason="elsewhere there may be none")
def test_no_more_watchers_for_this_user(tmp_path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(UnsupportedError, match="no more folders"):
            open_watcher(str(tmp_path), lambda path: False)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
