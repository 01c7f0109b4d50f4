"""A remote on another machine is reached while its opener still makes ready, and nothing is left of that."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from false_ssh import false_ssh
from folders import assert_equal, write

from replican.effects.config import RemoteSettings
from replican.operations.remotes import opened_remote, reaching
from replican.operations.syncing import pull
from replican.repository import Repository
from replican.values.errors import LinkError, UnknownRemoteError

Launches = Callable[[], list[int]]


@pytest.fixture
def launches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Launches:
    """The processes that were run in the place of ssh, so far."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    noted, program = tmp_path / "launches", tmp_path / "noting-ssh"
    program.write_text(f'#!/bin/sh\necho $$ >> {noted}\nexec {false_ssh(tmp_path)} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("REPLICAN_SSH", str(program))

    def taken() -> list[int]:
        return [int(line) for line in noted.read_text().split()] if noted.exists() else []

    return taken


@pytest.fixture
def here(tmp_path: Path) -> Repository:
    there = tmp_path / "there"
    Repository.init(str(there)).close()
    write(there / "letter", b"dear")
    repo = Repository.init(str(tmp_path / "here"))
    repo.config.set_remote("origin", RemoteSettings(f"host:{there}"))
    repo.config.set_remote("beside", RemoteSettings(str(there)))
    return repo


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_who_opens_it_finds_it_begun(here: Repository, launches: Launches, tmp_path: Path) -> None:
    with here, reaching(here, "origin"):
        assert list(here.launched) == ["origin"]
        pull(here, "origin")
        assert not here.launched
    assert_equal(tmp_path / "here", tmp_path / "there")
    assert len(launches()) == 1
    assert not is_there(launches()[0])


def test_who_opens_it_again_begins_anew(here: Repository, launches: Launches) -> None:
    with here, reaching(here, "origin"):
        for _ in range(2):
            pull(here, "origin")
    assert len(launches()) == 2


def test_what_nobody_opens_is_ended(here: Repository, launches: Launches) -> None:
    with here, reaching(here, "origin"):
        with opened_remote(here, "origin"):
            pass  # nothing was asked, so nothing was said
        source = here.launched["origin"].source
        assert os.read(source, 8)  # it says hello
    assert not here.launched
    (pid,) = launches()
    assert not is_there(pid)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(source)


def test_a_folder_here_is_not_reached(here: Repository, launches: Launches) -> None:
    with here, reaching(here, "beside"):
        assert not here.launched
    assert not launches()


def test_what_is_in_the_way_is_said_when_it_is_opened(
    here: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REPLICAN_SSH", str(tmp_path / "no such program"))
    with here, reaching(here, "origin"), pytest.raises(LinkError, match="cannot run"):
        pull(here, "origin")
    with here, reaching(here, "nobody"), pytest.raises(UnknownRemoteError):
        pull(here, "nobody")
