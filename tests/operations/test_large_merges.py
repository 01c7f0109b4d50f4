"""Merges into a folder of which a large file has not been read yet: it is neither lost nor buried."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from large_files import MOST, NEW, PAST, Tracked, tracking

from replican.effects.config import RemoteSettings
from replican.effects.hashing import PuttingOff
from replican.operations.cloning import clone
from replican.operations.fetching import fetch_from
from replican.operations.recording import record
from replican.operations.remotes import opened_remote
from replican.operations.syncing import merge_remote
from replican.repository import Repository
from replican.values.names import COPY_MARK
from replican.values.progress import UNREAD

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is told by inotify here")


@pytest.fixture
def tracked(tmp_path: Path) -> Iterator[Tracked]:
    with tracking(tmp_path / "root") as tracked:
        yield tracked


@pytest.fixture
def other(tracked: Tracked, tmp_path: Path) -> Iterator[Repository]:
    """A clone, which the tracked folder has as a remote."""
    clone(str(tracked.root), str(tmp_path / "other"))
    tracked.repo.config.set_remote("other", RemoteSettings(str(tmp_path / "other")))
    with Repository.open(str(tmp_path / "other")) as other:
        yield other


def merge(tracked: Tracked) -> None:
    """As a courier does."""
    with opened_remote(tracked.repo, "other") as remote:
        remote.refresh(prompt=True)
        fetch_from(tracked.repo, remote)
        merge_remote(tracked.repo, remote)


def versions(tracked: Tracked, name: str) -> set[bytes]:
    """What the file and its conflict copies hold."""
    stem = name.encode() + COPY_MARK
    return {
        path.read_bytes() for path in tracked.root.iterdir() if path.name == name or path.name.encode().startswith(stem)
    }


@pytest.mark.parametrize("name", ["large", "new"])
def test_it_is_edited_or_new_on_both_sides(tracked: Tracked, other: Repository, name: str) -> None:
    Path(other.root, name).write_bytes(PAST + b" and theirs")
    tracked.write(name, NEW)
    tracked.step()
    merge(tracked)
    assert (tracked.root / name).read_bytes() == NEW
    tracked.settle()
    merge(tracked)
    tracked.settle()
    assert versions(tracked, name) == {NEW, PAST + b" and theirs"}
    tracked.assert_knows()


def test_it_is_deleted_over_there(tracked: Tracked, other: Repository) -> None:
    Path(other.root, "large").unlink()
    tracked.write("large", NEW)
    tracked.step()
    merge(tracked)
    assert (tracked.root / "large").read_bytes() == NEW
    tracked.settle()
    merge(tracked)
    tracked.settle()
    assert (tracked.root / "large").read_bytes() == NEW
    assert tracked.size_of("large") == len(NEW)
    tracked.assert_knows()


def test_it_is_moved_here_and_edited_over_there(tracked: Tracked, other: Repository) -> None:
    Path(other.root, "large").write_bytes(PAST + b" and theirs")
    (tracked.root / "large").rename(tracked.root / "moved")
    tracked.step()
    merge(tracked)
    tracked.settle()
    merge(tracked)
    tracked.settle()
    assert (tracked.root / "moved").read_bytes() == PAST
    assert (tracked.root / "large").read_bytes() == PAST + b" and theirs"
    tracked.assert_knows()


def test_it_is_moved_over_another_that_is_edited_over_there(tracked: Tracked, other: Repository) -> None:
    Path(other.root, "small").write_bytes(b"theirs")
    (tracked.root / "large").rename(tracked.root / "small")
    tracked.step()
    merge(tracked)
    assert (tracked.root / "small").read_bytes() == PAST
    tracked.settle()
    merge(tracked)
    tracked.settle()
    assert versions(tracked, "small") == {PAST, b"theirs"}
    assert not (tracked.root / "large").exists()
    tracked.assert_knows()


def test_small_things_of_both_sides_go_over(tracked: Tracked, other: Repository) -> None:
    Path(other.root, "d/small").write_bytes(b"theirs")
    tracked.write("large", NEW)
    tracked.write("small", b"ours")
    tracked.step()
    merge(tracked)
    assert (tracked.root / "d/small").read_bytes() == b"theirs"
    tracked.tracker.listen(tracked.now)
    tracked.step()
    assert tracked.size_of("large") == len(PAST)
    assert tracked.causes() == {"large": UNREAD}
    tracked.settle()
    assert tracked.size_of("large") == len(NEW)
    tracked.assert_knows()


def test_who_asks_for_a_record_at_once_does_not_have_it_read(tracked: Tracked) -> None:
    tracked.tracker.close()
    tracked.write("large", NEW)
    tracked.write("small", b"ours")
    done = record(tracked.repo, putting_off=PuttingOff(most=MOST))
    assert [each[:2] for each in done.problems] == [(b"large", UNREAD)]
    assert (tracked.size_of("large"), tracked.size_of("small")) == (len(PAST), 4)
    assert record(tracked.repo).new, "and who does not has it"
    assert tracked.size_of("large") == len(NEW)
