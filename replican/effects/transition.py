"""The second half of a transition: what was prepared takes its place, name by name.

The order, within one batch that the journal has noted: new directories, moves, then each name with all its versions
(conflict copies first, then what goes, then what comes), then directories that are empty now, then what had to wait for
them. Every step is a rename, after a last look that the disk still holds what the index says; what came out of a name
is looked at again. What cannot be done stays as it is, and pending: it is a value in the outcome and never an error.
"""

import errno
import os
import stat
from typing import NamedTuple

from replican.decisions.plan import Group, Move
from replican.decisions.treediff import Change
from replican.effects.arrivals import bring_directory, finish_permissions
from replican.effects.linux import exchange, rename_case, rename_new
from replican.effects.placing import CHANGED_HERE, Looked, adopt_attributes, as_placed, failure_of, look, place_across
from replican.effects.prepared import BuiltDirectory, Prepared, needs_content, wanted_of
from replican.effects.site import BATCH, Meant, Site
from replican.effects.staging import Slot
from replican.effects.swapping import Swapping, close_again, opened_up
from replican.effects.trash import is_same_inode
from replican.effects.treebuild import row_of
from replican.effects.worktree import set_mode
from replican.values.paths import ancestors_of, name_of, parent_of
from replican.values.progress import Problem, Progress
from replican.values.trees import DIRECTORY, Entry


class Outcome(NamedTuple):
    """What a transition did: how many names it changed, and what is pending now."""

    written: int
    removed: int
    moved: int
    pending: list[Problem]


class Transition:
    """Carries out one prepared plan on one folder."""

    def __init__(self, site: Site, progress: Progress) -> None:
        self._site = site
        self._progress = progress

    def run(self, prepared: Prepared) -> Outcome:
        """Bring the folder to the plan's head, as far as it can be."""
        plan = prepared.plan
        waiting = {path for path, _ in plan.gone}
        late = [group for group in plan.groups if any(change.path in waiting for change in group.changes)]
        in_the_way = set(map(id, late))
        groups = [group for group in plan.groups if id(group) not in in_the_way] if late else plan.groups
        coming = [entry for entry, _ in wanted_of(plan.groups)]
        if coming:
            self._progress.begin("placing", len(coming), sum([entry.size for entry in coming]))
        try:
            for move in plan.recased:  # those below first
                with self._site.batch([(move.old, move.was, None), (move.new, None, move.was)]):
                    self._move(move, recase=True)
            self._bring_and_move(prepared)
            self._swap_units(prepared)
            for at in range(0, len(groups), BATCH):
                batch = groups[at : at + BATCH]
                with self._site.batch((c.path, c.old, c.new) for group in batch for c in group.changes):
                    for group in batch:
                        self._do_group(group, prepared.slots)
            self._clear_and_replace(prepared, late)
        finally:
            self._progress.end()
        site = self._site
        return Outcome(site.written, site.removed, site.moved, site.pending + prepared.lacking)

    def _swap_units(self, prepared: Prepared) -> None:
        """Units that go or are replaced, before the files that take the place of one, or lie beside it."""
        swapping = Swapping(self._site, {built.new.path: built for built in prepared.built})
        for at in range(0, len(prepared.plan.units), BATCH):
            batch = prepared.plan.units[at : at + BATCH]
            with self._site.batch((c.path, c.old, c.new) for group in batch for c in group.changes):
                for group in batch:
                    swapping.do_group(group)

    def _bring_and_move(self, prepared: Prepared) -> None:
        """New directories where nothing is in their way, then what only changes its place: it may go into those."""
        plan = prepared.plan
        beside = {change.path for group in plan.units for change in group.changes}
        coming = [built for built in prepared.built if built.new.replaces is None and built.new.path not in beside]
        paths: list[Meant] = [
            (new.path, None, new.entry)
            for new in plan.new
            if new.replaces is None and new.path not in new.apart  # which is a move
        ]
        paths += [(move.old, move.was, None) for move in plan.moves]
        # Until it gets its attributes, what was moved has those that it had, and they are no edit.
        paths += [
            (move.new, None if was == move.entry else was, move.entry)
            for move in plan.moves
            for was in [move.was._replace(name=move.entry.name)]
        ]
        paths += _lacking_in(coming, prepared.lacking)
        with self._site.batch(paths):
            for built in coming:
                bring_directory(self._site, built)
            for move in plan.moves:
                self._move(move)
            # Before any row is noted: what the disk lacks would be taken for the user's edit after a kill.
            for built in coming:
                finish_permissions(self._site, built)

    def _clear_and_replace(self, prepared: Prepared, late: list[Group]) -> None:
        """Directories that are empty now go, then come the files and directories that had to wait for their names."""
        plan = prepared.plan
        swapped = {change.path for group in plan.units for change in group.changes}
        replacing = [b for b in prepared.built if b.new.replaces is not None and b.new.path not in swapped]
        paths: list[Meant] = [(path, entry, None) for path, entry in plan.gone]
        paths += [(change.path, change.old, change.new) for group in late for change in group.changes]
        paths += [(built.new.path, None, built.new.entry) for built in replacing]
        paths += _lacking_in(replacing, prepared.lacking)
        paths += [(change.path, change.old, change.new) for change in plan.perms]
        with self._site.batch(paths):
            for path, _ in plan.gone:
                self._remove_directory(path)
            for group in late:
                self._do_group(group, prepared.slots)
            for built in replacing:
                bring_directory(self._site, built)
                finish_permissions(self._site, built)
            for change in plan.perms:
                self._change_permissions(change)

    # -- directories --------------------------------------------------------------------------------------------

    def _set_directory_mode(self, path: bytes, entry: Entry) -> None:
        parent = parent_of(path)
        try:
            fd = self._site.directories.open(parent)
            self._site.touch(path)
            set_mode(name_of(path), fd, entry.perm, self._site.traits.modes)
            self._site.ledger.put(parent, row_of(entry, os.lstat(name_of(path), dir_fd=fd)))
        except OSError as error:
            self._site.fail(path, error)

    def _change_permissions(self, change: Change) -> None:
        row = self._site.ledger.row(change.path)
        if row is None or change.new is None:
            return
        fd = self._site.open(parent_of(change.path), lambda: [change.path], names=False)
        if fd is None:
            return
        try:
            found = os.lstat(name_of(change.path), dir_fd=fd)
        except OSError:
            self._site.pending.append(Problem(change.path, CHANGED_HERE))
            return
        if not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o7777 != row.disk_mode:
            self._site.pending.append(Problem(change.path, CHANGED_HERE))
            return
        # The id below it is what the ledger knows, not what the head wants: something in it may be pending.
        self._set_directory_mode(change.path, row.entry._replace(perm=change.new.perm))

    def _remove_directory(self, path: bytes) -> None:
        """A directory that should be gone. Ignored and skipped things keep it on the disk, but not in the log."""
        if self._site.ledger.rows(path):
            return  # something in it is pending
        fd = self._site.open(parent_of(path), lambda: [path])
        if fd is None:
            return
        try:
            os.rmdir(name_of(path), dir_fd=fd)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR):
                self._site.fail(path, error)
                return
        self._site.forget(path)
        self._site.ledger.drop_directory(path)

    # -- moves --------------------------------------------------------------------------------------------------

    def _move(self, move: Move, recase: bool = False) -> None:
        row = self._site.ledger.row(move.old)
        paths = [move.old, move.new]
        target = self._site.open(parent_of(move.new), lambda: paths)
        if target is None:
            return
        target = os.dup(target)
        try:
            source = self._site.open(parent_of(move.old), lambda: paths)
            if source is None:
                return
            looked = look(name_of(move.old), source, row)
            if looked is None:
                self._site.pending += [Problem(path, CHANGED_HERE) for path in paths]
                return
            self._move_looked(move, source, target, looked, recase)
        except OSError as error:
            self._site.pending += [Problem(path, failure_of(error)) for path in paths]
        finally:
            os.close(target)

    def _move_looked(self, move: Move, source: int, target: int, looked: os.stat_result, recase: bool) -> None:
        old, new, rename = name_of(move.old), name_of(move.new), rename_case if recase else rename_new
        row = self._site.ledger.row(move.old)
        assert row is not None
        with opened_up(source, old, row):
            rename(source, old, target, new)
        found = os.lstat(new, dir_fd=target)
        ino = found.st_ino if recase else looked.st_ino  # which may hang on the name
        if move.entry.kind == DIRECTORY:
            same = found.st_ino == ino
        else:
            same = is_same_inode(found, ino, looked.st_size, looked.st_mtime_ns)
        if not same:
            rename(target, new, source, old)
            close_again(source, old, row)
            self._site.pending += [Problem(path, CHANGED_HERE) for path in (move.old, move.new)]
            return
        if close_again(target, new, row) or move.entry[2:] != move.was[2:]:
            self._site.touch(move.new)
            found = os.lstat(new, dir_fd=target)
        came = found
        found = adopt_attributes(new, target, found, move.was, move.entry, self._site.traits.modes)
        self._site.moved += 1
        if move.entry.kind == DIRECTORY:
            self._site.directories.forget()
            # Names in it may have been recased before it was: its tree is what the ledger knows.
            moved = row_of(move.entry, found)._replace(id=row.id)
            self._site.ledger.move_directory(move.old, move.new, moved)
            return
        self._site.ledger.drop(move.old)
        # Who has written to it before it was given another time is not seen by that.
        put = self._site.ledger.put_placed if found is came else self._site.ledger.put
        put(parent_of(move.new), row_of(move.entry, found))

    # -- names with their versions ------------------------------------------------------------------------------

    def _do_group(self, group: Group, slots: dict[bytes, Slot]) -> None:
        paths = [change.path for change in group.changes]
        names = any(change.new is None or needs_content(change.old, change.new) for change in group.changes)
        looked, fd = Looked(), self._site.open(group.directory, lambda: paths, names)
        if fd is None:
            return
        if not looked.at_group(group, fd, self._site.ledger.rows(group.directory)):
            self._site.pending += [Problem(path, CHANGED_HERE) for path in paths]
            return
        for change in group.in_order():
            try:
                self._do_change(change, fd, looked, slots.get(change.path))
            except OSError as error:
                self._site.fail(change.path, error)

    def _do_change(self, change: Change, fd: int, looked: Looked, slot: Slot | None) -> None:
        path, old, new = change
        name = name_of(path)
        was = looked.found.get(path)
        if new is None:
            assert old is not None
            if was is None:
                self._site.ledger.drop(path)
            elif self._site.trash.take(fd, name, path, old, was):
                self._site.ledger.drop(path)
                self._site.removed += 1
            else:
                self._site.pending.append(Problem(path, CHANGED_HERE))
            return
        if not needs_content(old, new):
            assert old is not None
            assert was is not None
            self._site.touch(path)
            found = adopt_attributes(name, fd, was, old, new, self._site.traits.modes)
            self._site.ledger.put(parent_of(path), row_of(new, found))
            self._site.written += 1
            return
        if slot is None:
            return  # it has no source, which is said already
        placed = self._place_new(slot, fd, name) if was is None else self._replace(slot, name, fd, path, old, was)
        if placed is None:
            self._site.pending.append(Problem(path, CHANGED_HERE))
            return
        row = row_of(new, as_placed(name, fd, placed))
        self._site.ledger.put_placed(parent_of(path), row)
        self._site.note_birth(parent_of(path), row)
        self._site.written += 1
        self._progress.advance(1, new.size)

    def _place_new(self, slot: Slot, fd: int, name: bytes) -> os.stat_result:
        """Put staged content at a name that is free; what then lies there."""
        placed = os.lstat(slot.name, dir_fd=self._site.stage.fd)
        try:
            rename_new(self._site.stage.fd, slot.name, fd, name)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return place_across(self._site.stage.fd, slot.name, fd, name)
        return placed

    def _replace(
        self, slot: Slot, name: bytes, fd: int, path: bytes, old: Entry | None, was: os.stat_result
    ) -> os.stat_result | None:
        """Put staged content in the place of a file, which goes into the trash; what then lies there. None if it was
        not the one looked at any more."""
        assert old is not None
        placed = os.lstat(slot.name, dir_fd=self._site.stage.fd)
        try:
            swapped = exchange(self._site.stage.fd, slot.name, fd, name)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            swapped = False
        if not swapped:
            return self._place_new(slot, fd, name) if self._site.trash.take(fd, name, path, old, was) else None
        try:
            out = os.lstat(slot.name, dir_fd=self._site.stage.fd)
            same = is_same_inode(out, was.st_ino, was.st_size, was.st_mtime_ns)
            if same and self._site.trash.take(self._site.stage.fd, slot.name, path, old, out):
                return placed
        except OSError:
            exchange(self._site.stage.fd, slot.name, fd, name)  # on the stage it would be dropped
            raise
        exchange(self._site.stage.fd, slot.name, fd, name)
        return None


def _lacking_in(coming: list[BuiltDirectory], lacking: list[Problem]) -> list[Meant]:
    """What new directories come without: after a kill it must not be taken for something that came with them."""
    tops = {built.new.path for built in coming}
    return [(each.path, None, None) for each in lacking if not tops.isdisjoint(ancestors_of(each.path))]
