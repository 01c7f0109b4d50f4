"""What cannot be read after a kill is undecided: nothing is recorded of it, and nothing done to it, until it can be."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from folders import contents, unreadable, write
from pairs import OLD, Pair, just_before, pending

from replican.decisions.plan import UNDECIDED
from replican.effects import arrivals, hashing, transition
from replican.effects.index_check import check_index
from replican.operations.looking import look
from replican.operations.tending import tend
from replican.repository import Repository
from replican.values.ids import blob_id
from replican.values.names import is_copy_name


class Killed(BaseException):
    """The process ends here."""


def killed(do: Callable[[], object], module: Any = transition, name: str = "exchange", after: int = 1) -> None:
    """End right after so many calls of a function."""
    whole, left = getattr(module, name), [after]

    def step(*args: Any) -> Any:
        done = whole(*args)
        left[0] -= 1
        if not left[0]:
            raise Killed
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, step)
        with pytest.raises(Killed):
            do()


def left(root: Path) -> dict[str, str]:
    """What is undecided, and why."""
    with Repository(str(root)) as repo:
        return {os.fsdecode(entry.path): entry.cause for entry in repo.index.journal()}


def commits(root: Path) -> int:
    """How many checkpoints this user made."""
    with Repository(str(root)) as repo:
        return len([each for each in repo.refs.reflog("head") if each.reason.startswith("commit")])


def edited(base: Path) -> Pair:
    """``b`` was killed when ``f`` had got what ``a`` made of it."""
    pair = Pair(base, {"f": "old", "g": "g"})
    write(pair.a / "f", "new")
    killed(pair.pull)
    assert contents(pair.b)["f"] == b"new"
    return pair


@contextmanager
def failing_once(path: Path) -> Iterator[None]:
    """A file cannot be read when it is first tried, and can be from then on."""
    whole, tries = hashing.hash_name, [0]

    def failing(name: bytes, fd: int, *args: Any) -> Any:
        if os.path.join(os.readlink(b"/proc/self/fd/%d" % fd), name) == os.fsencode(path):
            tries[0] += 1
            if tries[0] == 1:
                return hashing.cause_of(OSError(errno.EIO, "bad sector"))
        return whole(name, fd, *args)

    with pytest.MonkeyPatch.context() as patch:
        for module in ("recovery", "knowing", "hashing"):
            patch.setattr(f"replican.effects.{module}.hash_name", failing)
        yield
    assert tries[0] > 0


def test_a_file_that_is_deleted_elsewhere_meanwhile_goes(tmp_path: Path) -> None:
    pair = edited(tmp_path)
    with unreadable(pair.b / "f"):
        pair.record(pair.b)
        assert left(pair.b) == {"f": "permission denied"}
        (pair.a / "f").unlink()
        assert pending(pair.pull().merged) == {"f": UNDECIDED}
        pair.record(pair.b)
    pair.sync()
    assert contents(pair.a) == {"g": b"g"}
    pair.assert_at_rest()
    assert commits(pair.b) == 0


def test_a_file_that_is_edited_elsewhere_meanwhile_is_replaced(tmp_path: Path) -> None:
    pair = edited(tmp_path)
    with unreadable(pair.b / "f"):
        write(pair.a / "f", "newer")
        write(pair.a / "g", "this goes on")
        assert pending(pair.pull().merged) == {"f": UNDECIDED}
        assert contents(pair.b) == {"f": b"new", "g": b"this goes on"}
    pair.sync()
    assert contents(pair.b)["f"] == b"newer"
    pair.assert_at_rest()
    assert commits(pair.b) == 0


def test_what_its_user_wrote_there_is_kept(tmp_path: Path) -> None:
    """Before the file could not be read any more, or while it could not: nobody knows what they had before them."""
    pair = edited(tmp_path)
    write(pair.b / "f", "mine")
    with unreadable(pair.b / "f"):
        write(pair.a / "f", "newer")
        pair.pull()
    pair.sync()
    assert set(contents(pair.a).values()) == {b"g", b"mine", b"newer"}
    pair.assert_at_rest()


def test_what_its_user_deletes_is_not_deleted_elsewhere(tmp_path: Path) -> None:
    pair = edited(tmp_path)
    with unreadable(pair.b / "f"):
        pair.pull()
        (pair.b / "f").unlink()
        pair.pull()
        assert left(pair.b) == {}
    pair.sync()
    assert contents(pair.a)["f"] == b"new"
    pair.assert_at_rest()


@pytest.mark.parametrize("gone", [False, True], ids=["there", "deleted"])
def test_a_file_that_can_be_read_a_moment_later_is_not_recorded(tmp_path: Path, gone: bool) -> None:
    """A scan in the same command would take what a killed merge wrote for its user's."""
    pair = edited(tmp_path)
    with unreadable(pair.b / "f"):
        write(pair.a / "f", "newer")
        if gone:
            (pair.a / "f").unlink()
        pair.pull()
    with failing_once(pair.b / "f"):
        assert not pair.record(pair.b).new
        assert left(pair.b) == {"f": "input/output error"}
    pair.pull()
    assert contents(pair.a) == contents(pair.b)
    pair.assert_at_rest()
    assert commits(pair.b) == 0


def test_what_stands_there_instead_a_moment_later_is_not_recorded(tmp_path: Path, monkeypatch) -> None:
    pair = edited(tmp_path)
    from replican.operations import recording

    whole = recording.scan

    def scan(*args: Any, **named: Any) -> Any:
        (pair.b / "f").unlink()
        write(pair.b / "f/mine", "mine")
        return whole(*args, **named)

    with unreadable(pair.b / "f"), monkeypatch.context() as patch:
        patch.setattr(recording, "scan", scan)
        assert not pair.record(pair.b).new
    pair.sync()
    pair.sync()
    assert contents(pair.a)["f/mine"] == b"mine"
    assert b"new" in contents(pair.a).values(), "nobody has deleted it"
    pair.assert_at_rest()


def test_looking_again_in_vain_changes_nothing(tmp_path: Path) -> None:
    """Nor is it told again by every command; ``status`` tells it."""
    pair = edited(tmp_path)
    with unreadable(pair.b / "f"):
        with Repository(str(pair.b)) as repo, repo.writing("test"):
            assert ["could not be read" in note for note in repo.notes] == [False, True]
        pair.record(pair.b)
        with Repository(str(pair.b)) as repo:
            before = repo.index.journal()
            write(pair.b / "g", "mine")
            from replican.operations.recording import observe

            with repo.writing("test"):
                observe(repo)
                assert repo.index.has_observed()
            with repo.writing("test"):
                assert repo.index.has_observed(), "what was observed stands"
            assert repo.notes == []
            assert repo.index.journal() == before
            check_index(repo.index)
        with Repository(str(pair.b)) as repo:
            seen = look(repo)
            assert any("f could not be read (permission denied)" in note for note in seen.notes)
            assert [each[:2] for each in seen.unread] == [(b"f", "permission denied")]
            assert [each.path for each in seen.pending] == [b"f"]


def test_what_it_may_have_replaced_is_kept_by_gc(tmp_path: Path) -> None:
    pair = edited(tmp_path)
    with unreadable(pair.b / "f"):
        pair.record(pair.b)
        with Repository(str(pair.b)) as repo:
            tend(repo, trash_days=0)
        assert blob_id(b"old").hex() in os.listdir(pair.b / ".replican/trash")
    with Repository(str(pair.b)) as repo:
        tend(repo, trash_days=0)
    assert os.listdir(pair.b / ".replican/trash") == []


def test_what_lies_on_the_stage_by_then_is_not_the_users(tmp_path: Path) -> None:
    """A later run may be cut off while it stages the same content."""
    pair = edited(tmp_path)
    with unreadable(pair.b / "f"):
        pair.record(pair.b)
    write(pair.b / ".replican/stage" / blob_id(b"new").hex(), "ne")
    pair.sync()
    assert contents(pair.b) == {"f": b"new", "g": b"g"}
    pair.assert_at_rest()


def test_a_second_kill_while_one_is_undecided(tmp_path: Path) -> None:
    pair = edited(tmp_path)
    with unreadable(pair.b / "f"):
        write(pair.a / "g", "another")
        killed(pair.pull)
        pair.record(pair.b)
        assert left(pair.b) == {"f": "permission denied"}
        (pair.a / "f").unlink()
        pair.pull()
    pair.sync()
    assert contents(pair.a) == {"g": b"another"}
    pair.assert_at_rest()
    assert commits(pair.b) == 0


def test_a_conflict_copy_that_comes_beside_it_waits(tmp_path: Path) -> None:
    """A name is done with all its versions."""
    pair = edited(tmp_path)
    with unreadable(pair.b / "f"):
        write(pair.a / "f.conflict-20200913T122640Z-01234567", "another version", OLD)
        pair.pull()
        assert set(contents(pair.b)) == {"f", "g"}
    pair.sync()
    assert [name for name in contents(pair.b) if is_copy_name(os.fsencode(name))]
    pair.assert_at_rest()


@pytest.mark.parametrize("how", ["goes", "moves"])
@pytest.mark.parametrize("closed", ["d/f", "d"])
def test_a_directory_above_it_stays_where_it_is(tmp_path: Path, how: str, closed: str) -> None:
    pair = Pair(tmp_path, {"d/f": "old", "d/g": "g", "h": "h"})
    write(pair.a / "d/f", "new")
    killed(pair.pull)
    with unreadable(pair.b / closed):
        pair.record(pair.b)
        assert left(pair.b) == {"d/f": "permission denied"}
        if how == "moves":
            os.rename(pair.a / "d", pair.a / "e")
        else:
            shutil.rmtree(pair.a / "d")
        pair.pull()
        assert contents(pair.b)["d/f"] == b"new"
    pair.sync()
    assert not (pair.b / "d").exists()
    pair.assert_at_rest()
    assert commits(pair.b) == 0


def came_name_by_name(base: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> Pair:
    """``b`` was killed when a directory came into one of its user's own making, and so many names of it were there."""
    pair = Pair(base, {"h": "h"})
    write(pair.a / "n/f", "f")
    write(pair.a / "n/m/g", "g")
    with monkeypatch.context() as patch:
        just_before(patch, lambda: (pair.b / "n").mkdir())
        killed(pair.pull, arrivals, "rename_new", after)
    return pair


@pytest.mark.parametrize("closed", ["n", "n/f", "n/m", "n/m/g"])
def test_a_new_directory_that_came_name_by_name(tmp_path: Path, monkeypatch, closed: str) -> None:
    pair = came_name_by_name(tmp_path, monkeypatch, 2)
    assert set(contents(pair.b)) == {"h", "n/f", "n/m/g"}
    with unreadable(pair.b / closed):
        pair.record(pair.b)
        assert left(pair.b) == {closed: "permission denied"}
        shutil.rmtree(pair.a / "n")
        pair.pull()
        pair.record(pair.b)
        assert left(pair.b) == {closed: "permission denied"}
    pair.sync()
    assert contents(pair.a) == {"h": b"h"}
    pair.assert_at_rest()
    assert commits(pair.b) == 0


def test_what_has_not_come_to_a_closed_directory_comes(tmp_path: Path, monkeypatch) -> None:
    pair = came_name_by_name(tmp_path, monkeypatch, 1)
    came = set(contents(pair.b)) - {"h"}
    assert len(came) == 1
    write(pair.b / "n/mine", "mine")
    with unreadable(pair.b / "n"):
        pair.pull()
    pair.sync()
    assert contents(pair.a) == {"h": b"h", "n/f": b"f", "n/m/g": b"g", "n/mine": b"mine"}
    pair.assert_at_rest()


def test_a_new_directory_that_can_be_read_a_moment_later_is_not_recorded(tmp_path: Path, monkeypatch) -> None:
    """The scan in the same command leaves it alone, too."""
    pair = came_name_by_name(tmp_path, monkeypatch, 2)
    from replican.operations import recording

    with unreadable(pair.b / "n"):
        pair.record(pair.b)
    shutil.rmtree(pair.a / "n")
    whole, closed = recording.scan, unreadable(pair.b / "n")

    def scan(*args: Any, **named: Any) -> Any:
        closed.__exit__(None, None, None)
        return whole(*args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(recording, "scan", scan)
        closed.__enter__()
        assert not pair.record(pair.b).new
    pair.sync()
    assert contents(pair.a) == {"h": b"h"}
    pair.assert_at_rest()


def test_what_was_to_be_moved_to_a_closed_place(tmp_path: Path) -> None:
    pair = Pair(tmp_path, {"d/f": "f", "x/g": "g"})
    os.rename(pair.a / "d", pair.a / "x/e")
    (pair.a / "x/e").chmod(0o700)
    killed(pair.pull, transition, "rename_new")
    assert set(contents(pair.b)) == {"x/e/f", "x/g"}
    with unreadable(pair.b / "x"):
        pair.record(pair.b)
        assert left(pair.b) == {"x/e": "permission denied"}
        shutil.rmtree(pair.a / "x/e")
        pair.pull()
    pair.sync()
    assert contents(pair.a) == {"x/g": b"g"}
    pair.assert_at_rest()
