"""A remote at the far end of a link: what is asked of it goes there as messages."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from replican.decisions.frontier import JoinKind, join
from replican.decisions.summary import Summary, last_common
from replican.decisions.treediff import Tally
from replican.effects.channel import Channel
from replican.effects.contents import ContentStore
from replican.effects.copies import receive_copies
from replican.effects.faraway import Far
from replican.effects.launching import Link
from replican.effects.mirror import Mirror
from replican.effects.refs import HEAD, remote_head
from replican.operations import hearing
from replican.operations.early import EarlyFiles, EarlyRecording
from replican.operations.fetching import Stored
from replican.operations.linking import Above, ReceivedObjects, heed, hello_of
from replican.operations.patching import BlockPatcher
from replican.operations.remotes import Refreshed, Taken, diverged
from replican.operations.sending import log_above
from replican.operations.supplying import Request, Supplier
from replican.repository import Repository
from replican.values import messages
from replican.values.errors import (
    FarError,
    LinkError,
    NoRepositoryError,
    ProtocolError,
    RefusedError,
    RemoteError,
    ReplicanError,
)
from replican.values.ids import BlobId, CheckpointId
from replican.values.progress import Traffic
from replican.values.quoting import show_told
from replican.values.streams import encode_object, end_of_objects, read_objects

if TYPE_CHECKING:
    from replican.effects.freezing import Freezer
    from replican.operations.heads import Lookout, WiredLookout
    from replican.operations.reading import Content

_Answer = TypeVar("_Answer", bound=messages.Message)
_LAST_WORDS = frozenset([NoRepositoryError.code, ProtocolError.code])
"""After such an error the other end has no more to say."""


class WiredRemote:
    """A :class:`~replican.operations.remotes.Remote` at the far end of a link, which is made when it is first needed.

    ``repo`` is who asks: what it has is not asked for. Close it.
    """

    def __init__(self, name: str, place: str, start: Callable[[], Link], repo: Repository | None) -> None:
        self.name = name
        self.place = place
        self.has_changed = False
        self.copies: Freezer | None = None
        self.unsent: Collection[bytes] = ()
        self._start = start
        self._repo = repo
        self._early = None if repo is None else EarlyFiles(repo)
        self._link: Link | None = None
        self._hello: messages.Hello | None = None
        self._recorded: messages.Recorded | None = None
        self._head: CheckpointId | None = None
        self._behind = False
        self._lookout: WiredLookout | None = None
        self._owes_head = False

    def close(self) -> None:
        """Say that there is no more to ask, and end the link."""
        if self._early is not None:
            self._early.close()
        link, self._link = self._link, None
        if link is not None:
            with suppress(RemoteError):
                link.channel.send(messages.Bye())
            link.close()

    def asks_for(self, repo: Repository) -> None:
        """From now on it is ``repo`` that asks."""
        self._repo, self._early = repo, EarlyFiles(repo)

    # -- the link -----------------------------------------------------------------------------------------------

    def _channel(self) -> Channel:
        if self._link is None:
            self._link = self._start()
            channel = self._link.channel
            channel.send(hello_of("" if self._repo is None else self._repo.config.peer_id, channel.terms))
        if self._lookout is not None and not self._owes_head:
            self._owes_head = self._lookout.rest(self._link.channel)
        return self._link.channel

    def _greet(self) -> messages.Hello:
        """Hear what the other end says before it answers, if that has not been heard."""
        channel = self._channel()
        if self._hello is None:
            hello = channel.receive()
            if not isinstance(hello, messages.Hello):
                raise ProtocolError("it did not say hello")
            heed(channel, hello)
            self._hello = hello
        if self._owes_head:
            self._owes_head = False
            if not isinstance(channel.receive(), messages.Moved):
                raise ProtocolError("it answered something else than where its head is")
        return self._hello

    def _is_able(self, word: str) -> bool:
        return word in self._greet().able

    def _greeted(self) -> Channel:
        self._greet()
        return self._channel()

    def _answer(self, kind: type[_Answer]) -> _Answer:
        self._greet()
        answer = self._channel().receive()
        if not isinstance(answer, kind):
            raise ProtocolError("it answered something else than what was asked")
        return answer

    def _ask(self, message: messages.Message, kind: type[_Answer]) -> _Answer:
        with self.telling():
            self._channel().send(message)
            return self._answer(kind)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Errors of the link, and what has failed over there, name the remote. After the former the link is of no
        use."""
        try:
            yield
        except FarError as error:
            if error.told in _LAST_WORDS:
                self._drop(error)
            raise hearing.failure(error, self.name, self.place) from error
        except (LinkError, ProtocolError) as error:
            raise self._failure(error) from error

    def _failure(self, error: RemoteError) -> RemoteError:
        error = self._drop(error)
        if isinstance(error, FarError):
            said = hearing.failure(error, self.name, self.place)
            return RemoteError(said.message, said.hint)
        if isinstance(error, LinkError):
            return LinkError(f"remote {self.name} cannot be reached: {error.message}", error.hint)
        return ProtocolError(f"remote {self.name} broke the protocol: {show_told(error.message)}", error.hint)

    def _drop(self, error: RemoteError) -> RemoteError:
        """End a link that is of no use any more; why, as far as that can be told."""
        link, self._link = self._link, None
        self._hello, self._owes_head = None, False
        if self._lookout is not None:
            self._lookout.forget()
        if link is not None:
            if isinstance(error, LinkError) and not link.channel.has_begun and link.channel.has_ended:
                error = link.why_it_ended()
            link.close()
        return error

    def is_replica(self) -> bool:
        """Whether there is a log over there at all."""
        with self.telling():
            return self._greet().replica

    def init(self) -> None:
        """Have the folder over there made a replica, if it is none."""
        self._hello = self._ask(messages.Init(), messages.Hello)

    # -- the log ------------------------------------------------------------------------------------------------

    def refresh(self, *, mirror: Mirror | None = None, prompt: bool = False) -> Refreshed:
        if mirror is not None and self._repo is not None:
            with self.telling():
                reflects = self._is_able(messages.COPIES)
            if reflects:
                return self._refresh_reflected(self._repo, mirror)
        with self.telling():
            self._channel().send(messages.Record(self.name, self._known(), prompt=prompt))
        return self._take_recorded()

    def _refresh_reflected(self, repo: Repository, mirror: Mirror) -> Refreshed:
        with self.telling():
            channel = self._channel()
            channel.send(messages.Record(self.name, self._known(), mirror=True))
            receive_copies(channel, mirror, repo.progress)
        return self._take_recorded()

    def keep_changing(self, refreshed: Refreshed) -> Refreshed:
        return refreshed  # that has been done over there

    def lacked(self, paths: Collection[bytes]) -> None:
        """It has told why."""

    @contextmanager
    def refreshing(self) -> "Iterator[EarlyRecording]":
        with self.telling():
            self._channel().send(messages.Record(self.name, self._known(), early=self._early is not None))
        yield EarlyRecording(self._take_early, self._take_recorded)

    def _take_early(self) -> None:
        with self.telling():
            if self._early is not None and messages.EARLY in self._greet().able:
                self._early.take(self._channel().stream())

    def _known(self) -> list[bytes]:
        repo = self._repo
        known = [] if repo is None else [repo.head, repo.refs.read(remote_head(self.name))]
        return [id for id in dict.fromkeys(known) if id is not None]

    def _take_recorded(self) -> Refreshed:
        with self.telling():
            told = self._answer(messages.Recorded)
        self._recorded = told
        self._head = None if told.head is None else CheckpointId(told.head)
        self._behind = told.behind
        return Refreshed(hearing.notes(self.name, told.notes), hearing.problems(told.unread), told.refused)

    @property
    def head(self) -> CheckpointId | None:
        if self._recorded is None and self._head is None:
            return self.ask_for_head()
        return self._head

    # -- when it moves --------------------------------------------------------------------------------------------

    @contextmanager
    def lookout(self) -> "Iterator[Lookout]":
        from replican.operations.heads import AskingLookout, WiredLookout

        with self.telling():
            can_tell = messages.HEADS in self._greet().able
        if not can_tell:
            yield AskingLookout(self)
            return
        self._lookout = WiredLookout(self)
        try:
            yield self._lookout
        finally:
            with suppress(RemoteError):  # whoever asks next finds out
                if self._link is not None:
                    with self.telling():
                        self._channel()  # it rests from now on
            self._lookout = None

    def link_channel(self) -> Channel:
        """The link as it is, for a lookout; raises ``LinkError`` where there is none any more."""
        if self._link is None:
            raise LinkError("the link was cut")
        return self._link.channel

    def head_known(self) -> CheckpointId | None:
        """Where the head was last seen to be."""
        return self._head

    def note_head(self, head: CheckpointId | None) -> None:
        """The head was seen to be there."""
        self._head = head

    def ask_for_head(self) -> CheckpointId | None:
        """Where the head is now."""
        self._head = dict(self.refs()).get(HEAD)
        return self._head

    def refs(self) -> Sequence[tuple[str, CheckpointId]]:
        told = self._ask(messages.ListRefs(), messages.Refs)
        with self.telling():
            return hearing.refs(told.refs)

    def log_above(self, repo: Repository, head: CheckpointId) -> "ReceivedObjects":
        return Above(self, repo).objects

    def receive_objects(self, message: messages.Message) -> Iterator[tuple[bytes, bytes, bytes]]:
        """The objects that a request is answered with."""
        with self.telling():
            self._channel().send(message)
            yield from read_objects(self._greeted().stream())

    def objects(self, ids: Collection[bytes]) -> Mapping[bytes, tuple[bytes, bytes]]:
        wanted = list(ids)
        found: dict[bytes, tuple[bytes, bytes]] = {}
        for at in range(0, len(wanted), messages.FEW):
            some = wanted[at : at + messages.FEW]
            for id, kind, payload in self.receive_objects(messages.WantObjects(some)):
                if id in some:
                    found[id] = kind, payload
        return found

    def have(self, repo: Repository) -> list[bytes]:
        """Checkpoints that are here, as close to what is not as can be told."""
        have = self._known()
        if self._recorded is not None and self._head is not None:
            sample = tuple(CheckpointId(id) for id in self._recorded.sample)
            common = last_common(Summary(self._head, sample, True), Stored(repo))
            have += [] if common is None else [common]
        return list(dict.fromkeys(have))

    @property
    def traffic(self) -> Traffic | None:
        return None if self._link is None else self._link.channel.traffic

    def traffic_now(self) -> Traffic:
        """The same, for who watches: nothing where there is no link any more."""
        return self.traffic or Traffic(0, 0, 0, 0, 0.0)

    def summary(self) -> list[str]:
        traffic = self.traffic
        return [] if traffic is None else [f"{self.name}: {traffic.words()}"]

    def damaged(self, error: ReplicanError) -> RemoteError:
        return hearing.damage(error, self.name, self.place)

    # -- content ------------------------------------------------------------------------------------------------

    @contextmanager
    def contents(self, unreached: Callable[[RemoteError], None] | None = None) -> Iterator[list[ContentStore]]:
        """Its folder, then its trash."""

        def failed(error: RemoteError) -> None:
            failure = self._failure(error)
            if unreached is None:
                raise failure from error
            unreached(failure)

        patcher = None
        if self._repo is not None:
            patcher = BlockPatcher(self._repo, self._greeted, self._is_able, self._early)
        far = Far(self.name, self._greeted, failed, self._is_able, patcher)
        try:
            yield [far.folder, far.trash]
        finally:
            self.has_changed = bool(far.changed)
            if self._link is not None:
                far.count(self._link.channel)

    def candidates(self, blob: BlobId, hint: bytes) -> "Iterator[Content | None]":
        from replican.operations.reading import received_content

        assert self._repo is not None
        for link in (False, True):
            with self.telling():
                channel = self._channel()
                channel.send(messages.WantContents([messages.Item(blob, link=link, path=hint)]))
                reader = self._greeted().stream()
                content = received_content(self._repo, self.name, blob, reader)
                reader.finish()
            yield content

    # -- a push -------------------------------------------------------------------------------------------------

    def push(self, repo: Repository, head: CheckpointId | None) -> Taken:
        old, self.unsent = self.head, ()
        if head == old and (head is None or not self._behind):
            return Taken(old, old, [], None, [])
        if head is None or (old is not None and not repo.objects.has(old)):
            raise diverged(self.name)
        if head != old and join(repo.graph, old, head).kind is not JoinKind.FAST_FORWARD:
            raise diverged(self.name)
        with hearing.decided_at(self.place), self.telling():
            if self._greet().read_only:
                raise RefusedError(f"{self.name} is served read-only", "whoever serves it decides that")
            told = self._push(repo, head, old)
        self._head = head
        self._behind = bool(told.pending)
        tally = Tally(*told.tally) if told.moved else None
        pending, notes = hearing.problems(told.pending), hearing.notes(self.name, told.notes)
        return Taken(old, head, pending, tally, notes, told.unnoted)

    def _push(self, repo: Repository, head: CheckpointId, old: CheckpointId | None) -> messages.Pushed:
        channel = self._greeted()
        channel.send(messages.Push(head, old))
        if head != old:
            have = [] if old is None else [old]
            for kind, payload in log_above(repo.objects, [head], have, messages.LOG_STEP):
                channel.put(encode_object(kind, payload))
        channel.put(end_of_objects())
        channel.put_rest()
        supplier = Supplier(repo, channel, repo.index.find_paths, repo.progress.advance, self.copies)
        repo.progress.begin("sending", wire=lambda: channel.traffic)
        try:
            while not isinstance(message := supplier.next(), messages.Pushed):
                if not isinstance(message, Request):
                    raise ProtocolError("it asked for something else than content")
                supplier.answer(message)
            # The paths are the other end's: what was never recorded was not pushed.
            self.unsent = [path for path in supplier.offer.changed if repo.index.row(path) is not None]
        finally:
            repo.progress.end()
            supplier.close()
        if message.head != head or message.moved != (head != old):
            raise ProtocolError("it answered something else than what a push comes to")
        channel.files += message.files
        channel.saved += message.saved
        return message
