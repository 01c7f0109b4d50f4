"""List the paths that differ from what the index has seen.

The whole folder is looked at, by its stat data; files are read only where these prove nothing. Nothing is noted: pipe
the paths into update-index.

Output: a path a line, relative to the root of the folder, sorted, quoted where that is needed; with -z each ends in
NUL and none is quoted. A directory that came or went stands for all that is in it. With --json, a list of objects
with "path".

Exit codes: 0 done, whether anything differs or not; 6 the index is damaged; 8 no repository, or the folder is gone.

    replican poll | replican update-index --stdin &&
        replican append-checkpoint "$(replican write-tree)"
"""

from typing import Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.output import json_path
from replican.plumbing._front.params import Option


def command(
    ctx: Context,
    nul: Annotated[bool, Option("-z", help="end paths with NUL, and quote nothing")] = False,
) -> int | None:
    from replican.effects.observe import poll

    repo = ctx.repository()
    paths = poll(repo.root, repo.index)
    if ctx.json:
        ctx.emit_all(json_path(path) for path in paths)
        return None
    for path in paths:
        ctx.path_line(path, nul=nul)
    return None
