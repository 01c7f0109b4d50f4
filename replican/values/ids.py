"""Ids: SHA-256 over git's object framing, one type for each kind of thing.

An id is 32 raw bytes in memory and on disk, 64 lower-case hex digits when shown. The types are
``NewType`` over ``bytes``: a type checker keeps a tree from being taken for a blob, and a hot loop
pays nothing for it.
"""

import hashlib
import re
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from hashlib import _Hash

BlobId = NewType("BlobId", bytes)
TreeId = NewType("TreeId", bytes)
CheckpointId = NewType("CheckpointId", bytes)

ID_SIZE = 32
HEX_SIZE = 2 * ID_SIZE
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)


def object_hash(kind: bytes, payload: bytes) -> bytes:
    """The SHA-256 of ``payload`` framed as an object of ``kind`` (``b"blob"``, ``b"tree"``, ``b"commit"``)."""
    return hashlib.sha256(b"%s %d\0%s" % (kind, len(payload), payload)).digest()


def blob_id(content: bytes) -> BlobId:
    """The id of a file's content, or of a symlink's target."""
    return BlobId(hashlib.sha256(b"blob %d\0%s" % (len(content), content)).digest())


def blob_hasher(size: int) -> "_Hash":
    """A hash fed with the frame of a blob of ``size`` bytes: feed it the content, its digest is the id."""
    return hashlib.sha256(b"blob %d\0" % size)


def tree_id(payload: bytes) -> TreeId:
    """The id of an encoded tree."""
    return TreeId(object_hash(b"tree", payload))


def checkpoint_id(payload: bytes) -> CheckpointId:
    """The id of an encoded checkpoint (framed as git's ``commit``)."""
    return CheckpointId(object_hash(b"commit", payload))


def is_hex_id(text: str) -> bool:
    """Whether ``text`` is a whole id in the form in which ids are shown."""
    return _HEX.fullmatch(text) is not None


EMPTY_TREE: TreeId = tree_id(b"")
"""The id of the tree without entries: an empty folder."""
