"""Record the state of the folder.

All that was changed, added, moved and deleted since the last time becomes a checkpoint of the log. There is
nothing to add first. Where the folder has not got all that was merged (some paths are pending), an edit joins
the newer version instead of burying it, and what is pending is tried again.

Paths that cannot be read are told, and stand as they were last recorded; the rest is recorded. FIFOs, sockets,
devices and folders with a .replican of their own are never recorded, and told once.

Output: the new checkpoint and its message, then how many files were added, changed, moved and deleted. With
--json, an object with "head", "new", these four counts, "pending" (each "path", "cause"), "skipped" and
"message".

Exit codes: 0 done, or there was nothing to record; 3 refused by a gate; 4 some paths could not be read, or are
pending still.

    replican commit
    replican commit -m 'letters of May'
"""

from typing import Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.params import Option
from replican.porcelain import _report as report


def command(
    ctx: Context,
    message: Annotated[str | None, Option("-m", "--message", metavar="MSG", help="say what was done")] = None,
    full: Annotated[bool, Option("--full", help="read every file again, whatever its times say")] = False,
    mass_delete: report.AllowMassDelete = False,
    missing_mount: report.AllowMissingMount = False,
) -> int | None:
    from replican.operations.merging import retry_pending
    from replican.operations.recording import record

    repo = ctx.repository()
    allowed = report.allowed(mass_delete, missing_mount)
    done = record(repo, report.check_message(message), allowed=allowed, full=full)
    ending = report.Ending(ctx)
    ending.recorded(done)
    pending = retry_pending(repo) if done.behind else []
    ending.pending(pending)
    written = "" if done.head is None or not done.new else repo.checkpoint(done.head).message
    if ctx.json:
        listed = report.json_problems([*done.problems, *pending])
        ctx.emit({**report.json_recorded(done), "pending": listed, "message": written})
    elif not done.new:
        ctx.line("nothing to record")
    else:
        ctx.line(f"[{report.short(done.head)}] {report.first_line(written)}")
        if message is not None:
            ctx.line(f" {report.words_of(done.tally) or 'only folders and attributes'}")
    return ending.code
