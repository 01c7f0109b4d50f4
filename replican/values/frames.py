"""Frames: what the bytes of a link are cut into. ``man 7 replican-protocol`` describes them byte by byte.

A side begins with :data:`PREAMBLE`; all that follows is frames: the length of a body (4 bytes, big-endian, no more than
:data:`BODY_LIMIT`), its kind (1 byte), the body. A long run of raw bytes, a *stream*, is cut into frames wherever it
suits the sender; each may be compressed on its own.
"""

import struct
import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from replican.values.errors import ProtocolError

if TYPE_CHECKING:
    from zstandard import ZstdCompressor

PREAMBLE: Final = b"replican\n"
BODY_LIMIT: Final = 1 << 20
"""No body of a frame is larger, in bytes; nor is one when it has been decompressed."""

ALIVE: Final = 0
"""Says nothing but that this side is there. It may come between any two frames."""
MESSAGE: Final = 1
"""One message, as :mod:`replican.values.messages` has them."""
BYTES: Final = 2
"""Some of a stream, as it is."""
PACKED: Final = 3
"""Some of a stream, as one frame of zstd that tells its size."""

_HEAD = struct.Struct(">IB")
HEAD_SIZE: Final = _HEAD.size
_KINDS: Final = (ALIVE, MESSAGE, BYTES, PACKED)


class Frame(NamedTuple):
    """A frame as it came: its kind, and its body."""

    kind: int
    body: bytes


def encode_frame(kind: int, body: bytes = b"") -> bytes:
    """A frame for the wire. The body must not be larger than :data:`BODY_LIMIT`."""
    if len(body) > BODY_LIMIT:
        raise ValueError(f"a body of {len(body)} bytes is too large for a frame")
    return _HEAD.pack(len(body), kind) + body


class Deframer:
    """Cuts what comes into frames. It holds what belongs to one frame, and what came with it, and no more."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._begun = False

    def __len__(self) -> int:
        """How many bytes are held."""
        return len(self._held)

    @property
    def has_begun(self) -> bool:
        """Whether the preamble has come."""
        return self._begun

    def feed(self, data: bytes) -> None:
        """Take in what came."""
        self._held += data

    def take(self) -> Frame | None:
        """The next whole frame; None if there is none yet. Raises ``ProtocolError`` as soon as what came is none."""
        held = self._held
        if not self._begun:
            if not PREAMBLE.startswith(held[: len(PREAMBLE)]):
                raise ProtocolError(
                    f"it does not speak the protocol of replican: it began with {bytes(held[:40])!r}",
                    "does the login there print something? it must be silent where nobody looks",
                )
            if len(held) < len(PREAMBLE):
                return None
            del held[: len(PREAMBLE)]
            self._begun = True
        if len(held) < HEAD_SIZE:
            return None
        length, kind = _HEAD.unpack_from(held)
        if kind not in _KINDS:
            raise ProtocolError(f"a frame of an unknown kind came: {kind}")
        if length > (0 if kind == ALIVE else BODY_LIMIT):
            raise ProtocolError(f"a frame of {length} bytes came, which is too large")
        end = HEAD_SIZE + length
        if len(held) < end:
            return None
        body = bytes(memoryview(held)[HEAD_SIZE:end])
        del held[:end]
        return Frame(kind, body)


# -- streams -----------------------------------------------------------------------------------------------------

_TRY_AGAIN: Final = 16
_TOO_SMALL: Final = 64  # bytes: little is to be won, and the end of a stream may be all that there is to send
_WORTH: Final = 0.9


class Packer:
    """Compresses what is sent, where that helps: what a try did not make smaller is sent as it is for a while."""

    def __init__(self) -> None:
        self._compressor: ZstdCompressor | None = None
        self._skip = 0

    def make_ready(self) -> None:
        """Load what is needed: for who is going to use it in other processes."""
        if self._compressor is None:
            import zstandard

            self._compressor = zstandard.ZstdCompressor(level=1)

    def frame(self, data: bytes) -> bytes:
        """A frame of a stream with ``data``, which is no larger than :data:`BODY_LIMIT`."""
        if len(data) < _TOO_SMALL:
            return encode_frame(BYTES, data)
        if self._skip:
            self._skip -= 1
            return encode_frame(BYTES, data)
        self.make_ready()
        assert self._compressor is not None
        packed = self._compressor.compress(data)
        if len(packed) < len(data) * _WORTH:
            return encode_frame(PACKED, packed)
        self._skip = _TRY_AGAIN
        return encode_frame(BYTES, data)


def piece_of(frame: Frame) -> bytes:
    """The bytes in a frame of a stream; raises ``ProtocolError``, also where there are none."""
    data = unpack(frame.body) if frame.kind == PACKED else frame.body
    if not data:
        raise ProtocolError("an empty piece of a stream came")
    return data


class _Unpacker(threading.local):
    """What decompresses for one thread: to make it for each frame costs as much as a small one."""

    def __init__(self) -> None:
        import zstandard

        self.decompress = zstandard.ZstdDecompressor().decompress


_unpacker: _Unpacker | None = None


def unpack(body: bytes) -> bytes:
    """The bytes in a frame of the kind :data:`PACKED`; raises ``ProtocolError``, also where they are too many."""
    import zstandard

    global _unpacker
    if _unpacker is None:
        _unpacker = _Unpacker()
    try:
        size = zstandard.frame_content_size(body)
        if not 0 <= size <= BODY_LIMIT:
            raise ProtocolError("a compressed frame came that does not tell its size, or is too large")
        data = _unpacker.decompress(body, max_output_size=BODY_LIMIT, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ProtocolError(f"a compressed frame came that cannot be read: {error}") from error
    if len(data) != size:
        raise ProtocolError("a compressed frame came that has not the size that it tells")
    return data
