"""Write objects into a pack.

The names of checkpoints and trees come from stdin, one a line; what follows a space is not looked at, so that the
output of "rev-list --objects" can be piped in. With --all, the pack has everything that the refs reach, and stdin is
not read. The pack, with its index, goes into DIR; without DIR it is added to the log's own store, where "replican gc"
does more.

A pack has git's format, version 2, with SHA-256 ids.

Output: the name of the pack, as "pack-<checksum>"; nothing where there is nothing to pack. With --json, an object
with "pack" (or null) and "objects", how many it has.

Exit codes: 0 done; 1 no such object; 6 an object is damaged, and nothing is written; 7 locked.

    replican rev-list --objects HEAD | replican pack-objects /tmp
"""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.params import Argument, Option
from replican.values.errors import FolderError, NotFoundError, UsageError
from replican.values.ids import EMPTY_TREE

if TYPE_CHECKING:
    from replican.repository import Repository


def everything(repo: "Repository") -> list[bytes]:
    """The ids of all objects that the refs reach."""
    from replican.operations import walking

    found = list(walking.walk(repo, walking.Range(walking.all_heads(repo), [])))
    return [*found, *(tree for tree, _ in walking.trees_of(repo, found))]


def named(repo: "Repository", lines: Iterable[bytes]) -> list[bytes]:
    """The ids of the objects that ``lines`` name; raises ``NotFoundError``."""
    from replican.effects.forms import BLOB
    from replican.operations.revisions import resolve

    found: dict[bytes, None] = {}
    for line in lines:
        name = line.partition(b" ")[0].decode("utf-8", "surrogateescape")
        if name:
            object_ = resolve(repo, name)
            if object_.kind in (None, BLOB):
                raise NotFoundError(f"no object '{name}' on the log", "the log holds no content of files")
            if object_.id != EMPTY_TREE or repo.objects.has(EMPTY_TREE):
                found[object_.id] = None
    return list(found)


def pack(repo: "Repository", ids: Iterable[bytes], directory: str) -> str:
    """Write the objects into a pack in ``directory``; its name."""
    from replican.effects.packs import write_pack

    wanted = sorted(ids)
    base = write_pack(directory, ((id, *repo.objects.read(id)) for id in wanted), len(wanted))
    return os.path.basename(base)


def command(
    ctx: Context,
    directory: Annotated[str | None, Argument("DIR", help="where to write the pack", complete="directory")] = None,
    every: Annotated[bool, Option("--all", help="pack all that the refs reach")] = False,
) -> int | None:
    repo = ctx.repository()
    if directory is not None and not os.path.isdir(directory):
        raise UsageError(f"no such folder: '{directory}'")
    ids = everything(repo) if every else named(repo, ctx.stdin_lines())
    made: str | None = None
    if ids:
        try:
            if directory is None:
                directory = os.path.join(repo.objects.path, "pack")
                with repo.writing("pack-objects"):
                    os.makedirs(directory, mode=0o700, exist_ok=True)
                    made = pack(repo, ids, directory)
            else:
                made = pack(repo, ids, directory)
        except PermissionError as error:
            raise FolderError(f"cannot write to '{directory}': permission denied") from error
    if ctx.json:
        ctx.emit({"pack": made, "objects": len(ids)})
    elif made is not None:
        ctx.line(made)
    return None
