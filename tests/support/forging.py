"""A peer who means harm: a log written byte by byte, after man/replican-format.5 and against it.

Nothing here asks the program how an object is written, so what is forged stays what it is when the program changes.
"""

import hashlib
import os
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

EMPTY_TREE = hashlib.sha256(b"tree 0\0").digest()
PEER = b"00c0ffee00c0ffee"
SOON = 1_700_000_000_000_000_000
LATER_RULES = b"3"
"""Of merges, as no release has them yet."""


def framed(kind: bytes, payload: bytes) -> bytes:
    """What an object's id is the hash of."""
    return b"%s %d\0%s" % (kind, len(payload), payload)


def hash_of(kind: bytes, payload: bytes) -> bytes:
    return hashlib.sha256(framed(kind, payload)).digest()


def entry(
    name: bytes,
    id: bytes = b"\x11" * 32,
    kind: bytes = b"f",
    perm: bytes = b"0644",
    size: bytes = b"0",
    mtime: bytes = b"0",
) -> bytes:
    """One entry of a tree, with whatever is asked for in it."""
    return b"%s%s %s %s %s\0%s" % (kind, perm, size, mtime, name, id)


def file(name: bytes, content: bytes, **fields: bytes) -> bytes:
    """The entry of a file of that content."""
    return entry(name, hash_of(b"blob", content), **{"size": b"%d" % len(content), **fields})


def link(name: bytes, target: bytes) -> bytes:
    return entry(name, hash_of(b"blob", target), b"l", b"0777", b"%d" % len(target))


def directory(name: bytes, tree: bytes) -> bytes:
    return entry(name, tree, b"d", b"0755")


def user(
    tree: bytes,
    *parents: bytes,
    name: bytes = b"mallory",
    time: bytes = b"%d" % SOON,
    message: bytes = b"harmless",
    rules: bytes = b"1",
) -> bytes:
    """The payload of a user checkpoint."""
    lines = [b"tree %s\n" % tree.hex().encode(), *(b"parent %s\n" % each.hex().encode() for each in parents)]
    return b"".join(lines) + b"author %s %s %s\nrules %s\n\n%s" % (name, PEER, time, rules, message)


def merge(tree: bytes, *parents: bytes, message: bytes = b"", rules: bytes = b"1") -> bytes:
    """The payload of a merge checkpoint; the parents stand in the order given."""
    lines = [b"tree %s\n" % tree.hex().encode(), *(b"parent %s\n" % each.hex().encode() for each in parents)]
    return b"".join(lines) + b"rules %s\n\n%s" % (rules, message)


class Forger:
    """A replica at ``root`` whose log is forged. ``like`` is an honest one that it is a copy of, with its log."""

    def __init__(self, root: Path, like: Path | None = None) -> None:
        self.root = root
        self.loose = root / ".replican/objects/loose"
        if like is None:
            self.loose.mkdir(parents=True)
            (root / ".replican/refs").mkdir()
            (root / ".replican/config.toml").write_text(f'format = 1\npeer_id = "{PEER.decode()}"\n')
        else:
            shutil.copytree(like, root, symlinks=True)
            config = root / ".replican/config.toml"
            config.write_text(f'format = 1\npeer_id = "{PEER.decode()}"\n')
            self.loose.mkdir(parents=True, exist_ok=True)

    def put(self, kind: bytes, payload: bytes, id: bytes | None = None, stream: bytes | None = None) -> bytes:
        """Store an object, under its own id or another, as it should be or as ``stream``."""
        made = hash_of(kind, payload) if id is None else id
        path = self.loose / made.hex()
        path.unlink(missing_ok=True)
        path.write_bytes(zlib.compress(framed(kind, payload), 1) if stream is None else stream)
        return made

    def tree(self, *entries: bytes, id: bytes | None = None) -> bytes:
        return self.put(b"tree", b"".join(entries), id)

    def commit(self, payload: bytes) -> bytes:
        return self.put(b"commit", payload)

    @property
    def head(self) -> bytes:
        return bytes.fromhex((self.root / ".replican/refs/head").read_text())

    def set_head(self, to: bytes) -> None:
        """Move the head, with no word of it in the reflog: it would only tell of what is now."""
        (self.root / ".replican/refs/head").write_text(to.hex() + "\n")
        (self.root / ".replican/refs/head.log").unlink(missing_ok=True)

    def offer(self, tree: bytes, *parents: bytes, **fields: bytes) -> bytes:
        """A user checkpoint of ``tree`` as the head."""
        made = self.commit(user(tree, *parents, **fields))
        self.set_head(made)
        return made

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Hold the lock over there for a while: what lies there is then taken as it is, and nothing recorded."""
        import fcntl

        fd = os.open(self.root / ".replican/lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def pack(objects: Sequence[tuple[int, int, bytes, bytes]]) -> tuple[bytes, bytes]:
    """A pack and its index in git's formats: for each object its number of a kind, the size that it claims to have,
    its compressed bytes, and its id."""
    data = b"PACK" + (2).to_bytes(4, "big") + len(objects).to_bytes(4, "big")
    places: list[tuple[bytes, int, int]] = []
    for kind, size, packed, id in objects:
        head = bytearray([kind << 4 | size & 15])
        size >>= 4
        while size:
            head[-1] |= 0x80
            head.append(size & 0x7F)
            size >>= 7
        places.append((id, len(data), zlib.crc32(bytes(head) + packed)))
        data += bytes(head) + packed
    trailer = hashlib.sha256(data).digest()
    places.sort()
    fan_out = b"".join(sum(id[0] <= first for id, _, _ in places).to_bytes(4, "big") for first in range(256))
    index = b"\xfftOc\0\0\0\2" + fan_out + b"".join(id for id, _, _ in places)
    index += b"".join(crc.to_bytes(4, "big") for _, _, crc in places)
    index += b"".join(at.to_bytes(4, "big") for _, at, _ in places) + trailer
    return data + trailer, index + hashlib.sha256(index).digest()
