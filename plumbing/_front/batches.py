"""Standard input as it comes: all that is there at once, again and again, until its end."""

import io
from collections.abc import Iterator
from typing import IO, Any, Final

PAUSE_SECONDS: Final = 0.1
"""So long nothing more may come before a batch is given out."""


def batches(stream: IO[bytes], end: bytes) -> Iterator[list[bytes]]:
    """The pieces of ``stream`` that end in ``end`` (the last may lack it), as many together as come without a pause."""
    buffered: Any = stream  # read1 is missing in the type
    left = b""
    batch: list[bytes] = []
    while True:
        if batch and not _more_comes(stream):
            yield batch
            batch = []
        chunk = buffered.read1(1 << 16)
        if not chunk:
            break
        *whole, left = (left + chunk).split(end)
        batch += whole
    if left:
        batch.append(left)
    if batch:
        yield batch


def _more_comes(stream: IO[bytes]) -> bool:
    """Whether there is more to read soon; also true at the end, which is read, too."""
    import select

    try:
        return bool(select.select([stream.fileno()], [], [], PAUSE_SECONDS)[0])
    except (io.UnsupportedOperation, ValueError):
        return True  # no stream of the system's: all of it is there
