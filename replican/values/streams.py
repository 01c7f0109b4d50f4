"""Streams: what the long runs of raw bytes between the two ends of a link hold. ``man 7 replican-protocol``.

A stream of *objects* has a record for each: its kind (``c`` a checkpoint, ``t`` a tree), the length of its payload (4
bytes, big-endian), the payload; and at its end a ``.``. No ids: whoever reads computes them.

A stream of *contents* has, for each that was asked for and in that order, a letter: ``g`` (it is nowhere there), ``c``
(where it lay, there is something else now), or ``f`` and ``t`` (here it is, from the folder or from the trash). After
the last two come the size of the whole (8 bytes, big-endian), its bytes from where it was asked for to its end, and a
letter once more: ``y``, or ``n`` for content that did not stay the same until its end.

A stream of *block lists* has, for each that was asked for, ``g`` (there is none), ``c`` (as of a content), or ``l``,
its length (4 bytes) and the list. One of *ranges* has a letter as before a content, then the bytes of all ranges, then
``y`` or ``n``.

A stream of *copies* has, for each directory (or for some of its files; it may come again), a ``d``, the length of its
path (4 bytes), how many files follow (4 bytes), the path; then for each file the length of its name and its permissions
(2 bytes each), its time in ns (8 bytes, signed), its size (4 bytes), its name, its content; and at its end a ``.``.
Each frame has whole records of these, and the end is a frame of its own: whoever reads may give frames to others.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from replican.values.blocks import BlockList, longest_encoding, parse_blocks
from replican.values.checkpoints import MESSAGE_LIMIT
from replican.values.errors import MalformedError, ProtocolError, UnsupportedError
from replican.values.ids import object_hash
from replican.values.names import are_tree_names, is_tree_name

OBJECTS_LIMIT: Final = 2 << 30
"""How many bytes of objects are taken in by one request, at most: they are held in memory."""
TREE_LIMIT: Final = 256 << 20
"""The largest payload of a tree, in bytes."""

GONE: Final = b"g"
CHANGED: Final = b"c"
FROM_FOLDER: Final = b"f"
FROM_TRASH: Final = b"t"
STAYED: Final = b"y"
BROKEN: Final = b"n"
LISTED: Final = b"l"

COPY_LIMIT: Final = 1 << 17
"""No file in a stream of copies is larger, in bytes."""
PATH_LIMIT: Final = 1 << 17
"""No path is longer, in bytes."""
PIECE_BYTES: Final = 1 << 19
"""How many bytes of copies go into one frame, if these are of more than one directory."""
RECORD_BYTES: Final = 3 << 18
"""How many bytes of one directory's copies go into one frame, but for its path and those of one file."""

_LENGTH = struct.Struct(">I")
_SIZE = struct.Struct(">Q")
_END = b"."
_KINDS = {b"c": b"commit", b"t": b"tree"}
_LETTERS = {kind: letter for letter, kind in _KINDS.items()}
_MOST = {b"c": MESSAGE_LIMIT, b"t": TREE_LIMIT}


class StreamReader:
    """Reads from a stream that comes in pieces; ``more`` returns the next one, which is not empty."""

    def __init__(self, more: Callable[[], bytes]) -> None:
        self._more = more
        self._piece = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes. Memory is taken for what has come, never for what was announced."""
        at = self._at
        if len(self._piece) - at >= count:
            self._at = at + count
            return self._piece[at : at + count]
        pieces: list[bytes] = []
        while count:
            piece = self.some(count)
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def some(self, most: int) -> bytes:
        """What is there, but ``most`` bytes at most, and at least one."""
        if self._at == len(self._piece):
            self._piece, self._at = self._more(), 0
        piece = self._piece[self._at : self._at + most]
        self._at += len(piece)
        return piece

    def finish(self) -> None:
        """Nothing more belongs to this stream; raises ``ProtocolError`` where something has come."""
        if self._at != len(self._piece):
            raise ProtocolError("a stream came with more than was asked for")


# -- objects -----------------------------------------------------------------------------------------------------


def encode_object(kind: bytes, payload: bytes) -> bytes:
    """The record of an object."""
    return b"%s%s%s" % (_LETTERS[kind], _LENGTH.pack(len(payload)), payload)


def end_of_objects() -> bytes:
    """What ends a stream of objects."""
    return _END


def read_objects(reader: StreamReader, limit: int = OBJECTS_LIMIT) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Id, kind and payload of each object of a stream. The id is its hash; its form is not looked at.

    Raises ``ProtocolError``, also where all payloads together have more than ``limit`` bytes.
    """
    while True:
        letter = reader.take(1)
        if letter == _END:
            reader.finish()
            return
        kind = _KINDS.get(letter)
        if kind is None:
            raise ProtocolError("a stream of objects came with what is none")
        (length,) = _LENGTH.unpack(reader.take(_LENGTH.size))
        limit -= length
        if length > _MOST[letter] or limit < 0:
            raise ProtocolError("objects came that are too large, or too many")
        payload = reader.take(length)
        yield object_hash(kind, payload), kind, payload


# -- contents ----------------------------------------------------------------------------------------------------


class Answer(NamedTuple):
    """The beginning of one content: one of the letters, and the size of the whole in bytes."""

    letter: bytes
    size: int

    @property
    def is_there(self) -> bool:
        return self.letter in (FROM_FOLDER, FROM_TRASH)


def encode_answer(letter: bytes, size: int = 0) -> bytes:
    """What stands before a content, or in its place."""
    return letter + _SIZE.pack(size) if letter in (FROM_FOLDER, FROM_TRASH) else letter


def read_answer(reader: StreamReader, size: int | None, offset: int, most: int) -> Answer:
    """What stands before a content of ``size`` bytes (None: any, up to ``most``) that was asked for from ``offset`` on.

    Raises ``ProtocolError`` where it is none, or has another size.
    """
    letter = reader.take(1)
    if letter in (GONE, CHANGED):
        return Answer(letter, 0)
    if letter not in (FROM_FOLDER, FROM_TRASH):
        raise ProtocolError("a stream of contents came with what is none")
    (told,) = _SIZE.unpack(reader.take(_SIZE.size))
    if told != size if size is not None else not offset <= told <= most:
        raise ProtocolError(f"content of {told} bytes came, which was not asked for")
    return Answer(letter, told)


def read_small(reader: StreamReader, size: int) -> tuple[bytes, bytes | None]:
    """The letter of a small content of ``size`` bytes that was asked for from its beginning on, and the content: None
    where it is not there, or did not stay the same. Raises as :func:`read_answer` does."""
    letter = reader.take(1)
    if letter in (GONE, CHANGED):
        return letter, None
    if letter not in (FROM_FOLDER, FROM_TRASH):
        raise ProtocolError("a stream of contents came with what is none")
    # All of it at once: there are many of these.
    rest = reader.take(_SIZE.size + size + 1)
    (told,) = _SIZE.unpack_from(rest)
    if told != size or rest[-1:] not in (STAYED, BROKEN):
        raise ProtocolError(f"content of {told} bytes came, which was not asked for")
    return letter, rest[_SIZE.size : -1] if rest[-1:] == STAYED else None


def read_end(reader: StreamReader) -> bool:
    """What stands after a content: whether it stayed the same while it was read over there."""
    letter = reader.take(1)
    if letter not in (STAYED, BROKEN):
        raise ProtocolError("a stream of contents came with what is none")
    return letter == STAYED


# -- blocks and ranges -------------------------------------------------------------------------------------------


def encode_listed(encoded: bytes) -> bytes:
    """An encoded block list, as a stream has it."""
    return LISTED + _LENGTH.pack(len(encoded)) + encoded


def read_listed(reader: StreamReader, size: int) -> BlockList | bytes:
    """The block list of a file of ``size`` bytes that comes next; else the letter that comes in its place, which is
    that of no list, too, for one that cannot be used here.

    Raises ``ProtocolError`` for what no list of such a file can be. No more is taken in than the longest can have.
    """
    letter = reader.take(1)
    if letter in (GONE, CHANGED):
        return letter
    if letter != LISTED:
        raise ProtocolError("a stream of block lists came with what is none")
    (length,) = _LENGTH.unpack(reader.take(_LENGTH.size))
    if length > longest_encoding(size):
        raise ProtocolError(f"a block list of {length} bytes came, which is too long")
    try:
        blocks = parse_blocks(reader.take(length))
    except UnsupportedError:
        return GONE
    except MalformedError as error:
        raise ProtocolError(f"{error.message} came") from error
    if blocks.size != size:
        raise ProtocolError(f"the block list of a file of {blocks.size} bytes came, which was not asked for")
    return blocks


def read_ranges_begin(reader: StreamReader) -> bytes:
    """The letter that stands before ranges, or in their place."""
    letter = reader.take(1)
    if letter not in (GONE, CHANGED, FROM_FOLDER, FROM_TRASH):
        raise ProtocolError("a stream of ranges came with what is none")
    return letter


# -- copies ------------------------------------------------------------------------------------------------------

_DIRECTORY: Final = b"d"
_COUNTS = struct.Struct(">II")
_FILE = struct.Struct(">HHqI")


class CopiedFile(NamedTuple):
    """A file as it was read: its name, its nine bits of permissions, its time in ns, its content."""

    name: bytes
    perm: int
    mtime_ns: int
    content: bytes


class CopyRecord(NamedTuple):
    """Some files of a directory, encoded: the pieces that they are, and how many bytes these have."""

    pieces: Sequence[bytes]
    size: int


def encode_copies(path: bytes, files: Iterable[CopiedFile]) -> list[CopyRecord]:
    """Some files of the directory ``path``, each of no more than :data:`COPY_LIMIT` bytes, as records that none is much
    larger of than :data:`RECORD_BYTES`."""
    records: list[CopyRecord] = []
    pieces: list[bytes] = [b""]
    size = 0
    for name, perm, mtime_ns, content in files:
        length = len(content)
        if size and size + length > RECORD_BYTES:
            records.append(_end_record(path, pieces, size))
            pieces, size = [b""], 0
        pieces += (_FILE.pack(len(name), perm, mtime_ns, length), name, content)
        size += _FILE.size + len(name) + length
    if size:
        records.append(_end_record(path, pieces, size))
    return records


def _end_record(path: bytes, pieces: list[bytes], size: int) -> CopyRecord:
    pieces[0] = b"%s%s%s" % (_DIRECTORY, _COUNTS.pack(len(path), len(pieces) // 3), path)
    return CopyRecord(pieces, size + len(pieces[0]))


def frame_copies(records: Iterable[CopyRecord], frame: Callable[[bytes], bytes]) -> bytes:
    """Records of copies as frames, each of which has some that are whole; ``frame`` makes one."""
    frames: list[bytes] = []
    some: list[bytes] = []
    size = 0
    for record in records:
        if some and size + record.size > PIECE_BYTES:
            frames.append(frame(b"".join(some)))
            some, size = [], 0
        some += record.pieces
        size += record.size
    if some:
        frames.append(frame(b"".join(some)))
    return b"".join(frames)


END_OF_COPIES: Final = _END
"""What ends a stream of copies: it stands in a frame of its own, as it is."""


def read_copies(piece: bytes) -> Iterator[tuple[bytes, list[CopiedFile]]]:
    """The records of copies in a piece of a stream: a directory, and some of its files.

    Raises ``ProtocolError``, also for paths and names that no tree may hold.
    """
    at, end = 0, len(piece)
    while at < end:
        if piece[at : at + 1] != _DIRECTORY:
            raise ProtocolError("a stream of copies came with what is none")
        try:
            length, count = _COUNTS.unpack_from(piece, at + 1)
        except struct.error:
            raise _cut() from None
        if length > PATH_LIMIT:
            raise ProtocolError(f"a path of {length} bytes came")
        at += 1 + _COUNTS.size
        path = piece[at : at + length]
        at += length
        if path and not all(map(is_tree_name, path.split(b"/"))):
            raise ProtocolError(f"a path came that is not allowed: {path!r}")
        files: list[CopiedFile] = []
        for _ in range(count):
            try:
                length, perm, mtime_ns, size = _FILE.unpack_from(piece, at)
            except struct.error:
                raise _cut() from None
            if perm > 0o777 or size > COPY_LIMIT:
                raise ProtocolError("a copy came that is too large, or has permissions that there are not")
            at += _FILE.size
            start = at + length
            name = piece[at:start]
            at = start + size
            files.append(_new_file(CopiedFile, (name, perm, mtime_ns, piece[start:at])))
        if at > end:
            raise _cut()
        if not are_tree_names([file[0] for file in files]):
            raise ProtocolError(f"names came that are not allowed, in {path!r}")
        yield path, files


_new_file = tuple.__new__  # what ``CopiedFile(...)`` does, without a call in between


def _cut() -> ProtocolError:
    return ProtocolError("a record of copies came that does not end with its frame")
