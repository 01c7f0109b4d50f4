import logging
import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from folders import write

from replican.operations.herald import _MOST, Herald
from replican.operations.recording import record
from replican.repository import Repository
from replican.values.events import Event
from replican.values.hooks import CONFLICT, POST_CHECKPOINT, POST_MERGE, PRE_MERGE

PATIENCE = 30.0


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[Repository]:
    with Repository.init(str(tmp_path / "folder")) as made:
        yield made


@pytest.fixture
def herald(repo: Repository) -> Iterator[Herald]:
    made = Herald(repo)
    yield made
    made.close()


def put(repo: Repository, name: str, script: str) -> None:
    path = Path(repo.dotdir, "hooks", name)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def hear(herald: Herald, until: Callable[[list[Event]], bool]) -> list[Event]:
    """What is heard until that is enough."""
    heard: list[Event] = []
    end = time.monotonic() + PATIENCE
    while not until(heard):
        assert time.monotonic() < end, heard
        select.select(herald.descriptors, [], [], 0.05)
        heard += herald.hear()
    return heard


def test_no_hook_no_process(repo: Repository, herald: Herald, tmp_path: Path) -> None:
    write(tmp_path / "folder/f", "f")
    assert record(repo).new
    assert herald.descriptors == []
    assert herald.hear() == []


def test_who_records_does_not_wait_and_all_is_told_in_order(repo: Repository, herald: Herald, tmp_path: Path) -> None:
    put(repo, POST_CHECKPOINT, f"cat {tmp_path}/go > /dev/null; echo $1 >> {tmp_path}/told")
    os.mkfifo(tmp_path / "go")
    made = []
    for number in range(3):
        write(tmp_path / "folder/f", f"{number}")
        made.append(record(repo).head)
        assert not (tmp_path / "told").exists(), "it waits at the fifo, and nobody waits for it"

    def is_told(_: list[Event]) -> bool:
        try:
            os.close(os.open(tmp_path / "go", os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            pass  # it does not wait at this moment
        return (tmp_path / "told").exists() and len((tmp_path / "told").read_text().split()) == 3

    assert hear(herald, is_told) == []
    assert (tmp_path / "told").read_text().split() == [head.hex() for head in made if head is not None]


def test_large_input_comes_whole(repo: Repository, herald: Herald, tmp_path: Path) -> None:
    put(repo, CONFLICT, f"cat > {tmp_path}/part; mv {tmp_path}/part {tmp_path}/given")
    given = b"".join(b"%d\0" % number for number in range(200_000))
    herald.tell_later(CONFLICT, ["disk"], given)
    herald.tell_now()
    hear(herald, lambda _: (tmp_path / "given").exists())
    assert (tmp_path / "given").read_bytes() == given


def test_a_failure_is_an_event(repo: Repository, herald: Herald) -> None:
    put(repo, POST_MERGE, "exit 3")
    for _ in range(2):
        herald.tell_later(POST_MERGE, ["disk", "-", "x"])
    herald.tell_now()
    heard = hear(herald, lambda heard: len(heard) == 2)
    assert {(event.kind, event.line()) for event in heard} == {("error", "error: the hook post-merge ended with 3")}


def test_what_it_writes_is_logged(
    repo: Repository, herald: Herald, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = logging.FileHandler(tmp_path / "log", delay=True)
    logger = logging.getLogger("replican.hooks")
    monkeypatch.setattr(logger, "handlers", [handler])
    monkeypatch.setattr(logger, "level", logging.INFO)
    put(repo, POST_MERGE, "echo hello")
    put(repo, PRE_MERGE, "echo not on sundays; exit 1")
    assert herald.ask(PRE_MERGE, []) == "the hook pre-merge ended with 1"
    handler.close()
    herald.tell_later(POST_MERGE, [])
    herald.tell_now()
    hear(herald, lambda _: "post-merge: hello" in (tmp_path / "log").read_text())
    assert (tmp_path / "log").read_text() == "pre-merge: not on sundays\npost-merge: hello\n"


def test_a_hook_that_cannot_keep_up_is_not_told_of_all(repo: Repository, herald: Herald, tmp_path: Path) -> None:
    put(repo, POST_MERGE, "exit 0")
    for _ in range(_MOST + 5):
        herald.tell_later(POST_MERGE, [])
    (Path(repo.dotdir) / "hooks" / POST_MERGE).unlink()
    herald.tell_now()
    (event,) = hear(herald, bool)
    assert event.line() == "error: hooks are too slow: they were not told 5 times"


def test_the_end_takes_a_hook_along_that_hangs(
    repo: Repository, herald: Herald, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replican.operations.herald._END_SECONDS", PATIENCE)
    put(repo, POST_MERGE, f"echo $$ > {tmp_path}/part; mv {tmp_path}/part {tmp_path}/pid; sleep 1000")
    herald.tell_later(POST_MERGE, [])
    herald.tell_now()
    hear(herald, lambda _: (tmp_path / "pid").exists())
    pid = int((tmp_path / "pid").read_text())
    herald.close()
    assert not os.path.exists(f"/proc/{pid}") or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]


def test_a_process_that_was_killed_is_begun_again(repo: Repository, herald: Herald, tmp_path: Path) -> None:
    put(repo, POST_MERGE, f'[ "$1" = last ] && touch {tmp_path}/last || kill -9 $PPID')
    herald.tell_later(POST_MERGE, ["first"])
    herald.tell_now()
    herald.tell_later(POST_MERGE, ["last"])
    heard = hear(herald, lambda _: (tmp_path / "last").exists())
    assert [event.line() for event in heard] == ["error: the process that runs hooks has ended in the middle of one"]


def test_one_that_decides_is_asked_here(repo: Repository, herald: Herald) -> None:
    put(repo, PRE_MERGE, "exit 1")
    assert herald.has(PRE_MERGE)
    assert herald.ask(PRE_MERGE, []) == "the hook pre-merge ended with 1"
    assert herald.descriptors == []


def test_the_next_one_knows_which_gates_stand_closed(repo: Repository, tmp_path: Path) -> None:
    closed: dict[str, tuple[str, ...]] = {}
    for number in range(2):
        with Repository(repo.root) as opened, closing(Herald(opened, closed)) as herald:
            assert herald.is_news("merging disk", ("mass-delete",)) == (not number)
            assert not herald.is_news("merging disk", ("mass-delete",))
    assert not herald.is_news("merging disk", None)
    assert herald.is_news("merging disk", ("mass-delete",))
