from pathlib import Path

import pytest
from small_repository import SmallRepository

from replican.effects.index import Index
from replican.effects.refs import RefStore
from replican.operations.recording import record
from replican.operations.tracking import append_tree, update_index, write_tree
from replican.repository import Repository


class Killed(BaseException):
    """Stands for the end of the process."""


def killed(*_: object, **__: object) -> None:
    raise Killed


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    return SmallRepository(tmp_path / "replica").open()


def see(repo: Repository, text: str) -> bytes:
    Path(repo.root, "a").write_text(text)
    update_index(repo, [b"a"])
    return write_tree(repo)


def test_a_kill_after_the_head_has_moved_loses_nothing(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    with repo:
        append_tree(repo, write_tree(repo))
        tree = see(repo, "1")
        with monkeypatch.context() as patch:
            patch.setattr(Index, "promote", killed)
            with pytest.raises(Killed):
                append_tree(repo, tree)
        assert repo.head_tree == tree
        with repo.writing("test"):
            assert repo.index.base_root() == tree, "what was seen is recorded, as the head says"
        assert not record(repo).new


def test_a_kill_before_the_head_has_moved_records_nothing(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    with repo:
        first = append_tree(repo, see(repo, "1")).head
        tree = see(repo, "22")
        base = repo.index.base_root()
        with monkeypatch.context() as patch:
            patch.setattr(RefStore, "update", killed)
            with pytest.raises(Killed):
                append_tree(repo, tree)
        assert repo.head == first
        with repo.writing("test"):
            assert repo.index.base_root() == base, "the edit is still an edit"
        assert append_tree(repo, write_tree(repo)).new
        assert repo.head_tree == tree
        assert Path(repo.root, "a").read_text() == "22"


def test_the_tree_is_looked_at_again_when_it_is_appended(repo: Repository) -> None:
    with repo:
        see(repo, "1")
        tree = see(repo, "22")
        Path(repo.root, "a").write_text("1")
        # The disk is another by now; what was seen is recorded, and the difference is seen next time.
        assert append_tree(repo, tree).new
        done = record(repo)
        assert done.new
        assert repo.tree(repo.head_tree)[0].size == 1
