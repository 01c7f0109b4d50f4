"""What the tests of plumbing commands share."""

from pathlib import Path

import pytest
from in_process import InProcess
from small_repository import SmallRepository


@pytest.fixture(autouse=True)
def nothing_of_the_user(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("REPLICAN_AUTHOR_DATE", raising=False)
    monkeypatch.setenv("REPLICAN_AUTHOR_NAME", "tester")


@pytest.fixture
def small(tmp_path: Path) -> SmallRepository:
    """A repository whose log is written by hand."""
    return SmallRepository(tmp_path / "replica")


@pytest.fixture
def run(small: SmallRepository) -> InProcess:
    """The command line, within this process and in that repository."""
    return InProcess(small.root)
