"""A remote that is a folder on this machine."""

import os
import stat
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

from replican.decisions.frontier import JoinKind, join
from replican.effects.contents import ContentStore, CopyStore, FolderStore, ShelfStore
from replican.effects.forkpool import Beside, beside_telling
from replican.effects.freezing import UNSTEADY, Freezer, Frozen
from replican.effects.hashing import changed_while_read
from replican.effects.mirror import Mirror
from replican.effects.objects import ObjectStore
from replican.effects.prepared import NO_SOURCE
from replican.effects.worktree import Directories
from replican.operations.receiving import record_for, take_in
from replican.operations.remotes import Refreshed, Taken, check_folder, diverged, of_remote, place_of
from replican.operations.telling import Tell
from replican.repository import Repository
from replican.values.checkpoints import Checkpoint
from replican.values.errors import (
    BusyError,
    DamagedError,
    FolderError,
    LockedError,
    NoRepositoryError,
    NotFoundError,
    RefusedError,
    RemoteError,
    ReplicanError,
)
from replican.values.hooks import POST_CHECKPOINT
from replican.values.ids import BlobId, CheckpointId
from replican.values.paths import name_of, parent_of, show
from replican.values.trees import FILE

if TYPE_CHECKING:
    from replican.operations.heads import Lookout
    from replican.operations.reading import Content, FolderReader


class FolderRemote:
    """A folder with a log of its own, opened: a :class:`~replican.operations.remotes.Remote`."""

    traffic = None

    def __init__(self, name: str, root: str, repository: Repository) -> None:
        self.name = name
        self.place = root
        self.repository = repository
        repository.for_another = True
        self._reader: FolderReader | None = None
        self.seen: CheckpointId | None = None
        self.copies: Freezer | None = None
        self.unsent: Collection[bytes] = ()
        self._frozen = Frozen(repository.dotdir)
        self._copied: list[bytes] = []
        self._changed: set[bytes] = set()

    def refresh(
        self,
        *,
        mirror: Mirror | None = None,
        paths: Collection[bytes] | None = None,
        tell: Tell | None = None,
        prompt: bool = False,
    ) -> Refreshed:
        """``paths`` and ``tell`` are as those of ``record``."""
        # What was copied before is another one by now, and would be the next that nobody has.
        changed, self._changed = {*self._changed, *self._copied}, set()
        copies: Mirror | None = self._keep(changed) if changed and mirror is None and paths is None else mirror
        try:
            refreshed = record_for(self.repository, self.name, mirror=copies, paths=paths, tell=tell, prompt=prompt)
            self.seen = self.repository.head
            return refreshed
        except (DamagedError, NotFoundError) as error:
            raise self.damaged(error) from error
        except NoRepositoryError as error:
            raise of_remote(self.name, error) from error
        finally:
            if self._frozen.copies is not None:
                self._frozen.copies.end()

    def refreshing(self, mirror: Mirror | None = None) -> Beside[Refreshed]:
        """Its scan is another process's. What that has copied to a ``mirror`` it tells with its news."""
        here = self.repository

        def theirs(tell: Tell) -> Refreshed:
            try:
                with Repository(self.place, wait=here.wait, progress=here.progress) as anew:
                    anew.hooks = here.hooks
                    # Who goes ahead waits for us with his folder locked, which a hook of ours may want to use.
                    alone = anew.hooks.has(POST_CHECKPOINT)
                    there = FolderRemote(self.name, self.place, anew)
                    return there.refresh(mirror=mirror, tell=None if alone else tell)
            finally:
                if mirror is not None:
                    mirror.close()

        return beside_telling(theirs)

    def keep_changing(self, refreshed: Refreshed) -> Refreshed:
        changing = changed_while_read(refreshed.unread)
        if not changing or refreshed.refused:
            return refreshed
        changing += self._copied
        again = refreshed.then(self.refresh(mirror=self._keep(changing), paths=changing), changing)
        unsteady = [f"{self.name}: {show(path)}: {UNSTEADY}" for path in self._frozen.unsteady()]
        return again._replace(notes=again.notes + unsteady)

    def _keep(self, paths: Collection[bytes]) -> Freezer:
        """Who makes copies of these, when they are read the next time, and holds them."""
        self._copied = list(paths)
        return self._frozen.begin(restless=paths)

    def drop_copies(self) -> None:
        """Give back the copies that are held: they take up room."""
        self._copied = []
        self._frozen.drop()

    @property
    def has_changed(self) -> bool:
        return bool(self._changed)

    def lacked(self, paths: Collection[bytes]) -> None:
        self._changed.update(_changed_of(self.repository, paths))

    @property
    def head(self) -> CheckpointId | None:
        self.seen = self.repository.head
        if self.seen is None:
            check_folder(self.name, self.place)
        return self.seen

    @contextmanager
    def lookout(self) -> "Iterator[Lookout]":
        from replican.operations.heads import FolderLookout

        lookout = FolderLookout(self, self.repository.dotdir)
        try:
            yield lookout
        finally:
            lookout.close()

    def refs(self) -> Sequence[tuple[str, CheckpointId]]:
        refs = self.repository.refs
        return [(name, id) for name in refs.names() if (id := refs.read(name)) is not None]

    def log_above(self, repo: Repository, head: CheckpointId) -> ObjectStore:
        return self.repository.objects

    def objects(self, ids: Collection[bytes]) -> Mapping[bytes, tuple[bytes, bytes]]:
        found: dict[bytes, tuple[bytes, bytes]] = {}
        for id in ids:
            try:
                found[id] = self.repository.objects.read(id)
            except ReplicanError:
                continue
        return found

    @contextmanager
    def contents(self, unreached: Callable[[RemoteError], None] | None = None) -> Iterator[list[ContentStore]]:
        """Its folder, then its trash, then copies of what changes there all the time."""
        store = FolderStore(self.name, self.place, self.repository.index)
        try:
            yield _stores(self.name, store, self.repository, self._frozen.copies)
        finally:
            store.close()

    def candidates(self, blob: BlobId, hint: bytes) -> "Iterator[Content | None]":
        if self._reader is None:
            from replican.operations.reading import FolderReader

            there = self.repository
            shelves = {f"the trash of {self.name}": f"{there.dotdir}/trash"}
            self._reader = FolderReader(self.name, self.place, there.index, shelves)
        return self._reader.candidates(blob, hint)

    def push(self, repo: Repository, head: CheckpointId | None) -> Taken:
        ours = _Pushing(repo)

        def check(old: CheckpointId | None) -> None:
            with ours.noting():
                known = head is not None and (old is None or repo.objects.has(old))
                if not known or join(repo.graph, old, head).kind is not JoinKind.FAST_FORWARD:
                    raise diverged(self.name)

        store = FolderStore("the pushing folder", repo.root, ours)
        try:
            stores = _stores("the pushing folder", store, repo, self.copies)
            taken = take_in(self.repository, self.name, head, ours, stores, check)
            self.seen = taken.new
            self.unsent = _changed_of(repo, [each.path for each in taken.pending if each.cause == NO_SOURCE])
            return taken
        except RefusedError as error:
            raise self._refused(repo, error) from error
        except (DamagedError, NotFoundError) as error:
            if error is ours.error:
                raise
            raise self.damaged(error) from error
        except LockedError as error:
            raise BusyError(f"remote {self.name}: {error.message}", error.hint) from error
        except FolderError as error:
            raise of_remote(self.name, error) from error
        finally:
            store.close()

    def _refused(self, repo: Repository, error: RefusedError) -> RefusedError:
        """The error for a push of ``repo`` that is refused here, with what opens the gates: no flag that is given there
        does."""
        if not error.gates:
            return error
        message = error.message if error.message.startswith(self.name) else f"remote {self.name}: {error.message}"
        hint = error.hint
        if error.flags:
            from shlex import quote

            here = f"replican -C {quote(self.place)}"
            name = next((each for each in self.repository.config.remotes if self._leads_to(each, repo.root)), None)
            add = ""
            if name is None:
                name = _name_for(repo.root, self.repository.config.remotes)
                add = f"{here} remote add {name} {quote(repo.root)} && "
            hint = f"if that is meant: `{add}{here} {' '.join(['pull', *error.flags, quote(name)])}`"
        return type(error)(message, hint, error.gates)

    def _leads_to(self, name: str, root: str) -> bool:
        try:
            return place_of(self.repository, name) == root
        except ReplicanError:
            return False

    def summary(self) -> list[str]:
        return []

    def damaged(self, error: ReplicanError) -> RemoteError:
        return RemoteError(f"remote {self.name} is damaged: {error.message}", f"run `replican -C {self.place} fsck`")

    def close(self) -> None:
        """Give back what is held, but for the repository."""
        self.drop_copies()
        if self._reader is not None:
            self._reader.close()


def _stores(name: str, folder: FolderStore, repo: Repository, copies: Freezer | None) -> list[ContentStore]:
    """A folder, its trash, and copies of what changes there all the time, if any are held."""
    held: list[ContentStore] = [] if copies is None else [CopyStore(name, copies.open)]
    return [folder, ShelfStore(f"the trash of {name}", f"{repo.dotdir}/trash"), *held]


def _changed_of(repo: Repository, paths: Collection[bytes]) -> list[bytes]:
    """The paths at which another file lies by now than the folder's index says."""
    changed = []
    if not repo.is_locked_here:
        repo.close_index()  # another process may have recorded since it was opened
    with Directories(repo.root) as directories:
        for path in paths:
            row = repo.index.row(path)
            try:
                found = os.lstat(name_of(path), dir_fd=directories.open(parent_of(path)))
            except OSError:
                continue
            look = found.st_size, found.st_mtime_ns, found.st_ctime_ns
            if row is not None and row.kind == FILE and stat.S_ISREG(found.st_mode):
                changed += [path] if look != (row.size, row.disk_mtime_ns, row.ctime_ns) else []
    return changed


class _Pushing:
    """What is asked of the folder that pushes. ``error``: what was wrong with that, and is not with the remote."""

    def __init__(self, repo: Repository) -> None:
        self._repo = repo
        self.error: ReplicanError | None = None

    @contextmanager
    def noting(self) -> Iterator[None]:
        try:
            yield
        except ReplicanError as error:
            self.error = error
            raise

    def checkpoint(self, checkpoint: CheckpointId, /) -> Checkpoint:
        with self.noting():
            return self._repo.objects.checkpoint(checkpoint)

    def payload(self, kind: bytes, id: bytes, /) -> bytes:
        with self.noting():
            return self._repo.objects.payload(kind, id)

    def find_paths(self, blobs: Collection[BlobId]) -> Mapping[BlobId, bytes]:
        with self.noting():
            return self._repo.index.find_paths(blobs)


def _name_for(root: str, taken: Collection[str]) -> str:
    """What a folder may be called as a remote, where these names are taken."""
    base = os.path.basename(root)
    if not base.isascii() or not base.replace("-", "_").isidentifier() or base.startswith("-"):
        base = "other"
    return next(name for number in count(1) if (name := base if number == 1 else f"{base}{number}") not in taken)
