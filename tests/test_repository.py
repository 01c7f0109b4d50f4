"""The repository as a whole: what it does when its folder is not there any more."""

from pathlib import Path

import pytest

from replican.operations.recording import record
from replican.repository import Repository
from replican.values.errors import DamagedError, NoRepositoryError


def test_another_folder_in_its_place(tmp_path: Path) -> None:
    """As after an unmount: the bare mount point must not get what was meant for the disk."""
    root = tmp_path / "root"
    Repository.init(str(root)).close()
    (root / "file").write_text("x")
    with Repository(str(root)) as repo, repo.writing("test"):
        root.rename(tmp_path / "elsewhere")
        root.mkdir()
        with pytest.raises(NoRepositoryError, match="any more"):
            repo.check_place()
    assert list(root.iterdir()) == []
    with Repository(str(tmp_path / "elsewhere")) as repo:
        record(repo)
        repo.check_place()


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    Repository.init(str(tmp_path / "root")).close()
    for name in ("objects", "refs", "trash", "stage"):
        (tmp_path / f"root/.replican/{name}").rename(tmp_path / name)
        (tmp_path / f"root/.replican/{name}").symlink_to(tmp_path / name)
        with Repository(str(tmp_path / "root")) as repo, pytest.raises(DamagedError, match="link"):
            record(repo)
        (tmp_path / f"root/.replican/{name}").unlink()
        (tmp_path / name).rename(tmp_path / f"root/.replican/{name}")
