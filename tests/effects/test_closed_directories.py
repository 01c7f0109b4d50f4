"""Directories whose permissions bind their owner, too: each gets those that it should have while it can be reached.

Root, who runs some tests, gives up what would let them in.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import scanning
from folders import snapshot, write
from pairs import Pair, pending

from replican.effects import transition

START = {"d/e/f": "f", "d/e/g/h": "h", "i": "i"}
BELOW = ["d", "d/e", "d/e/g"]


def give(root: Path, modes: list[int]) -> None:
    for path in BELOW:
        (root / path).chmod(0o700)
    for path, mode in reversed([*zip(BELOW, modes, strict=True)]):
        (root / path).chmod(mode)


def bound(pair: Pair) -> dict[str, str]:
    """What is pending after a pull by an owner who is no more than that."""
    found = scanning.as_nobody(lambda: pending(pair.pull().merged), scanning.bound_by_permissions)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ([0o755, 0o755, 0o755], [0o500, 0o500, 0o500]),
        ([0o500, 0o500, 0o500], [0o755, 0o755, 0o755]),
        ([0o500, 0o755, 0o500], [0o755, 0o500, 0o700]),
        ([0o500, 0o500, 0o500], [0o555, 0o555, 0o555]),
        ([0o755, 0o755, 0o755], [0o600, 0o400, 0o000]),
        ([0o700, 0o755, 0o600], [0o600, 0o755, 0o755]),
        ([0o000, 0o600, 0o000], [0o755, 0o700, 0o500]),
    ],
)
def test_permissions_of_nested_directories(tmp_path: Path, was: list[int], now: list[int]) -> None:
    if os.geteuid() != 0 and any(mode & 0o500 != 0o500 for mode in was + now):
        pytest.skip("nobody but root can record these")
    pair = Pair(tmp_path, START)
    give(pair.a, was)
    pair.pull()
    give(pair.a, now)
    pair.record(pair.a)
    assert bound(pair) == {}
    pair.assert_at_rest()
    assert [snapshot(pair.b)[os.fsencode(path)][1] for path in BELOW] == now


def test_attributes_of_a_file_in_a_directory_that_is_not_written_to(tmp_path: Path) -> None:
    pair = Pair(tmp_path, START)
    give(pair.a, [0o755, 0o500, 0o755])
    pair.pull()
    (pair.a / "d/e/f").chmod(0o600)
    os.utime(pair.a / "d/e/f", ns=(5, 5))
    assert bound(pair) == {}
    pair.assert_at_rest()
    give(pair.a, [0o755, 0o755, 0o755])
    write(pair.a / "d/e/f", "edited")
    give(pair.a, [0o755, 0o500, 0o755])
    assert bound(pair) == {"d/e/f": "permission denied"}


def test_a_kill_before_the_last_of_them(tmp_path: Path, monkeypatch) -> None:
    """Recovery goes in the same order."""
    pair = Pair(tmp_path, START)
    give(pair.a, [0o600, 0o600, 0o600])
    pair.record(pair.a)

    class Killed(BaseException):
        pass

    def step(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(transition, "set_mode", step)
        with pytest.raises(Killed):
            pair.pull()

    def recorded() -> bool:
        return pair.record(pair.b).new

    assert scanning.as_nobody(recorded, scanning.bound_by_permissions) is False
    assert [snapshot(pair.b)[os.fsencode(path)][1] for path in BELOW] == [0o600, 0o600, 0o600]
