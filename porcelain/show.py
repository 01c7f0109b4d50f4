"""Show a checkpoint, a directory or a file.

A checkpoint is shown with what it changed; a merge with what none of its parents had, which is its conflict copies
mostly. A tree, or REF:PATH of a directory, is listed. REF:PATH of a file, or a blob's id, is its content: from the
folder itself, the trash, or a remote, whichever has it; it is verified before it is written. Without NAME, the head
is shown.

Output: text; a directory has a line for each entry, of kind, permissions, size, time and name; a file's content is
written as it is. With --json, an object: a checkpoint as "replican log --json" has it, with "changes" as "replican
diff --json" has them; a tree with "id" and "entries"; a file with "kind", "id", "mode", "size" and "mtime_ns" (the
last and "mode" null for a bare id).

Exit codes: 0 done; 1 no such object, or no store that can be reached has the content.

    replican show
    replican show HEAD@{1}:letters
    replican show origin/head:letters/may.txt > may.txt
"""

from typing import TYPE_CHECKING, Annotated

from replican.plumbing import cat_log
from replican.plumbing._front.context import Context
from replican.plumbing._front.output import json_path, quoted
from replican.plumbing._front.params import Argument
from replican.porcelain import _past as past
from replican.values.ids import CheckpointId, TreeId
from replican.values.trees import DIRECTORY, Entry

if TYPE_CHECKING:
    from replican.repository import Repository


def command(
    ctx: Context,
    name: Annotated[
        str, Argument("NAME", help="a checkpoint, a tree, REF:PATH, or a blob's id", complete="ref")
    ] = "HEAD",
) -> int | None:
    from replican.effects.forms import CHECKPOINT, TREE
    from replican.operations.reading import named_object

    repo = ctx.repository()
    found = named_object(repo, name)
    if found.kind == CHECKPOINT:
        show_checkpoint(ctx, repo, CheckpointId(found.id))
    elif found.kind == TREE:
        show_tree(ctx, repo, TreeId(found.id))
    else:
        show_file(ctx, repo, name, found.entry)
    return None


def show_checkpoint(ctx: Context, repo: "Repository", checkpoint: CheckpointId) -> None:
    from replican.operations.history import changed_by, decorations, entry_of

    entry = entry_of(repo, checkpoint)
    changes = changed_by(repo, checkpoint)
    if ctx.json:
        ctx.emit({**cat_log.as_json(entry), "changes": [past.json_change(each) for each in changes]})
        return
    ctx.out(past.header(entry, decorations(repo)))
    if changes:
        ctx.line("")
    for each in changes:
        ctx.line(past.change_line(each))


def show_tree(ctx: Context, repo: "Repository", tree: TreeId) -> None:
    entries = repo.tree(tree)
    if ctx.json:
        ctx.emit(
            {
                "id": tree.hex(),
                "entries": [{**json_path(each.name, "name"), **past.json_entry(each)} for each in entries],
            }
        )
        return
    for each in entries:
        name = quoted(each.name) + ("/" if each.kind == DIRECTORY else "")
        time = "" if each.kind == DIRECTORY else past.when(each.mtime_ns)
        ctx.line(f"{each.kind.decode()} {each.perm:04o} {each.size:>12} {time:<31} {name}")


def show_file(ctx: Context, repo: "Repository", name: str, entry: Entry | None) -> None:
    from replican.operations.reading import BlobReader, open_object

    if ctx.json and entry is not None:
        ctx.emit(past.json_entry(entry))
        return
    with BlobReader(repo) as reader, open_object(repo, reader, name) as found:
        if ctx.json:
            ctx.emit({"kind": "file", "id": found.id.hex(), "mode": None, "size": found.size, "mtime_ns": None})
            return
        for piece in found.chunks():
            ctx.out(piece)
