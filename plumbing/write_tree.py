"""Make a tree of what the index has seen, and print its id.

It is the tree that a commit would record: what update-index has seen of the folder, joined with those paths of the
head that have not reached the disk yet. It is stored on the log, but no checkpoint is made of it; append-checkpoint
does that, and only if the head is then still the one that this command saw.

Output: the id of the tree. With --json, an object with "id".

Exit codes: 0 done; 7 locked.

    replican diff-tree HEAD "$(replican write-tree)"
"""

from replican.plumbing._front.context import Context


def command(ctx: Context) -> int | None:
    from replican.operations.tracking import write_tree

    made = write_tree(ctx.repository())
    if ctx.json:
        ctx.emit({"id": made.hex()})
    else:
        ctx.line(made.hex())
    return None
