"""Copy a folder, and keep both in step from then on.

DIR becomes a working copy of SRC, with all of its log and with SRC as its remote "origin". SRC is a folder here, or
one on another machine that ssh reaches: host:path, or ssh://[user@]host[:port]/path. A plain folder SRC
is made a replica first: it gets a .replican beside its files, and its state is recorded there; none of its
files is touched. With --no-init it is not, and a plain folder is refused.

DIR must not hold files, unless --join is given: then both folders start from the union of both, and where a
name has different contents, both versions are kept. DIR may be left out: the last part of SRC, here. A clone
that was interrupted goes on where it was when the command is given again.

Output: one line. With --json, an object with "root", "source", "made_replica", "head", and what came: "added",
"changed", "moved", "deleted", "conflicts", "pending" and "wire" (as "replican pull" has it).

Exit codes: 0 done; 2 SRC is no address; 3 DIR has files, or is a replica, SRC is none and lies in one, or so does DIR
with --join, there is too little room, or SRC could not record its user's edits for a gate or a full disk, and the rest
is done; 4 some paths could not be read or written, or SRC cannot be made a replica; 5 SRC cannot be reached; 8 no
folder at SRC, or it is no replica, with --no-init.

    replican clone ~/Documents /mnt/disk/Documents
    replican clone laptop:Documents ~/Documents
"""

import os
from typing import TYPE_CHECKING, Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.output import quoted
from replican.plumbing._front.params import Argument, Option
from replican.porcelain import _report as report
from replican.values.errors import UsageError

if TYPE_CHECKING:
    from replican.operations.cloning import Cloned


def clone_any(
    ctx: Context,
    source: str,
    directory: str | None,
    serve: str | None,
    *,
    rate: int | None = None,
    join: bool,
    init: bool,
) -> "Cloned":
    """Clone what SRC means, a folder here or on another machine; raises ``UsageError`` for what is no address."""
    from replican.operations.cloning import clone, clone_wired
    from replican.operations.remotes import folder_of, ssh_address

    address = ssh_address(source, ctx.directory)
    place = folder_of(source, ctx.directory) if address is None else address.path
    target = directory or os.path.basename(place.rstrip("/") if address else os.path.realpath(place))
    if not target or target.startswith("~"):
        raise UsageError("nothing to call the copy", "give DIR")
    if address is None:
        if serve is not None:
            raise UsageError("--serve-command is for a folder on another machine")
        return clone(place, target, join=join, init=init, wait=ctx.wait, progress=ctx.sink())
    return clone_wired(
        address, source, target, join=join, init=init, serve=serve, rate=rate, wait=ctx.wait, progress=ctx.sink()
    )


def _tell(ctx: Context, done: "Cloned", ending: report.Ending) -> None:
    source = quoted(os.fsencode(done.source))
    if done.made_replica:
        ctx.say(f"{source} is a replica now: it got a .replican with its log, and nothing else was changed there")
    if done.joined is not None:
        ending.recorded(done.joined)
    ending.theirs(done.theirs, "source: ")
    ending.merged(done.merged)
    for note in done.notes:
        ctx.say(f"replican: {note}")


def command(
    ctx: Context,
    source: Annotated[
        str, Argument("SRC", help="the folder to copy, here or on another machine", complete="directory")
    ],
    directory: Annotated[str | None, Argument("DIR", help="where to", complete="directory")] = None,
    join: Annotated[bool, Option("--join", help="into a folder with files: start from the union of both")] = False,
    no_init: Annotated[bool, Option("--no-init", help="do not make SRC a replica if it is none")] = False,
    serve_command: Annotated[
        str | None, Option("--serve-command", metavar="CMD", help="what to run in the place of replican over there")
    ] = None,
    limit_rate: report.LimitRate = None,
) -> int | None:
    rate = report.rate(limit_rate)
    done = clone_any(ctx, source, directory, serve_command, rate=rate, join=join, init=not no_init)
    ending = report.Ending(ctx)
    _tell(ctx, done, ending)
    if ctx.json:
        about = {"root": done.root, "source": done.source, "made_replica": done.made_replica}
        ctx.emit({**about, **report.json_merged(done.merged), "wire": report.json_wire(done.wire)})
    else:
        root, origin = quoted(os.fsencode(done.root)), quoted(os.fsencode(done.source))
        came = "; ".join(
            [report.words_of(done.merged.tally) or "nothing", *report.words_of_pending(done.merged.pending)]
        )
        ctx.line(f"cloned {origin} to {root}: {came}, at {report.short(done.merged.head)}")
        ctx.say(f"hint: 'replican -C {root} sync' keeps both in step")
    return ending.code
