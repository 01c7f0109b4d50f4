"""Sending early files: an edited or copied file goes to the other end of a link while it is read to be recorded.

It goes as steps from its old version, of which the blocks are known here, or from the file that it seems to be a copy
of. Whoever records waits for nobody: what the link does not take at once is held, which is bounded by how many new
bytes may be sent unasked.
"""

from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Final

from replican.values.blocks import MOST, BlockList
from replican.values.early import (
    NEW_LIMIT,
    RUN_LIMIT,
    encode_beginning,
    encode_ending,
    encode_new,
    encode_run,
    end_of_early,
)
from replican.values.errors import ReplicanError
from replican.values.ids import BlobId
from replican.values.sums import FineSums

if TYPE_CHECKING:
    from replican.decisions.gaps import Kept

_FILES: Final = 64
_HELD: Final = 2 << 20
"""How many bytes wait at most for where the old version goes on."""
_IN_VAIN: Final = 1 << 20
"""How many bytes of edited blocks are sent where it is not known what in them differs: the rest is asked for, by its
fine sums."""


class EarlySender:
    """Sends a stream of early files. A context manager. ``put`` sends some of it, ``put_rest`` what is left of that;
    both are called by a thread of its own until it is ended, and raise ``ReplicanError``. ``has_sums``: the other end
    can ask for fine sums."""

    def __init__(self, put: Callable[[bytes], None], put_rest: Callable[[], None], has_sums: bool = False) -> None:
        self.has_sums = has_sums
        self._put = put
        self._put_rest = put_rest
        self._line: SimpleQueue[bytes] = SimpleQueue()
        self._error: ReplicanError | None = None
        self._thread: Thread | None = None
        self._files = 0
        self._new = 0

    def file(self, old: BlobId, blocks: BlockList, sums: FineSums | None, size: int) -> "EarlySteps | None":
        """Begin with a file of ``size`` bytes whose old version has these blocks, and these fine sums, if they are
        known; None where it is not to be sent."""
        if self._files == _FILES or self._new >= NEW_LIMIT:
            return None
        self._files += 1
        self.say(encode_beginning(old, size))
        return EarlySteps(self, blocks, sums, size)

    def copy(self, of: BlobId, size: int) -> "EarlyCopy | None":
        """Begin with a file of ``size`` bytes that seems to be a copy of this content; None where it is not to be
        sent."""
        if self._files == _FILES:
            return None
        self._files += 1
        self.say(encode_beginning(of, size))
        return EarlyCopy(self)

    def may_send(self, count: int) -> bool:
        """Whether so many new bytes may be sent; they are counted then."""
        if self._new + count > NEW_LIMIT:
            return False
        self._new += count
        return True

    def say(self, data: bytes) -> None:
        """This goes on its way."""
        if self._thread is None:
            self._thread = Thread(target=self._send, daemon=True)
            self._thread.start()
        self._line.put(data)

    def _send(self) -> None:
        try:
            while data := self._line.get():
                self._put(data)
                if self._line.empty():
                    self._put_rest()
        except ReplicanError as error:
            self._error = error

    def __enter__(self) -> "EarlySender":
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._line.put(b"")
            self._thread.join()

    def end(self) -> None:
        """There is no more: wait until everything has been sent. Raises what kept it from that."""
        self.__exit__()
        self._thread = None
        if self._error is not None:
            raise self._error
        self._put(end_of_early())
        self._put_rest()


class EarlySteps:
    """The steps of one file, which was said to have ``size`` bytes, block by block. What is as it was of blocks that
    differ is found by the old ones' fine ``sums``, where they are known."""

    def __init__(self, sender: EarlySender, blocks: BlockList, sums: FineSums | None, size: int) -> None:
        self._sender = sender
        self._left = size
        self._blocks = list(blocks)
        self._numbers = {hash: number for number, (_, _, hash) in enumerate(self._blocks)}
        self._sums = sums
        self._next = 0
        self._from, self._length = 0, 0  # of a run of the old version that has not been told
        self._gap = bytearray()  # of blocks that differ, what has not been told
        self._gap_at = 0  # where the old version has its counterpart
        self._spent = 0  # new bytes of which many may be in the old version
        self._is_off = False

    def take(self, data: memoryview, hash: bytes) -> None:
        """The next block, and its hash. With one that the file did not have when it was begun, it has ended."""
        if self._is_off:
            return
        if len(data) > self._left:
            self.end(False)  # it grew: no more is sent than was said
            return
        self._left -= len(data)
        number = self._next
        if number == len(self._blocks) or self._blocks[number].hash != hash:
            number = self._numbers.get(hash, -1)
        if number >= 0 and self._blocks[number].length == len(data):
            if self._gap:
                self._spent += min(len(self._gap), max(0, self._blocks[number].offset - self._gap_at))
                self._tell_gap(len(self._gap), number)
                if self._sums is None and self._sender.has_sums and self._spent > _IN_VAIN and not self._is_off:
                    self._stop(False)
                    return
            self._next = number + 1
            self._gap_at = self._blocks[number].offset + len(data)
            self._go_on(self._blocks[number].offset, len(data))
            return
        self._gap += data
        if len(self._gap) > _HELD:
            self._tell_gap(_HELD // 2, None)

    def _tell_gap(self, size: int, end: int | None) -> None:
        """Tell the first ``size`` bytes of what differs. ``end`` is the number of the old version's block before which
        all of it ends, where that is known."""
        gap = bytes(self._gap[:size])
        told = 0
        for start, length, offset in self._kept(memoryview(gap), end):
            self._say_new(gap[told:start])
            for at in range(0, length, MOST):
                self._go_on(offset + at, min(MOST, length - at))
            told = start + length
        self._say_new(gap[told:])
        self._gap_at += size
        del self._gap[:size]

    def _kept(self, gap: memoryview, end: int | None) -> "Sequence[Kept]":
        from replican.decisions.gaps import kept_of_gap

        if self._sums is None:
            return ()
        before = self._sums.pieces_from(self._gap_at)
        if end is None:
            return kept_of_gap(gap, self._gap_at, before)
        end_at = self._blocks[end - 1].offset + self._blocks[end - 1].length if end else 0
        return kept_of_gap(gap, self._gap_at, before, end_at, self._sums.pieces_before(end))

    def _say_new(self, data: bytes) -> None:
        if not data or self._is_off:
            return
        self._tell()
        for at in range(0, len(data), MOST):
            piece = data[at : at + MOST]
            if not self._sender.may_send(len(piece)):
                self._stop(False)
                return
            self._sender.say(encode_new(piece))

    def _go_on(self, offset: int, length: int) -> None:
        """Of the old version, these bytes follow, which are no more than a run has."""
        if self._is_off:
            return
        if self._length and (self._from + self._length != offset or self._length + length > RUN_LIMIT):
            self._tell()
        if not self._length:
            self._from = offset
        self._length += length

    def _tell(self) -> None:
        if self._length:
            self._sender.say(encode_run(self._from, self._length))
            self._length = 0

    def end(self, is_whole: bool) -> None:
        """That was all; or it did not stay as long as it was."""
        if self._gap and not self._is_off:
            self._tell_gap(len(self._gap), len(self._blocks))
        if not self._is_off:
            self._tell()
            self._stop(is_whole and not self._left)

    def _stop(self, is_whole: bool) -> None:
        self._sender.say(encode_ending(is_whole))
        self._is_off = True


class EarlyCopy:
    """The steps of a file that has all bytes of the other one in their order, as far as it has been read."""

    def __init__(self, sender: EarlySender) -> None:
        self._sender = sender
        self._told = self._read = 0

    def go_on(self, count: int) -> None:
        """So many bytes more have been read."""
        self._read += count
        while self._read - self._told >= RUN_LIMIT:
            self._tell(RUN_LIMIT)

    def _tell(self, length: int) -> None:
        self._sender.say(encode_run(self._told, length))
        self._told += length

    def end(self, is_one: bool) -> None:
        """That was all: whether it is a copy, or only seemed to be one."""
        if is_one and self._read > self._told:
            self._tell(self._read - self._told)
        self._sender.say(encode_ending(is_one))
