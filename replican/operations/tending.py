"""gc: pack the log, and let go of what nobody needs any more: old trash, a stale stage, objects that nothing refers
to."""

import os
import stat
import time
from typing import Final, NamedTuple

from replican.decisions.treediff import diff_trees, walk_tree
from replican.effects import durable
from replican.effects.block_cache import BlockCache
from replican.effects.clearing import room_taken
from replican.effects.forms import CHECKPOINT
from replican.effects.refs import is_remote_name
from replican.effects.staging import Stage
from replican.effects.trash import Trash
from replican.operations.ahead import AHEAD
from replican.operations.recording import observe
from replican.operations.trashing import rescue_changed
from replican.repository import Repository
from replican.values.ids import ID_SIZE, CheckpointId, TreeId
from replican.values.trees import DIRECTORY

_DAY: Final = 86400
_STALE_SECONDS: Final = _DAY
"""What an interrupted pull left on the stage is of use to the next one, but not for ever."""


class Tended(NamedTuple):
    """What was let go, or would be: counts, and bytes. ``kept`` are objects of the log, ``spared`` what stays in the
    trash though it is old, since the head needs it, ``block_lists`` those of content that is not here any more."""

    kept: int
    dropped: int
    trash: int
    trash_size: int
    spared: int
    stage: int
    stage_size: int
    freed: int
    block_lists: int


def tend(
    repo: Repository, *, grace_days: int | None = None, trash_days: int | None = None, dry_run: bool = False
) -> Tended:
    """Tend the replica. What is not given is as the settings ``gc.grace_days`` and ``trash.expiry_days`` say.

    Raises ``DamagedError``, before anything was changed, if an object of the log is damaged or missing.
    """
    days = repo.config.number("trash.expiry_days") if trash_days is None else trash_days
    grace_seconds = _DAY * (repo.config.number("gc.grace_days") if grace_days is None else grace_days)
    with repo.writing("gc"):
        observe(repo)
        keep = reachable(repo)
        before = _size_of_objects(repo)
        with Trash(f"{repo.dotdir}/trash") as trash:
            repo.notes += rescue_changed(repo.root, repo.index, trash, everything=True)
            taken, taken_size, spared = _expire(repo, trash, time.time_ns() - days * _DAY * 1_000_000_000, dry_run)
        staged, staged_size = _clear_stages(repo, dry_run)
        lists = _drop_block_lists(repo, dry_run)
        if dry_run:
            old = repo.objects.prunable(keep, grace_seconds)
            stats = repo.objects.stats()
            kept, freed = stats.loose + stats.packed - old, 0
        else:
            repo.index.births.tidy()
            kept, old = repo.objects.repack(keep, grace_seconds)
            freed = max(0, before - _size_of_objects(repo))
        freed += taken_size + staged_size
        return Tended(kept, old, taken, taken_size, spared, staged, staged_size, freed, lists)


def reachable(repo: Repository) -> set[bytes]:
    """Every object that a ref, a reflog or the index refers to, with all below it. Raises for one that is not there."""
    keep: set[bytes] = set()
    for name in repo.refs.names():
        heads: set[CheckpointId] = set()
        current = repo.refs.read(name)
        if current is not None:
            heads.add(current)
        # This folder's own past can be named (HEAD@{n}): it stays, as far as it is there.
        past = {each for line in repo.refs.reflog(name) for each in (line.old, line.new) if each is not None}
        heads |= past.difference(repo.objects.lacking(past, CHECKPOINT))
        keep.update(repo.graph.closure(heads))
    trees = {repo.checkpoint(CheckpointId(each)).tree for each in keep}
    for tree in trees:
        _add_tree(repo, tree, keep)
    # What the index knows it can read by itself; the log may have it, too, and is asked first.
    for observed in (False, True):
        keep.update(known.tree for known in repo.index.digests(observed).values() if len(known.tree) == ID_SIZE)
    return keep


def _add_tree(repo: Repository, tree: TreeId, keep: set[bytes]) -> None:
    stack = [tree]
    while stack:
        at = stack.pop()
        if at in keep:
            continue
        keep.add(at)
        stack += [entry.tree for entry in repo.tree(at) if entry.kind == DIRECTORY]


def _size_of_objects(repo: Repository) -> int:
    stats = repo.objects.stats()
    return stats.loose_size + stats.pack_size


def needed_content(repo: Repository) -> set[bytes]:
    """The blobs that the head has and the folder, as last seen, does not."""
    needed: set[bytes] = set()
    for _, old, new in diff_trees(repo, repo.index.observed_root(), repo.head_tree):
        if new is None or (old is not None and (old.kind, old.id) == (new.kind, new.id)):
            continue
        if new.kind != DIRECTORY:
            needed.add(new.id)
        elif old is None or old.kind != DIRECTORY:
            needed.update(entry.id for _, entry in walk_tree(repo, new.tree) if entry.kind != DIRECTORY)
    if needed:
        needed -= repo.index.find_paths([item.blob for item in repo.index.trash() if item.blob in needed]).keys()
    # A file that could not be read after a kill may not be what its row says.
    replaced = [entry.old for entry in repo.index.journal()]
    return needed | {each.id for each in replaced if each is not None and each.kind != DIRECTORY}


def _expire(repo: Repository, trash: Trash, limit_ns: int, dry_run: bool) -> tuple[int, int, int]:
    """Drop what was taken before ``limit_ns``; how many files and bytes, and how many stay for the head's sake.

    What no row of the index tells of (after a kill, or the loss of the index) goes by the time of its rename. Equal
    contents go together, with the last that was taken: they are found by the name of the first.
    """
    needed = needed_content(repo)
    known = {item.file: item for item in repo.index.trash()}
    files = {os.fsencode(name): os.lstat(name, dir_fd=trash.fd) for name in os.listdir(trash.fd)}
    taken_ns: dict[bytes, int] = {}
    for file, found in files.items():
        time_ns = known[file].time_ns if file in known else found.st_ctime_ns
        taken_ns[_blob_of(file)] = max(time_ns, taken_ns.get(_blob_of(file), time_ns))
    gone = [file for file in known if file not in files]
    count = size = spared = 0
    for file, found in sorted(files.items()):
        blob = _blob_of(file)
        if taken_ns[blob] >= limit_ns:
            continue
        if blob in needed:
            spared += 1
            continue
        count += 1
        size += found.st_size if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 else 0
        if not dry_run:
            os.unlink(file, dir_fd=trash.fd)
            gone.append(file)
    if gone and not dry_run:
        repo.index.drop_trash(gone)
    return count, size, spared


def _blob_of(file: bytes) -> bytes:
    try:
        return bytes.fromhex(file.partition(b"-")[0].decode("ascii"))
    except ValueError:
        return b""


def _clear_stages(repo: Repository, dry_run: bool) -> tuple[int, int]:
    """Clear the stage, and what was brought ahead of merges; how many names, and how many bytes."""
    if any(not entry.cause for entry in repo.index.journal()):
        return 0, 0
    ahead = f"{repo.dotdir}/{AHEAD}"
    places = [f"{ahead}/{name}" for name in durable.names_in(ahead) if is_remote_name(name)]
    names, sizes = zip(*[_clear_stage(place, dry_run) for place in (f"{repo.dotdir}/stage", *places)], strict=True)
    return sum(names), sum(sizes)


def _clear_stage(place: str, dry_run: bool) -> tuple[int, int]:
    """Clear a stage if nothing has come to it for a day; how many names, and how many bytes."""
    with Stage(place) as stage:
        names = stage.leftovers()
        found = [os.lstat(name, dir_fd=stage.fd) for name in names]
        if not names or max([each.st_ctime for each in found]) > time.time() - _STALE_SECONDS:
            return 0, 0
        size = sum([each.st_blocks * 512 for each in found])
        size += sum([room_taken(os.path.join(stage.path, os.fsdecode(name))).size for name in names])
        if not dry_run:
            stage.clear()
        return len(names), size


def _drop_block_lists(repo: Repository, dry_run: bool) -> int:
    """Drop the block lists of what is neither in the folder nor in the trash; how many."""
    with BlockCache(repo.block_cache_path) as cache:
        known = cache.blobs()
        if not known:
            return 0
        known -= repo.index.find_paths(known).keys()
        known -= {item.blob for item in repo.index.trash()}
        if not dry_run:
            cache.drop(known)
    return len(known)
