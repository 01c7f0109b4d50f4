"""Settle conflicts, for every replica.

PATH is a name that "replican conflicts" lists, one of its copies, a directory (all conflicts below it) or a pattern.
--keep says which version has the name from now on: the current one, the copy (--copy says which, where there are
several), or both: then every copy gets a name of its own, as letter-2.txt. What does not stay goes to the trash, and
what was edited meanwhile stays as it is. A checkpoint is recorded, so that the other replicas take it over.

--forget-missing is for versions whose content no store has any more: they are dropped, all of them or those at PATH.
An older version that the folder still holds stays.

Output: a line for each name. With --json, an object with "head", "resolved" (a list of "path") and "pending" (each
"path", "cause").

Exit codes: 0 done; 1 no conflict there; 3 it is not clear what to keep, or a gate is closed; 4 some paths are
pending.

    replican resolve letters/may.txt --keep copy
    replican resolve . --keep both
"""

from typing import Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.output import json_path, quoted
from replican.plumbing._front.params import Argument, Option
from replican.porcelain import _report as report
from replican.values.errors import UsageError
from replican.values.paths import from_text

KEEP = ("current", "copy", "both")


def command(
    ctx: Context,
    paths: Annotated[tuple[str, ...], Argument("PATH", help="whose conflict to settle", complete="path")] = (),
    keep: Annotated[str | None, Option("--keep", choices=KEEP, help="which version has the name from now on")] = None,
    copy: Annotated[str | None, Option("--copy", metavar="NAME", help="which copy to keep", complete="path")] = None,
    missing: Annotated[
        bool, Option("--forget-missing", help="drop versions whose content is nowhere any more")
    ] = False,
    message: Annotated[str | None, Option("-m", "--message", metavar="MSG", help="say what was done")] = None,
    mass_delete: report.AllowMassDelete = False,
) -> int | None:
    from replican.operations.settling import forget_missing, resolve

    if missing == (keep is not None):
        raise UsageError("say what to keep: --keep current, copy or both; or --forget-missing")
    if copy is not None and keep != "copy":
        raise UsageError("--copy goes with --keep copy")
    if keep is not None and not paths:
        raise UsageError("name the conflicts to settle", "'.' means all below this directory")
    repo = ctx.repository()
    where = [ctx.path(path) for path in paths]
    allowed = report.allowed(mass_delete)
    if keep is None:
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
            }
        )
    else:
        for path in done.names:
            ctx.line(f"{'forgotten' if keep is None else 'resolved'}: {quoted(path)}")
    ending = report.Ending(ctx)
    ending.pending(done.pending)
    return ending.code
