"""Early files: edited files that are sent while they are read to be recorded, as steps from their old versions.

A stream of them has, for each file, an ``a``, the blob id of its old version (32 bytes) and its size (8 bytes,
big-endian); then its steps in the order of its bytes: an ``o``, an offset (8 bytes) and a length (4 bytes) for bytes
that are those of the old version from there on, or a ``b``, a length (4 bytes) and bytes that are new; then an ``e``
where that is all of it, or an ``x`` where the rest is not sent. At the end of the stream stands a ``.``.

What id the file has is not told: whoever puts it together computes that, and the checkpoint that comes later says
which is wanted.
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from replican.values.blocks import MOST
from replican.values.errors import ProtocolError
from replican.values.ids import BlobId
from replican.values.streams import StreamReader
from replican.values.trees import SIZE_LIMIT

RUN_LIMIT: Final = 1 << 20
"""No step is longer, in bytes."""
NEW_LIMIT: Final = 32 << 20
"""How many new bytes a stream has at most. What has more of them is asked for, and gone on with after a cut."""
FILES_LIMIT: Final = 1024
"""How many files a stream has at most."""

_FILE: Final = struct.Struct(">c32sQ")
_OLD: Final = struct.Struct(">cQI")
_NEW: Final = struct.Struct(">cI")
_BEGIN, _FROM_OLD, _BYTES, _WHOLE, _ABANDONED, _END = b"a", b"o", b"b", b"e", b"x", b"."


class Step(NamedTuple):
    """The next ``length`` bytes of a file: those of its old version from ``offset`` on, or ``new`` ones."""

    offset: int
    length: int
    new: bytes | None


def encode_beginning(old: BlobId, size: int) -> bytes:
    """What stands before the steps of a file of ``size`` bytes whose old version is ``old``."""
    return _FILE.pack(_BEGIN, old, size)


def encode_run(offset: int, length: int) -> bytes:
    """A step that takes bytes of the old version."""
    return _OLD.pack(_FROM_OLD, offset, length)


def encode_new(data: bytes) -> bytes:
    """A step of new bytes, no more than a block has."""
    return _NEW.pack(_BYTES, len(data)) + data


def encode_ending(is_whole: bool) -> bytes:
    """What stands after the steps of a file: these were all, or the rest is not sent."""
    return _WHOLE if is_whole else _ABANDONED


def end_of_early() -> bytes:
    """What ends a stream of early files."""
    return _END


class EarlyFile:
    """One file of a stream: the id of its ``old`` version, its ``size`` in bytes, and its :meth:`steps`, which have to
    be read before the next file. ``is_whole`` tells, once they have been, whether all of it came."""

    def __init__(self, old: BlobId, size: int, reader: StreamReader, allowed: list[int]) -> None:
        self.old = old
        self.size = size
        self.is_whole = False
        self._reader = reader
        self._allowed = allowed

    def steps(self) -> Iterator[Step]:
        """Raises ``ProtocolError`` for what none can be, and where they do not come to the size."""
        reader, left = self._reader, self.size
        while (letter := reader.take(1)) in (_FROM_OLD, _BYTES):
            if letter == _FROM_OLD:
                _, offset, length = _OLD.unpack(letter + reader.take(_OLD.size - 1))
                if length > RUN_LIMIT or offset + length > SIZE_LIMIT:
                    raise ProtocolError("a step of an early file came that is too long")
                step = Step(offset, length, None)
            else:
                _, length = _NEW.unpack(letter + reader.take(_NEW.size - 1))
                self._allowed[0] -= length
                if length > MOST or self._allowed[0] < 0:
                    raise ProtocolError("more bytes of early files came than may be sent unasked")
                step = Step(0, length, reader.take(length))
            left -= length
            if not length or left < 0:
                raise ProtocolError("an early file came that is longer than it says, or with an empty step")
            yield step
        if letter not in (_WHOLE, _ABANDONED) or (letter == _WHOLE and left):
            raise ProtocolError("an early file came that does not end where it says")
        self.is_whole = letter == _WHOLE


def read_early(reader: StreamReader) -> Iterator[EarlyFile]:
    """The files of a stream. Raises ``ProtocolError`` for what is none, and for too many."""
    allowed = [NEW_LIMIT]
    for _ in range(FILES_LIMIT + 1):
        letter = reader.take(1)
        if letter == _END:
            reader.finish()
            return
        if letter != _BEGIN:
            break
        _, old, size = _FILE.unpack(letter + reader.take(_FILE.size - 1))
        if size >= SIZE_LIMIT:
            break
        yield EarlyFile(BlobId(old), size, reader, allowed)
    raise ProtocolError("a stream of early files came with what is none")
