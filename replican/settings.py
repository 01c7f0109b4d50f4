"""The one module that reads the environment: each setting that it has is a function here.

Only the fronts import it, and hand on what they read; the library knows no environment.
"""

import os
from collections.abc import Mapping

from replican.values.errors import UsageError

_AUTHOR_LIMIT = 200


def _get(name: str) -> str | None:
    """The value of a variable; None where it is unset or empty."""
    return os.environ.get(name) or None


def user_config_file() -> str | None:
    """Where the user's own config is (it need not exist); None where there is no home."""
    base = _config_home()
    return None if base is None else f"{base}/replican/config.toml"


def _config_home() -> str | None:
    base = _get("XDG_CONFIG_HOME")
    if base is not None and os.path.isabs(base):
        return base.rstrip("/")
    home = _home()
    return None if home is None else f"{home}/.config"


def _home() -> str | None:
    home = os.path.expanduser("~")
    return home if os.path.isabs(home) else None


def services_directory(*, launchd: bool = False) -> str | None:
    """Where the user's services are, those of systemd or of launchd; None where there is no home."""
    base = _home() if launchd else _config_home()
    return None if base is None else f"{base}/{'Library/LaunchAgents' if launchd else 'systemd/user'}"


def author_name(configured: str | None = None) -> str:
    """The author's name: ``REPLICAN_AUTHOR_NAME``, else what the config says, else the login name @ this host."""
    return _first_name(_get("REPLICAN_AUTHOR_NAME"), configured) or f"{_login(os.getuid())}@{host_name()}"


def author_of(uid: int, own: str | None, configured: str | None) -> str:
    """The name of who records in a folder that belongs to user ``uid``, which may be another one than runs this.

    ``own`` is what that folder's config says, and stands above all else; ``configured``, what the config of who runs
    this says, and the environment count only where both are the same user.
    """
    others = (None, None) if uid != os.getuid() else (_get("REPLICAN_AUTHOR_NAME"), configured)
    return _first_name(own, *others) or f"{_login(uid)}@{host_name()}"


def _first_name(*names: str | None) -> str:
    # the first that says anything; empty if none does
    for name in names:
        if name is not None:
            try:
                name.encode()
            except UnicodeEncodeError as error:
                raise UsageError("the author's name is not utf-8", "set REPLICAN_AUTHOR_NAME or author.name") from error
            name = " ".join(name.replace("\0", " ").split())[:_AUTHOR_LIMIT].rstrip()
            if name:
                return name
    return ""


def _login(uid: int) -> str:
    import pwd

    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = ""
    name = "".join(name.encode("ascii", "ignore").decode().split())
    return name or f"user{uid}"


def host_name() -> str:
    """This machine's name."""
    return "".join(os.uname().nodename.encode("ascii", "ignore").decode().split()) or "localhost"


def author_date_ns() -> int | None:
    """``REPLICAN_AUTHOR_DATE`` in ns since 1970; None where it is unset: the clock is meant.

    It is ``@SECONDS`` or ``SECONDS``, with a fraction or not, or a date as ISO 8601 writes it (without an
    offset: local time). Raises ``UsageError`` for anything else.
    """
    text = _get("REPLICAN_AUTHOR_DATE")
    if text is None:
        return None
    from replican.values.dates import parse_date

    return parse_date(text)


def pager() -> str | None:
    """The command that shows long text: ``REPLICAN_PAGER``, else ``PAGER``; None where neither is set."""
    return _get("REPLICAN_PAGER") or _get("PAGER")


def ssh_program() -> str | None:
    """The program that is run in the place of ssh: ``REPLICAN_SSH``, as it is, without options."""
    return _get("REPLICAN_SSH")


def for_program(added: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program that is started: our own, and what is ``added``."""
    return {**os.environ, **added}


def within_hook() -> bool:
    """Whether a hook of replican started this: ``REPLICAN_HOOK`` is set."""
    return _get("REPLICAN_HOOK") is not None


def columns() -> int | None:
    """The width that ``COLUMNS`` says; None where it says nothing: ask the terminal."""
    text = _get("COLUMNS")
    return int(text) if text is not None and text.isascii() and text.isdigit() and int(text) > 0 else None


def program_directories() -> list[str]:
    """The directories of ``PATH``, for programs named ``replican-<command>``. Relative ones are left out."""
    return [part for part in (_get("PATH") or os.defpath).split(os.pathsep) if os.path.isabs(part)]


def show_traceback() -> bool:
    """Whether a bug is shown whole: ``REPLICAN_TRACEBACK`` is set."""
    return _get("REPLICAN_TRACEBACK") is not None
