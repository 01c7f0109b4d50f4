"""What a command did to the disk, read from a trace of its system calls: calls, paths, and the bytes that it wrote.

``strace`` writes all text in hex digits, so that nothing in a name or in a file's content is taken for syntax. Only
what was done is returned, not what failed, in the order in which it ended; where a call began earlier than another
ended (several processes) both numbers are known.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import faults

CHANGING = (
    "write", "pwrite64", "writev", "pwritev", "pwritev2", "open", "openat", "creat", "rename", "renameat", "renameat2",
    "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "link", "linkat", "symlink", "symlinkat", "truncate",
    "ftruncate", "chmod", "fchmod", "fchmodat", "utimensat", "fsync", "fdatasync", "syncfs", "lseek", "chdir", "umask",
)  # fmt: skip
UNEXPECTED = (
    "copy_file_range", "sendfile", "splice", "fallocate", "sync", "sync_file_range", "openat2", "mknod", "mknodat",
    "utime", "utimes", "futimesat", "setxattr", "fsetxattr", "io_uring_setup", "msync", "fchdir",
)  # fmt: skip
"""What no command does; a model of the disk that left them out would be wrong where one began to."""

_LIMIT = 1 << 24
_CALL = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+|\?)(?:<([^>]*)>)?", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_FD = re.compile(r"(\d+|AT_FDCWD)<([^>]*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_TIME = re.compile(r"UTIME_NOW|UTIME_OMIT|\{tv_sec=(-?\d+), tv_nsec=(\d+)\}")
_CUT = " <unfinished ...>"


class Call(NamedTuple):
    """A system call that was done, by ``pid``.

    ``fd`` is its first descriptor (-1: none), ``places`` are the paths of all of them, ``texts`` its strings, ``rest``
    its arguments without either, ``result`` and ``made`` what it gave back, and that descriptor's path. ``began`` is
    the number of calls that had ended when it began.
    """

    pid: int
    name: str
    fd: int
    places: list[str]
    texts: list[bytes]
    rest: str
    result: int
    made: str
    began: int

    @property
    def paths(self) -> list[str]:
        """The absolute paths that it is about: of a rename the old one and the new one."""
        if self.name in ("write", "pwrite64", "writev", "fsync", "fdatasync", "syncfs", "ftruncate", "fchmod"):
            return self.places[:1]
        names = [os.fsdecode(text) for text in self.texts]
        if self.name.startswith("symlink"):
            names = names[1:]  # the first is what it points to
        if not names:
            return self.places[:1]  # a descriptor's own attributes
        where = self.places if len(self.places) == len(names) else [""] * len(names)
        return [os.path.join(place, name) for place, name in zip(where, names, strict=True)]

    @property
    def times(self) -> list[int | None]:
        """Times in ns that it set; None for one that it left, or made now."""
        found = _TIME.finditer(self.rest)
        return [int(m[1]) * 10**9 + int(m[2]) if m[1] else None for m in found]


def trace(
    program: Sequence[str], words: Sequence[str], env: Mapping[str, str], where: Path, log: Path | None = None
) -> list[Call]:
    """Run a command in ``where``, which has to succeed; what it changed."""
    log = where / "trace" if log is None else log
    names = sorted(faults.known_calls((*CHANGING, *UNEXPECTED)))
    strace = shutil.which("strace") or "strace"
    command = [strace, "-f", "-y", "-xx", "-s", str(_LIMIT), "-qq", "-o", str(log)]
    command += ["-e", "trace=" + ",".join(names), "-e", "signal=none", *program, *words]
    done = subprocess.run(command, cwd=where, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    calls = parse(log.read_text(errors="replace"))
    log.unlink()
    return calls


def parse(text: str) -> list[Call]:
    calls: list[Call] = []
    begun: dict[int, tuple[str, int]] = {}
    for line in text.splitlines():
        digits, _, said = line.partition(" ")
        pid, said = int(digits), said.strip()
        began = len(calls)
        if said.endswith(_CUT):
            begun[pid] = said.removesuffix(_CUT), began
            continue
        resumed = _RESUMED.fullmatch(said)
        if resumed is not None:
            start, began = begun.pop(pid)
            said = start + resumed[2]
        match = _CALL.match(said)
        if match is None or match[3] == "?" or match[3].startswith("-"):
            continue
        name, arguments = match[1], match[2]
        texts = []
        for found in _TEXT.finditer(arguments):
            assert not found[2], f"a string was cut: {name}"
            texts.append(bytes.fromhex(found[1].replace("\\x", "")))
        arguments = _TEXT.sub("", arguments)
        found_fds = _FD.findall(arguments)
        fd = int(found_fds[0][0]) if found_fds and found_fds[0][0].isdigit() else -1
        places, rest = [_shown(place) for _, place in found_fds], _FD.sub("", arguments)
        calls.append(Call(pid, name, fd, places, texts, rest, int(match[3]), _shown(match[4] or ""), began))
    return calls


def _shown(place: str) -> str:
    """A descriptor's path: hex digits, but for what strace adds."""
    name, _, added = place.partition(" ")
    decoded = os.fsdecode(bytes.fromhex(name.replace("\\x", ""))) if name.startswith("\\x") else name
    return f"{decoded} {added}" if added else decoded
