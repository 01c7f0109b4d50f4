"""Commit, fetch and merge.

Edits here are recorded first, so there is nothing to put away; then the remote's log is fetched, and merged.
The remote is asked to record its user's edits, too. R may be left out: it is the only remote, or "origin".

Output: one line. With --json, an object with "recorded", "fetched" and "merged", each as the command of that
name tells it ("commit", "fetch", "merge"), and "wire": null, or an object with "received", "sent" and "saved" (bytes),
"files", "seconds" and "rate". From another machine, a line on stderr tells the same.

Exit codes: 0 done; 1 conflicts are open, with --exit-code; 3 refused by a gate, or the remote could not record its
user's edits for one, or for a full disk, and the rest is done; 4 some paths are pending; 5 the remote cannot be
reached, or broke the rules; 8 no such remote.

    replican pull
    replican pull disk -m 'letters of May'
"""

from typing import Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.params import Argument, Option
from replican.porcelain import _report as report


def command(
    ctx: Context,
    remote: Annotated[str | None, Argument("R", help="the remote", complete="remote")] = None,
    message: Annotated[str | None, Option("-m", "--message", metavar="MSG", help="say what was done here")] = None,
    limit_rate: report.LimitRate = None,
    exit_code: report.ExitCode = False,
    mass_delete: report.AllowMassDelete = False,
    missing_mount: report.AllowMissingMount = False,
    unrelated: report.AllowUnrelated = False,
) -> int | None:
    from replican.operations.remotes import default_remote, reaching

    repo = ctx.repository()
    repo.limit_rate = report.rate(limit_rate)
    name = remote or default_remote(repo)
    allowed = report.allowed(mass_delete, missing_mount, unrelated)
    message = report.check_message(message)
    with reaching(repo, name):
        from replican.operations.syncing import pull

        done = pull(repo, name, allowed=allowed, message=message)
    ending = report.Ending(ctx)
    ending.recorded(done.recorded)
    if ctx.json:
        old, new = report.json_id(done.fetched.old), report.json_id(done.fetched.new)
        came = {"forced": done.fetched.forced, "checkpoints": done.fetched.checkpoints, "trees": done.fetched.trees}
        fetched = {"remote": name, "old": old, "new": new, **came}
        recorded, merged = report.json_recorded(done.recorded), report.json_merged(done.merged)
        wire = report.json_wire(done.wire)
        ctx.emit({"recorded": recorded, "fetched": fetched, "merged": merged, "wire": wire})
    else:
        if done.recorded.new:
            ctx.line(f"recorded here: {report.words_of(done.recorded.tally) or 'folders and attributes'}")
        ctx.line(f"{name}: {report.describe_merge(done.merged)}")
    ending.theirs(done.theirs, f"{name}: ")
    ending.merged(done.merged)
    if exit_code:
        ending.open_conflicts(repo)
    return ending.code
