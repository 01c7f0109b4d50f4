"""Writing results so that no byte is lost: raw bytes, quoted paths, ``--format``, JSON.

Everything goes through the buffer of stdout; the main program flushes it before it ends.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any, Final

from replican.values.errors import ReplicanError, UsageError
from replican.values.paths import json_path
from replican.values.quoting import escape_terminal
from replican.values.quoting import quote as quoted

JSON_VERSION: Final = 1
"""The version of what ``--json`` promises: fields are only ever added within one."""

__all__ = [
    "JSON_VERSION",
    "Format",
    "flush",
    "json_path",
    "quoted",
    "say",
    "split_stream",
    "write",
    "write_json",
    "write_json_list",
]


def write(result: str | bytes) -> None:
    """Write to stdout. A ``str`` is written as UTF-8 (surrogateescape), and escaped where a terminal reads it."""
    if isinstance(result, str):
        if sys.stdout.isatty():
            result = escape_terminal(result)
        result = result.encode("utf-8", "surrogateescape")
    try:
        sys.stdout.buffer.write(result)
    except OSError as error:
        error.filename = "stdout"
        raise


def flush() -> None:
    """Hand over what was written."""
    try:
        sys.stdout.buffer.flush()
    except OSError as error:
        error.filename = "stdout"
        raise


def say(text: str) -> None:
    """Write a line for the user to stderr, after the results so far."""
    try:
        sys.stdout.buffer.flush()
    except OSError:
        pass  # whoever writes next to stdout learns of it
    try:
        sys.stderr.buffer.write((escape_terminal(text) + "\n").encode("utf-8", "backslashreplace"))
        sys.stderr.buffer.flush()
    except OSError:
        pass  # nobody listens


def split_stream(stream: IO[bytes], end: bytes) -> Iterator[bytes]:
    """The pieces of ``stream`` that end in ``end`` (the last may lack it), as soon as each is there."""
    if end == b"\n":
        for line in stream:
            yield line[:-1] if line.endswith(b"\n") else line
        return
    left = b""
    buffered: Any = stream  # read1 is missing in the type
    while chunk := buffered.read1(1 << 16):
        *whole, left = (left + chunk).split(end)
        yield from whole
    if left:
        yield left


def write_json(value: Any) -> None:
    """Write one JSON value and a line end."""
    import json

    write(json.dumps(value).encode() + b"\n")


def write_json_list(values: Iterable[Any], *, bare: bool) -> None:
    """Write a JSON list while it comes, an element a line; ``bare`` leaves out brackets and commas (JSON lines). It is
    one also where an error ends it, unless that comes first: then nothing is written."""
    import json

    if bare:
        for value in values:
            write(json.dumps(value).encode() + b"\n")
        return
    between = b"["
    try:
        for value in values:
            write(between + b"\n" + json.dumps(value).encode())
            between = b","
    except ReplicanError:
        if between == b",":
            write(b"\n]\n")  # what was found stands, and is a list
        raise
    write(b"[]\n" if between == b"[" else b"\n]\n")


class Format:
    """What ``--format`` asks for: ``%(field)``, ``%%``, ``%n`` (a line end) and ``%xNN`` (a byte in hex).

    A value that is ``bytes`` is a path: quoted where that is needed, unless ``nul``. Each result ends in a line end,
    or in NUL.
    """

    def __init__(self, template: str, fields: frozenset[str], *, nul: bool = False) -> None:
        self._end = b"\0" if nul else b"\n"
        self._quote: Callable[[bytes], bytes] = bytes if nul else lambda path: quoted(path).encode()
        self._pieces = list(_pieces(template, fields))

    def __call__(self, values: Mapping[str, str | bytes | int]) -> bytes:
        """One result, with its end."""
        return (
            b"".join([piece if field is None else self._value(values[field]) for piece, field in self._pieces])
            + self._end
        )

    def _value(self, value: str | bytes | int) -> bytes:
        return self._quote(value) if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")


def _pieces(template: str, fields: frozenset[str]) -> Iterator[tuple[bytes, str | None]]:
    # (text, None) or (b"", field), in order
    import re

    at = 0
    for match in re.finditer(r"%(?:\((\w*)\)|x([0-9a-fA-F]{2})|([%n])|)", template):
        yield template[at : match.start()].encode("utf-8", "surrogateescape"), None
        at = match.end()
        field, digits, sign = match.groups()
        if field is not None:
            if field not in fields:
                raise UsageError(f"unknown field in --format: '{field}'", f"there are: {', '.join(sorted(fields))}")
            yield b"", field
        elif digits is not None:
            yield bytes([int(digits, 16)]), None
        elif sign is not None:
            yield b"%" if sign == "%" else b"\n", None
        else:
            raise UsageError("bad '%' in --format", "write %(field), %% or %xNN")
    yield template[at:].encode("utf-8", "surrogateescape"), None
