"""Show what has changed, what conflicts and what is pending.

It looks at the folder as it is, or asks the process that tracks it; takes no lock and writes nothing. How the remotes
stand is told as they were when last fetched from or pushed to.

Output: text for people; or, with --porcelain=v1, one line for each path, of two letters, a blank and the path:

     " A"  added             "UU"  has more than one version
     " M"  content changed   "P "  pending: the folder is behind the log
     " T"  kind changed      "? "  cannot be read, or is not read yet
     " D"  deleted
     " m"  only permissions or time changed

With -z, these lines end in NUL, and paths are not quoted. With --json, an object with "head", "clean",
"changes" (each "path", "status", "kind", and "from" for what was moved), "conflicts" (as "replican conflicts
--json"), "pending" (each "path", "cause" and "kind": "behind", "held" or "unread"), "remotes" (each "name", "url",
"state", "ahead", "behind"; the state is "up to date", "ahead", "behind", "diverged" or "unknown"), and "watch": null,
or, where the folder is watched, an object with "paused", "gate" (null, or "message" and "hint") and "remotes", each
with "name", "state" ("starting", "syncing", "in step", "behind", "lost" or "gate"), "time_ns" (since when), "message",
"hint", "pending" and "synced_ns" (when both were last in step, or null).

Exit codes: 0 done, whatever was found.

    replican status
    replican status --json | jq .clean
"""

from typing import Annotated, Any

from replican.operations.status import Status, ask_watch
from replican.plumbing._front.context import Context
from replican.plumbing._front.output import json_path, quoted
from replican.plumbing._front.params import Option
from replican.porcelain import _report as report
from replican.porcelain import _standing as standing
from replican.values.errors import UsageError
from replican.values.progress import PUT_OFF

V1 = "v1"
LETTERS = {"added": " A", "modified": " M", "type changed": " T", "deleted": " D", "attributes changed": " m"}
KINDS = {b"f": "file", b"d": "directory", b"l": "link"}


def as_json(status: Status) -> dict[str, Any]:
    """A status as ``--json`` shows it."""
    kinds = ["held" if each.held else "behind" for each in status.pending]
    behind = [{**row, "kind": kind} for row, kind in zip(report.json_problems(status.pending), kinds, strict=True)]
    unread = [{**row, "kind": "unread"} for row in report.json_problems(status.unread)]
    return {
        "head": report.json_id(status.head),
        "clean": status.clean,
        "changes": [
            {
                **json_path(each.path),
                "status": each.status,
                "kind": KINDS[each.entry.kind],
                **({} if each.source is None else json_path(each.source, "from")),
            }
            for each in status.changes
        ],
        "conflicts": report.json_conflicts(status.conflicts),
        "pending": behind + unread,
        "remotes": [remote._asdict() for remote in status.remotes],
        "skipped": report.json_problems(status.skipped),
        "watch": None if status.watch is None else status.watch.as_json(),
    }


def letters(status: Status) -> list[tuple[str, bytes]]:
    """A status in two letters a path."""
    found = [(LETTERS[each.status], each.path) for each in status.changes]
    found += [("UU", conflict.path) for conflict in status.conflicts]
    found += [("P ", problem.path) for problem in status.pending]
    return found + [("? ", problem.path) for problem in status.unread]


def describe(status: Status, shown: int) -> list[str]:
    """A status for people, of each kind at most ``shown`` paths."""
    if status.title is None:
        lines = ["nothing is recorded yet"]
    else:
        lines = [f"head {report.short(status.head)} {status.title}".rstrip()]
    lines += [f"{remote.name}: {standing.of_remote(remote.name, *remote[2:])}" for remote in status.remotes]
    lines += standing.lines(status.watch)
    known, when = len(lines), "once it goes on" if status.watch and status.watch.paused else "meanwhile"
    changes = [f"{_word(each)}{_shown(each)}" for each in status.summary]
    conflicts = [f"{quoted(each.path)} ({len(each.copies) + 1} versions)" for each in status.conflicts]
    pending = [f"{quoted(each.path)}: {each.cause}" for each in status.pending if not each.held]
    held = [f"{quoted(each.path)}: {each.cause}" for each in status.pending if each.held]
    reading = [f"{quoted(each.path)}: {each.cause}" for each in status.unread if each.cause in PUT_OFF]
    unread = [f"{quoted(each.path)}: {each.cause}" for each in status.unread if each.cause not in PUT_OFF]
    for title, hint, found in (
        ("not recorded yet:", "'replican commit' records it, 'replican sync' does all at once", changes),
        ("with more than one version:", "'replican conflicts' lists them, 'replican resolve' settles them", conflicts),
        ("in the log, and not in the folder yet:", "the next merge, pull or sync tries again", pending),
        ("in the log, and not possible here:", "it stays there, and comes as soon as it can", held),
        ("not recorded yet, since it takes long to read:", f"the watch does it {when}", reading),
        ("cannot be read, and stands as it was recorded:", "'replican commit' records the rest", unread),
    ):
        if found:
            more = [f"  and {len(found) - shown} more"] if len(found) > shown else []
            lines += ["", title, f"  ({hint})", *[f"  {each}" for each in found[:shown]], *more]
    if len(lines) == known:
        lines.append("nothing to record: the log has all of the folder")
    return lines


def _word(changed: Any) -> str:
    word = "moved" if changed.source is not None else changed.status.removesuffix(" changed")
    return f"{word}:".ljust(12)


def _shown(changed: Any) -> str:
    slash = "/" if changed.entry.kind == b"d" else ""
    path = quoted(changed.path) + slash
    if changed.source is not None:
        return f"{quoted(changed.source)}{slash} -> {path}"
    return (
        f"{path} ({report.many(changed.files, 'file')})" if slash and changed.status != "attributes changed" else path
    )


def command(
    ctx: Context,
    porcelain: Annotated[str | None, Option("--porcelain", choices=(V1,), help="in a form for scripts")] = None,
    nul: Annotated[bool, Option("-z", help="end each path with NUL, and quote none; only with --porcelain")] = False,
    every: Annotated[bool, Option("-a", "--all", help="list all paths, however many")] = False,
) -> int | None:
    if nul and porcelain is None:
        raise UsageError("-z is for --porcelain=v1")
    told = ask_watch(ctx.root)
    status = None if told is None else told.rest
    if status is None:
        from replican.operations.looking import look_as_told

        status = look_as_told(ctx.repository(), told)
    for note in status.notes:
        ctx.say(f"replican: {note}")
    if ctx.json:
        ctx.emit(as_json(status))
    elif porcelain is not None:
        for two, path in letters(status):
            ctx.out(f"{two} ")
            ctx.path_line(path, nul=nul)
    else:
        for line in describe(status, 1 << 62 if every else 50):
            ctx.line(line)
        for problem in status.skipped[: report.MOST]:
            ctx.say(f"never recorded: {quoted(problem.path)}: {problem.cause}")
    return None
