"""Take in what a remote has recorded.

R is a remote, whose head as last fetched is merged (so "replican merge remote" after "replican fetch" needs
nothing more), NAME/head, or the id of a checkpoint. The bare word "remote", and nothing at all, mean the only
remote or "origin".

Edits here are recorded first. Different edits of one file are both kept: one has the name, the other becomes a
conflict copy beside it; "replican conflicts" lists these. What cannot be written now stays pending, and the
next command tries again. Content that is not here comes from whichever remote can be reached.

Output: one line; with --dry-run, what would be done to the folder, a step a line, and nothing is done or
recorded. With --json, an object with "kind" ("up to date", "fast-forward" or "merge"), "old", "head", "added",
"changed", "moved", "deleted" (what was done; with --dry-run, what would be), "conflicts", "pending" and "wire", as
"replican pull" has it; with --dry-run also "plan" and "theirs", which apply-plan takes.

Exit codes: 0 done; 1 conflicts are open, with --exit-code; 3 refused by a gate; 4 some paths are pending; 5
content is missing, and no remote can be reached; 8 no such remote.

    replican fetch && replican merge remote
    replican merge --dry-run origin/head
"""

from typing import TYPE_CHECKING, Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.output import quoted
from replican.plumbing._front.params import Argument, Option
from replican.porcelain import _report as report

if TYPE_CHECKING:
    from replican.operations.merging import Merged


def command(
    ctx: Context,
    target: Annotated[str | None, Argument("R", help="a remote, NAME/head, or a checkpoint", complete="remote")] = None,
    dry_run: Annotated[bool, Option("-n", "--dry-run", help="only print what would be done")] = False,
    limit_rate: report.LimitRate = None,
    exit_code: report.ExitCode = False,
    mass_delete: report.AllowMassDelete = False,
    missing_mount: report.AllowMissingMount = False,
    unrelated: report.AllowUnrelated = False,
) -> int | None:
    from replican.operations.recording import record
    from replican.operations.targets import find_target, merge_target

    repo = ctx.repository()
    repo.limit_rate = report.rate(limit_rate)
    found = find_target(repo, target)
    allowed = report.allowed(mass_delete, missing_mount, unrelated)
    ending = report.Ending(ctx)
    if not dry_run:
        ending.recorded(record(repo, allowed=allowed, past_gates=True))
    merged = merge_target(repo, found, allowed=allowed, dry_run=dry_run)
    if ctx.json:
        plan = {"plan": report.json_plan(merged.plan), "theirs": found.checkpoint.hex()} if dry_run else {}
        ctx.emit({**report.json_merged(merged), "wire": report.json_wire(merged.wire), **plan})
    elif dry_run:
        _show_plan(ctx, merged)
    else:
        ctx.line(report.describe_merge(merged))
    ending.merged(merged)
    if exit_code:
        ending.open_conflicts(repo)
    return ending.code


def _show_plan(ctx: Context, merged: "Merged") -> None:
    for step, path, source in report.plan_steps(merged.plan):
        ctx.line(f"{step}: {quoted(path) if source is None else f'{quoted(source)} -> {quoted(path)}'}")
    ctx.say(f"would be: {report.describe_merge(merged)}; nothing was done")
