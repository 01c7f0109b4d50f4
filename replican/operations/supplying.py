"""Supplying: one folder's content, for the other end of a link, which asks for it by messages.

That is who answers, and who pushes: there the ends change places.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from replican.effects.block_cache import BlockCache
from replican.effects.channel import Channel
from replican.effects.forms import TREE
from replican.effects.freezing import Freezer, Frozen
from replican.effects.offering import Offer
from replican.effects.reflecting import CopySender, Sending
from replican.operations.cutting import Cutter
from replican.repository import Repository
from replican.values import messages
from replican.values.errors import DamagedError, NotFoundError
from replican.values.ids import BlobId
from replican.values.messages import Directory, Item

Request = messages.WantContents | messages.WantCopies | messages.WantBlocks | messages.WantRanges


class Supplier:
    """Answers what is asked about content in ``repo``. Close it.

    ``find_paths`` tells where content lies in the folder, and ``sent`` is told of so many contents and bytes that have
    been sent. ``copies`` are of what has been recorded by them; they are somebody else's. Of those that were
    ``unsteady`` before, that is not told again.
    """

    def __init__(
        self,
        repo: Repository,
        channel: Channel,
        find_paths: Callable[[Collection[BlobId]], Mapping[BlobId, bytes]],
        sent: Callable[[int, int], None] | None = None,
        copies: Freezer | None = None,
        unsteady: set[bytes] | None = None,
    ) -> None:
        self.offer = Offer(repo.root, f"{repo.dotdir}/trash", find_paths)
        self.offer.lists = BlockCache(repo.block_cache_path)
        self.offer.freezer = copies
        self._repo = repo
        self._channel = channel
        self._sent = sent
        self._cutter: Cutter | None = None
        self._copies: CopySender | None = None
        self._frozen = Frozen(repo.dotdir, unsteady)
        self._in_ranges: set[bytes] = set()
        self._ahead: messages.Message | None = None  # what has come while something was answered
        self._begun: int | None = None  # the stream that answers it

    def close(self) -> None:
        """Give back what is held, but for the channel."""
        if self._cutter is not None:
            self._cutter.close()
            self._cutter = None
        if self._copies is not None:
            self._copies.close()
            self._copies = None
        self._drop_copies()
        self.offer.close()
        if self.offer.lists is not None:
            self.offer.lists.close()

    def new_freezer(self) -> Freezer | None:
        """Who makes copies, while the folder is recorded, of what has changed while it was asked for; None where
        nothing has. Copies that were made before are gone: nobody asks for what was recorded then any more."""
        self._drop_copies()
        return self.freezer_of(self.offer.changed) if self.offer.changed else None

    def freezer_of(self, changing: Collection[bytes]) -> Freezer:
        """The same, which also makes copies of these, that change all the time; what it has copied stays."""
        self.offer.changed.update(changing)
        if self.offer.freezer is None:
            self.offer.freezer = self._frozen.begin(self.offer.changed)
        self.offer.freezer.add(changing)
        return self.offer.freezer

    def unsteady(self) -> list[bytes]:
        """The paths of what was recorded as it was read, since it changed all the time; each is named once."""
        return self._frozen.unsteady()

    def _drop_copies(self) -> None:
        self.offer.freezer = None
        self._frozen.drop()

    def forget(self) -> None:
        """The folder was looked at once more: what its index says now counts."""
        if self.offer.freezer is not None:
            self.offer.freezer.end()
        if self._cutter is not None:
            self._cutter.forget()

    def next(self) -> messages.Message:
        """The next message that comes. Raises as :meth:`Channel.receive` does."""
        message, self._ahead = self._ahead, None
        return self._channel.receive() if message is None else message

    def answer(self, message: Request) -> None:
        """Send the stream that answers a request."""
        if isinstance(message, messages.WantContents):
            self._send_contents(message.items)
            return
        if isinstance(message, messages.WantCopies):
            self._send_copies(message.directories)
            return
        if self._cutter is None:
            self._cutter = Cutter(self._repo, self.offer)
        if self._sent is None:
            self._cutter.answer(message, self._channel)
            return
        is_content = isinstance(message, messages.WantRanges) and not message.sums
        self._cutter.answer(message, _Watched(self._channel, lambda size: self._tell(0, size if is_content else 0)))
        if isinstance(message, messages.WantRanges) and is_content and message.id not in self._in_ranges:
            self._in_ranges.add(message.id)  # many requests may be about one file
            self._tell(1, 0)

    def _send_contents(self, items: Sequence[Item]) -> None:
        self.offer.send(items, self._put if self._sent is not None else self._channel.put)
        self._channel.put_rest()
        self._tell(len(items), 0)

    def _send_copies(self, directories: Sequence[Directory]) -> None:
        if self._copies is None:
            self._copies = CopySender(self._repo.root, self._channel)
        copies, before = self._copies, self._channel.sent
        stream, self._begun = self._begun or self._begin(copies, directories), None

        def look_ahead() -> None:
            if self._ahead is None:
                self._ahead = self._channel.receive_now()
                if isinstance(self._ahead, messages.WantCopies):
                    self._begun = self._begin(copies, self._ahead.directories)

        try:
            count = copies.finish(stream, look_ahead)
        except BaseException:
            self._begun = None
            raise
        self._tell(count, self._channel.sent - before)

    def _begin(self, copies: CopySender, directories: Sequence[Directory]) -> int:
        sending: list[Sending] = []
        for each in directories:
            try:
                sending.append(Sending(each.path, self._repo.objects.payload(TREE, each.id), each.left_out))
            except (DamagedError, NotFoundError):
                continue  # whoever wants it asks for what is in it
        return copies.begin(sending)

    def _put(self, data: bytes) -> None:
        self._channel.put(data)
        self._tell(0, len(data))

    def _tell(self, count: int, size: int) -> None:
        if self._sent is not None:
            self._sent(count, size)


class _Watched:
    """The way for streams over a channel, where somebody looks on: ``tell`` is told how many bytes have gone."""

    def __init__(self, channel: Channel, tell: Callable[[int], None]) -> None:
        self._channel = channel
        self._tell = tell

    def put(self, data: bytes) -> None:
        self._channel.put(data)
        self._tell(len(data))

    def put_rest(self) -> None:
        self._channel.put_rest()
