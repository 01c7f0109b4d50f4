"""Addresses of remotes on other machines, as ssh and git users write them."""

import re
from typing import Final, NamedTuple

from replican.values.errors import UsageError

_URL: Final = re.compile(r"ssh://(?:([^@/]*)@)?(\[[^\[\]/@]+\]|[^:/@\[\]]*)(?::([0-9]*))?(/.*)?", re.DOTALL)
_UNFIT: Final = frozenset("'`\"$;&<>|(){}")
"""What no host or user has, and a shell would obey where a setting of ssh hands it on (OpenSSH refuses them, too)."""
_HINT = "write host:path or ssh://[user@]host[:port]/path"


class SshAddress(NamedTuple):
    """A folder on another machine. ``host`` may have a user before it; ``port`` is None where ssh decides.

    ``path`` is as the login there takes it: relative to its home, or absolute, or beginning with ``~``.
    """

    host: str
    port: int | None
    path: str


def parse_ssh(text: str) -> SshAddress | None:
    """The address that ``text`` is; None where it is none of another machine's.

    ``host:path`` is one if the colon stands before any slash; whether there is a file of that name here is for the
    caller to look at. Raises ``UsageError`` for one that is malformed, or that a program could take for an option.
    """
    if text.startswith("ssh://"):
        match = _URL.fullmatch(text)
        if match is None:
            raise UsageError(f"not an address of a remote: {text!r}", _HINT)
        user, host, port, path = match.groups()
        from urllib.parse import unquote

        path = unquote(path or "", errors="surrogateescape")
        path = path[1:] if path.startswith("/~") else path
        number = int(port) if port else None
        name = unquote(host.strip("[]"))
        host = name if user is None else f"{unquote(user)}@{name}"
    else:
        host, colon, path = text.partition(":")
        if not colon or "/" in host or "://" in text:
            return None
        number = None
        if host.startswith("[") and path.count("]:") == 1:  # [v6 address]:path
            inner, path = (host + ":" + path)[1:].split("]:")
            host = inner
    return _checked(text, SshAddress(host, number, path))


def _checked(text: str, address: SshAddress) -> SshAddress:
    host, port, path = address
    user, at, name = host.rpartition("@")
    if not name or (at and not user) or not path or path == "/" * len(path):
        raise UsageError(f"not an address of a remote: {text!r}", _HINT)
    if any(part.startswith("-") for part in (host, name, path)):
        raise UsageError(f"not an address of a remote: {text!r}", "neither a host nor a path may begin with '-'")
    if any(char.isspace() or char in _UNFIT or not char.isprintable() for char in host) or "\0" in path:
        raise UsageError(f"not an address of a remote: {text!r}", _HINT)
    if port is not None and not 0 < port < 1 << 16:
        raise UsageError(f"not an address of a remote: {text!r}", "a port is a number from 1 to 65535")
    return address
