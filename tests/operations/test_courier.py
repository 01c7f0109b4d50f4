"""A courier, driven from within: when it carries, and what it tells."""

import os
import shutil
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from folders import write
from in_process import InProcess

from replican.decisions.pace import Bounds
from replican.effects.tail import Tail
from replican.operations import courier as module
from replican.operations.attending import FolderMinding
from replican.operations.courier import Carry, Courier
from replican.operations.herald import Herald
from replican.operations.recorder import Tidier
from replican.operations.recording import record
from replican.operations.remotes import Refreshed
from replican.operations.syncing import Exchanged, exchange
from replican.repository import Repository
from replican.values import events
from replican.values.errors import LockedError, NoRepositoryError, NoSpaceError, RefusedError, RemoteError
from replican.values.progress import Problem


class Told:
    """In the place of the socket to the main process: collects what is said, and ends when ``enough`` says so."""

    def __init__(self, *said: object) -> None:
        self.events: list[events.Event] = []
        self.ended = False
        self.said = list(said)
        self.times: list[float] = []
        self._read, self._write = os.pipe()

    def fileno(self) -> int:
        return self._read

    def say(self, message: object) -> None:
        self.said.append(message)
        os.write(self._write, b"x")

    def receive(self) -> list[object]:
        if self.said:
            os.set_blocking(self._read, False)
            try:
                os.read(self._read, 100)
            except BlockingIOError:
                pass
        said, self.said = self.said, []
        return said

    def send(self, event: events.Event) -> None:
        self.events.append(event)
        self.times.append(time.monotonic())
        self.ended = self.hear(event)

    def hear(self, event: events.Event) -> bool:
        return isinstance(event, events.Synced)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    write(tmp_path / "a/file", "x")
    InProcess(tmp_path)("clone", "a", "b")
    return tmp_path / "a", tmp_path / "b"


def carry(root: Path, post: Told) -> None:
    Courier(str(root), "origin", post, Bounds(), Random(1)).run()  # type: ignore[arg-type]


def test_what_is_pending_holds_nothing_else_up(two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = two
    count = 0

    def with_something_pending(*words: object, **named: object) -> Exchanged:
        nonlocal count
        count += 1
        done = exchange(*words, **named)  # type: ignore[arg-type]
        pending = [Problem(b"held up", "changed here")] if count < 8 else []
        return done._replace(pulled=[done.pulled[-1]._replace(pending=pending)])

    monkeypatch.setattr(module, "_AGAIN_SECONDS", 20.0)
    monkeypatch.setattr(module, "exchange", with_something_pending)

    class Editing(Told):
        def hear(self, event: events.Event) -> bool:
            if isinstance(event, events.Synced):
                if (b / "new").exists():
                    return True
                write(a / "new", "y")
            return False

    post = Editing()
    began = time.monotonic()
    carry(b, post)
    assert (b / "new").read_text() == "y"
    assert time.monotonic() - began < 15, "it did not wait for the time at which the pending is tried again"


def fail_in_turn(monkeypatch: pytest.MonkeyPatch, *answers: Exception | None) -> None:
    """Have each exchange raise the next of these, or (None) be made."""
    left = list(answers)

    def in_turn(*words: object, **named: object) -> Exchanged:
        answer = left.pop(0)
        if answer is not None:
            raise answer
        return exchange(*words, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "exchange", in_turn)


def move_when_refused(monkeypatch: pytest.MonkeyPatch, post: Told) -> None:
    """Have the folder's head move after each gate that was met."""
    original = Courier._refused

    def refused(self: Courier, error: RefusedError) -> None:
        original(self, error)
        post.say(Carry())

    monkeypatch.setattr(Courier, "_refused", refused)


def test_a_gate_is_told_once_and_tried_again_when_something_moves(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, b = two
    closed = RefusedError("40 files would be deleted", "if that is meant, say so", ("mass-delete",))
    fail_in_turn(monkeypatch, closed, closed, None)

    class Deciding(Told):
        def hear(self, event: events.Event) -> bool:
            if isinstance(event, events.Gate) and not event.open:
                self.say(Carry())
                self.said.append(Carry())
            return super().hear(event)

    post = Deciding()
    move_when_refused(monkeypatch, post)
    carry(b, post)
    assert post.kinds() == ["gate", "gate", "remote-found", "synced"]
    gates = [event for event in post.events if isinstance(event, events.Gate)]
    assert [gate.open for gate in gates] == [False, True]
    assert [gate.names for gate in gates] == [("mass-delete",)] * 2


def test_a_gate_that_somebody_else_has_to_open_is_told_anew(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint would send its reader to the other folder, where nothing is to be decided any more."""
    _, b = two
    there = RefusedError("remote origin: 40 files would be deleted", "say so there", ("mass-delete",))
    here = RefusedError("40 files would be deleted", "say so", ("mass-delete",), ("--allow-mass-delete",))
    more = RefusedError("41 files would be deleted", "say so", ("mass-delete",), ("--allow-mass-delete",))
    fail_in_turn(monkeypatch, there, here, more, None)
    post = Told()
    move_when_refused(monkeypatch, post)
    carry(b, post)
    closed = [event for event in post.events if isinstance(event, events.Gate) and not event.open]
    assert [event.hint for event in closed] == [
        "say so there",
        "if that is meant: `replican pull --allow-mass-delete origin`",
    ]


@pytest.mark.parametrize("error", [RemoteError("no route"), LockedError("locked by process 7")])
def test_what_fails_is_tried_again(two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    _, b = two
    fail_in_turn(monkeypatch, error, None)
    post = Told()
    carry(b, post)
    lost = ["remote-lost"] if isinstance(error, RemoteError) else []
    assert post.kinds() == [*lost, "remote-found", "synced"]


def test_a_tail_is_emptied_when_nobody_waits(two: tuple[Path, Path]) -> None:
    now = [100.0]
    with Repository(str(two[0]), wait=0.0) as repo, Repository(str(two[0])) as other:
        repo.tailing.begin()
        write(two[0] / "new", "n")
        made = record(repo).head
        tidier = Tidier(repo, lambda: now[0])
        tidier.moved()
        tidier.tidy()
        assert size_of_tail(repo)
        now[0] = tidier.due
        with other.locked("test"):
            tidier.tidy()
        assert size_of_tail(repo)
        assert now[0] < tidier.due < float("inf"), "somebody else had the lock: it is tried again"
        now[0] = tidier.due
        tidier.tidy()
        assert not size_of_tail(repo)
        assert repo.head == made
        assert tidier.due == float("inf")


def test_so_is_that_of_a_folder_which_nobody_watches(two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A courier, or who answers at the far end of a link, is all there is that could do it."""
    monkeypatch.setattr("replican.operations.recorder._TIDY_SECONDS", 0.0)
    with Repository(str(two[0])) as repo:
        repo.tailing.begin()
        seen = Refreshed([], [])
        with closing(FolderMinding(repo, "x", lambda: seen, Bounds(), Random(1))) as minding:
            minding.mind()  # there is nothing to be done yet
            write(two[0] / "new", "n")
            record(repo)
            assert size_of_tail(repo)
            minding.mind()
            assert not size_of_tail(repo)


def test_a_folder_that_goes_away_while_it_is_looked_at_is_a_remote_that_is_lost(two: tuple[Path, Path]) -> None:
    def gone() -> Refreshed:
        raise NoRepositoryError("no replica at a any more", "is the disk that holds it mounted?")

    with Repository(str(two[0])) as repo, closing(FolderMinding(repo, "x", gone, Bounds(), Random(1))) as minding:
        write(two[0] / "new", "n")
        with pytest.raises(RemoteError, match="remote x: no replica at a any more"):
            minding.mind()


def size_of_tail(repo: Repository) -> int:
    tail = Tail(repo.dotdir)
    tail.look()
    return len(tail.objects)


FULL = NoSpaceError("the disk has 5 bytes free, and 7 are needed", "make room", ("no-room",))
FULLER = NoSpaceError("the disk has 3 bytes free, and 7 are needed", "make room", ("no-room",))
CLOSED = RefusedError("40 files would be deleted", "say so", ("mass-delete",))
CLOSED_AGAIN = RefusedError("41 files would be deleted", "say so", ("mass-delete",))
AWAY = RemoteError("no route")


class Stepping:
    """A courier of the folder at ``root`` that is in step, and tries when told to: then ``error`` is raised."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: Exception | None = None
        post = Told()
        self.told = post.events
        self._courier = Courier(str(root), "origin", post, Bounds(), Random(1))  # type: ignore[arg-type]
        monkeypatch.setattr(module, "exchange", self._exchange)
        assert self.try_it() == ["remote-found", "synced"]
        write(root / "new", "n")
        with Repository(str(root)) as repo:
            record(repo)

    def _exchange(self, *words: object, **named: object) -> Exchanged:
        if self.error is not None:
            raise self.error
        return exchange(*words, **named)  # type: ignore[arg-type]

    def try_it(self, error: Exception | None = None) -> list[str]:
        """What it tells of it."""
        self.error = error
        before = len(self.told)
        self._courier._go()
        return [event.kind for event in self.told[before:] if event.kind != "syncing"]

    def close(self) -> None:
        self._courier._close()


@pytest.mark.parametrize(
    ("errors", "told", "after"),
    [
        ([CLOSED, CLOSED_AGAIN], ["gate"], ["gate", "synced"]),
        ([FULL, FULLER], ["error"], ["synced"]),
        ([AWAY, AWAY], ["remote-lost"], ["remote-found", "synced"]),
    ],
)
def test_what_is_in_the_way_is_told_once_and_so_is_that_it_is_not_any_more(
    two: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    errors: list[Exception],
    told: list[str],
    after: list[str],
) -> None:
    with closing(Stepping(two[1], monkeypatch)) as courier:
        assert [courier.try_it(error) for error in errors] == [told, []]
        assert courier.try_it() == after


@pytest.mark.parametrize("error", [CLOSED, FULL, AWAY])
def test_so_it_is_where_somebody_else_has_brought_them_in_step(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    with closing(Stepping(two[1], monkeypatch)) as courier:
        courier.try_it(error)
        InProcess(two[1].parent)("-C", "b", "push")
        assert courier.try_it()[-1] == "synced"


def test_a_gate_that_still_stands_when_a_remote_is_back_is_told_again(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the last that was told of it would be that it is away."""
    with closing(Stepping(two[1], monkeypatch)) as courier:
        told = [courier.try_it(error) for error in (CLOSED, AWAY, CLOSED, CLOSED)]
        assert told == [["gate"], ["remote-lost"], ["gate"], []]


def test_a_note_says_once_whose_it_is(two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    class Telling(FolderMinding):
        def mind(self) -> list[str]:
            return ["origin: 3 of 7 directories cannot be watched", "the hook gate ended with 1"]

    monkeypatch.setattr("replican.operations.attending.FolderMinding", Telling)
    post = Told()
    carry(two[1], post)
    notes = [event for event in post.events if isinstance(event, events.Note)]
    assert [note.line() for note in notes] == [
        "origin: 3 of 7 directories cannot be watched",
        "origin: the hook gate ended with 1",
    ]


def test_the_hint_of_a_gate_here_is_the_command_that_opens_it(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = two
    for number in range(30):
        write(a / f"d/{number}", f"{number}")
    run = InProcess(a.parent)
    run("-C", "a", "commit")
    with closing(Stepping(b, monkeypatch)) as courier:
        shutil.rmtree(a / "d")
        run("-C", "a", "commit", "--allow-mass-delete")
        assert courier.try_it() == ["gate"]
        told = courier.told[-1]
        assert isinstance(told, events.Gate)
        assert told.hint == "if that is meant: `replican pull --allow-mass-delete origin`"
        run("-C", "b", *told.hint.split("`")[1].split()[1:])
        assert courier.try_it() == ["gate", "synced"]


def test_its_hook_is_told_of_a_gate_once_however_often_all_is_opened_anew(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = two
    told: list[list[str]] = []

    class Listening(Herald):
        def tell_later(self, name: str, arguments: Sequence[str], given: bytes = b"") -> None:
            told.append([name, *arguments])

    monkeypatch.setattr(module, "Herald", Listening)
    with closing(Stepping(b, monkeypatch)) as courier:
        told.clear()
        write(a / "theirs", "t")
        InProcess(a.parent)("-C", "a", "commit")
        hook = write(b / ".replican/hooks/pre-merge", "#!/bin/sh\nexit 1\n")
        hook.chmod(0o755)
        assert [courier.try_it(error) for error in (None, None, AWAY, None)] == [
            ["gate"],
            [],
            ["remote-lost"],
            ["gate"],
        ]
        hook.unlink()
        courier.try_it()
        hook_told = ["gate", "pre-merge", "the hook pre-merge ended with 1", "origin"]
        assert [each for each in told if each[0] == "gate"] == [hook_told]
