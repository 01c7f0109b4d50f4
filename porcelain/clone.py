"""Copy a folder, and keep both in step from then on.

DIR becomes a working copy of SRC, with all of its log and with SRC as its remote "origin". A plain folder SRC
is made a replica first: it gets a .replican beside its files, and its state is recorded there; none of its
files is touched. With --no-init it is not, and a plain folder is refused.

DIR must not hold files, unless --join is given: then both folders start from the union of both, and where a
name has different contents, both versions are kept. DIR may be left out: the last part of SRC, here. A clone
that was interrupted goes on where it was when the command is given again.

Output: one line. With --json, an object with "root", "source", "made_replica", "head", and what came: "added",
"changed", "moved", "deleted", "conflicts" and "pending".

Exit codes: 0 done; 2 SRC is no address; 3 DIR has files, or is a replica; 4 some paths could not be read or
written, or SRC cannot be made a replica; 8 no folder at SRC, or it is no replica, with --no-init.

    replican clone ~/Documents /mnt/disk/Documents
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


def source_folder(source: str) -> str:
    """The folder that SRC means; raises ``UsageError`` or ``RemoteError`` for an address that is none of a folder."""
    from replican.operations.remotes import folder_of

    return folder_of(source, os.getcwd())


def _tell(ctx: Context, done: "Cloned", ending: report.Ending) -> None:
    source = quoted(os.fsencode(done.source))
    if done.made_replica:
        ctx.say(f"{source} is a replica now: it got a .replican with its log, and nothing else was changed there")
    if done.joined is not None:
        ending.recorded(done.joined)
    ending.unread(done.unread, "source: ")
    ending.merged(done.merged)
    for note in done.notes:
        ctx.say(f"replican: {note}")


def command(
    ctx: Context,
    source: Annotated[str, Argument("SRC", help="the folder to copy", complete="directory")],
    directory: Annotated[str | None, Argument("DIR", help="where to", complete="directory")] = None,
    join: Annotated[bool, Option("--join", help="into a folder with files: start from the union of both")] = False,
    no_init: Annotated[bool, Option("--no-init", help="do not make SRC a replica if it is none")] = False,
) -> int | None:
    from replican.operations.cloning import clone

    folder = source_folder(source)
    target = directory or os.path.basename(os.path.realpath(folder))
    if not target:
        raise UsageError("nothing to call the copy", "give DIR")
    done = clone(folder, target, join=join, init=not no_init, wait=ctx.wait, progress=ctx.sink())
    ending = report.Ending(ctx)
    _tell(ctx, done, ending)
    if ctx.json:
        about = {"root": done.root, "source": done.source, "made_replica": done.made_replica}
        ctx.emit({**about, **report.json_merged(done.merged)})
    else:
        root, origin = quoted(os.fsencode(done.root)), quoted(os.fsencode(done.source))
        came = report.words_of(done.merged.tally) or "nothing"
        ctx.line(f"cloned {origin} to {root}: {came}, at {report.short(done.merged.head)}")
        ctx.say(f"hint: 'replican -C {root} sync' keeps both in step")
    return ending.code
