"""Being told when the head of a remote moves, beside waiting for whatever else has a descriptor.

A :class:`Lookout` is what a remote gives for that. Between two waits the remote may be asked anything else: whoever
waits again begins from the head that the remote was last seen to have.
"""

import time
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from replican.effects.headwatch import HeadWatch
from replican.effects.roots import is_replica
from replican.values import messages
from replican.values.errors import DamagedError, NotFoundError, ProtocolError, RemoteError, ReplicanError
from replican.values.ids import CheckpointId

if TYPE_CHECKING:
    from replican.effects.channel import Channel
    from replican.operations.folders import FolderRemote
    from replican.operations.wired import WiredRemote

ASK_SECONDS: Final = 30.0
"""How often a remote is asked that cannot tell by itself."""
_GAP_SECONDS: Final = 0.2
"""A remote is listened to so long after it has told something: what it tells meanwhile nobody has asked for."""


class Moved(NamedTuple):
    """A remote's head is elsewhere than it was seen: ``head`` is None for an empty log."""

    remote: str
    head: CheckpointId | None


class Lookout(Protocol):
    """Waits for one remote's head. Any of these may raise ``RemoteError``: then the remote is lost, not the others."""

    @property
    def name(self) -> str:
        """What the remote is called."""

    @property
    def descriptor(self) -> int | None:
        """What can be read when it is time for :meth:`news`; None where only time tells."""

    @property
    def due(self) -> float:
        """After how many seconds it is time for :meth:`news`, whatever the descriptor says."""

    def news(self) -> Moved | None:
        """Where the head is now, if it is elsewhere than the remote was last seen to have it. Does not wait."""


class FolderLookout:
    """A :class:`Lookout` for a folder here. Close it."""

    def __init__(self, remote: "FolderRemote", dotdir: str) -> None:
        self._remote = remote
        self._watch = HeadWatch(dotdir)
        self._is_new = True

    def close(self) -> None:
        self._watch.close()

    @property
    def name(self) -> str:
        return self._remote.name

    @property
    def descriptor(self) -> int | None:
        return self._watch.descriptor

    @property
    def due(self) -> float:
        return 0.0 if self._is_new else self._watch.due

    def news(self) -> Moved | None:
        if not self._watch.may_have_moved() and not self._is_new:
            return None
        self._is_new = False
        if not is_replica(self._remote.place):
            raise RemoteError(f"remote {self.name} is no replica any more", "is the disk that holds it mounted?")
        known = self._remote.seen
        try:
            head = self._remote.head
        except (DamagedError, NotFoundError) as error:
            raise self._remote.damaged(error) from error
        return None if head == known else Moved(self.name, head)


class WiredLookout:
    """A :class:`Lookout` at the far end of a link."""

    def __init__(self, remote: "WiredRemote") -> None:
        self._remote = remote
        self._known: CheckpointId | None = None
        self._waits = False
        self._not_before = 0.0

    @property
    def name(self) -> str:
        return self._remote.name

    @property
    def descriptor(self) -> int | None:
        return self._remote.link_channel().descriptor

    @property
    def due(self) -> float:
        pause = self._not_before - time.monotonic()
        channel = self._remote.link_channel()
        return channel.due if self._waits else min(channel.due, max(0.0, pause))

    def news(self) -> Moved | None:
        try:
            with self._remote.telling():
                return self._news()
        except RemoteError:
            raise
        except ReplicanError as error:  # what was refused over there
            raise RemoteError(error.message, error.hint) from error

    def _news(self) -> Moved | None:
        channel = self._remote.link_channel()
        if not self._waits and time.monotonic() >= self._not_before:
            self._known = self._remote.head_known()
            channel.send(messages.Subscribe(self._known))
            self._waits = True
        told = channel.receive_now()
        return None if told is None else self._take(told)

    def _take(self, told: messages.Message) -> Moved:
        if not isinstance(told, messages.Moved) or not self._waits:
            raise ProtocolError("it said something that it was not asked")
        head = None if told.head is None else CheckpointId(told.head)
        if head == self._known:
            raise ProtocolError("it said that its head had moved to where it was")
        self._waits = False
        self._not_before = time.monotonic() + _GAP_SECONDS
        self._remote.note_head(head)
        return Moved(self.name, head)

    def forget(self) -> None:
        """The link is gone; with another one, it is asked anew."""
        self._waits = False

    def rest(self, channel: "Channel") -> bool:
        """Something else is about to be asked; whether an answer comes before those to that."""
        waits, self._waits = self._waits, False
        if waits:
            channel.send(messages.Unsubscribe())
        return waits


class AskingLookout:
    """A :class:`Lookout` for a far end that cannot tell when its head moves: it is asked now and then."""

    descriptor = None

    def __init__(self, remote: "WiredRemote") -> None:
        self._remote = remote
        self._next = time.monotonic()

    @property
    def name(self) -> str:
        return self._remote.name

    @property
    def due(self) -> float:
        return max(0.0, self._next - time.monotonic())

    def news(self) -> Moved | None:
        if self.due:
            return None
        self._next = time.monotonic() + ASK_SECONDS
        known = self._remote.head_known()
        head = self._remote.ask_for_head()
        return None if head == known else Moved(self.name, head)
