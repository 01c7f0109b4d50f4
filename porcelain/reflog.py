"""Show where the head of this folder has been.

Each line is a move of a ref, the newest first; HEAD@{n} names where it was n moves ago, and can be used wherever a
checkpoint is asked for. REF is HEAD if not given; another is a remote's head as this folder has seen it.

Output: a short id, the name, the time and the reason. With --json, a list of objects with "ref", "number", "old"
(null where it began), "new", "who", "time" (in seconds since 1970, by this folder's clock) and "reason".

Exit codes: 0 done, also where nothing has happened yet; 1 no such ref.

    replican reflog
    replican reflog origin/head -n 5
"""

from itertools import islice
from typing import TYPE_CHECKING, Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.params import Argument, Option
from replican.porcelain import _past as past
from replican.values.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from replican.repository import Repository


def command(
    ctx: Context,
    ref: Annotated[str, Argument("REF", help="whose moves to show", complete="ref")] = "HEAD",
    number: Annotated[int | None, Option("-n", "--max-count", metavar="N", help="show no more than N")] = None,
) -> int | None:
    from replican.operations.history import moves

    if number is not None and number < 0:
        raise UsageError("-n takes a number from 0")
    repo = ctx.repository()
    name = known_ref(repo, ref)
    shown = "HEAD" if name == "head" else name.partition("/")[2]
    found = islice(moves(repo, name), number)
    if ctx.json:
        ctx.emit_all(
            {
                "ref": name,
                "number": move.number,
                "old": None if move.entry.old is None else move.entry.old.hex(),
                "new": None if move.entry.new is None else move.entry.new.hex(),
                "who": move.entry.who,
                "time": move.entry.time,
                "reason": move.entry.reason,
            }
            for move in found
        )
        return None
    for move in found:
        at = "0" * 12 if move.entry.new is None else move.entry.new.hex()[:12]
        ctx.line(f"{at} {shown}@{{{move.number}}} {past.when(move.entry.time * 1_000_000_000)}: {move.entry.reason}")
    return None


def known_ref(repo: "Repository", word: str) -> str:
    """The ref that ``word`` means, if it is there or has been."""
    from replican.operations.revisions import ref_named

    named = ref_named(word)
    for name in named:
        if name == "head" or repo.refs.reflog(name) or repo.refs.read(name) is not None:
            return name
    raise NotFoundError(f"no such ref: '{word}'", "`replican show-ref` lists those that there are")
