"""Show which names differ between two states of the folder.

Without a name, the folder as it lies on the disk is compared with the head; with A, with A; with A and B, A is
compared with B. A and B are checkpoints, trees or REF:PATH. The log holds no content, so no lines are compared:
names and attributes are what there is to see; that is said on stderr. PATH limits it to that path and what is below.

Output: a line for each file and link: a letter, a tab, the path. A is added, D deleted, M another content, T another
kind, and a lower-case a permissions or time alone, which are told after another tab. With -z, the letter, NUL, the
path, NUL. With --json, a list of objects with "path", "status" and "old" and "new" (each null, or "kind", "id",
"mode", "size" and "mtime_ns").

Exit codes: 0 done; 1 there are differences, with --exit-code; 4 some paths could not be read, or are left to the watch
of the folder: large files that have changed, which take long to read.

    replican diff
    replican diff HEAD@{1} HEAD
    replican diff origin/head -- letters
"""

from typing import TYPE_CHECKING, Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.exits import DIFFERENT
from replican.plumbing._front.params import Argument, Option
from replican.porcelain import _past as past
from replican.porcelain import _report as report
from replican.values.errors import UsageError

if TYPE_CHECKING:
    from replican.operations.comparing import Difference
    from replican.repository import Repository
    from replican.values.progress import Problem


def command(
    ctx: Context,
    states: Annotated[tuple[str, ...], Argument("A|B|PATH", help="states, then paths to look at", complete="ref")] = (),
    nul: Annotated[bool, Option("-z", help="end letters and paths with NUL, and do not quote them")] = False,
    exit_code: Annotated[bool, Option("--exit-code", help="exit with 1 if there are differences")] = False,
) -> int | None:
    repo = ctx.repository()
    names, paths = past.split_arguments(ctx, repo, states)
    if len(names) > 2:
        raise UsageError(f"'{names[2]}' is not a path", "write two states at most, and paths after '--'")
    found, problems = compare(repo, names, paths)
    if ctx.json:
        ctx.emit_all(past.json_change(each) for each in found)
    else:
        for each in found:
            if nul:
                ctx.out(past.LETTERS[each.status].encode() + b"\0" + each.path + b"\0")
            else:
                ctx.line(past.change_line(each))
    if any(each.status == "modified" for each in found):
        ctx.say("names and attributes only: the log holds no old content to compare with")
    ending = report.Ending(ctx)
    ending.unread(problems)
    return ending.code or (DIFFERENT if found and exit_code else 0)


def compare(
    repo: "Repository", names: list[str], paths: tuple[bytes, ...]
) -> tuple[list["Difference"], list["Problem"]]:
    """What differs between the states that were named, and which of the paths could not be read."""
    from replican.operations.comparing import differences, on_disk
    from replican.operations.revisions import tree_named
    from replican.operations.status import ask_watch
    from replican.values.paths import overlap

    old = tree_named(repo, names[0]) if names else repo.head_tree
    if len(names) == 2:
        return differences(repo, old, tree_named(repo, names[1]), paths), []
    now = on_disk(repo, ask_watch(repo.root))
    problems = [each for each in now.problems if not paths or any(overlap(each.path, path) for path in paths)]
    return differences(now.trees, old, now.disk, paths), problems
