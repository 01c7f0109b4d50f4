"""List the paths that differ from what the index has seen.

The whole folder is looked at, by its stat data; files are read only where these prove nothing. Nothing is noted: pipe
the paths into update-index.

With --follow, it goes on, and prints what has changed since, until it is ended by a signal, or nobody reads any more.
Rounds come as often as something is found, between poll.min (2) and poll.max (60) seconds. Most list only directories
that have changed themselves: in others, a file that was written in place is found by the next full round, which comes
every poll.full (900) seconds.

Output: a path a line, relative to the root of the folder, sorted, quoted where that is needed; with -z each ends in
NUL and none is quoted. A directory that came or went stands for all that is in it. With --json, a list of objects
with "path"; with --follow, one object a line. Each round's paths are written at once.

Exit codes: 0 done, whether anything differs or not; 6 the index is damaged; 8 no repository, or the folder is gone.

    replican poll | replican update-index --stdin &&
        replican append-checkpoint "$(replican write-tree)"
    replican poll --follow -z | xargs -0 -n 1 echo changed:
"""

import signal
import sys
from typing import Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.output import json_path
from replican.plumbing._front.params import Option
from replican.values.errors import UsageError


class Ended(BaseException):
    """The user, or the system, wants no more of it."""


def command(
    ctx: Context,
    once: Annotated[bool, Option("--once", help="look once, and end: this is the default")] = False,
    follow: Annotated[bool, Option("--follow", help="go on, and print what changes")] = False,
    nul: Annotated[bool, Option("-z", help="end paths with NUL, and quote nothing")] = False,
) -> int | None:
    if once and follow:
        raise UsageError("--once and --follow exclude each other")
    if follow:
        _follow(ctx, nul)
        return None
    from replican.effects.observe import poll

    repo = ctx.repository()
    paths = poll(repo.root, repo.index)
    if ctx.json:
        ctx.emit_all(json_path(path) for path in paths)
        return None
    for path in paths:
        ctx.path_line(path, nul=nul)
    return None


def _follow(ctx: Context, nul: bool) -> None:
    def end(*_: object) -> None:
        raise Ended

    before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        _rounds(ctx, nul)
    except Ended:
        pass  # what was found before is written
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _rounds(ctx: Context, nul: bool) -> None:
    import random
    import time

    from replican.decisions.pace import Polling
    from replican.operations.polling import Poller, bounds_of

    repo = ctx.repository()
    poller, polling = Poller(repo), Polling.begin(bounds_of(repo), time.monotonic())
    while True:
        due = polling.next
        if not _wait(due.at - time.monotonic()):
            return
        began = time.monotonic()
        paths = poller.round(due.full)
        for path in paths:
            if ctx.json:
                ctx.emit(json_path(path))
            else:
                ctx.path_line(path, nul=nul)
        ctx.flush()
        polling = polling.after(due, began, time.monotonic(), len(paths), random.random())


def _wait(seconds: float) -> bool:
    """Wait; False as soon as nobody can read what will be written."""
    import select

    waiting = select.poll()
    waiting.register(sys.stdout.buffer.fileno(), 0)  # that the other end was closed is told in any case
    return not waiting.poll(max(0.0, seconds) * 1000)
