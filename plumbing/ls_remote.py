"""List the refs of a remote.

R is a remote, or the address of a folder that is a replica; then no repository is needed here. Without R it is the only
remote, or "origin". The remote is asked as it is: what its user has not recorded is not in it, and nothing of it is
fetched.

Output: "<id>", a tab, and the ref, as show-ref lists them; nothing for an empty log. With --json, a list of objects
with "ref" and "id".

Exit codes: 0 done; 1 there is none, with --exit-code; 5 the remote cannot be reached; 8 no such remote.

    replican ls-remote origin
    replican ls-remote /media/disk/Documents
    replican ls-remote laptop:Documents
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.exits import DIFFERENT
from replican.plumbing._front.params import Argument, Option
from replican.values.errors import NoRepositoryError, RemoteError, UnknownRemoteError

if TYPE_CHECKING:
    from replican.values.ids import CheckpointId


def refs_of(ctx: Context, name: str | None) -> "Sequence[tuple[str, CheckpointId]]":
    """The refs of a remote, or of a folder that is named by its path."""
    from replican.effects.roots import is_replica
    from replican.operations.remotes import SERVE, default_remote, opened_remote, ssh_address, terms_of, wired_remote
    from replican.repository import Repository, ssh_program, user_config

    here: Repository | None = None
    try:
        here = ctx.repository()
    except NoRepositoryError:
        if name is None:
            raise
    if here is not None and (name is None or name in here.config.remotes):
        with opened_remote(here, name or default_remote(here)) as remote:
            return remote.refs()
    assert name is not None
    address = ssh_address(name, ctx.directory)
    if address is not None:
        config = user_config() if here is None else here.config
        with wired_remote(name, name, address, ssh_program(config), SERVE, None, terms_of(config)) as wired:
            return wired.refs()
    path = os.path.join(ctx.directory, name.removeprefix("file://"))
    if is_replica(path):
        from replican.operations.folders import FolderRemote

        root = os.path.realpath(path)
        with Repository(root, wait=ctx.wait) as there:
            return FolderRemote(name, root, there).refs()
    if "/" in name or os.path.isdir(path):
        what = "that folder is no replica" if os.path.isdir(path) else "there is no such folder"
        raise RemoteError(f"cannot reach '{name}': {what}")
    raise UnknownRemoteError(f"no remote '{name}'", "'replican remote list' shows those that there are")


def command(
    ctx: Context,
    remote: Annotated[str | None, Argument("R", help="the remote, or its address", complete="remote")] = None,
    exit_code: Annotated[bool, Option("--exit-code", help="exit with 1 if there is no ref")] = False,
) -> int | None:
    found = [(ref, id.hex()) for ref, id in refs_of(ctx, remote)]
    if ctx.json:
        ctx.emit_all({"ref": ref, "id": digits} for ref, digits in found)
    else:
        for ref, digits in found:
            ctx.line(f"{digits}\t{ref}")
    return DIFFERENT if exit_code and not found else None
