"""Serving: one end of a link answers the other, about one folder and nothing else.

The other end is not trusted: it names objects and content by their ids, and paths only as a hint where content may
lie. What it pushes is verified as anything that is taken over, and passes the gates here.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack, closing
from time import monotonic
from typing import TYPE_CHECKING

from replican.decisions.treediff import Tally
from replican.effects.channel import Channel
from replican.effects.doubles import Doubles
from replican.effects.earlysending import EarlySender
from replican.effects.freezing import UNSTEADY
from replican.effects.hashing import changed_while_read
from replican.effects.precutting import Precutter
from replican.effects.roots import check_not_nested, is_replica
from replican.operations.keeping import Turns
from replican.operations.linking import ReceivedObjects, clip, heed, hello_of
from replican.operations.receiving import record_for, take_in
from replican.operations.remotes import Refreshed, diverged, terms_of
from replican.operations.sending import Sent, log_above, objects_by_id
from replican.repository import Repository
from replican.values import messages
from replican.values.errors import (
    LinkError,
    NoRepositoryError,
    ProtocolError,
    RefusedError,
    RemoteError,
    ReplicanError,
)
from replican.values.ids import BlobId, CheckpointId
from replican.values.quoting import quote
from replican.values.streams import encode_object, end_of_objects, read_objects

if TYPE_CHECKING:
    from replican.operations.attending import FolderMinding
    from replican.operations.supplying import Supplier
    from replican.values.listing import Row

_SAMPLE = 64


def serve(
    source: int, target: int, root: str, *, read_only: bool = False, wait: float = 10.0, hooks: bool = False
) -> None:
    """Serve the folder at ``root`` to whoever is at the other end of two descriptors, which are closed in the end.
    ``hooks``: the folder's are run.

    Raises ``LinkError`` and ``ProtocolError``, and what kept it from serving at all; both have been told over there.
    """
    channel = Channel(source, target)
    try:
        server = Server(channel, root, read_only=read_only, wait=wait, hooks=hooks)
        try:
            server.serve()
        finally:
            server.close()
    finally:
        channel.close()


class Server:
    """Answers at one end of a link for the folder at ``root``. Close it."""

    def __init__(
        self, channel: Channel, root: str, *, read_only: bool = False, wait: float = 10.0, hooks: bool = False
    ) -> None:
        self._channel = channel
        self._root = os.path.realpath(root)
        self._read_only = read_only
        self._wait = wait
        self._hooks = hooks
        self._repository: Repository | None = None
        self._supplier: Supplier | None = None
        self._minding: FolderMinding | None = None
        self._asker_is_able: frozenset[str] = frozenset()
        self._name = "remote"
        self._turns = Turns()
        self._unsteady: set[bytes] = set()
        self._next: messages.Message | None = None

    def close(self) -> None:
        """Give back what is held, but for the channel."""
        if self._minding is not None:
            self._minding.close()
        self._let_go()

    def _let_go(self) -> None:
        if self._supplier is not None:
            self._supplier.close()
            self._supplier = None
        if self._repository is not None:
            self._repository.close()

    def serve(self) -> None:
        """Answer until the other end says that it is done. Raises ``LinkError`` and ``ProtocolError``.

        What else fails is told over there, in the place of an answer.
        """
        try:
            if not os.path.isdir(self._root):
                raise NoRepositoryError(f"there is no folder at {self._root}", "is the disk that holds it mounted?")
            if is_replica(self._root):
                self._open(Repository(self._root, wait=self._wait))
                self._channel.settle(terms_of(self._repo.config))
            self._say_hello()
            self._meet()
            while not isinstance(message := self._next or self._receive(), messages.Bye):
                self._next = None
                self._answer(message)
        except LinkError:
            raise
        except ReplicanError as error:
            self._fail(error)
            raise

    def _meet(self) -> None:
        hello = self._channel.receive()
        if not isinstance(hello, messages.Hello):
            raise ProtocolError("it did not say hello")
        heed(self._channel, hello)
        self._asker_is_able = frozenset(hello.able)

    def _receive(self) -> messages.Message:
        return self._channel.receive() if self._supplier is None else self._supplier.next()

    def _say_hello(self) -> None:
        repo = self._repository
        peer = "" if repo is None else repo.config.peer_id
        terms = self._channel.terms
        self._channel.send(hello_of(peer, terms, replica=repo is not None, read_only=self._read_only))

    def _fail(self, error: ReplicanError) -> None:
        self._channel.drop_rest()
        gates = list(error.gates) if isinstance(error, RefusedError) else []
        try:
            self._channel.send(messages.Failed(error.code, clip(error.message), clip(error.hint or ""), gates))
        except RemoteError:
            pass  # it is not there any more

    def _open(self, repo: Repository) -> None:
        self._repository = repo
        if self._hooks:
            repo.run_hooks()

    # -- answers ------------------------------------------------------------------------------------------------

    def _answer(self, message: messages.Message) -> None:
        """Answer one request; what fails is told, and the next one may be asked."""
        try:
            self._answer_one(message)
        except (LinkError, ProtocolError):
            raise
        except ReplicanError as error:
            self._fail(error)
        except OSError as error:
            self._fail(RemoteError(f"{(error.strerror or 'it cannot be read').lower()} over there"))

    def _answer_one(self, message: messages.Message) -> None:
        channel = self._channel
        match message:
            case messages.Init():
                self._init()
            case messages.Record():
                channel.send(self._record(message))
            case messages.ListRefs():
                refs = self._repo.refs
                found = [messages.Ref(name, id) for name in refs.names() if (id := refs.read(name)) is not None]
                channel.send(messages.Refs(found[: messages.FEW]))
            case messages.WantLog():
                heads, have = [CheckpointId(id) for id in message.heads], {CheckpointId(id) for id in message.have}
                self._send_objects(log_above(self._repo.objects, heads, have, message.most))
            case messages.WantObjects():
                self._send_objects(objects_by_id(self._repo.objects, message.ids, below=message.below))
            case messages.WantContents() | messages.WantCopies() | messages.WantBlocks() | messages.WantRanges():
                self._supply.answer(message)
            case messages.Locate():
                folder, trash = self._supply.offer.locate(message.items)
                channel.send(messages.Located(list(folder), list(trash)))
            case messages.Push():
                channel.send(self._take_in(message))
            case messages.Subscribe():
                channel.send(messages.Moved(self._wait_for_another(message.known)))
            case messages.Unsubscribe():
                pass  # what it ends has been answered: both were on their way
            case _:
                raise ProtocolError("a message came that is no request")

    @property
    def _repo(self) -> Repository:
        if self._repository is None:
            raise NoRepositoryError(
                f"{self._root} is no replica (any more)",
                "its log is never made again by itself; if this is meant, run `replican init` there",
            )
        return self._repository

    @property
    def _supply(self) -> "Supplier":
        if self._supplier is None:
            from replican.operations.supplying import Supplier

            repo = self._repo

            def find_paths(blobs: Collection[BlobId]) -> Mapping[BlobId, bytes]:
                try:
                    return repo.index.find_paths(blobs)
                except ReplicanError:
                    return {}

            self._supplier = Supplier(repo, self._channel, find_paths, unsteady=self._unsteady)
        return self._supplier

    def _init(self) -> None:
        if self._repository is None:
            if self._read_only:
                raise RefusedError(f"{self._root} is no replica, and is served read-only")
            check_not_nested(self._root)
            self._open(Repository.init(self._root, wait=self._wait))
        self._say_hello()

    def _send_objects(self, objects: Iterable[Sent]) -> None:
        for kind, payload in objects:
            self._channel.put(encode_object(kind, payload))
        self._channel.put(end_of_objects())
        self._channel.put_rest()

    # -- what the folder's user did -----------------------------------------------------------------------------

    def _record(self, message: messages.Record) -> messages.Recorded:
        repo = self._repo
        self._name = message.name
        if message.mirror:
            refreshed = self._record_reflected(message.name)
        else:
            refreshed = self._record_for(message)
        refreshed = self._record_changing(refreshed)
        notes = [clip(note) for note in refreshed.notes[:256]]
        if self._supplier is not None:
            self._supplier.forget()
            notes += [clip(f"{self._name}: {quote(path)}: {UNSTEADY}") for path in self._supplier.unsteady()]
        head = repo.head
        sample: tuple[CheckpointId, ...] = ()
        if head is not None and len(repo.objects.lacking(message.known)) == len(message.known):
            from replican.decisions.summary import summarize

            # Nothing that the asker has named is here, or else that is where a walk down the log will end.
            sample = summarize(repo.graph, head).sample[:_SAMPLE]
        unread = [messages.Note(each.path, clip(each.cause), each.held) for each in refreshed.unread[: messages.FEW]]
        return messages.Recorded(head, list(sample), self._is_behind(head), notes, unread, refreshed.refused)

    def _record_for(self, message: messages.Record) -> Refreshed:
        """Who has what was recorded here before will ask for the blocks of what was edited since, or has them sent at
        once."""
        repo, channel = self._repo, self._channel
        has_blocks = messages.BLOCKS in self._asker_is_able
        has_some = has_blocks and len(repo.objects.lacking(message.known)) < len(message.known)
        has_sums = messages.SUMS in messages.ABLE and messages.SUMS in self._asker_is_able
        with ExitStack() as held:
            sender = held.enter_context(EarlySender(channel.put, channel.put_rest, has_sums))
            early = sender if message.early and messages.EARLY in messages.ABLE else None
            freezer = None if self._supplier is None else self._supplier.new_freezer()

            def rows(path: bytes) -> "list[Row]":
                return repo.index.rows(path)

            doubles = (
                None if early is None or not has_some else held.enter_context(Doubles(repo.root, lambda: repo.index))
            )
            precutter = Precutter(repo.block_cache_path, rows, has_some, freezer, early, doubles)
            refreshed = record_for(repo, message.name, mirror=precutter, prompt=message.prompt)
            if early is not None:
                early.end()
        return refreshed

    def _record_reflected(self, name: str) -> Refreshed:
        """The other end makes copies of what is read. Of a folder that has a log, that would be little: and nobody
        else could use it for so long."""
        from replican.effects.reflecting import Reflection

        reflection = Reflection(self._channel)
        refreshed = record_for(self._repo, name, mirror=reflection if self._repo.head is None else None)
        reflection.end()
        return refreshed

    def _is_behind(self, head: CheckpointId | None) -> bool:
        try:
            return head is not None and self._repo.index.base_root() != self._repo.tree_of(head)
        except ReplicanError:
            return False  # what the folder's index says has to be mended there

    def _record_changing(self, refreshed: Refreshed) -> Refreshed:
        """What did not stay the same while it was read is recorded by a copy of it, which can be had as long as the
        asker is there; nothing else: what was left to who watches the folder may be half a file."""
        changing = changed_while_read(refreshed.unread)
        if not changing or refreshed.refused:
            return refreshed
        again = record_for(self._repo, self._name, mirror=self._supply.freezer_of(changing), paths=changing)
        return refreshed.then(again, changing)

    def _keep_changing(self) -> bool:
        """Have recorded, by copies that can be asked for, what nobody could read twice the same; whether there was
        any, and its turn had come."""
        changing = self._turns.find(self._repo)
        if changing:
            with self._turns.taken():
                self._supply.new_freezer()
                record_for(self._repo, self._name, mirror=self._supply.freezer_of(changing), paths=changing)
                self._supply.forget()
        return bool(changing)

    # -- when the head moves --------------------------------------------------------------------------------------

    def _wait_for_another(self, known: bytes | None) -> CheckpointId | None:
        """The head, as soon as it is another one, or nobody waits for that any more."""
        from replican.effects.headwatch import HeadWatch, wait_for_any

        repo = self._repo
        self._let_go()  # whoever waits for days holds no file open meanwhile
        self._open(repo)
        repo.tailing.begin()  # who wants to be told at once pushes what is waited for, too
        minding = self._mind(repo)
        with closing(HeadWatch(repo.dotdir)) as watch:
            while (head := repo.head) == known:
                if self._is_done_waiting():
                    break
                minding.mind()  # what it has to tell, its own user is told by status
                if repo.head != known or self._keep_changing():
                    continue
                found = (self._channel.descriptor, watch.descriptor, *minding.descriptors)
                due = min(watch.due, self._channel.due, max(0.0, min(minding.due, self._turns.at) - monotonic()))
                wait_for_any([each for each in found if each is not None], due)
                watch.may_have_moved()
                minding.hear()
            return head

    def _mind(self, repo: Repository) -> "FolderMinding":
        """What the folder's user does is recorded as long as somebody waits for it, where nobody watches the folder."""
        if self._minding is None:
            from random import Random

            from replican.operations.attending import FolderMinding
            from replican.operations.polling import bounds_of

            bounds = bounds_of(repo)
            self._minding = FolderMinding(
                repo, self._name, lambda: record_for(repo, self._name, paths=()), bounds, Random()
            )
        return self._minding

    def _is_done_waiting(self) -> bool:
        message = self._channel.receive_now()
        if message is None:
            return False
        if isinstance(message, messages.Bye):
            self._next = message
        elif not isinstance(message, messages.Unsubscribe):
            raise ProtocolError("a request came before the one to wait for the head was taken back")
        return True

    # -- a push -------------------------------------------------------------------------------------------------

    def _take_in(self, message: messages.Push) -> messages.Pushed:
        from replican.effects.faraway import Far
        from replican.operations.patching import BlockPatcher

        received = ReceivedObjects()
        for id, kind, payload in read_objects(self._channel.stream()):
            if not self._read_only:
                received.add(id, kind, payload)
        if self._read_only:
            raise RefusedError(f"{self._root} is served read-only", "whoever serves it decides that")

        def check(old: CheckpointId | None) -> None:
            if old != message.old:
                raise diverged(self._name)

        repo = self._repo
        channel = self._channel
        files, saved = channel.files, channel.saved
        patcher = BlockPatcher(repo, lambda: channel, self._asker_is_able.__contains__)
        far = Far("the pushing folder", lambda: channel, _raise, self._asker_is_able.__contains__, patcher)
        taken = take_in(repo, self._name, CheckpointId(message.head), received, [far.folder, far.trash], check)
        far.count(channel)
        assert taken.new is not None
        pending = [messages.Note(each.path, clip(each.cause), each.held) for each in taken.pending[: messages.FEW]]
        notes = [clip(note) for note in taken.notes[:256]]
        tally = taken.tally or Tally(0, 0, 0, 0)
        counts = channel.files - files, channel.saved - saved
        unnoted = len(taken.pending) - len(pending)
        return messages.Pushed(taken.new, taken.tally is not None, pending, tally, notes, *counts, unnoted)


def _raise(error: RemoteError) -> None:
    raise error
