"""Repair: what is damaged in a replica's own directory is made anew from whatever still knows it.

Refs come from their reflogs, objects from damaged packs as far as these are whole, from the index and from the remotes'
logs, the index from a scan. Each object has to have the hash that its id says, so nothing is ever made up. What is
replaced is set aside, never deleted, and no file of the user's is touched.
"""

import os
import stat
from collections.abc import Iterable
from contextlib import ExitStack
from typing import NamedTuple

from replican.decisions.treediff import walk_tree
from replican.effects.block_cache import check_cache, files_of
from replican.effects.forms import CHECKPOINT, TREE, check_object
from replican.effects.index_check import check_index
from replican.effects.loose import LooseObjects
from replican.effects.refs import ANY, HEAD, remote_head
from replican.effects.salvage import bad_packs, packs_aside, set_aside, whole_objects
from replican.operations.checking import BLOCKS, INDEX, OBJECT, PLACE, REF, REFLOG, TAIL, Checked, check, in_the_way
from replican.operations.recording import observe
from replican.operations.remaking import record_anew
from replican.operations.remotes import Remote, opened_remote
from replican.repository import Repository
from replican.values.checkpoints import Checkpoint
from replican.values.errors import DamagedError, NotFoundError, ReplicanError
from replican.values.ids import EMPTY_TREE, CheckpointId, TreeId, object_hash
from replican.values.trees import DIRECTORY, Entry, encode_tree

_BATCH = 2000


class Mended(NamedTuple):
    """One thing that was mended: what it is, its name (an id, a ref, a file), and how."""

    what: str
    name: str
    how: str


class Repaired(NamedTuple):
    """What was mended, and what a check finds afterwards."""

    mended: list[Mended]
    checked: Checked


def repair(repo: Repository, *, content: bool = False) -> Repaired:
    """Mend what can be mended, and check what there is then (``content``: all files, too). Takes the lock.

    Safe to be killed at any moment: what was set aside is looked through again by the next repair.
    """
    with ExitStack() as opened:
        work = _Repair(repo, opened)
        work.clear_lock()
        opened.enter_context(repo.locked("repair"))
        work.clear_ways()
        work.mend_refs()
        work.mend_objects()
        work.mend_aims()
        work.mend_reflogs()
        work.mend_index()
        work.mend_block_lists()
        repo.notes += work.notes
    return Repaired(work.mended, check(repo, content=content))


class _Repair:
    def __init__(self, repo: Repository, opened: ExitStack) -> None:
        self._repo = repo
        self._opened = opened
        self._others: list[Remote] | None = None
        self._index = f"{repo.dotdir}/index.db"
        self.mended: list[Mended] = []
        self.notes: list[str] = []

    def clear_lock(self) -> None:
        """Set aside what lies at the place of the lock: nobody can hold that."""
        if "lock" in dict(in_the_way(self._repo.dotdir)):
            self._set_aside("lock")

    def clear_ways(self) -> None:
        """Set aside what lies at the place of a file or a directory of ours, and is nothing of the kind. (A link in the
        place of a directory may lead to what belongs there; the lock is not to be had then.)"""
        for name, _ in in_the_way(self._repo.dotdir):
            self._set_aside(name)
        for suffix in ("", "-wal", "-shm"):
            self._clear(self._index + suffix, directory=False)
        if self._repo.tailing.flaw is not None:
            set_aside(self._repo.dotdir, f"{self._repo.dotdir}/{TAIL}")
            self.mended.append(Mended(TAIL, "tail", "set aside: what was recorded last may be missing"))

    def _set_aside(self, name: str) -> None:
        set_aside(self._repo.dotdir, f"{self._repo.dotdir}/{name}")
        self.mended.append(Mended(PLACE, name, "what had its place was set aside"))

    # -- refs ---------------------------------------------------------------------------------------------------

    def _refs(self) -> list[str]:
        names = {HEAD, *self._repo.refs.names()}
        try:
            names.update(remote_head(name) for name in self._repo.config.remotes)
        except ReplicanError:
            pass  # nobody but the user can mend the config
        return sorted(names)

    def mend_refs(self) -> None:
        """Every ref holds an id that it had: what it names may be found yet."""
        for name in self._refs():
            self._clear_way(name)
            self._mend_ref(name)

    def mend_reflogs(self) -> None:
        for name in self._refs():
            self._mend_reflog(name)

    def _clear_way(self, name: str) -> None:
        """Set aside what lies at the place of a ref, its reflog, or a directory above, and is nothing of the kind."""
        at = f"{self._repo.dotdir}/refs"
        parts = name.split("/")
        for part in parts[:-1]:
            at = f"{at}/{part}"
            self._clear(at, directory=True)
        for path in (f"{at}/{parts[-1]}", f"{at}/{parts[-1]}.log"):
            self._clear(path, directory=False)

    def _clear(self, path: str, directory: bool) -> None:
        try:
            mode = os.lstat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return
        if not (stat.S_ISDIR(mode) if directory else stat.S_ISREG(mode)):
            set_aside(self._repo.dotdir, path)

    def _mend_ref(self, name: str) -> None:
        refs = self._repo.refs
        values = [line.new for line in refs.reflog(name) if line.new is not None]
        try:
            now = refs.value(name)
        except DamagedError:
            now = None
        else:
            # The line of its last move may have been in the tail: then a remote may have what it names.
            if now is None or now in values or not values or self._have(CHECKPOINT, now) is not None:
                return
        if values:
            self._put_back(name, values[0], "which its reflog has")
        elif name != HEAD:
            self._make_anew(name)

    def mend_aims(self) -> None:
        """A ref that still leads to nothing, now that all is here that is to be had, goes back to where it was before.

        The folder of a head that does has more than its log then: that is recorded anew.
        """
        for name in self._refs():
            try:
                now = self._repo.refs.value(name)
            except DamagedError:
                continue
            if now is None or self._is_readable(now):
                continue
            past = dict.fromkeys(line.new for line in self._repo.refs.reflog(name) if line.new is not None)
            value = next((each for each in past if each != now and self._is_whole(each)), None)
            if value is not None:
                self._put_back(name, value, f"since {now.hex()} is no checkpoint that can be had")
                if name == HEAD:
                    self._record_anew(now)
            elif name != HEAD:
                self._make_anew(name)

    def _put_back(self, name: str, value: CheckpointId, why: str) -> None:
        self._repo.refs.update(name, value, ANY, "fsck --repair", self._repo.who)
        self.mended.append(Mended(REF, name, f"put back to {value.hex()}, {why}"))

    def _make_anew(self, name: str) -> None:
        """What a remote's head was is known again by the next fetch."""
        for path in (name, f"{name}.log"):
            if os.path.lexists(f"{self._repo.dotdir}/refs/{path}"):
                set_aside(self._repo.dotdir, f"{self._repo.dotdir}/refs/{path}")
        self.mended.append(Mended(REF, name, "set aside: the next fetch makes it anew"))

    def _record_anew(self, lost: CheckpointId) -> None:
        try:
            made = record_anew(self._repo, lost)
        except (DamagedError, NotFoundError) as error:
            self.notes.append(f"what the folder held was not recorded anew: {error.message}")
            return
        if made is not None:
            self.mended.append(Mended(OBJECT, made.hex(), f"recorded anew, in the place of {lost.hex()}"))

    def _is_whole(self, checkpoint: CheckpointId) -> bool:
        """Whether a checkpoint can be had with all of its tree; what is missing of it and can be had is here then."""
        self._find([checkpoint])
        try:
            for _ in walk_tree(self._repo.objects, self._repo.checkpoint(checkpoint).tree):
                pass
        except ReplicanError:
            return False
        return True

    def _is_readable(self, checkpoint: CheckpointId) -> bool:
        try:
            self._repo.checkpoint(checkpoint)
        except ReplicanError:
            return False
        return True

    def _mend_reflog(self, name: str) -> None:
        repo = self._repo
        try:
            mended = repo.refs.mend_reflog(name, repo.who, lambda path: set_aside(repo.dotdir, path))
        except DamagedError:
            return  # of a ref that has no value: the check tells
        if mended:
            self.mended.append(Mended(REFLOG, name, "written anew, from what could be read of it"))

    # -- objects ------------------------------------------------------------------------------------------------

    def mend_objects(self) -> None:
        repo = self._repo
        loose = LooseObjects(f"{repo.objects.path}/loose")
        for base in bad_packs(f"{repo.objects.path}/pack"):
            for path in (f"{base}.pack", f"{base}.idx"):
                if os.path.lexists(path):
                    set_aside(repo.dotdir, path)
            self.mended.append(Mended(OBJECT, os.path.basename(base), "set aside: what is whole in it is taken over"))
        repo.objects.close()
        for id in list(repo.objects.every_id()):
            try:
                check_object(*_read(repo, id))
            except ReplicanError:
                path = loose.path_of(id)
                if os.path.lexists(path):
                    set_aside(repo.dotdir, path)
                    self.mended.append(Mended(OBJECT, id.hex(), "set aside"))
        repo.objects.close()
        self._take_over_whole()
        self._find_missing()

    def _take_over_whole(self) -> None:
        """Store again what is whole in packs that were set aside."""
        objects = self._repo.objects
        for base in packs_aside(self._repo.dotdir):
            batch: dict[bytes, tuple[bytes, bytes]] = {}
            for id, kind, payload in whole_objects(base):
                batch[id] = (kind, payload)
                if len(batch) >= _BATCH:
                    self._store(batch)
                    batch = {}
            self._store(batch)
        objects.close()

    def _store(self, batch: dict[bytes, tuple[bytes, bytes]]) -> None:
        lacking = set(self._repo.objects.lacking(batch))
        if lacking:
            self._repo.objects.add({id: batch[id] for id in lacking})

    def _find_missing(self) -> None:
        """Get what the refs lead to and the log lacks from the index and the remotes."""
        refs = self._repo.refs
        self._find([at for name in refs.names() if (at := refs.value(name)) is not None])

    def _find(self, checkpoints: Iterable[CheckpointId]) -> None:
        stack: list[tuple[bytes, bytes]] = [(CHECKPOINT, at) for at in checkpoints]
        seen: set[bytes] = {EMPTY_TREE}
        while stack:
            kind, id = stack.pop()
            if id in seen:
                continue
            seen.add(id)
            form = self._have(kind, id)
            if isinstance(form, Checkpoint):
                stack += [(TREE, form.tree), *((CHECKPOINT, parent) for parent in form.parents)]
            elif form is not None:
                stack += [(TREE, entry.id) for entry in form if entry.kind == DIRECTORY]

    def _have(self, kind: bytes, id: bytes) -> Checkpoint | Iterable[Entry] | None:
        """The object ``id``, from wherever it is to be had; None if it is nowhere."""
        repo = self._repo
        try:
            return repo.objects.checkpoint(CheckpointId(id)) if kind == CHECKPOINT else repo.objects.tree(TreeId(id))
        except ReplicanError:
            pass
        for where, payload in self._offers(kind, id):
            if object_hash(kind, payload) != id:
                continue
            try:
                form = check_object(kind, id, payload)
            except ReplicanError:
                continue
            repo.objects.add({id: (kind, payload)})
            self.mended.append(Mended(OBJECT, id.hex(), f"taken from {where}"))
            return form
        return None

    def _offers(self, kind: bytes, id: bytes) -> Iterable[tuple[str, bytes]]:
        if kind == TREE:
            try:
                yield "the index", encode_tree(self._repo.index.tree(TreeId(id)))
            except ReplicanError:
                pass
        if self._others is None:
            self._others = [*self._remotes()]
        for other in self._others:
            try:
                found = other.objects([id]).get(id)
            except ReplicanError:
                continue
            if found is not None and found[0] == kind:
                yield other.place, found[1]

    def _remotes(self) -> Iterable[Remote]:
        try:
            names = list(self._repo.config.remotes)
        except ReplicanError:
            return
        for name in names:
            try:
                yield self._opened.enter_context(opened_remote(self._repo, name))
            except ReplicanError as error:
                self.notes.append(f"not asked for objects: {error.message}")

    # -- the index ----------------------------------------------------------------------------------------------

    def mend_index(self) -> None:
        """A damaged index is made anew by a scan; a sound one is cleared of what a killed run left."""
        repo = self._repo
        missing = not os.path.exists(self._index)
        try:
            check_index(repo.index)
        except DamagedError as error:
            if error.code != "index-damaged":
                raise
            repo.rebuild_index(error.message)
        try:
            repo.recover()
            # One whose very beginning is damaged is made anew when it is opened, here or before.
            if missing or any("index was damaged" in note for note in repo.notes):
                observe(repo)
                self.mended.append(Mended(INDEX, "index.db", "made anew by a scan of the folder"))
        except (DamagedError, NotFoundError) as error:
            self.notes.append(f"the folder was not looked at: {error.message}")

    # -- block lists --------------------------------------------------------------------------------------------

    def mend_block_lists(self) -> None:
        """A damaged cache makes room for the next one."""
        path = self._repo.block_cache_path
        if check_cache(path) is None:
            return
        for each in files_of(path):
            if os.path.lexists(each):
                set_aside(self._repo.dotdir, each)
        self.mended.append(Mended(BLOCKS, "blocks.db", "set aside: block lists are made anew as they are needed"))


def _read(repo: Repository, id: bytes) -> tuple[bytes, bytes, bytes]:
    kind, payload = repo.objects.read(id)
    return kind, id, payload
