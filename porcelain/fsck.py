"""Verify the replica: whether all is what it was when it was written.

Every object of the log is read and hashed again; all that the refs lead to must be there; refs, reflogs, config and
index are read. With --content, so is every file of the folder, against the index, and of the trash: one whose content
changed though its times did not is damaged; one whose times changed was edited, and is counted only.

Nothing is changed. A damaged index is rebuilt by the next command that writes; a damaged ref can be put back by
"replican update-ref" with the value that its reflog has; an object comes back with "replican fetch" from a remote
that has it.

Output: nothing but counts, or a line for each damage: what it is, its name, what is wrong. With --json, an object
with "ok", "checkpoints", "trees", "files", "edited" and "damage" (each "what": object, ref, reflog, config, index,
file or trash; "name"; "problem").

Exit codes: 0 all is well; 6 something is damaged.

    replican fsck
    replican fsck --content
"""

from typing import Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.exits import DONE, EXIT_CODES
from replican.plumbing._front.output import quoted
from replican.plumbing._front.params import Option
from replican.porcelain import _report as report
from replican.values.errors import DamagedError
from replican.values.paths import from_text


def command(
    ctx: Context,
    content: Annotated[bool, Option("--content", help="read every file of the folder and of the trash, too")] = False,
) -> int | None:
    from replican.operations.checking import check

    found = check(ctx.repository(), content=content)
    if ctx.json:
        ctx.emit({"ok": not found.damage, **found._asdict(), "damage": [each._asdict() for each in found.damage]})
    else:
        for what, name, problem in found.damage:
            ctx.line(f"{what} {quoted(from_text(name))}: {problem}")
        counts = f"{report.many(found.checkpoints, 'checkpoint')}, {report.many(found.trees, 'tree')}"
        if content:
            edited = f" ({found.edited} edited since)" if found.edited else ""
            counts += f", {report.many(found.files, 'file')}{edited}"
        ctx.say(f"checked {counts}: {report.many(len(found.damage), 'damage') if found.damage else 'all is well'}")
    return EXIT_CODES[DamagedError] if found.damage else DONE
