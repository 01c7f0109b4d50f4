"""Where content is: the stores that a folder can ask. (Content that is only read comes by ``operations.reading``.)"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from replican.effects.contents import ContentStore, FolderStore, Wanted
from replican.effects.trash import Trash
from replican.operations.remotes import opened_remote
from replican.operations.targets import reachable_contents
from replican.repository import Repository
from replican.values.ids import BlobId, blob_id

HERE = "this folder"
NO_CONTENT = blob_id(b"")
"""The id of an empty file's content: it needs no source."""


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
def sources(repo: Repository, only: str | None = None) -> Iterator[Sources]:
    """The folder, its trash, and the folders of all remotes that can be reached; or, with ``only``, of that remote
    alone.

    Raises ``RemoteError`` or ``UnknownRemoteError`` where the remote ``only`` cannot be reached.
    """
    with ExitStack() as opened:
        if only is not None:
            remote = opened.enter_context(opened_remote(repo, only))
            yield Sources([], opened.enter_context(remote.contents()))
            return
        here = FolderStore(HERE, repo.root, repo.index, by_hint=False)
        opened.callback(here.close)
        local: list[ContentStore] = [here]
        if os.path.isdir(f"{repo.dotdir}/trash"):
            local.append(opened.enter_context(Trash(f"{repo.dotdir}/trash")).shelf)
        yield Sources(local, opened.enter_context(reachable_contents(repo)))


def find(stores: Sequence[ContentStore], wanted: Iterable[Wanted]) -> Mapping[BlobId, str]:
    """For each content that is to be had, as far as the stores know, the name of the first store that has it.

    That there is a file of that size is seen; what is in it is not read.
    """
    left = {item.blob: item for item in wanted}
    found: dict[BlobId, str] = {}
    for store in stores:
        items = list(left.values())
        store.locate(items)
        for item in items:
            if store.has(item):
                found[item.blob] = store.name
                del left[item.blob]
    return found
