"""A repository: one folder with its log, and what is needed to work on both.

It joins the effects of one folder and opens each of them when it is first asked for. What is done with them
stands in ``replican.operations``.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from replican import settings
from replican.effects.durable import identity_of
from replican.effects.lock import Lock
from replican.effects.objects import ObjectStore
from replican.effects.refs import HEAD, RefStore
from replican.effects.roots import DOT, find_root, is_replica
from replican.effects.tail import Tail
from replican.effects.tailing import Tailing
from replican.values.checkpoints import Author, Checkpoint
from replican.values.errors import DamagedError, FolderError, NoRepositoryError, NotFoundError, UsageError
from replican.values.hooks import Hooks, NoHooks
from replican.values.ids import EMPTY_TREE, CheckpointId, TreeId
from replican.values.progress import Progress, Silent
from replican.values.trees import Entry

if TYPE_CHECKING:
    from replican.decisions.graph import Graph
    from replican.effects.config import Config
    from replican.effects.index import Index
    from replican.effects.launching import Launched
    from replican.values.traits import Traits

DEFAULT_WAIT = 10.0
INDEX_MISSING = "the index is missing: the next command that writes rebuilds it"
_DIRECTORIES = ("objects", "refs", "trash", "stage", "hooks")


def ssh_program(config: "Config") -> list[str]:
    """The program that reaches other machines, with its options: ``REPLICAN_SSH``, else ``core.ssh_command``, else
    ssh. Raises ``UsageError`` for a setting that no shell would understand."""
    program = settings.ssh_program()
    if program is not None:
        return [program]
    import shlex

    try:
        return shlex.split(config.text("core.ssh_command")) or ["ssh"]
    except ValueError as error:
        raise UsageError(f"core.ssh_command cannot be understood: {str(error).lower()}") from error


def user_config() -> "Config":
    """The user's settings, for who has no repository (yet)."""
    from replican.effects.config import Config

    return Config.user_only(settings.user_config_file())


class Repository:
    """One replica. A context manager; ``notes`` collects what its user should hear of. ``limit_rate``, in bytes a
    second, is for all links, in the place of what is set for each remote (0: no limit); ``launched`` is begun for
    some, by name. ``for_another``: another folder asks for the edits, and who runs this may not be its user."""

    def __init__(self, root: str, *, wait: float = DEFAULT_WAIT, progress: Progress | None = None) -> None:
        self.root = root
        self.dotdir = os.path.join(root, DOT)
        if not is_replica(root):
            raise NoRepositoryError(f"no replica at {root}", "make one with `replican init`")
        self.wait = wait
        self.progress: Progress = progress or Silent()
        self.limit_rate: int | None = None
        self.for_another = False
        self.launched: dict[str, Launched] = {}
        self.notes: list[str] = []
        self.at_hand: Mapping[TreeId, bytes] = {}
        """Payloads of trees that were observed just now, for who records them next."""
        self._hooks: Hooks = NoHooks()
        self._hooks_to_be: Callable[[], Hooks] | None = None
        tail = Tail(self.dotdir)
        self.objects = ObjectStore(os.path.join(self.dotdir, "objects"), tail)
        self.refs = RefStore(self.dotdir, self._flaw_of, tail)
        self.tailing = Tailing(tail, self.objects, self.refs, self._index_path)
        self._index: Index | None = None
        self._index_writable = False
        self._graph: Graph | None = None
        self._lock: Lock | None = None
        self._place: tuple[int, int] | None = None
        self._traits: Traits | None = None
        self._held: set[tuple[bytes, str]] | None = None

    @classmethod
    def open(cls, directory: str, *, wait: float = DEFAULT_WAIT, progress: Progress | None = None) -> "Repository":
        """The replica in which ``directory`` lies; raises ``NoRepositoryError``."""
        return cls(find_root(directory), wait=wait, progress=progress)

    @classmethod
    def init(cls, root: str, *, wait: float = DEFAULT_WAIT, progress: Progress | None = None) -> "Repository":
        """Make ``root`` (which is made, too, if need be) a replica with an empty log; one that is there is opened."""
        from replican.effects.config import Config

        try:
            os.makedirs(root, exist_ok=True)
            root = os.path.realpath(root)
            if not is_replica(root):
                dotdir = os.path.join(root, DOT)
                os.makedirs(dotdir, mode=0o700, exist_ok=True)
                for name in _DIRECTORIES:
                    os.makedirs(os.path.join(dotdir, name), mode=0o700, exist_ok=True)
                # The config comes last: a folder whose init was interrupted is no replica yet.
                Config.create(dotdir, os.urandom(8).hex(), settings.user_config_file())
        except (PermissionError, FileExistsError, NotADirectoryError) as error:
            raise FolderError(f"cannot make {root} a replica: {(error.strerror or '').lower()}") from error
        return cls(root, wait=wait, progress=progress)

    def __enter__(self) -> "Repository":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened; the repository can be used again."""
        self.close_index()
        self.objects.close()
        self._held = None
        self.tailing.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def run_hooks(self, tell: Callable[[str, str], None] | None = None) -> None:
        """From now on the folder's hooks are run. What they write goes to ``tell``, with the name of the hook, line by
        line; without it, to ``notes``."""

        def make() -> Hooks:
            from replican.effects.hooks import FolderHooks  # most commands have nothing to tell them

            return FolderHooks(
                self.root,
                self.dotdir,
                lambda: self.config.number("hooks.timeout"),
                settings.for_program,
                tell=tell,
                asks_only=settings.within_hook(),
            )

        self._hooks_to_be = make

    @property
    def hooks(self) -> Hooks:
        """Who hears of what is done in the folder, and is asked: nobody, but after :meth:`run_hooks`."""
        if self._hooks_to_be is not None:
            self._hooks, self._hooks_to_be = self._hooks_to_be(), None
        return self._hooks

    @hooks.setter
    def hooks(self, hooks: Hooks) -> None:
        self._hooks, self._hooks_to_be = hooks, None

    # -- what it is made of -------------------------------------------------------------------------------------

    @cached_property
    def config(self) -> "Config":
        return self.read_config()

    def read_config(self) -> "Config":
        """The config as it is on the disk now."""
        from replican.effects.config import Config

        return Config.load(self.dotdir, settings.user_config_file())

    @property
    def graph(self) -> "Graph":
        """The ancestry of the checkpoints in the object store."""
        if self._graph is None:
            from replican.decisions.graph import Graph

            self._graph = Graph(self.objects)
        return self._graph

    @property
    def index(self) -> "Index":
        """The index: writable while the lock is held. A damaged one is rebuilt then, and said."""
        if self._index is None:
            self._index = self._open_index()
        return self._index

    def _open_index(self) -> "Index":
        self._index_writable = self._lock is not None
        if not self._index_writable and not self.for_another and self.head is not None and not self.has_index:
            self.notes.append(INDEX_MISSING)
        try:
            return self._opened_index()
        except DamagedError as error:
            if error.code != "index-damaged":
                raise
            how = error.message.removeprefix("the index is damaged: ")
            if not self._index_writable:
                raise DamagedError(
                    f"the index is damaged: {how}", "any command that writes rebuilds it: `replican commit`"
                ) from error
            self.notes.append(f"the index was damaged ({how}): rebuilding it from the folder")
            return self._opened_index(rebuild=True)

    def _opened_index(self, rebuild: bool = False) -> "Index":
        from replican.effects.index import Index

        index = Index.open(self._index_path, self._index_writable, rebuild, self.tailing.in_use)
        index.beside = self.tailing
        return index

    @property
    def has_index(self) -> bool:
        """Whether there is an index, in whatever state: who reads takes one that is missing for empty."""
        return os.path.exists(self._index_path)

    @property
    def _index_path(self) -> str:
        return os.path.join(self.dotdir, "index.db")

    def rebuild_index(self, why: str) -> None:
        """Throw the index away and begin a new one; what is in it can be found out again by a scan."""
        self.close_index()
        self._index_writable = True
        why = why.removeprefix("the index is damaged: ")
        self.notes.append(f"the index was damaged ({why}): rebuilding it from the folder")
        self._index = self._opened_index(rebuild=True)
        self._index.take_journal()

    @property
    def block_cache_path(self) -> str:
        """Where the block lists lie that are known."""
        return os.path.join(self.dotdir, "blocks.db")

    def close_index(self) -> None:
        if self._index is not None:
            self._index.close()
            self._index = None
        self._traits = None

    def tree(self, tree: TreeId, /) -> Sequence[Entry]:
        """A tree from the log, or one that the index knows and the log does not have yet."""
        if tree == EMPTY_TREE:
            return ()
        try:
            return self.objects.tree(tree)
        except NotFoundError:
            if self._index is None and not self.has_index:
                raise
            return self.index.tree(tree)

    def checkpoint(self, checkpoint: CheckpointId, /) -> Checkpoint:
        return self.objects.checkpoint(checkpoint)

    def _flaw_of(self, named: CheckpointId) -> str | None:
        """Why no ref can name this: it is no checkpoint, or nowhere. One that is damaged says so when it is read."""
        try:
            self.objects.checkpoint(named)
        except NotFoundError as error:
            return f"names no checkpoint: {error.message}"
        except DamagedError:
            pass
        return None

    @property
    def traits(self) -> "Traits":
        """What the folder's file system can hold; found out while the lock is held, else what is known of it."""
        from replican.effects.probing import known_traits, traits_of

        if not self._index_writable:
            return known_traits(self.index)
        if self._traits is None:
            self._traits = traits_of(self.root, self.dotdir, self.index)
        return self._traits

    def forget_traits(self) -> None:
        """What was found of the file system is not so any more: the next who asks has it found out anew."""
        from replican.effects.probing import forget_traits

        self._traits = None
        forget_traits(self.index)

    @property
    def held_before(self) -> set[tuple[bytes, str]]:
        """The paths, each with the cause, that were held when this was first asked: before anything was done."""
        if self._held is None:
            self._held = {(each.path, each.cause) for each in self.index.pending() if each.held}
        return self._held

    # -- where it stands ----------------------------------------------------------------------------------------

    @property
    def head(self) -> CheckpointId | None:
        return self.refs.read(HEAD)

    @property
    def head_tree(self) -> TreeId:
        """The tree of the head; the empty one before the first checkpoint."""
        return self.tree_of(self.head)

    def tree_of(self, head: CheckpointId | None) -> TreeId:
        return EMPTY_TREE if head is None else self.checkpoint(head).tree

    def author(self, time_ns: int) -> Author:
        """Who records here, at ``time_ns`` unless the environment says otherwise."""
        given = settings.author_date_ns()
        configured = self._configured_author()
        if self.for_another:
            name = settings.author_of(os.stat(self.root).st_uid, self.config.own_text("author.name"), configured)
        else:
            name = settings.author_name(configured)
        return Author(name, self.config.peer_id, time_ns if given is None else given)

    def _configured_author(self) -> str | None:
        return self.config.text("author.name") or None

    @property
    def who(self) -> str:
        """For reflogs."""
        return f"{settings.author_name(self._configured_author())} {self.config.peer_id}"

    # -- writing ------------------------------------------------------------------------------------------------

    @property
    def is_locked_here(self) -> bool:
        return self._lock is not None

    @contextmanager
    def writing(self, what: str) -> Iterator[None]:
        """Hold the lock, with a writable index that an earlier, killed run has been cleared out of.

        ``what`` is what others are told that we do. Within another ``writing``, or ``locked``, it changes nothing.
        """
        if self._lock is not None:
            yield
            return
        with self.locked(what):
            self.recover()
            yield

    @contextmanager
    def locked(self, what: str) -> Iterator[None]:
        """Hold the lock, and no more: for who mends what :meth:`writing` needs to be whole."""
        if not os.path.isdir(self.dotdir):
            raise NoRepositoryError(f"no replica at {self.root} any more", "is the disk that holds it mounted?")
        self._check_directories()
        self._place = identity_of(self.root)
        lock = Lock(self.dotdir, what)
        lock.acquire(self.wait)
        self._lock = lock
        interrupted = False
        try:
            self.close_index()
            yield
        except BaseException as error:
            interrupted = not isinstance(error, Exception)
            raise
        finally:
            self.close_index()
            try:
                self.tailing.end(interrupted)
            finally:
                self._lock = None
                lock.release()
            if not interrupted:
                self.notes += self.hooks.tell_now()

    def check_place(self) -> None:
        """Raise ``NoRepositoryError`` if the folder is not the one that was locked: its disk may be gone by now."""
        if self._place != identity_of(self.root):
            raise NoRepositoryError(
                f"no replica at {self.root} any more: another folder took its place",
                "is the disk that holds it mounted?",
            )

    def _check_directories(self) -> None:
        """Nothing is ever written through a link."""
        for name in _DIRECTORIES:
            path = os.path.join(self.dotdir, name)
            if os.path.islink(path):
                raise DamagedError(f"{path} is a link", "put a directory in its place, with what belongs into it")

    def recover(self) -> None:
        """Clear up after an earlier, killed run; needs the lock."""
        from replican.effects.recovery import recover

        try:
            self.tailing.take_in()
            self.index.take_journal()
            self.notes += recover(self.root, self.dotdir, self.index, self.head, self)
            if not self.tailing.in_use:
                self.tailing.put_down()
        except DamagedError as error:
            if error.code != "index-damaged":
                raise
            self.rebuild_index(error.message)
