"""Loose objects: a file each, named by the 64 hex digits of its id.

A file is zlib over ``<kind> <size>\\0<payload>``, as git has it, but all lie in one directory: a commit writes a
handful of objects, and so flushes one directory and not as many as it has objects.
"""

import os
import re
import stat
import zlib
from collections.abc import Mapping
from typing import Final

from replican.effects import durable
from replican.values.errors import DamagedError, MissingObjectError
from replican.values.ids import object_hash

PAYLOAD_LIMIT: Final = 1 << 28
"""The largest payload, in bytes, that is stored or read: some three million names in one directory."""

_HEAD = re.compile(rb"(tree|commit) (0|[1-9][0-9]{0,9})\0")
_HEAD_LIMIT = 24
_NAME = re.compile(r"[0-9a-f]{64}")
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_LEVEL = 1  # of 9: trees are mostly hashes, and the higher levels gain next to nothing


class LooseObjects:
    """The loose objects of one store."""

    def __init__(self, path: str) -> None:
        """``path`` is their directory; it is made when the first is added."""
        self.path = path

    def path_of(self, id: bytes) -> str:
        """Where the object is, if it is here."""
        return f"{self.path}/{id.hex()}"

    def names(self) -> list[str]:
        """The ids of all, as hex digits, in no order."""
        return [name for name in durable.names_in(self.path) if _NAME.fullmatch(name)]

    def read(self, id: bytes) -> tuple[bytes, bytes] | None:
        """Kind and payload, which have the hash ``id``, or None; raises ``DamagedError``.

        Inflates no more than the size in the object's head, and nothing above the limit.
        """
        packed = self._bytes(id)
        if packed is None:
            return None
        inflater = zlib.decompressobj()
        try:
            start = inflater.decompress(packed, _HEAD_LIMIT)
            head = _HEAD.match(start)
            size = int(head[2]) if head else 0
            if head is None or size > PAYLOAD_LIMIT:
                raise damaged_object(id)
            payload = start[head.end() :]
            if not inflater.eof and len(payload) <= size:
                payload += inflater.decompress(inflater.unconsumed_tail, size + 1 - len(payload))
        except zlib.error as error:
            raise damaged_object(id) from error
        if not inflater.eof or inflater.unused_data or len(payload) != size or object_hash(head[1], payload) != id:
            raise damaged_object(id)
        return head[1], payload

    def kind(self, id: bytes) -> bytes | None:
        """The kind that the object says it is of, not verified, or None; raises ``DamagedError``."""
        packed = self._bytes(id)
        if packed is None:
            return None
        try:
            head = _HEAD.match(zlib.decompressobj().decompress(packed, _HEAD_LIMIT))
        except zlib.error as error:
            raise damaged_object(id) from error
        if head is None:
            raise damaged_object(id)
        return head[1]

    def _bytes(self, id: bytes) -> bytes | None:
        path = self.path_of(id)
        try:
            fd = os.open(path, _OPEN)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise durable.explain(error, f"read {path}") from error
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode) or state.st_size > 2 * PAYLOAD_LIMIT:
            os.close(fd)
            raise damaged_object(id)
        with open(fd, "rb", buffering=0) as file:
            return file.readall()

    def add(self, objects: Mapping[bytes, tuple[bytes, bytes]]) -> None:
        """Store objects (id to kind and payload): each file is flushed, then the directory; raises ``OSError``."""
        durable.make_directory(self.path)
        written: list[tuple[int, str, bytes]] = []
        try:
            for id, (kind, payload) in objects.items():
                fd, path = durable.create_temporary(self.path)
                written.append((fd, path, id))
                durable.write_all(fd, zlib.compress(b"%s %d\0%s" % (kind, len(payload), payload), _LEVEL))
            for fd, _, _ in written:
                os.fsync(fd)
            for _, path, id in written:
                os.rename(path, self.path_of(id))
        except BaseException:
            for _, path, _ in written:
                durable.discard(path)
            raise
        finally:
            for fd, _, _ in written:
                os.close(fd)
        durable.flush_directory(self.path)


def damaged_object(id: bytes, how: str = "") -> DamagedError:
    """The error for an object that is not what it should be."""
    return DamagedError(f"object {id.hex()} is damaged" + (f": {how}" if how else ""), "run: replican fsck")


def missing_object(id: bytes) -> MissingObjectError:
    """The error for an object that is not here."""
    return MissingObjectError(f"no object {id.hex()}", "if nobody named it himself, it is lost: run replican fsck")
