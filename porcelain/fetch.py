"""Get a remote's log, without touching a file.

The remote records its user's edits first, if it can. Only checkpoints and directory listings that are not here
yet travel, and each is verified. The log holds no content, so that comes with the merge; with --content it is
brought here now, and a merge works even when the remote is out of reach.

R may be left out: it is the only remote, or "origin".

Output: where the remote's head was and is, as git shows it; nothing if it has not moved. With --json, an object
with "remote", "old", "new", "forced" (it does not come from where it was), "checkpoints" and "trees" (how many
came), with --content "contents", "bytes" and "missing", and "wire" (as "replican pull" has it).

Exit codes: 0 done; 3 there is too little room for the content, or the remote could not record its user's edits for a
gate or a full disk; 4 some paths could not be read over there, or some content is nowhere; 5 the remote cannot be
reached, or broke the rules; 8 no such remote.

    replican fetch
    replican fetch --content disk && replican merge disk
"""

import os
from typing import TYPE_CHECKING, Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.output import quoted
from replican.plumbing._front.params import Argument, Option
from replican.porcelain import _report as report

if TYPE_CHECKING:
    from replican.operations.ahead import Ahead
    from replican.operations.fetching import Fetched
    from replican.operations.remotes import Refreshed
    from replican.repository import Repository
    from replican.values.progress import Traffic


def fetch_both(
    repo: "Repository", name: str, *, content: bool
) -> tuple["Fetched", "Refreshed", "Ahead | None", "Traffic | None"]:
    """Fetch from a remote, once it has recorded its user's edits, and with ``content`` stage what a merge will need;
    what went over the wire."""
    from replican.operations.remotes import opened_remote, reaching

    with reaching(repo, name), opened_remote(repo, name) as remote:
        from replican.operations.fetching import fetch_from

        refreshed = remote.refresh()
        repo.notes += refreshed.notes
        fetched = fetch_from(repo, remote)
        ahead = None
        if content:
            from replican.operations.ahead import stage_content

            ahead = stage_content(repo, remote)
        repo.notes += remote.summary()
        return fetched, refreshed, ahead, remote.traffic


def command(
    ctx: Context,
    remote: Annotated[str | None, Argument("R", help="the remote", complete="remote")] = None,
    content: Annotated[bool, Option("--content", help="bring the content here, too, for a merge later")] = False,
    limit_rate: report.LimitRate = None,
) -> int | None:
    from replican.operations.remotes import default_remote, place_of

    repo = ctx.repository()
    repo.limit_rate = report.rate(limit_rate)
    name = remote or default_remote(repo)
    done, refreshed, ahead, wire = fetch_both(repo, name, content=content)
    ending = report.Ending(ctx)
    if ctx.json:
        shown = {"remote": name, "old": report.json_id(done.old), "new": report.json_id(done.new)}
        counts = {"forced": done.forced, "checkpoints": done.checkpoints, "trees": done.trees}
        brought = {}
        if ahead is not None:
            missing = report.json_problems(ahead.missing)
            brought = {"contents": ahead.contents, "bytes": ahead.size, "missing": missing}
        ctx.emit({**shown, **counts, **brought, "wire": report.json_wire(wire)})
    elif done.old != done.new:
        ctx.say(f"from {quoted(os.fsencode(place_of(repo, name)))}")
        ctx.line(describe(done))
        if ahead is None:
            ctx.say(f"hint: its content is not here yet: 'replican merge {name}' takes it in")
    ending.theirs(refreshed, f"{name}: ")
    if ahead is not None:
        if not ctx.json and ahead.contents:
            ctx.line(f"   {report.many(ahead.contents, 'file')} staged, {ahead.size} bytes")
        ending.pending(ahead.missing)
    return ending.code


def describe(done: "Fetched") -> str:
    """Where a remote's head was and is, as git shows it."""
    where = f"head -> {done.remote}/head"
    if done.old is None:
        return f" * [new log] {report.short(done.new)}  {where}"
    if done.forced:
        return f" + {report.short(done.old)}...{report.short(done.new)}  {where}  (forced update)"
    return f"   {report.moved(done.old, done.new)}  {where}"
