"""``fetch --content``: have content here before it is merged, so that a merge works offline."""

from typing import NamedTuple

from replican.decisions.treediff import diff_trees, walk_tree
from replican.effects.contents import Wanted
from replican.effects.preparing import NO_SOURCE, needs_content
from replican.effects.refs import remote_head
from replican.effects.staging import Stage
from replican.operations.remotes import Remote
from replican.operations.room import check_room
from replican.repository import Repository
from replican.values.ids import BlobId, CheckpointId
from replican.values.progress import Problem
from replican.values.trees import DIRECTORY, Entry


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
                for entry, item in wanted:
                    if stage.put(entry, item, stores) is None:
                        missing.append(Problem(item.hint, NO_SOURCE))
                        continue
                    contents += 1
                    size += entry.size
                    repo.progress.advance(1, entry.size)
                stage.flush()
        finally:
            repo.progress.end()
    return Ahead(contents, size, missing)


def _lacking(repo: Repository, theirs: CheckpointId | None) -> list[tuple[Entry, Wanted]]:
    """The contents of a head that are not in this folder, each once."""
    found: dict[BlobId, tuple[Entry, Wanted]] = {}
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
    here = repo.index.find_paths(found.keys())
    return [each for blob, each in found.items() if blob not in here and not repo.index.trash(blob=blob)]
