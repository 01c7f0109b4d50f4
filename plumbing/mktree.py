"""Make a tree of a listing, and print its id.

The listing comes from stdin, as "replican ls-tree" prints it (without -r): one entry a line, "<kind><permissions>
<type> <id> <size> <mtime in ns>", a tab and the name. It need not be sorted. Directories that it names must be on the
log; blobs, which the log never has, are taken as they are told.

Output: the id of the tree. With --json, an object with "id".

Exit codes: 0 done; 1 a directory in it is not there; 2 a malformed listing, of which nothing is stored.

    replican ls-tree HEAD | grep -v secret.txt | replican mktree
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

from replican.plumbing._front import entries
from replican.plumbing._front.context import Context
from replican.plumbing._front.output import quoted
from replican.plumbing._front.params import Option
from replican.values.errors import NotFoundError, UsageError
from replican.values.ids import EMPTY_TREE, TreeId, tree_id
from replican.values.names import is_tree_name
from replican.values.trees import DIRECTORY, Entry, encode_tree

if TYPE_CHECKING:
    from replican.repository import Repository


def make_tree(repo: "Repository", listing: Iterable[Entry]) -> TreeId:
    """Store the tree of a listing in any order, and return its id.

    Raises ``UsageError`` for names that a tree cannot have, or has twice; ``NotFoundError`` for an unknown directory.
    """
    from replican.effects.forms import TREE

    found: dict[bytes, Entry] = {}
    for entry in listing:
        if not is_tree_name(entry.name):
            raise UsageError(f"not a name that a tree can hold: {quoted(entry.name)}")
        if found.setdefault(entry.name, entry) is not entry:
            raise UsageError(f"a name that is twice there: {quoted(entry.name)}")
        if entry.kind == DIRECTORY and entry.id != EMPTY_TREE:
            try:
                repo.objects.tree(entry.tree)
            except NotFoundError:
                raise NotFoundError(
                    f"no tree {entry.id.hex()} for {quoted(entry.name)}", "make that one first"
                ) from None
    payload = encode_tree([entry for _, entry in sorted(found.items())])
    made = tree_id(payload)
    with repo.writing("mktree"):
        repo.objects.add({made: (TREE, payload)})
    return made


def command(
    ctx: Context,
    nul: Annotated[bool, Option("-z", help="lines end in NUL, and names are not quoted")] = False,
) -> int | None:
    listing = []
    for number, text in enumerate(ctx.stdin_lines(nul=nul), 1):
        try:
            listing.append(entries.parse_line(text, quotes=not nul))
        except UsageError as error:
            raise UsageError(f"line {number}: {error.message}", "as 'replican ls-tree' prints them") from None
    made = make_tree(ctx.repository(), listing)
    if ctx.json:
        ctx.emit({"id": made.hex()})
    else:
        ctx.line(made.hex())
    return None
