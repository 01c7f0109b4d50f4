"""A channel: two ends of a link that never wait for each other, and notice when the other one is gone."""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replican.effects.channel import CHUNK, Channel
from replican.values.errors import LinkError, ProtocolError, RefusedError, RemoteError, ReplicanError
from replican.values.frames import ALIVE, BYTES, HEAD_SIZE, MESSAGE, PREAMBLE, encode_frame
from replican.values.messages import Bye, Failed, Init, ListRefs, Ref, Refs, encode_message

NOISE = random.Random(4).randbytes(3 << 20)


class Raw:
    """The other end, byte by byte."""

    def __init__(self, source: int, target: int) -> None:
        self.source, self.target = source, target

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.target, data) :]

    def hang_up(self) -> None:
        for fd in (self.source, self.target):
            if fd >= 0:
                os.close(fd)
        self.source = self.target = -1


@contextmanager
def two(**options: float) -> Iterator[tuple[Channel, Channel]]:
    (one_in, other_out), (other_in, one_out) = os.pipe(), os.pipe()
    one, other = Channel(one_in, one_out, **options), Channel(other_in, other_out, **options)
    try:
        yield one, other
    finally:
        one.close()
        other.close()


@contextmanager
def half(**options: float) -> Iterator[tuple[Channel, Raw]]:
    (own_in, raw_out), (raw_in, own_out) = os.pipe(), os.pipe()
    channel, raw = Channel(own_in, own_out, **options), Raw(raw_in, raw_out)
    try:
        yield channel, raw
    finally:
        channel.close()
        raw.hang_up()


def beside(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def read_stream(channel: Channel, size: int) -> bytes:
    reader = channel.stream()
    data = reader.take(size)
    reader.finish()
    return data


def read_for_ever(read: Callable[[int], object]) -> None:
    while True:
        read(CHUNK)


def test_messages_and_streams_arrive_and_are_counted() -> None:
    with two() as (one, other):
        one.send(Init())
        one.put(b"a")
        one.put(b"b")
        one.put_rest()
        one.send(Bye())
        assert other.receive() == Init()
        assert read_stream(other, 2) == b"ab"
        assert other.receive() == Bye()
        assert (
            other.received
            == one.sent
            == len(PREAMBLE) + 3 * HEAD_SIZE + 2 + len(encode_message(Init()) + encode_message(Bye())) - 2 * HEAD_SIZE
        )
        assert other.has_begun
        assert not one.has_begun


@pytest.mark.parametrize("packed", [False, True])
def test_both_write_much_at_the_same_moment(packed: bool) -> None:
    """Far more than pipes hold, both at once: neither waits for the other to read first."""
    refs = Refs([Ref("x" * 200, bytes(32))] * 4000)
    text = b"word " * 500_000
    with two() as (one, other):
        got: list[object] = []

        def answer() -> None:
            if packed:
                other.compress()
            other.put(NOISE)
            other.put(text)
            other.put_rest()
            got.append(other.receive())

        thread = beside(answer)
        one.send(refs)
        assert read_stream(one, len(NOISE) + len(text)) == NOISE + text
        thread.join(30)
        assert got == [refs]
        assert (one.received < len(NOISE) + len(text)) == packed


def test_an_end_that_is_busy_says_that_it_is_there() -> None:
    with two(alive_seconds=0.02, dead_seconds=0.3) as (one, other):
        other.send(Init())
        assert one.receive() == Init()
        thread = beside(lambda: (time.sleep(1), other.send(Bye()))[1])
        assert one.receive() == Bye()
        thread.join()


def test_an_end_that_says_nothing_is_taken_for_dead() -> None:
    with half(dead_seconds=0.2) as (channel, _):
        with pytest.raises(LinkError, match="nothing was heard"):
            channel.receive()
        with pytest.raises(LinkError, match="nothing was heard"):
            channel.put(NOISE)


def test_a_link_that_is_cut() -> None:
    whole = encode_message(Refs([Ref("head", bytes(32))]))
    for cut in range(len(whole)):
        with half() as (channel, raw):
            raw.write(PREAMBLE + whole[:cut])
            raw.hang_up()
            with pytest.raises(LinkError, match="the link was cut" if cut else "went away"):
                channel.receive()
    with half() as (channel, raw):
        raw.hang_up()
        with pytest.raises(LinkError, match="cut"):
            channel.put(NOISE)


def test_last_words_are_heard() -> None:
    with half() as (channel, raw):
        raw.write(PREAMBLE + encode_message(Failed("refused", "a gate", "a flag")))
        raw.hang_up()
        with pytest.raises(RefusedError, match="a gate") as caught:
            channel.put(NOISE)
        assert caught.value.hint == "a flag"


def test_what_failed_over_there() -> None:
    with two() as (one, other):
        other.send(Failed("what is not known here", "it is broken"))
        with pytest.raises(RemoteError, match="it is broken"):
            one.receive()
        other.send(Failed("refused", "no"))
        with pytest.raises(RefusedError, match="no"):
            one.stream().take(1)


@pytest.mark.parametrize(
    "sent",
    [encode_frame(BYTES, b"x"), encode_frame(MESSAGE, b"x"), b"\xff" * 9, encode_frame(ALIVE)[:-1] + b"\x09"],
    ids=["a stream", "no message", "no frame", "no kind"],
)
def test_what_must_not_come_in_the_place_of_a_message(sent: bytes) -> None:
    with half() as (channel, raw):
        raw.write(PREAMBLE + sent)
        with pytest.raises(ProtocolError):
            channel.receive()


def test_what_must_not_come_in_the_place_of_a_stream() -> None:
    for sent in (encode_message(ListRefs()), encode_frame(BYTES), encode_frame(3, b"x")):
        with half() as (channel, raw):
            raw.write(PREAMBLE + sent)
            with pytest.raises(ProtocolError):
                channel.stream().take(1)


@settings(max_examples=50)
@given(st.binary(max_size=500), st.booleans())
def test_anything_that_comes_is_understood_or_refused(data: bytes, stream: bool) -> None:
    with half() as (channel, raw):
        raw.write(PREAMBLE + data)
        raw.hang_up()
        read = channel.stream().take if stream else lambda _: channel.receive()
        with pytest.raises(ReplicanError):
            read_for_ever(read)
