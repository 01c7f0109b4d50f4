"""The order of what is made durable, read from a trace: nothing may outlive what it stands for.

A file takes a user's name only once its data are flushed; a ref moves only once the objects, their directory and the
line of its reflog are; a name of the user's changes only once the journal is; and the journal is cleared, with rows
noted, only once the directories in which something was renamed are.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import faults
import pytest
from folders import write
from replicas import OLD
from tracing import Call, trace

pytestmark = pytest.mark.skipif(faults.why_not() is not None, reason=str(faults.why_not()))


def is_flushed(calls: Sequence[Call], after: int, before: int, path: str) -> bool:
    """Whether ``path`` was flushed, itself or with its whole file system, by what began when the call ``after`` was
    done, and was done when the call ``before`` began: there are several processes."""
    return any(
        call.began > after and (call.name == "syncfs" or (call.name in ("fsync", "fdatasync") and path in call.paths))
        for call in calls[max(after, 0) : calls[before].began]
    )


def flushed_before(calls: Sequence[Call], at: int, path: str) -> bool:
    """Whether ``path`` was flushed after it was last written to."""
    written = max((i for i in range(at) if "write" in calls[i].name and path in calls[i].paths), default=-1)
    return is_flushed(calls, written, at, path)


@pytest.mark.parametrize("files", [3, 80], ids=["few", "many"])
def test_nothing_outlives_what_it_stands_for(
    cli, tmp_path: Path, environment: Mapping[str, str], program: Sequence[str], files: int
) -> None:
    for number in range(files):
        write(tmp_path / f"a/d{number % 3}/{number}", f"old {number}")
    for number in range(3):
        write(tmp_path / f"a/kept/{number}", "as it is", OLD)
    (tmp_path / "a/kept/link").symlink_to("0")
    cli("clone", "a", "b")
    for number in range(files):
        write(tmp_path / f"a/d{number % 3}/{number}", f"new, {number}")
    for number in range(3):
        os.utime(tmp_path / f"a/kept/{number}", ns=(OLD, OLD + 1 + number))
    if files > 3:  # it cannot be flushed by itself
        os.utime(tmp_path / "a/kept/link", ns=(OLD, OLD), follow_symlinks=False)
    write(tmp_path / "a/fresh/deep/file", "new")
    calls = trace(program, ["-C", "b", "sync"], environment, tmp_path)
    b = str(tmp_path / "b")
    dot, stage = f"{b}/.replican", f"{b}/.replican/stage"
    index = [
        i for i, call in enumerate(calls) if call.name == "fdatasync" and call.paths[0].startswith(f"{dot}/index.db")
    ]

    placed = [
        i
        for i, call in enumerate(calls)
        if call.name.startswith("rename")
        and call.paths[0].startswith(stage + "/")
        and call.paths[-1].startswith(b + "/")
        and not call.paths[-1].startswith(dot)
    ]
    assert len(placed) >= files + 1, "each file, and the new directory"
    for i in placed:
        source = calls[i].paths[0]
        inside = [path for call in calls[:i] if "write" in call.name for path in call.paths if is_in(path, source)]
        for path in {*inside}:
            assert flushed_before(calls, i, path), f"{path} takes a user's name before its data are durable"

    moved = [i for i, call in enumerate(calls) if call.name == "rename" and call.paths[-1] == f"{dot}/refs/head"]
    (head,) = moved
    assert head < placed[0], "the merge is recorded before the folder is changed"
    objects = [i for i, call in enumerate(calls) if call.name == "rename" and f"{dot}/objects/" in call.paths[-1]]
    assert objects
    for i in objects:
        assert i < head
        assert flushed_before(calls, i, calls[i].paths[0]), "an object has its name before its bytes"
    directory = str(Path(calls[objects[-1]].paths[-1]).parent)
    assert is_flushed(calls, objects[-1], head, directory)
    assert flushed_before(calls, head, f"{dot}/refs/head.log"), "the reflog comes before the ref"

    assert any(head < i < placed[0] for i in index), "the journal is durable before the first change"
    after = next(i for i in index if i > placed[-1])
    for parent in {str(Path(calls[i].paths[-1]).parent) for i in placed}:
        i = max(i for i in placed if str(Path(calls[i].paths[-1]).parent) == parent)
        assert is_flushed(calls, i, after, parent), f"{parent} is not flushed before its rows are noted"
    touched = [i for i, call in enumerate(calls) if call.name == "utimensat" and f"{b}/kept/" in call.paths[0]]
    assert len(touched) == (3 if files == 3 else 4)
    for i in touched:
        after = next(at for at in index if at > i)
        assert is_flushed(calls, i, after, calls[i].paths[0]), (
            "a file's new time is not flushed before its row is noted"
        )


def test_attributes_that_are_restored_are_flushed(
    cli, tmp_path: Path, environment: Mapping[str, str], program: Sequence[str]
) -> None:
    file = write(tmp_path / "a/d/file", "as it is", OLD)
    cli("init", "a")
    cli("-C", "a", "commit")
    os.utime(file, ns=(OLD, OLD + 1))
    calls = trace(program, ["-C", "a", "restore", "d/file"], environment, tmp_path)
    (touched,) = [i for i, call in enumerate(calls) if call.name == "utimensat" and call.paths == [str(file)]]
    assert is_flushed(calls, touched, len(calls) - 1, str(file))


@pytest.mark.parametrize("what", ["directories", "files"])
def test_all_file_systems_below_a_folder_are_flushed(
    tmp_path: Path, environment: Mapping[str, str], program: Sequence[str], what: str
) -> None:
    names = [os.fsencode(f"{place}{number}") for place in ("", "sub/") for number in range(70)]
    (tmp_path / "sub").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path / "sub"], capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system needs root")
    try:
        for name in map(os.fsdecode, names):
            (tmp_path / name).mkdir() if what == "directories" else (tmp_path / name).touch()
        flush = f"from replican.effects.worktree import Directories\nDirectories({str(tmp_path)!r}).flush({names!r})"
        calls = trace([str(Path(program[0]).with_name("python")), "-c"], [flush], environment, tmp_path)
    finally:
        subprocess.run(["umount", tmp_path / "sub"], check=True)
    flushed = [Path(call.paths[0]) for call in calls if call.name == "syncfs"]
    assert len(flushed) == 2
    assert sum(tmp_path / "sub" in (path, *path.parents) for path in flushed) == 1


def is_in(path: str, place: str) -> bool:
    return path == place or path.startswith(place + "/")
