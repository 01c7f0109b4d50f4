"""Messages: what the two ends of a link say to each other. ``man 7 replican-protocol`` describes them.

The asker (who started the link) sends requests, the answerer an answer to each, in order. A message is a map in
msgpack; its ``type`` says which. Fields that are not known are skipped, so that a later release may add some. All that
can be seen from the message alone is checked when it is decoded: sizes of ids, lengths of lists and texts, ranges.
"""

import sys
from typing import Annotated, Final

from replican.values.errors import ProtocolError
from replican.values.frames import BODY_LIMIT, MESSAGE, encode_frame
from replican.values.names import is_tree_name

# Where typing_extensions is installed, for whatever else, msgspec takes from it what typing has, too; to load that
# takes as long as all else that a link needs. So it is not to be found meanwhile.
_is_hidden = {"typing_extensions", "msgspec"}.isdisjoint(sys.modules)
if _is_hidden:
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]
try:
    import msgspec
finally:
    if _is_hidden:
        del sys.modules["typing_extensions"]

VERSION: Final = 1
"""The version of the protocol that this release speaks."""

ZSTD: Final = "zstd"
"""The ability to read streams that are compressed."""
BLOCKS: Final = "blocks"
"""The ability to answer :class:`WantBlocks` and :class:`WantRanges`."""
HEADS: Final = "heads"
"""The ability to tell when the head moves."""
COPIES: Final = "copies"
"""The ability to send small files a directory at a time: as they are read for the first checkpoint, or when asked."""
EARLY: Final = "early"
"""The ability to send what an edited file has that its old version has not while it is read."""
SUMS: Final = "sums"
"""The ability to answer a :class:`WantRanges` with fine sums."""
ABLE: Final = frozenset([ZSTD, BLOCKS, HEADS, COPIES, EARLY, SUMS])
"""What this release can do beyond the version."""

AT_ONCE: Final = 512
"""How many contents one request asks for, at most."""
FEW: Final = 4096
"""How many ids, or problems, a message lists at most."""
LOG_STEP: Final = 1 << 20
"""How many checkpoints are asked for at once, at most."""

Id = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Ids = Annotated[list[Id], msgspec.Meta(max_length=FEW)]
Path = Annotated[bytes, msgspec.Meta(max_length=1 << 17)]
Word = Annotated[str, msgspec.Meta(max_length=255)]
Text = Annotated[str, msgspec.Meta(max_length=4096)]
Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
Small = Annotated[int, msgspec.Meta(ge=0, le=(1 << 31) - 1)]


class _Message(msgspec.Struct, tag_field="type", omit_defaults=True):
    pass


class _Part(msgspec.Struct, omit_defaults=True):
    pass


class Hello(_Message, tag="hello"):
    """The first message of both sides. ``oldest`` and ``version`` are what it speaks; ``able`` names what it can do
    beyond the version, ``required`` what the other must be able to do. Of the answerer: whether there is a ``replica``,
    and whether it takes nothing in (``read_only``). ``rate`` is how many bytes a second it wants to be sent at most (0:
    as many as come), ``patience`` after how many seconds without any it takes the other for dead."""

    version: Small
    oldest: Small
    peer: Word = ""
    program: Word = ""
    able: Annotated[list[Word], msgspec.Meta(max_length=256)] = []
    required: Annotated[list[Word], msgspec.Meta(max_length=256)] = []
    replica: bool = True
    read_only: bool = False
    rate: Count = 0
    patience: Small = 180


class Failed(_Message, tag="failed"):
    """In the place of an answer: ``code`` is that of an error of replican, ``gates`` are those that stand closed."""

    code: Word
    message: Text
    hint: Text = ""
    gates: Annotated[list[Word], msgspec.Meta(max_length=256)] = []


class Bye(_Message, tag="bye"):
    """The asker has no more to ask. Nothing comes after it."""


class Init(_Message, tag="init"):
    """Make the folder a replica, if it is none. Answered with :class:`Hello`."""


class Record(_Message, tag="record"):
    """Record what the folder's user did; answered with :class:`Recorded`. ``name`` is what the asker calls the folder,
    for what is told; ``known`` are heads that it need not be told about. With ``mirror`` a stream of copies stands
    before the answer: of small files that are read for the first checkpoint of a log. With ``early`` it is a stream of
    early files: of large ones that were edited. With ``prompt``, large files that nobody has read need not be."""

    name: Word
    known: Ids = []
    mirror: bool = False
    early: bool = False
    prompt: bool = False


class Note(_Part):
    """A path, and what is the matter with it."""

    path: Path
    cause: Text
    held: bool = False


Notes = Annotated[list[Note], msgspec.Meta(max_length=FEW)]


class Recorded(_Message, tag="recorded"):
    """The folder's head, if it has one; ``sample`` are ancestors of it at growing distances, newest first. ``behind``
    tells that the disk there has not got all that the head has; ``refused``, that a gate or a full disk kept it from
    recording what its user did."""

    head: Id | None
    sample: Ids = []
    behind: bool = False
    notes: Annotated[list[Text], msgspec.Meta(max_length=256)] = []
    unread: Notes = []
    refused: bool = False


class ListRefs(_Message, tag="list-refs"):
    """Which refs are there? Answered with :class:`Refs`."""


class Ref(_Part):
    """A ref, and where it is."""

    name: Word
    id: Id


class Refs(_Message, tag="refs"):
    refs: Annotated[list[Ref], msgspec.Meta(max_length=FEW)]


class WantLog(_Message, tag="want-log"):
    """Asks for ``heads`` and what they come from, but not for what is in ``have``, or what these come from as far as
    that is seen on the way; ``most`` checkpoints at most, the nearest to the heads first. Answered with a stream of
    these and of their trees."""

    heads: Ids
    have: Ids
    most: Annotated[int, msgspec.Meta(ge=1, le=LOG_STEP)]


class WantObjects(_Message, tag="want-objects"):
    """Asks for objects by their ids; with ``below``, for all trees below those that are trees, too. Answered with a
    stream of those that are there and whole."""

    ids: Ids
    below: bool = False


class Item(_Part):
    """One content: its id, whether it is that of a ``link``, its ``size`` (None: any), from which byte on it is asked
    for, and a path where it may lie."""

    id: Id
    link: bool = False
    size: Count | None = None
    offset: Count = 0
    path: Path = b""


class WantContents(_Message, tag="want-contents"):
    """Asks for contents. Answered with a stream that has all of them, in this order."""

    items: Annotated[list[Item], msgspec.Meta(min_length=1, max_length=AT_ONCE)]


class Directory(_Part):
    """A directory: the id of its tree, the path where it may lie, and the numbers of those entries of the tree, from 0
    on, that are not wanted, in their order."""

    id: Id
    path: Path = b""
    left_out: Annotated[list[Small], msgspec.Meta(max_length=FEW)] = []


class WantCopies(_Message, tag="want-copies"):
    """Asks for the small files of directories. Answered with a stream of copies, in no order, which may lack any."""

    directories: Annotated[list[Directory], msgspec.Meta(min_length=1, max_length=AT_ONCE)]


class WantBlocks(_Message, tag="want-blocks"):
    """Asks for the block lists of files, each of a known size. Answered with a stream that has one for each, in this
    order, or that there is none."""

    items: Annotated[list[Item], msgspec.Meta(min_length=1, max_length=AT_ONCE)]


class WantRanges(_Message, tag="want-ranges"):
    """Asks for ranges of a file of ``size`` bytes: pairs of an offset and a length, in their order, none of which
    overlap. Answered with a stream that has all of them, or with ``sums``, the fine sums of each."""

    id: Id
    size: Count
    ranges: Annotated[list[tuple[Count, Count]], msgspec.Meta(min_length=1, max_length=FEW)]
    path: Path = b""
    sums: bool = False


class Locate(_Message, tag="locate"):
    """Which of these contents are there, as far as is known? Answered with :class:`Located`."""

    items: Annotated[list[Item], msgspec.Meta(max_length=AT_ONCE)]


class Located(_Message, tag="located"):
    """Those that are in the folder, and those that are in its trash."""

    folder: Ids
    trash: Ids


class Push(_Message, tag="push"):
    """Asks to take in ``head``, if the head there is still ``old``, as a fast-forward. A stream of checkpoints and
    trees follows. Then the answerer asks, with :class:`WantContents` and the like, and is answered, until it sends
    :class:`Pushed`."""

    head: Id
    old: Id | None = None


class Pushed(_Message, tag="pushed"):
    """What a push came to: where the head is now, what is pending there (and how many paths more than are noted:
    ``unnoted``), and how many files were added, deleted, moved and changed there, if the head has moved; how many
    contents came there for it, and how many bytes of content did not have to (``saved``)."""

    head: Id
    moved: bool
    pending: Notes = []
    tally: tuple[Count, Count, Count, Count] = (0, 0, 0, 0)
    notes: Annotated[list[Text], msgspec.Meta(max_length=256)] = []
    files: Count = 0
    saved: Count = 0
    unnoted: Count = 0


class Subscribe(_Message, tag="subscribe"):
    """Asks to be told as soon as the head is another one than ``known``. Answered with :class:`Moved`, once. Until then
    nothing but :class:`Unsubscribe` and :class:`Bye` may be sent."""

    known: Id | None


class Unsubscribe(_Message, tag="unsubscribe"):
    """A :class:`Subscribe` that has not been answered is to be answered now. There is no other answer."""


class Moved(_Message, tag="moved"):
    """Where the head is now: elsewhere than it was known to be, or nobody waits for that any more."""

    head: Id | None


Request = (
    Init
    | Record
    | ListRefs
    | WantLog
    | WantObjects
    | WantContents
    | WantCopies
    | WantBlocks
    | WantRanges
    | Locate
    | Push
    | Bye
)
HeadRequest = Subscribe | Unsubscribe
Answer = Hello | Failed | Recorded | Refs | Located | Pushed | Moved
Message = Request | HeadRequest | Answer

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Message)


def encode_message(message: Message) -> bytes:
    """A message as a frame for the wire; raises ``ProtocolError`` for one that is too large for a frame."""
    body = _encoder.encode(message)
    if len(body) > BODY_LIMIT:
        raise ProtocolError(f"a message of {len(body)} bytes is too large")
    return encode_frame(MESSAGE, body)


def decode_message(body: bytes) -> Message:
    """The message that a frame holds; raises ``ProtocolError`` for all that is none, or is not allowed."""
    try:
        message: Message = _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ProtocolError(f"a message came that is none: {error}") from error
    if isinstance(message, (WantContents, WantBlocks, Locate)):
        for item in message.items:
            _check_path(item.path)
            if item.size is not None and item.offset > item.size:
                raise ProtocolError("content is asked for from beyond its end")
            if isinstance(message, WantBlocks) and (item.link or item.size is None):
                raise ProtocolError("a block list is asked for of what is no file of a known size")
    elif isinstance(message, Record) and message.mirror and message.early:
        raise ProtocolError("one of two streams can stand before an answer")
    elif isinstance(message, WantCopies):
        for directory in message.directories:
            _check_path(directory.path)
    elif isinstance(message, WantRanges):
        _check_path(message.path)
        end = 0
        for offset, length in message.ranges:
            if offset < end or not length or offset + length > message.size:
                raise ProtocolError("ranges are asked for that a file of this size cannot have")
            end = offset + length
    return message


def _check_path(path: bytes) -> None:
    if path and not is_path(path):
        raise ProtocolError(f"a path came that is not allowed: {path!r}")


def is_path(path: bytes) -> bool:
    """Whether ``path`` is one below a root: names that may stand in a tree, with one slash between any two."""
    return all(map(is_tree_name, path.split(b"/")))


_UPGRADE = "upgrade the older replican of the two"


def check_hello(hello: Hello, able: frozenset[str]) -> None:
    """Raise ``ProtocolError`` where the other side cannot be talked to by one that is ``able`` to do these things."""
    if not hello.oldest <= VERSION <= hello.version:
        raise ProtocolError(f"one end speaks protocol {VERSION}, the other {hello.oldest} to {hello.version}", _UPGRADE)
    lacking = sorted(set(hello.required) - able)
    if lacking:
        raise ProtocolError(f"one end requires what the other cannot do: {', '.join(lacking)}", _UPGRADE)
