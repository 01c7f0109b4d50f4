"""Each command, killed at every single system call that changes something, and failed at each for want of room.

After it every file of the user's is old or new, and whole, and so is every unit; the same command then succeeds, or
tells that there is nothing left to do; `fsck` is clean; and the folders come to rest equal, with nothing lost and
nothing back.
A sample of the points by default, all of them with ``REPLICAN_TORTURE``.
"""

import itertools
import os
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import faults
import pytest
from cases import (
    COMMANDS,
    FOLDERS,
    SOME,
    again,
    each_content,
    each_way,
    prepare,
    put_back,
    rest,
    started,
    trashed,
    units_of,
)
from folders import Seen, differences
from replicas import Replicas
from verdicts import Moments

TORTURE = bool(int(os.environ.get("REPLICAN_TORTURE", "0")))

WAYS = each_way(None if TORTURE else SOME)
ENOUGH = -1 if TORTURE else 2
"""So many faults for each command by default."""
SQLITE = ("disk i/o error", "unable to open database file", "attempt to write a readonly database")
ERRORS = {
    "ENOSPC": ("no space left on", *SQLITE),
    "EIO": ("input/output error", *SQLITE),
    "EDQUOT": ("disk quota exceeded", *SQLITE),
}
"""What a disk may answer, and what has to be said of it; SQLite, where it is the index's, tells no reasons."""
CODES = {"ENOSPC": (0, 3, 4), "EIO": (0, 4, 5), "EDQUOT": (0, 3, 4)}
"""What a command may end with then: it did without, or refused for want of room, or left paths pending, or could not
write to the remote."""

pytestmark = pytest.mark.skipif(faults.why_not() is not None, reason=str(faults.why_not()))


class Kept(dict[str, Path]):
    """For each command two replicas as they are before it; made when they are asked for."""

    def __init__(self, places: pytest.TempPathFactory) -> None:
        super().__init__()
        self._places = places

    def __missing__(self, name: str) -> Path:
        base = self[name] = self._places.mktemp(name)
        with pytest.MonkeyPatch.context() as patch:
            prepare(Replicas(base, patch), name)
        return base


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return Kept(tmp_path_factory)


def points(calls: Sequence[str], name: str, creating: Sequence[int]) -> Iterator[tuple[str, Iterator[int]]]:
    """The kinds of calls to fail at, with numbers: strace counts each kind by itself. All of them, until a run passes
    untouched, or in any order with one number of each kind. Of those that open, the ones that create."""
    chance = random.Random(name)
    known = [call for call in calls if call in faults.known_calls()]
    for call in known if TORTURE else chance.sample(known, len(known)):
        if TORTURE:
            yield call, iter(creating) if call in faults.OPENS else itertools.count(1)
        else:
            yield call, iter([chance.choice(creating) if call in faults.OPENS else chance.choice((1, 1, 4, 7))])


class Expected(NamedTuple):
    """What is left at rest where nothing went wrong, in the folders and in their trash, and whatever a file or a unit
    may hold on the way."""

    wanted: dict[bytes, Seen]
    trash: set[tuple[str, bytes]]
    known: set[object]


def held(base: Path) -> set[object]:
    """What each file holds, and each unit."""
    found = each_content(base)
    return {*found.values(), *units_of(found).values()}


def expected(run: Replicas, name: str, kept: Path) -> Expected:
    put_back(kept, run)
    before = held(run.base)
    run(".", *COMMANDS[name])
    between = held(run.base)
    return Expected(rest(run, name), trashed(run.base), before | between)


def go_on(run: Replicas, name: str, expected: Expected, where: str) -> None:
    """Assert that nothing is lost and nothing half done, that the same command succeeds, and that all comes to rest."""
    assert held(run.base) <= expected.known, f"half a file, or a mixed unit: {where}"
    again(run, name)
    left = rest(run, name)
    assert left == expected.wanted, (where, differences(left, expected.wanted))
    assert expected.trash <= trashed(run.base), f"not even in the trash: {expected.trash - trashed(run.base)}"


@pytest.mark.parametrize(("name", "watched"), WAYS)
def test_killed_at_every_change(
    replicas: Replicas,
    kept: dict[str, Path],
    environment: dict[str, str],
    name: str,
    watched: bool,
    program: Sequence[str],
    record_property: Callable[[str, object], None],
) -> None:
    run = Faulty(replicas, kept[name], name, started(program, watched), environment)
    wanted = expected(replicas, name, kept[name])
    moments = Moments(f"{name} {'as watched ' * watched}killed")
    for call, numbers in points(faults.CHANGES, name, run.creating()):
        if moments.count == ENOUGH:
            break
        for number in numbers:
            ended = run("signal=SIGKILL", call, number)
            if not ended.faults:
                assert ended.code == 0, ended
                break
            where = f"killed at {call} {number}"
            with moments.at(where):
                if ended.code != -9:  # one of its workers was killed
                    assert (ended.code, "a worker process died" in ended.err) == (4, True), ended
                go_on(replicas, name, wanted, where)
    record_property("summary", moments.told())
    moments.assert_got_over()


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(("name", "watched"), WAYS)
def test_failed_at_every_change(
    replicas: Replicas,
    kept: dict[str, Path],
    environment: dict[str, str],
    name: str,
    watched: bool,
    error: str,
    program: Sequence[str],
    record_property: Callable[[str, object], None],
) -> None:
    if not TORTURE and error != list(ERRORS)[list(COMMANDS).index(name) % 3]:
        pytest.skip("one error for each command, unless all are asked for")
    run = Faulty(replicas, kept[name], name, started(program, watched), environment)
    wanted = expected(replicas, name, kept[name])
    moments = Moments(f"{name} {'as watched ' * watched}with {error}")
    for call, numbers in points(faults.SPACE, name, run.creating()):
        if moments.count == ENOUGH:
            break
        for number in numbers:
            ended = run(f"error={error}", call, number)
            if not ended.faults:
                assert ended.code == 0, ended
                break
            where = f"{error} at {call} {number}"
            with moments.at(where):
                assert "Traceback" not in ended.err, ended.err
                assert "this is a bug" not in ended.err, ended.err
                assert ended.code in CODES[error], ended
                if ended.code and call != "write":  # it may be the message itself that could not be written
                    assert any(text in ended.err.lower() for text in ERRORS[error]), f"not said: {ended.err}"
                go_on(replicas, name, wanted, where)
    record_property("summary", moments.told())
    moments.assert_got_over()


@pytest.mark.parametrize("call", ["symlinkat", "fchmodat"])
def test_a_disk_in_trouble_is_not_taken_for_a_weak_one(
    replicas: Replicas, kept: dict[str, Path], environment: dict[str, str], program: Sequence[str], call: str
) -> None:
    run = Faulty(replicas, kept["clone"], "clone", program, environment)
    wanted = expected(replicas, "clone", kept["clone"])
    ended = run("error=ENOSPC", call, 1)
    assert (ended.faults, ended.code) == (1, 3), ended
    go_on(replicas, "clone", wanted, call)


class Faulty:
    """Runs one command with a fault in it, from the state in which it was kept."""

    def __init__(
        self, run: Replicas, kept: Path, name: str, program: Sequence[str], environment: dict[str, str]
    ) -> None:
        # The numbers of calls stay what they are where no bytecode is written.
        self._run, self._kept, self._env = run, kept, {**environment, "PYTHONDONTWRITEBYTECODE": "1"}
        words = [word if word not in FOLDERS else str(run.base / word) for word in COMMANDS[name]]
        self._command = [*program, *words]

    def creating(self) -> list[int]:
        """The numbers of those calls to open that create a file."""
        put_back(self._kept, self._run)
        return faults.creating(self._command, self._env, self._run.base / "trace")

    def __call__(self, fault: str, call: str, number: int) -> faults.Faulty:
        put_back(self._kept, self._run)
        return faults.run_with(fault, [call], number, self._command, self._env, self._run.base / "trace")
