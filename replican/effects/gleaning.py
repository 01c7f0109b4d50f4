"""Gleaning: what an interrupted run has built on the stage, to be used by the next one.

Directories that were being filled are of no use by themselves: which files of them are whole, and still wanted, nobody
knows any more. So each file gets the name of what it holds, as all that lies on the stage by itself; who wants it
finds it there, and verifies it once more.
"""

import os
from typing import Final

from replican.effects.mirror import PLACE
from replican.effects.staging import Stage
from replican.effects.worktree import open_regular
from replican.values.ids import blob_hasher

BUILT: Final = b"tree-"
"""How the places begin in which new directories are built."""
_CHUNK: Final = 1 << 20


def glean(stage: Stage) -> None:
    """Have the files of all directories that earlier runs have filled lie on the stage by their ids; the directories
    are gone then."""
    for place in sorted(stage.left):
        if place == PLACE or place.startswith(BUILT):
            _glean_below(stage, place)


def _glean_below(stage: Stage, place: bytes) -> None:
    try:
        for _, _, names, fd in os.fwalk(place, dir_fd=stage.fd):
            for name in names:
                _glean_file(stage, os.fsencode(name), fd)
    except OSError:
        pass  # what cannot be read is asked for again
    stage.remove(place)
    stage.left.discard(place)


def _glean_file(stage: Stage, name: bytes, directory: int) -> None:
    fd = open_regular(name, directory)
    if fd is None:
        return
    try:
        hasher = blob_hasher(os.fstat(fd).st_size)
        while data := os.read(fd, _CHUNK):
            hasher.update(data)
    finally:
        os.close(fd)
    found = hasher.hexdigest().encode()
    os.rename(name, found, src_dir_fd=directory, dst_dir_fd=stage.fd)
    stage.left.add(found)
