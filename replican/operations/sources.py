"""Where content is: the stores that a folder can ask. (Content that is only read comes by ``operations.reading``.)"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from replican.effects.contents import ContentStore, FolderStore
from replican.effects.trash import Trash
from replican.operations.remotes import opened_remote, tell_of_traffic
from replican.operations.targets import reachable_contents
from replican.repository import Repository
from replican.values.progress import Traffic

HERE = "this folder"


class Sources(NamedTuple):
    """Content stores, by where they are: ``local`` (the folder, its trash) are asked before ``remote`` ones."""

    local: list[ContentStore]
    remote: list[ContentStore]

    @property
    def all(self) -> list[ContentStore]:
        return [*self.local, *self.remote]

    @property
    def for_writing(self) -> list[ContentStore]:
        """What a transition is to ask besides the folder itself."""
        return [*self.remote, *(store for store in self.local if store.name != HERE)]


@contextmanager
def sources(repo: Repository, only: str | None = None, wires: list[Traffic] | None = None) -> Iterator[Sources]:
    """The folder, its trash, and the folders of all remotes that can be reached; or, with ``only``, of that remote
    alone. ``wires`` is as that of ``reachable_contents``.

    Raises ``RemoteError`` or ``UnknownRemoteError`` where the remote ``only`` cannot be reached.
    """
    with ExitStack() as opened:
        if only is not None:
            remote = opened.enter_context(opened_remote(repo, only))
            if wires is not None:
                opened.callback(tell_of_traffic, repo, remote, wires)
            yield Sources([], opened.enter_context(remote.contents()))
            return
        here = FolderStore(HERE, repo.root, repo.index, by_hint=False)
        opened.callback(here.close)
        local: list[ContentStore] = [here]
        if os.path.isdir(f"{repo.dotdir}/trash"):
            local.append(opened.enter_context(Trash(f"{repo.dotdir}/trash")).shelf)
        yield Sources(local, opened.enter_context(reachable_contents(repo, wires=wires)))
