"""What both ends of a link have in common: how they begin, and what they hold of what came and has to come."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from replican import __version__
from replican.effects.channel import DEFAULT_TERMS, Channel, Terms
from replican.effects.forms import CHECKPOINT, parse_as_checkpoint
from replican.values import messages
from replican.values.checkpoints import Checkpoint
from replican.values.errors import MissingObjectError
from replican.values.ids import CheckpointId

if TYPE_CHECKING:
    from replican.operations.wired import WiredRemote
    from replican.repository import Repository

_FIRST_STEP = 256


def hello_of(
    peer: str, terms: Terms = DEFAULT_TERMS, *, replica: bool = True, read_only: bool = False
) -> messages.Hello:
    """What this release says first."""
    version = messages.VERSION
    return messages.Hello(
        version,
        version,
        peer,
        __version__,
        sorted(messages.ABLE),
        replica=replica,
        read_only=read_only,
        rate=terms.rate,
        patience=math.ceil(terms.timeout),
    )


def heed(channel: Channel, hello: messages.Hello) -> None:
    """Begin to talk with who says this; raises ``ProtocolError`` where that is not possible."""
    messages.check_hello(hello, messages.ABLE)
    channel.heed(hello.rate, hello.patience)
    if messages.ZSTD in hello.able:
        channel.compress()


def clip(text: str) -> str:
    """As much of a text as a message takes."""
    return text.encode("utf-8", "backslashreplace").decode()[:4096]


class ReceivedObjects:
    """Objects that came, by their ids; ``more`` is asked for one that did not, and adds what it can."""

    def __init__(self, more: Callable[[bytes, bytes], None] | None = None) -> None:
        self._more = more
        self._objects: dict[bytes, tuple[bytes, bytes]] = {}

    def __contains__(self, id: object) -> bool:
        return id in self._objects

    def add(self, id: bytes, kind: bytes, payload: bytes) -> None:
        self._objects[id] = kind, payload

    def end(self) -> None:
        """What has not come by now is not asked for any more."""
        self._more = None

    def checkpoint(self, checkpoint: CheckpointId, /) -> Checkpoint:
        return parse_as_checkpoint(checkpoint, self.payload(CHECKPOINT, checkpoint))

    def payload(self, kind: bytes, id: bytes, /) -> bytes:
        found = self._objects.get(id)
        if found is None and self._more is not None:
            self._more(kind, id)
            found = self._objects.get(id)
        if found is None or found[0] != kind:
            raise MissingObjectError(f"no object {id.hex()}")
        return found[1]


class Above:
    """What a remote's log has above that of ``repo``: asked for in steps that grow, until all has come."""

    def __init__(self, remote: "WiredRemote", repo: "Repository") -> None:
        self._remote = remote
        self._repo = repo
        self._step = messages.LOG_STEP if repo.head is None else _FIRST_STEP
        self._unmet: dict[bytes, None] = {}
        self.objects = ReceivedObjects(self._more)

    def _more(self, kind: bytes, id: bytes) -> None:
        if kind == CHECKPOINT:
            heads = [each for each in (id, *self._unmet) if each not in self.objects][: messages.FEW]
            request: messages.Message = messages.WantLog(
                list(dict.fromkeys(heads)), self._remote.have(self._repo), self._step
            )
            self._step = min(4 * self._step, messages.LOG_STEP)
        else:
            request = messages.WantObjects([id], below=True)
        progress = self._repo.progress
        progress.begin("receiving the log", wire=self._remote.traffic_now)
        try:
            self._take(request)
        finally:
            progress.end()

    def _take(self, request: messages.Message) -> None:
        for found, its_kind, payload in self._remote.receive_objects(request):
            self._repo.progress.advance(0, len(payload))
            self.objects.add(found, its_kind, payload)
            self._unmet.pop(found, None)
            if its_kind == CHECKPOINT:
                parents = parse_as_checkpoint(found, payload).parents
                self._unmet.update(dict.fromkeys(each for each in parents if not self._is_known(each)))

    def _is_known(self, id: CheckpointId) -> bool:
        return id in self.objects or self._repo.objects.has(id)
