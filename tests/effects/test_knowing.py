"""New directories that came before a kill are known, as far as they can be, and what is in them is nobody's edit."""

import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from folders import SECOND, contents, snapshot, unreadable, write
from pairs import FULL, OLD, Pair, just_before
from weak import WeakFolder

from replican.effects import arrivals, knowing
from replican.effects.index import JournalEntry
from replican.effects.probing import forget_traits
from replican.effects.scan import scan
from replican.operations.fetching import fetch_from
from replican.operations.recording import record
from replican.operations.remotes import opened_remote
from replican.operations.syncing import merge_remote
from replican.repository import Repository
from replican.values.ids import TreeId
from replican.values.traits import Traits
from replican.values.trees import DIRECTORY, Entry


class Killed(BaseException):
    """The process ends here."""


def killed(do: Callable[[], object], name: str = "rename_new") -> None:
    """End right after a first call of the name by what brings new directories."""
    whole = getattr(arrivals, name)

    def step(*args: Any) -> None:
        whole(*args)
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrivals, name, step)
        with pytest.raises(Killed):
            do()


def rows(root: Path, directory: bytes) -> list[bytes]:
    """The names that the index knows in a directory, once the kill has been looked at."""
    with Repository(str(root)) as repo, repo.writing("test"):
        assert repo.index.journal() == []
        return [row.name for row in repo.index.rows(directory, observed=False)]


def weaken(monkeypatch: pytest.MonkeyPatch, root: Path, traits: Traits, known: bool = True) -> None:
    """From now on ``root`` lies on such a file system; whether a probe says so."""
    WeakFolder(monkeypatch, root, traits)
    if known:
        with Repository(str(root)) as repo, repo.writing("test"):
            forget_traits(repo.index)


def is_commit_of(root: Path) -> bool:
    with Repository(str(root)) as repo:
        return any(each.reason.startswith("commit") for each in repo.refs.reflog("head"))


def test_what_came_is_known_before_anything_is_read(tmp_path: Path) -> None:
    pair = Pair(tmp_path, FULL)
    write(pair.a / "n/m/new", "new")
    os.symlink("new", pair.a / "n/m/link")
    killed(pair.pull)
    assert rows(pair.b, b"n/m") == [b"link", b"new"]
    with Repository(str(pair.b)) as repo:
        assert repo.index.base_root() == repo.head_tree
    write(pair.b / "n/m/new", "edited after the kill")
    shutil.rmtree(pair.a / "n")
    pair.sync()
    assert contents(pair.b)["n/m/new"] == b"edited after the kill", "it is kept where it was deleted elsewhere"
    assert not os.path.lexists(pair.b / "n/m/link")
    pair.assert_at_rest()


@pytest.mark.parametrize("path", ["n", "n/m", "n/m/new"])
def test_what_cannot_be_read_and_is_deleted_elsewhere_does_not_come_back(tmp_path: Path, path: str) -> None:
    pair = Pair(tmp_path, FULL)
    write(pair.a / "n/m/new", "new")
    killed(pair.pull)
    shutil.rmtree(pair.a / "n")
    with unreadable(pair.b / path):
        pair.pull()
        pair.pull()
    assert (pair.b / "n/m/new").exists()
    pair.sync()
    pair.assert_at_rest()
    assert not (pair.b / "n").exists()
    assert not is_commit_of(pair.b)


def test_a_directory_that_stands_in_its_place_is_its_users(tmp_path: Path, monkeypatch) -> None:
    """They made it while the merge ran. It cannot be read then: nothing in it counts as deleted."""
    pair = Pair(tmp_path, FULL)
    write(pair.a / "n/m/new", "new")
    write(pair.a / "n/other", "other")
    just_before(monkeypatch, lambda: (pair.b / "n").mkdir())
    killed(pair.pull)
    monkeypatch.undo()
    came = contents(pair.b).keys() & {"n/m/new", "n/other"}
    assert len(came) == 1
    with unreadable(pair.b / "n"):
        pair.pull()
    pair.sync()
    assert contents(pair.a)["n/m/new"] == b"new"
    assert contents(pair.a)["n/other"] == b"other"
    pair.assert_at_rest()


@pytest.mark.parametrize("mine", ["mine", "mine!!"], ids=["of another size", "of the same size and time"])
def test_a_file_that_stands_in_the_place_of_what_comes_is_no_edit_of_it(tmp_path: Path, monkeypatch, mine: str) -> None:
    pair = Pair(tmp_path, FULL)
    write(pair.a / "n/f", "theirs", OLD)
    write(pair.a / "n/g", "theirs, too")
    just_before(monkeypatch, lambda: write(pair.b / "n/f", mine, OLD) and None)
    killed(pair.pull)
    monkeypatch.undo()
    pair.sync()
    pair.sync()
    pair.assert_at_rest()
    assert {b"theirs", mine.encode(), b"theirs, too"} <= set(contents(pair.a).values())


def test_what_came_without_its_content_is_not_taken_for_deleted(tmp_path: Path) -> None:
    pair = Pair(tmp_path, FULL)
    write(pair.a / "n/f", "there")
    write(pair.a / "n/lost", "for a while")
    pair.record(pair.a)
    with Repository(str(pair.b)) as repo, opened_remote(repo, "origin") as remote:
        remote.refresh()
        fetch_from(repo, remote)
        os.rename(pair.a / "n/lost", tmp_path / "lost")
        killed(lambda: merge_remote(repo, remote))
    with unreadable(pair.b / "n"):
        pair.record(pair.b)
    pair.record(pair.b)
    os.rename(tmp_path / "lost", pair.a / "n/lost")
    pair.sync()
    assert contents(pair.b)["n/lost"] == b"for a while"
    pair.assert_at_rest()


@pytest.mark.parametrize("name", ["rename_new", "set_mode"])
def test_permissions_that_shut_out_their_owner_are_given_after_a_kill(tmp_path: Path, name: str) -> None:
    pair = Pair(tmp_path, FULL)
    write(pair.a / "n/m/new", "new")
    (pair.a / "n/m").chmod(0o500)
    (pair.a / "n").chmod(0o550)
    killed(pair.pull, name)
    pair.sync()
    assert snapshot(pair.b)[b"n"][1] == 0o550
    assert snapshot(pair.b)[b"n/m"][1] == 0o500
    pair.assert_at_rest()
    assert not is_commit_of(pair.b)


def test_permissions_that_are_given_after_a_kill_are_their_users(tmp_path: Path) -> None:
    pair = Pair(tmp_path, FULL)
    write(pair.a / "n/m/new", "new")
    write(pair.a / "o/new", "new")
    (pair.a / "n").chmod(0o500)
    killed(pair.pull)
    (pair.b / "n").chmod(0o750)
    (pair.b / "n/m").chmod(0o700)
    pair.sync()
    assert snapshot(pair.a)[b"n"][1] == 0o750
    assert snapshot(pair.a)[b"n/m"][1] == 0o700
    pair.assert_at_rest()


def test_permissions_that_cannot_be_given_are_no_edit(tmp_path: Path, monkeypatch) -> None:
    pair = Pair(tmp_path, FULL)
    write(pair.a / "n/new", "new")
    (pair.a / "n").chmod(0o500)
    killed(pair.pull)

    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    with monkeypatch.context() as patch:
        patch.setattr(knowing, "set_mode", refused)
        assert rows(pair.b, b"n") == [b"new"]
    pair.sync()
    assert snapshot(pair.a)[b"n"][1] == 0o500
    pair.assert_at_rest()


def test_a_link_in_the_place_of_a_directory_that_came_is_not_followed(tmp_path: Path) -> None:
    pair = Pair(tmp_path, FULL)
    write(pair.a / "n/m/new", "new")
    (pair.a / "n/m").chmod(0o500)
    killed(pair.pull)
    outside = tmp_path / "outside"
    shutil.move(pair.b / "n/m", outside)
    (pair.b / "n/m").symlink_to(outside)
    assert rows(pair.b, b"n") == []
    assert outside.stat().st_mode & 0o777 == 0o700


def test_what_is_missing_of_what_came_comes(tmp_path: Path) -> None:
    """What its user deletes in the moment after a kill may be back, and what they made is kept."""
    pair = Pair(tmp_path, FULL)
    write(pair.a / "n/m/new", "new")
    write(pair.a / "n/other", "other")
    killed(pair.pull)
    (pair.b / "n/other").unlink()
    write(pair.b / "n/m/mine", "mine")
    assert rows(pair.b, b"n") == [b"m"]
    pair.sync()
    pair.assert_at_rest()
    assert {name: text for name, text in contents(pair.a).items() if name.startswith("n/")} == {
        "n/m/mine": b"mine",
        "n/m/new": b"new",
        "n/other": b"other",
    }


@pytest.mark.parametrize("known", [False, True], ids=["not known", "known"])
def test_a_directory_that_only_answers_to_the_name_did_not_come(tmp_path: Path, monkeypatch, known: bool) -> None:
    """Where case is folded, whether or not that is known of it, the user's ``N`` is found for ``n``."""
    pair = Pair(tmp_path, {"f": "f"})
    weaken(monkeypatch, pair.b, Traits(folds_case=True), known)
    write(pair.a / "n/f", "theirs")
    write(pair.a / "o/f", "o")
    with monkeypatch.context() as patch:
        just_before(patch, lambda: (pair.b / "N").mkdir())
        killed(pair.pull)
    assert rows(pair.b, b"") == [b"f", b"o"]
    pair.pull()
    pair.record(pair.b)
    pair.sync()
    assert contents(pair.a)["n/f"] == b"theirs", "nobody has deleted it"


def test_what_came_to_a_weak_file_system_is_known(tmp_path: Path, monkeypatch) -> None:
    """It keeps no permissions, and rounds times: neither is an edit."""
    pair = Pair(tmp_path, {"f": "f"})
    weaken(monkeypatch, pair.b, Traits(modes=False, step_ns=2 * SECOND))
    write(pair.a / "n/m/f", "new", OLD + SECOND + 5).chmod(0o600)
    (pair.a / "n").chmod(0o550)
    killed(pair.pull)
    assert rows(pair.b, b"n/m") == [b"f"]
    with Repository(str(pair.b)) as repo:
        assert repo.index.base_root() == repo.head_tree
    pair.sync()
    assert not is_commit_of(pair.b)
    assert snapshot(pair.a)[b"n/m/f"] == ("file", 0o600, OLD + SECOND + 5, b"new")


def test_a_tree_that_the_log_does_not_have(tmp_path: Path) -> None:
    pair = Pair(tmp_path, {"f": "f"})
    write(pair.b / "n/mine", "mine")
    with Repository(str(pair.b)) as repo, repo.writing("test"):
        meant = Entry(b"n", DIRECTORY, 0o755, 0, 0, TreeId(b"\1" * 32))
        repo.index.note_journal([JournalEntry(b"n", None, meant)])
    assert rows(pair.b, b"") == [b"f"]
    pair.sync()
    assert contents(pair.a)["n/mine"] == b"mine"
    pair.assert_at_rest()


def test_a_directory_that_was_moved_is_taken_over_unread(tmp_path: Path, monkeypatch) -> None:
    from replican.effects import transition

    pair = Pair(tmp_path, {"d/e/large": "x" * 100_000, "f": "f"})
    time.sleep(0.025)
    pair.record(pair.b)  # what was racy is so no more
    os.rename(pair.a / "d", pair.a / "moved")
    whole = transition.rename_new

    def step(*args: Any) -> None:
        whole(*args)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(transition, "rename_new", step)
        with pytest.raises(Killed):
            pair.pull()
    with Repository(str(pair.b)) as repo, repo.writing("test"):
        assert scan(str(pair.b), repo.index).hashed_files == 0
        assert not record(repo).new
    pair.sync()
    pair.assert_at_rest()


def test_a_directory_that_stands_where_one_was_to_be_moved_is_its_users(tmp_path: Path, monkeypatch) -> None:
    pair = Pair(tmp_path, {"d/f": "theirs", "f": "f"})
    os.rename(pair.a / "d", pair.a / "moved")
    write(pair.a / "n/new", "new")
    just_before(monkeypatch, lambda: (pair.b / "moved").mkdir())
    killed(pair.pull)
    monkeypatch.undo()
    with unreadable(pair.b / "moved"):
        pair.record(pair.b)
    assert rows(pair.b, b"moved") == []
    pair.sync()
    assert contents(pair.a)["moved/f"] == b"theirs", "nobody has deleted it"
