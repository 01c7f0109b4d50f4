"""What the tail is to a repository: what is recorded goes there while nobody shall wait, and from there to where it
belongs.

The order that holds elsewhere holds in the tail, since it is one sequence of which a power cut leaves a beginning:
objects come before the ref that needs them, and both before the batch that follows from them. So a batch that changes
the folder waits for one flush, and not for one of each.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from replican.effects.objects import FEW_CHECKPOINTS, FEW_ENTRIES, ObjectStore
from replican.effects.refs import RefStore
from replican.effects.tail import Tail
from replican.values.journal import JournalEntry


class Tailing:
    """Of one repository: a :class:`~replican.values.journal.Beside` for its index."""

    def __init__(self, tail: Tail, objects: ObjectStore, refs: RefStore, index: str) -> None:
        """``index`` is the path of the index, which is kept open while the tail is in use."""
        self._tail = tail
        self._index = index
        self._objects = objects
        self._refs = refs
        self._lasts = False
        tail.make_room = self.put_down

    @property
    def in_use(self) -> bool:
        return self._tail.in_use

    @property
    def flaw(self) -> str | None:
        """What is wrong with the tail, where anything is."""
        self._tail.look()
        return self._tail.flaw

    def begin(self) -> None:
        """From now on what this process records goes to the tail. It is there to stay: it keeps few objects at hand."""
        self._tail.in_use = True
        self._objects.most_entries, self._objects.most_checkpoints = FEW_ENTRIES, FEW_CHECKPOINTS

    def close(self) -> None:
        """Let go of what is open."""
        if self._tail.in_use:
            from replican.effects.index_database import let_go

            let_go(self._index)

    @contextmanager
    def noting(self, entries: Sequence[JournalEntry]) -> Iterator[bool]:
        noted = self._tail.in_use and self._tail.add_batch(entries)
        yield noted
        self.settle()

    def noted(self) -> tuple[bytes, Sequence[JournalEntry]]:
        batch = self._tail.batch
        return (b"", ()) if batch is None else (batch.mark, batch.entries)

    def take_in(self) -> None:
        """Somebody may have been killed, or the power cut, since this process looked: what the tail has is so, and
        everybody is to hear of it."""
        self._tail.look()
        if self._tail.moves and not self._tail.unflushed:
            self._refs.settle()

    def settle(self) -> None:
        """Make durable what was appended, and have everybody hear of it."""
        if self._tail.unflushed:
            self._refs.settle()

    @contextmanager
    def lasting(self) -> Iterator[None]:
        """What is recorded within may wait for the flush of what is recorded next: if it is lost, it can be had
        again."""
        self._lasts = True
        try:
            yield
        finally:
            self._lasts = False

    def end(self, interrupted: bool) -> None:
        """The lock is about to be given back."""
        if not interrupted and not self._lasts:
            self.settle()

    def put_down(self) -> None:
        """Put all that the tail has where it belongs, durably, and have it begin anew; needs the lock, and a batch
        that was noted has to be done."""
        self._tail.look()
        if self._tail.is_empty:
            return
        self._objects.add(dict(self._tail.objects), from_tail=True)
        self._refs.put_down()
        self._tail.begin_anew()
