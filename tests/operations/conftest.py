"""What the tests of this folder share."""

from pathlib import Path

import pytest
from false_ssh import false_ssh
from worlds import KINDS, World


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A folder with a remote, of each kind in turn."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REPLICAN_AUTHOR_NAME", "tester")
    monkeypatch.setenv("REPLICAN_SSH", str(false_ssh(tmp_path)))
    return World(tmp_path, KINDS[request.param])
