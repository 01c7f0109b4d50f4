"""Files that are read by other processes: what comes back, and that it is no more than what still lies there."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from select import select

import pytest

from replican.effects.beforehand import ENDED, Beforehand
from replican.effects.hashing import CHANGED_WHILE_READ, Job, hash_directory
from replican.effects.worktree import open_root
from replican.values.ids import blob_id
from replican.values.listing import RACY_NS
from replican.values.progress import UNREAD, Problem

MOST = 10
MINUTES = 64 << 30  # bytes: it is sparse, and takes up nothing


@pytest.fixture
def beforehand(tmp_path: Path) -> Iterator[Beforehand]:
    beforehand = Beforehand(str(tmp_path), MOST, 2)
    yield beforehand
    beforehand.close()


def put_off(beforehand: Beforehand, *paths: bytes) -> None:
    beforehand.looked([b""], [Problem(path, UNREAD) for path in paths])
    beforehand.begin()


def heard(beforehand: Beforehand) -> set[bytes]:
    """What has been read, once something has."""
    while not (done := beforehand.hear()):
        assert select(beforehand.descriptors, [], [], 30)[0], "nothing came"
    return done


def look(root: Path, beforehand: Beforehand, *names: bytes) -> list[object]:
    """What a look finds under these names, in short."""
    known, most, _ = beforehand.putting_off()
    fd = open_root(str(root))
    try:
        answers = hash_directory(fd, Job(b"", list(names), 0, most, known)).answers
        return [answer[6] if isinstance(answer, tuple) else answer for answer in answers]
    finally:
        os.close(fd)


def processes(beforehand: Beforehand) -> list[int]:
    return [each.pid for each in beforehand._readers.values()]


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def large(path: Path) -> Path:
    with path.open("wb") as file:
        file.truncate(MINUTES)
    return path


def test_what_was_read_is_known_at_the_next_look(tmp_path: Path, beforehand: Beforehand) -> None:
    (tmp_path / "large").write_text("more than ten bytes")
    (tmp_path / "small").write_text("few bytes")
    made = [blob_id(b"more than ten bytes"), blob_id(b"few bytes")]
    assert look(tmp_path, beforehand, b"large", b"small") == [UNREAD, made[1]]
    put_off(beforehand, b"large")
    assert beforehand.paths == {b"large"}
    assert heard(beforehand) == {b"large"}
    assert look(tmp_path, beforehand, b"large", b"small") == made
    assert (beforehand.paths, beforehand.descriptors) == (set(), [])


def test_what_has_changed_since_it_was_read_is_put_off_again(tmp_path: Path, beforehand: Beforehand) -> None:
    (tmp_path / "large").write_text("more than ten bytes")
    put_off(beforehand, b"large")
    heard(beforehand)
    (tmp_path / "other").write_text("as many, but others")
    (tmp_path / "other").rename(tmp_path / "large")
    assert look(tmp_path, beforehand, b"large") == [UNREAD]


def test_what_was_just_written_is_read_when_a_change_would_show(tmp_path: Path, beforehand: Beforehand) -> None:
    (tmp_path / "large").write_text("more than ten bytes")
    put_off(beforehand, b"large")
    heard(beforehand)
    known = beforehand.putting_off().known[b"large"]
    assert isinstance(known, tuple)
    assert known[4] == os.stat(tmp_path / "large").st_ctime_ns < time.time_ns() - RACY_NS
    (tmp_path / "large").write_text("as many, but others")
    assert look(tmp_path, beforehand, b"large") == [UNREAD]


def test_more_than_there_are_processes_for(tmp_path: Path, beforehand: Beforehand) -> None:
    names = [b"%d" % number for number in range(7)]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(name * 20)
    put_off(beforehand, *names)
    assert len(beforehand.descriptors) == 2
    done: set[bytes] = set()
    while beforehand.paths:
        done |= heard(beforehand)
        beforehand.begin()
    assert done == set(names)
    assert look(tmp_path, beforehand, *names) == [blob_id(name * 20) for name in names]


def test_a_file_that_changes_all_the_time_is_given_up(tmp_path: Path, beforehand: Beforehand) -> None:
    path = large(tmp_path / "large")
    put_off(beforehand, b"large")
    while not (done := beforehand.hear()):
        os.utime(path)
        select(beforehand.descriptors, [], [], 0.01)
    assert done == {b"large"}
    assert look(tmp_path, beforehand, b"large") == [CHANGED_WHILE_READ]
    beforehand.looked([b"large"], [Problem(b"large", CHANGED_WHILE_READ)])
    assert look(tmp_path, beforehand, b"large") == [UNREAD], "when it has settled, it is read anew"


@pytest.mark.parametrize("way", ["removed", "replaced"])
def test_nobody_reads_on_what_is_not_there(tmp_path: Path, beforehand: Beforehand, way: str) -> None:
    path = large(tmp_path / "large")
    put_off(beforehand, b"large")
    time.sleep(0.1)
    if way == "removed":
        path.unlink()
    else:
        (tmp_path / "other").write_text("another")
        (tmp_path / "other").rename(path)
    assert heard(beforehand) == {b"large"}
    assert look(tmp_path, beforehand, b"large") == [None if way == "removed" else blob_id(b"another")]


def test_what_a_look_has_not_put_off_again_is_not_read_on(tmp_path: Path, beforehand: Beforehand) -> None:
    for name in ("a", "b/c", "d"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        large(tmp_path / name)
    put_off(beforehand, b"a", b"b/c", b"d")
    pids = processes(beforehand)
    beforehand.looked([b"b", b"d", b"e"], [Problem(b"e", UNREAD)])
    assert beforehand.paths == {b"a", b"e"}
    assert [is_gone(pid) for pid in pids] == [False, True]
    beforehand.close()
    assert all(map(is_gone, pids))


def test_a_process_that_dies_is_told_and_begun_again_only_when_asked_to(tmp_path: Path, beforehand: Beforehand) -> None:
    large(tmp_path / "large")
    put_off(beforehand, b"large")
    os.kill(processes(beforehand)[0], signal.SIGKILL)
    assert heard(beforehand) == {b"large"}
    assert look(tmp_path, beforehand, b"large") == [ENDED]
    beforehand.looked([b"large"], [Problem(b"large", ENDED)])
    assert beforehand.paths == set()
    assert look(tmp_path, beforehand, b"large") == [UNREAD]


def test_what_a_problem_keeps_from_being_recorded_is_not_read_twice(tmp_path: Path, beforehand: Beforehand) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"more than ten bytes: {name}")
    put_off(beforehand, b"one")
    heard(beforehand)
    put_off(beforehand, b"two")
    heard(beforehand)
    assert UNREAD not in look(tmp_path, beforehand, b"one", b"two")


def test_without_a_folder(tmp_path: Path) -> None:
    beforehand = Beforehand(str(tmp_path / "gone"), MOST)
    put_off(beforehand, b"large")
    assert heard(beforehand) == {b"large"}
    assert not beforehand.putting_off().known
    beforehand.close()
