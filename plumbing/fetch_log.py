"""Take over what a remote has recorded, and move the ref that remembers its head.

Only checkpoints and directory listings that are not here travel, and each is verified. Unlike "replican fetch", the
remote is taken as it is: what its user has not recorded is not recorded for this.

R may be left out: it is the only remote, or "origin".

Output: the id of the remote's head, a tab, and the ref, as ls-remote prints them, whether it has moved or not; nothing
for an empty log. With --json, an object with "remote", "ref", "old", "new", "checkpoints" and "trees" (how many came).

Exit codes: 0 done; 1 the ref has not moved, with --exit-code; 5 the remote cannot be reached, or broke the rules; 8 no
such remote.

    replican fetch-log origin
    replican fetch-log --exit-code && replican diff-tree HEAD origin/head
"""

from typing import TYPE_CHECKING, Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.exits import DIFFERENT
from replican.plumbing._front.params import Argument, Option

if TYPE_CHECKING:
    from replican.operations.fetching import Fetched
    from replican.repository import Repository


def fetch_log(repo: "Repository", name: str) -> "Fetched":
    """Fetch from a remote without having it record anything."""
    from replican.operations.fetching import fetch_from
    from replican.operations.remotes import opened_remote

    with opened_remote(repo, name) as remote:
        return fetch_from(repo, remote)


def command(
    ctx: Context,
    remote: Annotated[str | None, Argument("R", help="the remote", complete="remote")] = None,
    exit_code: Annotated[bool, Option("--exit-code", help="exit with 1 if the ref has not moved")] = False,
) -> int | None:
    from replican.effects.refs import remote_head
    from replican.operations.remotes import default_remote

    repo = ctx.repository()
    name = remote or default_remote(repo)
    done = fetch_log(repo, name)
    old, new = (None if id is None else id.hex() for id in (done.old, done.new))
    ref = remote_head(name)
    if ctx.json:
        counts = {"checkpoints": done.checkpoints, "trees": done.trees}
        ctx.emit({"remote": name, "ref": ref, "old": old, "new": new, **counts})
    elif new is not None:
        ctx.line(f"{new}\t{ref}")
    return DIFFERENT if exit_code and old == new else None
