"""Forked processes: how one begins, ends with its parent, and sends what its work comes to.

Each has a pipe for its results, pickled. It writes nothing to the parent's databases, and leaves by ``os._exit``.
"""

import fcntl
import os
import pickle
import select
import signal
import struct
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Final

from replican.values.errors import WorkerError

LENGTH: Final = struct.Struct("<Q")
TOLD: Final = -1
"""In the place of a job's number: what is told before the job is done."""
_WIDE: Final = 1 << 20
_NARROW: Final = 1 << 16
_TAKEN: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGIO)


def worker_count() -> int:
    """How many workers are worth having."""
    try:
        return max(1, min(4, len(os.sched_getaffinity(0))))
    except AttributeError:
        return max(1, min(4, os.cpu_count() or 1))


def widen(pipe: int) -> int:
    """Let a pipe hold more, where that is to be had: its ends need not take turns then. How much it holds, in bytes."""
    try:
        return fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _WIDE)
    except (AttributeError, OSError):
        return _NARROW


def fork() -> int:
    """``os.fork``, without its warning that other threads run.

    Since Python 3.12 it warns, since a child may wait for ever for a lock that another thread held. Ours take none that
    the threads here (the display of progress, one that hashes) could hold: they read files, hash, write to their
    own pipe and leave by ``os._exit``.

    In the child, signals do what they do to any program, from the beginning: how this process takes them is not for it.
    By a descriptor for wake-ups, which both would have, one that is meant for the child would be heard here.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _TAKEN)
    try:
        pid = _fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for number in _TAKEN:
                signal.signal(number, signal.SIG_DFL)
        return pid
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _fork() -> int:
    if sys.version_info >= (3, 12):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r".*multi-threaded, use of fork\(\)", DeprecationWarning)
            return os.fork()
    return os.fork()


def end_with_line(line: int) -> None:
    """End this process when nobody has the other end of a pipe open any more, whatever it is doing: the system sends
    SIGIO then."""
    fcntl.fcntl(line, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(line, fcntl.F_SETFL, fcntl.fcntl(line, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([line], [], [], 0)[0]:
        os._exit(1)  # it ended before that


def send_answer(into: int, work: Callable[[], object]) -> None:
    """Do it, and send what it came to."""
    try:
        answer: tuple[int, object, BaseException | None] = (0, work(), None)
    except Exception as error:
        answer = (0, None, error)
    send_payload(into, pickle.dumps(answer, protocol=5))


def worker_died() -> WorkerError:
    """What to raise where one ended without an answer."""
    return WorkerError("a worker process died", "is there enough memory? run the command again")


def send_payload(into: int, payload: bytes) -> None:
    """Send something pickled, with its length."""
    with os.fdopen(into, "wb", closefd=False) as pipe:
        pipe.write(LENGTH.pack(len(payload)))
        pipe.write(payload)


def take_whole(buffer: bytearray) -> Iterator[tuple[int, object]]:
    """Take all answers that have come whole out of a buffer: the numbers of their jobs, or :data:`TOLD`, and what they
    are. Raises what the work raised."""
    at = 0
    while len(buffer) - at >= LENGTH.size:
        (length,) = LENGTH.unpack_from(buffer, at)
        if len(buffer) - at < LENGTH.size + length:
            break
        at += LENGTH.size
        number, result, error = pickle.loads(memoryview(buffer)[at : at + length])
        at += length
        if error is not None:
            raise error
        yield number, result
    del buffer[:at]


def answers(out: int) -> Iterator[tuple[int, object]]:
    """What one process sends, up to its end."""
    buffer = bytearray()
    while data := os.read(out, 1 << 20):
        buffer += data
        yield from take_whole(buffer)


def end_process(pid: int) -> None:
    """Kill a process of ours, and wait for its end."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    os.waitpid(pid, 0)
