"""Checkpoints: the recorded state of a folder, as an object.

A payload is text::

    tree <64 hex>
    parent <64 hex>                      one line for each parent
    author <name> <peer id> <ns>         a user checkpoint only
    rules <number>

    <message>                            a user checkpoint only

A *user* checkpoint has no or one parent and an author. A *merge* checkpoint has at least two parents,
sorted, and neither author, time nor message: it is a function of its parents. Which parents are allowed is
for those to check who can read them.
"""

import re
from typing import Final, NamedTuple

from replican.values.errors import MalformedError
from replican.values.ids import CheckpointId, TreeId, checkpoint_id

PLAIN_RULES: Final = 1
"""The number of the merge rules of a history that has had no unit yet."""
RULES: Final = 2
"""The greatest number of merge rules that this release knows: those by which units are merged as one."""
FRONTIER_LIMIT: Final = 256
MESSAGE_LIMIT: Final = 1 << 20
TIME_LIMIT: Final = 1 << 63

_HEADERS = re.compile(
    rb"tree ([0-9a-f]{64})\n((?:parent [0-9a-f]{64}\n)*)"
    rb"(?:author ([^\n\0]+) ([0-9a-f]{16}) (0|-?[1-9][0-9]{0,18})\n)?rules ([1-9][0-9]{0,5})\n\n"
)
_PEER = re.compile(r"[0-9a-f]{16}", re.ASCII)


class Author(NamedTuple):
    """Who recorded a user checkpoint, where, and when by that clock (ns since 1970)."""

    name: str
    peer: str
    time_ns: int


class Checkpoint(NamedTuple):
    """A checkpoint. ``author`` is None for a merge."""

    tree: TreeId
    parents: tuple[CheckpointId, ...]
    author: Author | None
    message: str
    rules: int = PLAIN_RULES

    @property
    def is_merge(self) -> bool:
        return self.author is None

    def frontier(self, own: CheckpointId) -> frozenset[CheckpointId]:
        """The user checkpoints that this one, whose id is ``own``, joins."""
        return frozenset(self.parents) if self.author is None else frozenset([own])


def is_peer_id(text: str) -> bool:
    """Whether ``text`` is a peer id: 16 hex digits."""
    return _PEER.fullmatch(text) is not None


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """The payload of a well-formed checkpoint; raises ``MalformedError`` for text that UTF-8 cannot hold."""
    lines = [f"tree {checkpoint.tree.hex()}\n"]
    lines += [f"parent {parent.hex()}\n" for parent in checkpoint.parents]
    if checkpoint.author is not None:
        name, peer, time_ns = checkpoint.author
        lines.append(f"author {name} {peer} {time_ns}\n")
    lines.append(f"rules {checkpoint.rules}\n\n{checkpoint.message}")
    try:
        return "".join(lines).encode()
    except UnicodeEncodeError as error:
        raise MalformedError("checkpoint has text that is not utf-8") from error


def parse_checkpoint(payload: bytes) -> Checkpoint:
    """The checkpoint that ``payload`` encodes; raises ``MalformedError`` for all that is not one's only encoding."""
    if len(payload) > MESSAGE_LIMIT:
        raise MalformedError("checkpoint is too large")
    head = _HEADERS.match(payload)
    if head is None:
        raise MalformedError("checkpoint has missing, unknown or misplaced headers")
    tree, parent_lines, name, peer, time_digits, rules = head.groups()
    parents = tuple(CheckpointId(bytes.fromhex(line[7:].decode())) for line in parent_lines.splitlines())
    try:
        message = payload[head.end() :].decode()
        author = None if name is None else Author(name.decode(), peer.decode(), int(time_digits))
    except UnicodeDecodeError as error:
        raise MalformedError("checkpoint has text that is not utf-8") from error
    if author is None:
        if not 2 <= len(parents) <= FRONTIER_LIMIT or list(parents) != sorted(set(parents)) or message:
            raise MalformedError("merge checkpoint without two or more sorted parents, or with a message")
    elif len(parents) > 1:
        raise MalformedError("user checkpoint with more than one parent")
    elif not -TIME_LIMIT < author.time_ns < TIME_LIMIT or author.name != author.name.strip():
        raise MalformedError("checkpoint has an author or time out of range")
    return Checkpoint(TreeId(bytes.fromhex(tree.decode())), parents, author, message, int(rules))


def id_of(checkpoint: Checkpoint) -> CheckpointId:
    """The id of a checkpoint."""
    return checkpoint_id(encode_checkpoint(checkpoint))
