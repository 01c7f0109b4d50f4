"""List refs.

A ref is a name for a checkpoint: "head" is this folder's, "remotes/NAME/head" what a remote's was when last seen.
With NAMEs, only those refs are listed whose last parts they are, as "origin/head"; with --verify, they are whole
names.

Output: "<id> <ref>", sorted by name. --format has %(id) and %(ref). With --json, a list of objects with "ref" and
"id".

Exit codes: 0 done; 1 there is none, or with --verify one of them is not there; 6 a ref is damaged (the others are
listed).

    replican show-ref
    replican show-ref --verify --format='%(id)' head
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.exits import DIFFERENT
from replican.plumbing._front.params import Argument, Option
from replican.values.errors import DamagedError, NotFoundError, UsageError
from replican.values.ids import CheckpointId

if TYPE_CHECKING:
    from replican.repository import Repository


def refs(
    repo: "Repository", names: tuple[str, ...] = (), *, whole: bool = False
) -> Iterator[tuple[str, CheckpointId | DamagedError]]:
    """The refs that ``names`` mean (all, if there are none), and where they are.

    ``whole`` names raise ``NotFoundError`` where there is no such ref.
    """
    from replican.operations.revisions import whole_ref_name

    if whole:
        wanted = [whole_ref_name(name) for name in names]
    else:
        ends = [name.removeprefix("refs/").replace("HEAD", "head") for name in names]
        there = repo.refs.names()
        wanted = [ref for ref in there if not ends or any(f"/{ref}".endswith(f"/{end}") for end in ends)]
    for ref in wanted:
        try:
            found = repo.refs.read(ref)
        except DamagedError as error:
            yield ref, error
            continue
        if found is not None:
            yield ref, found
        elif whole:
            raise NotFoundError(f"no such ref: '{ref}'")


def command(
    ctx: Context,
    names: Annotated[tuple[str, ...], Argument("NAME", help="list only these", complete="ref")] = (),
    verify: Annotated[bool, Option("--verify", help="NAMEs are whole, and must be there")] = False,
    template: Annotated[str | None, Option("--format", metavar="FORMAT", help="print each as FORMAT says")] = None,
) -> int | None:
    if verify and not names:
        raise UsageError("--verify needs a NAME")
    if ctx.json and template is not None:
        raise UsageError("--json and --format do not go together")
    show = None if template is None else ctx.formatter(template, ("id", "ref"))
    damage: DamagedError | None = None
    found: list[tuple[str, str]] = []
    try:
        for ref, at in refs(ctx.repository(), names, whole=verify):
            if isinstance(at, DamagedError):
                damage = at
            else:
                found.append((ref, at.hex()))
    except NotFoundError:
        if ctx.quiet:
            return DIFFERENT
        raise
    if ctx.json:
        ctx.emit_all({"ref": ref, "id": id} for ref, id in found)
    else:
        for ref, id in found:
            if show is None:
                ctx.line(f"{id} {ref}")
            else:
                ctx.out(show({"ref": ref, "id": id}))
    if damage is not None:
        raise damage
    return None if found else DIFFERENT
