"""Fuzzing what reads the wire, led by what the code has not been seen to do yet: ``make fuzz`` (with atheris).

The first byte says which reader the rest is for. Each may refuse what it is given, by an error that is meant for that;
what it takes has to come out again as it went in. Whatever else happens is a find, and atheris keeps the input.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

import atheris

with atheris.instrument_imports(include=["replican"]):
    from replican.effects.channel import Channel
    from replican.operations.linking import heed
    from replican.values import early, messages, streams
    from replican.values.blocks import parse_blocks
    from replican.values.checkpoints import encode_checkpoint, parse_checkpoint
    from replican.values.errors import ReplicanError
    from replican.values.frames import PREAMBLE, Deframer, encode_frame, unpack
    from replican.values.ids import blob_id
    from replican.values.names import is_tree_name
    from replican.values.trees import encode_tree, parse_tree

SEEDS = [
    messages.Hello(1, 1, able=["zstd", "heads"], rate=5000, patience=9),
    messages.Record("origin", [bytes(32)], early=True),
    messages.Recorded(bytes(32), [bytes(32)], True, ["note"], [messages.Note(b"path", "cause", True)]),
    messages.WantLog([bytes(32)], [bytes(32)], 5),
    messages.WantObjects([bytes(32)], True),
    messages.WantContents([messages.Item(bytes(32), True, 5, 2, b"a/b")]),
    messages.WantCopies([messages.Directory(bytes(32), b"a/b", [1, 7])]),
    messages.Locate([messages.Item(bytes(32))]),
    messages.Located([bytes(32)], []),
    messages.Push(bytes(32), None),
    messages.Pushed(bytes(32), True, [], (1, 2, 3, 4), ["note"], 5, 6),
    messages.Refs([messages.Ref("head", bytes(32))]),
    messages.Failed("refused", "why", "hint"),
    messages.Subscribe(None),
    messages.Unsubscribe(),
    messages.Moved(bytes(32)),
    messages.Bye(),
]


def read_frames(data: bytes) -> None:
    """Frames that come in two pieces: they are the same as those that come in one."""
    at = len(data) // 2
    found = []
    for pieces in ([data], [data[:at], data[at:]]):
        deframer, frames = Deframer(), []
        deframer.feed(PREAMBLE)
        for piece in pieces:
            deframer.feed(piece)
            while (frame := deframer.take()) is not None:
                frames.append(frame)
        found.append(b"".join(encode_frame(*frame) for frame in frames))
    assert found[0] == found[1]
    assert data.startswith(found[0])


def read_message(data: bytes) -> None:
    """A message is what it is encoded to."""
    message = messages.decode_message(data)
    assert messages.decode_message(messages.encode_message(message)[5:]) == message


def read_objects(data: bytes) -> None:
    for id, kind, payload in streams.read_objects(streams.StreamReader(_more(data)), 1 << 20):
        assert len(id) == 32
        read_object(kind, payload)


def read_object(kind: bytes, payload: bytes) -> None:
    """An object has one encoding."""
    if kind == b"tree":
        assert encode_tree(parse_tree(payload)) == payload
    else:
        assert encode_checkpoint(parse_checkpoint(payload)) == payload


def read_contents(data: bytes) -> None:
    reader = streams.StreamReader(_more(data))
    while True:
        letter, content = streams.read_small(reader, 4)
        assert content is None or (len(content) == 4 and letter in b"ft")
        answer = streams.read_answer(reader, None, 1, 50)
        if answer.is_there:
            assert 1 <= answer.size <= 50
            reader.take(answer.size - 1)
            streams.read_end(reader)


def read_early(data: bytes) -> None:
    """Early files: no more of one than it says, and all of it where it says so."""
    for file in early.read_early(streams.StreamReader(_more(data))):
        length = 0
        for step in file.steps():
            assert step.new is None or len(step.new) == step.length
            length += step.length
        assert length <= file.size
        assert length == file.size or not file.is_whole


def read_copies(data: bytes) -> None:
    for path, files in streams.read_copies(data):
        assert not path or messages.is_path(path)
        for file in files:
            assert is_tree_name(file.name)
            assert file.perm <= 0o777
            assert len(file.content) <= streams.COPY_LIMIT


def read_channel(data: bytes) -> None:
    """One end of a link to which this is said."""
    (source, into), (out, target) = os.pipe(), os.pipe()
    channel = Channel(source, target)
    try:
        os.set_blocking(into, False)
        os.write(into, PREAMBLE + data)
        os.close(into)
        while (told := channel.receive_now()) is not None:
            if isinstance(told, messages.Hello):
                heed(channel, told)
            if isinstance(told, messages.Bye):
                channel.stream().take(100)
    finally:
        channel.close()
        os.close(out)


READERS: list[Callable[[bytes], object]] = [
    read_frames,
    read_message,
    read_objects,
    read_contents,
    unpack,
    parse_blocks,
    lambda data: read_object(b"tree", data),
    lambda data: read_object(b"commit", data),
    read_channel,
    read_early,
    read_copies,
]


def _more(data: bytes) -> Callable[[], bytes]:
    pieces = iter([data[at : at + 7] for at in range(0, len(data), 7)])

    def more() -> bytes:
        piece = next(pieces, None)
        if piece is None:
            raise ReplicanError("the end")
        return piece

    return more


def one_input(data: bytes) -> None:
    """What atheris calls."""
    if data:
        try:
            READERS[data[0] % len(READERS)](data[1:])
        except ReplicanError:
            pass


def write_seeds(directory: str) -> None:
    """A first corpus: a message of each kind, and a stream of each."""
    os.makedirs(directory, exist_ok=True)
    seeds: list[bytes] = []
    for message in SEEDS:
        frame = messages.encode_message(message)
        seeds += [b"\0" + frame, b"\1" + frame[5:], b"\x08" + frame]
    seeds.append(b"\2" + streams.encode_object(b"tree", b"") + streams.end_of_objects())
    seeds.append(b"\3" + streams.encode_answer(streams.FROM_FOLDER, 4) + b"dear" + streams.STAYED + streams.GONE)
    steps = early.encode_run(3, 4) + early.encode_new(b"new") + early.encode_ending(True)
    seeds.append(b"\x09" + early.encode_beginning(blob_id(b"old"), 7) + steps + early.end_of_early())
    copied = streams.CopiedFile(b"file", 0o644, 1, b"dear")
    seeds += [b"\x0a" + b"".join(record.pieces) for record in streams.encode_copies(b"a/b", [copied])]
    for number, seed in enumerate(seeds):
        with open(f"{directory}/seed-{number}", "wb") as file:
            file.write(seed)


def main(words: list[str]) -> Any:
    """``DIRECTORY [OPTIONS OF LIBFUZZER]``"""
    write_seeds(words[1])
    atheris.Setup(words, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
