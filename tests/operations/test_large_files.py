"""Large files of a tracked folder: what is small is recorded without them, and what becomes of them meanwhile."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from large_files import NEW, PAST, Tracked, tracking

from replican.values.progress import HOLDS_UNREAD, MOVED, UNREAD

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is told by inotify here")


@pytest.fixture
def tracked(tmp_path: Path) -> Iterator[Tracked]:
    with tracking(tmp_path / "root") as tracked:
        yield tracked


def test_what_is_small_is_recorded_without_what_is_large(tracked: Tracked) -> None:
    tracked.write("new", NEW)
    tracked.write("large", NEW * 2)
    tracked.write("quick", b"quick")
    done = tracked.step()
    assert done is not None
    assert (done.new, done.tally.added) == (True, 1)
    assert tracked.holds() == {"large", "small", "d/small", "quick"}
    assert tracked.size_of("large") == len(PAST), "it stands as it was recorded"
    assert tracked.causes() == {"large": UNREAD, "new": UNREAD}
    assert set(tracked.tracker.state(tracked.now).doubtful) == {b"large", b"new"}
    tracked.assert_knows()
    tracked.settle()
    assert tracked.holds() == {"large", "small", "d/small", "quick", "new"}
    assert tracked.size_of("large") == len(NEW * 2)
    tracked.assert_knows()


def test_small_things_go_on_while_it_is_read(tracked: Tracked) -> None:
    with (tracked.root / "large").open("wb") as file:
        file.truncate(64 << 30)
    tracked.let_read(1)
    tracked.step()
    for number in range(5):
        tracked.write(f"quick{number}", b"quick")
        done = tracked.step()
        assert done is not None
        assert done.new
        assert tracked.causes() == {"large": UNREAD}
    assert tracked.size_of("large") == len(PAST)
    assert tracked.tracker._beforehand.descriptors, "it is being read"
    (tracked.root / "large").unlink()
    tracked.step()
    assert "large" not in tracked.holds()
    assert tracked.tracker.state(tracked.now).doubtful == []
    assert not tracked.tracker._beforehand.paths
    tracked.assert_knows()


def test_a_look_at_everything_puts_it_off_too(tracked: Tracked) -> None:
    tracked.write("d/new", NEW)
    tracked.write("quick", b"quick")
    tracked.tracker.doubt_everything()
    tracked.step()
    assert tracked.holds() == {"large", "small", "d/small", "quick"}
    assert tracked.causes() == {"d/new": UNREAD}
    tracked.read()
    tracked.tracker.doubt_everything()
    tracked.step()
    assert "d/new" in tracked.holds()
    tracked.assert_knows()


def test_it_changes_again_while_it_is_read(tracked: Tracked) -> None:
    tracked.write("large", NEW)
    tracked.step()
    with (tracked.root / "large").open("ab", buffering=0) as file:
        file.write(b"1")
        tracked.step()
        assert tracked.tracker.due is not None, "it is left to settle"
        assert tracked.tracker.state(tracked.now).doubtful == [b"large"]
        tracked.assert_knows()
    tracked.settle()
    assert tracked.size_of("large") == len(NEW) + 1
    tracked.assert_knows()


def test_it_is_replaced_by_a_small_one(tracked: Tracked) -> None:
    tracked.write("large", NEW)
    tracked.step()
    tracked.write("other", b"no more")
    (tracked.root / "other").rename(tracked.root / "large")
    tracked.step()
    assert tracked.size_of("large") == len(b"no more")
    assert tracked.causes() == {}
    tracked.assert_knows()


def test_nothing_is_read_twice_that_stays_the_same(tracked: Tracked) -> None:
    tracked.write("large", NEW)
    tracked.settle()
    tracked.tracker.doubt_everything()
    seen = tracked.tracker.look(tracked.now)
    assert seen is not None
    assert (seen.problems, seen.hashed_files) == ([], 0)


def test_the_process_that_reads_it_dies(tracked: Tracked) -> None:
    with (tracked.root / "large").open("wb") as file:
        file.truncate(64 << 30)
    tracked.let_read(1)
    tracked.step()
    tracked.tracker.listen(tracked.now)
    (reader,) = tracked.tracker._beforehand._readers.values()
    reader.kill()
    reader.ended = True
    tracked.tracker.listen(tracked.now)
    tracked.step()
    assert list(tracked.causes()) == ["large"]
    assert not tracked.tracker.dirty, "it is not tried at once again"
    tracked.write("large", NEW)
    tracked.settle()
    assert tracked.size_of("large") == len(NEW)


# -- moves ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("to", ["moved", "d/moved", "new/moved", "small"])
def test_a_move_is_recorded_as_one(tracked: Tracked, to: str, everything: bool) -> None:
    (tracked.root / to).parent.mkdir(exist_ok=True)
    (tracked.root / "large").rename(tracked.root / to)
    tracked.write("quick", b"quick")
    if everything:
        tracked.tracker.doubt_everything()
    tracked.step()
    assert tracked.holds() == {"large", "small", "d/small", "quick"}
    assert tracked.causes() == {"large": MOVED, to: UNREAD}
    tracked.assert_knows()
    tracked.write("quick", b"quick again")
    tracked.step()
    assert "large" in tracked.holds()
    head = tracked.repo.head
    tracked.settle()
    assert tracked.holds() == {"small", "d/small", "quick", to}
    assert tracked.repo.head is not None
    assert tracked.repo.checkpoint(tracked.repo.head).parents == (head,), "one checkpoint for both"
    tracked.assert_knows()


@pytest.mark.parametrize("everything", [False, True])
def test_out_of_a_directory_that_is_gone(tracked: Tracked, everything: bool) -> None:
    tracked.write("e/f/large", NEW)
    tracked.settle()
    (tracked.root / "e/f/large").rename(tracked.root / "moved")
    shutil.rmtree(tracked.root / "e")
    if everything:
        tracked.tracker.doubt_everything()
    tracked.step()
    assert tracked.causes() == {"e": MOVED, "moved": UNREAD}
    assert "e/f/large" in tracked.holds()
    tracked.assert_knows()
    tracked.settle()
    assert tracked.holds() == {"large", "small", "d/small", "moved"}
    tracked.assert_knows()


def test_it_was_moved_and_is_deleted_before_it_is_read(tracked: Tracked) -> None:
    (tracked.root / "large").rename(tracked.root / "moved")
    tracked.step()
    (tracked.root / "moved").unlink()
    tracked.step()
    assert tracked.holds() == {"small", "d/small"}
    assert tracked.causes() == {}
    tracked.assert_knows()


def test_what_was_moved_is_not_taken_for_a_mass_deletion(tracked: Tracked) -> None:
    for number in range(30):
        tracked.write(f"many/{number}", NEW + b"%d" % number)
    tracked.settle()
    (tracked.root / "other").mkdir()
    for number in range(30):
        (tracked.root / f"many/{number}").rename(tracked.root / f"other/{number}")
    tracked.write("quick", b"quick")
    done = tracked.step()
    assert done is not None
    assert done.gated is None
    assert done.tally == (1, 0, 0, 0)
    while tracked.causes():
        tracked.read()
        done = tracked.step()
        assert done is not None
        assert done.gated is None
    assert len(tracked.holds()) == 34
    tracked.assert_knows()


def test_what_is_only_deleted_is_recorded_at_once(tracked: Tracked) -> None:
    tracked.write("new", NEW)
    (tracked.root / "large").unlink()
    tracked.step()
    assert tracked.holds() == {"small", "d/small"}
    assert tracked.causes() == {"new": UNREAD}


# -- units ----------------------------------------------------------------------------------------------------------


def test_a_unit_is_recorded_when_all_of_it_is_read(tracked: Tracked) -> None:
    tracked.write(".replicanattributes", b"*.unit/ atomic\n")
    for name in ("one", "two"):
        tracked.write(f"a.unit/{name}", NEW + name.encode())
    tracked.write("a.unit/small", b"small")
    tracked.write("quick", b"quick")
    tracked.step()
    assert "quick" in tracked.holds()
    assert tracked.causes() == {"a.unit": HOLDS_UNREAD, "a.unit/one": UNREAD, "a.unit/two": UNREAD}
    assert not any(name.startswith("a.unit") for name in tracked.holds())
    for _ in range(2):
        tracked.read()
        tracked.step()
    assert tracked.causes() == {}, "what was read first was not read again"
    assert {"a.unit/one", "a.unit/two", "a.unit/small"} <= tracked.holds()
    tracked.write("a.unit/small", b"other")
    tracked.write("a.unit/one", NEW)
    tracked.step()
    assert tracked.causes() == {"a.unit": HOLDS_UNREAD, "a.unit/one": UNREAD}
    assert tracked.size_of("a.unit/small") == len(b"small"), "it is never recorded in part"
    tracked.settle()
    assert (tracked.size_of("a.unit/small"), tracked.size_of("a.unit/one")) == (len(b"other"), len(NEW))
    tracked.assert_knows()
