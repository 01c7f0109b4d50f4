"""Settings: their names, and those that replican knows, with what each may be.

A name has parts with dots between them; one with a dot in it stands in double quotes.
"""

import re
from typing import Final, NamedTuple

from replican.decisions.pacing import parse_rate
from replican.values.errors import UsageError

Value = str | int | bool

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PART = re.compile(r'([A-Za-z0-9_-]+)|"([^"\\]*)"')
_MOST: Final = 1 << 31
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class Setting(NamedTuple):
    """A setting that replican knows: the type of its value is that of the default. A ``rate`` is a text, or, in a file
    that was edited by hand, a number. ``choices`` are all that a text may be, if there are any."""

    default: Value
    summary: str
    least: int = 0
    is_rate: bool = False
    choices: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """What its value has to be, in words."""
        if self.is_rate:
            return "bytes a second, 1K or more, as 500K or 2M"
        if self.choices:
            return f"{', '.join(self.choices[:-1])} or {self.choices[-1]}"
        if isinstance(self.default, bool):
            return "true or false"
        return f"a number from {self.least} to {_MOST - 1}" if isinstance(self.default, int) else "a text"

    def takes(self, value: Value) -> bool:
        """Whether this may be its value."""
        if self.is_rate:
            return type(value) in (str, int) and (value == "" or _is_rate(str(value)))
        if self.choices:
            return value in self.choices
        return type(value) is type(self.default) and not (type(value) is int and value < self.least)


LOG_LEVELS: Final = ("debug", "info", "warning", "error")

KNOWN: Final[dict[str, Setting]] = {
    "author.name": Setting("", "the name that checkpoints carry; empty: login name @ host"),
    "trash.expiry_days": Setting(30, "how long the trash keeps what was replaced or deleted"),
    "gc.grace_days": Setting(14, "how long unreachable trees and checkpoints are kept"),
    "merge.tool": Setting("", "the command that `resolve --tool` runs on the versions of a name"),
    "core.ssh_command": Setting("", "the program that reaches other machines, with its options; empty: ssh"),
    "core.timeout": Setting(180, "after how many seconds of silence a link is taken for dead", least=1),
    "poll.min": Setting(2, "the shortest time between two rounds of the poller, in s", 1),
    "poll.max": Setting(60, "the longest, for a folder in which nothing happens", 1),
    "poll.full": Setting(900, "the time between rounds in which every name is looked at", 1),
    "units.quiet_ms": Setting(1000, "for how many ms nothing in an atomic directory has changed when it is recorded"),
    "hooks.timeout": Setting(30, "how many seconds a hook may take before it is ended", least=1),
    "watch.log_level": Setting("info", "the least level that the log file has", choices=LOG_LEVELS),
    "watch.log_size": Setting(1_000_000, "how many bytes the log file has before another is begun", least=1000),
    "watch.log_files": Setting(5, "how many log files there are at most", least=1),
}
"""``alias.<name>`` is known besides: a text."""

KNOWN_OF_REMOTES: Final[dict[str, Setting]] = {
    "serve_command": Setting("", "what the shell over there is to run in the place of replican"),
    "limit_rate": Setting("", "how many bytes a second go over its link at most, each way", is_rate=True),
    "timeout": Setting(0, "after how many seconds of silence its link is taken for dead; 0: core.timeout"),
}
"""The settings of each remote, as in ``remote.<name>.limit_rate``."""


def known_setting(key: str) -> Setting | None:
    """What replican knows of a setting; None for one that it does not know."""
    known = KNOWN.get(key)
    if known is None and key.startswith("remote."):
        parts = split_key(key)
        return KNOWN_OF_REMOTES.get(parts[2]) if len(parts) == 3 else None
    return known


def split_key(key: str) -> tuple[str, ...]:
    """The parts of a dotted key; a part with a dot in it stands in double quotes. Raises ``UsageError``."""
    parts: list[str] = []
    at = 0
    while match := _PART.match(key, at):
        parts.append(match[1] if match[1] is not None else match[2])
        at = match.end()
        if at == len(key):
            return tuple(parts)
        if key[at] != ".":
            break
        at += 1
    raise UsageError(f"not the name of a setting: {key!r}", "settings are named like author.name")


def join_key(parts: tuple[str, ...]) -> str:
    """The inverse of :func:`split_key`."""
    return ".".join(part if _BARE.fullmatch(part) else f'"{part}"' for part in parts)


def convert(key: str, text: str) -> Value:
    """The value of a setting as somebody typed it. A known one takes what its type can be read from, any other takes
    text. Raises ``UsageError``."""
    known = known_setting(key)
    check_text(key, text)
    if known is None:
        return text
    if isinstance(known.default, bool):
        if text.lower() in _TRUE + _FALSE:
            return text.lower() in _TRUE
    elif isinstance(known.default, int):
        if text.isascii() and text.isdigit() and known.least <= int(text) < _MOST:
            return int(text)
    elif known.takes(text):
        return text
    raise UsageError(f"{key} must be {known.kind}, not {text!r}")


def check_text(what: str, text: str) -> None:
    """Raise ``UsageError`` for what a config cannot hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{what} is not utf-8, which a config cannot hold") from None


def _is_rate(text: str) -> bool:
    try:
        parse_rate(text)
    except UsageError:
        return False
    return True
