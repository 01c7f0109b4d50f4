"""Hashing files and links, here and in forked workers."""

import os
import signal
import sys
from pathlib import Path

import pytest
import scanning

from replican.effects import reading
from replican.effects.forkpool import Pool
from replican.effects.hashing import BEING_WRITTEN, Answer, Job, hash_directory, hash_name
from replican.effects.reading import Reading, hash_all
from replican.effects.worktree import open_root
from replican.values.errors import ReplicanError
from replican.values.ids import blob_id
from replican.values.progress import Silent


def hash_one(path: Path, progress: Silent | None = None) -> Answer:
    fd = os.open(path.parent, os.O_RDONLY)
    try:
        return hash_name(os.fsencode(path.name), fd, progress)
    finally:
        os.close(fd)


@pytest.mark.parametrize("size", [0, 1, 100, (1 << 17) - 1, 1 << 17, (1 << 17) + 1, 3_000_000])
def test_a_file(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    content = os.urandom(size)
    path.write_bytes(content)
    now = os.stat(path)
    expected = (b"f", now.st_mode & 0o7777, size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino, scanning.blob(content))
    assert hash_one(path) == expected


def test_a_link(tmp_path: Path) -> None:
    path = tmp_path / "link"
    target = b"\xff/target\n"
    os.symlink(target, os.fsencode(path))
    now = os.lstat(path)
    expected = (b"l", now.st_mode & 0o7777, 9, now.st_mtime_ns, now.st_ctime_ns, now.st_ino, scanning.blob(target))
    assert hash_one(path) == expected


def test_what_is_not_there(tmp_path: Path) -> None:
    assert hash_one(tmp_path / "nothing") is None
    assert list(hash_all(str(tmp_path), [Job(b"nowhere", [b"a", b"b"])], Silent())) == [(0, [None, None])]


def test_what_is_neither(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    assert hash_one(tmp_path / "fifo") == "special file"
    assert hash_one(tmp_path / "directory") == "special file"


class Appending(Silent):
    """Whoever writes to a file all the time: with each piece of it that is read, it has grown."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def advance(self, files: int = 0, size: int = 0) -> None:
        if size:
            with self.path.open("ab") as file:
                file.write(b"line\n")


def test_a_file_that_never_comes_to_rest(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(bytes(3_000_000))
    assert hash_one(path, Appending(path)) == "changed while read"
    assert isinstance(hash_one(path), tuple)


def make(root: Path, directories: int, files: int) -> list[Job]:
    jobs = []
    for directory in range(directories):
        place = root / f"d{directory}" / "sub"
        place.mkdir(parents=True)
        names = [b"file%d" % number for number in range(files)]
        for name in names:
            (place / name.decode()).write_bytes(b"%d %s" % (directory, name))
        os.symlink("target", place / "link")
        jobs.append(Job(b"d%d/sub" % directory, [*names, b"link", b"missing"]))
    return jobs


def expected(jobs: list[Job]) -> dict[int, list[bytes | None]]:
    return {
        number: [
            None if name == b"missing" else scanning.blob(b"target" if name == b"link" else b"%d %s" % (number, name))
            for name in job.names
        ]
        for number, job in enumerate(jobs)
    }


def ids(answers: list[Answer]) -> list[bytes | str | None]:
    return [answer[6] if isinstance(answer, tuple) else answer for answer in answers]


@pytest.mark.parametrize("workers", [1, None])
@pytest.mark.parametrize(("directories", "files"), [(60, 20), (1, 1000), (600, 1)])
def test_many(tmp_path: Path, workers: int | None, directories: int, files: int) -> None:
    jobs = make(tmp_path, directories, files)
    before = set(os.listdir("/proc/self/fd"))
    found = dict(hash_all(str(tmp_path), jobs, Silent(), workers))
    assert {number: ids(answers) for number, answers in found.items()} == expected(jobs)
    assert set(os.listdir("/proc/self/fd")) == before


def test_few_large_files_are_handed_out_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        (tmp_path / f"large{number}").write_bytes(bytes([number]) * 5_000_000)
    job = Job(b"", [b"large%d" % number for number in range(4)])
    batches: list[int] = []
    give = Pool.give

    def counting(pool: Pool, batch: list[object]) -> None:
        batches.append(len(batch))
        give(pool, batch)

    monkeypatch.setattr(Pool, "give", counting)
    with Reading(str(tmp_path), lambda item, found: (item, found)) as files:
        assert not files.give("item", job)
        ((item, found),) = files.rest(Silent())
    assert batches == [1, 1, 1, 1]
    assert (item, found.files, found.size) == ("item", 4, 20_000_000)
    assert ids(found.answers) == [scanning.blob(bytes([number]) * 5_000_000) for number in range(4)]


def test_a_large_directory_is_read_in_parts(tmp_path: Path) -> None:
    jobs = make(tmp_path, 2, 1001)
    with Reading(str(tmp_path), lambda item, found: (item, found)) as files:
        came = [result for number, job in enumerate(jobs) for result in files.give(number, job)]
        came += files.rest(Silent())
    assert {number: ids(found.answers) for number, found in came} == expected(jobs)


def test_progress_is_reported(tmp_path: Path) -> None:
    jobs = make(tmp_path, 3, 400)

    class Counting(Silent):
        files = size = 0
        tasks: list[tuple[str, int | None]] = []  # noqa: RUF012
        ended = 0

        def begin(self, task: str, files: int | None = None, size: int | None = None) -> None:
            self.tasks.append((task, files))

        def advance(self, files: int = 0, size: int = 0) -> None:
            self.files += files
            self.size += size

        def end(self) -> None:
            self.ended += 1

    counting = Counting()
    list(hash_all(str(tmp_path), jobs, counting))
    assert counting.tasks == [("reading", 1206)]
    assert (counting.files, counting.ended) == (1206, 1)
    assert counting.size > 3000


def test_a_worker_that_dies_is_an_error_and_not_a_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = make(tmp_path, 3, 400)
    parent = os.getpid()

    def die(*_: object) -> list[Answer]:
        assert os.getpid() != parent
        os.kill(os.getpid(), signal.SIGKILL)
        return []

    monkeypatch.setattr(reading, "hash_directory", die)
    with pytest.raises(ReplicanError, match="worker"):
        list(hash_all(str(tmp_path), jobs, Silent()))


def test_work_that_is_given_up_leaves_no_process(tmp_path: Path) -> None:
    jobs = make(tmp_path, 60, 20)
    found = hash_all(str(tmp_path), jobs, Silent())
    next(found)
    found.close()  # type: ignore[attr-defined]
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_directory_that_became_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "dir").symlink_to(outside)
    assert list(hash_all(str(root), [Job(b"dir", [b"file"])], Silent())) == [(0, ["changed while read"])]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there it is told who writes")
def test_who_writes_to_a_file_is_waited_for_where_that_is_asked_for(tmp_path: Path) -> None:
    def answer(name: bytes, since_ns: int | None) -> object:
        fd = open_root(str(tmp_path))
        try:
            (found,) = hash_directory(fd, Job(b"", [name], since_ns=since_ns)).answers
            return found if isinstance(found, str) else found is not None and found[6]
        finally:
            os.close(fd)

    (tmp_path / "link").symlink_to("open")
    (tmp_path / "closed").write_bytes(b"all")
    with open(tmp_path / "open", "wb", buffering=0) as file:
        file.write(b"some")
        now_ns = os.stat(tmp_path / "open").st_mtime_ns
        assert answer(b"open", None) == blob_id(b"some")
        assert answer(b"open", now_ns) == BEING_WRITTEN
        assert answer(b"open", now_ns + 1) == blob_id(b"some"), "it has been open for long"
        assert answer(b"closed", 0) == blob_id(b"all")
        assert answer(b"link", 0) == blob_id(b"open")
        assert answer(b"gone", 0) is False
    assert answer(b"open", now_ns) == blob_id(b"some")
