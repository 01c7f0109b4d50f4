"""What `status` tells, and how a watch that runs tells it: who asks a watch has to load little more than this.

:mod:`replican.operations.looking` finds it out, here or in the process of the watch.
"""

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from replican.decisions.standing import Standing, parse_standing
from replican.effects.asking import ask
from replican.effects.roots import DOT
from replican.values.answers import ASK_LOOK, State, encode_state, parse_states

if TYPE_CHECKING:
    from replican.decisions.changes import Changed
    from replican.decisions.reconcile import OpenConflict
    from replican.values.ids import CheckpointId
    from replican.values.progress import Problem

UP_TO_DATE: Final = "up to date"
AHEAD: Final = "ahead"
BEHIND: Final = "behind"
DIVERGED: Final = "diverged"
UNKNOWN: Final = "unknown"


class RemoteState(NamedTuple):
    """A remote as last seen: how its head stands to ours, and how many user checkpoints only one of both has."""

    name: str
    url: str
    state: str
    ahead: int
    behind: int


class Status(NamedTuple):
    """How a folder stands.

    ``title`` is the message of the head's checkpoint, in a line, or "a merge"; None where nothing is recorded.
    ``changes`` is what a commit would record, each file a change of its own; ``summary`` the same in short, where a
    directory that came, went or moved as a whole is one change. ``pending`` is where the disk is behind the head,
    ``unread`` what could not be read and stands as it was recorded, ``skipped`` what is never recorded. ``watch``
    is how the watch stands that runs for the folder; None where none does.
    """

    head: "CheckpointId | None"
    title: str | None
    changes: list["Changed"]
    summary: list["Changed"]
    conflicts: list["OpenConflict"]
    pending: list["Problem"]
    unread: list["Problem"]
    skipped: list["Problem"]
    remotes: list[RemoteState]
    notes: list[str]
    watch: Standing | None = None

    @property
    def clean(self) -> bool:
        """Whether the log has all that the folder has, and the folder all that the log has."""
        return not (self.changes or self.pending or self.unread)


def status_at_rest(head: "CheckpointId | None", title: str | None, remotes: list[RemoteState]) -> Status:
    """The status of a folder in which there is nothing to do."""
    return Status(head, title, [], [], [], [], [], [], remotes, [])


class Told(NamedTuple):
    """What the watch of a folder says of it. ``rest`` is its status, where there is nothing to do in it; else ``state``
    is what it holds, as far as the watch knows, and ``marked`` where conflict copies may be: None where the watch is
    paused, and does not look."""

    standing: Standing | None
    rest: Status | None = None
    state: State | None = None
    marked: State | None = None


def ask_watch(root: str) -> Told | None:
    """What the watch says that runs for the folder at ``root``; None where there is none, or no answer in time.

    Nothing that was changed before this call is left out.
    """
    answer = ask(f"{root}/{DOT}", ASK_LOOK)
    return None if answer is None else parse_told(answer)


def encode_told(told: Told) -> bytes:
    """What is told as an answer."""
    rest = told.rest
    shown = {
        "watch": None if told.standing is None else told.standing.as_json(),
        "rest": None
        if rest is None
        else {
            "head": None if rest.head is None else rest.head.hex(),
            "title": rest.title,
            "remotes": [list(remote) for remote in rest.remotes],
        },
    }
    known = [] if rest is not None else [state for state in (told.state, told.marked) if state is not None]
    states = b"".join(map(encode_state, known))
    return json.dumps(shown).encode() + b"\n" + states


def parse_told(answer: bytes) -> Told | None:
    """What an answer tells; None where it is not one, or not whole."""
    line, end, states = answer.partition(b"\n")
    try:
        shown = json.loads(line)
        standing = None if shown["watch"] is None else parse_standing(shown["watch"])
        rest = None if shown["rest"] is None else _parse_rest(shown["rest"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not end:
        return None
    if rest is not None:
        return None if states else Told(standing, rest._replace(watch=standing))
    found = parse_states(states)
    return Told(standing, None, *found) if found is not None and len(found) in (0, 2) else None


def _parse_rest(shown: Any) -> Status:
    """Raises ``ValueError``, ``TypeError`` or ``KeyError`` for what is none."""
    head, title = shown["head"], shown["title"]
    remotes = [RemoteState(*each) for each in shown["remotes"]]
    kinds = [(str, str, str, int, int)] * len(remotes)
    if any(tuple(map(type, each)) != kind for each, kind in zip(remotes, kinds, strict=True)):
        raise ValueError("no remotes")
    if not (title is None or type(title) is str) or (head is None) != (title is None):
        raise ValueError("no title")
    known = None if head is None else bytes.fromhex(head)
    if known is not None and len(known) != 32:
        raise ValueError("no id")
    return status_at_rest(cast("CheckpointId | None", known), title, remotes)
