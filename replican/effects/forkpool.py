"""Two processes for work on many files.

Python threads gain nothing on small files, so the second core is used by forked workers. Each has a pipe for its jobs
and one for its results, pickled, and gets a job when it has none, or only one. Workers share no state with each other,
write nothing to the parent's databases, and leave by ``os._exit``. They end with their parent, however that ends.
"""

import os
import pickle
import select
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from replican.effects.forking import (
    LENGTH,
    TOLD,
    answers,
    end_process,
    end_with_line,
    fork,
    send_answer,
    send_payload,
    take_whole,
    widen,
    worker_count,
    worker_died,
)
from replican.effects.underway import Reporter

Job = TypeVar("Job")
Result = TypeVar("Result")


class _Worker:
    """One process of a pool: where its jobs go, of how many bytes they may be to be two at a time, how many it has, and
    what of its answers has come, and how many bytes of its job it has told to be done. ``line`` is the end of a pipe
    that it ends with."""

    __slots__ = ("answer", "jobs", "line", "pid", "small", "told", "waiting")

    def __init__(self, jobs: int, small: int, pid: int, line: int) -> None:
        self.jobs = jobs
        self.small = small
        self.pid = pid
        self.line = line
        self.waiting = 0
        self.told = 0
        self.answer = bytearray()


class Pool(Generic[Job, Result]):
    """Workers that are given jobs as these become known. A context manager that ends them.

    ``work`` runs in other processes: what it changes is not seen here. Jobs and results are pickled. What it raises is
    raised by whoever takes results; so is ``WorkerError`` when a worker died. What it tells the ``reporter`` is what
    the pool then says of it.
    """

    def __init__(
        self, work: Callable[[Job], Result], workers: int | None = None, reporter: Reporter | None = None
    ) -> None:
        self._waiting: deque[bytes] = deque()
        self._workers: dict[int, _Worker] = {}  # by the descriptors that their answers come from
        self._reporter = reporter or Reporter()
        try:
            for _ in range(workers or worker_count()):
                self._begin(work)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Pool[Job, Result]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers, whatever they are doing."""
        for out, worker in self._workers.items():
            os.close(out)
            os.close(worker.jobs)
            os.close(worker.line)
            end_process(worker.pid)
        self._workers.clear()

    def _begin(self, work: Callable[[Job], Result]) -> None:
        jobs, feed = os.pipe()
        out, into = os.pipe()
        theirs, line = os.pipe()
        # Two such jobs are written without a wait, whatever the worker is doing.
        small = widen(feed) * 3 // 8
        widen(into)
        pid = fork()
        if pid == 0:
            # Nothing below may return into the parent's code.
            try:
                for other, worker in self._workers.items():
                    os.close(other)
                    os.close(worker.jobs)
                    os.close(worker.line)
                for ours in (feed, out, line):
                    os.close(ours)
                end_with_line(theirs)
                _serve(work, jobs, into, self._reporter)
            finally:
                os._exit(1)
        for each in (jobs, into, theirs):
            os.close(each)
        self._workers[out] = _Worker(feed, small, pid, line)

    @property
    def busy(self) -> bool:
        """Whether there are results to come."""
        return bool(self._waiting) or any(worker.waiting for worker in self._workers.values())

    @property
    def told(self) -> int:
        """How many bytes are done of jobs that are not, as far as their workers have told."""
        return sum([worker.told for worker in self._workers.values()])

    @property
    def is_full(self) -> bool:
        """Whether there are jobs for which no worker has room yet."""
        return bool(self._waiting)

    def give(self, job: Job) -> None:
        """One more job: for a worker who has nothing to do, or will have soon."""
        self._waiting.append(pickle.dumps(job, protocol=5))
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting:
            # Nobody is waited for here, who in turn may wait for his answers to be taken: a second job is a small one.
            worker = min(self._workers.values(), key=lambda worker: worker.waiting)
            if worker.waiting > 1 or (worker.waiting and len(self._waiting[0]) > worker.small):
                return
            worker.waiting += 1
            try:
                send_payload(worker.jobs, self._waiting.popleft())
            except BrokenPipeError:
                raise worker_died() from None

    def done(self, seconds: float = 0.25) -> list[Result]:
        """The results that are there, or come within so many seconds: in no order, and perhaps none."""
        results: list[Result] = []
        for out in select.select(list(self._workers), [], [], seconds)[0]:
            worker = self._workers[out]
            data = os.read(out, 1 << 20)
            if not data:
                raise worker_died()
            worker.answer += data
            for number, result in take_whole(worker.answer):
                if number == TOLD:
                    worker.told += result  # type: ignore[operator]
                    continue
                worker.told = 0
                worker.waiting -= 1
                results.append(result)  # type: ignore[arg-type]
        self._hand_out()
        return results


def run_forked(
    jobs: Sequence[Job],
    work: Callable[[Job], Result],
    reporter: Reporter | None = None,
    heard: Callable[[int, Sequence[tuple[int, Result]]], None] | None = None,
) -> Iterator[tuple[int, Result]]:
    """Each job's number with its result, as they are done, in no order: a :class:`Pool` whose jobs are all known, and
    not sent but inherited. ``heard`` is told first of how many bytes are done of what is not, and what is."""

    def numbered(number: int) -> tuple[int, Result]:
        return number, work(jobs[number])

    with Pool(numbered, min(worker_count(), max(1, len(jobs))), reporter) as pool:
        for number in range(len(jobs)):
            pool.give(number)
        while pool.busy:
            done = pool.done()
            if heard is not None:
                heard(pool.told, done)
            yield from done


def _serve(work: Callable[[Job], object], jobs: int, into: int, reporter: Reporter) -> None:
    """Do the jobs that come, until no more can."""
    reporter.send = lambda count: send_payload(into, pickle.dumps((TOLD, count, None), protocol=5))
    for number in (signal.SIGINT, signal.SIGTERM):
        # Who sends them to the whole group means the parent, who is not to find that its workers died.
        signal.signal(number, signal.SIG_IGN)
    with os.fdopen(jobs, "rb", closefd=False) as pipe:
        while head := pipe.read(LENGTH.size):
            job = pickle.loads(pipe.read(*LENGTH.unpack(head)))
            send_answer(into, lambda job=job: work(job))  # type: ignore[misc]
            reporter.end()
    os._exit(0)


Tell = Callable[[Any], None]
"""What work that is done beside may call, before it is done, as often as it has something to tell: see
:meth:`Beside.told`."""


class Beside(Generic[Result]):
    """One piece of work in another process, while this one goes on. A context manager that ends it."""

    def __init__(self, out: int, pid: int, line: int) -> None:
        self._workers = {out: pid}
        self._line = line
        self._answers: Iterator[tuple[int, object]] = answers(out)
        self._result: list[object] = []
        self._error: Exception | None = None

    def __enter__(self) -> "Beside[Result]":
        return self

    def __exit__(self, *_: object) -> None:
        for out, pid in self._workers.items():
            os.close(out)
            os.close(self._line)
            end_process(pid)
        self._workers.clear()

    def told(self) -> object:
        """Wait for what the work has to tell next before it is done; None if it is done. Raises as :meth:`result`
        does."""
        if self._result:
            return None
        number, answer = self._next()
        if number == TOLD:
            return answer
        self._result.append(answer)
        return None

    def result(self) -> Result:
        """Wait for it; raises what the work raised, or ``WorkerError`` when its process died."""
        while not self._result:
            number, answer = self._next()
            if number != TOLD:
                self._result.append(answer)
        return self._result[0]  # type: ignore[return-value]

    def _next(self) -> tuple[int, object]:
        if self._error is not None:
            raise self._error
        try:
            for answer in self._answers:
                return answer
            raise worker_died()
        except Exception as error:
            self._error = error  # whoever asks again is to hear the same
            raise


def beside(work: Callable[[], Result]) -> Beside[Result]:
    """Begin ``work`` in a forked process. It must not use what this process has open but to read it anew."""
    return beside_telling(lambda _: work())


def _work_telling(work: Callable[[Tell], Result], into: int) -> Result:
    # A thread of its own waits for the other process to listen: what holds a lock has to go on.
    from queue import SimpleQueue
    from threading import Thread

    waiting: SimpleQueue[object] = SimpleQueue()
    senders: list[Thread] = []
    end = object()

    def send() -> None:
        while (told := waiting.get()) is not end:
            try:
                send_payload(into, pickle.dumps((TOLD, told, None), protocol=5))
            except OSError:
                pass  # whoever would have listened is gone

    def tell(told: object) -> None:
        waiting.put(told)
        if not senders:
            senders.append(Thread(target=send, daemon=True))
            senders[0].start()

    try:
        return work(tell)
    finally:
        waiting.put(end)
        for thread in senders:
            thread.join()


def beside_telling(work: Callable[[Tell], Result]) -> Beside[Result]:
    """As :func:`beside`, for work that has something to tell before it is done."""
    out, into = os.pipe()
    theirs, line = os.pipe()
    widen(into)
    pid = fork()
    if pid == 0:
        try:
            os.close(out)
            os.close(line)
            end_with_line(theirs)
            send_answer(into, lambda: _work_telling(work, into))
            os._exit(0)
        finally:
            os._exit(1)
    os.close(into)
    os.close(theirs)
    return Beside(out, pid, line)
