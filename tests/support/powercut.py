"""A disk as a power cut leaves it: what a traced command wrote, without what had not been flushed by then.

The model has inodes, directories that name them, and the changes of a trace in their order: to names (those of one
call are one change), to data, to attributes. A flush makes durable what was done, before it began, to its inode: a
file's flush its data and attributes but not its name, a directory's flush the names in it (with what these rest upon:
a rename between two directories is one change), a file system's flush all.

Limits. Calls that overlap in time are taken in the order in which they ended. What is written through a mapping is not
seen: SQLite does so to its ``-shm``, which it makes anew after a cut. Inode numbers and change times of a disk that is
laid out again are new ones, so nothing shows here that hangs on their being the same. Names that were not flushed come
through in the order in which they were made, as on file systems with a journal of their metadata, or not at all.
"""

import hashlib
import os
import random
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from folders import remove
from tracing import UNEXPECTED, Call

NEVER = 1 << 60
NOW = -1 << 60
"""In place of a time: that of the change itself, whenever it is done."""

_Entry = tuple[int, str, int | None]
"""A directory's number, a name in it, the number of what it names now (None: nothing)."""


class Inode:
    """A file, a link or a directory; of a directory ``names`` are its entries."""

    def __init__(self, kind: str, mode: int, content: bytes = b"", mtime_ns: int | None = None) -> None:
        self.kind = kind
        self.mode = mode
        self.content = bytearray(content)
        self.mtime_ns = mtime_ns
        self.names: dict[str, int] = {}

    def copy(self) -> "Inode":
        twin = Inode(self.kind, self.mode, self.content, self.mtime_ns)
        twin.names = dict(self.names)
        return twin


class Change:
    """One change, done by the call of number ``done``, durable with that of number ``durable``."""

    def __init__(
        self,
        done: int,
        number: int = 0,
        entries: tuple[_Entry, ...] = (),
        data: tuple[int, bytes] | None = None,
        size: int | None = None,
        mode: int | None = None,
        mtime_ns: int | None = None,
    ) -> None:
        self.done, self.durable = done, NEVER
        self.number, self.entries, self.data, self.size = number, entries, data, size
        self.mode, self.mtime_ns = mode, mtime_ns

    @property
    def flushed(self) -> bool:
        return self.durable < NEVER

    @property
    def is_attribute(self) -> bool:
        return self.mode is not None or self.mtime_ns is not None

    def apply(self, inodes: dict[int, Inode], data: tuple[int, bytes] | None) -> None:
        """Do it; ``data`` in the place of its own."""
        for directory, name, target in self.entries:
            if target is None:
                inodes[directory].names.pop(name, None)
            else:
                inodes[directory].names[name] = target
        if self.entries:
            return
        inode = inodes[self.number]
        if data is not None:
            at, written = data
            inode.content.extend(bytes(max(0, at - len(inode.content))))
            inode.content[at : at + len(written)] = written
            inode.mtime_ns = None
        if self.size is not None:
            inode.content[self.size :] = bytes(max(0, self.size - len(inode.content)))
            inode.mtime_ns = None
        if self.mode is not None:
            inode.mode = self.mode
        if self.mtime_ns is not None:
            inode.mtime_ns = None if self.mtime_ns == NOW else self.mtime_ns


Keep = Callable[[Change], tuple[int, bytes] | bool | None]
"""What comes through of a change that was not flushed: all (True), nothing (False, None), or these data."""


class Disk(NamedTuple):
    """What is on the disk: the inodes, of which number 0 is the base directory."""

    inodes: dict[int, Inode]

    def files(self, number: int = 0, path: str = "") -> Iterator[tuple[str, Inode]]:
        """Everything that has a name, with its path below the base; directories before what is in them."""
        for name, target in sorted(self.inodes[number].names.items()):
            inode = self.inodes[target]
            where = f"{path}/{name}" if path else name
            yield where, inode
            if inode.kind == "d":
                yield from self.files(target, where)

    def digest(self) -> bytes:
        told = [
            (path, inode.kind, inode.mode, inode.mtime_ns, bytes(inode.content))
            for path, inode in self.files()
            if not path.endswith(("-shm", ".replican/lock"))
        ]
        return hashlib.sha256(repr(told).encode()).digest()

    def lay_out(self, base: Path) -> None:
        """Make it so, in place of what ``base`` has."""
        for name in os.listdir(base):
            remove(base / name) if (base / name).is_dir() else (base / name).unlink()
        modes: list[tuple[Path, int]] = []
        made: dict[int, Path] = {}
        for path, inode in self.files():
            at = base / path
            if id(inode) in made:
                os.link(made[id(inode)], at, follow_symlinks=False)
                continue
            if inode.kind == "d":
                at.mkdir()
                modes.append((at, inode.mode))
                continue
            made[id(inode)] = at
            if inode.kind == "l":
                os.symlink(bytes(inode.content), os.fsencode(at))
            else:
                at.write_bytes(inode.content)
                at.chmod(inode.mode)
            if inode.mtime_ns is not None:
                os.utime(at, ns=(inode.mtime_ns, inode.mtime_ns), follow_symlinks=False)
        for at, mode in reversed(modes):
            at.chmod(mode)


def read_disk(base: Path) -> Disk:
    """What is below ``base`` now."""
    inodes: dict[int, Inode] = {}
    numbers: dict[tuple[int, int], int] = {}

    def load(path: str) -> int:
        found = os.lstat(path)
        key = (found.st_dev, found.st_ino)
        if key in numbers:
            return numbers[key]
        number = numbers[key] = len(inodes)
        mode = stat.S_IMODE(found.st_mode)
        if stat.S_ISDIR(found.st_mode):
            inode = inodes[number] = Inode("d", mode)
            inode.names = {name: load(f"{path}/{name}") for name in sorted(os.listdir(path))}
        elif stat.S_ISLNK(found.st_mode):
            inodes[number] = Inode("l", 0o777, os.fsencode(os.readlink(path)), found.st_mtime_ns)
        else:
            inodes[number] = Inode("f", mode, Path(path).read_bytes(), found.st_mtime_ns)
        return number

    load(os.fspath(base))
    return Disk(inodes)


class Recording:
    """What a command did to a disk: from its trace, and from what was there before it, all of it durable."""

    def __init__(self, base: Path, before: Disk, calls: Sequence[Call], unflushed: Callable[[Call], bool]) -> None:
        """Flushes of which ``unflushed`` says so are left out, as though the program had none there."""
        self.before = before
        self.calls = calls
        self.changes: list[Change] = []
        self._prefix = os.fspath(base)
        self._live = {number: inode.copy() for number, inode in before.inodes.items()}
        self._made: dict[int, Inode] = {}
        self._opened: dict[tuple[int, int], list[int]] = {}
        self._umasks: dict[int, int] = {}
        self._paths: dict[tuple[int, int], str] = {}
        for at, call in enumerate(calls):
            assert call.name not in UNEXPECTED, f"{call.name} is not in the model"
            if not (call.name in ("fsync", "fdatasync", "syncfs") and unflushed(call)):
                self._take(at, call)

    def at_end(self) -> Disk:
        """What the model has in the end: the real disk, or it is wrong."""
        return Disk(self._live)

    def after_cut(self, cut: int, keep: Keep) -> Disk:
        """The disk where the power went after the first ``cut`` calls."""
        inodes = {number: inode.copy() for number, inode in (self.before.inodes | self._made).items()}
        for change in self.changes:
            if change.done >= cut:
                break
            kept = True if change.durable < cut else keep(change)
            if kept is True:
                change.apply(inodes, change.data)
            elif isinstance(kept, tuple):
                change.apply(inodes, kept)
        return Disk(inodes)

    def _take(self, at: int, call: Call) -> None:
        name = call.name
        if name in ("fsync", "fdatasync", "syncfs"):
            return self._flush(at, call)
        if name in ("open", "openat", "creat"):
            return self._open(at, call)
        if name == "umask":
            self._umasks[call.pid] = int(call.rest.strip(), 8)
        elif name == "lseek":
            if (call.pid, call.fd) in self._opened:
                self._opened[call.pid, call.fd][1] = call.result
        elif name in ("write", "writev", "pwrite64", "pwritev", "pwritev2"):
            self._write(at, call)
        elif name in ("ftruncate", "truncate"):
            number = self._find(call.paths[0])
            if number is not None:
                self._add(Change(at, number, size=int(call.rest.rpartition(",")[2])))
        elif name in ("chmod", "fchmod", "fchmodat", "utimensat"):
            self._attribute(at, call)
        elif name != "chdir":
            self._rename(at, call)
        return None

    def _add(self, change: Change) -> None:
        self.changes.append(change)
        change.apply(self._live, change.data)

    def _find(self, path: str) -> int | None:
        """The number of what lies at ``path`` now; None where that is not below the base, or is nothing."""
        parts, number = self._parts(path), 0
        if not parts and os.path.normpath(path) != self._prefix:
            return None
        for part in parts:
            found = self._live[number].names.get(part)
            if found is None:
                return None
            number = found
        return number

    def _parts(self, path: str) -> list[str]:
        path = os.path.normpath(path)
        below = path.startswith(self._prefix + "/")
        return path[len(self._prefix) + 1 :].split("/") if below else []

    def _entry(self, path: str) -> tuple[int, str] | None:
        """The directory of ``path``, and its name in that; None outside of the base."""
        parts = self._parts(path)
        if not parts:
            return None
        directory = self._find(os.path.dirname(path)) if len(parts) > 1 else 0
        assert directory is not None, f"no directory for {path}"
        return directory, parts[-1]

    def _new(self, at: int, path: str, inode: Inode) -> int | None:
        entry = self._entry(path)
        if entry is None:
            return None
        number = max(self._live) + 1
        self._live[number], self._made[number] = inode, inode.copy()
        self._add(Change(at, entries=((*entry, number),)))
        return number

    def _open(self, at: int, call: Call) -> None:
        self._paths[call.pid, call.result] = call.made
        if call.name == "creat" or ("O_CREAT" in call.rest and "O_TMPFILE" not in call.rest):
            (path,) = call.paths
            number = self._find(path)
            if number is None:
                mode = int(call.rest.rpartition(",")[2].strip(), 8) & ~self._umasks.get(call.pid, 0o022)
                number = self._new(at, path, Inode("f", mode))
        else:
            number = self._find(call.made)
        if number is None:
            self._opened.pop((call.pid, call.result), None)
            return
        if "O_TRUNC" in call.rest or call.name == "creat":
            self._add(Change(at, number, size=0))
        self._opened[call.pid, call.result] = [number, 0, "O_APPEND" in call.rest]

    def _write(self, at: int, call: Call) -> None:
        number = self._find(call.paths[0])
        if number is None:
            return  # outside, or it has no name any more
        written = b"".join(call.texts)[: call.result]
        assert len(written) == call.result, call.name
        if call.name.startswith("p"):
            offset = int(call.rest.split(",")[-1])
        else:
            opened = self._opened[call.pid, call.fd]
            assert opened[0] == number, call.paths
            offset = len(self._live[number].content) if opened[2] else opened[1]
            opened[1] = offset + len(written)
        self._add(Change(at, number, data=(offset, written)))

    def _attribute(self, at: int, call: Call) -> None:
        (path,) = call.paths
        if path.startswith("/proc/self/fd/"):
            path = self._paths[call.pid, int(path.rpartition("/")[2])]
        number = self._find(path)
        if number is None:
            return
        if call.name != "utimensat":
            mode = int(next(part for part in reversed(call.rest.split(",")) if part.strip().isdigit()), 8)
            self._add(Change(at, number, mode=mode & 0o7777))
        else:
            time_ns = call.times[-1] if call.times else NOW
            assert time_ns is not None, "a time is left as it is"
            self._add(Change(at, number, mtime_ns=time_ns))

    def _rename(self, at: int, call: Call) -> None:
        name = call.name
        if name.startswith("mkdir"):
            mode = int(call.rest.rpartition(",")[2].strip(), 8) & ~self._umasks.get(call.pid, 0o022)
            self._new(at, call.paths[0], Inode("d", mode))
            return
        if name.startswith("symlink"):
            self._new(at, call.paths[0], Inode("l", 0o777, call.texts[0]))
            return
        entries = [self._entry(path) for path in call.paths]
        if all(entry is None for entry in entries):
            return
        assert all(entry is not None for entry in entries), f"in and out of the base: {call.paths}"
        places = [entry for entry in entries if entry is not None]
        held = [self._live[directory].names.get(part) for directory, part in places]
        assert held[0] is not None, f"{call.paths[0]} is not in the model"
        if name in ("unlink", "unlinkat", "rmdir"):
            done: list[_Entry] = [(*places[0], None)]
        elif name.startswith("link"):
            done = [(*places[1], held[0])]
        elif "RENAME_EXCHANGE" in call.rest:
            done = [(*places[0], held[1]), (*places[1], held[0])]
        else:
            done = [(*places[0], None), (*places[1], held[0])]
        self._add(Change(at, entries=tuple(done)))

    def _flush(self, at: int, call: Call) -> None:
        number = None if call.name == "syncfs" else self._find(call.paths[0])
        if number is None and call.name != "syncfs":
            return
        attributes = call.name != "fdatasync"
        needed: set[tuple[int, str] | int] = set()
        for change in reversed(self.changes):
            if change.flushed or change.done >= call.began:
                continue
            keys = {key for directory, name, target in change.entries for key in ((directory, name), target) if key}
            if number is None:
                covered = True
            elif change.entries:
                covered = any(directory == number for directory, _, _ in change.entries) or not needed.isdisjoint(keys)
            else:
                covered = change.number == number and (attributes or not change.is_attribute)
            if covered:
                change.durable = at
                needed |= keys


def nothing(_: Change) -> bool:
    """Nothing."""
    return False


def names(change: Change) -> bool:
    """All but data: what was written is a file of no size."""
    return change.data is None


def sizes(change: Change) -> tuple[int, bytes] | bool:
    """All but data, of which only the length comes through: zeros."""
    return True if change.data is None else (change.data[0], bytes(len(change.data[1])))


def by_chance(seed: int, cut: int) -> Keep:
    """Names up to some moment; of data and attributes any, and some of it torn."""
    chance = random.Random(seed * 1_000_003 + cut)
    until, share = chance.randrange(cut + 1), chance.random()

    def keep(change: Change) -> tuple[int, bytes] | bool:
        if change.entries:
            return change.done < until
        if chance.random() >= share:
            return False
        if change.data is not None and chance.random() < 0.25:
            at, written = change.data
            return at, written[: chance.randrange(len(written) + 1)]
        return True

    return keep
