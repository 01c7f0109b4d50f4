"""The forms of objects: payloads parsed, and refused with the id that they were found under."""

from typing import Final

from replican.effects.loose import damaged_object
from replican.values.checkpoints import Checkpoint, parse_checkpoint
from replican.values.errors import MalformedError
from replican.values.ids import object_hash
from replican.values.trees import Entry, parse_tree

BLOB: Final = b"blob"
TREE: Final = b"tree"
CHECKPOINT: Final = b"commit"
"""The kinds of objects, as they are framed. The log holds no blobs."""


def parse_as_tree(id: bytes, payload: bytes) -> list[Entry]:
    """The entries that ``payload`` encodes; raises ``DamagedError`` that names ``id``."""
    try:
        return parse_tree(payload)
    except MalformedError as error:
        raise damaged_object(id, error.message) from error


def parse_as_checkpoint(id: bytes, payload: bytes) -> Checkpoint:
    """The checkpoint that ``payload`` encodes; raises ``DamagedError`` that names ``id``."""
    try:
        return parse_checkpoint(payload)
    except MalformedError as error:
        raise damaged_object(id, error.message) from error


def check_object(kind: bytes, id: bytes, payload: bytes) -> list[Entry] | Checkpoint:
    """Verify hash and form of what came from elsewhere, and return it parsed; raises ``DamagedError``."""
    if kind not in (TREE, CHECKPOINT) or object_hash(kind, payload) != id:
        raise damaged_object(id, "it does not have the hash that its id says")
    return parse_as_tree(id, payload) if kind == TREE else parse_as_checkpoint(id, payload)


def show_kind(kind: bytes) -> str:
    """The word for a kind of object in messages."""
    return {TREE: "tree", CHECKPOINT: "checkpoint"}.get(kind, kind.decode("ascii", "replace"))
