"""Points in time as people write them, in ns since 1970."""

import re
from datetime import UTC, datetime, timedelta

from replican.values.errors import UsageError

_SECONDS = re.compile(r"@?(-?)([0-9]{1,12})(?:\.([0-9]{1,9}))?")
_AGO = re.compile(r"(?:([0-9]{1,9})[ .](second|minute|hour|day|week)s?[ .]ago|(yesterday)|(now))")
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_date(text: str) -> int:
    """``@SECONDS`` or ``SECONDS``, with a fraction or not, or a date in ISO 8601 (without an offset: local time).

    Raises ``UsageError`` for anything else, and for what a log cannot hold.
    """
    seconds = _SECONDS.fullmatch(text.strip())
    if seconds is not None:
        sign, whole, fraction = seconds.groups()
        value = int(whole) * 1_000_000_000 + int((fraction or "").ljust(9, "0"))
        found = -value if sign else value
    else:
        try:
            found = _ns(datetime.fromisoformat(text.strip()).astimezone(UTC))
        except (ValueError, OverflowError, OSError):
            raise UsageError(f"not a date: {text!r}", "write 2026-11-20T14:00:00Z or @SECONDS") from None
    if not -(1 << 63) < found < 1 << 63:
        raise UsageError(f"a date out of range: {text!r}", "years 1678 to 2261 can be recorded")
    return found


def parse_moment(text: str, now_ns: int) -> int:
    """As :func:`parse_date`, and also ``now``, ``yesterday`` and ``3 hours ago``, as seen from ``now_ns``."""
    ago = _AGO.fullmatch(text.strip())
    if ago is None:
        return parse_date(text)
    count, unit, yesterday, _ = ago.groups()
    seconds = int(count) * _UNITS[unit] if unit else _UNITS["day"] if yesterday else 0
    return max(now_ns - seconds * 1_000_000_000, 1 - (1 << 63))


def iso_date(time_ns: int) -> str:
    """A time as ISO 8601 in UTC, to the second; years that this has no digits for are shown as ``@SECONDS``."""
    try:
        return (_EPOCH + timedelta(seconds=time_ns // 1_000_000_000)).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:
        return f"@{time_ns // 1_000_000_000}"


def iso_moment(time_ns: int) -> str:
    """As :func:`iso_date`, to the millisecond, for what a clock says now."""
    return f"{iso_date(time_ns).removesuffix('Z')}.{time_ns // 1_000_000 % 1000:03}Z"


def _ns(when: datetime) -> int:
    past = when - _EPOCH
    return (past.days * 86400 + past.seconds) * 1_000_000_000 + past.microseconds * 1000
