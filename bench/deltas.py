"""Cutting beside hashing, and what a delta has to fetch: within one process, without a wire.

Run by `make bench` with the others, or by itself: `python bench/deltas.py [MiB]`. What of the same files an rsync says
that it sent and received is told, where there is one. Ours are the bytes that have to be fetched and the block list.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

from xxhash import xxh3_128

from replican.decisions.delta import Range
from replican.effects.blocks import read_blocks, read_hashed_blocks
from replican.effects.delta import Basis, Delta
from replican.values.ids import BlobId

MIB = 1 << 20
SIZE = 256


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
    "1000 edits of a byte": lambda old: tuple(scattered(old, 1000)),
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
    text = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout
    os.unlink(f"{old}.rsync")
    found = re.findall(r"Total bytes (?:sent|received): ([\d,]+)", text)
    return f"; rsync: {sum([int(number.replace(',', '')) for number in found]):,}"


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


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="replican-deltas-") as place:
        run(place, int(sys.argv[1]) if len(sys.argv) > 1 else SIZE)
