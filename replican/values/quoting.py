"""Paths as text: quoting as git does, so that a line holds one path and no byte is lost.

A path with a control character, a double quote, a backslash or a byte above 0x7e is put in double quotes, with the
escapes of C; any other stands as it is.
"""

import re

from replican.values.errors import UsageError

_NAMED = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}
_ESCAPED = [
    f"\\{_NAMED[byte]}" if byte in _NAMED else chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}"
    for byte in range(256)
]
_USUAL = bytes(byte for byte in range(0x20, 0x7F) if byte not in _NAMED)
# Patterns that seldom matter are left for re to compile, and keep, when they do.
_ESCAPE = rb'\\(?:([abtnvfr"\\])|([0-3][0-7]{2})|)|"'
_UNSAFE = "[\x00-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
_TOLD_LIMIT = 1000
_BYTE = {letter: byte for byte, letter in _NAMED.items()}


def quote(path: bytes) -> str:
    """``path`` as git shows it: quoted if it has to be."""
    if not path.translate(None, _USUAL):
        return path.decode("ascii")
    return '"' + "".join([_ESCAPED[byte] for byte in path]) + '"'


def unquote(text: str) -> bytes:
    """The path that ``text`` shows; raises ``UsageError`` for a quoted one that is not well-formed."""
    raw = text.encode("utf-8", "surrogateescape")
    if raw[:1] != b'"':
        return raw
    if len(raw) < 2 or raw[-1:] != b'"':
        raise UsageError(f"path with an open quote: {escape_terminal(text)}")

    def plain(match: re.Match[bytes]) -> bytes:
        letter, digits = match.groups()
        if letter is not None:
            return bytes([_BYTE[letter.decode()]])
        if digits is None:
            raise UsageError(f"path with a bad escape: {escape_terminal(text)}")
        return bytes([int(digits, 8)])

    return re.sub(_ESCAPE, plain, raw[1:-1])


def escape_terminal(text: str, keep: str = "\n\t") -> str:
    """``text`` with nothing in it that a terminal would obey, or that shows what is not there.

    Control characters (but those in ``keep``), the marks that reorder text, and bytes that are no UTF-8 are escaped.
    """
    if text.isprintable():
        return text
    return re.sub(_UNSAFE, lambda match: match[0] if match[0] in keep else _escape(match[0]), text)


def show_told(text: str) -> str:
    """What a stranger says, as a part of one line: escaped, line ends and all, and cut where it is long."""
    shown = escape_terminal(text[:_TOLD_LIMIT], keep="")
    return shown if len(text) <= _TOLD_LIMIT else shown + "..."


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code < 0xDD00:
        return f"\\{code - 0xDC00:03o}"
    return _ESCAPED[code] if code < 0x80 else f"\\u{code:04x}"
