"""Units whose directories bind their owner, too: they come, change, conflict, move and go as any other.

Root, who runs some tests, gives up what would let them in.
"""

import os
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
import scanning
from folders import contents, remove, snapshot, write
from pairs import OLD, Pair, pending
from unit_steps import KINDS, STEPS, Killed, alike, at_step, kill, nothing

from replican.effects import swapping, transition
from replican.repository import Repository

ATTRIBUTES = "*.u/ atomic\n"
MOVED = [step for step in STEPS if step[0] in (swapping, transition)]
BELOW = ["", "/refs", "/refs/deep"]


def shut(unit: Path, perm: int = 0o500) -> None:
    """Give its directories these permissions, and its files those of what is only read."""
    for below in BELOW:
        Path(f"{unit}{below}").chmod(0o700)
    for below in reversed(BELOW):
        for each in Path(f"{unit}{below}").iterdir():
            if each.is_file():
                each.chmod(0o400 if perm == 0o500 else 0o600)
        Path(f"{unit}{below}").chmod(perm)


def opened(unit: Path, change: Callable[[], object], then: Path | None = None) -> None:
    """Change something in a unit that is shut, which has another place ``then``."""
    shut(unit, 0o700)
    change()
    shut(then or unit)


def edit(unit: Path, name: str, content: str, time: int) -> None:
    opened(unit, lambda: write(unit / name, content, OLD + time))


def a_shut_pair(base: Path) -> Pair:
    """Two folders in step, with units that are shut."""

    def start(root: Path) -> None:
        write(root / ".replicanattributes", ATTRIBUTES)
        for unit in ("a.u", "gone.u", "moved.u"):
            for name in ("head", "refs/main", "refs/deep/x") if unit == "a.u" else ("head", "refs/deep/x"):
                write(root / unit / name, name if unit == "a.u" else f"{name} of {unit}", OLD)
            shut(root / unit)

    base.mkdir(exist_ok=True)
    pair = Pair(base, start)
    for root in (pair.a, pair.b):
        with Repository(str(root)) as repo:
            repo.config.set("units.quiet_ms", "0")
    return pair


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return a_shut_pair(tmp_path)


def bound(pair: Pair) -> dict[str, str]:
    """What is pending after a sync by an owner who is no more than that."""

    def synced() -> dict[str, str]:
        done = pair.sync()
        return {path: cause for each in done.pulled for path, cause in pending(each).items()}

    found = scanning.as_nobody(synced, scanning.bound_by_permissions)
    assert isinstance(found, dict)
    return found


def assert_shut(unit: Path) -> None:
    seen = snapshot(unit)
    assert {each[1] for each in seen.values()} <= {0o500, 0o400}
    assert unit.stat().st_mode & 0o777 == 0o500


def trashed(root: Path) -> set[bytes]:
    return {path.read_bytes() for path in (root / ".replican/trash").iterdir()}


def test_it_comes(tmp_path: Path, pair: Pair) -> None:
    (pair.a / "in").mkdir()
    for name in ("came.u", "in/came.u"):
        for each in ("head", "refs/deep/x"):
            write(pair.a / name / each, "came")
        shut(pair.a / name)
    assert bound(pair) == {}
    pair.assert_at_rest()
    assert_shut(pair.b / "in/came.u")


def test_it_is_updated(pair: Pair) -> None:
    edit(pair.a / "a.u", "refs/deep/x", "edited", 1)
    assert bound(pair) == {}
    pair.assert_at_rest()
    assert_shut(pair.b / "a.u")
    assert trashed(pair.b) >= {b"head", b"refs/main", b"refs/deep/x"}
    assert os.listdir(pair.b / ".replican/stage") == []


def test_it_conflicts(pair: Pair) -> None:
    edit(pair.a / "a.u", "head", "by a", 1)
    edit(pair.b / "a.u", "refs/main", "by b", 2)
    assert bound(pair) == {}
    pair.assert_at_rest()
    (copy,) = [each for each in pair.b.iterdir() if ".conflict-" in each.name]
    assert contents(copy)["head"] == b"by a"
    assert contents(pair.b / "a.u")["refs/main"] == b"by b"
    for each in (copy, pair.b / "a.u"):
        assert_shut(each)


def test_it_moves(pair: Pair) -> None:
    (pair.a / "in").mkdir()
    before = (pair.b / "a.u/head").stat().st_ino
    (pair.a / "a.u").rename(pair.a / "in/a.u")
    assert bound(pair) == {}
    pair.assert_at_rest()
    assert_shut(pair.b / "in/a.u")
    assert (pair.b / "in/a.u/head").stat().st_ino == before


def test_it_goes(pair: Pair) -> None:
    remove(pair.a / "a.u")
    assert bound(pair) == {}
    pair.assert_at_rest()
    assert trashed(pair.b) >= {b"head", b"refs/main", b"refs/deep/x"}


@KINDS
def test_a_kill_at_any_step_and_a_rerun(tmp_path: Path, kind: Callable[[pytest.MonkeyPatch], None]) -> None:
    """They are the old one or the new one, and that they were opened up for a moment is no edit."""
    for number in count(1):
        pair = a_shut_pair(tmp_path / str(number))
        (pair.a / "in").mkdir()
        opened(
            pair.a / "moved.u",
            lambda pair=pair: (pair.a / "moved.u").rename(pair.a / "in/moved.u"),
            pair.a / "in/moved.u",
        )
        edit(pair.a / "a.u", "head", "edited", 1)
        remove(pair.a / "gone.u")
        pair.record(pair.a)

        def pulled(pair: Pair = pair, number: int = number) -> bool:
            with pytest.MonkeyPatch.context() as patch:
                kind(patch)
                steps = at_step(patch, number, False, kill, MOVED)
                try:
                    pair.pull()
                except Killed:
                    return True
                return steps[0] >= number

        killed = scanning.as_nobody(pulled, scanning.bound_by_permissions)
        assert kind is not nothing or contents(pair.b / "a.u")["head"] in (b"head", b"edited"), number
        assert bound(pair) == {}, number
        pair.assert_at_rest()
        assert sorted(os.listdir(pair.b)) == [".replican", ".replicanattributes", "a.u", "in"], number
        for name in ("a.u", "in/moved.u"):
            assert_shut(pair.b / name)
        with Repository(str(pair.b)) as repo:
            assert not [each for each in repo.refs.reflog("head") if each.reason.startswith("commit")], number
        if not killed:
            break
    assert number > 8, "the plan has fewer steps than this test thinks"


def pull_and_die(pair: Pair, step: str, after: bool) -> None:
    """Have a pull killed before or after a step of swapping."""

    def killed() -> bool:
        with pytest.MonkeyPatch.context() as patch:
            at_step(patch, 1, after, kill, [(swapping, step)])
            try:
                pair.pull()
            except Killed:
                return True
            return False

    assert scanning.as_nobody(killed, scanning.bound_by_permissions)


def numbered_anew(root: Path) -> None:
    """All that it holds gets another inode's number, as where a disk that has none of its own is mounted again."""
    root.rename(root.with_name("before"))
    shutil.copytree(root.with_name("before"), root, symlinks=True)
    remove(root.with_name("before"))


@pytest.mark.parametrize("then", [lambda root: None, numbered_anew], ids=["same numbers", "other numbers"])
def test_a_power_cut_that_loses_its_rename_and_not_that_it_was_opened_up(
    pair: Pair, then: Callable[[Path], None]
) -> None:
    edit(pair.a / "a.u", "head", "edited", 1)
    pair.record(pair.a)

    pull_and_die(pair, "exchange", after=False)
    assert contents(pair.b / "a.u")["head"] == b"head"
    for below in BELOW:
        (pair.b / "a.u" / below.lstrip("/")).chmod(0o700)
    then(pair.b)
    assert bound(pair) == {}
    pair.assert_at_rest()
    assert sorted(os.listdir(pair.b)) == [".replican", ".replicanattributes", "a.u", "gone.u", "moved.u"]
    assert contents(pair.b / "a.u")["head"] == b"edited"
    assert_shut(pair.b / "a.u")


def test_a_power_cut_that_loses_that_what_came_was_closed(pair: Pair) -> None:
    """Even where it has by chance the number of what went."""
    edit(pair.a / "a.u", "head", "edited", 1)
    pair.record(pair.a)

    pull_and_die(pair, "discard", after=True)
    assert contents(pair.b / "a.u")["head"] == b"edited"
    for below in BELOW:
        (pair.b / "a.u" / below.lstrip("/")).chmod(0o700)

    def pulled() -> bool:
        with pytest.MonkeyPatch.context() as patch:
            alike(patch)
            pair.pull()
        return True

    assert scanning.as_nobody(pulled, scanning.bound_by_permissions)
    assert bound(pair) == {}
    pair.assert_at_rest()
    assert_shut(pair.b / "a.u")
    with Repository(str(pair.b)) as repo:
        assert not [each for each in repo.refs.reflog("head") if each.reason.startswith("commit")]
