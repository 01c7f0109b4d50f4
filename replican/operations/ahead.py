"""Content that is here before it is merged: by ``fetch --content``, so that a merge works offline; and in a watch, so
that nobody waits for a lock that is held for as long as a slow remote sends.
"""

import os
from typing import Final, NamedTuple

from replican.decisions.frontier import JoinKind, join
from replican.decisions.treediff import diff_trees, walk_tree
from replican.effects import durable
from replican.effects.contents import Needed, Wanted
from replican.effects.prepared import NO_SOURCE, needs_content
from replican.effects.refs import remote_head
from replican.effects.staging import Stage
from replican.effects.underway import Underway
from replican.operations.remotes import Remote
from replican.operations.room import check_room
from replican.repository import Repository
from replican.values.errors import NoSpaceError
from replican.values.ids import BlobId, CheckpointId
from replican.values.progress import Problem
from replican.values.trees import DIRECTORY, Entry

AHEAD: Final = "ahead"
"""The directory, below `.replican`, in which each remote has a stage of its own."""
LITTLE: Final = 1 << 20
"""So many bytes are brought while the lock is held: that is sooner done than taking it twice."""


class Ahead(NamedTuple):
    """What was staged: how many contents, their bytes, and what was not to be had."""

    contents: int
    size: int
    missing: list[Problem]


def stage_content(repo: Repository, remote: Remote) -> Ahead:
    """Stage all content of the remote's head, as last fetched, that this folder and its trash lack. Writes nothing
    else, and nothing at all where there is too little room: ``NoSpaceError``.

    A merge brings no other content than the two heads have: that of the virtual bases in between is in one of both.
    """
    theirs = repo.refs.read(remote_head(remote.name))
    with repo.writing("fetch content"):
        wanted = _lacking(repo, theirs)
        missing: list[Problem] = []
        contents = size = 0
        try:
            with remote.contents() as stores, Stage(f"{repo.dotdir}/stage") as stage:
                check_room(repo, wanted, stores)
                for store in stores:
                    store.locate([item for _, item in wanted])
                    store.bring(wanted, stage, repo.progress)
                repo.progress.begin("staging", len(wanted), sum(entry.size for entry, _ in wanted))
                underway = Underway(repo.progress)
                for entry, item in wanted:
                    if stage.put(entry, item, stores, underway.advance) is None:
                        missing.append(Problem(item.hint, NO_SOURCE))
                        continue
                    contents += 1
                    size += entry.size
                    underway.count(1, entry.size)
                stage.flush()
        finally:
            repo.progress.end()
    return Ahead(contents, size, missing)


def bring_ahead(repo: Repository, remote: Remote) -> None:
    """Bring what a merge with the remote's head, as last fetched, will need from afar, if that is much: without the
    lock, to a place of its own. :func:`take_ahead` has the merge find it. What cannot be had now the merge asks for.
    """
    if remote.traffic is None:
        return  # it is no farther than the stage
    theirs = repo.refs.read(remote_head(remote.name))
    if theirs is None or join(repo.graph, repo.head, theirs).kind is JoinKind.UP_TO_DATE:
        return  # what it has at other paths is what was there here before
    if sum([entry.size for entry, _ in _differing(repo, theirs).values()]) <= LITTLE:
        return  # soon known: of an edit, nobody waits for a look into the index
    place = _place(repo, remote.name)
    wanted = [each for each in _lacking(repo, theirs) if not any(_lies_at(at, each[0]) for at in (place, _stage(repo)))]
    if sum([entry.size for entry, _ in wanted]) <= LITTLE:
        return
    with remote.contents() as stores:
        far = [store for store in stores if store.is_far]
        try:
            if far:
                check_room(repo, wanted, far)
        except NoSpaceError:
            return  # there is a gate for that, before the merge
        if not far:
            return
        with repo.writing("fetch"):
            pass  # that the remote's head is known need not wait for all this
        try:
            durable.make_directory(place)
        except OSError as error:
            raise durable.explain(error, f"write to {place}") from error
        with Stage(place) as stage:
            stage.make_room({entry.blob for entry, _ in wanted}, b"")
            for store in far:
                store.locate([item for _, item in wanted])
                store.bring(wanted, stage, repo.progress)


def take_ahead(repo: Repository, name: str) -> None:
    """Put what was brought from the remote called ``name`` on the stage, where it is verified before it is used; needs
    the lock."""
    place, stage = _place(repo, name), _stage(repo)
    for each in durable.names_in(place):
        try:
            if not os.path.lexists(f"{stage}/{each}"):
                os.rename(f"{place}/{each}", f"{stage}/{each}")
        except OSError as error:
            raise durable.explain(error, f"write to {stage}") from error


def _place(repo: Repository, name: str) -> str:
    return f"{repo.dotdir}/{AHEAD}/{name}"


def _stage(repo: Repository) -> str:
    return f"{repo.dotdir}/stage"


def _lies_at(place: str, entry: Entry) -> bool:
    return durable.size_of(f"{place}/{entry.id.hex()}") == entry.size > 0


def _lacking(repo: Repository, theirs: CheckpointId | None) -> list[Needed]:
    """The contents of a head that are not in this folder, each once."""
    found = _differing(repo, theirs)
    here = {*repo.index.find_paths(found.keys()), *[item.blob for item in repo.index.trash(blobs=found)]}
    return [each for blob, each in found.items() if blob not in here]


def _differing(repo: Repository, theirs: CheckpointId | None) -> dict[BlobId, Needed]:
    """The contents of a head that are at other paths, or not at all, in this folder's."""
    found: dict[BlobId, Needed] = {}
    for path, old, new in diff_trees(repo, repo.head_tree, repo.tree_of(theirs)):
        if new is None:
            continue
        if new.kind == DIRECTORY:
            came = [] if old is not None and old.kind == DIRECTORY else list(walk_tree(repo, new.tree, path))
        else:
            came = [(path, new)] if needs_content(old, new) else []
        for at, entry in came:
            if entry.kind != DIRECTORY:
                found.setdefault(entry.blob, (entry, Wanted(entry.blob, entry.kind, entry.size, at)))
    return found
