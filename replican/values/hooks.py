"""Hooks: the folder's owner's own programs, which are asked or told about what is done. ``man 7 replican-hooks``.

The library asks and tells through :class:`Hooks`, and knows no program; without a front that says otherwise nobody
listens.
"""

from collections.abc import Sequence
from typing import Final, Protocol

POST_CHECKPOINT: Final = "post-checkpoint"
PRE_MERGE: Final = "pre-merge"
POST_MERGE: Final = "post-merge"
CONFLICT: Final = "conflict"
GATE: Final = "gate"

NAMES: Final = (POST_CHECKPOINT, PRE_MERGE, POST_MERGE, CONFLICT, GATE)

NOBODY: Final = "-"
"""Stands where a hook is told an id or a remote, and there is none."""

Kind = tuple[str, ...]
"""Why something is refused, as :attr:`~replican.values.errors.RefusedError.kind` has it."""


class Hooks(Protocol):
    """Who is asked and told. ``arguments`` and ``given`` (its input) are those that the page describes."""

    def has(self, name: str) -> bool:
        """Whether anybody would listen."""

    def ask(self, name: str, arguments: Sequence[str], given: bytes = b"") -> str | None:
        """Ask, and wait for the answer: None for yes, else why not."""

    def tell_later(self, name: str, arguments: Sequence[str], given: bytes = b"") -> None:
        """Tell it by the next :meth:`tell_now`."""

    def tell_now(self) -> list[str]:
        """Tell what has been waiting, with the folder unlocked: what listeners do may need the lock. What their user
        should hear of it."""

    def is_news(self, where: str, kind: Kind | None) -> bool:
        """Whether the gate before ``where`` did not stand closed for the same reason already; None: it is open."""


class NoHooks:
    """Nobody listens."""

    def has(self, name: str) -> bool:
        return False

    def ask(self, name: str, arguments: Sequence[str], given: bytes = b"") -> str | None:
        return None

    def tell_later(self, name: str, arguments: Sequence[str], given: bytes = b"") -> None:
        pass

    def tell_now(self) -> list[str]:
        return []

    def is_news(self, where: str, kind: Kind | None) -> bool:
        return False


def note_gate(closed: dict[str, Kind], where: str, kind: Kind | None) -> bool:
    """Note in ``closed`` how the gate before ``where`` stands, and tell what :meth:`Hooks.is_news` tells."""
    before = closed.pop(where, None)
    if kind is not None:
        closed[where] = kind
    return kind is not None and kind != before
