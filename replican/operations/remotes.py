"""Remotes: where another log is to be had, and content. What fetch, merge, pull, push, sync and restore ask of one.

A remote is never trusted with more than what it says: objects are verified when they are taken over, content when it
is copied.
"""

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from replican.decisions.pacing import parse_rate
from replican.effects.roots import DOT, is_replica
from replican.repository import Repository, ssh_program
from replican.values.addresses import SshAddress, parse_ssh
from replican.values.checkpoints import Checkpoint
from replican.values.errors import (
    DivergedError,
    NoRepositoryError,
    RemoteError,
    ReplicanError,
    UnknownRemoteError,
    UsageError,
)
from replican.values.ids import BlobId, CheckpointId
from replican.values.progress import Problem, Traffic

if TYPE_CHECKING:
    from replican.decisions.treediff import Tally
    from replican.effects.channel import Terms
    from replican.effects.config import Config
    from replican.effects.contents import ContentStore
    from replican.effects.freezing import Freezer
    from replican.effects.launching import Launched, Link
    from replican.effects.mirror import Mirror
    from replican.operations.folders import FolderRemote
    from replican.operations.heads import Lookout
    from replican.operations.reading import Content
    from replican.operations.wired import WiredRemote

SERVE: Final = "replican"
"""What is run at the other machine, unless ``remote.<name>.serve_command`` says otherwise."""

_HELPER = re.compile(r"[A-Za-z0-9+.-]*::")


class Refreshed(NamedTuple):
    """How a remote recorded its user's edits: what to tell, and what could not be read there. ``refused`` where a gate
    over there is closed, or its disk is full: what it offers is what it recorded before. ``settled`` is its head where
    its disk has all of that, as far as is known."""

    notes: list[str]
    unread: list[Problem]
    refused: bool = False
    settled: CheckpointId | None = None

    def then(self, later: "Refreshed", paths: Collection[bytes]) -> "Refreshed":
        """How it recorded them in all, where it looked at these paths alone ``later``."""
        notes = list(dict.fromkeys([*self.notes, *later.notes]))
        unread = sorted({*[each for each in self.unread if each.path not in paths], *later.unread})
        return later._replace(notes=notes, unread=unread)


class Awaited(Protocol):
    """A remote that records its user's edits while the caller does something else."""

    def told(self) -> object:
        """Wait for what it tells next (see :mod:`replican.operations.telling`); None where it tells nothing (any
        more). Raises what :meth:`Remote.refresh` does."""

    def result(self) -> Refreshed:
        """Wait until it has; raises what :meth:`Remote.refresh` does."""


class Taken(NamedTuple):
    """What a push came to over there: where the head was and is, what is pending, what was changed (None where the
    head did not move; what is pending is not in it), what to tell, and how many paths are pending that ``pending``
    lacks."""

    old: CheckpointId | None
    new: CheckpointId | None
    pending: list[Problem]
    tally: "Tally | None"
    notes: list[str]
    unnoted: int = 0


class ObjectSource(Protocol):
    """Where objects come from. What it hands out has the hash that its id says."""

    def checkpoint(self, checkpoint: CheckpointId, /) -> Checkpoint:
        """A checkpoint; raises ``NotFoundError`` or ``DamagedError``."""

    def payload(self, kind: bytes, id: bytes, /) -> bytes:
        """The payload of an object of that kind; raises ``NotFoundError`` or ``DamagedError``."""


class Remote(Protocol):
    """Another log with its content. Any of these may raise ``RemoteError``: it is not to be reached any more."""

    @property
    def name(self) -> str:
        """What it is called here: ``origin``."""

    @property
    def place(self) -> str:
        """Where it is, to be shown: a path, an address."""

    def refresh(self, *, mirror: "Mirror | None" = None, prompt: bool = False) -> Refreshed:
        """Have it record what its user did. Where it cannot, what it recorded before is what it offers.

        What is read for it is copied to ``mirror``, where that can be. To be ``prompt``, it leaves large files, and
        those that somebody is writing to, to who watches that folder, for as long as somebody does: they are among the
        ``unread``.
        """

    def refreshing(self) -> AbstractContextManager[Awaited]:
        """Have it record what its user did, while the caller does something else."""

    def keep_changing(self, refreshed: Refreshed) -> Refreshed:
        """Have it record what did not stay the same while it was read, by copies of that, which can be had from it
        until it is closed; what was recorded in all."""

    @property
    def head(self) -> CheckpointId | None:
        """Its head, as far as is known: asked for at least once."""

    def lookout(self) -> "AbstractContextManager[Lookout]":
        """What tells when the head moves from where it was last seen; see :mod:`replican.operations.heads`. What the
        user over there has not recorded, or somebody for them, is nothing that it tells of."""

    def refs(self) -> Sequence[tuple[str, CheckpointId]]:
        """Its refs, by name."""

    def log_above(self, repo: Repository, head: CheckpointId) -> ObjectSource:
        """Where to take ``head`` from, with all that it comes from and that ``repo`` lacks: one request for all."""

    def objects(self, ids: Collection[bytes]) -> Mapping[bytes, tuple[bytes, bytes]]:
        """Objects by their ids: kind and payload, verified, of those that it has whole."""

    @property
    def has_changed(self) -> bool:
        """Whether content was not to be had since it changed over there while it was asked for: to record it once
        more, and to ask again, may help."""

    def lacked(self, paths: Collection[bytes]) -> None:
        """What was to lie at these paths of its folder was not to be had: it may have changed."""

    def contents(
        self, unreached: Callable[[RemoteError], None] | None = None
    ) -> "AbstractContextManager[list[ContentStore]]":
        """Where its content may be found. If it turns out later that it cannot be reached, ``unreached`` is told, and
        there is no content; without it, that is raised."""

    def candidates(self, blob: BlobId, hint: bytes) -> "Iterator[Content | None]":
        """Content by its id alone, verified, from one place after the other; ``hint`` is a path where it may lie."""

    copies: "Freezer | None"
    """Copies of what changes all the time here, by which it was recorded: a push has the content from them."""

    @property
    def unsent(self) -> Collection[bytes]:
        """The paths of what the last push could not send, since it has changed here since it was recorded:
        to record it once more, with copies, and to push that may help."""

    def push(self, repo: Repository, head: CheckpointId | None) -> Taken:
        """Have it take in ``head`` from ``repo``, if that is a fast-forward over there, by its own gates.

        Raises ``DivergedError`` where it has checkpoints that are not here, ``RefusedError`` at a gate of its.
        """

    @property
    def traffic(self) -> Traffic | None:
        """What has gone over the wire so far, if there is one."""

    def summary(self) -> list[str]:
        """What to tell at the end of what was done with it: how much went over the wire, if there is one."""

    def damaged(self, error: ReplicanError) -> RemoteError:
        """What to raise where an object that it should have is missing or damaged over there."""


def of_remote(name: str, error: ReplicanError) -> RemoteError:
    """What went wrong with a remote's folder as an error of that remote, which is named."""
    return RemoteError(f"remote {name}: {error.message}", error.hint)


def diverged(name: str) -> DivergedError:
    """The error for a push to a remote that has what is not here."""
    return DivergedError(f"{name} has checkpoints that are not here", f"pull first, or sync: `replican sync {name}`")


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


def ssh_address(url: str, directory: str) -> SshAddress | None:
    """The address on another machine that ``url`` means to who stands in ``directory``; None for a folder here.

    Raises ``UsageError`` for what is no address.
    """
    check_address(url)
    if not url.startswith("ssh://") and os.path.lexists(os.path.join(directory, url)):
        return None
    return parse_ssh(url)


def folder_of(url: str, directory: str) -> str:
    """The folder, absolute, that an address means to who stands in ``directory``.

    Raises ``UsageError`` for what is no address, ``RemoteError`` for one that is not of a folder.
    """
    check_address(url)
    url = url.removeprefix("file://")
    full = os.path.join(directory, os.path.expanduser(url))
    if "://" in url or (":" in url.split("/")[0] and not os.path.exists(full)):
        raise RemoteError(f"{url} is not a folder here", "other machines are reached by host:path or ssh://host/path")
    full = os.path.realpath(full)
    check_address(full)  # where a link leads, or the place where one stands, counts as much as what was typed
    return full


def place_of(repo: Repository, name: str) -> str:
    """Where a remote is, to be shown: its address, or the folder, absolute; a relative one is relative to the root of
    this replica."""
    try:
        url = repo.config.remote(name).url
        return folder_of(url, repo.root) if ssh_address(url, repo.root) is None else url
    except RemoteError as error:
        raise RemoteError(f"remote {name} cannot be reached: {error.message}", error.hint) from error


@contextmanager
def opened_remote(repo: Repository, name: str) -> Iterator[Remote]:
    """The remote called ``name``; raises ``UnknownRemoteError``, or ``RemoteError`` where it cannot be reached.

    One on another machine is reached when it is first asked something.
    """
    place = place_of(repo, name)
    address = ssh_address(repo.config.remote(name).url, repo.root)
    if address is None:
        with _opened_folder(repo, name, place) as folder:
            yield folder
    else:
        serve, terms = _serve_command(repo, name), terms_of(repo.config, name, repo.limit_rate)
        program = ssh_program(repo.config)
        with wired_remote(
            name, place, address, program, serve, repo, terms, lambda: repo.launched.pop(name, None)
        ) as wired:
            yield wired


@contextmanager
def reaching(repo: Repository, name: str) -> Iterator[None]:
    """Begin to reach the remote called ``name`` if it is on another machine: that takes a while, in which the caller
    can do something else before it is opened. What is in the way is raised there, and not here."""
    from replican.effects.launching import Launched, ssh_words

    try:
        address = ssh_address(repo.config.remote(name).url, repo.root)
        if address is not None:
            words = ssh_words(ssh_program(repo.config), address, _serve_command(repo, name))
            repo.launched[name] = Launched(words)
    except ReplicanError:
        pass
    try:
        yield
    finally:
        unwanted = repo.launched.pop(name, None)
        if unwanted is not None:
            unwanted.drop()


@contextmanager
def wired_remote(
    name: str,
    place: str,
    address: SshAddress,
    program: Sequence[str],
    serve: str,
    repo: Repository | None,
    terms: "Terms",
    launched: "Callable[[], Launched | None]" = lambda: None,
) -> "Iterator[WiredRemote]":
    """A remote on another machine, closed in the end. ``launched`` gives what was launched for it before."""
    from replican.operations.wired import WiredRemote

    remote = WiredRemote(name, place, lambda: start(program, address, serve, terms, launched()), repo)
    try:
        yield remote
    finally:
        remote.close()


def start(
    program: Sequence[str], address: SshAddress, serve: str, terms: "Terms", launched: "Launched | None" = None
) -> "Link":
    """Begin a link to another machine, by what was ``launched`` for it, if anything was."""
    from replican.effects.launching import Launched, Link, ssh_words

    return Link(launched or Launched(ssh_words(program, address, serve)), terms)


def terms_of(config: "Config", name: str | None = None, rate: int | None = None) -> "Terms":
    """What is asked of a link, by the settings; ``name`` is the remote at its other end, and ``rate`` (0: none) counts
    more than what is set for that."""
    from replican.effects.channel import Terms

    seconds = config.number("core.timeout")
    if name is not None:
        seconds = config.remote_number(name, "timeout") or seconds
        rate = parse_rate(config.remote_text(name, "limit_rate") or "0") if rate is None else rate
    return Terms(rate or 0, seconds)


def tell_of_traffic(repo: Repository, remote: Remote, wires: list[Traffic]) -> None:
    """Tell what has gone over the link to a remote, if there is one, and add it to ``wires``."""
    repo.notes += remote.summary()
    if remote.traffic is not None:
        wires.append(remote.traffic)


def _serve_command(repo: Repository, name: str) -> str:
    return repo.config.remote_text(name, "serve_command") or SERVE


def check_folder(name: str, root: str) -> None:
    """Raise ``RemoteError`` where the remote's folder is not there, or is no replica: its disk may have been taken
    out, also while it is open."""
    mounted = "is the disk that holds it mounted?"
    if not os.path.isdir(root):
        raise RemoteError(f"remote {name} cannot be reached: no folder at {root}", mounted)
    if is_replica(root):
        return
    dotdir = os.path.join(root, DOT)
    if os.path.isdir(dotdir) and not os.access(dotdir, os.R_OK | os.X_OK):
        raise RemoteError(f"remote {name} cannot be read: permission denied for {dotdir}")
    if not os.access(root, os.R_OK | os.X_OK) or os.listdir(root):
        mounted = "its log is never made again by itself; if this is meant, run `replican init` there"
    raise RemoteError(f"remote {name} at {root} is no replica (any more)", mounted)


@contextmanager
def _opened_folder(repo: Repository, name: str, root: str) -> "Iterator[FolderRemote]":
    if root == repo.root:
        raise RemoteError(
            f"remote {name} is this very folder", f"give it another address: `replican remote set-url {name} PATH`"
        )
    check_folder(name, root)
    try:
        other = Repository(root, wait=repo.wait, progress=repo.progress)
    except NoRepositoryError as error:
        raise of_remote(name, error) from error
    from replican.operations.folders import FolderRemote
    from replican.operations.hooking import admit_hooks

    admit_hooks(repo, name, other)
    if repo.tailing.in_use:
        other.tailing.begin()
    with other:
        remote = FolderRemote(name, root, other)
        try:
            yield remote
        finally:
            remote.close()
