"""Lines of reflogs, in git's form."""

import os
import re
import time
from typing import Final, NamedTuple

from replican.values.ids import HEX_SIZE, CheckpointId

LINE: Final = re.compile(r"([0-9a-f]{64}) ([0-9a-f]{64}) (.*) (-?[0-9]{1,19}) [+-][0-9]{4}\t(.*)")

_NOBODY = "0" * HEX_SIZE
_PIECE = 4096  # longer than most lines


class ReflogEntry(NamedTuple):
    """One move of a ref. ``old`` is None where it began; ``time`` is in s since 1970, by this folder's clock."""

    old: CheckpointId | None
    new: CheckpointId | None
    who: str
    time: int
    reason: str


def begun_line(fd: int, size: int) -> bytes:
    """What stands behind the last end of a line; nothing in a file that ends as it should."""
    tail, at = b"", size
    while at and b"\n" not in tail:
        start = max(0, at - _PIECE)
        piece = os.pread(fd, at - start, start)
        if not piece:
            break
        tail, at = piece + tail, start
    return tail.rpartition(b"\n")[2]


def entry_of(match: re.Match[str]) -> ReflogEntry:
    """What a line says that was found to match :data:`LINE`."""
    old, new, who, seconds, reason = match.groups()
    return ReflogEntry(_from_hex(old), _from_hex(new), who, int(seconds), reason)


def _from_hex(digits: str) -> CheckpointId | None:
    return None if digits == _NOBODY else CheckpointId(bytes.fromhex(digits))


def line_of(old: CheckpointId | None, new: CheckpointId, who: str, reason: str, time_s: int | None) -> bytes:
    """The line of a move, now or at ``time_s``."""
    seconds = int(time.time()) if time_s is None else time_s
    before = _NOBODY if old is None else old.hex()
    text = f"{before} {new.hex()} {_flat(who)} {seconds} +0000\t{_flat(reason)}\n"
    return text.encode("utf-8", "backslashreplace")


def _flat(text: str) -> str:
    """``text`` on one line."""
    return " ".join(text.split())
