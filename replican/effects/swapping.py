"""Units take their place, and go, as a whole: by one rename each, with a last look at all that they hold before it and
another at what came out.

At every moment a name has the old unit or the new one. What came out lies on the stage: under the name that it was
swapped for, or :func:`aside_name`, until it has been looked at, and then as :func:`out_name`, from where its files
go to the trash one by one. So after a kill it is told apart what was looked at and what was not.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from replican.decisions.plan import Group
from replican.decisions.treediff import Change
from replican.effects.arrivals import bring_directory, finish_permissions, note_directories
from replican.effects.clearing import remove_tree
from replican.effects.ledger import Ledger
from replican.effects.linux import exchange, rename_new
from replican.effects.placing import CHANGED_HERE, look
from replican.effects.prepared import BuiltDirectory
from replican.effects.site import Site
from replican.effects.trash import Trash, id_at
from replican.effects.worktree import open_way, opened_directory, set_mode
from replican.values.listing import Row
from replican.values.paths import join, name_of, parent_of
from replican.values.progress import Problem
from replican.values.trees import DIRECTORY, FILE, LINK, LINK_PERM, PERMS, Entry

_RECORDED = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
HOLDS_SPECIAL = "holds a special file"
_ROUNDS = 8
"""How often whoever goes on writing into a unit that came out is given way."""

Held = dict[bytes, dict[bytes, Row]]
"""What a unit holds: the rows of its directories, by their paths below it (its own is empty)."""


def _digits(path: bytes) -> bytes:
    return hashlib.sha256(path).hexdigest()[:40].encode()


def aside_name(path: bytes) -> bytes:
    """Where on the stage the unit of a path lies that was taken out of its place, and not looked at yet."""
    return b"unit-" + _digits(path)


def out_name(path: bytes) -> bytes:
    """Where on the stage it lies once it is known to be what the index has: what is left of it goes to the trash."""
    return b"out-" + _digits(path)


def inside(top: bytes, below: bytes) -> bytes:
    """The path of what lies at ``below`` in a unit: of the unit itself, where that is empty."""
    return join(top, below) if below else top


def held_by(ledger: Ledger, path: bytes) -> Held:
    """What the ledger knows a unit to hold."""
    held: Held = {}
    stack = [b""]
    while stack:
        below = stack.pop()
        held[below] = dict(ledger.rows(inside(path, below)))
        stack += [join(below, row.name) for row in held[below].values() if row.kind == DIRECTORY]
    return held


def holds_just(
    fd: int, name: bytes, row: Row | None, held: Mapping[bytes, Mapping[bytes, Row]], wherever: bool = False
) -> bool:
    """Whether the directory ``name`` is that of ``row``, and all in it just what its rows say. ``wherever``: its
    directories may be others than those that were seen, and opened up to go, so that only what is in them tells."""
    if row is None or row.kind != DIRECTORY:
        return False
    lies = _directory if wherever else look
    try:
        if lies(name, fd, row) is None:
            return False
        for below, rows in held.items():
            with opened_directory(fd, inside(name, below)) as directory:
                if {os.fsencode(each) for each in os.listdir(directory)} != rows.keys():
                    return False
                for each in rows.values():
                    found = (lies if each.kind == DIRECTORY else look)(each.name, directory, each)
                    if found is None:
                        return False
                    modes = _modes_going(each) if wherever else (each.disk_mode,)
                    if each.kind == DIRECTORY and found.st_mode & 0o7777 not in modes:
                        return False
    except OSError:
        return False
    return True


def _holds_special(fd: int, name: bytes, held: Held) -> bool:
    """Whether there is something in a unit that is never recorded, and would go with it."""
    try:
        for below, rows in held.items():
            with opened_directory(fd, inside(name, below)) as directory:
                for each in map(os.fsencode, os.listdir(directory)):
                    found = None if each in rows else _lstat(each, directory)
                    if found is not None and stat.S_IFMT(found.st_mode) not in _RECORDED:
                        return True
    except OSError:
        pass  # it is not what the index has, which is reason enough
    return False


@contextmanager
def opened_up(fd: int, name: bytes, row: Row) -> Iterator[None]:
    """Have the owner of a directory able to move it elsewhere, which writes to it; where that then fails, it is as it
    was. That it is the one of ``row`` has been looked at."""
    if row.kind == DIRECTORY and not row.disk_mode & stat.S_IWUSR:
        set_mode(name, fd, row.disk_mode | 0o700, False)
    try:
        yield
    except OSError:
        close_again(fd, name, row)
        raise


def close_again(fd: int, name: bytes, row: Row) -> bool:
    """Give a directory back its permissions that was opened up and lies at ``name``; whether it was one."""
    found = _lstat(name, fd)
    opened = row.disk_mode | 0o700
    if found is None or found.st_ino != row.ino or found.st_mode != stat.S_IFDIR | opened or opened == row.disk_mode:
        return False
    set_mode(name, fd, row.disk_mode, False)
    return True


def _modes_going(row: Row) -> tuple[int, ...]:
    """The modes that a directory of a unit may have that goes: its own, and what it is opened up with."""
    mode = row.disk_mode
    return (mode,) if mode & 0o700 == 0o700 else (mode, mode | 0o700, 0o700)


def close_whole(fd: int, name: bytes, row: Row, held: Held) -> None:
    """Give a unit that did not go, and holds what it held, the modes back that its directories had."""
    for below, rows in sorted(held.items(), reverse=True):  # those in another come before it
        with opened_directory(fd, inside(name, below)) as directory:
            for each in rows.values():
                if each.kind == DIRECTORY:
                    _close_one(directory, each.name, each)
    _close_one(fd, name, row)


def _close_one(fd: int, name: bytes, row: Row) -> None:
    found = os.lstat(name, dir_fd=fd).st_mode & 0o7777
    if found != row.disk_mode and found in _modes_going(row):
        set_mode(name, fd, row.disk_mode, False)


def open_out(stage_fd: int, path: bytes) -> int:
    """Open a directory of a unit on the stage: it has gone, so what it is emptied for is nothing that its permissions
    should keep from happening. Those above it come first."""
    above, _, name = path.rpartition(b"/")
    parent = open_way(above, stage_fd) if above else os.dup(stage_fd)
    try:
        found = os.lstat(name, dir_fd=parent)
        if stat.S_ISDIR(found.st_mode) and found.st_mode & 0o700 != 0o700:
            set_mode(name, parent, 0o700, False)
        return open_way(name, parent)
    finally:
        os.close(parent)


class Swapping:
    """Puts the units of a plan into their places. ``built`` are the new ones, by path."""

    def __init__(self, site: Site, built: Mapping[bytes, BuiltDirectory]) -> None:
        self._site = site
        self._built = built

    def do_group(self, group: Group) -> None:
        """A name with all its versions that are units: those that come beside it first, then what goes, then what is
        replaced. Nothing is done where one of them is not what the index says. One that lacks something holds back
        itself alone."""
        site = self._site
        paths = [change.path for change in group.changes]
        fd = site.open(group.directory, lambda: paths)
        if fd is None:
            return
        fd = os.dup(fd)
        try:
            unknown = [change.path for change in group.changes if not self._is_known(change, fd)]
            if unknown or self._is_kept(group, fd):
                is_special = any(_holds_special(fd, name_of(path), held_by(site.ledger, path)) for path in unknown)
                site.pending += [Problem(path, HOLDS_SPECIAL if is_special else CHANGED_HERE) for path in paths]
                return
            for change in sorted(group.changes, key=_turn):
                self._do(change, fd)
        finally:
            os.close(fd)

    def _is_known(self, change: Change, fd: int) -> bool:
        path, old, new = change
        name, row = name_of(path), self._site.ledger.row(path)
        if old is None:
            return row is None and not _is_there(fd, name)
        if new is None and not _is_there(fd, name):
            return True  # somebody was faster
        return holds_just(fd, name, row, held_by(self._site.ledger, path))

    def _is_kept(self, group: Group, fd: int) -> bool:
        """Whether a unit that its user deleted is kept under another name: without its row nobody would know of the
        deletion."""
        missing = {old.id for path, old, _ in group.changes if old is not None and not _is_there(fd, name_of(path))}
        if not missing:
            return False
        changed = {name_of(change.path) for change in group.changes}
        kept = {change.new.id for change in group.changes if change.new is not None}
        rows = self._site.ledger.rows(group.directory).values()
        kept |= {row.id for row in rows if row.is_unit and row.name not in changed}
        return not missing.isdisjoint(kept)

    def _do(self, change: Change, fd: int) -> None:
        path, old, new = change
        if new is not None and self._built[path].lacks:
            return  # which is said already
        try:
            if old is None:
                built = self._built[path]
                bring_directory(self._site, built)
                finish_permissions(self._site, built)
            elif new is None:
                self._take_out(path, fd)
            else:
                self._swap(self._built[path], fd)
        except OSError as error:
            self._site.fail(path, error)

    def _take_out(self, path: bytes, fd: int) -> None:
        site, name = self._site, name_of(path)
        if not _is_there(fd, name):
            site.ledger.drop_whole(path)
            return
        held = self._set_aside(path, fd)
        if held is None:
            site.pending.append(Problem(path, CHANGED_HERE))
            return
        site.ledger.drop_whole(path)
        site.removed += discard(site.stage.fd, path, held, site.trash)

    def _set_aside(self, path: bytes, fd: int) -> Held | None:
        """Take a unit out of its place; None, and it is there again, where it was not what the index says."""
        site, name, aside = self._site, name_of(path), aside_name(path)
        row, held = site.ledger.row(path), held_by(site.ledger, path)
        assert row is not None
        site.stage.remove(aside)
        with opened_up(fd, name, row):
            rename_new(fd, name, site.stage.fd, aside)
        site.forget(path)
        if not holds_just(site.stage.fd, aside, row, held):
            rename_new(site.stage.fd, aside, fd, name)
            close_again(fd, name, row)
            return None
        self._note_out(aside, path)
        return held

    def _swap(self, built: BuiltDirectory, fd: int) -> None:
        site, path = self._site, built.new.path
        name, staged = name_of(path), join(built.place, path)
        row, held = site.ledger.row(path), held_by(site.ledger, path)
        assert row is not None
        with opened_up(fd, name, row):
            exchanged = exchange(site.stage.fd, staged, fd, name)
        if exchanged:
            site.forget(path)
            if not holds_just(site.stage.fd, staged, row, held):
                exchange(site.stage.fd, staged, fd, name)
                close_again(fd, name, row)
                site.pending.append(Problem(path, CHANGED_HERE))
                return
            self._note_out(staged, path)
        else:
            taken = self._set_aside(path, fd)
            if taken is None:
                site.pending.append(Problem(path, CHANGED_HERE))
                return
            rename_new(site.stage.fd, staged, fd, name)
        site.ledger.drop_whole(path)
        note_directories(site, built._replace(whole=False), path, built.new.entry, fd_parent=parent_of(path))
        finish_permissions(site, built)
        discard(site.stage.fd, path, held, site.trash)

    def _note_out(self, staged: bytes, path: bytes) -> None:
        """What lies on the stage has been looked at."""
        out = out_name(path)
        self._site.stage.remove(out)
        rename_new(self._site.stage.fd, staged, self._site.stage.fd, out)


def discard(stage_fd: int, path: bytes, held: Held, trash: Trash) -> int:
    """Move the files of a unit that came out into the trash; how many they were. What somebody has written to since it
    was looked at is found there by whoever looks at the trash again; and what came into it since, or changes its place
    in it now, by whoever is in it, goes there, too."""
    out, count = out_name(path), 0
    for below, rows in held.items():
        try:
            directory = open_out(stage_fd, inside(out, below))
        except OSError:
            continue  # it may be elsewhere in there
        try:
            for row in rows.values():
                found = None if row.kind == DIRECTORY else _lstat(row.name, directory)
                if found is not None and not stat.S_ISDIR(found.st_mode):
                    at = join(inside(path, below), row.name)
                    count += trash.take(directory, row.name, at, row.entry, found)
        finally:
            os.close(directory)
    rounds = 0
    while not _empty(stage_fd, out, path, trash) and rounds < _ROUNDS:
        rounds += 1
    if _lstat(out, stage_fd) is not None:
        remove_tree(stage_fd, out)
    return count


def _empty(stage_fd: int, out: bytes, path: bytes, trash: Trash) -> bool:
    """Move into the trash whatever is left in a unit that came out, and remove the directories; whether it is gone.
    Nothing is removed that has a name in it."""
    directories, stack = [], [b""]
    while stack:
        below = stack.pop()
        try:
            directory = open_out(stage_fd, inside(out, below))
        except OSError:
            continue
        directories.append(below)
        try:
            for name in map(os.fsencode, os.listdir(directory)):
                found = _lstat(name, directory)
                at = join(below, name)
                if found is not None and stat.S_ISDIR(found.st_mode):
                    stack.append(at)
                elif found is not None and (holds := id_at(name, directory)) is not None:
                    kind, perm = (LINK, LINK_PERM) if stat.S_ISLNK(found.st_mode) else (FILE, found.st_mode & PERMS)
                    was = Entry(name, kind, perm, found.st_size, found.st_mtime_ns, holds)
                    trash.take(directory, name, join(path, at), was, found)
        finally:
            os.close(directory)
    for below in reversed(directories):
        above, _, name = join(out, below).rpartition(b"/") if below else (b"", b"", out)
        try:
            directory = open_way(above, stage_fd) if above else os.dup(stage_fd)
        except OSError:
            return False
        try:
            os.rmdir(name, dir_fd=directory)
        except OSError:
            return False
        finally:
            os.close(directory)
    return True


def _turn(change: Change) -> tuple[int, bytes]:
    return (0 if change.old is None else 1 if change.new is None else 2), change.path


def _directory(name: bytes, fd: int, _: Row) -> os.stat_result | None:
    found = _lstat(name, fd)
    return found if found is not None and stat.S_ISDIR(found.st_mode) else None


def _is_there(fd: int, name: bytes) -> bool:
    return _lstat(name, fd) is not None


def _lstat(name: bytes, fd: int) -> os.stat_result | None:
    try:
        return os.lstat(name, dir_fd=fd)
    except FileNotFoundError:
        return None
