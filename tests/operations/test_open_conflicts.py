"""Status lists every open conflict, and reads no tree in which none can be."""

from pathlib import Path

import pytest

from replican.decisions.reconcile import conflicts_in
from replican.operations.looking import look
from replican.operations.recording import record
from replican.repository import Repository
from replican.values.ids import TreeId

COPY = "f.conflict-20260102T030405Z-00112233"


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    for number in range(30):
        place = tmp_path / f"root/d{number % 5}/e{number}"
        place.mkdir(parents=True)
        (place / "f").write_text("mine")
    repo = Repository.init(str(tmp_path / "root"))
    record(repo)
    return repo


def trees_read(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many trees a status reads."""
    read: set[TreeId] = set()
    plain = Repository.tree

    def tree(self: Repository, id: TreeId) -> object:
        read.add(id)
        return plain(self, id)

    with monkeypatch.context() as patch:
        patch.setattr(Repository, "tree", tree)
        look(repo)
    repo.close_index()
    return len(read)


def open_conflicts(repo: Repository) -> list[bytes]:
    found = look(repo).conflicts
    assert found == list(conflicts_in(repo, repo.head_tree))
    repo.close_index()
    return [conflict.path for conflict in found]


def test_without_conflicts_no_tree_is_read(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_conflicts(repo) == []
    assert trees_read(repo, monkeypatch) == 0


def test_with_some_only_theirs_are_read(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("d1/e1", "d3/e3"):
        Path(repo.root, place, COPY).write_text("theirs")
    Path(repo.root, "d2/e2", "only.conflict-in name").write_text("no copy")
    record(repo)
    assert open_conflicts(repo) == [b"d1/e1/f", b"d3/e3/f"]
    assert trees_read(repo, monkeypatch) == 1 + 3 + 3


def test_before_they_are_recorded_and_after_they_are_gone(repo: Repository) -> None:
    copy = Path(repo.root, "d1/e1", COPY)
    copy.write_text("theirs")
    assert [conflict.path for conflict in look(repo).conflicts] == [b"d1/e1/f"]
    repo.close_index()
    record(repo)
    copy.unlink()
    assert look(repo).conflicts == []
    repo.close_index()
    record(repo)
    assert open_conflicts(repo) == []


def test_in_a_directory_that_was_renamed(repo: Repository) -> None:
    Path(repo.root, "d1/e1", COPY).write_text("theirs")
    record(repo)
    Path(repo.root, "d1").rename(Path(repo.root, "z"))
    assert [conflict.path for conflict in look(repo).conflicts] == [b"z/e1/f"]
