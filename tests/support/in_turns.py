"""Work beside, without a second process: one goes on while the other waits, so that the order of steps is given."""

from collections.abc import Callable
from threading import Semaphore, Thread
from typing import Any


class AbandonedError(Exception):
    """Nobody waits for this work any more: its process would be killed."""


class InTurns:
    """In the place of :class:`replican.effects.forkpool.Beside`: the work goes on up to what it tells, and from there
    when what comes next is asked for."""

    def __init__(self, work: Callable[[Callable[[Any], None]], Any]) -> None:
        self._work = work
        self._told: Any = None
        self._result: Any = None
        self._error: BaseException | None = None
        self._done = self._abandoned = False
        self._heard = False  # what was told last
        self._here, self._there = Semaphore(0), Semaphore(0)
        self._thread = Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self._result = self._work(self._tell)
        except BaseException as error:
            self._error = error
        self._done = True
        self._here.release()

    def _tell(self, told: Any) -> None:
        self._told = told
        self._here.release()
        self._there.acquire()
        if self._abandoned:
            raise AbandonedError

    def __enter__(self) -> "InTurns":
        self._thread.start()
        self._here.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._done:
            self._abandoned = True
            self._there.release()
        self._thread.join()

    def told(self) -> Any:
        if self._heard and not self._done:
            self._go_on()
        self._heard = True
        if not self._done:
            return self._told
        self.result()
        return None

    def _go_on(self) -> None:
        self._there.release()
        self._here.acquire()

    def result(self) -> Any:
        while not self._done:
            self._go_on()
        if self._error is not None:
            raise self._error
        return self._result
