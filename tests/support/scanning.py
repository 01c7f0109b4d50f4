"""A folder with an index beside it, and what the folder holds as found out by other means than a scan."""

import ctypes
import hashlib
import os
import pickle
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, overload

from replican.effects.index import ASIDE, Index
from replican.effects.observe import observe_paths
from replican.effects.scan import Scan, scan
from replican.values.errors import NotFoundError
from replican.values.ids import TreeId
from replican.values.trees import DIRECTORY, Entry, parse_tree

_CAPABILITY_VERSION = 0x20080522
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1 << 1, 1 << 2


class Watched:
    """A folder and its index. What is written here has settled when it is scanned, unless a test says otherwise."""

    def __init__(self, place: Path) -> None:
        self.root = place / "root"
        self.root.mkdir()
        self.index_path = str(place / "index.db")
        self.index = Index.open(self.index_path, writable=True)

    def close(self) -> None:
        self.index.close()

    @overload
    def path(self, name: str) -> str: ...
    @overload
    def path(self, name: bytes) -> bytes: ...
    def path(self, name: str | bytes) -> str | bytes:
        return os.path.join(os.fsencode(self.root), name) if isinstance(name, bytes) else os.path.join(self.root, name)

    def write(self, name: str | bytes, content: bytes = b"content", perm: int = 0o644) -> str | bytes:
        """Make a file, with the directories above it."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, perm)
        return path

    def scan(self, *, settled: bool = True, full: bool = False, workers: int | None = None) -> Scan:
        if settled:
            settle()
        return scan(str(self.root), self.index, full=full, workers=workers)

    def observe(self, paths: Iterable[bytes] | None = None, *, settled: bool = True, full: bool = False) -> Scan:
        """Scan (or look at some paths), and write what was seen as observed rows."""
        if settled:
            settle()
        seen = (
            scan(str(self.root), self.index, full=full)
            if paths is None
            else observe_paths(str(self.root), self.index, paths)
        )
        self.index.births.note(seen.births)
        self.index.observe(seen.changed.values(), seen.gone, seen.root)
        return seen

    def record(self) -> Scan:
        """Scan, and make what was seen the base."""
        seen = self.observe()
        self.index.promote()
        return seen

    def entries(self, seen: Scan) -> dict[bytes, Entry]:
        """All that a scan found, by path."""
        return entries_of(self.index, seen)


def settle() -> None:
    """Wait until nothing that was written before counts as racy."""
    time.sleep(0.025)


def entries_of(index: Index, seen: Scan) -> dict[bytes, Entry]:
    found: dict[bytes, Entry] = {}
    records = {record.tree: record for record in seen.changed.values() if record.tree != ASIDE}

    def tree(id: TreeId) -> list[Entry]:
        if id in seen.payloads:
            return parse_tree(seen.payloads[id])
        try:
            return index.tree(id)
        except NotFoundError:
            return [row.entry for row in records[id].rows]

    stack = [(b"", seen.root)]
    while stack:
        path, id = stack.pop()
        for entry in tree(id):
            below = path + b"/" + entry.name if path else entry.name
            found[below] = entry
            if entry.kind == DIRECTORY:
                stack.append((below, entry.tree))
    return found


def blob(content: bytes) -> bytes:
    return hashlib.sha256(b"blob %d\0%s" % (len(content), content)).digest()


def on_disk(root: Path) -> dict[bytes, tuple[bytes, int, int, int, bytes]]:
    """(kind, perm, size, mtime, blob id) of everything below a folder, but directories' size, mtime and id."""
    found: dict[bytes, tuple[bytes, int, int, int, bytes]] = {}
    top = os.fsencode(root)
    for directory, directories, files in os.walk(top):
        for name in directories + files:
            path = os.path.join(directory, name)
            below = os.path.relpath(path, top)
            now = os.lstat(path)
            if stat.S_ISLNK(now.st_mode):
                target = os.readlink(path)
                found[below] = (b"l", 0o777, len(target), now.st_mtime_ns, blob(target))
            elif stat.S_ISDIR(now.st_mode):
                found[below] = (b"d", now.st_mode & 0o777, 0, 0, b"")
            else:
                with open(path, "rb") as file:
                    content = file.read()
                found[below] = (b"f", now.st_mode & 0o777, len(content), now.st_mtime_ns, blob(content))
    return found


def plain(entries: dict[bytes, Entry]) -> dict[bytes, tuple[bytes, int, int, int, bytes]]:
    """Entries in the form of :func:`on_disk`."""
    return {
        path: (e.kind, e.perm, e.size, e.mtime_ns, b"" if e.kind == DIRECTORY else e.id) for path, e in entries.items()
    }


def _become_another() -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)


def bound_by_permissions() -> None:
    """From now on this process, also of root, is bound by the permissions of what is its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, data) == 0
    data[0] &= ~(_CAP_DAC_OVERRIDE | _CAP_DAC_READ_SEARCH)
    assert libc.capset(header, data) == 0, os.strerror(ctypes.get_errno())


def as_nobody(work: Callable[[], Any], become: Callable[[], None] = _become_another) -> Any:
    """What ``work`` gives in a process that may not read everything: as root, one that has become another user."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(out)
            become()
            with os.fdopen(into, "wb") as pipe:
                pickle.dump(work(), pipe)
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        payload = pipe.read()
    assert os.waitpid(pid, 0)[1] == 0
    return pickle.loads(payload)


def assert_found(folder: Watched, seen: Scan) -> None:
    """What a scan found is what the disk holds."""
    assert plain(folder.entries(seen)) == on_disk(folder.root)


def assert_quiet(folder: Watched) -> None:
    """A second look finds nothing, and reads nothing."""
    seen = folder.scan()
    assert (seen.changed, seen.gone, seen.payloads, seen.hashed_files) == ({}, [], {}, 0)
    assert seen.root == folder.index.observed_root()


def fill(folder: Watched) -> None:
    for directory in ("", "a/", "a/b/", "c/"):
        for number in range(3):
            folder.write(f"{directory}file{number}", f"{directory}{number}".encode())
