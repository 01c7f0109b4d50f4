"""Keep the folder in step with its remotes, by itself.

What you do in the folder is recorded as you do it, and exchanged with every remote: at once with one that can be
reached, later with one that cannot. It runs until it is ended, by Ctrl-C or SIGTERM, within a second and at any
moment; what it had in hand then goes on the next time. SIGHUP has the config read again.

A gate stops what it stands before, and nothing else. It is told, and stays closed until you decide, with the command
that its hint names. All other commands can be used meanwhile.

Output: a line for each event, with the time. With --json, an object a line: see replican-events(7).

Exit codes: 0 it was asked to end; 7 the folder is watched already.

    replican watch
    replican watch --json | jq -c 'select(.kind == "conflict")'
"""

import os
import signal
import time
from random import Random
from typing import TYPE_CHECKING

from replican.plumbing._front import output
from replican.plumbing._front.context import Context

if TYPE_CHECKING:
    from replican.operations.synchroniser import Wishes
    from replican.values.events import Event

_ENDS = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """Signals as wishes. ``wake`` can be read when one has come."""

    def __init__(self) -> None:
        self.wake, feed = os.pipe()
        for fd in (self.wake, feed):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(feed, warn_on_full_buffer=False)
        for number in (*_ENDS, signal.SIGHUP):
            signal.signal(number, lambda *_: None)

    def wishes(self) -> "Wishes":
        """What was wished for since the last call."""
        from replican.operations.synchroniser import Wishes

        try:
            came = os.read(self.wake, 4096)
        except BlockingIOError:
            return Wishes()
        ends = [signal.Signals(number).name for number in came if number in _ENDS]
        return Wishes(end=ends[0] if ends else None, reload=signal.SIGHUP in came)


def command(ctx: Context) -> int | None:
    from replican.decisions.pace import Bounds
    from replican.operations.synchroniser import Synchroniser

    signals = Signals()

    def tell(event: "Event") -> None:
        if ctx.json:
            ctx.emit(event.as_json())
        elif event.level != "debug":
            ctx.line(f"{time.strftime('%H:%M:%S')} {event.line()}")
        output.flush()

    Synchroniser(ctx.repository(), Bounds(), tell, signals.wake, signals.wishes, Random()).run()
    return None
