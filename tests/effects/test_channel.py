"""A channel: two ends of a link that never wait for each other, and notice when the other one is gone."""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replican.decisions.pacing import seconds_to_wait
from replican.effects import channel as channel_module
from replican.effects.channel import CHUNK, DEFAULT_TERMS, Channel, Terms
from replican.values.errors import FarError, LinkError, ProtocolError, ReplicanError
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

    def drain(self) -> None:
        while os.read(self.source, CHUNK):
            pass

    def hang_up(self) -> None:
        for fd in (self.source, self.target):
            if fd >= 0:
                os.close(fd)
        self.source = self.target = -1


@contextmanager
def two(terms: Terms = DEFAULT_TERMS, **options: float) -> Iterator[tuple[Channel, Channel]]:
    (one_in, other_out), (other_in, one_out) = os.pipe(), os.pipe()
    one, other = Channel(one_in, one_out, terms, **options), Channel(other_in, other_out, terms, **options)
    try:
        yield one, other
    finally:
        one.close()
        other.close()


@contextmanager
def half(terms: Terms = DEFAULT_TERMS) -> Iterator[tuple[Channel, Raw]]:
    (own_in, raw_out), (raw_in, own_out) = os.pipe(), os.pipe()
    channel, raw = Channel(own_in, own_out, terms), Raw(raw_in, raw_out)
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
    with two(Terms(timeout=0.3), alive_seconds=0.02) as (one, other):
        for end, its_other in ((one, other), (other, one)):
            end.send(Init())
            assert its_other.receive() == Init()
        thread = beside(lambda: (time.sleep(1), other.send(Bye()))[1])
        assert one.receive() == Bye()
        thread.join()


def test_an_end_that_says_nothing_is_taken_for_dead() -> None:
    with half(Terms(timeout=0.2)) as (channel, _):
        with pytest.raises(LinkError, match="nothing was heard"):
            channel.receive()
        with pytest.raises(LinkError, match="nothing was heard"):
            channel.put(NOISE)


def test_a_link_that_swallows_everything_is_taken_for_dead() -> None:
    """What is written is taken, for ever, and nothing comes."""

    def put_for_ever(channel: Channel) -> None:
        while True:
            channel.put(NOISE)

    with half(Terms(timeout=0.3)) as (channel, raw):
        drained = beside(raw.drain)
        with pytest.raises(LinkError, match=r"nothing was heard from the other end for 0\.3 seconds"):
            put_for_ever(channel)
        channel.close()
        drained.join(10)


def test_what_came_and_was_not_read_yet_was_heard() -> None:
    """An end that was busy elsewhere for a while finds that the other one has spoken."""
    with half(Terms(timeout=0.2)) as (channel, raw):
        raw.write(PREAMBLE + encode_frame(ALIVE))
        time.sleep(0.3)
        channel.put(b"x" * 1000)
        channel.put_rest()


def test_who_was_stopped_hears_what_came_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by Ctrl-Z: the other end was there all the time."""
    with half(Terms(timeout=100)) as (channel, raw):
        clock = SimpleNamespace(now=0.0)
        monkeypatch.setattr(channel_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
        raw.write(PREAMBLE + encode_message(Init()))
        take_ = channel._deframer.take

        def later() -> object:
            clock.now += 1000
            return take_()

        monkeypatch.setattr(channel._deframer, "take", later)
        assert channel.receive() == Init()


def test_an_end_that_is_less_patient_is_told_more_often() -> None:
    with half() as (channel, raw):
        channel.send(Init())
        channel.heed(0, 0.2)
        time.sleep(0.5)
        assert encode_frame(ALIVE) * 2 in os.read(raw.source, CHUNK)


# -- rates -------------------------------------------------------------------------------------------------------


class Clock:
    """A clock that stands still but for waits, in the place of those that a channel looks at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(channel_module, "time", SimpleNamespace(monotonic=lambda: self.now))
        wait_ = Channel._wait

        def _wait(channel: Channel, started: float, *, writing: bool = False, at_most: float | None = None) -> None:
            pause = 0.0 if channel._in_bucket is None else seconds_to_wait(channel._in_bucket, self.now)
            self.now += at_most or (0 if writing else pause)
            wait_(channel, started, writing=writing, at_most=0 if at_most else None)

        monkeypatch.setattr(Channel, "_wait", _wait)


@pytest.mark.parametrize("told", [False, True])
def test_no_more_is_written_than_the_rate_allows(monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
    with half(DEFAULT_TERMS if told else Terms(rate=1 << 18)) as (channel, raw):
        clock = Clock(monkeypatch)
        channel.settle(channel.terms)  # by this clock
        if told:
            channel.heed(1 << 18, 180)
        drained = beside(raw.drain)
        channel.put(NOISE)
        channel.put_rest()
        assert clock.now - 1000 == pytest.approx(len(NOISE) / (1 << 18) - 0.25, abs=0.3)
        channel.close()
        drained.join(10)


def test_no_more_is_read_than_the_rate_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    with half(Terms(rate=1 << 18)) as (channel, raw):
        clock = Clock(monkeypatch)
        channel.settle(channel.terms)
        frame = encode_frame(BYTES, NOISE[: 1 << 20])
        writer = beside(lambda: raw.write(PREAMBLE + frame))
        assert channel.stream().take(1 << 20) == NOISE[: 1 << 20]
        assert clock.now - 1000 == pytest.approx(4 - 0.25, abs=0.3)
        writer.join(10)


def test_a_rate_that_a_peer_asks_for_is_not_too_low() -> None:
    with half() as (channel, _):
        channel.heed(1, 0)
        channel.put(b"x" * 600)
        channel.put_rest()
        assert channel.sent > 600


def test_a_link_that_is_cut() -> None:
    whole = encode_message(Refs([Ref("head", bytes(32))]))
    for cut in range(len(whole)):
        with half() as (channel, raw):
            raw.write(PREAMBLE + whole[:cut])
            raw.hang_up()
            with pytest.raises(LinkError, match="the link was cut" if cut else "went away") as caught:
                channel.receive()
            assert "goes on from where it was" in str(caught.value.hint)
    with half() as (channel, raw):
        raw.hang_up()
        with pytest.raises(LinkError, match="cut") as caught:
            channel.put(NOISE)
        assert "goes on from where it was" in str(caught.value.hint)


def test_last_words_are_heard() -> None:
    with half() as (channel, raw):
        raw.write(PREAMBLE + encode_message(Failed("refused", "a gate", "a flag")))
        raw.hang_up()
        with pytest.raises(FarError, match="a gate") as caught:
            channel.put(NOISE)
        assert (caught.value.told, caught.value.hint) == ("refused", "a flag")


def test_what_failed_over_there() -> None:
    with two() as (one, other):
        other.send(Failed("what is not known here", "it is broken"))
        with pytest.raises(FarError, match="it is broken"):
            one.receive()
        other.send(Failed("refused", "no"))
        with pytest.raises(FarError, match="no"):
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
