"""Look at paths again, and note in the index what is there.

PATHs are relative to the root of the folder; of a directory, all below it is looked at, and "." is the whole folder.
What is not there any more is noted as gone. What cannot be read stands as it was last seen and stays a problem, as
"replican status" shows, until it is looked at again. Nothing is recorded: write-tree and append-checkpoint do that.
Paths on stdin are looked at as they come, those together that come without a pause.

Output: none; what could not be read is told on stderr. With --json, an object with "tree" (what the folder holds
now), "hashed" (how many files were read), "problems" and "skipped", lists of objects with "path" and "cause".

Exit codes: 0 done, whether all could be read or not; 2 not a path below the folder; 7 locked.

    replican update-index letters photos/may.jpg
    find . -name '*.txt' -print0 | replican update-index --stdin -z
"""

import os
from typing import TYPE_CHECKING, Annotated, Any

from replican.plumbing._front.context import Context, plumbing_path
from replican.plumbing._front.output import json_path, quoted
from replican.plumbing._front.params import Argument, Option
from replican.values.errors import UsageError

if TYPE_CHECKING:
    from replican.effects.scan import Scan
    from replican.values.progress import Problem


def command(
    ctx: Context,
    paths: Annotated[tuple[str, ...], Argument("PATH", help="what to look at", complete="path")] = (),
    stdin: Annotated[bool, Option("--stdin", help="read paths from stdin, too")] = False,
    nul: Annotated[bool, Option("-z", help="paths on stdin end in NUL, and are not quoted")] = False,
) -> int | None:
    if not (paths or stdin):
        raise UsageError("no PATH", "name one, as '.', or give --stdin")
    if nul and not stdin:
        raise UsageError("-z says how --stdin is read, and is of no use without")
    wanted = [plumbing_path(os.fsencode(path)) for path in paths]
    looks: list[Scan] = []
    # A batch is read before anything is locked: whoever writes it may need the repository.
    for batch in ctx.stdin_batches(nul=nul) if stdin else ():
        looks.append(_look(ctx, wanted + batch))
        wanted = []
    if wanted or not looks:
        looks.append(_look(ctx, wanted))
    if ctx.json:
        problems = [each for seen in looks for each in seen.problems]
        skipped = [each for seen in looks for each in seen.skipped]
        hashed = sum(seen.hashed_files for seen in looks)
        shown = {"problems": _list(problems), "skipped": _list(skipped)}
        ctx.emit({"tree": looks[-1].root.hex(), "hashed": hashed, **shown})
    return None


def _look(ctx: Context, paths: list[bytes]) -> "Scan":
    from replican.operations.tracking import update_index

    seen = update_index(ctx.repository(), paths)
    for problem in seen.problems:
        ctx.warn(f"{quoted(problem.path)}: {problem.cause}")
    for problem in seen.skipped:
        ctx.say(f"skipped {quoted(problem.path)}: {problem.cause}")
    return seen


def _list(problems: "list[Problem]") -> list[dict[str, Any]]:
    return [{**json_path(problem.path), "cause": problem.cause} for problem in problems]
