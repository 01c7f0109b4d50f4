"""List what differs between two trees.

A and B are trees, checkpoints, or directories as in "HEAD:photos". Only what differs is read. A directory that only
one of them has is one line; with -r, what it holds is listed instead (an empty one itself).

Output: a line for each path, in the order of a walk: ":<mode in A> <mode in B> <id in A> <id in B> <status>", a tab
and the path, quoted where that is needed. A mode is kind and permissions, as f0644. The status is A (only in B), D
(only in A), M (another content, or other attributes: then the ids are equal) or T (another kind); what is not there
has the mode -0000 and an id of zeros. With -z, status and path each end in NUL, and nothing is quoted. With --json, a
list of objects with "path", "status", "change" (the same in words, as diff and status have it: "added", "deleted",
"modified", "attributes changed" or "type changed"), "old" and "new"; these are null or have "kind", "mode", "id",
"size" and "mtime_ns".

Exit codes: 0 done; 1 with --exit-code if anything differs, or no such tree.

    replican diff-tree HEAD@{1} HEAD
    replican diff-tree -r --name-only origin/head HEAD
"""

from collections.abc import Iterator
from typing import Annotated, Final

from replican.decisions.treediff import ADDED, DELETED, RETYPED, Change, diff_trees, walk_tree
from replican.operations.revisions import tree_named
from replican.plumbing._front import entries
from replican.plumbing._front.context import Context
from replican.plumbing._front.exits import DIFFERENT
from replican.plumbing._front.output import json_path, quoted
from replican.plumbing._front.params import Argument, Option
from replican.values.errors import UsageError
from replican.values.ids import EMPTY_TREE, HEX_SIZE, TreeId
from replican.values.trees import DIRECTORY, Entry, TreeReader

NO_MODE = "-0000"
NO_ID = "0" * HEX_SIZE


def compare(reader: TreeReader, old: TreeId, new: TreeId, *, recursive: bool = False) -> Iterator[Change]:
    """The changes from ``old`` to ``new``; ``recursive`` lists what directories hold that are on one side only."""
    for change in diff_trees(reader, old, new):
        was, now = change.old, change.new
        if not recursive or _is_directory(was) == _is_directory(now):
            yield change
            continue
        if was is not None:
            yield from (Change(path, entry, None) for path, entry in _within(reader, change.path, was))
        if now is not None:
            yield from (Change(path, None, entry) for path, entry in _within(reader, change.path, now))


_LETTERS: Final = {ADDED: "A", DELETED: "D", RETYPED: "T"}
"""Of what is there in both, and of one kind, the content or the attributes differ: "M"."""


def status(change: Change) -> str:
    """The letter for a change."""
    return _LETTERS.get(change.word, "M")


def command(
    ctx: Context,
    old: Annotated[str, Argument("A", help="the one tree", complete="ref")],
    new: Annotated[str, Argument("B", help="the other tree", complete="ref")],
    recursive: Annotated[bool, Option("-r", help="list what is in directories that only one tree has")] = False,
    nul: Annotated[bool, Option("-z", help="end paths with NUL, and quote nothing")] = False,
    name_only: Annotated[bool, Option("--name-only", help="list only the paths")] = False,
    exit_code: Annotated[bool, Option("--exit-code", help="exit with 1 if anything differs")] = False,
) -> int | None:
    repo = ctx.repository()
    if ctx.json and name_only:
        raise UsageError("--json and --name-only do not go together")
    differs = False

    def changes() -> Iterator[Change]:
        nonlocal differs
        for change in compare(repo, tree_named(repo, old), tree_named(repo, new), recursive=recursive):
            differs = True
            yield change

    if ctx.json:
        ctx.emit_all(as_json(change) for change in changes())
    else:
        for change in changes():
            if name_only:
                ctx.path_line(change.path, nul=nul)
            elif nul:
                ctx.out(f"{_sides(change)} {status(change)}".encode() + b"\0" + change.path + b"\0")
            else:
                ctx.out(f"{_sides(change)} {status(change)}\t{quoted(change.path)}\n")
    return DIFFERENT if exit_code and differs else None


def as_json(change: Change) -> dict[str, object]:
    """A change in JSON."""
    sides = {"old": change.old, "new": change.new}
    shown = {side: None if entry is None else entries.as_json(entry) for side, entry in sides.items()}
    return {**json_path(change.path), "status": status(change), "change": change.word, **shown}


def _sides(change: Change) -> str:
    modes = " ".join([NO_MODE if entry is None else entries.mode(entry) for entry in (change.old, change.new)])
    ids = " ".join([NO_ID if entry is None else entry.id.hex() for entry in (change.old, change.new)])
    return f":{modes} {ids}"


def _is_directory(entry: Entry | None) -> bool:
    return entry is not None and entry.kind == DIRECTORY


def _within(reader: TreeReader, path: bytes, entry: Entry) -> Iterator[tuple[bytes, Entry]]:
    """What an entry stands for: itself, or all files and links and empty directories below it."""
    if entry.kind != DIRECTORY or entry.id == EMPTY_TREE:
        yield path, entry
        return
    for below, found in walk_tree(reader, entry.tree, path):
        if found.kind != DIRECTORY or found.id == EMPTY_TREE:
            yield below, found
