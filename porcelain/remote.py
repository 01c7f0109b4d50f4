"""List, add, change and remove remotes.

A remote is another folder that this one is kept in step with, under a name: a folder here, or one on another machine
that ssh reaches, as host:path or ssh://[user@]host[:port]/path. Without a subcommand, the names are listed.

Output of the list: one name a line; with -v, a tab and the address. With --json, a list of objects with "name"
and "url".

Exit codes: 0 done; 2 usage, a name that is taken, or no address; 5 an address that cannot be reached from here; 8 no
such remote.

    replican remote add disk /mnt/disk/Documents
    replican remote add laptop ssh://me@laptop:2222/home/me/Documents
    replican remote -v
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final

from replican.plumbing._front.context import Context
from replican.plumbing._front.params import Argument, Option
from replican.values.errors import UsageError

if TYPE_CHECKING:
    from replican.effects.config import RemoteSettings
    from replican.repository import Repository


def address(given: str, directory: str) -> str:
    """An address as it is kept: a path is absolute, so that it means the same from everywhere.

    Raises ``UsageError`` for what is none.
    """
    from replican.operations.remotes import ssh_address

    if ssh_address(given, directory) is not None or "://" in given:
        return given
    return os.path.normpath(os.path.join(directory, os.path.expanduser(given)))


def set_url(repo: "Repository", name: str, url: str) -> str | None:
    """Give a remote, which must be there, another address; a warning where nothing can be reached there.

    Raises ``UsageError`` or ``RemoteError`` for an address of nothing that can be reached at all: it is not kept.
    """
    return _keep(repo, name, url, repo.config.remote(name)._replace(url=url))


def add_remote(repo: "Repository", name: str, url: str) -> str | None:
    """Add a remote; a warning where nothing can be reached there. Raises ``UsageError`` for a name that is taken."""
    from replican.effects.config import RemoteSettings

    if name in repo.config.remotes:
        raise UsageError(
            f"there is a remote named '{name}' already", f"'replican remote set-url {name} ADDRESS' changes it"
        )
    return _keep(repo, name, url, RemoteSettings(url))


def _keep(repo: "Repository", name: str, url: str, settings: "RemoteSettings") -> str | None:
    from replican.operations.remotes import folder_of, ssh_address

    if ssh_address(url, repo.root) is not None:  # whether it is there turns out when it is needed
        repo.config.set_remote(name, settings)
        return None
    root = folder_of(url, repo.root)
    repo.config.set_remote(name, settings)
    return None if os.path.isdir(root) else f"there is no folder at {root} now"


def remove_remote(repo: "Repository", name: str) -> None:
    """Forget a remote and what is known of its log; the remote's folder stays as it is."""
    from replican.effects.refs import remote_head

    repo.config.remote(name)
    with repo.writing("remote remove"):  # a watch that runs moves the ref, and empties its tail into it
        repo.refs.delete(remote_head(name))
        repo.config.remove_remote(name)


def command(
    ctx: Context,
    verbose: Annotated[bool, Option("-v", "--verbose", help="with their addresses")] = False,
) -> int | None:
    remotes = ctx.repository().config.remotes
    if ctx.json:
        ctx.emit_all({"name": name, "url": remote.url} for name, remote in remotes.items())
        return None
    for name, remote in remotes.items():
        ctx.line(f"{name}\t{remote.url}" if verbose else name)
    return None


def list_(
    ctx: Context,
    verbose: Annotated[bool, Option("-v", "--verbose", help="with their addresses")] = False,
) -> int | None:
    """List the remotes."""
    return command(ctx, verbose)


def add(
    ctx: Context,
    name: Annotated[str, Argument("NAME", help="what to call it")],
    url: Annotated[str, Argument("ADDRESS", help="the folder", complete="directory")],
) -> int | None:
    """Add a remote."""
    _changed(ctx, add_remote(ctx.repository(), name, address(url, ctx.directory)))
    return None


def remove(ctx: Context, name: Annotated[str, Argument("NAME", help="which", complete="remote")]) -> int | None:
    """Forget a remote and what is known of its log; its folder stays as it is."""
    remove_remote(ctx.repository(), name)
    _changed(ctx, None)
    return None


def change(
    ctx: Context,
    name: Annotated[str, Argument("NAME", help="which", complete="remote")],
    url: Annotated[str, Argument("ADDRESS", help="the folder", complete="directory")],
) -> int | None:
    """Give a remote another address, as when its folder has been moved."""
    _changed(ctx, set_url(ctx.repository(), name, address(url, ctx.directory)))
    return None


def _changed(ctx: Context, warning: str | None) -> None:
    from replican.effects.asking import say_config_changed

    say_config_changed(ctx.repository().dotdir)
    if warning is not None:
        ctx.say(f"replican: {warning}")


SUBCOMMANDS: Final[dict[str, Callable[..., int | None]]] = {
    "list": list_,
    "add": add,
    "remove": remove,
    "set-url": change,
}
