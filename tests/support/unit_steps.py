"""Units in a transition, and its steps: for tests that do something at each of them."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from folders import contents, write
from pairs import Pair

from replican.effects import arrivals, placing, swapping, transition, trash, unswapping
from replican.repository import Repository

ATTRIBUTES = ".replicanattributes"
START = {
    ATTRIBUTES: "*.u/ atomic\n",
    "a.u/head": "1",
    "a.u/refs/main": "1",
    "a.u/refs/old/x": "x",
    "gone.u/head": "gone",
    "gone.u/refs/main": "gone",
    "plain/file": "plain",
}
NEW = {"head": b"2", "refs/main": b"1", "refs/new/y": b"y"}
OLD = {"head": b"1", "refs/main": b"1", "refs/old/x": b"x"}
GONE = {"head": b"gone", "refs/main": b"gone"}

Unit = dict[str, bytes]


def units(root: Path) -> dict[str, Unit]:
    """What lies in each unit of a folder."""
    return {
        each.name: {path.removeprefix(each.name + "/"): data for path, data in contents(root).items()
                    if path.startswith(each.name + "/")}
        for each in root.iterdir()
        if each.suffix == ".u"
    }  # fmt: skip


def a_pair(base: Path) -> Pair:
    """Two folders, of which the one has changed and removed units that the other still has as they were."""
    base.mkdir(exist_ok=True)
    pair = Pair(base, {path: content for path, content in START.items() if path != ATTRIBUTES})
    for root in (pair.a, pair.b):
        with Repository(str(root)) as repo:
            repo.config.set("units.quiet_ms", "0")
    # Only now: units that are new are waited for, a second if nobody says otherwise.
    write(pair.a / ATTRIBUTES, START[ATTRIBUTES])
    assert pair.sync().equal
    write(pair.a / "a.u/head", "2")
    write(pair.a / "a.u/refs/new/y", "y")
    (pair.a / "a.u/refs/old/x").unlink()
    (pair.a / "a.u/refs/old").rmdir()
    (pair.a / "gone.u/head").unlink()
    (pair.a / "gone.u/refs/main").unlink()
    (pair.a / "gone.u/refs").rmdir()
    (pair.a / "gone.u").rmdir()
    write(pair.a / "came.u/head", "came")
    return pair


class Killed(BaseException):
    """The process ends here."""


STEPS: list[tuple[Any, str]] = [
    (swapping, "rename_new"),
    (swapping, "exchange"),
    (swapping, "set_mode"),
    (swapping, "remove_tree"),
    (arrivals, "rename_new"),
    (transition, "rename_new"),
    (trash, "rename_new"),
    (placing, "set_mode"),
]


def at_step(
    patch: pytest.MonkeyPatch,
    number: int,
    after: bool,
    do: Callable[[], None],
    among: Sequence[tuple[Any, str]] = STEPS,
) -> list[int]:
    """Do something once, before or after the step of that number; the list counts the steps."""
    steps = [0]

    def counted(whole: Callable[..., object]) -> Callable[..., object]:
        def step(*args: object) -> object:
            steps[0] += 1
            mine = steps[0] == number
            if mine and not after:
                do()
            result = whole(*args)
            if mine and after:
                do()
            return result

        return step

    for module, name in among:
        patch.setattr(module, name, counted(getattr(module, name)))
    return steps


def kill() -> None:
    raise Killed


def without_exchange(patch: pytest.MonkeyPatch) -> None:
    for module in (swapping, unswapping):
        patch.setattr(module, "exchange", lambda *args: False)


def nothing(patch: pytest.MonkeyPatch) -> None:
    """All as it is."""


class Alike(int):
    """An inode's number that is that of every other, too."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int)

    __hash__ = int.__hash__


def alike(patch: pytest.MonkeyPatch) -> None:
    """After a kill every unit, wherever it lies, has the number that the old one had."""

    def lstat(name: bytes, fd: int) -> os.stat_result | None:
        try:
            found = os.lstat(name, dir_fd=fd)
        except OSError:
            return None
        return os.stat_result([found.st_mode, Alike(found.st_ino), *found[2:]])

    patch.setattr(unswapping, "_lstat", lstat)


KINDS = pytest.mark.parametrize("kind", [nothing, without_exchange], ids=["exchange", "without"])
WHEN = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
