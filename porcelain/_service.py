"""``watch --install`` and ``--uninstall``: the service that has a folder watched, and what is told about it."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from replican import settings
from replican.plumbing._front.context import Context
from replican.plumbing._front.output import quoted
from replican.values.errors import NoRepositoryError

if TYPE_CHECKING:
    from replican.values.units import Unit


def install(ctx: Context, remotes: Sequence[str] = (), *, print_only: bool = False) -> None:
    """Write the service that watches the folder with ``remotes`` (none: all of them), and say how it is begun.

    ``print_only`` prints what would be written, and writes nothing. With ``--json``: an object with "path", "written"
    (false where it was there already), "enable" and "disable" (commands).
    """
    from replican.operations.service import install as write

    repo = ctx.repository()
    for name in remotes:
        repo.config.remote(name)
    unit = _unit(os.fsencode(repo.root), remotes)
    if print_only:
        ctx.out(unit.content)
        return
    done = write(unit, _directory())
    if ctx.json:
        ctx.emit({"path": done.path, "written": done.written, "enable": unit.enable, "disable": unit.disable})
        return
    shown = quoted(os.fsencode(done.path))
    ctx.line(f"wrote {shown}" if done.written else f"{shown} is there already")
    ctx.say(f"hint: begin it, now and at each login, by: {unit.enable}")
    if not _is_launchd():
        ctx.say("hint: to have it go on while nobody is logged in: loginctl enable-linger")


def uninstall(ctx: Context) -> None:
    """Take the service of the folder away, and say how one that runs is ended. With ``--json``: an object with "path"
    and "disable"."""
    from replican.operations.service import uninstall as remove

    unit = _unit(os.fsencode(ctx.repository().root), ())
    path = remove(unit, _directory())
    if ctx.json:
        ctx.emit({"path": path, "disable": unit.disable})
        return
    ctx.line(f"removed {quoted(os.fsencode(path))}")
    ctx.say(f"hint: if it runs, end it by: {unit.disable}")


def program() -> list[bytes]:
    """The words that run this very program again, whatever the directory and the environment."""
    script = os.path.abspath(sys.argv[0]) if sys.argv and sys.argv[0] not in ("", "-c", "-m") else ""
    if os.path.isfile(script):
        return [os.fsencode(sys.executable), os.fsencode(script)]
    # -P: no module is taken from the directory that it happens to be begun in.
    return [os.fsencode(sys.executable), b"-P", b"-c", b"from replican.porcelain._entry import main; main()"]


def _is_launchd() -> bool:
    return sys.platform == "darwin"


def _unit(root: bytes, remotes: Sequence[str]) -> "Unit":
    from replican.values.units import launchd_plist, systemd_unit

    return (launchd_plist if _is_launchd() else systemd_unit)(root, program(), remotes)


def _directory() -> str:
    found = settings.services_directory(launchd=_is_launchd())
    if found is None:
        raise NoRepositoryError("there is no home to put a service into", "set HOME")
    return found
