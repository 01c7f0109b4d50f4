"""Keep the folder in step with its remotes, by itself.

What you do in the folder is recorded as you do it, and exchanged with every remote: at once with one that can be
reached, later with one that cannot. It runs until it is ended, by Ctrl-C or SIGTERM, within a second and at any
moment; what it had in hand then goes on the next time. It ends likewise when its terminal is closed, and when nobody
reads its output any more. Where SIGINT was ignored when it was begun, as a shell does for what a script runs in the
background, it ends it, too. SIGHUP has the config read again, as changing it does, unless a terminal sent it.

R are the remotes to keep in step with; if none is given, all of them are. A gate stops what it stands before, and
nothing else. It is told, and stays closed until you decide, with the command that its hint names. All other commands
can be used meanwhile.

--install writes a service that has the folder watched whenever you are logged in, and --uninstall takes it away;
--print only shows it. --pause has the watch that runs here do nothing until --resume, or until it is begun anew.

Output: a line for each event, with the time, and on a terminal a line for each remote below them. With --json, an
object a line: see replican-events(7).

Exit codes: 0 it was asked to end; 7 the folder is watched already; 8 no such remote, or nobody watches the folder, with
--pause and --resume.

    replican watch
    replican watch --json | jq -c 'select(.kind == "conflict")'
    replican watch --install && systemctl --user daemon-reload
"""

import os
import shutil
import sys
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Annotated

from replican.plumbing._front import output
from replican.plumbing._front.context import Context
from replican.plumbing._front.params import Argument, Option
from replican.porcelain import _entry
from replican.values.errors import NoRepositoryError, UsageError

if TYPE_CHECKING:
    from replican.values.events import Event


def command(
    ctx: Context,
    remotes: Annotated[tuple[str, ...], Argument("R", help="the remotes", complete="remote")] = (),
    install: Annotated[bool, Option("--install", help="have the folder watched from login on")] = False,
    uninstall: Annotated[bool, Option("--uninstall", help="take that service away")] = False,
    print_only: Annotated[bool, Option("--print", help="show what --install would write")] = False,
    pause: Annotated[bool, Option("--pause", help="have the watch that runs do nothing")] = False,
    resume: Annotated[bool, Option("--resume", help="have it go on")] = False,
) -> int | None:
    if sum([install or print_only, uninstall, pause, resume]) > 1:
        raise UsageError("--install, --uninstall, --pause and --resume do not go together")
    if not (install or print_only or uninstall or pause or resume):
        return _watch(ctx, remotes)
    _entry.settle()
    if install or print_only:
        from replican.porcelain import _service

        _service.install(ctx, remotes, print_only=print_only)
    elif uninstall:
        from replican.porcelain import _service

        _service.uninstall(ctx)
    else:
        _ask_to(ctx, pause)
    return None


def _ask_to(ctx: Context, pause: bool) -> None:
    from replican.effects.asking import ask
    from replican.values.answers import DONE, PAUSE, RESUME

    if ask(ctx.repository().dotdir, PAUSE if pause else RESUME) != DONE:
        raise NoRepositoryError("nobody watches this folder, or the watch does not answer", "begin it: replican watch")


def _watch(ctx: Context, remotes: tuple[str, ...]) -> int | None:
    from replican.effects.logfile import configure, log_event
    from replican.operations.polling import bounds_of
    from replican.operations.synchroniser import Abandoned, Synchroniser
    from replican.porcelain._board import Board, clock
    from replican.porcelain._signals import Signals
    from replican.values.events import Reloaded

    repo = ctx.repository()
    for name in remotes:
        repo.config.remote(name)
    repo.config.check()
    configure(repo.dotdir, repo.config)
    os.chdir("/")  # a process that stands in a folder keeps its disk from being unmounted
    signals = Signals()
    board = None if ctx.json or not sys.stdout.isatty() else Board()
    code: int | None = None

    def tell(event: "Event") -> None:
        nonlocal code
        if isinstance(event, Reloaded):
            configure(repo.dotdir, repo.config)
        log_event(event)
        try:
            if code is None:
                show(event)
        except OSError as error:
            code = signals.end_without_reader(error)

    def show(event: "Event") -> None:
        if ctx.json:
            ctx.emit(event.as_json())
        elif board is not None:
            ctx.out(board.show(event, shutil.get_terminal_size().columns))
        elif event.level != "debug":
            ctx.line(f"{clock(event.time_ns)} {event.line()}")
        output.flush()

    with suppress(Abandoned):  # before it has begun
        Synchroniser(repo, bounds_of(repo), tell, signals.wake, signals.wishes, Random(), only=remotes).run()
    return code
