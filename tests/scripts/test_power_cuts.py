"""Each command, and the power cut after every change that it makes: what had not been flushed by then is gone.

What a command does is recorded once, then the disk is laid out as a cut would leave it, in several ways for each
moment. Every file of the user's is old or new, and whole, and so is every unit; the log opens; the same command then
succeeds; `fsck` is clean; and the folders come to rest as if nothing had happened, with all that was replaced in the
trash. Taking out a flush is noticed.
A sample of the moments by default, all of them with ``REPLICAN_TORTURE``.
"""

import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import faults
import powercut
import pytest
from cases import (
    COMMANDS,
    SOME,
    UNITS,
    again,
    each_content,
    each_seen,
    each_way,
    prepare,
    rest,
    started,
    trashed,
    units_of,
)
from folders import Seen, differences
from powercut import Disk, Keep, Recording, read_disk
from replicas import Replicas
from tracing import Call, trace
from verdicts import Moments

TORTURE = int(os.environ.get("REPLICAN_TORTURE", "0"))
SAMPLE = 2

pytestmark = pytest.mark.skipif(faults.why_not() is not None, reason=str(faults.why_not()))

Unflushed = Callable[[Call], bool]


class Recorded(NamedTuple):
    """A command, what it did, and what has to come out: the contents before and after it, all that there is after it,
    and what is left at rest, in the folders and in their trash."""

    name: str
    recording: Recording
    before: dict[str, bytes]
    after: dict[str, bytes]
    seen: dict[str, dict[bytes, Seen]]
    wanted: dict[bytes, Seen]
    trash: set[tuple[str, bytes]]


def record(
    run: Replicas,
    name: str,
    program: Sequence[str],
    environment: dict[str, str],
    unflushed: Unflushed = lambda call: False,
) -> Recorded:
    prepare(run, name)
    disk, before = read_disk(run.base), each_content(run.base)
    calls = trace(program, COMMANDS[name], environment, run.base)
    recording = Recording(run.base, disk, calls, unflushed)
    assert_same(recording.at_end(), read_disk(run.base))
    after, seen = each_content(run.base), each_seen(run.base)
    return Recorded(name, recording, before, after, seen, rest(run, name), trashed(run.base))


def assert_same(model: Disk, real: Disk) -> None:
    """The model of the disk ends as the disk did, or nothing that it shows is worth anything."""
    seen, found = dict(model.files()), dict(real.files())
    assert sorted(seen) == sorted(found)
    for path, inode in found.items():
        kept = seen[path]
        assert (kept.kind, kept.mode) == (inode.kind, inode.mode), path
        assert kept.mtime_ns in (None, inode.mtime_ns) or inode.kind == "d", path
        if not path.endswith("-shm"):
            assert kept.content == inode.content, path


def cuts(recorded: Recorded, moments: Iterable[int], seeds: int) -> Iterator[tuple[str, Disk]]:
    """The disks that a cut may leave at these moments, each once, with how it came about."""
    seen: set[bytes] = set()
    ways: dict[str, Callable[[int], Keep]] = {
        "nothing unflushed": lambda cut: powercut.nothing,
        "names without data": lambda cut: powercut.names,
        "zeros for data": lambda cut: powercut.sizes,
    }
    for seed in range(seeds):
        ways[f"by chance {seed}"] = lambda cut, seed=seed: powercut.by_chance(seed, cut)
    for cut in moments:
        for way, keep in ways.items():
            disk = recorded.recording.after_cut(cut, keep(cut))
            digest = disk.digest()
            if digest not in seen:
                seen.add(digest)
                last = recorded.recording.calls[cut - 1]
                yield f"cut {cut} after {last.name} {last.paths}, {way}", disk


def moments_of(recorded: Recorded) -> list[int]:
    """After each change, and after each flush."""
    changes = recorded.recording.changes
    return sorted(
        {change.done + 1 for change in changes} | {change.durable + 1 for change in changes if change.flushed}
    )


def check(run: Replicas, recorded: Recorded, disk: Disk) -> None:
    """Assert that nothing is lost by the cut, and nothing half done, and that all goes on from there."""
    name = recorded.name
    disk.lay_out(run.base)
    for path, content in (found := each_content(run.base)).items():
        assert content in (recorded.before.get(path), recorded.after.get(path)), f"{path} is {content!r}"
    units, before, after = map(units_of, (found, recorded.before, recorded.after))
    mixed = {path: unit for path, unit in units.items() if unit not in (before.get(path), after.get(path))}
    assert not mixed, f"mixed: {mixed}"
    gone = (recorded.before.keys() & recorded.after.keys()) - found.keys()
    assert not gone, f"gone for a moment: {gone}"
    if name != "repair":
        run("b", "log")
    again(run, name)
    for each in ("a", "b"):
        run(each, "fsck")
    left = rest(run, name)
    assert left == recorded.wanted, differences(left, recorded.wanted)
    assert recorded.trash <= trashed(run.base), f"not even in the trash: {recorded.trash - trashed(run.base)}"


@pytest.mark.parametrize(("name", "watched"), each_way(None if TORTURE else SOME))
def test_cut_at_every_change(
    replicas: Replicas,
    environment: dict[str, str],
    name: str,
    watched: bool,
    program: Sequence[str],
    record_property: Callable[[str, object], None],
) -> None:
    recorded = record(replicas, name, started(program, watched), environment)
    chosen = moments_of(recorded)
    assert len(chosen) > SAMPLE, "next to nothing was recorded"
    if not TORTURE:
        chosen = random.Random(name).sample(chosen, SAMPLE)
    moments = Moments(f"{name} {'as watched ' * watched}without power")
    for where, disk in cuts(recorded, chosen, 3 if TORTURE else 1):
        with moments.at(where):
            check(replicas, recorded, disk)
    record_property("summary", moments.told())
    moments.assert_got_over()


def check_end(run: Replicas, recorded: Recorded) -> None:
    """Assert that what a command did is there after a cut at its end, and known: what a user deletes of it then stays
    deleted."""
    recorded.recording.after_cut(len(recorded.recording.calls), powercut.nothing).lay_out(run.base)
    for name, found in each_seen(run.base).items():
        assert found == recorded.seen[name], differences(found, recorded.seen[name])
    where = {"clone": "c", "push": "a"}.get(recorded.name.removesuffix(UNITS), "b")
    after = {path: content for path, content in recorded.after.items() if path.startswith(f"{where}/")}
    came = sorted(path for path, content in after.items() if recorded.before.get(path) != content)
    for path in (gone := came[:2] or ["b/new"]):
        os.unlink(run.base / path)
    left = rest(run, recorded.name)
    back = [path for path in gone if os.fsencode(path[2:]) in left]
    assert not back, f"deleted, and there again: {back}"


@pytest.mark.parametrize(("name", "watched"), each_way(None if TORTURE else []))
def test_cut_at_the_end(
    replicas: Replicas, environment: dict[str, str], name: str, watched: bool, program: Sequence[str]
) -> None:
    check_end(replicas, record(replicas, name, started(program, watched), environment))


def is_below(call: Call, *places: str) -> bool:
    return any(place in path for path in call.paths for place in places)


def is_index(call: Call) -> bool:
    return is_below(call, "/.replican/index.db")


WITHOUT: dict[str, tuple[str, bool, Unflushed]] = {
    "staged files": ("merge", False, lambda call: is_below(call, "/.replican/stage/") or call.name == "syncfs"),
    "objects": ("commit", False, lambda call: is_below(call, "/objects/loose/tmp-")),
    "names of objects": ("commit", False, lambda call: call.paths[0].endswith("/objects/loose")),
    "a ref": ("commit", False, lambda call: is_below(call, "/refs/tmp-")),
    "the journal": ("merge", False, is_index),
    "names in the folder": ("merge", False, lambda call: call.name == "fsync" and not is_below(call, "/.replican")),
    "the journal in the tail": ("merge", True, lambda call: is_below(call, "/.replican/tail")),
    "staged files of a watch": ("merge", True, lambda call: is_below(call, "/stage/") or call.name == "syncfs"),
}
"""Flushes that could be missing, in a command that needs them, perhaps as a watch runs it. Without the journal
everything comes to rest all the same, but what a swap has just taken out of a user's name never comes to the trash."""


@pytest.mark.parametrize("what", WITHOUT)
def test_a_flush_that_is_missing_is_noticed(
    replicas: Replicas, environment: dict[str, str], program: Sequence[str], what: str
) -> None:
    name, watched, unflushed = WITHOUT[what]
    recorded = record(replicas, name, started(program, watched), environment, unflushed)
    assert any(map(unflushed, recorded.recording.calls)), "there is no such flush"
    moments = moments_of(recorded)
    random.Random(what).shuffle(moments)
    for _, disk in cuts(recorded, moments, 0):
        try:
            check(replicas, recorded, disk)
        except AssertionError:
            return
    pytest.fail(f"all is well without a flush of {what}")


@pytest.mark.parametrize(("name", "watched"), [("commit", False), ("pull", False), ("clone", False), ("commit", True)])
def test_rows_that_are_not_flushed_are_noticed(
    replicas: Replicas, environment: dict[str, str], program: Sequence[str], name: str, watched: bool
) -> None:
    recorded = record(replicas, name, started(program, watched), environment, is_index)
    with pytest.raises(AssertionError, match=r"there again|exit code 4"):
        check_end(replicas, recorded)
