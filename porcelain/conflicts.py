"""List the names that have more than one version.

Two edits that did not know of each other both stay: the newer has the name, each other is a conflict copy beside it.
A name is off this list when all but one of its versions are deleted or renamed, by hand or by "replican resolve";
that settles it for every replica. Where a directory has the name, the file's versions are copies beside it.

Output: a line for each copy: the path, a tab, the copy's path; on a terminal, a table, with a row for each version.
With -z, path, NUL, copy, NUL. With --json, a list of objects with "path", "copy", "current_id", "copy_id" and
"time_ns", the copy's time in ns since 1970.

Exit codes: 0 done; 1 there are conflicts, with --exit-code.

    replican conflicts
    replican resolve letters/may.txt --keep current
"""

import shutil
import sys
from typing import TYPE_CHECKING, Annotated, Final

from replican.plumbing._front.context import Context
from replican.plumbing._front.exits import DIFFERENT
from replican.plumbing._front.output import quoted
from replican.plumbing._front.params import Option
from replican.porcelain import _past as past
from replican.porcelain import _report as report
from replican.values.trees import DIRECTORY, Entry

if TYPE_CHECKING:
    from replican.decisions.reconcile import OpenConflict

GAP: Final = "  "
SHORTEST: Final = 20
"""The column of paths is folded, but not narrower than so many characters: then rows are longer than the terminal."""


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
    """A row for each version, with its whole path: what is shown can be given to resolve, or to why."""
    if not found:
        ctx.line("no conflicts")
        return
    rows = [("path", "version", "bytes", "modified")]
    for conflict in found:
        rows.append(row_of(conflict.path, "current", conflict.current))
        rows += [row_of(copy, "copy", entry) for copy, entry in conflict.copies]
    widths = [max([len(row[column]) for row in rows]) for column in range(4)]
    left = shutil.get_terminal_size().columns - sum(widths[1:]) - 3 * len(GAP)
    widths[0] = min(widths[0], max(left, SHORTEST))
    for at, row in enumerate(rows):
        # Paths are quoted, so each character takes one cell.
        first, *more = [row[0][start : start + widths[0]] for start in range(0, len(row[0]), widths[0])]
        others = f"{row[1]:<{widths[1]}}{GAP}{row[2]:>{widths[2]}}{GAP}{row[3]}"
        ctx.line(f"{first:<{widths[0]}}{GAP}{others}".rstrip())
        for piece in more:
            ctx.line(piece)
        if at == 0:
            ctx.line(GAP.join(["-" * width for width in widths]))
    ctx.say("settle one with: replican resolve PATH --keep current|copy|both")


def row_of(path: bytes, what: str, entry: Entry) -> tuple[str, str, str, str]:
    if entry.kind == DIRECTORY:
        return quoted(path), f"{what} directory" if entry.is_unit else "directory", "", ""
    return quoted(path), what, str(entry.size), past.when(entry.mtime_ns, "%Y-%m-%d %H:%M:%S")
