"""List, add, change and remove remotes.

A remote is another folder that this one is kept in step with, under a name. Without a subcommand, the names are
listed.

Output of the list: one name a line; with -v, a tab and the address. With --json, a list of objects with "name"
and "url".

Exit codes: 0 done; 2 usage, or a name that is taken; 8 no such remote.

    replican remote add disk /mnt/disk/Documents
    replican remote -v
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final

from replican.plumbing._front.context import Context
from replican.plumbing._front.params import Argument, Option
from replican.values.errors import UsageError

if TYPE_CHECKING:
    from replican.repository import Repository


def address(given: str, directory: str) -> str:
    """An address as it is kept: a path is absolute, so that it means the same from everywhere."""
    if "://" in given:
        return given
    if not given or "\0" in given or "\n" in given:
        raise UsageError(f"not an address of a remote: {given!r}")
    host, colon, _ = given.partition(":")
    if colon and "/" not in host and not os.path.exists(os.path.join(directory, given)):
        return given
    return os.path.normpath(os.path.join(directory, os.path.expanduser(given)))


def set_url(repo: "Repository", name: str, url: str) -> str | None:
    """Give a remote, which must be there, another address; a warning where nothing can be reached there."""
    from replican.operations.remotes import remote_root

    repo.config.set_remote(name, repo.config.remote(name)._replace(url=url))
    root = remote_root(repo, name)
    return None if os.path.isdir(root) else f"there is no folder at {root} now"


def add_remote(repo: "Repository", name: str, url: str) -> str | None:
    """Add a remote; a warning where nothing can be reached there. Raises ``UsageError`` for a name that is taken."""
    from replican.effects.config import RemoteSettings

    if name in repo.config.remotes:
        raise UsageError(
            f"there is a remote named '{name}' already", f"'replican remote set-url {name} PATH' changes it"
        )
    repo.config.set_remote(name, RemoteSettings(url))
    return set_url(repo, name, url)


def remove_remote(repo: "Repository", name: str) -> None:
    """Forget a remote and what is known of its log; the remote's folder stays as it is."""
    from replican.effects.refs import remote_head

    repo.config.remote(name)
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
    url: Annotated[str, Argument("PATH", help="the folder", complete="directory")],
) -> int | None:
    """Add a remote."""
    _warn(ctx, add_remote(ctx.repository(), name, address(url, ctx.directory)))
    return None


def remove(ctx: Context, name: Annotated[str, Argument("NAME", help="which", complete="remote")]) -> int | None:
    """Forget a remote and what is known of its log; its folder stays as it is."""
    remove_remote(ctx.repository(), name)
    return None


def change(
    ctx: Context,
    name: Annotated[str, Argument("NAME", help="which", complete="remote")],
    url: Annotated[str, Argument("PATH", help="the folder", complete="directory")],
) -> int | None:
    """Give a remote another address, as when its folder has been moved."""
    _warn(ctx, set_url(ctx.repository(), name, address(url, ctx.directory)))
    return None


def _warn(ctx: Context, warning: str | None) -> None:
    if warning is not None:
        ctx.say(f"replican: {warning}")


SUBCOMMANDS: Final[dict[str, Callable[..., int | None]]] = {
    "list": list_,
    "add": add,
    "remove": remove,
    "set-url": change,
}
