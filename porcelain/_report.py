"""How commands that record, merge and push tell what they did: the words, the JSON, and the exit code that follows."""

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

from replican.plumbing._front.context import Context
from replican.plumbing._front.exits import DIFFERENT, DONE, PENDING, REFUSED, exit_code
from replican.plumbing._front.output import json_path, quoted
from replican.plumbing._front.params import Option
from replican.values.errors import RefusedError, ReplicanError, UsageError
from replican.values.paths import name_of
from replican.values.progress import PUT_OFF, told_wire

if TYPE_CHECKING:
    from replican.decisions.plan import Plan
    from replican.decisions.reconcile import OpenConflict
    from replican.decisions.treediff import Tally
    from replican.operations.merging import Merged
    from replican.operations.recording import Recorded
    from replican.operations.remotes import Refreshed
    from replican.repository import Repository
    from replican.values.ids import CheckpointId
    from replican.values.progress import Problem, Traffic

MOST: Final = 10
"""So many paths are listed one by one; of more, only how many there are."""

AllowMassDelete = Annotated[
    bool, Option("--allow-mass-delete", help="go on though most of the files would be deleted, or the folder is empty")
]
AllowMissingMount = Annotated[
    bool, Option("--allow-missing-mount", help="go on though what was mounted below the folder is gone")
]
AllowUnrelated = Annotated[
    bool, Option("--allow-unrelated", help="merge a history that has nothing in common with this one any more")
]
LimitRate = Annotated[
    str | None, Option("--limit-rate", metavar="RATE", help="let so many bytes a second over a link, each way: 500K")
]
ExitCode = Annotated[bool, Option("--exit-code", help="exit with 1 while conflicts are open")]


def allowed(mass_delete: bool = False, missing_mount: bool = False, unrelated: bool = False) -> frozenset[str]:
    """The flags of the gates that were opened."""
    given = {
        "--allow-mass-delete": mass_delete,
        "--allow-missing-mount": missing_mount,
        "--allow-unrelated": unrelated,
    }
    return frozenset([flag for flag, is_open in given.items() if is_open])


def rate(text: str | None) -> int | None:
    """What ``--limit-rate`` asks for, in bytes a second; raises ``UsageError``."""
    if text is None:
        return None
    from replican.decisions.pacing import parse_rate

    return parse_rate(text)


def check_message(message: str | None) -> str | None:
    """A message as the log can hold it; raises ``UsageError`` for one that it cannot."""
    if message is None:
        return None
    try:
        size = len(message.encode())
    except UnicodeEncodeError:
        raise UsageError("the message is not utf-8") from None
    if size > 1 << 19:
        raise UsageError(f"the message has {size} bytes, and no more than {1 << 19} can be recorded")
    return message


# -- words -------------------------------------------------------------------------------------------------------


def short(checkpoint: "CheckpointId | None") -> str:
    """An id as people see it."""
    return "nothing" if checkpoint is None else checkpoint.hex()[:7]


def moved(old: "CheckpointId | None", new: "CheckpointId | None") -> str:
    """From where to where a ref moved, as git shows it."""
    return f"{short(old)}..{short(new)}"


def many(count: int, word: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def words_of(done: "Tally") -> str:
    """What changed, in files: ``2 added, 1 deleted``; empty for nothing."""
    named = (("added", done.added), ("changed", done.changed), ("moved", done.moved), ("deleted", done.deleted))
    return ", ".join([f"{count} {word}" for word, count in named if count])


def first_line(message: str) -> str:
    """The subject of a checkpoint's message."""
    return message.partition("\n")[0]


def words_of_pending(problems: Collection["Problem"], unnoted: int = 0) -> list[str]:
    """How much is pending, and of that how much was held before: ``2 pending``. ``unnoted`` is pending, too."""
    held = sum(problem.known for problem in problems)
    pending = len(problems) - held + unnoted
    return [f"{pending} pending"] * bool(pending) + [f"{held} held as before"] * bool(held)


def describe_merge(merged: "Merged") -> str:
    """What a merge did, on one line."""
    done, pending = words_of(merged.tally), words_of_pending(merged.pending)
    if merged.old == merged.head:
        return f"already up to date{': ' + '; '.join([done] * bool(done) + pending) if done or pending else ''}"
    changed = "; ".join([done or "no file changed here", *pending])
    return f"{moved(merged.old, merged.head)} {merged.kind.value}: {changed}"


# -- JSON --------------------------------------------------------------------------------------------------------


def json_id(checkpoint: "CheckpointId | None") -> str | None:
    return None if checkpoint is None else checkpoint.hex()


def json_problems(problems: Iterable["Problem"]) -> list[dict[str, str]]:
    return [{**json_path(problem.path), "cause": problem.cause} for problem in problems]


def json_conflicts(conflicts: Iterable["OpenConflict"]) -> list[dict[str, Any]]:
    """A row for each conflict copy, as ``conflicts --json`` has it."""
    from replican.values.names import copy_time

    return [
        {
            **json_path(conflict.path),
            **json_path(path, "copy"),
            "current_id": conflict.current.id.hex(),
            "copy_id": copy.id.hex(),
            "time_ns": copy_time(name_of(path)) if copy.is_unit else copy.mtime_ns,
        }
        for conflict in conflicts
        for path, copy in conflict.copies
    ]


def json_recorded(recorded: "Recorded") -> dict[str, Any]:
    refused = recorded.gated
    return {
        "head": json_id(recorded.head),
        "new": recorded.new,
        **recorded.tally._asdict(),
        "pending": json_problems(recorded.problems),
        "skipped": json_problems(recorded.skipped),
        "refused": None if refused is None else {"message": refused.message, "hint": refused.hint},
    }


def json_merged(merged: "Merged") -> dict[str, Any]:
    return {
        "kind": merged.kind.value,
        "old": json_id(merged.old),
        "head": json_id(merged.head),
        **merged.tally._asdict(),
        "conflicts": json_conflicts(merged.conflicts),
        "pending": json_problems(merged.pending),
    }


def json_wire(wire: "Traffic | None") -> dict[str, int | float] | None:
    """What went over the wire."""
    return told_wire(wire)


def plan_steps(plan: "Plan") -> Iterator[tuple[str, bytes, bytes | None]]:
    """What a plan does to the folder: the step, the path, and where it comes from if it is moved."""
    for new in plan.new:
        if new.path not in new.apart:
            yield "new directory", new.path, None
    for move in plan.moves:
        yield "move", move.new, move.old
    for group in (*plan.units, *plan.groups):
        for change in group.changes:
            if change.new is None:
                yield "delete", change.path, None
            elif change.old is None:
                yield "new", change.path, None
            else:
                same = change.old.kind == change.new.kind and change.old.id == change.new.id
                yield "attributes" if same else "change", change.path, None
    for path, _ in plan.gone:
        yield "remove directory", path, None
    for change in plan.perms:
        yield "attributes", change.path, None


def json_plan(plan: "Plan") -> dict[str, Any]:
    """A plan as data: the trees that it leads from and to, and its steps."""
    return {
        "base": plan.base.hex(),
        "tree": plan.head.hex(),
        "steps": [
            {"step": step, **json_path(path), **({} if source is None else json_path(source, "from"))}
            for step, path, source in plan_steps(plan)
        ],
    }


# -- the end of a command ----------------------------------------------------------------------------------------


class Ending:
    """Collects what the user has to be told besides the result, and what exit code comes of it.

    A closed gate counts more than pending paths, these more than open conflicts.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._code = DONE
        self._pending = False
        self._open = False

    @property
    def code(self) -> int:
        return self._code or (PENDING if self._pending else DIFFERENT if self._open else DONE)

    def recorded(self, recorded: "Recorded") -> None:
        """Tell what a commit could not, or must not, record."""
        self.skipped(recorded.skipped)
        self.unread(recorded.problems)
        if recorded.gated is not None:
            self._ctx.warn(f"edits here are not recorded: {recorded.gated.message}")
            if recorded.gated.hint:
                self._ctx.say(f"hint: {recorded.gated.hint}")
            self._code = self._code or exit_code(recorded.gated)

    def theirs(self, refreshed: "Refreshed", where: str) -> None:
        """Tell what a remote could not record of its user's edits. Why it refused to is among the notes."""
        self.unread(refreshed.unread, where)
        if refreshed.refused:
            self._code = REFUSED

    def merged(self, merged: "Merged") -> None:
        """Tell of conflicts that a merge made, and of what could not be written."""
        self.conflicts(merged.conflicts)
        self.pending(merged.pending)

    def unread(self, problems: Collection["Problem"], where: str = "") -> None:
        """Tell which paths could not be read."""
        from replican.effects.units import STILL_CHANGING

        put_off = [each for each in problems if each.cause in PUT_OFF]
        changing = [each for each in problems if each.cause == STILL_CHANGING]
        others = [each for each in problems if each.cause != STILL_CHANGING and each.cause not in PUT_OFF]
        self._list(others, f"{where}cannot read", "'replican status' lists all of them")
        self._list(put_off, f"{where}told as it was recorded:", "the watch of this folder reads them")
        self._list(changing, f"{where}left as it was:", "the next command records it, if it is at rest then")
        self._pending = self._pending or bool(problems)

    def pending(self, problems: Collection["Problem"], where: str = "", unnoted: int = 0) -> None:
        """Tell which paths are behind the head on the disk, and how many more than it was told (``unnoted``). What was
        held before is no news."""
        news = [problem for problem in problems if not problem.known]
        self._list(news, f"{where}pending:", "see 'replican status'; the next command tries again", unnoted)
        self._pending = self._pending or bool(news) or unnoted > 0

    def skipped(self, problems: Collection["Problem"]) -> None:
        for problem in list(problems)[:MOST]:
            self._ctx.say(f"not recorded, and left alone: {quoted(problem.path)}: {problem.cause}")
        if len(problems) > MOST:
            self._ctx.say(f"and {len(problems) - MOST} more that are left alone")

    def conflicts(self, conflicts: Collection["OpenConflict"]) -> None:
        """Tell of names that have more than one version now."""
        for conflict in list(conflicts)[:MOST]:
            copies = ", ".join([quoted(name_of(path)) for path, _ in conflict.copies])
            self._ctx.say(f"conflict: {quoted(conflict.path)}: every version is kept, beside it as {copies}")
        if len(conflicts) > MOST:
            self._ctx.say(f"and {len(conflicts) - MOST} more conflicts")
        if conflicts:
            self._ctx.say("hint: 'replican conflicts' lists them, 'replican resolve PATH --keep ...' settles one")

    def open_conflicts(self, repo: "Repository") -> None:
        """For ``--exit-code``: whether any name of the head has more than one version."""
        from replican.decisions.reconcile import conflicts_in

        self._open = self._open or next(conflicts_in(repo, repo.head_tree), None) is not None

    def behind(self) -> None:
        """The work could not be finished this time."""
        self._pending = True

    def failed(self, error: ReplicanError, remote: str) -> None:
        """Tell of an error with a remote that did not end the command; its exit code is the command's, if it is the
        first."""
        is_named = error.message.startswith((f"remote {remote} ", f"remote {remote}:"))
        self._ctx.warn(error.message if is_named else f"{remote}: {error.message}")
        if error.hint:
            self._ctx.say(f"hint: {error.hint}")
        if isinstance(error, RefusedError) or not self._code:
            self._code = exit_code(error)

    def _list(self, problems: Collection["Problem"], what: str, where: str, unnoted: int = 0) -> None:
        for problem in list(problems)[:MOST]:
            self._ctx.warn(f"{what} {quoted(problem.path)}: {problem.cause}")
        more = max(0, len(problems) - MOST) + unnoted
        if more:
            self._ctx.warn(f"and {more} more; {where}")
