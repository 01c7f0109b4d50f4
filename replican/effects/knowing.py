"""New directories that came before a kill are known again, with what lies in them as it should.

The index hears of a new directory when the batch ends that brought it. Where a kill came first, all in it would be new
to the next scan, and its user's: what cannot be read just then, and is deleted elsewhere meanwhile, would come back.
The journal has the tree that was meant to come. What looks like an entry of it gets a row, which the next scan
verifies; what does not is left to the scan; what cannot be read, where only that could tell, is undecided.
"""

import errno
import os
import stat
from collections.abc import Sequence

from replican.effects.gleaning import BUILT
from replican.effects.hashing import cause_of, hash_name
from replican.effects.index import JournalEntry
from replican.effects.ledger import Ledger
from replican.effects.mirror import PLACE
from replican.effects.worktree import Directories, set_mode
from replican.values.errors import DamagedError, NotFoundError
from replican.values.ids import TreeId
from replican.values.listing import SMUDGED, Row
from replican.values.paths import join, name_of, parent_of
from replican.values.traits import Traits
from replican.values.trees import DIRECTORY, FILE, PERMS, Entry, TreeReader

GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def smudged(version: Entry, found: os.stat_result | None, traits: Traits) -> Row:
    """A row that will be looked at again: attributes that differ from the version's are the user's doing, but for what
    the file system makes of them. ``found`` is None where it cannot be seen now."""
    if found is None:
        return Row(*version, version.perm, version.mtime_ns, SMUDGED, 0)
    time_ns = found.st_mtime_ns if traits.same_time(found.st_mtime_ns, version.mtime_ns) else version.mtime_ns
    return Row(*version, version.perm if traits.modes else found.st_mode & 0o7777, time_ns, SMUDGED, found.st_ino)


class Newcomers:
    """The new directories of one journal. ``trees`` are those of the log; ``undecided`` is what could not be read, at
    or below them.

    First all are known again, then, when nothing has to be reached in them any more, they get their last permissions.
    """

    def __init__(
        self,
        ledger: Ledger,
        directories: Directories,
        stage_fd: int,
        traits: Traits,
        journal: Sequence[JournalEntry],
        trees: TreeReader,
    ) -> None:
        self._ledger = ledger
        self._directories = directories
        self._stage_fd = stage_fd
        self._traits = traits
        self._trees = trees
        self.undecided: list[JournalEntry] = []
        self._named = {entry.path for entry in journal}
        # What was moved is taken over by the next scan, with rows that are better than any from here.
        goes = [(each.path, each.old) for each in journal if each.old is not None and each.new is None]
        self._moved = {row.ino for row in [ledger.row(path) for path, old in goes if old.kind == DIRECTORY] if row}
        self._going = {old.id for _, old in goes if old.kind == DIRECTORY}
        self._listed: tuple[bytes, set[bytes]] | None = None
        self._places: list[bytes] | None = None
        self._closed: list[tuple[bytes, Entry]] = []

    def know(self, entry: JournalEntry) -> None:
        """Put rows for a directory that came, and for what is in it. Names in it that the journal has are left out."""
        old, new = entry.old, entry.new
        if new is None or new.kind != DIRECTORY or (old is not None and old.kind != DIRECTORY):
            return
        top = self._look_at_new(entry)
        if top is not None:
            self._know_below(entry, new, top)

    def _look_at_new(self, entry: JournalEntry) -> os.stat_result | None:
        """What has come to the place of a directory; None where nothing has, or it is known by others."""
        path, old, _, cause = entry
        above = parent_of(path)
        if self._ledger.row(path) is not None:
            return None
        if above and not self._ledger.rows(above) and self._ledger.row(above) is None:
            return None  # nothing is known of where it lies
        try:
            top = self._look_at_top(path)
        except OSError as error:
            if error.errno not in GONE:
                self.undecided.append(entry._replace(cause=cause_of(error)))
            return None
        if old is not None and not cause:
            return None  # it was moved, and only its permissions were to be changed there
        return top

    def _know_below(self, entry: JournalEntry, new: Entry, top: os.stat_result) -> None:
        path, old, _, cause = entry
        # What the stage shows by now is not about a kill that is longer ago.
        whole = not cause and new.id not in self._going and self._came_whole(path)
        units: set[bytes] = set()
        stack: list[tuple[bytes, Entry, os.stat_result | None]] = [(path, new, top)]
        while stack:
            at, version, found = stack.pop()
            if found is not None and (not stat.S_ISDIR(found.st_mode) or found.st_ino in self._moved):
                continue
            listing = self._entries(version.tree)
            if listing is None:
                continue
            try:
                seen = None if found is None else self._look_into(at, listing)
            except OSError as error:
                if error.errno in GONE:
                    continue
                if not whole:
                    self.undecided.append(JournalEntry(at, old if at == path else None, version, cause_of(error)))
                    continue
                seen = None
            self._put_directory(at, version, found)
            inside = whole and (version.is_unit or at in units)  # all of it came: what lacks was deleted since
            for child in listing:
                below = join(at, child.name)
                lies = None if seen is None else seen.get(child.name)
                if below in self._named or (seen is not None and lies is None and not inside):
                    continue
                if child.kind == DIRECTORY:
                    if inside:
                        units.add(below)
                    stack.append((below, child, lies))
                    continue
                came = True if lies is None else self._is_what_came(at, child, lies, whole)
                if isinstance(came, str):
                    self.undecided.append(JournalEntry(below, None, child, came))
                elif came:
                    self._ledger.put(at, smudged(child, lies, self._traits))

    def finish_permissions(self) -> list[bytes]:
        """Give those directories their permissions whose owner could not have reached into them before; which they are.

        Where that cannot be done, the index has what the disk has: no edit, but something for a transition to do.
        """
        finished = []
        for path, version in reversed(self._closed):  # the deepest first
            try:
                set_mode(name_of(path), self._directories.open(parent_of(path)), version.perm)
                finished.append(path)
            except OSError:
                row = self._ledger.row(path)
                if row is not None:
                    perm = version.perm | 0o700
                    self._ledger.put(parent_of(path), row._replace(perm=perm, disk_mode=perm & PERMS))
        return finished

    def _look_at_top(self, path: bytes) -> os.stat_result | None:
        """What has come there, under just this name: another's may answer to it where names are folded. Raises
        ``OSError`` where that cannot be told."""
        above, name = parent_of(path), name_of(path)
        fd = self._directories.open(above)
        if self._listed is None or self._listed[0] != above:
            self._listed = above, set(map(os.fsencode, os.listdir(fd)))
        return os.lstat(name, dir_fd=fd) if name in self._listed[1] else None

    def _look_into(self, path: bytes, listing: Sequence[Entry]) -> dict[bytes, os.stat_result]:
        """What lies there of a listing; raises ``OSError`` where that cannot be told."""
        fd = self._directories.open(path)
        there = set(map(os.fsencode, os.listdir(fd)))
        found = {}
        for name in [entry.name for entry in listing if entry.name in there]:
            try:
                found[name] = os.lstat(name, dir_fd=fd)
            except FileNotFoundError:
                continue
        return found

    def _entries(self, tree: TreeId) -> Sequence[Entry] | None:
        """What should be in a directory; None if the log does not know (any more), as where something was held."""
        try:
            return self._trees.tree(tree)
        except (NotFoundError, DamagedError):
            return None

    def _came_whole(self, path: bytes) -> bool:
        """Whether a new directory came by one rename, so that all of it is there, though it cannot be read now.

        It was built on the stage (as what is moved is not), and nothing but that rename took it from there. Times that
        the file system rounds are not known of what cannot be seen.
        """
        if self._places is None:
            staged = map(os.fsencode, os.listdir(self._stage_fd))
            self._places = [name for name in staged if name.startswith((BUILT, PLACE))]
        if not self._places or self._traits.step_ns > 1:
            return False
        return not any(self._is_staged(place, path) for place in self._places)

    def _is_staged(self, place: bytes, path: bytes) -> bool:
        try:
            os.lstat(join(place, path), dir_fd=self._stage_fd)
        except OSError as error:
            return error.errno not in (errno.ENOENT, errno.ENOTDIR)
        return True

    def _is_what_came(self, directory: bytes, version: Entry, found: os.stat_result, whole: bool) -> bool | str:
        """Whether a file or a link is the version that came: its user's would be taken for an edit of that. Where it
        cannot be read, why.

        Of what came whole its user had each before them: what looks like it is it, or an edit of it. Elsewhere what
        stood there before may look the same.
        """
        if not (stat.S_ISREG(found.st_mode) if version.kind == FILE else stat.S_ISLNK(found.st_mode)):
            return False
        if whole:
            return found.st_size == version.size and self._traits.same_time(found.st_mtime_ns, version.mtime_ns)
        answer = hash_name(version.name, self._directories.open(directory))
        return answer if isinstance(answer, str) else answer is not None and answer[6] == version.id

    def _put_directory(self, path: bytes, version: Entry, found: os.stat_result | None) -> None:
        perm = version.perm & PERMS
        mode, ino = (perm, 0) if found is None else (found.st_mode & 0o7777, found.st_ino)
        if self._traits.modes:
            if mode == perm | 0o700 != perm:
                self._closed.append((path, version))
            mode = perm  # any other is its user's, which the next scan finds
        self._ledger.put(parent_of(path), Row(*version, mode, 0, 0, ino))
        self._ledger.enter(path)
