"""Cutting content into blocks by what is in it: FastCDC of 2020, as pyfastcdc has it.

An edit moves the cuts around it and no others, so two versions of a file share all blocks but a few. The cuts are part
of what peers agree on (the version of a block list, ``values/blocks.py``): a test holds them.

The package's compiled part cuts some hundred MB in a second. Without it (no wheel for the machine, and no compiler) it
manages one or two, which is slower than many a link: see :func:`is_fast`.
"""

from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Final

from replican.values.blocks import AVERAGE, LEAST, MOST

LARGE: Final = 1 << 20
"""Files of more bytes than this have a block list kept of them, and are transferred by it."""

LASTING: Final = 2
"""For how many more calls what was read for :func:`cut` stays in its place."""

_WINDOW: Final = 768 << 10
_NORMALIZATION: Final = 1
_GEAR_SEED: Final = 0


@cache
def _package() -> ModuleType:
    """The package, which is imported when something is cut. That it lacks its compiled part is asked for, not told."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyfastcdc
    return pyfastcdc


def is_fast() -> bool:
    """Whether the compiled part is there: without it, to send a file whole takes less time than to cut it."""
    return str(_package().FastCDC.__module__) != "pyfastcdc.py.fastcdc"


def cut(readinto: Callable[[memoryview], int]) -> Iterator[tuple[int, bytes]]:
    """The length in bytes and the xxh3_128 of each block of what ``readinto`` reads: into the buffer that it is given,
    as much as it likes, 0 at the end.

    What it has read stays as it is during the next :data:`LASTING` calls: somebody beside may go on reading there.
    Holds 3 MiB at a time, however long the content is.
    """
    from xxhash import xxh3_128_digest

    cutter = _package().FastCDC(
        AVERAGE, min_size=LEAST, max_size=MOST, normalized_chunking=_NORMALIZATION, seed=_GEAR_SEED
    )
    buffers = [memoryview(bytearray(MOST + _WINDOW)) for _ in range(LASTING + 1)]
    turn, start, end, has_ended = 0, 0, 0, False
    view = buffers[0]
    while not has_ended:
        # Where a block ends may depend on all bytes up to the largest size, so those wait for what comes after them.
        rest = view[start:end]
        turn = (turn + 1) % len(buffers)
        view, start, end = buffers[turn], 0, len(rest)
        view[:end] = rest
        while end < len(view) and not has_ended:
            count = readinto(view[end:])
            has_ended = not count
            end += count
        for piece in cutter.cut_buf(view[:end]):
            if not has_ended and end - start < MOST:
                break
            start += piece.length
            yield piece.length, xxh3_128_digest(piece.data)
