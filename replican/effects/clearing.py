"""What lies on a stage: how much room it takes up, and how it is removed, however deep."""

import errno
import itertools
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from replican.effects.worktree import DIRECTORY_FLAGS, set_mode
from replican.values.trees import LINK, Entry

PARTS: Final = (b"part-", b"delta-")
"""What has come of a large file: the beginning, or some blocks. Its id follows."""


class Taken(NamedTuple):
    """What lies in a directory: its size in bytes on the disk, and how many files and directories they are."""

    size: int
    names: int


def room_taken(path: str, but: Collection[str] = ()) -> Taken:
    """What is below ``path``, as far as it can be seen; ``but`` are full paths that are left out, with all in them."""
    size, count, waiting = 0, 0, [path]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as listing:
                for entry in listing:
                    if entry.path in but:
                        continue
                    count += 1
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            continue
    return Taken(size, count)


def parts_of_others(path: str, blobs: Iterable[bytes]) -> list[str]:
    """The full paths, on the stage at ``path``, of what has come of other large files than those with these ids."""
    try:
        names = [name for name in map(os.fsencode, os.listdir(path)) if name.startswith(PARTS)]
    except OSError:
        return []
    own = {blob.hex().encode() for blob in blobs} if names else ()
    return [f"{path}/{os.fsdecode(name)}" for name in names if name.partition(b"-")[2] not in own]


def left_of(path: str, entries: Iterable[Entry]) -> Taken:
    """How much of the content of these an earlier run has left on the stage at ``path``: whole files under their ids,
    and the beginnings of others. That it is the right content is not looked at."""
    size = count = 0
    for blob, entry in {entry.id: entry for entry in entries if entry.kind != LINK}.items():
        for name in (blob.hex(), f"part-{blob.hex()}"):
            try:
                found = os.lstat(f"{path}/{name}").st_size
            except OSError:
                continue
            if found <= entry.size:
                size += found
                count += 1
                break
    return Taken(size, count)


def remove_tree(fd: int, name: bytes) -> None:
    """Remove a directory of the stage with all that is in it, however deep: what lies in it comes up to the stage
    first. Another process may remove it meanwhile, too, as leftovers."""
    waiting, numbers = [name], itertools.count(1)
    while waiting:
        name = waiting.pop()
        try:
            set_mode(name, fd, 0o700, False)
            directory = os.open(name, DIRECTORY_FLAGS, dir_fd=fd)
        except FileNotFoundError:
            continue
        try:
            with os.scandir(directory) as listing:
                found = [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in listing]
            for below, is_directory in found:
                with suppress(FileNotFoundError):
                    if is_directory:
                        waiting.append(_bring_up(below, directory, fd, numbers))
                    else:
                        os.unlink(below, dir_fd=directory)
        finally:
            os.close(directory)
        with suppress(FileNotFoundError):
            os.rmdir(name, dir_fd=fd)


def _bring_up(name: bytes, directory: int, fd: int, numbers: Iterator[int]) -> bytes:
    """Move a directory from ``directory`` to the stage, under a name with the first of ``numbers`` that is free; that
    name."""
    set_mode(name, directory, 0o700, False)  # to be moved it has to be writable itself
    while True:
        up = b"gone-%d-%d" % (os.getpid(), next(numbers))
        try:
            os.rename(name, up, src_dir_fd=directory, dst_dir_fd=fd)
            return up
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
