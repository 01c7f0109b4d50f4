"""Pacing: how many bytes may go over a link, where somebody has said how many a second.

A bucket holds what may go at once, a quarter of a second's worth at most, and fills at the rate. What goes is taken out
of it, and may leave it owing: then whoever comes next waits. Over any time as much goes as the rate allows, and that
quarter of a second. No clock is read here: whoever asks says what time it is.
"""

import re
from typing import Final, NamedTuple

from replican.values.errors import UsageError

LEAST_RATE: Final = 1024
"""The lowest rate that can be asked for, in bytes a second: at less, a link would soon seem dead."""

_BURST_SECONDS = 0.25
_PIECES = 8  # so many go in a second
_RATE = re.compile(r"([0-9]{1,15})([KMG]?)")
_FACTORS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class Bucket(NamedTuple):
    """What may go: ``level`` bytes at the time ``at``, in seconds; below zero, what has gone too early. ``rate`` is in
    bytes a second."""

    rate: int
    level: float
    at: float


def full_bucket(rate: int, now: float) -> Bucket:
    """A bucket that nothing has been taken from."""
    return Bucket(rate, rate * _BURST_SECONDS, now)


def filled(bucket: Bucket, now: float) -> Bucket:
    """The bucket at a later time. A clock that goes back fills nothing."""
    more = bucket.rate * max(0.0, now - bucket.at)
    return Bucket(bucket.rate, min(bucket.rate * _BURST_SECONDS, bucket.level + more), max(now, bucket.at))


def take(bucket: Bucket, count: int, now: float) -> Bucket:
    """The bucket after ``count`` bytes have gone."""
    after = filled(bucket, now)
    return after._replace(level=after.level - count)


def seconds_to_wait(bucket: Bucket, now: float) -> float:
    """How long it takes until something may go again; nothing, if it may now."""
    return max(0.0, -filled(bucket, now).level / bucket.rate)


def piece(bucket: Bucket, most: int) -> int:
    """How many bytes are to go at once, of ``most``: an eighth of a second's worth, so that no wait is long."""
    return max(1, min(most, bucket.rate // _PIECES))


def parse_rate(text: str) -> int:
    """Bytes a second, as people write them: a number, and K, M or G for 1024 of the former; ``0`` is no limit.

    Raises ``UsageError``, also for less than :data:`LEAST_RATE`.
    """
    match = _RATE.fullmatch(text.strip().upper())
    if match is None:
        raise UsageError(f"not a rate: {text!r}", "bytes a second, as 500K or 2M")
    rate = int(match[1]) * _FACTORS[match[2]]
    if 0 < rate < LEAST_RATE:
        raise UsageError(f"a rate of {rate} bytes a second is too low", "1K is the lowest; 0 is no limit")
    return rate
