"""Bring the folder to what a merge decided.

The plan is what "merge --dry-run --json" or "merge-tree --json" printed; it is read from the file PLAN, or from
stdin. It tells what the folder held and where its log was when it was made: if that has changed since, nothing is
done. Where it comes to the joining of a checkpoint to the head, that merge is recorded; else the tree is recorded as
what the user of this folder did. Then the folder is brought there, as by any merge: what was edited in between is
left alone, and stays pending.

Output: the id of the head. With --json, an object with "head", "kind" (as "merge" tells it, or "user"), "pending", a
list of objects with "path" and "cause", and "wire", as "replican pull" has it.

Exit codes: 0 done; 1 a tree or checkpoint of the plan is not there; 2 not a plan; 3 refused: by a gate, or because
the plan is out of date; 4 some paths are pending; 5 content is missing, and no source can be reached; 7 locked.

    replican merge --dry-run --json origin > plan.json && replican apply-plan plan.json
"""

import json
from typing import TYPE_CHECKING, Annotated, Any

from replican.plumbing._front.context import Context
from replican.plumbing._front.exits import PENDING
from replican.plumbing._front.output import json_path, quoted
from replican.plumbing._front.params import Argument, Option
from replican.values.errors import FolderError, NotFoundError, UsageError
from replican.values.ids import CheckpointId, TreeId, is_hex_id
from replican.values.progress import Traffic, together, told_wire

if TYPE_CHECKING:
    from replican.operations.applying import SavedPlan

FLAGS = ("--allow-mass-delete", "--allow-missing-mount", "--allow-unrelated")
MOST = 10


def parse_plan(text: bytes) -> "SavedPlan":
    """The plan in what a command printed as JSON; raises ``UsageError``."""
    from replican.operations.applying import SavedPlan

    try:
        found = json.loads(text)
        steps = found["plan"]
        base, tree = _id(steps["base"]), _id(steps["tree"])
        old, theirs = _id(found["old"]), _id(found.get("theirs"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise UsageError("not a plan", "'replican merge --dry-run --json' prints one") from None
    if base is None or tree is None:
        raise UsageError("a plan without its trees", "'replican merge --dry-run --json' prints a whole one")
    return SavedPlan(TreeId(base), TreeId(tree), _checkpoint(old), _checkpoint(theirs))


def _checkpoint(id: bytes | None) -> CheckpointId | None:
    return None if id is None else CheckpointId(id)


def _id(value: Any) -> bytes | None:
    if value is not None and not is_hex_id(value):
        raise ValueError(value)
    return None if value is None else bytes.fromhex(value)


def _read(ctx: Context, name: str | None) -> bytes:
    if name is None or name == "-":
        return ctx.stdin.read()
    try:
        with open(name, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise NotFoundError(f"no such file: '{name}'") from None
    except OSError as error:
        raise FolderError(f"cannot read '{name}': {(error.strerror or '').lower()}") from error


def command(
    ctx: Context,
    plan: Annotated[str | None, Argument("PLAN", help="a file with the plan; - is stdin", complete="file")] = None,
    message: Annotated[str | None, Option("-m", "--message", metavar="MSG", help="what to say of it")] = None,
    limit_rate: Annotated[
        str | None, Option("--limit-rate", metavar="RATE", help="so many bytes a second over a link, each way: 500K")
    ] = None,
    mass_delete: Annotated[bool, Option(FLAGS[0], help="though most files would be deleted")] = False,
    missing_mount: Annotated[bool, Option(FLAGS[1], help="though what was mounted in the folder is gone")] = False,
    unrelated: Annotated[bool, Option(FLAGS[2], help="though the histories have nothing in common any more")] = False,
) -> int | None:
    from replican.decisions.pacing import parse_rate

    rate = None if limit_rate is None else parse_rate(limit_rate)
    saved = parse_plan(_read(ctx, plan))
    from replican.operations.applying import apply_plan
    from replican.operations.targets import reachable_contents

    repo = ctx.repository()
    repo.limit_rate = rate
    wires: list[Traffic] = []
    given = zip(FLAGS, (mass_delete, missing_mount, unrelated), strict=True)
    allowed = frozenset(flag for flag, is_open in given if is_open)
    with reachable_contents(repo, wires=wires) as stores:
        done = apply_plan(repo, saved, stores, message=message, allowed=allowed)
    head = done.head and done.head.hex()
    if ctx.json:
        pending = [{**json_path(problem.path), "cause": problem.cause} for problem in done.pending]
        ctx.emit({"head": head, "kind": done.kind, "pending": pending, "wire": told_wire(together(wires))})
    elif head is not None:
        ctx.line(head)
    news = [problem for problem in done.pending if not problem.known]
    for problem in news[:MOST]:
        ctx.warn(f"pending: {quoted(problem.path)}: {problem.cause}")
    if len(news) > MOST:
        ctx.warn(f"and {len(news) - MOST} more; see 'replican status'")
    return PENDING if news else None
