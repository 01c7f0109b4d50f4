"""Events: what happens while a folder is watched, as values. ``man 7 replican-events`` describes them for scripts.

``watch --json`` prints each as an object on a line of its own, a terminal and the log file show it as one line of
text. Whoever watches makes them and gives them their time; nothing here knows a clock.
"""

import re
from typing import Any, ClassVar, Final, NamedTuple

import msgspec

from replican.values.dates import iso_moment
from replican.values.ids import CheckpointId
from replican.values.paths import json_path
from replican.values.progress import show_size
from replican.values.quoting import escape_terminal, quote

INFO: Final = "info"
WARNING: Final = "warning"
ERROR: Final = "error"
DEBUG: Final = "debug"

_SHORT: Final = 7
_PATHS: Final = frozenset(["root", "path"])


class Counts(NamedTuple):
    """How many files changed; in the order of a ``Tally``, from which it is made."""

    added: int = 0
    deleted: int = 0
    moved: int = 0
    changed: int = 0

    @property
    def words(self) -> str:
        """``2 added, 1 deleted``; empty for nothing."""
        named = (("added", self.added), ("changed", self.changed), ("moved", self.moved), ("deleted", self.deleted))
        return ", ".join([f"{count} {word}" for word, count in named if count])


class Event(msgspec.Struct, frozen=True, tag_field="kind", tag=lambda name: re.sub(r"\B(?=[A-Z])", "-", name).lower()):
    """What all of them have: when it happened, in ns since 1970. ``level`` is how much it matters, as a log has it."""

    level: ClassVar[str] = INFO

    time_ns: int

    @property
    def kind(self) -> str:
        """The word for it in JSON: ``remote-lost``."""
        return str(self.__struct_config__.tag)

    def as_json(self) -> dict[str, Any]:
        """What ``json.dumps`` makes one line of. A path that is no UTF-8 has a second field with ``_b64``."""
        made: dict[str, Any] = {"kind": self.kind, "time": iso_moment(self.time_ns), "time_ns": self.time_ns}
        for name in self.__struct_fields__[1:]:
            value = getattr(self, name)
            made |= json_path(value, name) if name in _PATHS else {name: _plain(name, value)}
        return made

    def line(self) -> str:
        """It in one line for people, without the time, and without anything that a terminal would obey."""
        return escape_terminal(self._line(), keep="")

    def _line(self) -> str:
        return self.kind


class Started(Event, frozen=True):
    """The folder at ``root`` is watched from now on, by the process ``pid``, and kept in step with ``remotes``."""

    root: bytes
    peer: str
    pid: int
    version: str
    remotes: tuple[str, ...]

    def _line(self) -> str:
        return f"started: {quote(self.root)} with {', '.join(self.remotes) or 'no remote'}"


class Live(Event, frozen=True):
    """The whole folder has been seen, and changes are noticed as they come. ``polled`` directories are only looked at
    now and then; ``seconds`` after the start."""

    files: int
    directories: int
    polled: int
    seconds: float

    def _line(self) -> str:
        polled = f"; {_many(self.polled, 'directory', 'directories')} polled" if self.polled else ""
        where = f"{_many(self.files, 'file')} in {_many(self.directories, 'directory', 'directories')}"
        return f"live after {_seconds(self.seconds)}: {where}{polled}"


class Recorded(Event, frozen=True):
    """Edits made here became the checkpoint ``head``."""

    head: CheckpointId
    counts: Counts
    message: str

    def _line(self) -> str:
        return f"recorded {_short(self.head)}: {self.counts.words or 'folders and attributes'}"


class Syncing(Event, frozen=True):
    """Work with a remote begins."""

    level = DEBUG

    remote: str

    def _line(self) -> str:
        return f"{self.remote}: syncing"


class Synced(Event, frozen=True):
    """Work with a remote is done. ``equal``: both heads are ``head``. ``came`` changed here, ``went`` over there;
    ``conflicts`` are new, ``pending`` are all paths behind the head, here and over there. ``received`` and ``sent`` are
    bytes on a link, None where there is none."""

    remote: str
    head: CheckpointId | None
    equal: bool
    came: Counts
    went: Counts
    conflicts: int
    pending: int
    received: int | None
    sent: int | None
    seconds: float

    def _line(self) -> str:
        parts = [f"{word} {tally.words}" for word, tally in (("came", self.came), ("went", self.went)) if any(tally)]
        parts += [_many(self.conflicts, "conflict")] * bool(self.conflicts)
        parts += [f"{self.pending} pending"] * bool(self.pending)
        parts.append(f"in step at {_short(self.head)}" if self.equal else "not in step yet")
        flow = [
            f"{show_size(size)} {word}"
            for size, word in ((self.received, "received"), (self.sent, "sent"))
            if size is not None
        ]
        return f"{self.remote}: {'; '.join(parts)} ({', '.join([*flow, _seconds(self.seconds)])})"


class Gate(Event, frozen=True):
    """Gates stand closed (``open`` is false) before the folder's edits, or before what comes from or goes to
    ``remote``; or they are open again. ``names`` are theirs; ``message`` and ``hint`` are as an error has them, or had
    them."""

    level = WARNING

    remote: str | None
    open: bool
    names: tuple[str, ...]
    message: str
    hint: str | None

    def _line(self) -> str:
        names = ", ".join(self.names)
        if self.open:
            return _joined(self.remote, "gate open again", names or self.message, None)
        return _joined(self.remote, f"gate closed: {names}" if names else "gate closed", self.message, self.hint)


class Conflict(Event, frozen=True):
    """The name ``path`` has more than one version since a merge with ``remote``; the others lie beside it."""

    level = WARNING

    remote: str
    path: bytes
    copies: tuple[bytes, ...]

    def _line(self) -> str:
        copies = ", ".join([quote(copy.rpartition(b"/")[2]) for copy in self.copies])
        return f"{self.remote}: conflict: {quote(self.path)}: every version is kept, beside it as {copies}"


class RemoteLost(Event, frozen=True):
    """A remote cannot be reached, or broke the rules; ``retry_seconds`` until it is tried again, None for never."""

    level = WARNING

    remote: str
    code: str
    message: str
    hint: str | None
    retry_seconds: float | None

    def _line(self) -> str:
        again = "not tried again" if self.retry_seconds is None else f"next try in {_seconds(self.retry_seconds)}"
        return _joined(self.remote, f"lost ({again})", self.message, self.hint)


class RemoteFound(Event, frozen=True):
    """A remote can be reached, at first or again."""

    remote: str
    place: str

    def _line(self) -> str:
        return f"{self.remote}: found at {self.place}"


class Paused(Event, frozen=True):
    """Nothing is recorded, merged or sent until it is resumed."""

    why: str

    def _line(self) -> str:
        return f"paused: {self.why}"


class Resumed(Event, frozen=True):
    """It goes on."""

    why: str

    def _line(self) -> str:
        return f"resumed: {self.why}"


class Rescanned(Event, frozen=True):
    """The whole folder, or what lies below ``path``, has been looked through again; ``why`` says for what reason."""

    level = WARNING

    path: bytes
    why: str
    seconds: float

    def _line(self) -> str:
        where = quote(self.path) if self.path else "the whole folder"
        return f"rescanned {where} in {_seconds(self.seconds)}: {self.why}"


class Reloaded(Event, frozen=True):
    """The config has been read again."""

    remotes: tuple[str, ...]

    def _line(self) -> str:
        return f"config read again: {', '.join(self.remotes) or 'no remote'}"


class Error(Event, frozen=True):
    """Something failed, with ``remote`` or here, and work goes on. ``code`` is that of an error of replican, or
    ``hook``."""

    level = ERROR

    remote: str | None
    code: str
    message: str
    hint: str | None

    def _line(self) -> str:
        return _joined(self.remote, "error", self.message, self.hint)


class Note(Event, frozen=True):
    """What a command would say on stderr of the work here, or with ``remote``."""

    remote: str | None
    message: str

    def _line(self) -> str:
        return self.message if self.remote is None else f"{self.remote}: {self.message}"


class Stopped(Event, frozen=True):
    """The end: nothing comes after it."""

    why: str

    def _line(self) -> str:
        return f"stopped: {self.why}"


def _plain(name: str, value: Any) -> Any:
    """A field as JSON has it: ids in hex, paths in lists as objects, counts by their names."""
    if isinstance(value, Counts):
        return value._asdict()
    if isinstance(value, bytes):
        return value.hex()
    if name == "copies":
        return [json_path(copy, "copy") for copy in value]
    return list(value) if isinstance(value, tuple) else value


def _joined(remote: str | None, what: str, message: str, hint: str | None) -> str:
    where = "" if remote is None else f"{remote}: "
    return f"{where}{what}: {message}{'' if hint is None else f' ({hint})'}"


def _short(head: CheckpointId | None) -> str:
    return "nothing" if head is None else head.hex()[:_SHORT]


def _many(count: int, one: str, several: str | None = None) -> str:
    return f"{count} {one if count == 1 else several or one + 's'}"


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s" if seconds < 60 else f"{seconds:.0f} s"
