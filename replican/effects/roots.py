"""Where replicas are: the root of a folder is where its ``.replican`` lies."""

import os
from typing import Final

from replican.values.errors import DamagedError, NoRepositoryError

DOT: Final = ".replican"


def find_root(directory: str) -> str:
    """The root of the replica in which ``directory`` lies; raises ``NoRepositoryError``, or ``DamagedError`` where
    a log is there without the settings: it is not to be taken for a part of a replica above."""
    at = os.path.realpath(directory)
    while True:
        if is_replica(at):
            return at
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


def is_replica(root: str) -> bool:
    """Whether ``root`` itself is a replica (a ``.replican`` that is a link is none)."""
    dotdir = os.path.join(root, DOT)
    return os.path.isdir(dotdir) and not os.path.islink(dotdir) and os.path.exists(os.path.join(dotdir, "config.toml"))
