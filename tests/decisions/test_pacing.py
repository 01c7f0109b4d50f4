"""Pacing: over any time no more goes than the rate allows, and no less than there is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replican.decisions.pacing import (
    LEAST_RATE,
    Bucket,
    filled,
    full_bucket,
    parse_rate,
    piece,
    seconds_to_wait,
    take,
)
from replican.values.errors import UsageError

RATES = st.integers(LEAST_RATE, 1 << 30)


def send(bucket: Bucket, size: int, now: float) -> tuple[Bucket, float]:
    """Send so much as a channel does: piece by piece, after each wait; the time at which it is through."""
    while size:
        now += seconds_to_wait(bucket, now)
        count = piece(bucket, size)
        bucket = take(bucket, count, now)
        size -= count
    return bucket, now


@given(RATES, st.integers(1, 40))
def test_much_takes_as_long_as_the_rate_says(rate: int, eighths: int) -> None:
    _, now = send(full_bucket(rate, 100.0), rate * eighths // 8, 100.0)
    assert eighths / 8 - 0.5 <= now - 100.0 <= eighths / 8 + 0.01


@given(RATES, st.lists(st.tuples(st.floats(0, 10), st.integers(1, 1 << 20)), max_size=8))
def test_no_more_goes_than_the_rate_allows_however_long_it_pauses(rate: int, steps: list[tuple[float, int]]) -> None:
    bucket, now, sent = full_bucket(rate, 0.0), 0.0, 0
    for pause, size in steps:
        size = min(size, rate * 3)
        bucket, now = send(bucket, size, now + pause)
        sent += size
        assert sent <= rate * (now + 0.5) + 1


@given(RATES, st.floats(0, 1000), st.floats(0, 1000))
def test_the_bucket_is_never_more_than_full(rate: int, one: float, other: float) -> None:
    bucket = filled(take(full_bucket(rate, one), rate, one), other)
    assert bucket.level <= full_bucket(rate, one).level
    assert seconds_to_wait(bucket, other) <= 1


def test_a_clock_that_goes_back_fills_nothing() -> None:
    bucket = take(full_bucket(1 << 20, 50.0), 1 << 20, 50.0)
    assert filled(bucket, 40.0) == bucket
    assert seconds_to_wait(bucket, 40.0) == seconds_to_wait(bucket, 50.0) == 0.75


def test_pieces_are_short_and_never_nothing() -> None:
    assert piece(full_bucket(8000, 0), 1 << 20) == 1000
    assert piece(full_bucket(1 << 40, 0), 70) == 70
    assert piece(full_bucket(4, 0), 70) == 1


@pytest.mark.parametrize(
    ("text", "rate"),
    [("0", 0), ("1024", 1024), ("500K", 512_000), ("500k", 512_000), (" 2M ", 2 << 20), ("3G", 3 << 30)],
)
def test_rates_as_people_write_them(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "K", "-1", "1.5M", "1T", "500KB", "1023", "fast", "9" * 16, "1 K"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(UsageError):
        parse_rate(text)
