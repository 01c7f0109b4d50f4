"""Remotes: another working copy, given as a path to its folder."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from replican.effects.contents import ContentStore, FolderStore, ShelfStore
from replican.repository import DOT, Repository, is_replica
from replican.values.errors import NoRepositoryError, RemoteError, UnknownRemoteError, UsageError

_HELPER = re.compile(r"[A-Za-z0-9+.-]*::")


class FolderRemote:
    """A remote that is a folder on this machine: its repository, opened.

    Its side is never trusted with more than what it says: objects are verified when they are taken over, content
    when it is copied.
    """

    def __init__(self, name: str, root: str, repository: Repository) -> None:
        self.name = name
        self.root = root
        self.repository = repository

    @contextmanager
    def contents(self) -> Iterator[list[ContentStore]]:
        """Where this remote's content may be found: its folder, then its trash."""
        store = FolderStore(self.name, self.root, self.repository.index)
        try:
            yield [store, ShelfStore(f"the trash of {self.name}", f"{self.repository.dotdir}/trash")]
        finally:
            store.close()


def default_remote(repo: Repository) -> str:
    """The only remote, or ``origin``; raises ``UnknownRemoteError``."""
    names = list(repo.config.remotes)
    if len(names) == 1:
        return names[0]
    if "origin" in names:
        return "origin"
    if names:
        raise UnknownRemoteError(
            "there are several remotes, and none is called origin", f"name one: {', '.join(names)}"
        )
    raise UnknownRemoteError("this replica has no remote", "add one: `replican remote add NAME PATH`")


def check_address(url: str) -> None:
    """Raise ``UsageError`` for what is never an address: what a program would take for an option, names a program to
    be run (as git's ``ext::`` does), or has characters that a terminal obeys."""
    plain = url.removeprefix("file://")
    if not plain or plain[0] in "-!|" or _HELPER.match(plain):
        raise UsageError(f"not an address of a remote: {url!r}", "a folder of such a name is given as ./NAME")
    if any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in url):
        raise UsageError(f"not an address of a remote: {url!r}", "it has control characters")


def folder_of(url: str, directory: str) -> str:
    """The folder, absolute, that an address means to who stands in ``directory``.

    Raises ``UsageError`` for what is no address, ``RemoteError`` for one that is not of a folder.
    """
    check_address(url)
    url = url.removeprefix("file://")
    full = os.path.join(directory, os.path.expanduser(url))
    if "://" in url or (":" in url.split("/")[0] and not os.path.exists(full)):
        raise RemoteError(f"{url} is not a folder here", "only folders on this machine can be reached so far")
    full = os.path.realpath(full)
    check_address(full)  # where a link leads, or the place where one stands, counts as much as what was typed
    return full


def remote_root(repo: Repository, name: str) -> str:
    """The folder of a remote, absolute; a relative one is relative to the root of this replica."""
    try:
        return folder_of(repo.config.remote(name).url, repo.root)
    except RemoteError as error:
        raise RemoteError(f"remote {name} cannot be reached: {error.message}", error.hint) from error


@contextmanager
def opened_remote(repo: Repository, name: str) -> Iterator[FolderRemote]:
    """The remote called ``name``; raises ``UnknownRemoteError``, or ``RemoteError`` where it cannot be reached."""
    root = remote_root(repo, name)
    if root == repo.root:
        raise RemoteError(
            f"remote {name} is this very folder", f"give it another address: `replican remote set-url {name} PATH`"
        )
    if not os.path.isdir(root):
        raise RemoteError(f"remote {name} cannot be reached: no folder at {root}", "is the disk that holds it mounted?")
    if not is_replica(root):
        dotdir = os.path.join(root, DOT)
        if os.path.isdir(dotdir) and not os.access(dotdir, os.R_OK | os.X_OK):
            raise RemoteError(f"remote {name} cannot be read: permission denied for {dotdir}")
        raise RemoteError(
            f"remote {name} at {root} is no replica (any more)",
            "its log is never made again by itself; if this is meant, run `replican init` there",
        )
    try:
        other = Repository(root, wait=repo.wait, progress=repo.progress)
    except NoRepositoryError as error:
        raise RemoteError(f"remote {name}: {error.message}", error.hint) from error
    with other:
        yield FolderRemote(name, root, other)
