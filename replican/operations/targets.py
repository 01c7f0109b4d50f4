"""What ``merge`` may be told to merge, and where the content for it comes from."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from replican.effects.contents import ContentStore
from replican.effects.refs import remote_head
from replican.operations.merging import Merged, merge
from replican.operations.remotes import default_remote, opened_remote, tell_of_traffic
from replican.operations.syncing import merged_before
from replican.repository import Repository
from replican.values.errors import (
    DamagedError,
    FolderError,
    NotFoundError,
    RemoteError,
    ReplicanError,
    UnknownRemoteError,
)
from replican.values.hooks import NOBODY
from replican.values.ids import CheckpointId
from replican.values.progress import Traffic, together

DEFAULT = "remote"
"""The word that means the default remote, unless a remote has that very name."""


class Target(NamedTuple):
    """What is to be merged: a checkpoint, and the remote that is known for it, if it was named by one."""

    checkpoint: CheckpointId
    remote: str | None


def find_target(repo: Repository, word: str | None) -> Target:
    """What ``word`` means: a remote, ``remote``, ``NAME/head``, or a checkpoint; None is the default remote.

    Raises ``UnknownRemoteError``, or ``NotFoundError`` where nothing is known of that remote's log yet.
    """
    name = _remote_named(repo, word)
    if name is None:
        assert word is not None
        return Target(_checkpoint_named(repo, word), None)
    checkpoint = repo.refs.read(remote_head(name))
    if checkpoint is None:
        raise NotFoundError(
            f"nothing is known of {name}'s log yet",
            f"`replican fetch {name}` gets it; `replican pull {name}` merges, too",
        )
    return Target(checkpoint, name)


def _remote_named(repo: Repository, word: str | None) -> str | None:
    known = repo.config.remotes
    if word is None or (word == DEFAULT and word not in known):
        return default_remote(repo)
    return next((name for name in (word, word.removesuffix("/head")) if name in known), None)


def _checkpoint_named(repo: Repository, word: str) -> CheckpointId:
    from replican.operations.revisions import checkpoint_named

    try:
        return checkpoint_named(repo, word)
    except NotFoundError as error:
        raise UnknownRemoteError(
            f"'{word}' is neither a remote nor a checkpoint: {error.message}",
            error.hint or "`replican remote list` shows the remotes, `replican log` the checkpoints",
        ) from error


def merge_target(
    repo: Repository, target: Target, *, allowed: frozenset[str] = frozenset(), dry_run: bool = False
) -> Merged:
    """Merge what was found, with content from every remote that can be reached, that of the named one first."""
    before = target.remote is not None and merged_before(repo, target.remote)
    reason = f"merge {target.remote or target.checkpoint.hex()[:12]}"
    wires: list[Traffic] = []
    with reachable_contents(repo, target.remote, wires) as stores:
        merged = merge(
            repo,
            target.checkpoint,
            stores,
            allowed=allowed,
            merged_before=before,
            dry_run=dry_run,
            reason=reason,
            whom=target.remote or NOBODY,
        )
    return merged._replace(wire=together(wires))


@contextmanager
def reachable_contents(
    repo: Repository, first: str | None = None, wires: list[Traffic] | None = None
) -> Iterator[list[ContentStore]]:
    """The content stores of all remotes that can be reached now. With ``wires``, what has gone over the links to them
    is added to these in the end, and told."""
    names = sorted(repo.config.remotes, key=lambda name: name != first)
    found: list[ContentStore] = []
    with ExitStack() as opened:
        for name in names:

            def unreached(error: ReplicanError, name: str = name) -> None:
                repo.notes.append(f"no content from {name}: {error.message}")

            try:
                remote = opened.enter_context(opened_remote(repo, name))
                if wires is not None:
                    opened.callback(tell_of_traffic, repo, remote, wires)
                found += opened.enter_context(remote.contents(unreached))
            except (RemoteError, FolderError, DamagedError) as error:
                unreached(error)
        yield found
