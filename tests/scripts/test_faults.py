"""Each command, killed at every single system call that changes something, and failed at each for want of room.

After it every file of the user's is old or new, and whole; the same command then succeeds, or tells that there is
nothing left to do; `fsck` is clean; and the folders come to rest equal, with nothing lost and nothing back.
A sample of the points by default, all of them with ``REPLICAN_TORTURE``.
"""

import itertools
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import faults
import pytest
from folders import assert_equal, contents
from replicas import OLD, Replicas

TORTURE = bool(int(os.environ.get("REPLICAN_TORTURE", "0")))

ERRORS = ["ENOSPC", "EIO", "EDQUOT"]

pytestmark = pytest.mark.skipif(faults.why_not() is not None, reason=str(faults.why_not()))

COMMANDS: dict[str, list[str]] = {
    "commit": ["-C", "b", "commit"],
    "fetch": ["-C", "b", "fetch"],
    "merge": ["-C", "b", "merge", "remote"],
    "pull": ["-C", "b", "pull"],
    "push": ["-C", "b", "push"],
    "sync": ["-C", "b", "sync"],
    "undo": ["-C", "b", "undo"],
    "gc": ["-C", "b", "gc", "--grace", "0"],
    "resolve": ["-C", "b", "resolve", "both", "--keep", "current"],
    "clone": ["clone", "a", "c"],
    "repair": ["-C", "b", "fsck", "--repair"],
}
# What a push needs to be a fast-forward, an undo to have something to take back, a resolve to have a conflict.
BEFORE: dict[str, list[list[str]]] = {
    "merge": [["-C", "b", "commit"], ["-C", "b", "fetch"]],
    "push": [["-C", "b", "pull"]],
    "undo": [["-C", "b", "pull"]],
    "resolve": [["-C", "b", "pull"]],
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each command two replicas as they are before it."""
    made: dict[str, Path] = {}
    for name in COMMANDS:
        base = tmp_path_factory.mktemp(name)
        with pytest.MonkeyPatch.context() as patch:
            run = Replicas(base, patch)
            build(run)
            for words in BEFORE.get(name, ()):
                run(".", *words)
            if name == "repair":
                os.unlink(base / "b/.replican/refs/head")
                overwrite_object(run)
        made[name] = base
    return made


def build(run: Replicas) -> None:
    run.clone({f"folder/{number}": f"file {number}" for number in range(5)})
    for name, content in {"both": "b", "gone/x": "x", "swap": "s", "move/1": "1", "edit": "e"}.items():
        run.write(f"a/{name}", content, OLD)
    run("b", "sync")
    base = run.base
    run.write("a/both", "by a", OLD + 1)
    run.write("a/edit", "edited", OLD + 1)
    shutil.rmtree(base / "a/gone")
    (base / "a/move").rename(base / "a/moved")
    (base / "a/swap").unlink()
    run.write("a/swap/in", "a directory", OLD)
    run.write("a/fresh/deep/f", "fresh", OLD)
    (base / "a/link").symlink_to("edit")
    run.write("b/both", "by b", OLD + 2)
    run.write("b/new", "new", OLD)
    (base / "b/folder/3").unlink()


def overwrite_object(run: Replicas) -> None:
    path = min((run.base / "b/.replican/objects/loose").iterdir())
    path.write_bytes(b"damaged")


def start(kept: Path, run: Replicas) -> None:
    for name in ("a", "b", "c"):
        shutil.rmtree(run.base / name, ignore_errors=True)
        if (kept / name).exists():
            shutil.copytree(kept / name, run.base / name, symlinks=True)
            for part in ("b", "a"):
                config = run.base / name / ".replican/config.toml"
                config.write_text(config.read_text().replace(str(kept / part), str(run.base / part)))
    (run.base / "home").mkdir(exist_ok=True)


def every_content(base: Path) -> set[bytes]:
    return {content for name in ("a", "b", "c") if (base / name).is_dir() for content in contents(base / name).values()}


def rest(run: Replicas, name: str) -> set[bytes]:
    """Bring all to rest; the contents that are left."""
    where = "c" if name == "clone" else "b"
    for _ in range(2):
        run(where, "sync")
    for each in ("a", where):
        run(each, "fsck", "--content")
    assert_equal(run.base / "a", run.base / where)
    return set(contents(run.base / "a").values())


def points(calls: Sequence[str], name: str) -> Iterator[tuple[str, Iterator[int]]]:
    """The kinds of calls to fail at, with numbers: strace counts each kind by itself. All of them, until a run passes
    untouched, or one for some kinds, others for each command."""
    for at, call in enumerate(call for call in calls if call in faults.known_calls()):
        turn = list(COMMANDS).index(name) + at
        if TORTURE:
            yield call, itertools.count(1)
        elif turn % 6 == 0:
            yield call, iter([1 + turn % 3 * 3])


def expected(run: Replicas, name: str, kept: Path) -> tuple[set[bytes], set[bytes]]:
    """What is left where nothing went wrong, and whatever a file may hold on the way."""
    start(kept, run)
    before = every_content(run.base)
    run(".", *COMMANDS[name])
    between = every_content(run.base)
    return rest(run, name), before | between


def again(run: Replicas, name: str) -> None:
    """The same command succeeds, or there is nothing left for it to do."""
    ended = run(".", *COMMANDS[name], code=None)
    if ended.code == 0:
        return
    done = {
        "clone": "is a replica already",
        "resolve": "no conflict",
        "undo": "nothing to undo",
        "push": "pull first",  # it was killed in the middle of noting the other side's own edits
    }
    assert done.get(name, "!") in ended.err, ended


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_every_change(
    replicas: Replicas, kept: dict[str, Path], environment: dict[str, str], name: str, program: Sequence[str]
) -> None:
    wanted, known = expected(replicas, name, kept[name])
    passed = 0
    for call, numbers in points(faults.CHANGES, name):
        for number in numbers:
            ended = run_faulty(replicas, kept[name], name, "signal=SIGKILL", call, number, program, environment)
            if not ended.faults:
                assert ended.code == 0, ended
                break
            passed += 1
            where = f"killed at {call} {number}"
            assert every_content(replicas.base) <= known, f"half a file: {where}"
            again(replicas, name)
            left = rest(replicas, name)
            assert left == wanted, f"{where}: lost {wanted - left}, back {left - wanted}"
    assert passed, "no kill came about"


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("name", COMMANDS)
def test_failed_at_every_change(
    replicas: Replicas,
    kept: dict[str, Path],
    environment: dict[str, str],
    name: str,
    error: str,
    program: Sequence[str],
) -> None:
    if not TORTURE and error != ERRORS[list(COMMANDS).index(name) % 3]:
        pytest.skip("one error for each command, unless all are asked for")
    wanted, known = expected(replicas, name, kept[name])
    for call, numbers in points(faults.SPACE, name):
        for number in numbers:
            ended = run_faulty(replicas, kept[name], name, f"error={error}", call, number, program, environment)
            if not ended.faults:
                assert ended.code == 0, ended
                break
            where = f"{error} at {call} {number}"
            assert "this is a bug" not in ended.err, (where, ended.err)
            assert ended.code in (0, 3, 4, 5, 6, 7, 141), (where, ended)
            if ended.code and call != "write":  # it may be the message itself that could not be written
                assert ended.err.strip(), f"nothing said: {where}"
            assert every_content(replicas.base) <= known, f"half a file: {where}"
            again(replicas, name)
            left = rest(replicas, name)
            assert left == wanted, f"{where}: lost {wanted - left}, back {left - wanted}"


def run_faulty(
    run: Replicas,
    kept: Path,
    name: str,
    fault: str,
    call: str,
    number: int,
    program: Sequence[str],
    environment: dict[str, str],
) -> faults.Faulty:
    start(kept, run)
    words = [word if word not in ("a", "b", "c") else str(run.base / word) for word in COMMANDS[name]]
    ended = faults.run_with(fault, [call], number, [*program, *words], environment, run.base / "trace")
    assert "Traceback" not in ended.err, (call, number, ended.err)
    return ended
