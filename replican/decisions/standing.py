"""How a watch stands, as it follows from its events: what `status` tells, and the lines of a terminal."""

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from replican.values import events

STARTING: Final = "starting"
SYNCING: Final = "syncing"
IN_STEP: Final = "in step"
BEHIND: Final = "behind"
LOST: Final = "lost"
GATE: Final = "gate"


class RemoteStanding(NamedTuple):
    """How it stands with one remote, since ``time_ns``; ``message`` and ``hint`` say why, where something is in the
    way: however often it is tried again, until that goes well. ``synced_ns`` is when both were last in step; None: not
    yet."""

    state: str
    time_ns: int
    message: str = ""
    hint: str | None = None
    pending: int = 0
    synced_ns: int | None = None


class Standing(NamedTuple):
    """How a watch stands. ``gate`` is the message of a gate that stands before the folder's own edits, ``hint`` what
    opens it."""

    paused: bool = False
    gate: str | None = None
    hint: str | None = None
    remotes: tuple[tuple[str, RemoteStanding], ...] = ()

    def after(self, event: "events.Event") -> "Standing":
        """As it stands after an event."""
        from replican.values import events  # who only reads how it stands does not need them

        if isinstance(event, (events.Started, events.Reloaded)):
            known = dict(self.remotes)
            new = RemoteStanding(STARTING, event.time_ns)
            return self._replace(remotes=tuple([(name, known.get(name, new)) for name in event.remotes]))
        if isinstance(event, events.Paused):
            return self._replace(paused=True)
        if isinstance(event, events.Resumed):
            return self._replace(paused=False)
        if isinstance(event, events.Gate) and event.remote is None:
            return self._replace(gate=None if event.open else event.message, hint=None if event.open else event.hint)
        name = getattr(event, "remote", None)
        before = dict(self.remotes).get(name) if isinstance(name, str) else None
        if before is None:
            return self
        now = _remote_after(before, event)
        return self._replace(remotes=tuple([(each, now if each == name else old) for each, old in self.remotes]))

    def as_json(self) -> dict[str, Any]:
        """What ``status --json`` shows."""
        return {
            "paused": self.paused,
            "gate": None if self.gate is None else {"message": self.gate, "hint": self.hint},
            "remotes": [{"name": name, **remote._asdict()} for name, remote in self.remotes],
        }


def _remote_after(before: RemoteStanding, event: "events.Event") -> RemoteStanding:
    from replican.values import events

    at, synced = event.time_ns, before.synced_ns
    if isinstance(event, events.Syncing):
        return before if before.message else before._replace(state=SYNCING, time_ns=at)
    if isinstance(event, events.Synced):
        state = IN_STEP if event.equal else BEHIND
        return RemoteStanding(state, at, pending=event.pending, synced_ns=at if event.equal else synced)
    if isinstance(event, events.RemoteFound):
        return RemoteStanding(IN_STEP if synced is not None else SYNCING, at, synced_ns=synced)
    if isinstance(event, (events.RemoteLost, events.Error)):
        return RemoteStanding(LOST, at, event.message, event.hint, before.pending, synced)
    if isinstance(event, events.Gate):
        if event.open:
            return RemoteStanding(SYNCING, at, synced_ns=synced)
        return RemoteStanding(GATE, at, event.message, event.hint, before.pending, synced)
    return before


def parse_standing(shown: Any) -> Standing | None:
    """A standing from what :meth:`Standing.as_json` made; None where it is none."""
    try:
        remotes = []
        for each in shown["remotes"]:
            fields = {**each}
            remotes.append((str(fields.pop("name")), RemoteStanding(**fields)))
        gate = shown["gate"] or {"message": None, "hint": None}
        return Standing(bool(shown["paused"]), gate["message"], gate["hint"], tuple(remotes))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
