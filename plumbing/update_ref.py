"""Move a ref.

REF is head, or NAME/head for what is known of a remote's head; ID is a checkpoint on the log. With OLD, the ref is
only moved if it is there; an OLD of zeros, or an empty one, means that there must be no such ref yet. With -d, the
ref is deleted.

The head only goes forward: to a checkpoint that comes from it. The folder is brought there by the next merge, pull or
sync, so the same gates stand before it as before a merge. A damaged ref can be set to anything.

Output: none. With --json, an object with "ref" and "id" (null when deleted).

Exit codes: 0 done; 1 the ref is not at OLD, or no such checkpoint or ref; 2 not the name of a ref; 3 refused; 7
locked.

    replican update-ref origin/head "$(replican rev-parse HEAD)"
    replican update-ref -d old/head
"""

from typing import Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.params import Argument, Option
from replican.values.errors import NotFoundError, UsageError
from replican.values.ids import HEX_SIZE

MASS_DELETE = "--allow-mass-delete"


def command(
    ctx: Context,
    ref: Annotated[str, Argument("REF", help="what to move", complete="ref")],
    new: Annotated[str | None, Argument("ID", help="where to; with -d, this is OLD", complete="ref")] = None,
    old: Annotated[str | None, Argument("OLD", help="where it has to be", complete="ref")] = None,
    delete: Annotated[bool, Option("-d", help="delete it")] = False,
    reason: Annotated[str, Option("-m", metavar="REASON", help="what its reflog shall say")] = "update-ref",
    mass_delete: Annotated[bool, Option(MASS_DELETE, help="though most files of the folder would go")] = False,
) -> int | None:
    from replican.effects.refs import ANY, Expected
    from replican.operations.moving_refs import delete_ref, move_ref
    from replican.operations.revisions import checkpoint_named, whole_ref_name

    if delete:
        if old is not None:
            raise UsageError("-d takes no ID, only OLD")
        new, old = None, new
    elif new is None:
        raise UsageError("no ID to move it to")
    repo = ctx.repository()
    name = whole_ref_name(ref)
    expected: Expected = ANY
    if old is not None:
        expected = None if old in ("", "0" * HEX_SIZE) else checkpoint_named(repo, old)
    if new is not None:
        to = checkpoint_named(repo, new)
        allowed = frozenset([MASS_DELETE] if mass_delete else [])
        move_ref(repo, name, to, expected, reason=reason, allowed=allowed)
    elif repo.refs.read(name) is None:
        raise NotFoundError(f"no such ref: '{name}'")
    else:
        delete_ref(repo, name, expected)
    if ctx.json:
        ctx.emit({"ref": name, "id": None if new is None else to.hex()})
    return None
