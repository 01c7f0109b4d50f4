import pytest

from replican.values.dates import iso_date, parse_date, parse_moment
from replican.values.errors import UsageError

NOW = 1_800_000_000_000_000_000


@pytest.mark.parametrize("text", ["yesterday", "@", "--5", "1e9", "9999-01-01T00:00:00Z", "1000-01-01T00:00:00Z", "٣"])
def test_no_dates(text: str) -> None:
    with pytest.raises(UsageError):
        parse_date(text)


@pytest.mark.parametrize(
    ("text", "seconds_ago"),
    [("now", 0), ("yesterday", 86400), ("1 second ago", 1), ("3.hours.ago", 10800), ("2 weeks ago", 1209600)],
)
def test_moments(text: str, seconds_ago: int) -> None:
    assert parse_moment(text, NOW) == NOW - seconds_ago * 1_000_000_000


def test_a_moment_may_be_a_date() -> None:
    assert parse_moment("1970-01-02T00:00:00Z", NOW) == 86_400_000_000_000
    with pytest.raises(UsageError):
        parse_moment("3 hours", NOW)
    assert parse_moment("999999999 weeks ago", NOW) == 1 - (1 << 63)


@pytest.mark.parametrize(
    ("time_ns", "shown"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (1_795_176_000_999_999_999, "2026-11-20T12:00:00Z"),
        (1 - (1 << 63), "1677-09-21T00:12:43Z"),
        ((1 << 63) - 1, "2262-04-11T23:47:16Z"),
    ],
)
def test_dates_are_shown_in_utc(time_ns: int, shown: str) -> None:
    assert iso_date(time_ns) == shown
