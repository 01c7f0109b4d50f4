"""The way in: what a signal does until it is known which command is meant, which takes most of a short command's time.

Nothing has begun by then, and the system may end the process as it ends any: Python would show where its imports were.
Whoever has SIGINT ignored, as a shell does for what a script runs in the background, has it ignored by a command; but a
watch is there to be ended, and hears it however it was begun.
"""

import os
import signal
import sys

IS_IGNORED = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
"""Whether this process was begun with SIGINT ignored."""

_WATCH = "watch"
_is_early = False


def main() -> None:
    """Run ``replican`` with the arguments of the process, and end it."""
    global _is_early
    _is_early = True
    if _WATCH in sys.argv:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _end)
    elif not IS_IGNORED:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    from replican.porcelain import _main

    _main.main()


def _end(*_: object) -> None:
    """End a watch that has not begun: it was asked to."""
    os._exit(0)


def settle(command: str = "") -> None:
    """Have signals do what they do to a command, unless it is the one that watches, which says by itself when they are
    to do something else. Nothing happens where this process is somebody else's."""
    global _is_early
    if _is_early and command != _WATCH:
        _is_early = False
        signal.signal(signal.SIGINT, signal.SIG_IGN if IS_IGNORED else signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
