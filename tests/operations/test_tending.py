"""gc: what stays."""

import os
import time
from pathlib import Path

import pytest
from small_repository import SmallRepository

from replican.operations.tending import reachable, tend
from replican.values.errors import DamagedError, NotFoundError


@pytest.fixture
def small(tmp_path: Path) -> SmallRepository:
    return SmallRepository(tmp_path / "replica")


def test_what_refs_and_reflogs_name_stays(small: SmallRepository) -> None:
    one = small.user(None, "a=1 d/b=2")
    two = small.user(one, "a=2")
    other = small.user(None, "x=1", head=False)
    small.set_ref("remotes/origin/head", other)
    former = small.user(one, "was=1")
    small.set_ref("head", two)  # by hand: only the reflog knows `former`
    stray = small.user(one, "stray=1", head=False)
    with small.open() as repo:
        keep = reachable(repo)
        assert {one, two, other, former} <= keep
        assert stray not in keep
        trees = {repo.checkpoint(each).tree for each in (one, two, other, former)}
        assert trees <= keep
        assert repo.tree(repo.checkpoint(one).tree)[1].id in keep


def test_what_nothing_names_goes_after_the_grace(small: SmallRepository) -> None:
    one = small.user(None, "")
    stray = small.user(one, "", "stray", head=False)
    with small.open() as repo:
        assert tend(repo).dropped == 0
        assert tend(repo, grace_days=0, dry_run=True).dropped == 1
        assert repo.objects.has(stray)
        assert tend(repo, grace_days=0).dropped == 1
        assert not repo.objects.has(stray)
        assert repo.objects.has(one)


def test_a_log_with_a_gap_is_left_alone(small: SmallRepository) -> None:
    one = small.user(None, "")
    small.user(one, "", "two")
    stray = small.user(None, "", "stray", head=False)
    (small.root / ".replican/objects/loose" / one.hex()).unlink()
    with small.open() as repo:
        with pytest.raises((NotFoundError, DamagedError)):
            tend(repo, grace_days=0)
        assert repo.objects.has(stray)


def test_what_was_brought_ahead_goes_once_it_is_old(small: SmallRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    small.user(None, "a=1")
    with small.open() as repo:
        place = Path(repo.dotdir) / "ahead/origin"
        place.mkdir(parents=True)
        (place / ("ab" * 32)).write_text("content")
        assert tend(repo).stage == 0
        now = time.time()
        monkeypatch.setattr("time.time", lambda: now + 2 * 86400)
        assert tend(repo, dry_run=True).stage == 1
        assert tend(repo).stage == 1
        assert os.listdir(place) == []
