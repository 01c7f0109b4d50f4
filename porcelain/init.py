"""Make a folder a replica.

The folder gets a .replican, in which its log will lie, and which holds none of its content. No file is touched,
and nothing is recorded yet: "replican commit" does that. A folder that is a replica already stays as it is.

A folder inside another replica is left alone by that one from then on; this is done only if it is meant:
answered at the terminal, or given by --nested.

Repositories of git are best kept as one: with --atomic, a .replicanattributes that says so is made, if there is none
(replican-attributes(5)). Nothing is taken for one unless such a file says so.

Output: what was made. With --json, an object with "root", "made" (false for a replica that was there) and
"peer".

Exit codes: 0 done; 3 the folder lies in a replica; 4 it cannot be written.

    replican init
    replican init --atomic ~/Documents
"""

import os
import sys
from typing import TYPE_CHECKING, Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.output import quoted
from replican.plumbing._front.params import Argument, Option

if TYPE_CHECKING:
    from replican.repository import Repository


def make(root: str, *, nested: bool = False, wait: float = 10.0) -> tuple["Repository", bool]:
    """The replica at ``root``, and whether it was made; unless ``nested``, raises ``RefusedError`` inside another."""
    from replican.effects.roots import check_not_nested, is_replica
    from replican.repository import Repository

    there = is_replica(os.path.realpath(root))
    if not (there or nested):
        check_not_nested(root, "if that is meant, say --nested")
    return Repository.init(root, wait=wait), not there


def has_git(root: str) -> bool:
    """Whether a folder, or one right in it, is a working copy of git."""
    with os.scandir(root) as listing:
        names = [entry.name for entry in listing if entry.is_dir(follow_symlinks=False)]
    return ".git" in names or any(os.path.isdir(os.path.join(root, name, ".git")) for name in names)


def write_attributes(root: str) -> bool:
    """Say in a folder that repositories of git are units; False where an attribute file is there already."""
    from replican.effects.attributes import ATTRIBUTES_NAME, USUAL_UNITS

    try:
        with open(os.path.join(root, ATTRIBUTES_NAME), "x", encoding="utf-8") as file:
            file.write(USUAL_UNITS)
    except FileExistsError:
        return False
    except OSError as error:
        from replican.values.errors import FolderError

        raise FolderError(f"cannot write {ATTRIBUTES_NAME}: {(error.strerror or str(error)).lower()}") from error
    return True


def command(
    ctx: Context,
    directory: Annotated[str, Argument("DIR", help="the folder; made if it is not there", complete="directory")] = ".",
    nested: Annotated[bool, Option("--nested", help="even inside another replica, which leaves it alone then")] = False,
    atomic: Annotated[bool, Option("--atomic", help="say in it that repositories of git are kept as one")] = False,
) -> int | None:
    if not nested and not ctx.json and sys.stdin.isatty() and sys.stderr.isatty():
        from replican.effects.roots import outer_replica

        outer = outer_replica(directory)
        if outer is not None:
            ctx.say(f"'{directory}' lies in the replica '{outer}', which will not keep it in step any more.")
            ctx.say("make it a replica of its own? [y/N]")
            nested = sys.stdin.readline().strip().lower() in ("y", "yes")
    repo, made = make(directory, nested=nested, wait=ctx.wait)
    with repo:
        if atomic and not write_attributes(repo.root):
            ctx.say(f"{quoted(os.fsencode(repo.root))} has a .replicanattributes already: it stays as it is")
        if ctx.json:
            ctx.emit({"root": repo.root, "made": made, "peer": repo.config.peer_id})
            return None
        shown = quoted(os.fsencode(repo.root))
        ctx.line(f"made {shown} a replica" if made else f"{shown} is a replica already")
        if made:
            ctx.say("hint: 'replican commit' records the folder, 'replican clone' makes another one in step with it")
            if not atomic and has_git(repo.root):
                ctx.say("hint: to keep repositories of git as one, so that no merge mixes two of them, say --atomic")
    return None
