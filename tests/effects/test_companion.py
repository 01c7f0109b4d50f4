"""A process beside this one: what is meant for it is not heard here."""

import os
import select
import signal
from collections.abc import Iterator

import pytest

from replican.effects import forking
from replican.effects.companion import Companion, Post


@pytest.fixture
def wakened() -> Iterator[int]:
    """A descriptor that tells of signals to this process, which handles them, as a watch does."""
    wake, feed = os.pipe()
    os.set_blocking(feed, False)
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    old = signal.set_wakeup_fd(feed)
    try:
        yield wake
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(wake)
        os.close(feed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_its_very_beginning(wakened: int, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    """It ends it, and is no wish of whoever began it."""
    fork = os.fork

    def fork_struck() -> int:
        pid = fork()
        if pid == 0:
            os.kill(os.getpid(), number)
        return pid

    monkeypatch.setattr(forking.os, "fork", fork_struck)
    beside = Companion(lambda post: post.send("it goes on"))
    try:
        assert beside.wait(10)
        assert beside.receive() == []
        assert select.select([wakened], [], [], 0)[0] == []
    finally:
        beside.kill()


def test_it_is_interrupted_as_by_a_user(wakened: int) -> None:
    def work(post: Post) -> None:
        try:
            post.send("begun")
            select.select([], [], [])
        except KeyboardInterrupt:
            post.send("left in order")

    beside = Companion(work)
    try:
        assert heard(beside) == ["begun"]
        beside.interrupt()
        assert heard(beside) == ["left in order"]
        assert beside.wait(10)
        assert select.select([wakened], [], [], 0)[0] == []
    finally:
        beside.kill()


def heard(beside: Companion) -> list[object]:
    select.select([beside], [], [], 10)
    return beside.receive()
