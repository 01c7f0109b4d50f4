"""Transitions that are cut off: a kill at any step, and the same command again."""

import os
from pathlib import Path

import pytest
from folders import contents, snapshot, write
from pairs import FULL, OLD, Pair

from replican.effects import arrivals, transition
from replican.repository import Repository


class Killed(BaseException):
    """The process ends here."""


def kill_at(monkeypatch, number: int, after: bool) -> list[int]:
    """End at the step of that number, before or after it; the list counts the steps."""
    from replican.effects import placing, trash

    count = [0]

    def counted(whole):  # type: ignore[no-untyped-def]
        def step(*args: object) -> object:
            count[0] += 1
            if count[0] == number and not after:
                raise Killed
            result = whole(*args)
            if count[0] == number:
                raise Killed
            return result

        return step

    for module, name in (
        (transition, "rename_new"),
        (arrivals, "rename_new"),
        (arrivals, "set_mode"),
        (transition, "exchange"),
        (trash, "rename_new"),
        (transition, "set_mode"),
        (placing, "set_mode"),
        (placing, "set_mtime"),
    ):
        monkeypatch.setattr(module, name, counted(getattr(module, name)))
    return count


def everything(root: Path) -> None:
    """All kinds of steps in one plan."""
    write(root / "a.txt", "edited")
    (root / "b.txt").unlink()
    os.rename(root / "d", root / "f")
    (root / "f").chmod(0o775)
    write(root / "n/m/new", "new")
    (root / "e/four").chmod(0o600)
    (root / "empty").unlink()
    write(root / "empty/now", "a directory")
    os.rename(root / "nothing", root / "something")
    os.utime(root / "e/four", ns=(OLD, OLD))
    os.rename(root / "slide", root / "slid")
    (root / "slid").chmod(0o600)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_at_any_step_and_a_rerun(tmp_path: Path, after: bool) -> None:
    for number in range(1, 40):
        base = tmp_path / str(number)
        base.mkdir()
        pair = Pair(base, FULL | {"slide": "down"})
        everything(pair.a)
        before, wanted = snapshot(pair.b), snapshot(pair.a)
        with pytest.MonkeyPatch.context() as patch:
            steps_done = kill_at(patch, number, after)
            try:
                pair.pull()
            except Killed:
                killed = True
            else:
                killed = False
        if not killed:
            assert steps_done[0] < number
            assert number > 8, "the plan has fewer steps than this test thinks"
            return
        # Each file is old or new, whole, at any instant.
        for path, seen in snapshot(pair.b).items():
            if seen[0] == "file":
                assert seen[3] in {old[3] for old in [*before.values(), *wanted.values()]}, (number, path)
        pair.sync()
        assert snapshot(pair.a) == wanted, (number, "nothing of it is taken for an edit")
        pair.assert_at_rest()
        with Repository(str(pair.b)) as repo:
            assert not [each for each in repo.refs.reflog("head") if each.reason.startswith("commit")], number
    pytest.fail("the transition never ended")


@pytest.mark.parametrize("edit", ["a.txt", "b.txt", "f/one", "e/four"])
def test_a_kill_and_an_edit_before_the_rerun(tmp_path: Path, edit: str) -> None:
    """What was written after a kill is kept, whichever version it was made from."""
    for number in range(1, 40):
        base = tmp_path / str(number)
        base.mkdir()
        pair = Pair(base, FULL | {"slide": "down"})
        everything(pair.a)
        with pytest.MonkeyPatch.context() as patch:
            kill_at(patch, number, after=True)
            try:
                pair.pull()
            except Killed:
                pass
            else:
                return
        write(pair.b / edit, "written after the kill")
        pair.sync()
        assert b"written after the kill" in set(contents(pair.a).values()), number
        assert contents(pair.a).get("n/m/new") == b"new"
        pair.sync()
        pair.assert_at_rest()


def test_the_trash_is_told_of_after_a_kill(tmp_path: Path) -> None:
    pair = Pair(tmp_path, FULL)
    write(pair.a / "a.txt", "theirs")
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, 1, after=True)  # the old file lies on the stage now, under the id of the new one
        with pytest.raises(Killed):
            pair.pull()
    assert (pair.b / "a.txt").read_text() == "theirs"
    pair.sync()
    assert b"a" in {path.read_bytes() for path in (pair.b / ".replican/trash").iterdir()}
