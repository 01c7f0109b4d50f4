"""Clone: a second folder in step with a first, which becomes a replica if it was none."""

import os
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, NamedTuple

from replican.decisions.limits import LimitError
from replican.effects.config import RemoteSettings
from replican.effects.mirror import PLACE, Mirror
from replican.effects.roots import DOT, check_not_nested, is_replica
from replican.effects.scan import uncollected
from replican.effects.staging import Stage
from replican.operations.fetching import fetch_from, take_over
from replican.operations.folders import FolderRemote
from replican.operations.foretold import merge_foretold
from replican.operations.merging import Merged
from replican.operations.recording import Recorded, record
from replican.operations.remotes import SERVE, Refreshed, Remote, terms_of, wired_remote
from replican.operations.syncing import merge_again, merge_remote
from replican.repository import Repository, ssh_program, user_config
from replican.values.addresses import SshAddress
from replican.values.errors import (
    DamagedError,
    FarDamageError,
    FarError,
    FolderError,
    NoRepositoryError,
    NotFoundError,
    RefusedError,
    RemoteError,
    UsageError,
)
from replican.values.progress import Progress, Traffic
from replican.values.traits import STRONG

if TYPE_CHECKING:
    from replican.operations.wired import WiredRemote

ORIGIN = "origin"


class Cloned(NamedTuple):
    """What a clone did. ``made_replica`` tells that the source was a plain folder; ``joined`` is what a union
    recorded here, ``theirs`` how the source recorded its user's edits, ``wire`` what went over the wire, if there is
    one.
    """

    root: str
    source: str
    made_replica: bool
    joined: Recorded | None
    merged: Merged
    notes: list[str]
    theirs: Refreshed
    wire: Traffic | None = None


def clone(
    source: str,
    target: str,
    *,
    join: bool = False,
    init: bool = True,
    wait: float = 10.0,
    progress: Progress | None = None,
) -> Cloned:
    """Make ``target`` a working copy of ``source``, with the remote ``origin``.

    ``join`` allows a target that has files: both start from the union. Raises ``RefusedError`` without it,
    ``NoRepositoryError`` where the source is a plain folder and ``init`` is off, ``FolderError`` where it cannot be
    made a replica.
    """
    source, target = os.path.realpath(source), os.path.realpath(target)
    _check_places(source, target)
    _check_writable(target)
    resumed = _check_target(source, target, join)
    made_replica = not is_replica(source)
    if made_replica and not init:
        raise NoRepositoryError(f"{source} is no replica", "leave --no-init out, and it is made one")
    if made_replica:
        check_not_nested(source)
    with (
        Repository.init(source, wait=wait, progress=progress) as origin,
        Repository.init(target, wait=wait, progress=progress) as copy,
        copy.writing("clone"),
    ):
        if not resumed:
            copy.config.set_remote(ORIGIN, RemoteSettings(source))
        remote = FolderRemote(ORIGIN, source, origin)
        # What an interrupted run has put in place is known again by looking.
        joined = record(copy) if join or resumed else None
        with ExitStack() as held:
            # Into an empty folder, what is read for the origin's first checkpoint is copied in the same go.
            mirror = None if joined or copy.traits != STRONG else _mirror(held, copy)
            with remote.refreshing(mirror) as over_there:
                ahead = merge_foretold(copy, remote, over_there.told(), over_there.told, mirror=mirror)
                refreshed = over_there.result()
            if ahead is None:
                merged = _take_all(copy, remote, refreshed, mirror)
            else:
                copy.notes += refreshed.notes
                merged = ahead.merged
        return Cloned(target, source, made_replica, joined, merged, copy.notes, refreshed)


def clone_wired(
    address: SshAddress,
    url: str,
    target: str,
    *,
    join: bool = False,
    init: bool = True,
    serve: str | None = None,
    rate: int | None = None,
    wait: float = 10.0,
    progress: Progress | None = None,
) -> Cloned:
    """As :func:`clone`, from another machine: ``url`` is kept as its address, ``serve`` as what to run there; ``rate``
    is for this once.

    Raises ``RemoteError`` where it cannot be reached; then nothing was made here.
    """
    target = os.path.realpath(target)
    _check_writable(target)
    resumed = _check_target(url, target, join)
    user = user_config()
    terms = terms_of(user, ORIGIN, rate)
    with wired_remote(ORIGIN, url, address, ssh_program(user), serve or SERVE, None, terms) as remote:
        try:
            made_replica = not remote.is_replica()
        except RemoteError as error:
            said = error.__cause__
            if isinstance(said, FarError) and said.told == NoRepositoryError.code:  # reached, and has no such folder
                raise NoRepositoryError(f"{url}: {said.message}", said.hint) from None
            raise
        if made_replica and not init:
            raise NoRepositoryError(f"{url} is no replica", "leave --no-init out, and it is made one")
        if made_replica:
            remote.init()  # first, since it may be refused
        with Repository.init(target, wait=wait, progress=progress) as copy, copy.writing("clone"):
            if not resumed:
                copy.config.set_remote(ORIGIN, RemoteSettings(url))
            if serve is not None:
                copy.config.set(f"remote.{ORIGIN}.serve_command", serve)
            remote.asks_for(copy)
            with uncollected(), ExitStack() as held:
                joined = record(copy) if join or resumed else None
                mirror = None if joined or copy.traits != STRONG else _mirror(held, copy)
                refreshed = remote.refresh(mirror=mirror) if made_replica else _refresh_taking(copy, remote, mirror)
                merged = _take_all(copy, remote, refreshed, mirror)
            return Cloned(target, url, made_replica, joined, merged, copy.notes, refreshed, remote.traffic)


def _refresh_taking(copy: Repository, remote: "WiredRemote", mirror: Mirror | None) -> Refreshed:
    """Have the source recorded. What its log has by then, if anything, is taken over while it looks at its folder."""
    try:
        head = remote.ask_for_head()
        if head is None:
            return remote.refresh(mirror=mirror)
        log = remote.log_above(copy, head)
        log.checkpoint(head)
    except (DamagedError, NotFoundError, FarDamageError):
        return remote.refresh()  # whoever fetches next is told
    log.end()
    with remote.refreshing() as over_there:
        with suppress(DamagedError, NotFoundError, LimitError):
            take_over(copy, log, head, trust=True)
        return over_there.result()


def _take_all(copy: Repository, remote: Remote, refreshed: Refreshed, mirror: Mirror | None) -> Merged:
    """Take over the whole log, and merge it."""
    copy.notes += refreshed.notes
    fetched = fetch_from(copy, remote, trust=True)
    if fetched.new is not None:
        copy.config.set_remote(ORIGIN, RemoteSettings(copy.config.remote(ORIGIN).url, fetched.new))
    merged = merge_remote(copy, remote, mirror=mirror)
    if remote.has_changed:
        _, merged = merge_again(copy, remote, merged)
    copy.notes += remote.summary()
    return merged


def _mirror(held: ExitStack, copy: Repository) -> Mirror:
    stage = held.enter_context(Stage(f"{copy.dotdir}/stage"))
    mirror = Mirror(stage)

    def close(kind: type[BaseException] | None, *_: object) -> None:
        mirror.close()
        if kind is not None and issubclass(kind, RefusedError):
            with suppress(OSError):
                stage.remove(PLACE)  # the next run believes nothing of it, and it may be what the room went to

    held.push(close)
    return mirror


def _check_places(source: str, target: str) -> None:
    if not os.path.isdir(source):
        raise NoRepositoryError(f"no folder at {source}", "clone SRC DIR copies the folder SRC to DIR")
    if source == target:
        raise UsageError("source and target are the same folder")
    if target.startswith(source.rstrip("/") + "/") or source.startswith(target.rstrip("/") + "/"):
        raise UsageError(f"one of {source} and {target} lies in the other", "choose a place outside")


def _check_writable(target: str) -> None:
    """Before the source is made a replica: that would be for nothing."""
    at = target
    while not os.path.lexists(at):
        at = os.path.dirname(at)
    if os.path.isdir(at) and not os.access(at, os.W_OK | os.X_OK):
        why = "read-only file system" if os.statvfs(at).f_flag & os.ST_RDONLY else "permission denied"
        raise FolderError(f"cannot make {target} a replica: {why} for {at}")


def _check_target(source: str, target: str, join: bool) -> bool:
    """Whether this goes on with an interrupted clone; raises where the target cannot be cloned into."""
    if not os.path.lexists(target):
        return False
    if not os.path.isdir(target):
        raise FolderError(f"{target} is not a folder")
    if is_replica(target):
        with Repository(target) as there:
            known = there.config.remotes.get(ORIGIN)
            if known is not None and known.url == source and _is_unfinished(there, join):
                return True
            new = known is None and not there.config.remotes and there.head is None
        if not new:  # else it was interrupted, or stands ready for this
            raise RefusedError(f"{target} is a replica already", f"keep it in step with: replican -C {target} sync")
    if [name for name in os.listdir(target) if name != DOT]:
        if not join:
            raise RefusedError(f"{target} has files", "to start from the union of both, say --join")
        if not is_replica(target):
            check_not_nested(target)
    return False


def _is_unfinished(copy: Repository, join: bool) -> bool:
    """Whether an earlier clone into this folder did not come to its end."""
    if copy.head is None or copy.head_tree != copy.index.base_root():
        return True
    return join and not any(line.reason == f"merge {ORIGIN}" for line in copy.refs.reflog("head"))
