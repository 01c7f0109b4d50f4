"""Two processes for work on many files.

Python threads gain nothing on small files, so the second core is used by forked workers. A pool is one call:
jobs are known at its start, their numbers lie in a pipe from which the workers help themselves, and results come back
pickled through a pipe for each worker. Workers share no state with each other, write nothing to the parent's
databases, and leave by ``os._exit``.
"""

import os
import pickle
import select
import selectors
import signal
import struct
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from replican.values.errors import WorkerError

Job = TypeVar("Job")
Result = TypeVar("Result")

_NUMBER = struct.Struct("<I")
_LENGTH = struct.Struct("<Q")
_TOLD = -1  # in place of a job's number
# A pipe holds 64 KiB, and all the numbers are put into it before anybody reads.
MOST_JOBS = 16_000


def worker_count() -> int:
    """How many workers are worth having."""
    try:
        return max(1, min(4, len(os.sched_getaffinity(0))))
    except AttributeError:
        return max(1, min(4, os.cpu_count() or 1))


def fork() -> int:
    """``os.fork``, without its warning that other threads run.

    Since Python 3.12 it warns, since a child may wait for ever for a lock that another thread held. Ours take none that
    the threads here (the display of progress, one that hashes) could hold: they read files, hash, write to their
    own pipe and leave by ``os._exit``.
    """
    if sys.version_info >= (3, 12):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r".*multi-threaded, use of fork\(\)", DeprecationWarning)
            return os.fork()
    return os.fork()


def run_forked(
    jobs: Sequence[Job], work: Callable[[Job], Result], tick: Callable[[], None] | None = None
) -> Iterator[tuple[int, Result]]:
    """Each job's number with its result, as they are done, in no order.

    ``work`` runs in another process: what it changes is not seen here. ``tick`` is called about four times a second
    while results are awaited. Raises what ``work`` raised, or ``WorkerError`` when a worker died.
    """
    if len(jobs) > MOST_JOBS:
        raise ValueError("too many jobs: make larger ones")
    numbers_out, numbers_in = os.pipe()
    os.write(numbers_in, b"".join([_NUMBER.pack(number) for number in range(len(jobs))]))
    os.close(numbers_in)
    workers: dict[int, int] = {}
    try:
        for _ in range(min(worker_count(), len(jobs))):
            out, into = os.pipe()
            pid = fork()
            if pid == 0:
                # Nothing below may return into the parent's code.
                try:
                    for other in workers:
                        os.close(other)
                    os.close(out)
                    _serve(jobs, work, numbers_out, into)
                finally:
                    os._exit(1)
            os.close(into)
            workers[out] = pid
        yield from _collect(workers, tick)
    finally:
        os.close(numbers_out)
        for out, pid in workers.items():
            os.close(out)
            _end(pid)


def _serve(jobs: Sequence[Job], work: Callable[[Job], Result], numbers: int, into: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    while number := os.read(numbers, _NUMBER.size):
        (at,) = _NUMBER.unpack(number)
        try:
            answer: tuple[int, object, BaseException | None] = (at, work(jobs[at]), None)
        except Exception as error:
            answer = (0, None, error)
        _send(into, answer)
    os._exit(0)


def _send(into: int, answer: tuple[int, object, BaseException | None]) -> None:
    payload = pickle.dumps(answer, protocol=5)
    with os.fdopen(into, "wb", closefd=False) as pipe:
        pipe.write(_LENGTH.pack(len(payload)))
        pipe.write(payload)


def _collect(workers: dict[int, int], tick: Callable[[], None] | None) -> Iterator[tuple[int, Result]]:
    buffers = {out: bytearray() for out in workers}
    with selectors.DefaultSelector() as selector:
        for out in workers:
            selector.register(out, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(0.25)
            if tick is not None:
                tick()
            for key, _ in ready:
                out = key.fd
                data = os.read(out, 1 << 20)
                if not data:
                    selector.unregister(out)
                    _check_ended(workers, out, buffers[out])
                    continue
                buffer = buffers[out]
                buffer += data
                yield from _take_whole(buffer)


def _take_whole(buffer: bytearray) -> Iterator[tuple[int, Result]]:
    at = 0
    while len(buffer) - at >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(buffer, at)
        if len(buffer) - at < _LENGTH.size + length:
            break
        at += _LENGTH.size
        number, result, error = pickle.loads(memoryview(buffer)[at : at + length])
        at += length
        if error is not None:
            raise error
        yield number, result
    del buffer[:at]


def _check_ended(workers: dict[int, int], out: int, rest: bytearray) -> None:
    pid = workers.pop(out)
    os.close(out)
    _, status = os.waitpid(pid, 0)
    if status != 0 or rest:
        raise WorkerError("a worker process died", "is there enough memory? run the command again")


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    os.waitpid(pid, 0)


Tell = Callable[[Any], None]
"""What work that is done beside may call, once, before it is done: see :meth:`Beside.told`."""


class Beside(Generic[Result]):
    """One piece of work in another process, while this one goes on. A context manager that ends it."""

    def __init__(self, out: int, pid: int) -> None:
        self._workers = {out: pid}
        self._answers: Iterator[tuple[int, object]] = _collect(self._workers, None)
        self._result: list[object] = []
        self._error: Exception | None = None

    def __enter__(self) -> "Beside[Result]":
        return self

    def __exit__(self, *_: object) -> None:
        for out, pid in self._workers.items():
            os.close(out)
            _end(pid)
        self._workers.clear()

    def goes_on(self, seconds: float) -> bool:
        """Whether it still has nothing to tell after so many seconds."""
        return not select.select(list(self._workers), [], [], seconds)[0]

    def told(self) -> object:
        """Wait for what the work has to tell before it is done; None if it is done, and told nothing. Raises as
        :meth:`result` does."""
        number, answer = self._next()
        if number == _TOLD:
            return answer
        self._result.append(answer)
        return None

    def result(self) -> Result:
        """Wait for it; raises what the work raised, or ``WorkerError`` when its process died."""
        while not self._result:
            number, answer = self._next()
            if number != _TOLD:
                self._result.append(answer)
        return self._result[0]  # type: ignore[return-value]

    def _next(self) -> tuple[int, object]:
        if self._error is not None:
            raise self._error
        try:
            for answer in self._answers:
                return answer
            raise WorkerError("a worker process ended without an answer", "run the command again")
        except Exception as error:
            self._error = error  # whoever asks again is to hear the same
            raise


def beside(work: Callable[[], Result]) -> Beside[Result]:
    """Begin ``work`` in a forked process. It must not use what this process has open but to read it anew."""
    return beside_telling(lambda _: work())


def _work_telling(work: Callable[[Tell], Result], into: int) -> Result:
    # A thread of its own waits for the other process to listen: what holds a lock has to go on.
    from threading import Thread

    sending: list[Thread] = []

    def send(told: object) -> None:
        try:
            _send(into, (_TOLD, told, None))
        except OSError:
            pass  # whoever would have listened is gone

    def tell(told: object) -> None:
        sending.append(Thread(target=send, args=(told,), daemon=True))
        sending[0].start()

    result = work(tell)
    for thread in sending:
        thread.join()
    return result


def beside_telling(work: Callable[[Tell], Result]) -> Beside[Result]:
    """As :func:`beside`, for work that has something to tell before it is done."""
    out, into = os.pipe()
    pid = fork()
    if pid == 0:
        try:
            os.close(out)
            numbers, feed = os.pipe()
            os.write(feed, _NUMBER.pack(0))
            os.close(feed)
            _serve([None], lambda _: _work_telling(work, into), numbers, into)
        finally:
            os._exit(1)
    os.close(into)
    return Beside(out, pid)
