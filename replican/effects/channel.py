"""A channel: one end of a link, over two descriptors. Frames go out and come in; what was sent is counted.

Neither end waits for ever. While one is busy, a thread of it says now and then that it is there; who has heard
nothing for a while takes the link for dead. Neither end blocks the other: whoever cannot write goes on reading, up to
a bound, so that two who write at the same moment do not wait for each other. Where a rate is given, no more is written
and read: what has not been read waits in pipes and in the network, and the other end waits, too.
"""

import os
import select
import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from replican.decisions.pacing import LEAST_RATE, Bucket, full_bucket, piece, seconds_to_wait, take
from replican.values.errors import FarError, LinkError, ProtocolError
from replican.values.frames import ALIVE, BODY_LIMIT, MESSAGE, PREAMBLE, Deframer, Frame, encode_frame, piece_of
from replican.values.progress import Traffic
from replican.values.streams import StreamReader

if TYPE_CHECKING:
    from replican.values.frames import Packer
    from replican.values.messages import Message

ALIVE_SECONDS: Final = 15.0
DEAD_SECONDS: Final = 180.0
CHUNK: Final = 1 << 18
"""How many bytes of a stream go into one frame."""
_HELD_LIMIT = 2 * BODY_LIMIT
_ALIVE_LEAST: Final = 0.05
_AGAIN = "run it again: it goes on from where it was"
_AGAIN_PATIENTLY = f"{_AGAIN}; core.timeout says how long an end may be silent"


class Terms(NamedTuple):
    """What is asked of a link: a ``rate`` in bytes a second each way (0: no limit), and after how many seconds of
    silence it is taken for dead."""

    rate: int = 0
    timeout: float = DEAD_SECONDS


DEFAULT_TERMS: Final = Terms()


class Channel:
    """One end of a link. It takes over both descriptors; close it. Only one thread may use it.

    ``sent`` and ``received`` count bytes, frames and all. ``files`` and ``saved`` are only kept here, for who knows of
    them to add to: how many contents came to this end, and how many bytes of content that was wanted did not have to.
    ``is_dead`` tells that an end was found to be silent for too long.
    """

    def __init__(
        self, source: int, target: int, terms: Terms = DEFAULT_TERMS, *, alive_seconds: float = ALIVE_SECONDS
    ) -> None:
        self._source, self._target = source, target
        self._deframer = Deframer()
        self._heard = time.monotonic()
        self._ended = False
        self._out = bytearray()
        self._packer: Packer | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.sent = self.received = self.files = self.saved = 0
        self.is_dead = False
        self._begun = time.monotonic()
        self._in_bucket: Bucket | None = None
        self._out_bucket: Bucket | None = None
        self.settle(terms)
        os.set_blocking(source, False)
        os.set_blocking(target, False)
        self._alive_seconds = alive_seconds
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._stay_alive, daemon=True)
        self._has_spoken = False
        self._thread.start()

    def close(self) -> None:
        """Stop, and close both descriptors. Nothing is said to the other end."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._wake.set()
        self._thread.join()
        for fd in {self._source, self._target}:
            os.close(fd)

    @property
    def has_begun(self) -> bool:
        """Whether the other end has said anything that belongs to the protocol."""
        return self._deframer.has_begun

    @property
    def has_ended(self) -> bool:
        """Whether the other end has been heard to go away."""
        return self._ended

    @property
    def traffic(self) -> Traffic:
        """What has gone over this link so far."""
        return Traffic(self.received, self.sent, self.saved, self.files, time.monotonic() - self._begun)

    # What both ends agree on

    def settle(self, terms: Terms) -> None:
        """From now on this is what is asked of the link."""
        self.terms = terms
        self._in_bucket = self._out_bucket = full_bucket(terms.rate, time.monotonic()) if terms.rate else None

    def heed(self, rate: int, patience: float) -> None:
        """The other end wants to be sent no more than so many bytes a second (0: as many as come), and to hear
        something before so many seconds are over."""
        if rate and (self._out_bucket is None or rate < self._out_bucket.rate):
            self._out_bucket = full_bucket(max(rate, LEAST_RATE), time.monotonic())
        self._alive_seconds = max(_ALIVE_LEAST, min(self._alive_seconds, patience / 4))
        self._wake.set()

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

    def drop_rest(self) -> None:
        """What is left of a stream is not sent: what has failed is said in its place."""
        self._out.clear()

    def put_rest(self) -> None:
        """Send what is left of a stream."""
        if self._out:
            self._put_frame(bytes(self._out))
            self._out.clear()

    @property
    def packer(self) -> "Packer | None":
        """What streams are compressed by, if the other end can read that; also in processes that are forked later."""
        if self._packer is not None:
            self._packer.make_ready()
        return self._packer

    def put_frames(self, frames: bytes) -> None:
        """Send some of a stream that is in frames already."""
        self.put_rest()
        self._write(frames)

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
                    count = os.write(self._target, self._allowed(view))
                except BlockingIOError:
                    self._wait(started, writing=True)
                    continue
                except OSError as error:
                    self._raise_last_words(error)
                self.sent += count
                view = view[count:]
                started = time.monotonic()
                if self._out_bucket is not None:
                    self._out_bucket = take(self._out_bucket, count, started)
                if started > self._heard + self.terms.timeout:
                    self._check_heard()

    def _allowed(self, view: memoryview) -> memoryview:
        """As much as may be written now, after a wait if need be: what comes meanwhile is taken in."""
        if self._out_bucket is None:
            return view
        until = (now := time.monotonic()) + seconds_to_wait(self._out_bucket, now)
        while now < until:
            self._wait(now, at_most=until - now)
            now = time.monotonic()
        return view[: piece(self._out_bucket, len(view))]

    def _check_heard(self) -> None:
        """A link that takes everything, and says nothing, is dead, too; what has come and was not read counts."""
        if self._ended or len(self._deframer) >= _HELD_LIMIT:
            return
        if not select.select([self._source], [], [], 0)[0] or not self._read():
            raise self._dead()

    def _dead(self) -> LinkError:
        self.is_dead = True
        return LinkError(f"nothing was heard from the other end for {self.terms.timeout:g} seconds", _AGAIN_PATIENTLY)

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
            raise LinkError("the link was cut", _AGAIN) from error

    def _stay_alive(self) -> None:
        frame = encode_frame(ALIVE)
        while not self._closing.is_set():
            if self._wake.wait(seconds := self._alive_seconds):
                self._wake.clear()
                continue  # there is another interval now, or the end
            if not self._lock.acquire(blocking=False):
                continue  # what is being written says enough
            try:
                left = frame if self._has_spoken else b""
                while left:
                    try:
                        count = os.write(self._target, left)
                    except BlockingIOError:
                        if left == frame:
                            break
                        select.select([], [self._target], [], seconds)
                        continue
                    left = left[count:]
                    self.sent += count
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

    @property
    def descriptor(self) -> int:
        """What can be read when something has come: then, and when :attr:`due`, it is time for :meth:`receive_now`."""
        return self._source

    @property
    def due(self) -> float:
        """After how many seconds without anything the other end is taken for dead."""
        return max(0.0, self._heard + self.terms.timeout - time.monotonic())

    def receive_now(self) -> "Message | None":
        """The next message, if all of it is there; None if it is not. Raises as :meth:`receive` does, and waits for
        nothing."""
        self._check_open()
        while True:
            frame = self._deframer.take()
            if frame is None:
                if self._ended:
                    raise self._away()
                if not self._read():
                    if not self.due:
                        raise self._dead()
                    return None
            elif frame.kind == MESSAGE:
                return self._message(frame)
            elif frame.kind != ALIVE:
                raise ProtocolError("a stream came in the place of a message")

    def stream(self) -> StreamReader:
        """The stream that comes next. Its pieces raise what :meth:`receive` does."""
        return StreamReader(self._piece)

    def _piece(self) -> bytes:
        return piece_of(self.frame())

    def frame(self) -> Frame:
        """The next frame of a stream, as it came. Raises what :meth:`receive` does."""
        frame = self._frame()
        if frame.kind == MESSAGE:
            self._message(frame)
            raise ProtocolError("a message came in the midst of a stream")
        return frame

    @staticmethod
    def _message(frame: Frame) -> "Message":
        from replican.values.messages import Failed, decode_message
        from replican.values.quoting import show_told

        message = decode_message(frame.body)
        if isinstance(message, Failed):
            hint = show_told(message.hint) or None
            raise FarError(show_told(message.message), hint, message.code, tuple(message.gates))
        return message

    def _frame(self) -> Frame:
        """The next frame that says anything."""
        self._check_open()
        started = time.monotonic()
        while True:
            frame = self._deframer.take()
            if frame is None:
                if self._ended:
                    raise self._away()
                self._wait(started)
            elif frame.kind != ALIVE:
                return frame

    def _away(self) -> LinkError:
        return LinkError("the link was cut" if len(self._deframer) else "the other end went away", _AGAIN)

    def _wait(self, started: float, *, writing: bool = False, at_most: float | None = None) -> None:
        """Wait until something has come, or, if ``writing``, more can be written; or ``at_most`` so many seconds, in
        which whatever is held is enough."""
        now = time.monotonic()
        left = max(0.0, max(self._heard, started) + self.terms.timeout - now)
        is_over = not left  # but for what has come while this very process was stopped
        if at_most is not None:
            left = min(left, at_most)
        poll = select.poll()
        # Without any event asked for, it is still told when nobody reads any more.
        poll.register(self._target, select.POLLOUT if writing else 0)
        enough = (writing or at_most is not None) and len(self._deframer) >= _HELD_LIMIT
        if not self._ended and not enough:
            pause = 0.0 if self._in_bucket is None else seconds_to_wait(self._in_bucket, now)
            if pause:
                left = min(left, pause)
            else:
                poll.register(self._source, select.POLLIN)
        ready = dict(poll.poll(left * 1000))
        if is_over and not ready:
            raise self._dead()
        if self._source in ready:
            self._read()
        elif ready and not writing and not self._read():
            raise LinkError("the link was cut", _AGAIN)

    def _read(self) -> bool:
        """Take in what has come; whether there was anything, or the end."""
        try:
            data = os.read(self._source, CHUNK if self._in_bucket is None else piece(self._in_bucket, CHUNK))
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._ended = True
        self._heard = time.monotonic()
        if self._in_bucket is not None:
            self._in_bucket = take(self._in_bucket, len(data), self._heard)
        self.received += len(data)
        self._deframer.feed(data)
        return True
