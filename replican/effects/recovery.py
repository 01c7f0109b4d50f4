"""After an unclean start: what a killed run was about to change is looked at, and known again.

The journal names every path that was about to be changed, with its old and its new version. A path that holds either
is known again. One that holds neither was changed by the user in between, on which of both nobody knows: its rows are
dropped with those of its other versions, so nothing counts as removed, and every version is kept.

One that cannot be read is undecided: it stays in the journal with the cause, its rows stand, nothing is recorded of it
and nothing done to it, and each command that writes looks again. What it holds may be the old version, the new one, or
its user's.
"""

import errno
import os
import stat
from collections.abc import Sequence

from replican.decisions.plan import in_reach
from replican.effects.hashing import SPECIAL, Answer, cause_of, hash_name
from replican.effects.index import Index, JournalEntry
from replican.effects.knowing import GONE, Newcomers, smudged
from replican.effects.ledger import Ledger
from replican.effects.linux import rename_new
from replican.effects.placing import sweep
from replican.effects.probing import known_traits
from replican.effects.staging import Stage
from replican.effects.trash import Trash, id_at
from replican.effects.worktree import Directories, set_mode, set_mtime
from replican.values.ids import BlobId, CheckpointId
from replican.values.names import copy_name, group_key
from replican.values.paths import join, name_of, parent_of, show
from replican.values.traits import Traits
from replican.values.trees import DIRECTORY, LINK, LINK_PERM, PERMS, Entry, TreeReader


def recover(root: str, dotdir: str, index: Index, head: CheckpointId | None, trees: TreeReader) -> list[str]:
    """Put the index in order after a kill; what the user should hear of it. Nothing is done after a clean end.

    ``trees`` are those of the log.
    """
    index.settle(head)
    journal = index.journal()
    if not journal:
        return []
    from replican.effects.unswapping import Unswapping, files_swapped, is_swap

    with Directories(root) as directories, Stage(f"{dotdir}/stage") as stage, Trash(f"{dotdir}/trash") as trash:
        recovery = _Recovery(index, directories, stage, trash)
        # For what was undecided before, stage and trash have been looked at: what came to them since is not its.
        fresh = [entry for entry in journal if not entry.cause]
        recovery.clear_stage(fresh)
        unswapping = Unswapping(recovery.ledger, directories, stage, trash, trees, bring_back)
        came = [JournalEntry(each.path, None, each.new) for each in filter(is_swap, fresh) if unswapping.recover(each)]
        recovery.clear_trash(fresh, files_swapped(fresh, trees))
        newcomers = Newcomers(recovery.ledger, directories, stage.fd, known_traits(index), journal, trees)
        for entry in (*journal, *came):
            newcomers.know(entry)
        for entry in journal:
            if not any(side is not None and side.kind == DIRECTORY for side in (entry.old, entry.new)):
                recovery.look_at(entry)
        undecided = newcomers.undecided + recovery.undecided
        if set(undecided) == set(journal):
            return []  # what was observed stands
        journal.sort(key=lambda entry: in_reach(entry.path, entry.new))
        finished = [entry.path for entry in journal if recovery.finish_permissions(entry)]
        directories.flush(finished + newcomers.finish_permissions())
        index.add_trash(trash.taken)
        recovery.ledger.settle(undecided=undecided)
    notes = ["an earlier command was interrupted: its work has been looked at, and goes on from there"]
    return (notes if fresh else []) + told_of_undecided(undecided)


def told_of_undecided(undecided: Sequence[JournalEntry]) -> list[str]:
    """What the user should hear of paths that could not be read after a kill."""
    if not undecided:
        return []
    first = undecided[0]
    more = f" and {len(undecided) - 1} more" if len(undecided) > 1 else ""
    return [
        f"since a command was interrupted, {show(first.path)}{more} could not be read ({first.cause}): "
        "nothing is done there until it can"
    ]


class _Recovery:
    def __init__(self, index: Index, directories: Directories, stage: Stage, trash: Trash) -> None:
        self.ledger = Ledger(index)
        self.undecided: list[JournalEntry] = []
        self._index = index
        self._directories = directories
        self._stage = stage
        self._trash = trash
        self._traits = known_traits(index)

    def clear_stage(self, journal: list[JournalEntry]) -> None:
        """A swap may have been cut short: what came out of a user's name lies on the stage under the new content's id.

        If it is an old version it belongs in the trash; anything else was written by the user meanwhile and goes back.
        Several paths may have been about to get the same content: then the old version tells which of them it was.
        """
        meant: dict[bytes, list[tuple[bytes, Entry]]] = {}
        for path, old, new, _ in journal:
            if old is not None and new is not None and old.kind != DIRECTORY:
                meant.setdefault(new.id, []).append((path, old))
        for listed in os.listdir(self._stage.fd):
            staged = os.fsencode(listed)
            id_ = _id_in(staged)
            entries = meant.get(id_, [])
            holds = id_at(staged, self._stage.fd) if entries else None
            if holds is None or holds == id_:
                continue
            found = os.lstat(staged, dir_fd=self._stage.fd)
            taken_out = next(((path, old) for path, old in entries if old.id == holds), None)
            if taken_out is not None:
                self._trash.take(self._stage.fd, staged, *taken_out, found)
            elif found.st_size:
                bring_back(self._directories, self._stage.fd, staged, entries[0][0], holds, found.st_mtime_ns)

    def clear_trash(self, journal: list[JournalEntry], swapped: dict[bytes, tuple[bytes, Entry]]) -> None:
        """What came to the trash, and nobody noted it: in this journal's batch, under the id that it should have had.

        It is looked at after its rename, and the kill may have come before that. What has another id was written by the
        user in the moment before: it goes back. ``swapped`` are the files of units, by path: what was written to one of
        those goes beside its unit.
        """
        meant: dict[bytes, list[tuple[bytes, Entry]]] = {}
        for path, old, _, _ in journal:
            if old is not None and old.kind != DIRECTORY:
                meant.setdefault(old.id, []).append((path, old))
        for path, (_, old) in swapped.items():
            meant.setdefault(old.id, []).append((path, old))
        noted = {item.file for item in (*self._index.trash(), *self._trash.taken)} if meant else set()
        for listed in os.listdir(self._trash.fd) if meant else ():
            file = os.fsencode(listed)
            id_ = _id_in(file)
            if id_ not in meant or file in noted:
                continue
            found = os.lstat(file, dir_fd=self._trash.fd)  # before it is read: what is written meanwhile changes it
            holds = id_at(file, self._trash.fd)
            path, old = next((each for each in meant[id_] if not self._is_there(each[0])), meant[id_][0])
            if holds is None:
                continue
            if holds == id_:
                self._trash.note(file, path, old, found)
            else:
                path = swapped[path][0] if path in swapped else path
                bring_back(self._directories, self._trash.fd, file, path, holds, found.st_mtime_ns)

    def _is_there(self, path: bytes) -> bool:
        try:
            os.lstat(name_of(path), dir_fd=self._directories.open(parent_of(path)))
        except OSError:
            return False
        return True

    def look_at(self, entry: JournalEntry) -> None:
        path, old, new, _ = entry
        directory, name = parent_of(path), name_of(path)
        try:
            fd = self._directories.open(directory)
            sweep(name, fd)
            found: os.stat_result | None = os.lstat(name, dir_fd=fd)
        except FileNotFoundError:
            found = None
        except OSError as error:
            if error.errno in GONE:
                self._forget_group(directory, name)
            else:
                self.undecided.append(entry._replace(cause=cause_of(error)))
            return
        if found is None:
            if old is None or new is None:
                self.ledger.drop(path)
            else:
                self._forget_group(directory, name)
            return
        answer: Answer = None
        try:
            if found.st_size == 0 and self._put_back(name, fd, [new, old]):
                found = os.lstat(name, dir_fd=fd)
            answer = hash_name(name, fd)
        except OSError:
            pass  # as far as it went, nobody knows
        if isinstance(answer, str) and answer != SPECIAL:
            self.undecided.append(entry._replace(cause=answer))
            return
        holds = (answer[0], answer[6]) if isinstance(answer, tuple) else None
        matching = [v for v in (new, old) if v is not None and holds == (v.kind, v.id)]
        if not matching:
            self._forget_group(directory, name)
            return
        if directory and not self.ledger.rows(directory) and self.ledger.row(directory) is None:
            return  # its directory came in the same moment, and is new to the index as a whole
        self.ledger.put(directory, smudged(_nearest(matching, found, self._traits), found, self._traits))

    def finish_permissions(self, entry: JournalEntry) -> bool:
        """A directory that was moved, and not yet given its new permissions, gets them; whether it was one.

        The old ones would be taken for its user's at the new place, where the index knows nothing.
        """
        from replican.effects.unswapping import is_swap

        path, old, new, _ = entry
        if is_swap(entry):
            return False
        if old is None or new is None or (old.kind, new.kind) != (DIRECTORY, DIRECTORY) or not self._traits.modes:
            return False
        try:
            fd = self._directories.open(parent_of(path))
            found = os.lstat(name_of(path), dir_fd=fd)
            if old.perm == new.perm or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o7777 != old.perm & PERMS:
                return False
            set_mode(name_of(path), fd, new.perm)
        except OSError:
            return False
        return True

    def _put_back(self, name: bytes, fd: int, versions: list[Entry | None]) -> bool:
        """An empty file where none was meant to be empty: a power cut. Put back what the stage or the trash has."""
        if any(version is not None and version.size == 0 for version in versions):
            return False
        for version in versions:
            if version is None:
                continue
            shown = version.id.hex().encode()
            for shelf in (self._stage.fd, self._trash.fd):
                if id_at(shown, shelf) == version.id:
                    os.unlink(name, dir_fd=fd)
                    os.rename(shown, name, src_dir_fd=shelf, dst_dir_fd=fd)
                    if shelf == self._trash.fd:
                        self._index.drop_trash([shown])
                        self._trash.taken[:] = [item for item in self._trash.taken if item.file != shown]
                    if version.kind != LINK:
                        set_mode(name, fd, version.perm, self._traits.modes)
                    set_mtime(name, fd, version.mtime_ns)
                    return True
        return False

    def _forget_group(self, directory: bytes, name: bytes) -> None:
        key = group_key(name)
        for row in list(self.ledger.rows(directory).values()):
            if row.kind != DIRECTORY and group_key(row.name) == key:
                self.ledger.drop(join(directory, row.name))


def _id_in(name: bytes) -> bytes:
    """The id that a name on the stage begins with; nothing for another name."""
    digits = name.partition(b"-")[0]
    try:
        return bytes.fromhex(digits.decode("ascii")) if len(digits) == 64 else b""
    except ValueError:
        return b""


def _nearest(versions: list[Entry], found: os.stat_result, traits: Traits) -> Entry:
    """Of versions with the same content, the one whose attributes the disk has; else the last, the old one."""
    for version in versions:
        same_perm = not traits.modes or version.perm in (found.st_mode & 0o777, LINK_PERM)
        if same_perm and traits.same_time(found.st_mtime_ns, version.mtime_ns):
            return version
    return versions[-1]


def bring_back(
    directories: Directories, from_fd: int, name: bytes, path: bytes, blob: BlobId, mtime_ns: int
) -> bytes | None:
    """Give something of the user's its name again, or where that is taken the name of a conflict copy; its path then.

    Where a file has come in the place of a directory above it, it goes beside that. None if there is no directory for
    it now, and none can be made.
    """
    directory, wanted = parent_of(path), name_of(path)
    while True:
        try:
            fd = _open_or_make(directories, directory)
            break
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                return None
            directory = parent_of(directory)
    taken: set[bytes] = set()
    while True:
        try:
            rename_new(from_fd, name, fd, wanted)
            return join(directory, wanted)
        except FileExistsError:
            taken.add(wanted)
            wanted = copy_name(group_key(name_of(path)), mtime_ns, blob, taken)
        except OSError:
            return None


def _open_or_make(directories: Directories, path: bytes) -> int:
    directories.forget()
    try:
        return directories.open(path)
    except OSError:
        pass
    made = b""
    for part in path.split(b"/"):
        fd = directories.open(made)
        try:
            os.mkdir(part, 0o755, dir_fd=fd)
        except FileExistsError:
            pass
        made = join(made, part)
    return directories.open(path)
