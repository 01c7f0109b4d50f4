"""An answerer that lies about the files that it sends early."""

import os
import random
import shutil
from pathlib import Path

import pytest
from folders import noise, write
from lying import Overheard, Told, damaged

from replican.effects.config import RemoteSettings
from replican.operations import remotes
from replican.operations.checking import check
from replican.operations.recording import record
from replican.operations.syncing import pull
from replican.repository import Repository
from replican.values.errors import ReplicanError


def test_an_answerer_that_lies_about_what_comes_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte of what is said while an edited file comes may be another one: no byte makes another file of it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REPLICAN_AUTHOR_NAME", "tester")
    there, start = tmp_path / "there", tmp_path / "start"
    first, old = noise(2 << 20), noise(2 << 20) + noise(10_000)
    new = noise(50_000) + old + noise(70_000)
    write(there / "folder/other", first)
    with Repository.init(str(there)) as repo:
        record(repo)

    def pulled(folder: Path, said: bytes | None = None) -> bytes:
        link = Overheard(there) if said is None else Told(said)
        monkeypatch.setattr(remotes, "start", lambda *_: link)
        with Repository(str(folder)) as repo:
            pull(repo, "origin")
        return link.said if isinstance(link, Overheard) else b""

    with Repository.init(str(start)) as repo:
        repo.config.set_remote("origin", RemoteSettings("host:there"))
    pulled(start)
    write(there / "folder/other", old)
    pulled(start)  # by blocks, which both know from now on
    write(there / "folder/other", new)
    shutil.copytree(start, tmp_path / "honest")
    said = pulled(tmp_path / "honest")
    assert (tmp_path / "honest/folder/other").read_bytes() == new
    assert len(said) < 600_000
    rng = random.Random(13)
    outcomes = set()
    for number in range(50):
        here = tmp_path / f"here{number}"
        shutil.copytree(start, here)
        try:
            pulled(here, damaged(said, rng) if number else said)
            outcomes.add("came" if (here / "folder/other").read_bytes() == new else "did not")
        except ReplicanError as error:
            outcomes.add(error.code)
        assert (here / "folder/other").read_bytes() in (old, new)
        assert not [name for name in os.listdir(here / ".replican/stage") if "early-" in name]
        with Repository(str(here)) as repo:
            assert check(repo, content=True).damage == []
        shutil.rmtree(here)
    assert {"came", "protocol", "link"} <= outcomes
