"""New directories take their place: whole, by one rename, or where something stands there already name by name."""

import errno
import os
from typing import Final

from replican.effects.index_births import BORN_FROM
from replican.effects.linux import rename_new
from replican.effects.placing import CHANGED_HERE, as_placed
from replican.effects.prepared import BuiltDirectory
from replican.effects.site import Site
from replican.effects.treebuild import row_of
from replican.effects.worktree import set_mode
from replican.values.listing import decode_listing
from replican.values.paths import join, name_of, parent_of
from replican.values.progress import Problem
from replican.values.trees import DIRECTORY, PERMS, Entry

_IN_MEMORY: Final = 1 << 30
"""Of new directories with more than so many bytes, large files are not looked into once more: it might be to read
them."""


def bring_directory(site: Site, built: BuiltDirectory) -> None:
    new = built.new
    row = site.ledger.row(new.path)
    if new.entry.is_unit and built.lacks:
        return  # which is said already: it comes with all that it holds, or not at all
    if row is not None and row.kind != DIRECTORY:
        return  # the file that it replaces is pending, even where it is gone
    parent, name = parent_of(new.path), name_of(new.path)
    fd = site.open(parent, lambda: [new.path])
    if fd is None:
        return
    try:
        rename_new(site.stage.fd, join(built.place, new.path), fd, name)
        site.directories.forget()
        note_directories(site, built, new.path, new.entry, fd_parent=parent)
    except FileExistsError:
        if new.entry.is_unit:
            site.pending.append(Problem(new.path, CHANGED_HERE))
        else:
            _bring_children(site, built, new.path, new.entry)
    except OSError as error:
        site.fail(new.path, error)


def note_directories(site: Site, built: BuiltDirectory, path: bytes, entry: Entry, fd_parent: bytes) -> None:
    """New directories came; raises ``FileNotFoundError`` if a user was quick enough to remove them."""
    found = os.lstat(name_of(path), dir_fd=site.directories.open(fd_parent))
    if found.st_ino != built.filled[path].ino:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    prefix = path + b"/"
    filled = [each for at, each in built.filled.items() if at == path or at.startswith(prefix)]
    for each in filled:
        tree = built.trees[each.path] if built.whole else None
        site.ledger.add_directory(each, tree, built.added.get(each.path, []))
        site.written += each.files
    perm = entry.perm & PERMS if site.traits.modes else found.st_mode & 0o7777
    site.ledger.put(fd_parent, row_of(entry, found)._replace(disk_mode=perm))
    if sum([each.size for each in filled]) <= _IN_MEMORY:
        for each in filled:
            for row in decode_listing(each.rows_blob) if each.size >= BORN_FROM else ():
                site.note_birth(each.path, row)


def _bring_children(site: Site, built: BuiltDirectory, path: bytes, entry: Entry) -> None:
    """Something stands at the place of a new directory: if it is one too, its names come one by one."""
    try:
        into = site.directories.open_listed(path)
    except OSError:
        site.pending.append(Problem(path, CHANGED_HERE))
        return
    site.touch(path)
    row = row_of(entry, os.fstat(into))
    # Other permissions than it should have are its user's, who made it just now: the next scan finds them.
    site.ledger.put(parent_of(path), row._replace(disk_mode=entry.perm & PERMS) if site.traits.modes else row)
    site.ledger.enter(path)
    for row in [*decode_listing(built.filled[path].rows_blob), *built.added.get(path, [])]:
        child = join(path, row.name)
        into = site.directories.open(path)
        try:
            placed = os.lstat(join(built.place, child), dir_fd=site.stage.fd)
            rename_new(site.stage.fd, join(built.place, child), into, row.name)
            if row.kind == DIRECTORY:
                note_directories(site, built, child, row.entry, fd_parent=path)
            else:
                site.ledger.put(path, row_of(row.entry, as_placed(row.name, into, placed)))
                site.written += 1
        except FileExistsError:
            if row.kind == DIRECTORY and not row.is_unit:
                _bring_children(site, built, child, row.entry)
            else:
                site.pending.append(Problem(child, CHANGED_HERE))
        except OSError as error:
            site.fail(child, error)


def finish_permissions(site: Site, built: BuiltDirectory) -> None:
    """Give those directories their permissions whose owner could not have reached into them before."""
    for path, perm in built.closed:
        try:
            fd = site.directories.open(parent_of(path))
            site.touch(path)
            set_mode(name_of(path), fd, perm, site.traits.modes)
            if not site.traits.modes:
                site.ledger.note_mode(path, os.lstat(name_of(path), dir_fd=fd))
        except OSError as error:
            site.fail(path, error)
