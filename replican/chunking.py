"""Cutting content into blocks by what is in it: FastCDC of 2020, as pyfastcdc has it.

An edit moves the cuts around it and no others, so two versions of a file share all blocks but a few. The cuts are part
of what peers agree on (the version of a block list, ``values/blocks.py``): a test holds them.

The package's compiled part cuts some hundred MB in a second. Without it (no wheel for the machine, and no compiler) it
manages one or two, which is slower than many a link: see :func:`is_fast`.
"""

from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any, Final

from replican.values.blocks import AVERAGE, LEAST, MOST, BlockList

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


def _cutter() -> Any:
    return _package().FastCDC(
        AVERAGE, min_size=LEAST, max_size=MOST, normalized_chunking=_NORMALIZATION, seed=_GEAR_SEED
    )


def is_fast() -> bool:
    """Whether the compiled part is there: without it, to send a file whole takes less time than to cut it."""
    return str(_package().FastCDC.__module__) != "pyfastcdc.py.fastcdc"


def cut(readinto: Callable[[memoryview], int]) -> Iterator[tuple[int, bytes]]:
    """The length in bytes and the xxh3_128 of each block of what ``readinto`` reads: into the buffer that it is given,
    as much as it likes, 0 at the end. Holds 3 MiB at a time, however long the content is.
    """
    for piece, hash in cut_pieces(readinto):
        yield len(piece), hash


def cut_lengths(data: bytes | bytearray) -> list[int]:
    """The lengths in bytes of the blocks of some content: the last one ends with it."""
    return [piece.length for piece in _cutter().cut_buf(bytes(data))]


def cut_pieces(
    readinto: Callable[[memoryview], int], like: BlockList | None = None
) -> Iterator[tuple[memoryview, bytes]]:
    """The same blocks as bytes, each with its hash.

    What was read stays as it is during the next :data:`LASTING` calls of ``readinto``: somebody beside may go on
    reading there. With the full list of another version of the content, ``like`` which it is, what has not changed is
    compared and not cut, in a third of the time; the blocks are the same.
    """
    from xxhash import xxh3_128_digest

    cutter = _cutter()
    # Where the last one ends, nothing but the end of that version has cut it.
    known = [] if like is None else [(length, hash) for _, length, hash in like][:-1]
    numbers = {hash: number for number, (_, hash) in enumerate(known)}
    # Where a block ends may depend on all bytes up to the largest size, so those wait for what comes after them.
    least, window = (2 * MOST, 2 * _WINDOW) if known else (MOST, _WINDOW)
    buffers = [memoryview(bytearray(least + window)) for _ in range(LASTING + 1)]
    turn, start, end, has_ended = 0, 0, 0, False
    view = buffers[0]
    guess, is_met = 0, False  # which known block may come next, and whether it is there: it has been looked at already

    def lies_at(at: int, number: int) -> bool:
        if not 0 <= number < len(known) or known[number][0] > end - at:
            return False
        length, hash = known[number]
        return bool(xxh3_128_digest(view[at : at + length]) == hash)

    while not has_ended:
        rest = view[start:end]
        turn = (turn + 1) % len(buffers)
        view, start, end = buffers[turn], 0, len(rest)
        view[:end] = rest
        while end < len(view) and not has_ended:
            count = readinto(view[end:])
            has_ended = not count
            end += count
        while start < end and (has_ended or end - start >= least):
            if is_met or lies_at(start, guess):
                length, hash = known[guess]
                # The byte after a block has a say in where it ends. If the next one is there, that is the same, too.
                is_met = lies_at(start + length, guess + 1)
                if is_met:
                    yield view[start : start + length], hash
                    start += length
                    guess += 1
                    continue
            for piece in cutter.cut_buf(view[start:end]):
                start += piece.length
                hash = xxh3_128_digest(piece.data)
                yield piece.data, hash
                guess = numbers.get(hash, -2) + 1
                if guess > 0 or (not has_ended and end - start < least):
                    break
