"""What is done to the trash between transitions: inodes that somebody went on writing to come back."""

import os
import time

from replican.effects.index import Index
from replican.effects.recovery import bring_back
from replican.effects.trash import Trash, TrashItem, id_at
from replican.effects.worktree import Directories
from replican.values.paths import show

# What was taken is looked at by the next scan, and for so long after it by those that follow; expiry looks once more.
_LOOK_AGAIN_NS = 5 * 1_000_000_000
_LOOKED = "trash.looked"


def rescue_changed(root: str, index: Index, trash: Trash, *, everything: bool = False) -> list[str]:
    """Bring back what was written to after it was taken to the trash, as a version of its name; what to tell the
    user."""
    looked = index.meta_get(_LOOKED)
    since = 0 if everything or looked is None else int.from_bytes(looked, "big") - _LOOK_AGAIN_NS
    recent = index.trash(since_ns=since)
    if recent:
        index.meta_set(_LOOKED, time.time_ns().to_bytes(8, "big"))
    changed = trash.changed(recent) if recent else []
    if not changed:
        return []
    notes: list[str] = []
    unwritten: list[TrashItem] = []
    with Directories(root) as directories:
        for item in changed:
            found = os.lstat(item.file, dir_fd=trash.fd)  # before it is read: what is written meanwhile changes it
            blob = id_at(item.file, trash.fd)
            if blob is None:
                continue
            if blob == item.blob:
                unwritten.append(item._replace(mtime_ns=found.st_mtime_ns, ctime_ns=found.st_ctime_ns))
                continue
            path = bring_back(directories, trash.fd, item.file, item.path, blob, found.st_mtime_ns)
            if path is not None:
                index.drop_trash([item.file])
                notes.append(f"{show(path)} was still being written to when it was replaced: both versions are kept")
    if unwritten:  # its links or its permissions were changed, say: nobody is to read it for that once more
        index.add_trash(unwritten, None)
    return notes
