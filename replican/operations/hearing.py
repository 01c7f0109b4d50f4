"""What a remote at the far end of a link says, as it is told here: it names the remote, and forges no line."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from replican.decisions.gates import FLAGS, flags_of
from replican.effects.refs import is_ref_name
from replican.operations.remotes import diverged
from replican.values import messages
from replican.values.errors import (
    BusyError,
    DamagedError,
    DivergedError,
    FarDamageError,
    FarError,
    LockedError,
    MalformedError,
    MissingObjectError,
    NoSpaceError,
    NotFoundError,
    ProtocolError,
    RefusedError,
    RemoteError,
    ReplicanError,
)
from replican.values.ids import CheckpointId
from replican.values.progress import Problem
from replican.values.quoting import show_told

_DAMAGE: Final = frozenset(kind.code for kind in (DamagedError, MalformedError, MissingObjectError, NotFoundError))
_LIKE_HERE: Final[dict[str, type[ReplicanError]]] = {
    RefusedError.code: RefusedError,
    NoSpaceError.code: NoSpaceError,
    LockedError.code: BusyError,
}
"""What it is here that failed over there; anything else is the remote's, whatever it would be here."""


def failure(error: FarError, name: str, place: str) -> ReplicanError:
    """What the remote called ``name`` says has failed there, as an error that names it."""
    if error.told in _DAMAGE:
        return damage(error, name, place)
    if error.told == DivergedError.code:
        return diverged(name)
    message = error.message
    if error.told == ProtocolError.code:
        message = f"it says of this end that {message}"
    made = _LIKE_HERE.get(error.told, RemoteError)(f"remote {name}: {message}", error.hint)
    if isinstance(made, RefusedError):
        made.gates = tuple(dict.fromkeys(gate for gate in error.gates if gate in FLAGS))
    return made


@contextmanager
def decided_at(place: str) -> Iterator[None]:
    """What a remote's gates refuse says what opens them over there: no flag that is given here does."""
    try:
        yield
    except RefusedError as error:
        flags = flags_of(error.gates)
        if not flags:
            raise
        command = f"`replican pull {' '.join(flags)} R`, where R is its remote for this folder"
        hint = f"if that is meant, in the folder at {place}: {command} (`replican remote add` makes one)"
        raise RefusedError(error.message, hint, error.gates) from error


def damage(error: ReplicanError, name: str, place: str) -> FarDamageError:
    """The error for an object that the remote called ``name`` should have whole."""
    return FarDamageError(f"remote {name} is damaged: {error.message}", f"run `replican fsck` at {place}")


def notes(name: str, told: Sequence[str]) -> list[str]:
    """What the remote called ``name`` wants to be told, each on a line that says whose it is."""
    return [note if note.startswith(name) else f"{name}: {note}" for note in map(show_told, told)]


def problems(told: Sequence[messages.Note]) -> list[Problem]:
    """What a remote says is the matter with paths of its."""
    return [Problem(note.path, show_told(note.cause), note.held) for note in told]


def refs(told: Sequence[messages.Ref]) -> list[tuple[str, CheckpointId]]:
    """Refs that a remote says it has; raises ``ProtocolError`` where one has a name that none can have."""
    for ref in told:
        if not is_ref_name(ref.name):
            raise ProtocolError(f"a ref came of a name that none has: {ref.name!r}")
    return [(ref.name, CheckpointId(ref.id)) for ref in told]
