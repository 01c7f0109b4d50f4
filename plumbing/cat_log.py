"""List the log, one line for each checkpoint.

REF says where to begin, instead of at the head. Children come before their parents, then the newest first. With
--since, checkpoints that ID comes from, and ID itself, are left out. Paths after "--", relative to the root of the
folder, leave only those checkpoints that changed one of them, or something below it.

Output: "<id> <kind> <time in ns> <author>", a tab, and the first line of the message. The kind is user or merge; a
merge has the time of the newest of its parents, and "-" for an author. --format has %(id), %(tree), %(parents),
%(time_ns), %(date) (in UTC), %(author), %(peer), %(message), %(subject) and %(kind). With --json, a list of objects
with "id", "tree", "parents", "time_ns", "author", "peer", "message" and "kind".

Exit codes: 0 done, also where the log is empty; 1 no such checkpoint.

    replican cat-log -n 10
    replican cat-log --since HEAD@{yesterday} --format='%(id) %(subject)'
    replican cat-log origin/head -- letters/may.txt
"""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from replican.plumbing._front.context import Context, plumbing_path
from replican.plumbing._front.params import Argument, Option
from replican.values.errors import UsageError
from replican.values.ids import CheckpointId

if TYPE_CHECKING:
    from replican.operations.history import LogEntry
    from replican.repository import Repository

FIELDS = ("id", "tree", "parents", "time_ns", "date", "author", "peer", "message", "subject", "kind")


def entries_since(
    repo: "Repository", head: CheckpointId | None, since: CheckpointId | None, paths: tuple[bytes, ...] = ()
) -> "Iterator[LogEntry]":
    """The log from ``head`` on, without ``since`` and what it comes from."""
    from replican.operations.history import log

    if head is None or since is None:
        yield from log(repo, head, paths)
        return
    left = repo.graph.reachable([head], [since])
    for entry in log(repo, head, paths) if left else ():
        if entry.id in left:
            yield entry
            left.discard(entry.id)
            if not left:
                return


def subject(entry: "LogEntry") -> str:
    """A checkpoint in a line."""
    if entry.checkpoint.is_merge:
        return f"merge of {len(entry.checkpoint.parents)}"
    return entry.checkpoint.message.strip().partition("\n")[0]


def as_json(entry: "LogEntry") -> dict[str, Any]:
    """A checkpoint in JSON, as scripts rely on it. A merge has no author, no peer and no message."""
    checkpoint, author = entry.checkpoint, entry.checkpoint.author
    return {
        "id": entry.id.hex(),
        "tree": checkpoint.tree.hex(),
        "parents": [parent.hex() for parent in checkpoint.parents],
        "time_ns": entry.time_ns,
        "author": None if author is None else author.name,
        "peer": None if author is None else author.peer,
        "message": checkpoint.message,
        "kind": entry.kind,
    }


def fields(entry: "LogEntry") -> dict[str, str | bytes | int]:
    """A checkpoint for ``--format``."""
    from replican.values.dates import iso_date

    shown = as_json(entry)
    parents = " ".join(shown["parents"])
    texts = {name: shown[name] or "" for name in ("author", "peer")}
    return {**shown, **texts, "parents": parents, "date": iso_date(entry.time_ns), "subject": subject(entry)}


def command(
    ctx: Context,
    words: Annotated[tuple[str, ...], Argument("REF", help="where to begin; after --, paths", complete="ref")] = (),
    number: Annotated[int | None, Option("-n", "--max-count", metavar="N", help="list no more than N")] = None,
    since: Annotated[
        str | None, Option("--since", metavar="ID", help="leave out ID and what it comes from", complete="ref")
    ] = None,
    template: Annotated[str | None, Option("--format", metavar="FORMAT", help="print each as FORMAT says")] = None,
    nul: Annotated[bool, Option("-z", help="end each with NUL")] = False,
) -> int | None:
    from replican.operations.revisions import checkpoint_named

    at = len(words) - ctx.after_dashes
    names, paths = words[:at], tuple([plumbing_path(word) for word in words[at:]])
    if len(names) > 1:
        raise UsageError("more than one REF", "paths come after '--'")
    if number is not None and number < 0:
        raise UsageError("-n takes a number from 0")
    if ctx.json and template is not None:
        raise UsageError("--json and --format do not go together")
    repo = ctx.repository()
    head = checkpoint_named(repo, names[0]) if names else repo.head
    before = None if since is None else checkpoint_named(repo, since)
    found = islice(entries_since(repo, head, before, paths), number)
    if ctx.json:
        ctx.emit_all(as_json(entry) for entry in found)
        return None
    if template is not None:
        show = ctx.formatter(template, FIELDS, nul=nul)
        for entry in found:
            ctx.out(show(fields(entry)))
        return None
    for entry in found:
        author = entry.checkpoint.author
        who = "-" if author is None else author.name
        ctx.line(f"{entry.id.hex()} {entry.kind} {entry.time_ns} {who}\t{subject(entry)}", b"\0" if nul else b"\n")
    return None
