"""Cutting beside hashing, what a delta has to fetch within one process, and the same over a pipe beside rsync.

Run by `make bench` with the others, or by itself: `python bench/deltas.py [--rates] [--wire] [MiB [rounds]]`. What of
the same files an rsync says that it sent and received is told, where there is one. Without a wire, ours are the bytes
that have to be fetched and the block list; over the pipe all bytes are counted, in a run of its own that is not timed.
"""

import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import measure
from xxhash import xxh3_128

from replican.decisions.delta import Range
from replican.effects.blocks import read_blocks, read_hashed_blocks
from replican.effects.delta import Basis, Delta
from replican.values.ids import BlobId

MIB = 1 << 20
SIZE = 256
SCATTERED = 1000


def rate(size: int, work: Callable[[], object], rounds: int = 3) -> float:
    """MB in a second, the best of a few rounds."""
    best = 0.0
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        best = max(best, size / 1e6 / (time.perf_counter() - start))
    return best


def hash_file(fd: int, make: Callable[[], "hashlib._Hash | xxh3_128"]) -> None:
    hasher, at = make(), 0
    while data := os.pread(fd, MIB, at):
        hasher.update(data)
        at += len(data)


def rates(path: str) -> None:
    """Reading a file from memory, and cutting or hashing it."""
    fd, size = os.open(path, os.O_RDONLY), os.path.getsize(path)
    works: dict[str, Callable[[], object]] = {
        "SHA-256": lambda: hash_file(fd, hashlib.sha256),
        "xxh3_128": lambda: hash_file(fd, xxh3_128),
        "cut, with xxh3_128 of each block": lambda: read_blocks(fd, size),
        "cut and SHA-256, beside each other": lambda: read_hashed_blocks(fd, size),
    }
    for name, work in works.items():
        print(f"{name:42} {rate(size, work):6.0f} MB/s", flush=True)
    os.close(fd)


EDITS: dict[str, Callable[[bytes], tuple[bytes, ...]]] = {
    "1 MiB inserted in the middle": lambda old: (old[: len(old) // 2], os.urandom(MIB), old[len(old) // 2 :]),
    "10 bytes in front": lambda old: (b"ten bytes!", old),
    "1 MiB appended": lambda old: (old, os.urandom(MIB)),
    f"{SCATTERED} edits of a byte": lambda old: tuple(scattered(old, SCATTERED)),
    "nothing changed": lambda old: (old,),
}


def scattered(old: bytes, count: int) -> Iterator[bytes]:
    step = len(old) // count
    for at in range(0, len(old), step):
        yield bytes([old[at] ^ 1])
        yield old[at + 1 : at + step]


def assemble(folder: str, old: str, new: str) -> tuple[int, int, float]:
    """What has to be fetched of ``new`` where ``old`` is; the length of its block list; the time to put it together."""
    source, basis = os.open(new, os.O_RDONLY), os.open(old, os.O_RDONLY)
    stage = os.open(folder, os.O_RDONLY)
    found = read_hashed_blocks(source, os.path.getsize(new))
    known = read_blocks(basis, os.path.getsize(old))
    assert found is not None
    assert known is not None
    blob, wanted = found[0], found[1].shortened()

    def fetch(ranges: Sequence[Range]) -> Iterator[bytes]:
        for offset, length in ranges:
            for at in range(offset, offset + length, MIB):
                yield os.pread(source, min(MIB, offset + length - at), at)

    start = time.perf_counter()
    with Delta(stage, BlobId(blob), wanted.size, wanted, [Basis(basis, known)]) as delta:
        missing = delta.missing_size
        assert delta.assemble(fetch)
        os.unlink(delta.name, dir_fd=stage)
    took = time.perf_counter() - start
    for fd in (source, basis, stage):
        os.close(fd)
    return missing, len(wanted.encoded), took


def rsync_bytes(old: str, new: str) -> str:
    """What rsync sends and receives, as it tells."""
    if shutil.which("rsync") is None:
        return ""
    shutil.copy(old, f"{old}.rsync")
    command = ["rsync", "--no-whole-file", "--stats", "--ignore-times", new, f"{old}.rsync"]
    told = told_bytes(command)
    os.unlink(f"{old}.rsync")
    return f"; rsync: {told:,}"


def told_bytes(command: Sequence[str]) -> int:
    """What an rsync says that it has sent and received."""
    text = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout
    found = re.findall(r"Total bytes (?:sent|received): ([\d,]+)", text)
    return sum([int(number.replace(",", "")) for number in found])


def run(folder: str, size: int = SIZE) -> None:
    """All of it, with files of ``size`` MiB in ``folder``."""
    old, new = f"{folder}/old", f"{folder}/new"
    with open(old, "wb") as file:
        file.writelines(os.urandom(MIB) for _ in range(size))
    rates(old)
    with open(old, "rb") as file:
        content = file.read()
    for name, edit in EDITS.items():
        with open(new, "wb") as file:
            file.writelines(edit(content))
        missing, listed, took = assemble(folder, old, new)
        print(
            f"{f'{size} MiB, {name}':42} {missing + listed:,} bytes ({missing:,} missing, list {listed:,}"
            f"{rsync_bytes(old, new)}), put together in {took:.2f} s",
            flush=True,
        )
    os.unlink(old)
    os.unlink(new)


# -- over a pipe -------------------------------------------------------------------------------------------------

RUN_HERE = """#!/bin/sh
shift
exec {command}
"""
COUNTED = "tee -a {place}/to | {run} | tee -a {place}/fro"


def insert(path: str, at: int, data: bytes) -> None:
    """Write a file anew, with ``data`` in it, as an editor does: under another name, then renamed."""
    with open(path, "rb") as old, open(f"{path}.new", "wb") as new:
        shutil.copyfileobj(_Part(old, at), new, MIB)
        new.write(data)
        shutil.copyfileobj(old, new, MIB)
    os.rename(f"{path}.new", path)


def touch_up(path: str, count: int) -> None:
    """Write a file anew with so many bytes of it changed, one here and one there."""
    shutil.copyfile(path, f"{path}.new")
    step = os.path.getsize(path) // count
    with open(f"{path}.new", "r+b") as new:
        for number in range(count):
            new.seek(number * step + random.randrange(step))
            new.write(os.urandom(1))
    os.rename(f"{path}.new", path)


class _Part:
    def __init__(self, file: BinaryIO, left: int) -> None:
        self._file = file
        self._left = left

    def read(self, most: int) -> bytes:
        data = self._file.read(min(most, self._left))
        self._left -= len(data)
        return data


class Pair:
    """A folder with one large file, and what is to follow it over a pipe: a clone of ours, and a copy of rsync's."""

    def __init__(self, place: str, program: str, size: int) -> None:
        self.place, self.program = place, program
        self.source, self.copy, self.rsynced = f"{place}/source", f"{place}/copy", f"{place}/rsynced"
        self.file, self.size = f"{self.source}/large", size
        os.mkdir(self.source)
        with open(self.file, "wb") as file:
            file.writelines(os.urandom(MIB) for _ in range(size))
        # ssh has its command as one word for a shell, rsync's remote shell as words.
        self._script("ours", 'sh -c "$1"')
        self._script("ours-counted", COUNTED.format(place=place, run='sh -c "$1"'))
        self._script("rsh", '"$@"')
        self.environment = {**os.environ, "PATH": f"{os.path.dirname(program)}:{os.environ['PATH']}"}
        self.ours("ours", "clone", f"host:{self.source}", self.copy)
        self.rsync("rsh")

    def _script(self, name: str, command: str) -> None:
        text = RUN_HERE.format(command=command)
        with open(f"{self.place}/{name}", "w") as file:
            file.write(text.replace("exec tee", "tee"))
        os.chmod(f"{self.place}/{name}", 0o700)

    def ours(self, ssh: str, *words: str) -> float:
        environment = {**self.environment, "REPLICAN_SSH": f"{self.place}/{ssh}"}
        return measure.run([self.program, *words, "-q"], env=environment)

    def pull(self, ssh: str = "ours") -> float:
        return self.ours(ssh, "-C", self.copy, "pull")

    def rsync(self, shell: str = "rsh") -> float:
        return measure.run(["rsync", "-a", "-e", f"{self.place}/{shell}", f"host:{self.source}/", self.rsynced])

    def counted(self) -> int:
        """How many bytes go to and fro in a pull of ours."""
        self.pull("ours-counted")
        counts = [os.path.getsize(f"{self.place}/{name}") for name in ("to", "fro")]
        for name in ("to", "fro"):
            os.unlink(f"{self.place}/{name}")
        return sum(counts)

    def compare(self, work: str, edit: Callable[[int], None], rounds: int) -> None:
        """Edit, and have both follow; one more edit than ``rounds``, for the bytes."""
        ours, theirs, quotients = measure.ratios(self.pull, {"rsync": self.rsync}, rounds, edit)
        edit(rounds)
        mine = self.counted()
        command = ["rsync", "-a", "--stats", "-e", f"{self.place}/rsh", f"host:{self.source}/", self.rsynced]
        others = told_bytes(command)
        print(
            f"{work:42} {quotients['rsync']:6.2f} x the time of rsync ({ours:.2f} s against {theirs['rsync']:.2f} s),"
            f" {mine / others:.2f} x its bytes ({mine:,} against {others:,})",
            flush=True,
        )
        # What was replaced is of no more use here, and rounds are many.
        self.ours("ours", "-C", self.copy, "gc", "--trash", "0")


def over_a_pipe(place: str, program: str, size: int = SIZE, rounds: int = 3) -> None:
    """Pulls beside rsync, of edits of a file of ``size`` MiB."""
    pair = Pair(place, program, size)
    middle, whole = size * MIB // 2, size * MIB

    def copied(number: int) -> None:
        shutil.copy2(pair.file, f"{pair.source}/copy {number}")

    def renamed(number: int) -> None:
        os.rename(f"{pair.source}/copy {number}", f"{pair.source}/renamed {number}")

    name = f"{size} MiB, "
    pair.compare(name + "1 MiB inserted in the middle", lambda n: insert(pair.file, middle, os.urandom(MIB)), rounds)
    pair.compare(name + "10 bytes in front", lambda n: insert(pair.file, 0, b"%010d" % n), rounds)
    pair.compare(name + "1 MiB appended", lambda n: insert(pair.file, whole * 2, os.urandom(MIB)), rounds)
    pair.compare(name + "scattered", lambda n: touch_up(pair.file, SCATTERED), rounds)
    pair.compare(name + "copied", copied, 1)
    pair.compare(name + "renamed", renamed, 1)


def main(words: list[str]) -> None:
    numbers = [int(word) for word in words if not word.startswith("-")]
    size = numbers[0] if numbers else SIZE
    rounds = numbers[1] if len(numbers) > 1 else 3
    program = os.path.join(os.path.dirname(sys.executable), "replican")
    with tempfile.TemporaryDirectory(prefix="replican-deltas-") as place:
        if "--wire" not in words:
            run(place, size)
        if "--rates" not in words and shutil.which("rsync") is not None:
            over_a_pipe(place, program, size, rounds)


if __name__ == "__main__":
    main(sys.argv[1:])
