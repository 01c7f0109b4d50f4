"""Bring back files as a checkpoint has them.

The log holds no content: it comes from this folder, its trash, or the folders of remotes, wherever it still is;
--from takes it from one remote only. Each PATH is brought back with all below it; what it replaces goes to the trash,
and nothing else is touched. The result is an edit like any other: the next commit records it. With --to, files are
written below DIR, where nothing is replaced. Without --checkpoint, the head is meant.

--dry-run tells how much could be brought back, and from where, and does nothing.

Output: how many files were restored, and from where. With --json, an object with "checkpoint", "restored" (a list of
"path"), "in_place" (how many files were so already), "sources" (a count for each), "missing" and "problems" (each
"path", "cause"), and "wire", as "replican pull" has it.

Exit codes: 0 done; 1 the checkpoint does not have that path; 3 there is too little room, and nothing was done; 4 some
content is in no store that can be reached, or could not be written, and the rest is done; 5 the remote cannot be
reached.

    replican restore letters/may.txt
    replican restore --checkpoint HEAD@{1} --dry-run .
    replican restore --checkpoint HEAD@{2} --to /tmp/before letters
"""

from typing import TYPE_CHECKING, Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.exits import DONE, PENDING
from replican.plumbing._front.output import json_path, quoted
from replican.plumbing._front.params import Argument, Option
from replican.porcelain import _report as report
from replican.values.errors import UsageError

if TYPE_CHECKING:
    from replican.operations.restoring import Restored


def command(
    ctx: Context,
    paths: Annotated[tuple[str, ...], Argument("PATH", help="what to bring back", complete="path")] = (),
    checkpoint: Annotated[
        str | None, Option("--checkpoint", metavar="ID", help="bring it back as it was there", complete="ref")
    ] = None,
    source: Annotated[
        str | None, Option("--from", metavar="R", help="take content from this remote only", complete="remote")
    ] = None,
    to: Annotated[
        str | None, Option("--to", metavar="DIR", help="write below DIR, and replace nothing", complete="directory")
    ] = None,
    limit_rate: report.LimitRate = None,
    dry_run: Annotated[bool, Option("-n", "--dry-run", help="tell how much there is, and from where")] = False,
) -> int | None:
    from replican.operations.restoring import restore
    from replican.operations.revisions import checkpoint_named

    if not (paths or checkpoint or to):
        raise UsageError("say what to bring back", "'.' means all below this directory, --checkpoint ID another time")
    repo = ctx.repository()
    repo.limit_rate = report.rate(limit_rate)
    chosen = checkpoint_named(repo, checkpoint or "HEAD")
    where = [ctx.path(path) for path in paths] or [b""]
    done = restore(repo, repo.checkpoint(chosen).tree, where, only=source, to=to, dry_run=dry_run)
    if ctx.json:
        ctx.emit(
            {
                "checkpoint": chosen.hex(),
                "restored": [json_path(path) for path in done.restored],
                "in_place": done.in_place,
                "sources": done.places,
                "missing": report.json_problems(done.missing),
                "problems": report.json_problems(done.problems),
                "wire": report.json_wire(done.wire),
            }
        )
    else:
        ctx.line(summary(done, dry_run=dry_run))
    failed = [*done.missing, *done.problems]
    for problem in failed[: report.MOST]:
        ctx.warn(f"cannot restore {quoted(problem.path)}: {problem.cause}")
    if len(failed) > report.MOST:
        ctx.warn(f"and {len(failed) - report.MOST} more; --json lists all of them")
    return PENDING if done.missing or done.problems else DONE


def summary(done: "Restored", *, dry_run: bool) -> str:
    """What was done, or could be, on one line."""
    sources = ", ".join([f"{count} from {place}" for place, count in sorted(done.places.items())])
    text = f"{'would restore' if dry_run else 'restored'} {report.many(len(done.restored), 'file')}"
    text += f" ({sources})" if sources else ""
    if done.in_place:
        text += f"; {report.many(done.in_place, 'file')} in place already"
    if done.missing:
        text += f"; {report.many(len(done.missing), 'file')} cannot be restored"
    return text
