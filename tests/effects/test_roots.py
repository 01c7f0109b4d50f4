"""Where replicas are: the one that a folder lies in, and none that only lies around it."""

import os
from pathlib import Path

import pytest
import scanning
from folders import write

from replican.effects.roots import check_not_nested, find_root, is_replica, outer_replica
from replican.repository import Repository
from replican.values.errors import DamagedError, NoRepositoryError, RefusedError, ReplicanError


@pytest.fixture
def outer(tmp_path: Path) -> Path:
    """A replica with a replica in it, ``inner``, and a plain folder, ``plain/deep``."""
    write(tmp_path / "outer/plain/deep/file", "x")
    write(tmp_path / "outer/inner/below/file", "y")
    for root in ("outer", "outer/inner"):
        Repository.init(str(tmp_path / root)).close()
    return tmp_path / "outer"


def told(directory: Path) -> tuple[str, str]:
    """What somebody is told who is bound by permissions: the root, or an error."""

    def find() -> tuple[str, str]:
        try:
            return "", find_root(str(directory))
        except ReplicanError as error:
            return error.code, error.message

    found = scanning.as_nobody(find, scanning.bound_by_permissions)
    assert isinstance(found, tuple)
    return found


def test_the_nearest_is_found(outer: Path) -> None:
    assert find_root(str(outer / "plain/deep")) == str(outer)
    assert find_root(str(outer / "inner/below")) == str(outer / "inner")
    assert outer_replica(str(outer / "inner")) == str(outer)
    assert outer_replica(str(outer / "plain/none/at/all")) == str(outer)
    with pytest.raises(NoRepositoryError):
        find_root(str(outer.parent))
    assert outer_replica(str(outer)) is None


def test_one_that_may_not_be_read_is_not_passed_over(outer: Path) -> None:
    """Whoever commits in it would record the folder around it, and be told that all is recorded."""
    dotdir = outer / "inner/.replican"
    dotdir.chmod(0)
    try:
        assert told(outer / "inner/below") == ("folder", f"cannot read {dotdir}: permission denied")
        assert told(outer / "plain") == ("", str(outer))
    finally:
        dotdir.chmod(0o700)
    assert told(outer / "inner/below") == ("", str(outer / "inner"))


def test_nor_is_one_without_its_settings(outer: Path) -> None:
    (outer / "inner/.replican/config.toml").unlink()
    write(outer / "inner/.replican/refs/head", "0" * 64)
    assert not is_replica(str(outer / "inner"))
    with pytest.raises(DamagedError):
        find_root(str(outer / "inner/below"))


def test_a_link_is_none(outer: Path) -> None:
    os.symlink(outer / "inner/.replican", outer / "plain/.replican")
    assert not is_replica(str(outer / "plain"))
    assert find_root(str(outer / "plain/deep")) == str(outer)


def test_what_would_lie_in_another(outer: Path) -> None:
    with pytest.raises(RefusedError) as caught:
        check_not_nested(str(outer / "plain"))
    assert str(outer) in caught.value.message
    assert caught.value.hint == f"if that is meant, run `replican init --nested {outer}/plain` first"
    check_not_nested(str(outer))
