"""Settle conflicts, for every replica.

PATH is a name that "replican conflicts" lists, one of its copies, a directory (all conflicts below it) or a pattern.
--keep says which version has the name from now on: the current one, the copy (--copy says which, where there are
several), or both: then every copy gets a name of its own, as letter-2.txt. What does not stay goes to the trash, and
what was edited meanwhile stays as it is. A checkpoint is recorded, so that the other replicas take it over.

--tool runs the command of the setting merge.tool, by sh, with the names of files in BASE (what both come from; empty
where no store has that), CURRENT, COPY and RESULT (LOCAL, REMOTE and MERGED, as git calls them, are the last but
BASE). A command that names none of them gets BASE CURRENT COPY RESULT as arguments. What it leaves in RESULT is the
version from now on; with an exit code other than 0 the conflict stays open.

--forget-missing is for versions whose content no store has any more: they are dropped, all of them or those at PATH.
An older version that the folder still holds stays.

Output: a line for each name. With --json, an object with "head", "resolved" (a list of "path") and "pending" (each
"path", "cause"), "open" (what the tool gave up on, each "path") and "wire", as "replican pull" has it.

Exit codes: 0 done; 1 no conflict there, or the tool gave up; 3 it is not clear what to keep, or a gate is
closed; 4 some paths are pending.

    replican resolve letters/may.txt --keep copy
    replican resolve . --keep both
    replican config merge.tool 'meld "$CURRENT" "$BASE" "$COPY" -o "$RESULT"'
"""

from typing import TYPE_CHECKING, Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.exits import DIFFERENT
from replican.plumbing._front.output import json_path, quoted
from replican.plumbing._front.params import Argument, Option
from replican.porcelain import _report as report
from replican.values.errors import UsageError
from replican.values.paths import from_text

if TYPE_CHECKING:
    from replican.operations.tooling import Tool
    from replican.repository import Repository

KEEP = ("current", "copy", "both")


def command(
    ctx: Context,
    paths: Annotated[tuple[str, ...], Argument("PATH", help="whose conflict to settle", complete="path")] = (),
    keep: Annotated[str | None, Option("--keep", choices=KEEP, help="which version has the name from now on")] = None,
    copy: Annotated[str | None, Option("--copy", metavar="NAME", help="which copy to keep", complete="path")] = None,
    missing: Annotated[
        bool, Option("--forget-missing", help="drop versions whose content is nowhere any more")
    ] = False,
    tool: Annotated[bool, Option("--tool", help="have the command merge.tool make one of all versions")] = False,
    message: Annotated[str | None, Option("-m", "--message", metavar="MSG", help="say what was done")] = None,
    limit_rate: report.LimitRate = None,
    mass_delete: report.AllowMassDelete = False,
) -> int | None:
    from replican.operations.settling import forget_missing, resolve

    keep = "copy" if keep is None and copy is not None else keep  # that says it
    if missing + tool + (keep is not None) != 1:
        raise UsageError("say what to keep: --keep current, copy or both; or --tool, or --forget-missing")
    if copy is not None and keep != "copy":
        raise UsageError("--copy goes with --keep copy")
    if not missing and not paths:
        raise UsageError("name the conflicts to settle", "'.' means all below this directory")
    repo = ctx.repository()
    repo.limit_rate = report.rate(limit_rate)
    where = [ctx.path(path) for path in paths]
    allowed = report.allowed(mass_delete)
    given_up: list[bytes] = []
    if tool:
        from replican.operations.tooling import resolve_by_tool

        run = merge_tool(ctx, repo)
        done, given_up = resolve_by_tool(repo, where, run, message=report.check_message(message), allowed=allowed)
    elif keep is None:
        done = forget_missing(repo, where, allowed=allowed)
    else:
        chosen = None if copy is None else from_text(copy) if "/" not in copy else ctx.path(copy)
        done = resolve(repo, where, keep, copy=chosen, message=report.check_message(message), allowed=allowed)
    if ctx.json:
        ctx.emit(
            {
                "head": report.json_id(done.head),
                "resolved": [json_path(path) for path in done.names],
                "pending": report.json_problems(done.pending),
                "open": [json_path(path) for path in given_up],
                "wire": report.json_wire(done.wire),
            }
        )
    else:
        for path in done.names:
            ctx.line(f"{'forgotten' if missing else 'resolved'}: {quoted(path)}")
    ending = report.Ending(ctx)
    ending.pending(done.pending)
    for path in given_up:
        ctx.say(f"still open: {quoted(path)}: the tool did not end well")
    return ending.code or (DIFFERENT if given_up else None)


def merge_tool(ctx: Context, repo: "Repository") -> "Tool":
    """The user's command; raises ``UsageError`` where none is set."""
    import re
    import subprocess

    from replican import settings
    from replican.operations.tooling import LaidOut

    command = repo.config.text("merge.tool")
    if not command:
        raise UsageError("no merge.tool is set", 'set one: replican config merge.tool \'meld "$CURRENT" "$COPY" ...\'')
    if not re.search(r"\$\{?(BASE|CURRENT|COPY|RESULT|LOCAL|REMOTE|MERGED)\b", command):
        command += ' "$BASE" "$CURRENT" "$COPY" "$RESULT"'

    def run(laid: LaidOut) -> bool:
        names = {"BASE": laid.base, "CURRENT": laid.current, "COPY": laid.copy, "RESULT": laid.result}
        names |= {"LOCAL": laid.current, "REMOTE": laid.copy, "MERGED": laid.result}
        ctx.say(f"merging {quoted(laid.path)}")
        # What it says belongs on stderr: stdout is for results.
        return (
            subprocess.run(["sh", "-c", command], env=settings.for_program(names), stdout=2, check=False).returncode
            == 0
        )

    return run
