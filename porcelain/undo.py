"""Take back what the last merge changed here.

A merge, pull or sync that brought what nobody wanted is taken back by a new checkpoint: files that it replaced or
deleted come back from the trash, files that it brought go there. Only what that merge changed is taken back: edits
made since stay, and where both meet there is a conflict. The log keeps the merge, and the new checkpoint replicates
as any edit does, so the other folders take it back, too.

Edits that are not recorded yet are recorded first. Where the content of what the merge replaced is nowhere any more
(the trash has expired, no remote has it), nothing is done.

Output: what was taken back. With --json, an object with "merge" (the head that is taken back), "old", "head",
"changes" (as "replican diff --json" has them), "conflicts" (a list of "path"), "pending" (each "path", "cause") and
"wire", as "replican pull" has it.

Exit codes: 0 done, or there was nothing left to take back; 3 there is no merge to undo, its content is gone, or a
gate is closed; 4 some paths are pending.

    replican undo --dry-run
    replican undo
"""

from typing import TYPE_CHECKING, Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.output import json_path, quoted
from replican.plumbing._front.params import Option
from replican.porcelain import _past as past
from replican.porcelain import _report as report

if TYPE_CHECKING:
    from replican.operations.undoing import Undone


def command(
    ctx: Context,
    dry_run: Annotated[bool, Option("-n", "--dry-run", help="show what would be done, and record nothing")] = False,
    limit_rate: report.LimitRate = None,
    mass_delete: report.AllowMassDelete = False,
    missing_mount: report.AllowMissingMount = False,
) -> int | None:
    from replican.operations.undoing import undo

    repo = ctx.repository()
    repo.limit_rate = report.rate(limit_rate)
    done = undo(repo, allowed=report.allowed(mass_delete, missing_mount), dry_run=dry_run)
    ending = report.Ending(ctx)
    if done.recorded is not None:
        ending.recorded(done.recorded)
    if ctx.json:
        ctx.emit(json_undone(done))
    elif not done.changes:
        ctx.line(f"nothing left to take back of '{done.merge.reason}'")
    else:
        for change in done.changes if dry_run else ():
            ctx.line(past.change_line(change))
        nothing = "only what is not possible here" if done.amended.plan.held else "folders and attributes"
        what = f"'{done.merge.reason}': {report.words_of(done.amended.tally) or nothing}"
        ctx.line(f"would take back {what}" if dry_run else f"took back {what}")
    for path in done.conflicts:
        ctx.say(f"conflict: {quoted(path)}: it was edited since, and both versions are kept")
    ending.pending(done.amended.outcome.pending)
    return ending.code


def json_undone(done: "Undone") -> dict[str, object]:
    return {
        "merge": report.json_id(done.merge.new),
        "reason": done.merge.reason,
        "old": report.json_id(done.amended.old),
        "head": report.json_id(done.amended.head),
        "changes": [past.json_change(change) for change in done.changes],
        "conflicts": [json_path(path) for path in done.conflicts],
        "pending": report.json_problems(done.amended.outcome.pending),
        "wire": report.json_wire(done.wire),
    }
