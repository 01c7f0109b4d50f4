"""What signals ask of a watch, and what the end of its terminal and of its readers does."""

import errno
import os
import signal
from typing import TYPE_CHECKING

from replican.plumbing._front import exits

if TYPE_CHECKING:
    from replican.operations.synchroniser import Wishes

_ENDS = (signal.SIGINT, signal.SIGTERM)
_ENDS_ALWAYS = (*_ENDS, signal.SIGPIPE)
_ENDS_NOW = (*_ENDS_ALWAYS, signal.SIGHUP)
_HEAR_SECONDS = 0.15
_AGAIN_SECONDS = 1.0


class Signals:
    """Signals as wishes. ``wake`` can be read when one has come. Whoever was asked to end and does not hear it soon,
    since a large file is read, has ``Abandoned`` raised wherever it is: what is half done is as after a Ctrl-C."""

    def __init__(self) -> None:
        self.wake, feed = os.pipe()
        for fd in (self.wake, feed):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(feed, warn_on_full_buffer=False)
        self._feed = feed
        self._terminals = [fd for fd in range(3) if os.isatty(fd)]
        signal.signal(signal.SIGHUP, self._hang_up)
        self._ending = False
        for number in _ENDS:
            signal.signal(number, self._end)
        signal.signal(signal.SIGALRM, self._abandon)

    def _end(self, *_: object) -> None:
        if not self._ending:
            self._ending = True
            # Once more later, since what is raised in a destructor, say, is dropped.
            signal.setitimer(signal.ITIMER_REAL, _HEAR_SECONDS, _AGAIN_SECONDS)

    def _hang_up(self, *_: object) -> None:
        if self.is_hung_up():
            self._end()

    def is_hung_up(self) -> bool:
        """Whether a terminal of ours has been closed: then SIGHUP is a way to say so."""
        return not all(map(os.isatty, self._terminals))

    def end_without_reader(self, error: OSError) -> int:
        """Wish for the end, since nobody reads what is written to stdout: a pipe has been closed, or a terminal. The
        exit code then. Raises the error again if it says something else."""
        closed = isinstance(error, BrokenPipeError)
        if not closed and not (error.errno == errno.EIO and self.is_hung_up()):
            raise error
        exits.drop_output()
        os.write(self._feed, bytes([signal.SIGPIPE if closed else signal.SIGHUP]))  # as if it had come
        return exits.CLOSED_PIPE if closed else exits.DONE

    def _abandon(self, *_: object) -> None:
        from replican.operations.synchroniser import Abandoned

        raise Abandoned

    def wishes(self) -> "Wishes":
        """What was wished for since the last call."""
        from replican.operations.synchroniser import Wishes

        try:
            came = os.read(self.wake, 4096)
        except BlockingIOError:
            return Wishes()
        numbers = _ENDS_NOW if self.is_hung_up() else _ENDS_ALWAYS
        ends = [signal.Signals(number).name for number in came if number in numbers]
        if ends:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return Wishes(end=ends[0] if ends else None, reload=signal.SIGHUP in came)
