"""Files that are old or new, whole."""

import errno
import os
from pathlib import Path

import pytest

from replican.effects import durable
from replican.values.errors import DamagedError, FolderError, NoSpaceError


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    durable.replace_file(str(path), b"old")
    durable.replace_file(str(path), b"new" * 100_000)
    assert path.read_bytes() == b"new" * 100_000
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_a_failed_replacement_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    durable.replace_file(str(path), b"old")

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        durable.replace_file(str(path), b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_directories_are_made_for_their_owner_only(tmp_path: Path) -> None:
    durable.make_directory(f"{tmp_path}/a/b/c")
    durable.make_directory(f"{tmp_path}/a/b/c")
    assert (tmp_path / "a" / "b" / "c").stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        durable.make_directory(f"{tmp_path}/file/d")


def test_a_leftover_temporary_file_is_in_nobodys_way(tmp_path: Path) -> None:
    fd, path = durable.create_temporary(str(tmp_path))
    os.close(fd)
    number = int(path.rpartition("-")[2])
    for ahead in (1, 2, 3):
        (tmp_path / f"{durable.TEMPORARY_PREFIX}{os.getpid()}-{number + ahead}").write_bytes(b"")
    fd, path = durable.create_temporary(str(tmp_path))
    os.close(fd)
    assert path.endswith(f"-{number + 4}")


def test_a_full_disk_is_told_from_the_rest() -> None:
    for code in (errno.ENOSPC, errno.EDQUOT):
        error = durable.explain(OSError(code, os.strerror(code)), "write /x")
        assert isinstance(error, NoSpaceError)
    error = durable.explain(OSError(errno.EROFS, os.strerror(errno.EROFS)), "write /x")
    assert isinstance(error, FolderError)
    assert error.message == "cannot write /x: read-only file system"


def test_a_folder_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    """What is unmounted in the middle of a command would get a `.replican` of its own on the bare mount point."""
    gone = tmp_path / "gone/.replican"
    with pytest.raises(FileNotFoundError):
        durable.make_directory(str(gone / "refs/remotes/origin"))
    assert os.listdir(tmp_path) == []
    gone.mkdir(parents=True)
    durable.make_directory(str(gone / "refs/remotes/origin"))
    assert (gone / "refs/remotes/origin").is_dir()


def test_what_is_something_else_is_told_from_what_cannot_be_had(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "file").write_text("x")
    for name in ("fifo", "link", ""):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - which one is looked at next
            durable.open_file(str(tmp_path / name))
        assert isinstance(durable.explain(caught.value, "read"), DamagedError)
    for name in ("file", "link"):
        os.close(durable.open_file(str(tmp_path / name), follow=True))
    for name in ("file", "link", "fifo"):
        with pytest.raises(DamagedError):
            durable.open_shelf(str(tmp_path / name))
