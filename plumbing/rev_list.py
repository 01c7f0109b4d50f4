"""List the ids of checkpoints.

What the REFs come from is listed, with themselves, and what ^REF comes from is left out. A..B is short for ^A B;
A...B means what only one of both comes from. Children come before their parents, then the newest first.

Output: one id a line; with --parents, the ids of the parents follow it. With --objects, the trees of these
checkpoints follow, each once: its id, a space, and a path where it lies, quoted where that is needed. With --count,
only how many checkpoints there are. With --json, a list of objects with "id" and "parents"; with --count, an object
with "count".

Exit codes: 0 done; 1 no such checkpoint.

    replican rev-list --count origin/head..HEAD
    replican rev-list --objects HEAD | replican pack-objects /tmp
"""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.output import quoted
from replican.plumbing._front.params import Argument, Option
from replican.values.errors import UsageError
from replican.values.ids import CheckpointId

if TYPE_CHECKING:
    from replican.repository import Repository


def command(
    ctx: Context,
    refs: Annotated[tuple[str, ...], Argument("REF", help="where to begin, or with ^ what to leave out")] = (),
    every: Annotated[bool, Option("--all", help="begin at every ref, too")] = False,
    number: Annotated[int | None, Option("-n", "--max-count", metavar="N", help="list no more than N")] = None,
    count: Annotated[bool, Option("--count", help="print only how many there are")] = False,
    parents: Annotated[bool, Option("--parents", help="print the parents of each, too")] = False,
    backwards: Annotated[bool, Option("--reverse", help="list the oldest first")] = False,
    objects: Annotated[bool, Option("--objects", help="list the trees, too")] = False,
) -> int | None:
    from replican.operations import walking

    if not (refs or every):
        raise UsageError("no REF", "name where to begin, as HEAD, or give --all")
    if number is not None and number < 0:
        raise UsageError("-n takes a number from 0")
    if objects and (ctx.json or count or parents):
        raise UsageError("--objects goes neither with --json nor with --count or --parents")
    repo = ctx.repository()
    wanted = walking.parse_range(repo, refs)
    if every:
        wanted.heads.extend(walking.all_heads(repo))
    found: Iterator[CheckpointId] = islice(walking.walk(repo, wanted), number)
    if count:
        many = sum(1 for _ in found)
        if ctx.json:
            ctx.emit({"count": many})
        else:
            ctx.line(str(many))
        return None
    if backwards or objects:
        listed = list(found)
        found = iter(listed[::-1] if backwards else listed)
    if ctx.json:
        ctx.emit_all({"id": id.hex(), "parents": _parents(repo, id)} for id in found)
        return None
    for id in found:
        ctx.line(" ".join([id.hex(), *(_parents(repo, id) if parents else ())]))
    if objects:
        for tree, path in walking.trees_of(repo, listed, wanted.without):
            ctx.line(f"{tree.hex()} {quoted(path)}")
    return None


def _parents(repo: "Repository", checkpoint: CheckpointId) -> list[str]:
    return [parent.hex() for parent in repo.graph.parents(checkpoint)]
