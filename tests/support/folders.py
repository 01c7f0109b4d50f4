"""Folders as tests see them: what one holds, whether two are equal, and what differs where they are not."""

import errno
import hashlib
import os
import random
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SECOND = 1_000_000_000


def noise(length: int, seed: int = 0) -> bytes:
    """Content that nothing makes smaller, the same in each run: of the same length and seed, that is."""
    return random.Random(f"{length} {seed}").randbytes(length)


Seen = tuple[str, int, int, bytes]
"""Kind, permissions, mtime in ns (0 for a directory: it is not kept in step), content or target."""


def snapshot(root: str | os.PathLike[str]) -> dict[bytes, Seen]:
    """All that a folder holds, but for its log and what is never recorded (specials, nested replicas)."""
    found: dict[bytes, Seen] = {}
    stack = [b""]
    top = os.fsencode(root)
    while stack:
        directory = stack.pop()
        with os.scandir(os.path.join(top, directory)) as listing:
            entries = list(listing)
        for entry in entries:
            path = os.path.join(directory, entry.name)
            status = entry.stat(follow_symlinks=False)
            perm = status.st_mode & 0o777
            if stat.S_ISLNK(status.st_mode):
                found[path] = ("link", 0o777, status.st_mtime_ns, os.readlink(entry.path))
            elif stat.S_ISDIR(status.st_mode):
                if entry.name == b".replican" or os.path.lexists(os.path.join(entry.path, b".replican")):
                    continue
                found[path] = ("directory", perm, 0, b"")
                stack.append(path)
            elif stat.S_ISREG(status.st_mode):
                with open(entry.path, "rb") as file:
                    content = file.read()
                found[path] = ("file", perm, status.st_mtime_ns, seen_of(content))
    return found


def seen_of(content: bytes) -> bytes:
    """A file's content as a snapshot has it: the hash of what is long."""
    return content if len(content) <= 64 else hashlib.sha256(content).hexdigest().encode()


def contents(root: str | os.PathLike[str]) -> dict[str, bytes]:
    """The files and links of a folder with what they hold, by text path."""
    return {os.fsdecode(path): seen[3] for path, seen in snapshot(root).items() if seen[0] != "directory"}


def differences(one: Mapping[bytes, Seen], other: Mapping[bytes, Seen]) -> list[str]:
    return [
        f"{path!r}: {one.get(path)} / {other.get(path)}"
        for path in sorted({*one, *other})
        if one.get(path) != other.get(path)
    ]


def assert_equal(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> None:
    """Both folders hold the same: content, kinds, permissions, times, links, empty directories."""
    wrong = differences(snapshot(one), snapshot(other))
    assert not wrong, "\n".join(wrong)


def write(path: Path, content: bytes | str, mtime_ns: int | None = None) -> Path:
    """Write a file, and what is above it if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    if mtime_ns is not None:
        os.utime(path, ns=(mtime_ns, mtime_ns))
    return path


def remove(path: Path) -> None:
    """Remove a folder, if it is there, whatever the permissions in it."""
    for above, directories, _ in os.walk(path):
        for name in directories:
            if not os.path.islink(below := os.path.join(above, name)):
                os.chmod(below, 0o700)
    shutil.rmtree(path, ignore_errors=True)


@contextmanager
def unreadable(path: Path) -> Iterator[None]:
    """A file or a directory cannot be opened for a while; not even by root, who runs some tests."""
    whole, wanted = os.open, os.fsencode(path)

    def opening(name: Any, *args: Any, dir_fd: int | None = None, **named: Any) -> int:
        above = b"" if dir_fd is None else os.readlink(b"/proc/self/fd/%d" % dir_fd)
        if os.path.join(above, os.fsencode(name)) == wanted:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        return whole(name, *args, dir_fd=dir_fd, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", opening)
        yield


def head(cli: Any, folder: Path) -> str:
    """The id of a folder's head."""
    return str(cli("-C", folder, "status", "--json").json()["head"])


def in_step(cli: Any, a: Path, b: Path, *words: str, code: int = 0) -> str:
    """Sync from ``b``; both have to be equal, at the same head, with nothing left to do. What was told."""
    done = cli("-C", b, "sync", *words, code=code)
    assert_equal(a, b)
    states = [cli("-C", folder, "status", "--json").json() for folder in (a, b)]
    assert states[0]["head"] == states[1]["head"]
    assert all(state["clean"] for state in states), states
    again = cli("-C", b, "sync", "--json").json()
    assert again["head"] == states[0]["head"]
    assert again["remotes"][0]["equal"]
    return str(done.text + done.err)
