"""What a running tracker says of its folder, and how that is written.

A state is a line, and then paths, each of which ends in NUL::

    replican 1 <64 hex digits, or "-"> <bytes that follow>

It comes from a process of the same user, and is taken apart as if it came from anybody.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, cast

if TYPE_CHECKING:
    from replican.values.ids import TreeId

ASK_LOOK: Final = b"look 1"
"""The question, without its line end, how the folder stands: answered with a line of JSON, and perhaps two states, that
of the folder, and a root as it was last seen with the directories below it in which some name may be a conflict copy's.
"""
PAUSE: Final = b"pause 1"
RESUME: Final = b"resume 1"
RELOAD: Final = b"reload 1"
"""The config has changed: it is to be read again."""
DONE: Final = b"done\n"
"""The answer to who asked for something to be done."""
STATE_LIMIT: Final = 4 << 20
"""No state is longer, in bytes: who doubts more than fits does not know."""
ANSWER_LIMIT: Final = 3 * STATE_LIMIT
"""No answer is longer, in bytes."""

_HEAD: Final = re.compile(rb"replican 1 (-|[0-9a-f]{64}) (0|[1-9][0-9]{0,8})\n")


class State(NamedTuple):
    """What a folder holds: ``root``, but for ``doubtful`` paths, at which (of a directory, at all below it) nobody has
    looked since they changed. ``root`` is None where nobody knows: anything may have changed."""

    root: "TreeId | None"
    doubtful: Sequence[bytes]


def encode_state(state: State) -> bytes:
    """A state as an answer."""
    root = b"-" if state.root is None else state.root.hex().encode()
    body = b"" if state.root is None else b"".join([path + b"\0" for path in state.doubtful])
    if len(body) > STATE_LIMIT - 100:
        root, body = b"-", b""
    return b"replican 1 %s %d\n%s" % (root, len(body), body)


def parse_states(answer: bytes) -> list[State] | None:
    """The states that an answer tells, one after the other; None where there is something else, or not all of one."""
    found: list[State] = []
    at = 0
    while at < len(answer):
        head = _HEAD.match(answer, at)
        if head is None or len(answer) - head.end() < int(head[2]):
            return None
        at = head.end() + int(head[2])
        state = _state_of(head[1], answer[head.end() : at])
        if state is None:
            return None
        found.append(state)
    return found


def _state_of(root: bytes, body: bytes) -> State | None:
    if root == b"-":
        return None if body else State(None, [])
    if not body:
        return State(cast("TreeId", bytes.fromhex(root.decode())), [])
    from replican.values.names import is_tree_name  # with no path, it is not even loaded

    *paths, rest = body.split(b"\0")
    if rest or not all(is_tree_name(part) for path in paths for part in path.split(b"/")):
        return None
    return State(cast("TreeId", bytes.fromhex(root.decode())), paths)
