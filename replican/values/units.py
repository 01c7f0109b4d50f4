"""What has a folder watched from login on: a unit of systemd, a property list of launchd.

Both are files that the user may read, and both say in a first line whose they are, with a digest of the rest: what was
edited by hand since, or written by somebody else, can be told.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from replican.values.errors import UsageError
from replican.values.quoting import quote

_MARK = re.compile(rb"^(?:# |<!-- )written by replican watch \(([0-9a-f]{16})\)[^\n]*\n", re.MULTILINE)
_SLUG = re.compile(rb"[^A-Za-z0-9_.]+")
_NO_PROGRAM = re.compile(rb"[\x00-\x1f\x7f\"'\\]")
"""What systemd takes in no name of a program."""
_AGAIN_SECONDS: Final = 30
_NICE: Final = 5


class Unit(NamedTuple):
    """A service: the name of its file, what is in it, and the commands (for a shell) that start and end it. ``link``,
    beside the file, is what the first of them makes, if it makes one."""

    file: str
    content: bytes
    enable: str
    disable: str
    link: str | None = None


def systemd_unit(root: bytes, program: Sequence[bytes], remotes: Sequence[str]) -> Unit:
    """A unit of the user's systemd that watches the folder at ``root``, an absolute path, by running ``program``.

    Raises ``UsageError`` for what a unit cannot say: a line end in the path, quotes and the like in the program's.
    """
    _check(root, program)
    name = f"replican-watch-{_slug(root)}.service"
    # The first word is taken as it is, but for specifiers; in the others variables are replaced.
    others = [*program[1:], b"-C", root, b"watch", *(remote.encode() for remote in remotes)]
    words = [systemd_word(program[0]), *(systemd_word(word.replace(b"$", b"$$")) for word in others)]
    shown = quote(root).replace("%", "%%")
    lines = [
        "[Unit]",
        f"Description=replican: keep {shown} in step",
        "Documentation=man:replican(1)",
        # A disk that is away comes back some day: it is tried for ever.
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=exec",
        f"ExecStart={' '.join(words)}",
        "ExecReload=kill -HUP $MAINPID",
        "Restart=on-failure",
        f"RestartSec={_AGAIN_SECONDS}",
        "RestartPreventExitStatus=2",
        # Its own processes are ended by the first of them, in the right order.
        "KillMode=mixed",
        "TimeoutStopSec=20",
        f"Nice={_NICE}",
        "IOSchedulingClass=best-effort",
        "IOSchedulingPriority=6",
        "",
        "[Install]",
        "WantedBy=default.target",
        "",
    ]
    return Unit(
        name,
        marked("\n".join(lines).encode()),
        f"systemctl --user daemon-reload && systemctl --user enable --now {name}",
        f"systemctl --user stop {name}; systemctl --user daemon-reload",
        f"default.target.wants/{name}",
    )


def launchd_plist(root: bytes, program: Sequence[bytes], remotes: Sequence[str]) -> Unit:
    """The same for launchd; raises ``UsageError`` also for a path that is not UTF-8, or has control characters."""
    import plistlib

    _check(root, program)
    label = f"replican.watch.{_slug(root)}"
    try:
        words = [word.decode() for word in [*program, b"-C", root, b"watch"]] + list(remotes)
        made = plistlib.dumps(
            {
                "Label": label,
                "ProgramArguments": words,
                "RunAtLoad": True,
                "KeepAlive": {"SuccessfulExit": False},
                "ThrottleInterval": _AGAIN_SECONDS,
                "Nice": _NICE,
                "LowPriorityIO": True,
            }
        )
    except ValueError as error:
        raise UsageError(f"a service cannot be made for {quote(root)}: launchd knows no such path") from error
    name = f"{label}.plist"
    place = f"~/Library/LaunchAgents/{name}"
    head, line_end, rest = made.partition(b"\n")
    return Unit(
        name,
        head + line_end + marked(rest, xml=True),
        f"launchctl bootstrap gui/$(id -u) {place}",
        f"launchctl bootout gui/$(id -u)/{label}",
    )


def systemd_word(word: bytes) -> str:
    """A word of a command as a unit has it: quoted, with C's escapes, and no specifier in it."""
    text = "".join([_escaped(char) for char in word.decode("utf-8", "surrogateescape")])
    return f'"{text.replace("%", "%%")}"'


def marked(content: bytes, *, xml: bool = False) -> bytes:
    """``content`` with the line before it that says whose it is."""
    digest = hashlib.sha256(content).hexdigest()[:16]
    line = f"written by replican watch ({digest}), which leaves it alone once it has been edited"
    return (f"<!-- {line} -->\n" if xml else f"# {line}\n").encode() + content


def is_ours(content: bytes) -> bool:
    """Whether :func:`systemd_unit` or :func:`launchd_plist` has made just this, of whatever release."""
    mark = _MARK.search(content)
    return mark is not None and hashlib.sha256(content[mark.end() :]).hexdigest()[:16] == mark[1].decode()


def _escaped(char: str) -> str:
    if char in '\\"':
        return f"\\{char}"
    if char.isprintable():
        return char
    return "".join([f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape")])


def _check(root: bytes, program: Sequence[bytes]) -> None:
    if b"\n" in root or b"\r" in root:
        raise UsageError(f"a service cannot be made for {quote(root)}: there is a line end in the path")
    if _NO_PROGRAM.search(program[0]):
        raise UsageError(f"a service cannot run {quote(program[0])}: there are special characters in the path")


def _slug(root: bytes) -> str:
    """Part of the name of a service, which is the folder's alone: what people know it by, and what tells it from
    others."""
    name = _SLUG.sub(b"-", root.rpartition(b"/")[2]).strip(b"-.")[:40].decode() or "folder"
    return f"{name}-{hashlib.sha256(root).hexdigest()[:8]}"
