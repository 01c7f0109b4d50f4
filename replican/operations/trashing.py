"""What is done to the trash between transitions: inodes that somebody went on writing to come back."""

import os
import time

from replican.effects.index import Index
from replican.effects.recovery import bring_back
from replican.effects.trash import Trash, TrashItem, hash_name
from replican.effects.worktree import Directories
from replican.values.paths import show

# A program that held a file open while it was deleted is done with it after this; expiry looks once more.
_LOOK_AGAIN_NS = 3600 * 1_000_000_000


def rescue_changed(root: str, index: Index, trash: Trash, *, everything: bool = False) -> list[str]:
    """Bring back what was written to after it was taken to the trash, as a version of its name; what to tell the
    user."""
    since = 0 if everything else time.time_ns() - _LOOK_AGAIN_NS
    recent = [item for item in index.trash() if item.time_ns >= since]
    changed = trash.changed(recent) if recent else []
    if not changed:
        return []
    notes: list[str] = []
    with Directories(root) as directories:
        for item in changed:
            path = _rescue(directories, trash, item)
            if path is not None:
                index.drop_trash([item.file])
                notes.append(f"{show(path)} was still being written to when it was replaced: both versions are kept")
    return notes


def _rescue(directories: Directories, trash: Trash, item: TrashItem) -> bytes | None:
    blob = hash_name(item.file, trash.fd)
    if blob is None or blob == item.blob:
        return None
    found = os.lstat(item.file, dir_fd=trash.fd)
    return bring_back(directories, trash.fd, item.file, item.path, blob, found.st_mtime_ns)
