"""Tell which id a name means, and where the folder is.

A NAME is a ref (HEAD, origin/head, or origin for short), a whole or abbreviated id, or where a ref was before
(HEAD@{1} is one move ago, HEAD@{2026-11-20 14:00} or HEAD@{2.hours.ago} at that time, in this folder's own past).
After it may stand ~N (N steps back), ^ (one step), ^N (the Nth parent of a merge, in the order of ids), ^{tree}, and
:PATH (a file or directory in it). At a merge, ~ and ^ fail and name the parents.

Output: one id a line. With --show-root, the folder's root, as it is. With --is-inside, true or false. With --json, a
list of objects with "name", "id" and "type" (commit, tree, blob, or null where that cannot be told); {"root"};
{"inside"}.

Exit codes: 0 done; 1 no such name, or it means several, or --is-inside is false; 2 usage; 8 no repository.

    replican rev-parse --short HEAD
    cd "$(replican rev-parse --show-root)"
"""

import os
from typing import TYPE_CHECKING, Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.exits import DIFFERENT
from replican.plumbing._front.params import Argument, Option
from replican.values.errors import NoRepositoryError, NotFoundError, UsageError

if TYPE_CHECKING:
    from replican.operations.revisions import Named
    from replican.repository import Repository


def verified(repo: "Repository", name: str) -> "Named":
    """What ``name`` means, and that it is there: on the log, or a file in a tree on it; raises ``NotFoundError``."""
    from replican.operations.revisions import resolve
    from replican.values.ids import EMPTY_TREE

    found = resolve(repo, name)
    if found.entry is None and found.id != EMPTY_TREE and not repo.objects.has(found.id):
        raise NotFoundError(f"no object '{name}' on the log")
    return found


def command(
    ctx: Context,
    names: Annotated[tuple[str, ...], Argument("NAME", help="what to look up", complete="ref")] = (),
    verify: Annotated[bool, Option("--verify", help="one NAME, whose object must be there")] = False,
    short: Annotated[bool, Option("--short", help="print the fewest digits that mean no other object")] = False,
    show_root: Annotated[bool, Option("--show-root", help="print the root of the folder")] = False,
    is_inside: Annotated[bool, Option("--is-inside", help="tell whether this is inside a replica")] = False,
) -> int | None:
    if show_root + is_inside + bool(names) != 1 or ((verify or short) and not names):
        raise UsageError("give names, or one of --show-root and --is-inside", "'replican rev-parse -h' tells more")
    if is_inside:
        return _tell_inside(ctx)
    repo = ctx.repository()
    if show_root:
        if ctx.json:
            ctx.emit({"root": repo.root})
        else:
            ctx.line(os.fsencode(repo.root))
        return None
    if verify and len(names) != 1:
        raise UsageError("--verify takes one NAME")
    from replican.operations.revisions import resolve, shorten

    try:
        found = [(name, verified(repo, name) if verify else resolve(repo, name)) for name in names]
    except NotFoundError:
        if verify and ctx.quiet:
            return DIFFERENT
        raise
    shown = [(name, shorten(repo, named.id) if short else named.id.hex(), named.kind) for name, named in found]
    if ctx.json:
        ctx.emit_all({"name": name, "id": id, "type": kind and kind.decode()} for name, id, kind in shown)
    else:
        for _, id, _ in shown:
            ctx.line(id)
    return None


def _tell_inside(ctx: Context) -> int:
    try:
        ctx.repository()
        inside = True
    except NoRepositoryError:
        inside = False
    if ctx.json:
        ctx.emit({"inside": inside})
    else:
        ctx.line("true" if inside else "false")
    return 0 if inside else DIFFERENT
