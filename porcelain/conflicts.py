"""List the names that have more than one version.

Two edits that did not know of each other both stay: the newer has the name, each other is a conflict copy beside it.
A name is off this list when all but one of its versions are deleted or renamed, by hand or by "replican resolve";
that settles it for every replica. Where a directory has the name, the file's versions are copies beside it.

Output: a line for each copy: the path, a tab, the copy's path; on a terminal, a table. With -z, path, NUL, copy, NUL.
With --json, a list of objects with "path", "copy", "current_id", "copy_id" and "time_ns", the copy's time in ns since
1970.

Exit codes: 0 done; 1 there are conflicts, with --exit-code.

    replican conflicts
    replican resolve letters/may.txt --keep current
"""

import sys
from typing import TYPE_CHECKING, Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.exits import DIFFERENT
from replican.plumbing._front.output import quoted
from replican.plumbing._front.params import Option
from replican.porcelain import _past as past
from replican.porcelain import _report as report
from replican.values.paths import name_of

if TYPE_CHECKING:
    from replican.decisions.reconcile import OpenConflict


def command(
    ctx: Context,
    nul: Annotated[bool, Option("-z", help="end paths with NUL, and do not quote them")] = False,
    exit_code: Annotated[bool, Option("--exit-code", help="exit with 1 if there are conflicts")] = False,
) -> int | None:
    from replican.operations.settling import conflicts

    found = conflicts(ctx.repository())
    if ctx.json:
        ctx.emit_all(report.json_conflicts(found))
    elif nul:
        for conflict in found:
            for copy, _ in conflict.copies:
                ctx.out(conflict.path + b"\0" + copy + b"\0")
    elif sys.stdout.isatty():
        show_table(ctx, found)
    else:
        for conflict in found:
            for copy, _ in conflict.copies:
                ctx.line(f"{quoted(conflict.path)}\t{quoted(copy)}")
    return DIFFERENT if found and exit_code else None


def show_table(ctx: Context, found: list["OpenConflict"]) -> None:
    """The versions of each name, one below the other."""
    if not found:
        ctx.line("no conflicts")
    for conflict in found:
        current = conflict.current
        kind = "directory" if current.kind == b"d" else f"{current.size} bytes, {past.when(current.mtime_ns)}"
        ctx.line(f"{quoted(conflict.path)}: {kind}")
        for copy, entry in conflict.copies:
            ctx.line(f"    {quoted(name_of(copy))}: {entry.size} bytes, {past.when(entry.mtime_ns)}")
    if found:
        ctx.say("settle one with: replican resolve PATH --keep current|copy|both")
