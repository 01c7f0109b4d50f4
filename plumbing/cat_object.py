"""Print an object, its type or its size.

ID is the name of a checkpoint, a tree or a file: an id, a ref, or REF:PATH. The log holds checkpoints and directories
only; the content of a file comes from whichever store has it: the folder, the trash, or a remote's folder, and is
verified before any of it is printed.

Output: with -p, a checkpoint as it is stored, a tree as ls-tree lists it, a file's content (of a link, its target);
with -t the type: commit, tree or blob; with -s the size in bytes; with -e nothing. With --json, an object with "id",
"type" and "size", with or without -t and -s. --batch reads names from stdin, one a line, and answers each at once with
"<id> <type> <size>", the bytes of the object and a line end; or "<name> missing". --batch-check leaves out the bytes,
and may be JSON.

Exit codes: 0 done; 1 no such object, or no store that can be reached has the content; 6 the object is damaged.

    replican cat-object -p HEAD:letter.txt
    replican rev-list HEAD | replican cat-object --batch-check
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

from replican.plumbing._front import entries
from replican.plumbing._front.context import Context
from replican.plumbing._front.exits import DIFFERENT
from replican.plumbing._front.output import quoted
from replican.plumbing._front.params import Argument, Option
from replican.values.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from replican.operations.reading import BlobReader, OpenObject
    from replican.repository import Repository


def describe(found: "OpenObject") -> dict[str, Any]:
    """An object in JSON."""
    return {"id": found.id.hex(), "type": found.kind.decode(), "size": found.size}


def answers(
    repo: "Repository", reader: "BlobReader", names: Iterable[bytes]
) -> "Iterator[tuple[bytes, OpenObject | None]]":
    """Each of ``names`` with its object, open until the next; None for what is missing."""
    from replican.operations.reading import open_object

    for name in names:
        try:
            found = open_object(repo, reader, name.decode("utf-8", "surrogateescape"))
        except (NotFoundError, UsageError):
            yield name, None
            continue
        with found:
            yield name, found


def command(
    ctx: Context,
    name: Annotated[str | None, Argument("ID", help="the object", complete="ref")] = None,
    show_type: Annotated[bool, Option("-t", help="print the type")] = False,
    show_size: Annotated[bool, Option("-s", help="print the size")] = False,
    pretty: Annotated[bool, Option("-p", help="print the object")] = False,
    exists: Annotated[bool, Option("-e", help="only tell, by the exit code, whether it is there and whole")] = False,
    batch: Annotated[bool, Option("--batch", help="print the objects that stdin names")] = False,
    batch_check: Annotated[bool, Option("--batch-check", help="print types and sizes of what stdin names")] = False,
    nul: Annotated[bool, Option("-z", help="with --batch: names end in NUL, and are not quoted")] = False,
) -> int | None:
    asked = show_type + show_size + pretty + exists + batch + batch_check
    if asked > 1 or not (asked or (ctx.json and name is not None)):
        raise UsageError("give one of -t, -s, -p, -e, --batch and --batch-check", "with --json, an ID does alone")
    if (name is None) != (batch or batch_check):
        raise UsageError("--batch takes names from stdin only" if name else "name an object", "-h tells more")
    if nul and name is not None:
        raise UsageError("-z says how --batch reads stdin, and is of no use without")
    if ctx.json and batch:
        raise UsageError("the bytes of objects are no JSON", "--batch-check can be")
    from replican.operations.reading import BlobReader, look_at, open_object

    repo = ctx.repository()
    with BlobReader(repo) as reader:
        if name is None:
            _batch(ctx, answers(repo, reader, ctx.stdin_names(nul=nul)), bodies=batch)
        elif exists:
            try:
                open_object(repo, reader, name).close()
            except NotFoundError:
                return DIFFERENT
        elif pretty:
            with open_object(repo, reader, name) as found:
                _print(ctx, repo, found)
        else:
            kind, id, size = look_at(repo, reader, name)
            if ctx.json:
                ctx.emit({"id": id.hex(), "type": kind.decode(), "size": size})
            else:
                ctx.line(kind.decode() if show_type else str(size))
    return None


def _print(ctx: Context, repo: "Repository", found: "OpenObject") -> None:
    from replican.effects.forms import CHECKPOINT, TREE

    if ctx.json:
        ctx.emit(describe(found))
    elif found.kind == TREE:
        entries.show(ctx, ((entry.name, entry) for entry in repo.tree(found.tree)))
    elif found.kind == CHECKPOINT:
        text = b"".join(found.chunks()).decode()
        ctx.out(text if text.endswith("\n") else f"{text}\n")
    else:
        for chunk in found.chunks():
            ctx.out(chunk)


def _batch(ctx: Context, found: "Iterator[tuple[bytes, OpenObject | None]]", *, bodies: bool) -> None:
    if ctx.json:
        ctx.emit_all({"name": name.decode("utf-8", "surrogateescape"), **_state(one)} for name, one in found)
        return
    for name, one in found:
        if one is None:
            # a name with a line end in it would be two answers
            ctx.line(f"{quoted(name)} missing" if b"\n" in name else name + b" missing")
        else:
            ctx.line(f"{one.id.hex()} {one.kind.decode()} {one.size}")
            if bodies:
                for chunk in one.chunks():
                    ctx.out(chunk)
                ctx.out(b"\n")
        ctx.flush()


def _state(found: "OpenObject | None") -> dict[str, Any]:
    return {"missing": True} if found is None else describe(found)
