"""A channel: one end of a link, over two descriptors. Frames go out and come in; what was sent is counted.

Neither end waits for ever. While one is busy, a thread of it says now and then that it is there; who has heard
nothing for a while takes the link for dead. Neither end blocks the other: whoever cannot write goes on reading, up to
a bound, so that two who write at the same moment do not wait for each other.
"""

import os
import select
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from replican.values.errors import LinkError, ProtocolError, ReplicanError
from replican.values.frames import ALIVE, BODY_LIMIT, MESSAGE, PACKED, PREAMBLE, Deframer, Frame, encode_frame, unpack
from replican.values.streams import StreamReader

if TYPE_CHECKING:
    from replican.values.frames import Packer
    from replican.values.messages import Message

ALIVE_SECONDS: Final = 15.0
DEAD_SECONDS: Final = 180.0
CHUNK: Final = 1 << 18
"""How many bytes of a stream go into one frame."""
_HELD_LIMIT = 2 * BODY_LIMIT


class Channel:
    """One end of a link. It takes over both descriptors; close it. Only one thread may use it.

    ``sent`` and ``received`` count bytes, frames and all.
    """

    def __init__(
        self, source: int, target: int, *, alive_seconds: float = ALIVE_SECONDS, dead_seconds: float = DEAD_SECONDS
    ) -> None:
        self._source, self._target = source, target
        self._dead_seconds = dead_seconds
        self._deframer = Deframer()
        self._heard = time.monotonic()
        self._ended = False
        self._out = bytearray()
        self._packer: Packer | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.sent = self.received = 0
        os.set_blocking(source, False)
        os.set_blocking(target, False)
        self._thread = threading.Thread(target=self._stay_alive, args=(alive_seconds,), daemon=True)
        self._has_spoken = False
        self._thread.start()

    def close(self) -> None:
        """Stop, and close both descriptors. Nothing is said to the other end."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._thread.join()
        for fd in {self._source, self._target}:
            os.close(fd)

    @property
    def has_begun(self) -> bool:
        """Whether the other end has said anything that belongs to the protocol."""
        return self._deframer.has_begun

    # Sending

    def send(self, message: "Message") -> None:
        """Send a message. Raises ``LinkError``; or what the other end said in its place before it went away."""
        from replican.values.messages import encode_message

        self._write(encode_message(message))

    def compress(self) -> None:
        """From now on streams are compressed where that helps: the other end can read it."""
        from replican.values.frames import Packer

        self._packer = Packer()

    def put(self, data: bytes) -> None:
        """Send some of a stream: at once where it is much, else with what comes next."""
        if not self._out and len(data) == CHUNK:
            self._put_frame(data)
            return
        self._out += data
        while len(self._out) >= CHUNK:
            self._put_frame(bytes(self._out[:CHUNK]))
            del self._out[:CHUNK]

    def put_rest(self) -> None:
        """Send what is left of a stream."""
        if self._out:
            self._put_frame(bytes(self._out))
            self._out.clear()

    def _put_frame(self, data: bytes) -> None:
        from replican.values.frames import BYTES

        self._write(encode_frame(BYTES, data) if self._packer is None else self._packer.frame(data))

    def _write(self, data: bytes) -> None:
        self._check_open()
        with self._lock:
            view = memoryview(data if self._has_spoken else PREAMBLE + data)
            self._has_spoken = True
            started = time.monotonic()
            while view:
                try:
                    count = os.write(self._target, view)
                except BlockingIOError:
                    self._wait(started, writing=True)
                    continue
                except OSError as error:
                    self._raise_last_words(error)
                self.sent += count
                view = view[count:]
                started = time.monotonic()

    def _check_open(self) -> None:
        if self._closing.is_set():
            raise LinkError("the link was closed")

    def _raise_last_words(self, error: OSError) -> None:
        """The other end does not read any more: it may have said why."""
        try:
            while True:
                frame = self._frame()
                if frame.kind == MESSAGE:
                    self._message(frame)
        except LinkError:
            raise LinkError("the link was cut", None) from error

    def _stay_alive(self, seconds: float) -> None:
        frame = encode_frame(ALIVE)
        while not self._closing.wait(seconds):
            if not self._lock.acquire(blocking=False):
                continue  # what is being written says enough
            try:
                left = frame if self._has_spoken else b""
                while left:
                    try:
                        left = left[os.write(self._target, left) :]
                    except BlockingIOError:
                        if left == frame:
                            break
                        select.select([], [self._target], [], seconds)
                self.sent += len(frame) - len(left)
            except OSError:
                pass  # whoever reads or writes next finds out
            finally:
                self._lock.release()

    # Receiving

    def receive(self) -> "Message":
        """The next message. Raises ``LinkError``, ``ProtocolError``, or what the other end says has failed there."""
        frame = self._frame()
        if frame.kind != MESSAGE:
            raise ProtocolError("a stream came in the place of a message")
        return self._message(frame)

    def stream(self) -> StreamReader:
        """The stream that comes next. Its pieces raise what :meth:`receive` does."""
        return StreamReader(self._piece)

    def _piece(self) -> bytes:
        frame = self._frame()
        if frame.kind == MESSAGE:
            self._message(frame)
            raise ProtocolError("a message came in the midst of a stream")
        data = unpack(frame.body) if frame.kind == PACKED else frame.body
        if not data:
            raise ProtocolError("an empty piece of a stream came")
        return data

    @staticmethod
    def _message(frame: Frame) -> "Message":
        from replican.values.messages import Failed, decode_message

        message = decode_message(frame.body)
        if isinstance(message, Failed):
            raise error_of(message.code, message.message, message.hint or None)
        return message

    def _frame(self) -> Frame:
        """The next frame that says anything."""
        self._check_open()
        started = time.monotonic()
        while True:
            frame = self._deframer.take()
            if frame is None:
                if self._ended:
                    raise LinkError("the link was cut" if len(self._deframer) else "the other end went away")
                self._wait(started)
            elif frame.kind != ALIVE:
                return frame

    def _wait(self, started: float, *, writing: bool = False) -> None:
        """Wait until something has come, or, if ``writing``, more can be written."""
        left = max(self._heard, started) + self._dead_seconds - time.monotonic()
        if left <= 0:
            raise LinkError(f"nothing was heard from the other end for {self._dead_seconds:.0f} seconds")
        poll = select.poll()
        # Without any event asked for, it is still told when nobody reads any more.
        poll.register(self._target, select.POLLOUT if writing else 0)
        if not self._ended and (not writing or len(self._deframer) < _HELD_LIMIT):
            poll.register(self._source, select.POLLIN)
        ready = dict(poll.poll(left * 1000))
        if self._source in ready:
            self._read()
        elif ready and not writing and not self._read():
            raise LinkError("the link was cut")

    def _read(self) -> bool:
        """Take in what has come; whether there was anything, or the end."""
        try:
            data = os.read(self._source, CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._ended = True
        self._heard = time.monotonic()
        self.received += len(data)
        self._deframer.feed(data)
        return True


_KNOWN: dict[str, Callable[[str, str | None], ReplicanError]] = {}


def error_of(code: str, message: str, hint: str | None) -> ReplicanError:
    """What failed over there as an error here; what is not known here is the remote's."""
    from replican.values import errors

    if not _KNOWN:
        for kind in (
            errors.RefusedError,
            errors.NoSpaceError,
            errors.LockedError,
            errors.DivergedError,
            errors.NoRepositoryError,
            errors.DamagedError,
            errors.MissingObjectError,
            errors.NotFoundError,
            errors.FolderError,
        ):
            _KNOWN[kind.code] = kind
    if code == errors.ProtocolError.code:
        message = f"it says of this end that {message}"
    return _KNOWN.get(code, errors.RemoteError)(message, hint)
