"""What a courier brings ahead of a merge over a link: what the merge will want, and nothing else."""

import os
from pathlib import Path

import pytest
from folders import noise, write
from links import CutLinks

from replican.operations.ahead import AHEAD, LITTLE, bring_ahead
from replican.operations.fetching import fetch_from
from replican.operations.recording import record
from replican.operations.remotes import opened_remote

OLD = noise(LITTLE + 100_000)
NEW = noise(LITTLE + 100_000, 2)


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CutLinks:
    """Two folders in step, with a large file."""
    links = CutLinks(tmp_path, monkeypatch)
    write(links.there / "large", OLD)
    links.pull()
    return links


def brought(links: CutLinks) -> list[str]:
    with links.open() as repo, opened_remote(repo, "origin") as remote:
        record(repo)
        remote.refresh()
        fetch_from(repo, remote)
        bring_ahead(repo, remote)
    place = links.here / ".replican" / AHEAD / "origin"
    return os.listdir(place) if place.exists() else []


def test_what_was_edited_over_there(links: CutLinks) -> None:
    write(links.there / "large", NEW)
    assert len(brought(links)) == 1


def test_the_old_version_of_what_was_edited_here_is_not_asked_for(links: CutLinks) -> None:
    write(links.here / "large", NEW)
    assert brought(links) == []
