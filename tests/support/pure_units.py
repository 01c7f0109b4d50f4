"""Units of peers in memory: what a look at the disk takes as one has one token, which says all that it holds.

So it is written, dropped, fought for and moved as a file is, and what a merge makes of it has to be what some user had
in front of them, never a mixture. Only the trees have it as a directory: ``a@5=t1;d/b@3=t2`` are two files.
"""

from collections.abc import Iterable

from tiny_trees import SECOND, MemoryTrees

from replican.decisions.treediff import walk_tree
from replican.values.ids import TreeId
from replican.values.trees import DIRECTORY, FILE, Entry

UNIT = b"u"
"""The kind of a unit's node. Its ``perm`` is as an entry has it, its ``mtime`` 0."""

Files = dict[str, tuple[int, str]]
"""Of each file in a unit, its mtime (s) and its content."""


def files_in(token: str) -> Files:
    found: Files = {}
    for item in filter(None, token.split(";")):
        path, _, rest = item.partition("@")
        mtime, _, content = rest.partition("=")
        found[path] = int(mtime), content
    return found


def token_of(files: Files) -> str:
    return ";".join(f"{path}@{mtime}={content}" for path, (mtime, content) in sorted(files.items()))


def entries_of(trees: MemoryTrees, path: bytes, perm: int, token: str) -> Iterable[tuple[bytes, Entry]]:
    """What a tree has for a unit, and for all that it holds."""
    yield path, Entry(b"", DIRECTORY, perm, 0, 0, b"")
    for below, (mtime, content) in files_in(token).items():
        blob = trees.blob(content)
        yield path + b"/" + below.encode(), Entry(b"", FILE, 0o644, len(content), mtime * SECOND, blob)


def token_in(trees: MemoryTrees, tree: TreeId) -> str:
    """The token of the unit that has this tree."""
    return token_of(
        {
            path.decode(): (entry.mtime_ns // SECOND, trees.contents[entry.blob])
            for path, entry in walk_tree(trees, tree)
            if entry.kind != DIRECTORY
        }
    )
