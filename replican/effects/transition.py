"""The second half of a transition: what was prepared takes its place, name by name.

The order, within one batch that the journal has noted: new directories, moves, then each name with all its versions
(conflict copies first, then what goes, then what comes), then directories that are empty now, then what had to wait for
them. Every step is a rename, after a last look that the disk still holds what the index says; what came out of a name
is looked at again. What cannot be done stays as it is, and pending: it is a value in the outcome and never an error.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from replican.decisions.plan import Group, Move
from replican.decisions.treediff import Change
from replican.effects.index import Index
from replican.effects.ledger import Ledger
from replican.effects.linux import exchange, rename_case, rename_new
from replican.effects.placing import CHANGED_HERE, Looked, adopt_attributes, as_placed, cause_of, look, place_across
from replican.effects.preparing import BuiltDirectory, Prepared, needs_content
from replican.effects.staging import Slot, Stage
from replican.effects.trash import Trash, is_same_inode
from replican.effects.treebuild import row_of
from replican.effects.worktree import Directories, set_mode
from replican.values.journal import JournalEntry
from replican.values.listing import decode_listing
from replican.values.paths import join, name_of, parent_of
from replican.values.progress import Problem, Progress
from replican.values.traits import Traits
from replican.values.trees import DIRECTORY, Entry

_BATCH = 2000

_Meant = tuple[bytes, Entry | None, Entry | None]
"""A path with what it holds and what it shall hold."""


class Outcome(NamedTuple):
    """What a transition did: how many names it changed, and what is pending now."""

    written: int
    removed: int
    moved: int
    pending: list[Problem]


class Transition:
    """Carries out one prepared plan on one folder."""

    def __init__(self, root: str, index: Index, stage: Stage, trash: Trash, progress: Progress, traits: Traits):
        self._index = index
        self._stage = stage
        self._trash = trash
        self._progress = progress
        self._traits = traits
        self._directories = Directories(root)
        self._ledger = Ledger(index)
        self._pending: list[Problem] = []
        self._touched: set[bytes] = set()
        self._counts = {"written": 0, "removed": 0, "moved": 0}

    def run(self, prepared: Prepared) -> Outcome:
        """Bring the folder to the plan's head, as far as it can be."""
        plan = prepared.plan
        waiting = {path for path, _ in plan.gone}
        late = [group for group in plan.groups if any(change.path in waiting for change in group.changes)]
        in_the_way = set(map(id, late))
        groups = [group for group in plan.groups if id(group) not in in_the_way] if late else plan.groups
        try:
            for move in plan.recased:  # those below first
                with self._batch([(move.old, move.was, None), (move.new, None, move.was)]):
                    self._move(move, recase=True)
            self._bring_and_move(prepared)
            for at in range(0, len(groups), _BATCH):
                batch = groups[at : at + _BATCH]
                with self._batch((c.path, c.old, c.new) for group in batch for c in group.changes):
                    for group in batch:
                        self._do_group(group, prepared.slots)
            self._clear_and_replace(prepared, late)
        finally:
            self._directories.close()
            self._progress.end()
        self._pending += prepared.lacking
        return Outcome(self._counts["written"], self._counts["removed"], self._counts["moved"], self._pending)

    def _bring_and_move(self, prepared: Prepared) -> None:
        """New directories where nothing is in their way, then what only changes its place: it may go into those."""
        plan = prepared.plan
        coming = [built for built in prepared.built if built.new.replaces is None]
        paths: list[_Meant] = [(new.path, None, new.entry) for new in plan.new if new.replaces is None]
        paths += [(move.old, move.was, None) for move in plan.moves]
        paths += [(move.new, None, move.entry) for move in plan.moves]
        with self._batch(paths):
            for built in coming:
                self._bring_directory(built)
            for move in plan.moves:
                self._move(move)
            # Before any row is noted: what the disk lacks would be taken for the user's edit after a kill.
            for built in coming:
                self._finish_permissions(built)

    def _clear_and_replace(self, prepared: Prepared, late: list[Group]) -> None:
        """Directories that are empty now go, then come the files and directories that had to wait for their names."""
        plan = prepared.plan
        replacing = [built for built in prepared.built if built.new.replaces is not None]
        paths: list[_Meant] = [(path, entry, None) for path, entry in plan.gone]
        paths += [(change.path, change.old, change.new) for group in late for change in group.changes]
        paths += [(built.new.path, None, built.new.entry) for built in replacing]
        paths += [(change.path, change.old, change.new) for change in plan.perms]
        with self._batch(paths):
            for path, entry in plan.gone:
                self._remove_directory(path, entry)
            for group in late:
                self._do_group(group, prepared.slots)
            for built in replacing:
                self._bring_directory(built)
                self._finish_permissions(built)
            for change in plan.perms:
                self._change_permissions(change)

    # -- a batch ------------------------------------------------------------------------------------------------

    @contextmanager
    def _batch(self, paths: Iterable[_Meant]) -> Iterator[None]:
        """Note the paths that are about to be changed; what is done within is on the disk and in the index after it."""
        entries = [JournalEntry(*meant) for meant in paths]
        if entries:
            self._index.note_journal(entries)
        yield
        if entries:
            self._end()

    def _end(self) -> None:
        """Flush what was touched, then note rows and clear the journal: never the other way round."""
        self._directories.flush(self._touched)
        self._trash.flush()
        self._touched.clear()
        self._directories.forget()
        self._index.add_trash(self._trash.taken)
        self._trash.taken.clear()
        self._ledger.settle()

    def _open(self, path: bytes, problem_paths: Callable[[], Iterable[bytes]]) -> int | None:
        """The descriptor of a directory that is about to be changed; None, and pending, if it cannot be."""
        try:
            self._ledger.expect_directory(path)
            fd = self._directories.open(path)
            if not os.access(".", os.W_OK | os.X_OK, dir_fd=fd, effective_ids=True):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            cause = CHANGED_HERE if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP) else cause_of(error)
            self._pending += [Problem(path, cause) for path in problem_paths()]
            return None
        self._touched.add(path)
        return fd

    # -- directories --------------------------------------------------------------------------------------------

    def _bring_directory(self, built: BuiltDirectory) -> None:
        new = built.new
        row = self._ledger.row(new.path)
        if row is not None and row.kind != DIRECTORY:
            return  # the file that it replaces is pending, even where it is gone
        parent, name = parent_of(new.path), name_of(new.path)
        fd = self._open(parent, lambda: [new.path])
        if fd is None:
            return
        try:
            rename_new(self._stage.fd, join(built.place, new.path), fd, name)
            self._directories.forget()
            self._note_directories(built, new.path, new.entry, fd_parent=parent)
        except FileExistsError:
            self._bring_children(built, new.path, new.entry)
        except OSError as error:
            self._pending.append(Problem(new.path, cause_of(error)))

    def _note_directories(self, built: BuiltDirectory, path: bytes, entry: Entry, fd_parent: bytes) -> None:
        """New directories came; raises ``FileNotFoundError`` if a user was quick enough to remove them."""
        found = os.lstat(name_of(path), dir_fd=self._directories.open(fd_parent))
        if found.st_ino != built.filled[path].ino:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        prefix = path + b"/"
        filled = [each for at, each in built.filled.items() if at == path or at.startswith(prefix)]
        for each in filled:
            tree = built.trees[each.path] if built.whole else None
            self._ledger.add_directory(each, tree, built.added.get(each.path, []))
            self._counts["written"] += each.files
        perm = entry.perm if self._traits.modes else found.st_mode & 0o7777
        self._ledger.put(fd_parent, row_of(entry, found)._replace(disk_mode=perm))

    def _bring_children(self, built: BuiltDirectory, path: bytes, entry: Entry) -> None:
        """Something stands at the place of a new directory: if it is one too, its names come one by one."""
        try:
            into = self._directories.open_listed(path)
        except OSError:
            self._pending.append(Problem(path, CHANGED_HERE))
            return
        self._touched.add(path)
        self._ledger.put(parent_of(path), row_of(entry, os.fstat(into)))
        self._ledger.enter(path)
        for row in [*decode_listing(built.filled[path].rows_blob), *built.added.get(path, [])]:
            child = join(path, row.name)
            into = self._directories.open(path)
            try:
                placed = os.lstat(join(built.place, child), dir_fd=self._stage.fd)
                rename_new(self._stage.fd, join(built.place, child), into, row.name)
                if row.kind == DIRECTORY:
                    self._note_directories(built, child, row.entry, fd_parent=path)
                else:
                    self._ledger.put(path, row_of(row.entry, as_placed(row.name, into, placed)))
                    self._counts["written"] += 1
            except FileExistsError:
                if row.kind == DIRECTORY:
                    self._bring_children(built, child, row.entry)
                else:
                    self._pending.append(Problem(child, CHANGED_HERE))
            except OSError as error:
                self._pending.append(Problem(child, cause_of(error)))

    def _finish_permissions(self, built: BuiltDirectory) -> None:
        """Give those directories their permissions whose owner could not have reached into them before."""
        for path, perm in built.closed:
            try:
                fd = self._directories.open(parent_of(path))
                set_mode(name_of(path), fd, perm, self._traits.modes)
                if not self._traits.modes:
                    self._ledger.note_mode(path, os.lstat(name_of(path), dir_fd=fd))
            except OSError as error:
                self._pending.append(Problem(path, cause_of(error)))

    def _set_directory_mode(self, path: bytes, entry: Entry) -> None:
        parent = parent_of(path)
        try:
            fd = self._directories.open(parent)
            set_mode(name_of(path), fd, entry.perm, self._traits.modes)
            self._ledger.put(parent, row_of(entry, os.lstat(name_of(path), dir_fd=fd)))
        except OSError as error:
            self._pending.append(Problem(path, cause_of(error)))

    def _change_permissions(self, change: Change) -> None:
        row = self._ledger.row(change.path)
        if row is None or change.new is None:
            return
        fd = self._open(parent_of(change.path), lambda: [change.path])
        if fd is None:
            return
        try:
            found = os.lstat(name_of(change.path), dir_fd=fd)
        except OSError:
            self._pending.append(Problem(change.path, CHANGED_HERE))
            return
        if not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o7777 != row.disk_mode:
            self._pending.append(Problem(change.path, CHANGED_HERE))
            return
        # The id below it is what the ledger knows, not what the head wants: something in it may be pending.
        self._set_directory_mode(change.path, row.entry._replace(perm=change.new.perm))

    def _remove_directory(self, path: bytes, entry: Entry) -> None:
        """A directory that should be gone. Ignored and skipped things keep it on the disk, but not in the log."""
        if self._ledger.rows(path):
            return  # something in it is pending
        fd = self._open(parent_of(path), lambda: [path])
        if fd is None:
            return
        try:
            os.rmdir(name_of(path), dir_fd=fd)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR):
                self._pending.append(Problem(path, cause_of(error)))
                return
        self._directories.forget()
        self._touched.discard(path)
        self._ledger.drop_directory(path)

    # -- moves --------------------------------------------------------------------------------------------------

    def _move(self, move: Move, recase: bool = False) -> None:
        row = self._ledger.row(move.old)
        paths = [move.old, move.new]
        target = self._open(parent_of(move.new), lambda: paths)
        if target is None:
            return
        target = os.dup(target)
        try:
            source = self._open(parent_of(move.old), lambda: paths)
            if source is None:
                return
            looked = look(name_of(move.old), source, row)
            if looked is None:
                self._pending += [Problem(path, CHANGED_HERE) for path in paths]
                return
            self._move_looked(move, source, target, looked, recase)
        except OSError as error:
            self._pending += [Problem(path, cause_of(error)) for path in paths]
        finally:
            os.close(target)

    def _move_looked(self, move: Move, source: int, target: int, looked: os.stat_result, recase: bool) -> None:
        old, new, rename = name_of(move.old), name_of(move.new), rename_case if recase else rename_new
        rename(source, old, target, new)
        found = os.lstat(new, dir_fd=target)
        ino = found.st_ino if recase else looked.st_ino  # which may hang on the name
        if move.entry.kind == DIRECTORY:
            same = found.st_ino == ino
        else:
            same = is_same_inode(found, ino, looked.st_size, looked.st_mtime_ns)
        if not same:
            rename(target, new, source, old)
            self._pending += [Problem(path, CHANGED_HERE) for path in (move.old, move.new)]
            return
        found = adopt_attributes(new, target, found, move.was, move.entry, self._traits.modes)
        self._counts["moved"] += 1
        if move.entry.kind == DIRECTORY:
            self._directories.forget()
            self._ledger.move_directory(move.old, move.new, row_of(move.entry, found))
        else:
            self._ledger.drop(move.old)
            self._ledger.put(parent_of(move.new), row_of(move.entry, found))

    # -- names with their versions ------------------------------------------------------------------------------

    def _do_group(self, group: Group, slots: dict[bytes, Slot]) -> None:
        paths = [change.path for change in group.changes]
        looked, fd = Looked(), self._open(group.directory, lambda: paths)
        if fd is None:
            return
        if not looked.at_group(group, fd, self._ledger.rows(group.directory)):
            self._pending += [Problem(path, CHANGED_HERE) for path in paths]
            return
        for change in group.in_order():
            try:
                self._do_change(change, fd, looked, slots.get(change.path))
            except OSError as error:
                self._pending.append(Problem(change.path, cause_of(error)))

    def _do_change(self, change: Change, fd: int, looked: Looked, slot: Slot | None) -> None:
        path, old, new = change
        name = name_of(path)
        was = looked.found.get(path)
        if new is None:
            assert old is not None
            if was is None:
                self._ledger.drop(path)
            elif self._trash.take(fd, name, path, old, was):
                self._ledger.drop(path)
                self._counts["removed"] += 1
            else:
                self._pending.append(Problem(path, CHANGED_HERE))
            return
        if not needs_content(old, new):
            assert old is not None
            assert was is not None
            found = adopt_attributes(name, fd, was, old, new, self._traits.modes)
            self._ledger.put(parent_of(path), row_of(new, found))
            self._counts["written"] += 1
            return
        if slot is None:
            return  # it has no source, which is said already
        placed = self._place_new(slot, fd, name) if was is None else self._replace(slot, name, fd, path, old, was)
        if placed is None:
            self._pending.append(Problem(path, CHANGED_HERE))
            return
        self._ledger.put(parent_of(path), row_of(new, as_placed(name, fd, placed)))
        self._counts["written"] += 1
        self._progress.advance(1, new.size)

    def _place_new(self, slot: Slot, fd: int, name: bytes) -> os.stat_result:
        """Put staged content at a name that is free; what then lies there."""
        placed = os.lstat(slot.name, dir_fd=self._stage.fd)
        try:
            rename_new(self._stage.fd, slot.name, fd, name)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return place_across(self._stage.fd, slot.name, fd, name)
        return placed

    def _replace(
        self, slot: Slot, name: bytes, fd: int, path: bytes, old: Entry | None, was: os.stat_result
    ) -> os.stat_result | None:
        """Put staged content in the place of a file, which goes into the trash; what then lies there. None if it was
        not the one looked at any more."""
        assert old is not None
        placed = os.lstat(slot.name, dir_fd=self._stage.fd)
        try:
            swapped = exchange(self._stage.fd, slot.name, fd, name)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            swapped = False
        if not swapped:
            return self._place_new(slot, fd, name) if self._trash.take(fd, name, path, old, was) else None
        out = os.lstat(slot.name, dir_fd=self._stage.fd)
        if is_same_inode(out, was.st_ino, was.st_size, was.st_mtime_ns):
            self._trash.take(self._stage.fd, slot.name, path, old, out)
            return placed
        exchange(self._stage.fd, slot.name, fd, name)
        return None
