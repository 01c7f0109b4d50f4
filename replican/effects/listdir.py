"""Listing an open directory, with the stat data that a look at it needs. The hot loops of a scan."""

import os
from collections.abc import Container, Iterable

from replican.values.listing import DIRECTORY_MODE, FILE_MODE, KIND_MASK, LINK_MODE, Stat

Seen = Stat | tuple[str, int]
"""A name as stat shows it, or where nothing is known of it yet, just the kind of file that it is."""

Directory = tuple[str, int, int, int]
"""A directory in the one that was listed: name, ``st_mode``, inode, device."""


def stat_of(name: str, found: os.stat_result) -> Stat:
    """One name's stat data as they are digested."""
    mode = found.st_mode
    if mode & KIND_MASK == DIRECTORY_MODE:
        return name, mode, found.st_ino
    return name, mode, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def list_known(fd: int) -> tuple[list[Seen], list[Directory]]:
    """Everything in a directory, sorted by name, and the directories in it."""
    items: list[Seen] = []
    directories: list[Directory] = []
    add = items.append
    with os.scandir(fd) as entries:
        for entry in entries:
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            mode = found.st_mode
            if mode & 0o170000 == 0o040000:
                add((entry.name, mode, found.st_ino))
                directories.append((entry.name, mode, found.st_ino, found.st_dev))
            else:
                add((entry.name, mode, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
    items.sort()
    return items, directories


def list_new(fd: int, renamed: Container[int] | None = None) -> tuple[list[Seen], list[Directory]]:
    """The same, but files and links, which are to be read anyway, are not looked at yet: but for those that may be
    ``renamed``, by their inodes."""
    items: list[Seen] = []
    directories: list[Directory] = []
    add = items.append
    with os.scandir(fd) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False) and (renamed is None or entry.inode() not in renamed):
                add((entry.name, FILE_MODE))
            elif entry.is_symlink():
                add((entry.name, LINK_MODE))
            else:
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                _add(entry.name, found, items, directories)
    items.sort()
    return items, directories


def list_named(fd: int, names: Iterable[bytes]) -> tuple[list[Seen], list[Directory]]:
    """Those of ``names`` that are there."""
    items: list[Seen] = []
    directories: list[Directory] = []
    for name in names:
        try:
            found = os.lstat(name, dir_fd=fd)
        except FileNotFoundError:
            continue
        _add(os.fsdecode(name), found, items, directories)
    items.sort()
    return items, directories


def _add(name: str, found: os.stat_result, items: list[Seen], directories: list[Directory]) -> None:
    items.append(stat_of(name, found))
    if found.st_mode & KIND_MASK == DIRECTORY_MODE:
        directories.append((name, found.st_mode, found.st_ino, found.st_dev))
