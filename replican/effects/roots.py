"""Where replicas are: the root of a folder is where its ``.replican`` lies."""

import os
from typing import Final

from replican.values.errors import DamagedError, FolderError, NoRepositoryError, RefusedError

DOT: Final = ".replican"


def find_root(directory: str) -> str:
    """The root of the replica in which ``directory`` lies; raises ``NoRepositoryError``, ``DamagedError`` where a log
    is there without the settings, or ``FolderError`` where it may not be read: it is not to be taken for a part of a
    replica above."""
    at = os.path.realpath(directory)
    while True:
        if is_replica(at):
            return at
        if _is_closed(os.path.join(at, DOT)):
            raise FolderError(
                f"cannot read {at}/{DOT}: permission denied",
                "whose is it? `ls -ld` tells; a command that was run by sudo may have made it",
            )
        if os.path.lexists(os.path.join(at, DOT, "refs", "head")):
            raise DamagedError(
                f"{at}/{DOT} has no config.toml",
                "put it back, or let `replican init` make a new one: the log stays, remotes have to be added again",
            )
        above = os.path.dirname(at)
        if above == at:
            raise NoRepositoryError(
                f"no replica here: neither {directory} nor a folder above it has a {DOT}",
                "make one with `replican init`, or `replican clone SRC DIR`",
            )
        at = above


def _is_closed(dotdir: str) -> bool:
    """Whether there is a ``.replican`` in which nobody may look up a name."""
    try:
        os.stat(os.path.join(dotdir, "config.toml"))
    except PermissionError:
        return os.path.isdir(dotdir) and not os.path.islink(dotdir)
    except OSError:
        pass
    return False


def outer_replica(root: str) -> str | None:
    """The replica that a folder, which is none itself and need not be there, would lie in."""
    at = os.path.dirname(os.path.realpath(root))
    while not os.path.isdir(at):
        at = os.path.dirname(at)
    try:
        return find_root(at)
    except NoRepositoryError:
        return None


def check_not_nested(root: str, hint: str | None = None) -> None:
    """Raise ``RefusedError`` where ``root``, which is no replica, lies in one, which would leave it alone then."""
    outer = outer_replica(root)
    if outer is not None:
        import shlex

        raise RefusedError(
            f"'{root}' lies in the replica '{outer}', which would not keep it in step any more",
            hint or f"if that is meant, run `replican init --nested {shlex.quote(root)}` first",
        )


def is_replica(root: str) -> bool:
    """Whether ``root`` itself is a replica (a ``.replican`` that is a link is none)."""
    dotdir = os.path.join(root, DOT)
    return os.path.isdir(dotdir) and not os.path.islink(dotdir) and os.path.exists(os.path.join(dotdir, "config.toml"))
