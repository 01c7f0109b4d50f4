"""Have a remote take in what is recorded here.

The remote records its user's edits first. Then it takes in this log and its content as a fast-forward, if it
has recorded nothing that is not here; else it is refused, and "replican pull" or "replican sync" is what helps.
The other folder's own gates decide there: no flag given here opens them, and the error says what does over there.
Edits here that are not recorded stay here: commit them first.

R may be left out: it is the only remote, or "origin".

Output: where the remote's head was and is, as git shows it. With --json, an object with "remote", "old", "new",
"added", "changed", "moved", "deleted" (over there), "pending" (paths that could not be written there; none of them is
counted before), "unnoted" (how many more of these there are than the other side lists) and "wire", as "replican pull"
has it.

Exit codes: 0 done; 3 refused by a gate over there, or for a full disk; 4 some paths are pending there; 5 the
remote cannot be reached, or has checkpoints that are not here; 8 no such remote.

    replican push
    replican push disk
"""

import os
from typing import Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.output import quoted
from replican.plumbing._front.params import Argument
from replican.porcelain import _report as report


def command(
    ctx: Context,
    remote: Annotated[str | None, Argument("R", help="the remote", complete="remote")] = None,
    limit_rate: report.LimitRate = None,
) -> int | None:
    from replican.operations.remotes import default_remote, place_of, reaching

    repo = ctx.repository()
    repo.limit_rate = report.rate(limit_rate)
    name = remote or default_remote(repo)
    with reaching(repo, name):
        from replican.decisions.treediff import Tally
        from replican.operations.syncing import push

        done = push(repo, name)
    tally = done.tally or Tally(0, 0, 0, 0)
    if ctx.json:
        moved = {"remote": name, "old": report.json_id(done.old), "new": report.json_id(done.new)}
        told, wire = report.json_problems(done.pending), report.json_wire(done.wire)
        ctx.emit({**moved, **tally._asdict(), "pending": told, "unnoted": done.unnoted, "wire": wire})
    elif done.old == done.new:
        pending = report.words_of_pending(done.pending, done.unnoted)
        ctx.line("; ".join([f"{name} is up to date", *pending]))
    else:
        ctx.say(f"to {quoted(os.fsencode(place_of(repo, name)))}")
        what = [report.words_of(tally) or "no file changed", *report.words_of_pending(done.pending, done.unnoted)]
        ctx.line(f"   {report.moved(done.old, done.new)}  head -> head  ({'; '.join(what)})")
    ending = report.Ending(ctx)
    ending.theirs(done.theirs, f"{name}: ")
    ending.pending(done.pending, f"{name}: ", done.unnoted)
    return ending.code
