"""List a tree.

TREE is a tree, a checkpoint, or a directory as in "HEAD:photos". Names are those within that tree, sorted by their
bytes. With -r, what is below directories is listed instead of these; an empty directory is listed itself, since
nothing else would tell of it. With -t, all directories are.

Output: a line for each entry, "<kind><permissions> <type> <id> <size> <mtime in ns>", a tab, and the path, quoted
where that is needed. The kind is f (file), d (directory) or l (link); the type is blob or tree. mktree reads these
lines. With -z, lines end in NUL and nothing is quoted. --format has %(path), %(name), %(kind), %(mode), %(type),
%(id), %(size) and %(mtime_ns). With --json, a list of objects with "path", "kind" (file, directory or link), "mode",
"id", "size" and "mtime_ns".

Exit codes: 0 done; 1 no such tree.

    replican ls-tree -r HEAD
    replican ls-tree -rz --name-only HEAD:photos | xargs -0 -n1 echo
"""

from collections.abc import Iterator
from typing import Annotated

from replican.decisions.treediff import walk_tree
from replican.operations.revisions import tree_named
from replican.plumbing._front import entries
from replican.plumbing._front.context import Context
from replican.plumbing._front.params import Argument, Option
from replican.values.ids import EMPTY_TREE, TreeId
from replican.values.trees import DIRECTORY, Entry, TreeReader


def list_tree(
    reader: TreeReader, tree: TreeId, *, recursive: bool = False, directories: bool = False
) -> Iterator[tuple[bytes, Entry]]:
    """The entries of ``tree`` with their paths in it; ``recursive`` lists what is below directories, not these."""
    if not recursive:
        for entry in reader.tree(tree):
            yield entry.name, entry
        return
    for path, entry in walk_tree(reader, tree):
        if directories or entry.kind != DIRECTORY or entry.id == EMPTY_TREE:
            yield path, entry


def command(
    ctx: Context,
    tree: Annotated[str, Argument("TREE", help="what to list", complete="ref")],
    recursive: Annotated[bool, Option("-r", help="list what is below directories")] = False,
    directories: Annotated[bool, Option("-t", help="with -r, list the directories, too")] = False,
    nul: Annotated[bool, Option("-z", help="end lines with NUL, and quote nothing")] = False,
    name_only: Annotated[bool, Option("--name-only", help="list only the names")] = False,
    template: Annotated[str | None, Option("--format", metavar="FORMAT", help="print each as FORMAT says")] = None,
) -> int | None:
    repo = ctx.repository()
    found = list_tree(repo, tree_named(repo, tree), recursive=recursive, directories=directories)
    entries.show(ctx, found, nul=nul, names_only=name_only, template=template)
    return None
