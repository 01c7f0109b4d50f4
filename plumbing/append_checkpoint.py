"""Put a checkpoint of a tree on the log.

TREE is what write-tree printed. The checkpoint comes after the head that write-tree saw, or after ID: if the head is
another one by now, nothing is done. Where TREE is what the head has already, nothing is appended. What update-index
has seen counts as recorded from then on.

Any other tree needs --allow-pending: the folder is behind the log then, and the next merge, pull or sync brings it
there.

Output: the id of the head, new or old; nothing for an empty log. With --json, an object with "head" and "new".

Exit codes: 0 done; 1 the head or the index has changed in between, or no such tree; 3 refused by a gate, or not what
the index has seen; 7 locked.

    replican append-checkpoint -m "by hand" "$(replican write-tree)"
"""

from typing import Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.params import Argument, Option
from replican.values.errors import UsageError

FLAGS = ("--allow-pending", "--allow-mass-delete", "--allow-missing-mount")


def command(
    ctx: Context,
    tree: Annotated[str, Argument("TREE", help="what to record", complete="ref")],
    parents: Annotated[
        tuple[str, ...], Option("-p", "--parent", metavar="ID", help="what the head has to be", complete="ref")
    ] = (),
    message: Annotated[str | None, Option("-m", "--message", metavar="MSG", help="what to say of it")] = None,
    pending: Annotated[bool, Option(FLAGS[0], help="take a tree that is not what the index has seen")] = False,
    mass_delete: Annotated[bool, Option(FLAGS[1], help="though most files would be deleted")] = False,
    missing_mount: Annotated[bool, Option(FLAGS[2], help="though what was mounted in the folder is gone")] = False,
) -> int | None:
    if len(parents) > 1:
        raise UsageError("a checkpoint has one parent at most", "merges make those that have more")
    from replican.operations.revisions import checkpoint_named, tree_named
    from replican.operations.tracking import append_tree

    repo = ctx.repository()
    given = zip(FLAGS, (pending, mass_delete, missing_mount), strict=True)
    parent = checkpoint_named(repo, parents[0]) if parents else None
    allowed = frozenset(flag for flag, is_open in given if is_open)
    done = append_tree(repo, tree_named(repo, tree), parent=parent, message=message, allowed=allowed)
    if not done.new:
        ctx.say("nothing to record")
    head = None if done.head is None else done.head.hex()
    if ctx.json:
        ctx.emit({"head": head, "new": done.new})
    elif head is not None:
        ctx.line(head)
    return None
