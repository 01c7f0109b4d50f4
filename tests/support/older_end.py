"""replican as it was before it could do all that it can: with these abilities, and nothing that goes beyond them.

    python tests/support/older_end.py WORD,WORD... ARGUMENT...

What an end without an ability does not know breaks the protocol, as it did then.
"""

import sys

import msgspec

from replican.effects.channel import Channel
from replican.values import messages
from replican.values.errors import ProtocolError
from replican.values.frames import PACKED, Frame

NEEDS = {
    messages.WantBlocks: messages.BLOCKS,
    messages.WantRanges: messages.BLOCKS,
    messages.WantCopies: messages.COPIES,
    messages.Subscribe: messages.HEADS,
    messages.Unsubscribe: messages.HEADS,
}


def make_older(known: frozenset[str]) -> None:
    """From now on this process knows only these abilities."""
    encode, decode, frame = messages.encode_message, messages.decode_message, Channel._frame

    def check(message: messages.Message) -> None:
        needed = {NEEDS.get(type(message), "")} - {""}
        needed |= {messages.SUMS} if isinstance(message, messages.WantRanges) and message.sums else set()
        needed |= {messages.COPIES} if isinstance(message, messages.Record) and message.mirror else set()
        if not needed <= known:
            raise ProtocolError(f"a message that an end without {' and '.join(needed - known)} knows nothing of")

    def as_it_was(message: messages.Message) -> messages.Message:
        if isinstance(message, messages.Record) and messages.EARLY not in known:
            return msgspec.structs.replace(message, early=False)  # a field that nobody knows is passed over
        if isinstance(message, messages.Hello):
            return msgspec.structs.replace(message, able=[word for word in message.able if word in known])
        return message

    def encode_older(message: messages.Message) -> bytes:
        check(message)
        return encode(as_it_was(message))

    def decode_older(body: bytes) -> messages.Message:
        message = as_it_was(decode(body))
        check(message)
        return message

    def frame_older(channel: Channel) -> Frame:
        found = frame(channel)
        if found.kind == PACKED and messages.ZSTD not in known:
            raise ProtocolError("a frame that an end without zstd cannot read")
        return found

    messages.ABLE = known  # type: ignore[misc]
    messages.encode_message, messages.decode_message = encode_older, decode_older
    Channel._frame = frame_older  # type: ignore[method-assign]


if __name__ == "__main__":
    words = frozenset(sys.argv.pop(1).split(",")) - {""}
    make_older(words)
    from replican.porcelain._main import main

    raise SystemExit(main())
