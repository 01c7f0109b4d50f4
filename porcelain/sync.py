"""Pull and push until both folders are equal.

What both users did is recorded, each side takes in what the other one has, and both logs end at the same head.
Different edits of one file are both kept: one has the name, the other becomes a conflict copy beside it. What
one folder cannot write now stays pending there, and does not stop the rest. It runs once, and can be run again
at any time, also after an interruption.

R are remotes, one after the other; if none is given, it is the only remote, or "origin". One that cannot be
reached does not keep the others from being synced.

Output: one line for each remote: what came, what went, and how many conflicts and pending paths there are. With
--json, an object with "head", "conflicts", "pending" and "remotes", a list of objects with "remote", "equal",
"recorded", "came", "went" (each with "added", "changed", "moved", "deleted", without what is pending), "pending" (over
there), "unnoted" and "wire" (as "replican push" has them), or with "error".

Exit codes: 0 done; 1 conflicts are open, with --exit-code; 3 refused by a gate, or a remote could not record its
user's edits for one, or for a full disk, and the rest is done; 4 some paths are pending; 5 a remote cannot be
reached, or broke the rules; 8 no such remote.

    replican sync
    replican sync disk laptop
"""

from typing import TYPE_CHECKING, Annotated, Any

from replican.plumbing._front.context import Context
from replican.plumbing._front.params import Argument, Option
from replican.porcelain import _report as report
from replican.values.errors import RefusedError, RemoteError, UnknownRemoteError

if TYPE_CHECKING:
    from replican.decisions.treediff import Tally
    from replican.operations.syncing import Synced
    from replican.repository import Repository


def came(done: "Synced") -> "Tally":
    """What a sync changed in this folder."""
    from replican.decisions.treediff import Tally

    return Tally.total(merged.tally for merged in done.pulled)


def went(done: "Synced") -> "Tally":
    """What a sync changed in the remote's folder."""
    from replican.decisions.treediff import Tally

    return Tally.total(pushed.tally for pushed in done.pushed if pushed.tally is not None)


def describe(done: "Synced", head: str) -> str:
    """What a sync did, on one line."""
    parts = [
        f"{word} {report.words_of(tally)}" for word, tally in (("came", came(done)), ("went", went(done))) if any(tally)
    ]
    conflicts = sum(len(merged.conflicts) for merged in done.pulled)
    problems = [*done.pulled[-1].pending, *(each for pushed in done.pushed[-1:] for each in pushed.pending)]
    parts += [report.many(conflicts, "conflict")] * bool(conflicts)
    pending = report.words_of_pending(problems, sum(pushed.unnoted for pushed in done.pushed[-1:]))
    parts = parts or ["nothing to do"] * all(problem.known for problem in problems)
    state = f"in step at {head}" if done.equal else "not in step yet: run it again"
    return f"{done.remote}: {'; '.join([*parts, *pending, state])}"


def command(
    ctx: Context,
    remotes: Annotated[tuple[str, ...], Argument("R", help="the remotes", complete="remote")] = (),
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
    names = remotes or (default_remote(repo),)
    for name in names:
        repo.config.remote(name)
    allowed = report.allowed(mass_delete, missing_mount, unrelated)
    message = report.check_message(message)
    ending = report.Ending(ctx)
    shown: list[dict[str, Any]] = []
    made: list[Synced] = []
    for name in names:
        try:
            with reaching(repo, name):
                from replican.operations.syncing import sync

                done = sync(repo, name, allowed=allowed, message=message)
        except UnknownRemoteError:
            raise
        except (RemoteError, RefusedError) as error:
            if len(names) == 1:
                raise
            ending.failed(error, name)
            shown.append({"remote": name, "error": {"code": error.code, "message": error.message, "hint": error.hint}})
            continue
        made.append(done)
        shown.append(_json(done))
        if not ctx.json:
            ctx.line(describe(done, report.short(repo.head)))
        _tell(done, ending)
    if ctx.json:
        _emit(ctx, repo, made, shown)
    if exit_code:
        ending.open_conflicts(repo)
    return ending.code


def _tell(done: "Synced", ending: report.Ending) -> None:
    ending.recorded(done.recorded)
    ending.theirs(done.theirs, f"{done.remote}: ")
    for merged in done.pulled:
        ending.conflicts(merged.conflicts)
    ending.pending(done.pulled[-1].pending)
    for pushed in done.pushed[-1:]:
        ending.pending(pushed.pending, f"{done.remote}: ", pushed.unnoted)
    if not done.equal:
        ending.behind()


def _json(done: "Synced") -> dict[str, Any]:
    pending = [problem for pushed in done.pushed[-1:] for problem in pushed.pending]
    return {
        "remote": done.remote,
        "equal": done.equal,
        "recorded": report.json_recorded(done.recorded),
        "came": came(done)._asdict(),
        "went": went(done)._asdict(),
        "pending": report.json_problems(pending),
        "unnoted": sum(pushed.unnoted for pushed in done.pushed[-1:]),
        "wire": report.json_wire(done.wire),
    }


def _emit(ctx: Context, repo: "Repository", made: "list[Synced]", shown: list[dict[str, Any]]) -> None:
    conflicts = [conflict for done in made for merged in done.pulled for conflict in merged.conflicts]
    unread = [problem for done in made for problem in done.recorded.problems]
    pending = {problem.path: problem for problem in [*unread, *(made[-1].pulled[-1].pending if made else [])]}
    ctx.emit(
        {
            "head": report.json_id(repo.head),
            "conflicts": report.json_conflicts(conflicts),
            "pending": report.json_problems(pending.values()),
            "remotes": shown,
        }
    )
