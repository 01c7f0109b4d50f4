"""The past: what the log tells of checkpoints and of paths."""

from pathlib import Path

import pytest
from small_repository import SmallRepository

from replican.operations import history
from replican.values.ids import CheckpointId
from replican.values.paths import show


@pytest.fixture
def small(tmp_path: Path) -> SmallRepository:
    return SmallRepository(tmp_path / "replica")


def log(small: SmallRepository, *paths: str) -> list[CheckpointId]:
    with small.open() as repo:
        return [entry.id for entry in history.log(repo, repo.head, tuple(path.encode() for path in paths))]


def test_an_empty_log(small: SmallRepository) -> None:
    assert log(small) == []
    with small.open() as repo:
        assert history.last_change(repo, None, b"a") is None
        assert history.moves(repo) == []


def test_paths(small: SmallRepository) -> None:
    one = small.user(None, "a=1 d/b=2")
    two = small.user(one, "a=1 d/b=3")
    three = small.user(two, "a=1:600 d/b=3")
    four = small.user(three, "d/b=3")
    assert log(small) == [four, three, two, one]
    assert log(small, "a") == [four, three, one]
    assert log(small, "d") == log(small, "d/b") == [two, one]
    assert log(small, "a", "d/b") == [four, three, two, one]
    assert log(small, "none") == []
    assert log(small, "") == [four, three, two, one]


def test_a_merge_counts_where_it_has_what_no_parent_has(small: SmallRepository) -> None:
    base = small.user(None, "a=0 b=0 c=0")
    left = small.user(base, "a=1@5 b=1 c=0", head=False)
    right = small.user(base, "a=2@4 b=0 c=2", head=False)
    merge = small.merge(left, right)
    assert merge not in log(small, "b")
    assert merge not in log(small, "c")
    with small.open() as repo:
        changed = {show(each.path) for each in history.changed_by(repo, merge)}
        (copy,) = [path for path in changed if path.startswith("a.conflict-")]
        assert merge in log(small, copy)
        assert changed == {copy}
        assert history.entry_of(repo, merge).kind == "merge"
        assert history.entry_of(repo, merge).time_ns == max(
            history.entry_of(repo, each).time_ns for each in (left, right)
        )


def test_who_wrote_a_version(small: SmallRepository) -> None:
    base = small.user(None, "a=0")
    left = small.user(base, "a=1@5", head=False)
    right = small.user(base, "a=2@4", head=False)
    head = small.merge(left, right)
    with small.open() as repo:
        for checkpoint in (left, right):
            version = history.at_path(repo, repo.checkpoint(checkpoint).tree, b"a")
            assert version is not None
            found = history.writer_of(repo, head, (b"a",), version)
            assert found is not None
            assert found.entry.id == checkpoint
        last = history.last_change(repo, head, b"a")
        assert last is not None
        assert last.entry.id in (left, right)


def test_names_of_refs(small: SmallRepository) -> None:
    one = small.user(None, "a=1")
    small.set_ref("remotes/origin/head", one)
    with small.open() as repo:
        assert history.decorations(repo) == {one: ["HEAD", "origin/head"]}
        assert [move.number for move in history.moves(repo)] == [0]
