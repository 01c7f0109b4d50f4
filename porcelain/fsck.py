"""Verify the replica: whether all is what it was when it was written.

Every object of the log is read and hashed again; all that the refs lead to must be there; every merge among it is made
once more from what it joins, and must come to the same; refs, reflogs, config, index and block lists are read. With
--content, so is every file of the folder, against the index, and of the trash: one whose content changed though its
times did not is damaged; one whose times changed was edited, and is counted only.

Nothing is changed, unless by --repair: refs are put back from their reflogs (what the folder has and the head then
lacks is recorded anew, in the place of checkpoints that are nowhere any more), objects from damaged packs, the index
and the logs of remotes, the index from a scan; block lists come anew as they are needed. What was damaged is moved to
.replican/damaged; no file of yours is touched. What cannot be mended is told, as it is without --repair.

Output: nothing but counts, or a line for each damage: what it is, its name, what is wrong; before them, with
--repair, a line "mended" for each thing that was. With --json, an object with "ok", "checkpoints", "trees", "merges"
(those that were made once more, and are right), "unproven" (those that join what is missing or damaged, or follow the
rules of a later release), "files", "edited" and "damage" (each "what": object, ref, reflog, config, index, blocks,
tail, file or trash; "name"; "problem"), and "mended" (each "what", "name", "how").

Exit codes: 0 all is well (again); 6 something is damaged.

    replican fsck --content
    replican fsck --repair
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
    repair: Annotated[bool, Option("--repair", help="mend what can be mended, then check")] = False,
) -> int | None:
    from replican.operations.checking import check

    if repair:
        from replican.operations.repairing import repair as repaired

        mended, found = repaired(ctx.repository(), content=content)
    else:
        mended, found = [], check(ctx.repository(), content=content)
    if ctx.json:
        damage = [each._asdict() for each in found.damage]
        shown = {"ok": not found.damage, **found._asdict(), "damage": damage}
        ctx.emit({**shown, "mended": [each._asdict() for each in mended]})
        return EXIT_CODES[DamagedError] if found.damage else DONE
    for what, name, how in mended:
        ctx.line(f"mended {what} {quoted(from_text(name))}: {how}")
    for what, name, problem in found.damage:
        ctx.line(f"{what} {quoted(from_text(name))}: {problem}")
    counts = f"{report.many(found.checkpoints, 'checkpoint')}, {report.many(found.trees, 'tree')}"
    if found.merges:
        counts += f", {report.many(found.merges, 'merge')}"
    if content:
        edited = f" ({found.edited} edited since)" if found.edited else ""
        counts += f", {report.many(found.files, 'file')}{edited}"
    if found.unproven:
        counts += f", {report.many(found.unproven, 'merge')} that cannot be proven here"
    ctx.say(f"checked {counts}: {report.many(len(found.damage), 'damage') if found.damage else 'all is well'}")
    return EXIT_CODES[DamagedError] if found.damage else DONE
