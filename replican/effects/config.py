"""The config: `.replican/config.toml`, above the user's own file, above what replican does by itself.

It is TOML, and its owner may edit it: comments, order and unknown keys stay when replican writes. The first
two lines, as :meth:`Config.create` writes them, are read without a TOML parser, which would take a third of a
small command's time; the rest is parsed when something asks for it.
"""

import os
import re
from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Final, NamedTuple

from replican.effects import durable
from replican.effects.refs import is_remote_name
from replican.effects.setting import (
    KNOWN,
    KNOWN_OF_REMOTES,
    Value,
    check_text,
    convert,
    join_key,
    known_setting,
    split_key,
)
from replican.values.checkpoints import is_peer_id
from replican.values.errors import (
    DamagedError,
    NoRepositoryError,
    NotFoundError,
    UnknownRemoteError,
    UnsupportedError,
    UsageError,
)
from replican.values.ids import CheckpointId, is_hex_id

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

FORMAT: Final = 1
"""The version of `.replican` that this release reads and writes."""
FILE: Final = "config.toml"

_HEAD = re.compile(rb'format = ([0-9]{1,9})\npeer_id = "([0-9a-f]{16})"\n')
_OWN = frozenset(["format", "peer_id"])
_SIZE_LIMIT = 1 << 20
_PACE = ("poll.min", "poll.max")


class RemoteSettings(NamedTuple):
    """A remote. ``trusted`` is the head up to which its merges were taken over unproven, when it was cloned."""

    url: str
    trusted: CheckpointId | None = None


class Config:
    """The settings of one repository, and of its user."""

    def __init__(self, path: str | None, content: bytes, user_file: str | None) -> None:
        """Use :meth:`load`, :meth:`create` or :meth:`user_only`."""
        self._path = path
        self._user_file = user_file
        self._tables: dict[str | None, dict[str, object]] = {}
        self._content = content
        self.format = FORMAT
        self.peer_id = ""
        if path is not None:
            self._read_head()

    @classmethod
    def load(cls, dotdir: str, user_file: str | None) -> "Config":
        """The config of the repository whose `.replican` is ``dotdir``; ``user_file`` need not exist.

        Raises ``NoRepositoryError`` without one, ``UnsupportedError`` for the format of a later release, and
        ``DamagedError`` for what is no config.
        """
        path = f"{dotdir}/{FILE}"
        content = _read_file(path)
        if content is None:
            hint = "a folder becomes a replica by: replican init"
            raise NoRepositoryError(f"no replica at {os.path.dirname(dotdir)}: it has no {FILE}", hint)
        return cls(path, content, user_file)

    @classmethod
    def create(cls, dotdir: str, peer_id: str, user_file: str | None) -> "Config":
        """Write the config of a new repository. It is the file that makes a folder a replica: written last."""
        path = f"{dotdir}/{FILE}"
        content = f'format = {FORMAT}\npeer_id = "{peer_id}"\n'.encode()
        try:
            durable.replace_file(path, content)
        except OSError as error:
            raise durable.explain(error, f"write {path}") from error
        return cls(path, content, user_file)

    @classmethod
    def user_only(cls, user_file: str | None) -> "Config":
        """The user's settings, where there is no repository."""
        return cls(None, b"", user_file)

    def _read_head(self) -> None:
        head = _HEAD.match(self._content)
        version: object
        peer: object
        if head is not None:
            version, peer = int(head[1]), head[2].decode()
        else:
            table = self._table(self._path)
            version, peer = table.get("format"), table.get("peer_id")
        if type(version) is int and version > FORMAT:
            raise UnsupportedError(f"{self._path} has format {version}, of a later release", "upgrade replican")
        if version != FORMAT or type(version) is not int:
            raise self._damaged(self._path, "it names no format")
        if not isinstance(peer, str) or not is_peer_id(peer):
            raise self._damaged(self._path, "it names no peer id")
        self.peer_id = peer

    # Reading

    @property
    def remotes(self) -> dict[str, RemoteSettings]:
        """The remotes, in the order of the file."""
        table = self._table(self._path).get("remotes", {}) if self._path else {}
        if not isinstance(table, dict):
            raise self._damaged(self._path, "remotes is not a table")
        return {name: self._remote(name, value) for name, value in table.items()}

    def _remote(self, name: str, value: object) -> RemoteSettings:
        url = value.get("url") if isinstance(value, dict) else None
        trusted = value.get("trusted") if isinstance(value, dict) else None
        if not is_remote_name(name) or not isinstance(url, str) or not url:
            raise self._damaged(self._path, f"the remote {name!r} has no url, or a name that none can have")
        if trusted is None:
            return RemoteSettings(url)
        if not isinstance(trusted, str) or not is_hex_id(trusted):
            raise self._damaged(self._path, f"the remote {name!r} trusts what is no id")
        return RemoteSettings(url, CheckpointId(bytes.fromhex(trusted)))

    def remote(self, name: str) -> RemoteSettings:
        """A remote's settings; raises ``UnknownRemoteError``."""
        found = self.remotes.get(name)
        if found is None:
            raise UnknownRemoteError(f"no remote named {name!r}", "replican remote list shows those that there are")
        return found

    def find(self, key: str) -> Value | None:
        """The value that is set for a dotted key: the repository's, else the user's; None where neither sets it."""
        parts = split_key(key)
        for path in (self._path, self._user_file):
            if path is not None:
                value = _dig(self._table(path), parts)
                if isinstance(value, (str, int, bool)):
                    return value
                if value is not None and not isinstance(value, dict):
                    return str(value)
        return None

    def get(self, key: str) -> Value | None:
        """The value of a dotted key, with the default of a known one; None where there is neither.

        Raises ``DamagedError`` for a known key that is set to a value of the wrong type.
        """
        value, known = self.find(key), known_setting(key)
        if known is None:
            return value
        if value is None:
            return known.default
        if not known.takes(value):
            where = self._path if self._path and _dig(self._table(self._path), split_key(key)) is not None else None
            raise self._damaged(where or self._user_file, f"{key} must be {known.kind}")
        return value

    def text(self, key: str) -> str:
        """The value of a known key that is a text."""
        value = self.get(key)
        return value if isinstance(value, str) else ""

    def own_text(self, key: str) -> str:
        """The value of a known key that is a text, if the repository itself sets it; empty if not."""
        here = self._path is not None and _dig(self._table(self._path), split_key(key)) is not None
        return self.text(key) if here else ""

    def number(self, key: str) -> int:
        """The value of a known key that is a number."""
        value = self.get(key)
        return value if isinstance(value, int) else 0

    def remote_text(self, name: str, setting: str) -> str:
        """One of the settings of a remote, as a text."""
        value = self.get(join_key(("remote", name, setting)))
        return "" if value is None else str(value)

    def remote_number(self, name: str, setting: str) -> int:
        """One of the settings of a remote that is a number."""
        return self.number(join_key(("remote", name, setting)))

    def check(self) -> None:
        """Raise what reading any of it would: ``DamagedError`` for a known key that is set to what it cannot be."""
        for key in KNOWN:
            self.get(key)
        for name in self.remotes:
            for setting in KNOWN_OF_REMOTES:
                self.get(join_key(("remote", name, setting)))
        if self.number("poll.min") > self.number("poll.max"):
            raise self._damaged(self._path or self._user_file, "poll.min is larger than poll.max")

    def items(self) -> list[tuple[str, Value]]:
        """All that is set, as dotted keys, sorted; a key that is set twice has the repository's value."""
        found: dict[str, Value] = {}
        for path in (self._user_file, self._path):
            if path is not None:
                found.update(_leaves(self._table(path), ()))
        return sorted(found.items())

    def aliases(self) -> dict[str, str]:
        """The user's own names for command lines."""
        prefix = "alias."
        return {key[len(prefix) :]: str(value) for key, value in self.items() if key.startswith(prefix)}

    # Writing

    def set(self, key: str, value: str, user: bool = False) -> None:
        """Set a dotted key, in the repository's file or the user's; raises ``UsageError`` for a wrong value.

        A known key takes what its type can be read from; any other takes text.
        """
        parts = split_key(key)
        if len(parts) < 2 or parts[0] == "remotes":
            raise UsageError(f"cannot set {key!r}", "settings are named like author.name; remotes by: replican remote")
        made = convert(key, value)
        if key in _PACE:
            least, most = [made if key == each else self.number(each) for each in _PACE]
            if int(least) > int(most):
                raise UsageError(
                    f"poll.min ({least}) would be larger than poll.max ({most})", "set the other one first"
                )
        self._write({parts: made}, user)

    def unset(self, key: str, user: bool = False) -> None:
        """Remove a dotted key from the repository's file or the user's; raises ``NotFoundError`` if it is not there."""
        parts = split_key(key)
        path = self._file(user)
        if len(parts) < 2 or isinstance(_dig(self._table(path), parts), dict | None):
            raise NotFoundError(f"{key} is not set in {path}")
        self._write({parts: None}, user)

    def set_remote(self, name: str, remote: RemoteSettings) -> None:
        """Add a remote, or change it."""
        if not is_remote_name(name):
            hint = "letters, digits, '_', '-' and '.' may be used"
            raise UsageError(f"not a name for a remote: {name!r}", hint)
        check_text(name, remote.url)
        trusted = None if remote.trusted is None else remote.trusted.hex()
        self._write({("remotes", name, "url"): remote.url, ("remotes", name, "trusted"): trusted}, False)

    def remove_remote(self, name: str) -> None:
        """Forget a remote, and what was set for it: another one of that name is not to have its hooks run. Raises
        ``UnknownRemoteError``."""
        self.remote(name)
        self._write({("remotes", name): None, ("remote", name): None}, False)

    def _file(self, user: bool) -> str:
        path = self._user_file if user else self._path
        if path is None:
            raise NoRepositoryError("there is no config file to write", "the user's needs a home, others a replica")
        return path

    def _write(self, changes: dict[tuple[str, ...], Value | None], user: bool) -> None:
        """Change keys (None removes one) in a file as it is now, and put it in place as a whole."""
        import tomlkit
        from tomlkit.exceptions import TOMLKitError

        path = self._file(user)
        content = _read_file(path, follow=user) or b""
        try:
            document = tomlkit.parse(content.decode())
            for parts, value in changes.items():
                _change(document, parts, value)
            made = tomlkit.dumps(document).encode()
        except (TOMLKitError, ValueError) as error:
            raise self._damaged(path, str(error)) from error
        if made == content:
            return
        try:
            if user:  # it, or its folder, may be a link to where he keeps such files
                path = os.path.realpath(path)
            durable.make_directory(os.path.dirname(path))
            durable.replace_file(path, made)
        except OSError as error:
            raise durable.explain(error, f"write {path}") from error
        self._tables.pop(self._file(user), None)
        if not user:
            self._content = made

    # Parsing

    def _table(self, path: str | None) -> dict[str, object]:
        found = self._tables.get(path)
        if found is None and path is not None:
            content = self._content if path == self._path else _read_file(path, follow=True) or b""
            found = self._tables[path] = self._parse(path, content)
        return found or {}

    def _parse(self, path: str, content: bytes) -> dict[str, object]:
        if not content:
            return {}
        head = _HEAD.fullmatch(content)
        if head is not None:  # nothing was set yet
            return {"format": int(head[1]), "peer_id": head[2].decode()}
        import tomllib

        try:
            return tomllib.loads(content.decode())
        except (ValueError, RecursionError) as error:  # no TOML, no UTF-8
            raise self._damaged(path, str(error).lower()) from error

    def _damaged(self, path: str | None, how: str) -> DamagedError:
        return DamagedError(f"{path} is damaged: {how}", "mend it by hand: it is a text file (TOML)")


def _dig(table: dict[str, object], parts: tuple[str, ...]) -> object:
    found: object = table
    for part in parts:
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _leaves(table: dict[str, object], above: tuple[str, ...]) -> Iterator[tuple[str, Value]]:
    for name, value in table.items():
        parts = (*above, name)
        if isinstance(value, dict):
            yield from _leaves(value, parts)
        elif parts[0] not in _OWN:
            yield join_key(parts), value if isinstance(value, (str, int, bool)) else str(value)


def _change(document: "TOMLDocument", parts: tuple[str, ...], value: Value | None) -> None:
    import tomlkit

    table: MutableMapping[str, object] = document
    for part in parts[:-1]:
        if part not in table:
            if value is None:
                return
            table[part] = tomlkit.table(is_super_table=part == "remotes")
        below = table[part]
        if not isinstance(below, MutableMapping):
            raise UsageError(f"cannot set {join_key(parts)!r}: {part} is a value itself")
        table = below
    if value is not None:
        table[parts[-1]] = value
    elif parts[-1] in table:
        del table[parts[-1]]


def _read_file(path: str, follow: bool = False) -> bytes | None:
    try:
        with open(durable.open_file(path, follow=follow), "rb") as file:
            content = file.read(_SIZE_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise durable.explain(error, f"read {path}") from error
    if len(content) > _SIZE_LIMIT:
        raise DamagedError(f"{path} is damaged: it is too large for a config")
    return content
