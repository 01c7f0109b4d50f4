"""The tracker that goes on: what it looks at, what it leaves alone, and what it says when it is asked."""

import os
import shutil
import sys
import time
from pathlib import Path

import pytest
from folders import noise
from followed import Watched, names, on_disk

from replican.effects.config import RemoteSettings
from replican.effects.index_births import BORN_FROM
from replican.operations.cloning import clone
from replican.operations.fetching import fetch_from
from replican.operations.recording import record
from replican.operations.remotes import opened_remote
from replican.operations.syncing import merge_remote, pull
from replican.operations.tracker import PATIENCE, STILL
from replican.operations.tracking import update_index
from replican.repository import Repository
from replican.values.errors import LockedError
from replican.values.listing import RACY_NS

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is told by inotify here")


def test_nothing_changes(watched: Watched) -> None:
    assert not watched.tracker.listen(watched.now)
    assert not watched.tracker.dirty
    assert watched.tracker.look(watched.now) is None
    assert watched.tracker.state(watched.now) == (on_disk(watched.repo), [])


def test_one_file_costs_its_own_directories(watched: Watched) -> None:
    watched.write("a/b/file")
    assert watched.tracker.listen(watched.now)
    seen = watched.tracker.look(watched.now)
    assert seen is not None
    assert (set(seen.changed), seen.hashed_files) == ({b"", b"a", b"a/b"}, 1)
    assert watched.tracker.state(watched.now) == (seen.root, [])
    assert seen.root == on_disk(watched.repo)


def test_asked_before_it_has_looked(watched: Watched) -> None:
    watched.write("a/b/file")
    watched.write("new/deep/file")
    os.unlink(watched.root / "c/file")
    os.chmod(watched.root / "a", 0o700)
    assert {b"a/b/file", b"new", b"c/file"} <= set(watched.tracker.state(watched.now).doubtful)
    watched.assert_knows()
    watched.look()
    assert watched.tracker.state(watched.now).doubtful == []
    watched.assert_knows()


def test_permissions_alone(watched: Watched) -> None:
    os.chmod(watched.root / "a", 0o700)
    assert watched.look() == {b""}
    watched.assert_knows()


def test_a_file_that_is_being_written_to_is_left_until_it_is_closed(watched: Watched) -> None:
    with open(watched.root / "a/log", "wb", buffering=0) as file:
        file.write(b"1")
        assert watched.look() == set()
        assert watched.tracker.due == watched.now + STILL
        assert watched.tracker.state(watched.now).doubtful == [b"a/log"]
        watched.assert_knows()
    assert watched.look() == {b"", b"a"}
    assert watched.tracker.due is None
    watched.assert_knows()


def test_a_file_that_stays_open_is_looked_at_once_it_is_still(watched: Watched) -> None:
    with open(watched.root / "a/log", "wb", buffering=0) as file:
        file.write(b"1")
        watched.look()
        watched.now += STILL
        file.write(b"2")
        assert watched.look() == set()
        watched.now += STILL * 0.9
        assert watched.look() == set()
        watched.now += STILL * 0.1
        assert watched.look() == {b"", b"a"}
        watched.now += 1
        assert watched.look() == set()


def test_a_file_that_never_is_still_is_looked_at_all_the_same(watched: Watched) -> None:
    began = watched.now
    with open(watched.root / "a/log", "wb", buffering=0) as file:
        while True:
            file.write(b"1")
            if watched.look():
                break
            watched.now += STILL / 2
            assert watched.now < began + 2 * PATIENCE
    assert watched.now == began + PATIENCE


def test_what_lies_beside_a_file_that_is_being_written_to(watched: Watched) -> None:
    watched.write("new/deep/done")
    watched.write("new/beside")
    with open(watched.root / "new/deep/begun", "wb", buffering=0) as file:
        file.write(b"1")
        watched.look()
        names = [row.name for row in watched.repo.index.rows(b"new/deep")]
        assert names == [b"done"]
        assert watched.repo.index.row(b"new/beside") is not None
        watched.repo.close_index()
        watched.assert_knows()
    watched.look()
    assert watched.tracker.state(watched.now).doubtful == []
    watched.assert_knows()


def test_a_renamed_directory_is_not_read_again(watched: Watched) -> None:
    os.rename(watched.root / "a", watched.root / "z")
    watched.tracker.listen(watched.now)
    assert not watched.tracker.gone
    seen = watched.tracker.look(watched.now)
    assert seen is not None
    assert seen.hashed_files == 0
    watched.assert_knows()


def test_what_went_is_told(watched: Watched) -> None:
    shutil.rmtree(watched.root / "a")
    watched.tracker.listen(watched.now)
    assert watched.tracker.gone
    watched.look()
    assert not watched.tracker.gone
    watched.assert_knows()


def test_names_that_are_never_recorded_are_no_problem(watched: Watched) -> None:
    watched.write("a/.replican", "a file of that name")
    watched.write(".replican/stage/x")
    assert watched.look() == set()
    assert watched.repo.index.problems() == []
    watched.repo.close_index()
    watched.assert_knows()


def test_ignored_things_change_nothing(watched: Watched) -> None:
    watched.write(".replicanignore", "*.o\nout/\n")
    watched.look()
    watched.write("a/x.o")
    watched.write("out/file")
    assert watched.look() == set()
    watched.write(".replicanignore", "out/\n")
    watched.look()
    watched.assert_knows()
    watched.write("a/y.o")
    assert watched.look() == {b"", b"a"}
    watched.assert_knows()


def test_more_than_can_be_told_is_a_scan(watched: Watched) -> None:
    watched.write("a/b/file")
    watched.tracker.doubt_everything()
    assert watched.tracker.state(watched.now) == (None, [])
    assert watched.look() == {b"", b"a", b"a/b"}
    watched.assert_knows()


def test_what_a_poller_finds(watched: Watched) -> None:
    watched.tracker.close()
    watched.write("a/done")
    with open(watched.root / "a/begun", "wb", buffering=0) as file:
        file.write(b"1")
        watched.tracker.take_polled([b"a/done", b"a/begun"], watched.now)
        watched.look()
        assert [row.name for row in watched.repo.index.rows(b"a")] == [b"b", b"done", b"other"]
        watched.repo.close_index()
    watched.now += 0.1
    assert watched.look() == {b"", b"a"}
    assert watched.tracker.state(watched.now).root is None, "nobody notices what changes"


def test_locked_means_later(watched: Watched) -> None:
    watched.write("a/b/file")
    with Repository.open(str(watched.root)) as other, other.writing("test"):
        watched.tracker.listen(watched.now)
        with pytest.raises(LockedError):
            watched.tracker.look(watched.now)
        assert watched.tracker.dirty
        assert watched.tracker.state(watched.now).doubtful == [b"a/b/file"]
    assert watched.look() == {b"", b"a", b"a/b"}


def test_another_process_records(watched: Watched) -> None:
    watched.write("a/b/file")
    watched.look()
    watched.write("c/file")
    with Repository.open(str(watched.root)) as other:
        assert record(other).new
    watched.look()
    watched.assert_knows()


def test_another_process_forgets_what_was_observed(watched: Watched) -> None:
    watched.write("a/b/file")
    watched.look()
    with Repository.open(str(watched.root)) as other, other.writing("test"):
        other.index.discard_observed()
    watched.write("c/file")
    watched.look()
    watched.assert_knows()


def test_a_damaged_index_is_rebuilt_from_the_whole_folder(watched: Watched) -> None:
    Path(watched.repo.dotdir, "index.db").write_bytes(b"no database" * 1000)
    watched.write("c/file")
    watched.look()
    watched.assert_knows()


def test_update_index_rebuilds_a_damaged_index_from_the_whole_folder(watched: Watched) -> None:
    with watched.repo.writing("test"):
        connection = watched.repo.index._database.connection
        connection.execute("UPDATE dirs SET tree = zeroblob(32) WHERE path = x'61'")
        watched.write("a/b/file")
        assert update_index(watched.repo, [b"a/b/file"]).root == on_disk(watched.repo)


@pytest.fixture
def cloned(watched: Watched, tmp_path: Path) -> Path:
    """Another folder, which was cloned, edited and recorded; the watched one has it as a remote."""
    other = tmp_path / "other"
    clone(str(watched.root), str(other))
    watched.repo.config.set_remote("other", RemoteSettings(str(other)))
    (other / "a/b/file").write_text("theirs")
    (other / "new/deep").mkdir(parents=True)
    (other / "new/deep/file").write_text("theirs")
    shutil.rmtree(other / "c")
    with Repository.open(str(other)) as there:
        record(there)
    watched.look()
    return other


def test_what_a_merge_replaces_has_not_gone(watched: Watched, cloned: Path) -> None:
    """Its old version goes to the trash: nobody deletes, and what the user does next does not wait for more of it."""
    (cloned / "c").mkdir()
    (cloned / "c/file").write_text("c/file")
    with Repository.open(str(cloned)) as there:
        record(there)
    pull(watched.repo, "other")
    watched.tracker.listen(watched.now)
    assert watched.tracker.dirty
    assert not watched.tracker.gone


def test_a_merge_of_our_own_is_no_news(watched: Watched, cloned: Path) -> None:
    pull(watched.repo, "other")
    watched.tracker.resume()
    head = watched.repo.head
    watched.now += 1
    watched.look()
    assert watched.repo.index.observed_root() == watched.repo.index.base_root() == watched.repo.head_tree
    watched.repo.close_index()
    watched.assert_knows()
    assert not record(watched.repo).new
    assert watched.repo.head == head


def test_an_edit_that_was_seen_and_not_recorded_outlives_a_merge(watched: Watched, cloned: Path) -> None:
    watched.write("a/other", "seen, not recorded")
    assert watched.look() == {b"", b"a"}
    with opened_remote(watched.repo, "other") as remote:
        fetch_from(watched.repo, remote)
        merge_remote(watched.repo, remote)
    watched.tracker.resume()
    watched.look()
    watched.assert_knows()
    assert watched.repo.index.observed_root() != watched.repo.index.base_root()


def test_a_large_file_that_is_renamed_is_not_read(watched: Watched) -> None:
    """By what the system tells of it: both its names at once, or one long after the other."""

    def hashed() -> int:
        watched.tracker.listen(watched.now)
        seen = watched.tracker.look(watched.now)
        assert seen is not None
        watched.assert_knows()
        watched.record()
        return seen.hashed_files

    root, outside = watched.root, watched.root / ".replican/outside"
    (root / "large").write_bytes(noise(BORN_FROM))
    time.sleep(2 * RACY_NS / 10**9)
    assert hashed() == 1
    if not watched.repo.index.births.inodes():
        pytest.skip("this disk does not keep when a file was made")
    for old, new in (("large", "a/other"), ("a/other", "a/new/third"), ("a/new/third", "c/file")):
        (root / new).parent.mkdir(exist_ok=True)
        os.rename(root / old, root / new)
        assert hashed() == 0
    os.rename(root / "c/file", outside)
    assert hashed() == 0
    os.rename(outside, root / "large")
    assert hashed() == 0


def test_a_directory_that_is_left_out_is_recorded_when_it_is_empty(watched: Watched) -> None:
    watched.write(".replicanignore", "*.o\n")
    watched.write("n/1.o")
    watched.write("n/2.o")
    watched.look()
    assert b"n" not in names(watched, b"")
    for name in ("1.o", "2.o"):
        (watched.root / "n" / name).unlink()
        watched.look()
        assert (b"n" in names(watched, b"")) is (name == "2.o")
        watched.assert_knows()
