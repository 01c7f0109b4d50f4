"""Work in other processes: what comes back, and what becomes of errors and of a worker that dies."""

import os
import select
import signal
import sys
import threading
import time
from contextlib import suppress

import pytest

from replican.effects.forkpool import Pool, Tell, beside, beside_telling, run_forked
from replican.effects.underway import Reporter
from replican.values.errors import FolderError, NotFoundError

LARGE = b"x" * (1 << 20)  # more than a pipe holds


def test_every_job_has_its_result() -> None:
    assert sorted(run_forked(range(50), lambda job: (job * job, os.getpid() == parent))) == [
        (job, (job * job, False)) for job in range(50)
    ]


parent = os.getpid()


def test_an_error_of_a_worker_is_raised_here() -> None:
    def work(job: int) -> None:
        raise NotFoundError(f"no {job}")

    with pytest.raises(NotFoundError, match="no 3"):
        list(run_forked([3], work))


def test_a_dead_worker_is_an_error() -> None:
    def work(job: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(FolderError, match="worker process died"):
        list(run_forked([1, 2], work))


def test_a_worker_tells_how_far_it_is() -> None:
    go_out, go_in = os.pipe()
    reporter = Reporter()

    def work(job: int) -> str:
        for _ in range(job):
            reporter.advance(20 << 20)
        reporter.advance(1000)
        os.read(go_out, 1)
        return "done"

    with Pool(work, 2, reporter) as pool:
        pool.give(2)
        pool.give(1)
        while pool.told < 60 << 20:
            assert pool.done() == []
        assert pool.told == 60 << 20  # little is not told by itself
        os.write(go_in, b"!!")
        results = []
        while pool.busy:
            results += pool.done()
        assert results == ["done", "done"]
        assert pool.told == 0
        pool.give(0)
        os.write(go_in, b"!")
        while pool.busy:
            pool.done()
            assert pool.told == 0  # nor is what was left of another job
    for fd in (go_out, go_in):
        os.close(fd)


def test_work_beside_tells_before_it_is_done() -> None:
    ready_out, ready_in = os.pipe()
    go_out, go_in = os.pipe()

    def work(tell: Tell) -> str:
        tell({"large": LARGE})
        os.write(ready_in, b"!")  # nobody listens yet, and it goes on all the same
        os.read(go_out, 1)
        return "done"

    with beside_telling(work) as other:
        assert os.read(ready_out, 1) == b"!"
        assert other.told() == {"large": LARGE}
        os.write(go_in, b"!")
        assert other.result() == "done"
        assert other.result() == "done"
    for fd in (ready_out, ready_in, go_out, go_in):
        os.close(fd)


def test_work_that_tells_a_lot_is_heard_in_order() -> None:
    def work(tell: Tell) -> str:
        for number in range(20):
            tell((number, LARGE))
        return "done"

    with beside_telling(work) as other:
        assert [other.told() for _ in range(20)] == [(number, LARGE) for number in range(20)]
        assert other.told() is None
        assert other.told() is None
        assert other.result() == "done"


def test_what_was_told_comes_before_an_error() -> None:
    def work(tell: Tell) -> None:
        tell(LARGE)
        tell("more")
        raise NotFoundError("nowhere")

    with beside_telling(work) as other:
        assert (other.told(), other.told()) == (LARGE, "more")
        with pytest.raises(NotFoundError, match="nowhere"):
            other.told()


def test_work_that_tells_nothing() -> None:
    with beside(lambda: LARGE) as other:
        assert other.told() is None
        assert other.result() == LARGE
    with beside_telling(lambda tell: tell("unheard")) as other:
        assert other.result() is None


def test_an_error_beside_is_raised_to_whoever_asks_and_asks_again() -> None:
    def work() -> None:
        raise NotFoundError("nowhere")

    with beside(work) as other:
        for ask in (other.told, other.result, other.result):
            with pytest.raises(NotFoundError, match="nowhere"):
                ask()


def test_what_goes_on_beside_ends_with_the_block() -> None:
    with beside(lambda: time.sleep(600)) as other:
        (pid,) = other._workers.values()
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_work_that_nobody_listens_to_any_more_is_done_in_silence(capfd) -> None:
    done_out, done_in = os.pipe()

    def work(tell: Tell) -> None:
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115 - as a terminal's, which keeps nothing back
        threading.excepthook = threading.__excepthook__  # and not the test runner's
        os.read(go_out, 1)
        tell(LARGE)
        os.write(done_in, b"!")

    go_out, go_in = os.pipe()
    other = beside_telling(work)
    ((out, pid),) = other._workers.items()
    os.close(out)
    os.write(go_in, b"!")
    assert os.read(done_out, 1) == b"!"
    assert os.waitpid(pid, 0)[1] != 0, "its result went nowhere"
    other._workers.clear()
    assert capfd.readouterr().err == ""
    for fd in (done_out, done_in, go_out, go_in):
        os.close(fd)


@pytest.mark.parametrize("kind", ["pool", "beside"])
def test_what_works_for_a_process_that_is_killed_ends_with_it(kind: str) -> None:
    pids_out, pids_in = os.pipe()

    def work(*_: object) -> None:
        os.write(pids_in, f"{os.getpid()}\n".encode())
        time.sleep(600)

    def begin() -> None:
        if kind == "beside":
            beside(work).result()
        with Pool(work, 2) as pool:
            pool.give(1)
            pool.give(2)
            while True:
                pool.done(600)

    middle = os.fork()
    if middle == 0:
        try:
            begin()
        finally:
            os._exit(1)
    os.close(pids_in)
    told = b""
    while told.count(b"\n") < (1 if kind == "beside" else 2):
        told += os.read(pids_out, 100)
    os.kill(middle, signal.SIGKILL)
    os.waitpid(middle, 0)
    try:
        assert select.select([pids_out], [], [], 20)[0], "somebody has the pipe still"
        assert os.read(pids_out, 100) == b""
    finally:
        os.close(pids_out)
        for pid in told.split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
