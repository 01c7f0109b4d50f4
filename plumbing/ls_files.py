"""List what the index has: the files and links of the folder as they were last seen.

With PATHs, relative to the root of the folder, only these and what is below them. What the index was last told is
listed; with --base, what it was at the last recording. Nothing on the disk is looked at: poll does that.

Output: a path a line, sorted as a walk meets them, quoted where that is needed; with -z each ends in NUL and none is
quoted. With -s, each line begins as ls-tree's: "<kind><permissions> <type> <id> <size> <mtime in ns>" and a tab. With
-t, directories are listed, too. --format has the fields of ls-tree. With --json, a list of objects with "path",
"kind", "mode", "id", "size" and "mtime_ns".

Exit codes: 0 done; 6 the index is damaged.

    replican ls-files -z photos | xargs -0 du -ch
    replican ls-files --format='%(size) %(path)' | sort -n
"""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from replican.plumbing._front import entries
from replican.plumbing._front.context import Context, plumbing_path
from replican.plumbing._front.params import Argument, Option
from replican.values.errors import UsageError
from replican.values.paths import is_below, join
from replican.values.trees import DIRECTORY, Entry

if TYPE_CHECKING:
    from replican.effects.index import Index


def list_files(
    index: "Index", paths: tuple[bytes, ...] = (), *, observed: bool = True, directories: bool = False
) -> Iterator[tuple[bytes, Entry]]:
    """Paths and entries of the index, at and below ``paths`` (none: all), directories before what they hold."""
    stack = [iter(_rows(index, b"", observed))]
    while stack:
        for path, entry in stack[-1]:
            is_wanted = not paths or any(is_below(path, wanted) for wanted in paths)
            if is_wanted and (directories or entry.kind != DIRECTORY):
                yield path, entry
            if entry.kind == DIRECTORY and (is_wanted or any(is_below(wanted, path) for wanted in paths)):
                stack.append(iter(_rows(index, path, observed)))
                break
        else:
            stack.pop()


def _rows(index: "Index", directory: bytes, observed: bool) -> list[tuple[bytes, Entry]]:
    return [(join(directory, row.name), row.entry) for row in index.rows(directory, observed)]


def command(
    ctx: Context,
    paths: Annotated[tuple[str, ...], Argument("PATH", help="list only these", complete="path")] = (),
    stage: Annotated[bool, Option("-s", "--stage", help="print kind, permissions, id, size and time, too")] = False,
    directories: Annotated[bool, Option("-t", help="list directories, too")] = False,
    base: Annotated[bool, Option("--base", help="list what was there at the last recording")] = False,
    nul: Annotated[bool, Option("-z", help="end lines with NUL, and quote nothing")] = False,
    template: Annotated[str | None, Option("--format", metavar="FORMAT", help="print each as FORMAT says")] = None,
) -> int | None:
    if stage and template is not None:
        raise UsageError("-s and --format do not go together")
    wanted = tuple([plumbing_path(os.fsencode(path)) for path in paths])
    found = list_files(ctx.repository().index, wanted, observed=not base, directories=directories)
    names_only = not (stage or ctx.json or template is not None)
    entries.show(ctx, found, nul=nul, names_only=names_only, template=template)
    return None
