"""Pack the log, and let go of what nobody needs any more.

All objects of the log are put into one pack. Those that nothing refers to are dropped once they are older than
gc.grace_days (14). What merges replaced or deleted goes from the trash after trash.expiry_days (30), but for what the
head needs and the folder does not have. What an interrupted command left on the stage goes after a day. Block lists
go with the content that they are of.

Output: what was freed. With --json, an object with "kept", "dropped" (objects), "trash", "trash_size", "spared"
(files that are old and stay in the trash), "stage", "stage_size", "freed", "block_lists" and "dry_run"; sizes are in
bytes.

Exit codes: 0 done; 6 an object of the log is damaged: nothing was dropped.

    replican gc --dry-run
    replican gc --trash 0
"""

from typing import Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.params import Option
from replican.porcelain import _report as report
from replican.values.errors import UsageError


def command(
    ctx: Context,
    dry_run: Annotated[bool, Option("-n", "--dry-run", help="tell what would go, and let nothing go")] = False,
    grace: Annotated[
        int | None,
        Option("--grace", metavar="DAYS", help="how long objects stay that nothing refers to (gc.grace_days)"),
    ] = None,
    trash: Annotated[
        int | None, Option("--trash", metavar="DAYS", help="how long the trash keeps files (trash.expiry_days)")
    ] = None,
) -> int | None:
    from replican.operations.tending import tend

    if (grace or 0) < 0 or (trash or 0) < 0:
        raise UsageError("a number of days is 0 or more")
    done = tend(ctx.repository(), grace_days=grace, trash_days=trash, dry_run=dry_run)
    if ctx.json:
        ctx.emit({**done._asdict(), "dry_run": dry_run})
        return None
    would = "would be " if dry_run else ""
    ctx.line(f"log: {report.many(done.kept, 'object')} {would}packed, {done.dropped} {would}dropped")
    ctx.line(f"trash: {report.many(done.trash, 'file')} {would}dropped, {done.trash_size} bytes")
    if done.spared:
        ctx.line(f"trash: {report.many(done.spared, 'file')} kept, which the head needs")
    if done.stage:
        ctx.line(f"stage: {would}cleared, {done.stage_size} bytes")
    if done.block_lists:
        ctx.line(f"block lists: {done.block_lists} {would}dropped")
    return None
