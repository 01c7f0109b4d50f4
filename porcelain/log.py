"""Show the checkpoints, newest first.

Children come before their parents, and what is newer before what is older, by the clocks of those who recorded it.
REF says where to begin, instead of at the head. With PATH, only those checkpoints are shown that changed it, or
something below it; of merges, those that made something of it that no parent had.

Output: as git's log. With --graph or --oneline, one line each: a short id, the refs, and the message. With
--json, a list with the head first, each an object with "id", "tree", "parents", "time_ns", "author", "peer",
"message" and "kind" (user or merge); a merge has no author, peer (both null) nor message (empty). --format has the
same fields, "short", "subject", "date" and "refs" besides, as %(field); %n is a line end.

Exit codes: 0 done, also where the log is empty; 1 no such checkpoint.

    replican log -n 5
    replican log --graph
    replican log -- letters/may.txt
    replican log --format='%(short) %(author) %(subject)'
"""

from itertools import islice
from typing import TYPE_CHECKING, Annotated

from replican.plumbing import cat_log
from replican.plumbing._front.context import Context
from replican.plumbing._front.params import Argument, Option
from replican.porcelain import _past as past
from replican.values.errors import UsageError
from replican.values.ids import CheckpointId

if TYPE_CHECKING:
    from replican.operations.history import LogEntry

FIELDS = frozenset(
    ["id", "short", "tree", "parents", "time_ns", "date", "author", "peer", "message", "subject", "kind", "refs"]
)


def command(
    ctx: Context,
    where: Annotated[
        tuple[str, ...], Argument("REF|PATH", help="where to begin; what to look at", complete="ref")
    ] = (),
    number: Annotated[int | None, Option("-n", "--max-count", metavar="N", help="show no more than N")] = None,
    graph: Annotated[bool, Option("--graph", help="draw how the checkpoints come from each other")] = False,
    oneline: Annotated[bool, Option("--oneline", help="show each on one line")] = False,
    template: Annotated[str | None, Option("--format", metavar="FORMAT", help="show each as FORMAT says")] = None,
) -> int | None:
    from replican.operations.history import decorations, log
    from replican.operations.revisions import checkpoint_named

    repo = ctx.repository()
    names, paths = past.split_arguments(ctx, repo, where)
    if len(names) > 1:
        raise UsageError(f"'{names[1]}' is not a path", "write paths after '--', and one REF before it")
    if number is not None and number < 0:
        raise UsageError("-n takes a number from 0")
    if ctx.json and (graph or template is not None):
        raise UsageError("--json goes neither with --graph nor with --format")
    head = checkpoint_named(repo, names[0]) if names else repo.head
    found = islice(log(repo, head, paths), number)
    if ctx.json:
        ctx.emit_all(cat_log.as_json(entry) for entry in found)
        return None
    refs = decorations(repo)
    if head is None:
        ctx.say("the log is empty")
    if template is not None:
        show = ctx.formatter(template, FIELDS)
        for entry in found:
            ctx.out(show(fields(entry, refs)))
    elif graph:
        from replican.porcelain._graph import draw

        shown = list(found)
        there = {entry.id for entry in shown}  # a line to what is not shown would have no end
        for line in draw(
            (entry.id, [each for each in entry.checkpoint.parents if each in there], one_line(entry, refs))
            for entry in shown
        ):
            ctx.line(line)
    else:
        for at, entry in enumerate(found):
            ctx.out(f"{one_line(entry, refs)}\n" if oneline else "\n" * bool(at) + past.header(entry, refs))
    return None


def one_line(entry: "LogEntry", refs: dict[CheckpointId, list[str]]) -> str:
    return f"{entry.id.hex()[:12]}{past.names_of(refs, entry.id)} {past.subject(entry)}"


def fields(entry: "LogEntry", refs: dict[CheckpointId, list[str]]) -> dict[str, str | bytes | int]:
    author = entry.checkpoint.author
    return {
        "id": entry.id.hex(),
        "short": entry.id.hex()[:12],
        "tree": entry.checkpoint.tree.hex(),
        "parents": " ".join([parent.hex() for parent in entry.checkpoint.parents]),
        "time_ns": entry.time_ns,
        "date": past.when(entry.time_ns),
        "author": "" if author is None else author.name,
        "peer": "" if author is None else author.peer,
        "message": entry.checkpoint.message,
        "subject": past.subject(entry),
        "kind": entry.kind,
        "refs": ", ".join(refs.get(entry.id, [])),
    }
