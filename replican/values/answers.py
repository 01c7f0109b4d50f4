"""What a running tracker says of its folder, and how that is written.

An answer to who asks for a state is a line, and then paths, each of which ends in NUL::

    replican 1 <64 hex digits, or "-"> <bytes that follow>

It comes from a process of the same user, and is taken apart as if it came from anybody.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from replican.values.ids import TreeId
from replican.values.names import is_tree_name

ASK_STATE: Final = b"status 1"
"""The question, without its line end."""
ASK_MARKED: Final = b"marked 1"
"""Answered with a root, as it was last seen, and the directories below it in which some name may be a conflict copy's;
written as a state is."""
ASK_STANDING: Final = b"standing 1"
"""How it stands with the remotes: answered with a JSON object."""
PAUSE: Final = b"pause 1"
RESUME: Final = b"resume 1"
RELOAD: Final = b"reload 1"
"""The config has changed: it is to be read again."""
DONE: Final = b"done\n"
"""The answer to who asked for something to be done."""
ANSWER_LIMIT: Final = 4 << 20
"""No answer is longer, in bytes: who doubts more than fits does not know."""

_HEAD: Final = re.compile(rb"replican 1 (-|[0-9a-f]{64}) (0|[1-9][0-9]{0,8})\n")


class State(NamedTuple):
    """What a folder holds: ``root``, but for ``doubtful`` paths, at which (of a directory, at all below it) nobody has
    looked since they changed. ``root`` is None where nobody knows: anything may have changed."""

    root: TreeId | None
    doubtful: Sequence[bytes]


def encode_state(state: State) -> bytes:
    """A state as an answer."""
    root = b"-" if state.root is None else state.root.hex().encode()
    body = b"" if state.root is None else b"".join([path + b"\0" for path in state.doubtful])
    if len(body) > ANSWER_LIMIT - 100:
        root, body = b"-", b""
    return b"replican 1 %s %d\n%s" % (root, len(body), body)


def parse_state(answer: bytes) -> State | None:
    """The state that an answer tells; None where it is not one, or not whole."""
    head = _HEAD.match(answer)
    if head is None or len(answer) - head.end() != int(head[2]):
        return None
    if head[1] == b"-":
        return State(None, []) if head[2] == b"0" else None
    *paths, rest = answer[head.end() :].split(b"\0")
    if rest or not all(is_tree_name(part) for path in paths for part in path.split(b"/")):
        return None
    return State(TreeId(bytes.fromhex(head[1].decode())), paths)
