"""Find the common ancestors of checkpoints.

Prints a best common ancestor of A and B: one that both come from, and that no other such one comes from. There may be
several; a merge takes all of them into account.

Output: one id; with --all, every best common ancestor, one a line, sorted. With --json, a list of ids; with
--is-ancestor, an object with "is_ancestor".

Exit codes: 0 done; 1 there is none, or with --is-ancestor, B does not come from A.

    replican merge-base HEAD origin/head
    replican merge-base --is-ancestor origin/head HEAD && echo nothing to merge
"""

from typing import Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.exits import DIFFERENT
from replican.plumbing._front.params import Argument, Option
from replican.values.errors import UsageError


def command(
    ctx: Context,
    one: Annotated[str, Argument("A", help="the one checkpoint", complete="ref")],
    other: Annotated[str, Argument("B", help="the other checkpoint", complete="ref")],
    every: Annotated[bool, Option("--all", help="print all of them")] = False,
    is_ancestor: Annotated[
        bool, Option("--is-ancestor", help="only tell, by the exit code, if B comes from A")
    ] = False,
) -> int | None:
    from replican.operations.revisions import checkpoint_named

    if every and is_ancestor:
        raise UsageError("--all and --is-ancestor do not go together")
    repo = ctx.repository()
    left, right = checkpoint_named(repo, one), checkpoint_named(repo, other)
    if is_ancestor:
        answer = repo.graph.is_ancestor(left, right)
        if ctx.json:
            ctx.emit({"is_ancestor": answer})
        return None if answer else DIFFERENT
    found = sorted(repo.graph.merge_base(left, right))
    shown = [id.hex() for id in found[: None if every else 1]]
    if ctx.json:
        ctx.emit_all(shown)
    else:
        for id in shown:
            ctx.line(id)
    return None if found else DIFFERENT
