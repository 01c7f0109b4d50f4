"""Files that somebody had begun to write to before their directory was watched: none is recorded half."""

import sys

import pytest
from followed import Watched, names

from replican.effects.hashing import BEING_WRITTEN
from replican.operations.receiving import record_for
from replican.operations.tracker import PATIENCE, STILL

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is told by inotify here")


def test_a_file_that_was_begun_before_anybody_listened_is_left_until_it_is_closed(watched: Watched) -> None:
    (watched.root / "n/m").mkdir(parents=True)
    (watched.root / "n/m/done").write_text("all of it")
    with open(watched.root / "n/m/begun", "wb", buffering=0) as file:
        file.write(b"some")
        watched.look()
        assert names(watched, b"n/m") == [b"done"]
        assert watched.tracker.due is not None
        assert b"n/m/begun" in watched.tracker.state(watched.now).doubtful
        watched.assert_knows()
        file.write(b" and the rest")
        assert watched.look() == set()
    assert watched.look() >= {b"n/m"}
    assert names(watched, b"n/m") == [b"begun", b"done"]
    watched.assert_knows()


def test_one_that_was_begun_and_stays_open_is_looked_at_once_it_is_still(watched: Watched) -> None:
    (watched.root / "n").mkdir()
    with open(watched.root / "n/begun", "wb", buffering=0) as file:
        file.write(b"some")
        watched.look()
        watched.now += STILL
        assert watched.look() >= {b"n"}
        assert names(watched, b"n") == [b"begun"]


def test_a_file_that_was_begun_stays_so_wherever_it_goes_before_it_is_looked_at(watched: Watched) -> None:
    (watched.root / "n/m").mkdir(parents=True)
    with open(watched.root / "n/m/f", "wb", buffering=0) as one, open(watched.root / "n/m/g", "wb", buffering=0) as two:
        one.write(b"some")
        two.write(b"some")
        watched.tracker.listen(watched.now)
        (watched.root / "n").rename(watched.root / "o")
        (watched.root / "o/m/g").rename(watched.root / "a/g")
        watched.look()
        assert names(watched, b"o/m") == []
        assert b"g" not in names(watched, b"a")
    watched.look()
    assert names(watched, b"o/m") == [b"f"]
    assert b"g" in names(watched, b"a")
    watched.assert_knows()


def test_a_file_that_was_begun_stays_so_wherever_it_goes_later(watched: Watched) -> None:
    (watched.root / "n/m").mkdir(parents=True)
    with open(watched.root / "n/m/f", "wb", buffering=0) as one, open(watched.root / "n/m/g", "wb", buffering=0) as two:
        one.write(b"some")
        two.write(b"some")
        watched.look()
        assert names(watched, b"n/m") == []
        (watched.root / "n").rename(watched.root / "o")
        (watched.root / "o/m/g").rename(watched.root / "o/m/h")
        watched.look()
        assert names(watched, b"o/m") == []
    watched.look()
    assert names(watched, b"o/m") == [b"f", b"h"]
    watched.assert_knows()


def test_nobody_need_have_told_of_the_directory(watched: Watched) -> None:
    (watched.root / "n").mkdir()
    watched.tracker.listen(watched.now)
    (watched.root / "n/m").mkdir()
    with open(watched.root / "n/m/begun", "wb", buffering=0) as file:
        file.write(b"some")
        watched.tracker.look(watched.now)
        assert names(watched, b"n/m") == []
    watched.look()
    assert names(watched, b"n/m") == [b"begun"]
    watched.assert_knows()


def test_one_that_is_written_to_all_day_is_looked_at_all_the_same(watched: Watched) -> None:
    (watched.root / "n").mkdir()
    with open(watched.root / "n/log", "wb", buffering=0) as file:
        until = watched.now + 2 * PATIENCE
        looks = []
        while watched.now < until:
            file.write(b"a line\n")
            watched.write("n/beside", str(watched.now))
            watched.look()
            looks.append(b"log" in names(watched, b"n"))
            watched.now += STILL / 2
        assert not looks[0]
        assert looks[-1]
    watched.look()
    watched.assert_knows()


def test_who_asks_as_a_remote_leaves_it_to_the_watch(watched: Watched) -> None:
    with open(watched.root / "a/begun", "wb", buffering=0) as file:
        file.write(b"some")
        before = watched.repo.head
        found = record_for(watched.repo, "it", prompt=True)
        assert [(each.path, each.cause) for each in found.unread] == [(b"a/begun", BEING_WRITTEN)]
        assert watched.repo.head == before
    assert record_for(watched.repo, "it", prompt=True).unread == []
    assert watched.repo.head != before


@pytest.mark.parametrize("name", ["n/f", "n/m/f"])
def test_a_directory_that_is_empty_without_what_was_begun_in_it_is_recorded(watched: Watched, name: str) -> None:
    (watched.root / name).parent.mkdir(parents=True)
    with open(watched.root / name, "wb", buffering=0) as file:
        file.write(b"some")
        watched.look()
        assert b"n" not in names(watched, b"")
        (watched.root / name).rename(watched.root / "a/f")
    watched.look()
    assert b"n" in names(watched, b"")
    watched.assert_knows()
