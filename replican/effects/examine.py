"""Looking at one directory: what the disk shows there against the rows that the index has.

Names whose stat data are a row's keep it, unread; the others are to be hashed. What cannot be recorded (special files,
names that a tree may not hold, replicas of their own) is left out where it is untracked; where it is tracked, "not
seen" is not "deleted": the rows stand, and there is a problem.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Final

from replican.effects.assemble import PLACEHOLDER
from replican.effects.births import Births
from replican.effects.hashing import SPECIAL, Answer
from replican.effects.ignore import Rules
from replican.effects.index_births import BORN_FROM
from replican.effects.listdir import Seen, stat_of
from replican.values.listing import (
    DIRECTORY_MODE,
    FILE_MODE,
    KIND_MASK,
    LINK_MODE,
    RACY_COARSE_NS,
    SMUDGED,
    Row,
    Stat,
    clamp_time,
    digest_of_rows,
    is_racy,
)
from replican.values.names import is_tree_name
from replican.values.paths import join
from replican.values.progress import MOVED, Problem
from replican.values.trees import ATOMIC, DIRECTORY, FILE, LINK, LINK_PERM, PERMS, TIME_LIMIT, Entry

make_row = Row._make
PLAIN_PERM: Final = 0o644
PLAIN_DIRECTORY_PERM: Final = 0o755
"""What is new on a disk without permissions has those that git gives it with ``core.fileMode=false``."""
NAME_NOT_ALLOWED: Final = "name not allowed"


class Examined:
    """One directory as it was found: rows that stay, names to hash, and what else lies there.

    ``others`` are the stat data of what is not recorded; ``fingerprint`` is that of the ignore rules if something was
    left out by them; ``flawed``: something could not be seen, so that there is to be a next look whatever the stat
    data say.
    """

    __slots__ = (
        "base", "fingerprint", "flawed", "ino", "keep", "large", "looked_ns", "modes", "mount", "others", "path",
        "problems", "rows", "size", "skipped", "standing", "todo", "tracked",
    )  # fmt: skip

    def __init__(self, path: bytes, ino: int, mount: bool, looked_ns: int, tracked: bool, modes: bool = True) -> None:
        self.path = path
        self.modes = modes
        """Whether its file system keeps permissions. Where it does not, those that it shows are nobody's."""
        self.base: dict[bytes, Row] = {}
        """Its base rows, for names that come back after they went, where the file system loses what they had."""
        self.ino = ino
        self.mount = mount
        self.looked_ns = looked_ns
        self.tracked = tracked
        """Whether the rows that it was compared with are this path's own, and not those of a directory renamed to
        it."""
        self.keep = tracked
        self.flawed = False
        self.fingerprint = b""
        self.rows: list[Row] = []
        self.todo: list[tuple[bytes, Row | None]] = []
        self.large: list[tuple[bytes, int]] = []
        """Of these, large files of another inode than their names had: renamed ones are among them."""
        self.others: list[Stat] = []
        self.problems: list[Problem] = []
        self.skipped: list[Problem] = []
        self.standing: list[bytes] = []
        """Directories that could not be looked into, and stand as they were known with all below them."""
        self.size = 0
        """The bytes to hash, as far as they are known."""

    def compare(self, items: Sequence[Seen], known: dict[bytes, Row], rules: Rules, full: bool, dir_fd: int) -> None:
        """Sort all names of the directory into rows that stay, names to hash, and others."""
        plain = not known and not rules.fingerprint and _are_plain([item[0] for item in items])
        encode = os.fsencode
        for item in items:
            name = encode(item[0])
            mode = item[1]
            kind = mode & KIND_MASK
            row = None
            if not plain:
                row = known.get(name)
                if (row is None or not self.tracked) and not self._is_wanted(name, item, rules, dir_fd):
                    continue
            if kind in (FILE_MODE, LINK_MODE):
                if len(item) != 6:
                    self.todo.append((name, row))
                    continue
                _, _, ino, size, mtime, ctime = item
                if (
                    row is not None
                    and row.ctime_ns == ctime
                    and row.ino == ino
                    and row.size == size
                    and row.disk_mode == mode & 0o7777
                    and (row.disk_mtime_ns == mtime or row.disk_mtime_ns == clamp_time(mtime))
                    and row.kind == (FILE if kind == FILE_MODE else LINK)
                    and not full
                ):
                    self.rows.append(row)
                else:
                    self.todo.append((name, row))
                    self.size += size
                    if size >= BORN_FROM and (row is None or row.ino != ino):
                        self.large.append((name, ino))
            elif kind == DIRECTORY_MODE:
                found = self._directory_row(name, mode, item[2], row)  # type: ignore[misc]
                if rules.units or found.is_unit:
                    found = self._as_unit(found, rules)
                self.rows.append(found)
            else:
                self._note_special(name, item, row)

    def _is_wanted(self, name: bytes, item: Seen, rules: Rules, dir_fd: int) -> bool:
        """Whether an untracked name is to be recorded."""
        if not is_tree_name(name):
            self.skipped.append(Problem(join(self.path, name), NAME_NOT_ALLOWED))
        elif rules.ignores(name, item[1] & KIND_MASK == DIRECTORY_MODE):
            self.fingerprint = rules.fingerprint
        else:
            return True
        self._note_other(item, dir_fd)
        return False

    def _note_other(self, item: Seen, dir_fd: int) -> None:
        if len(item) > 2:
            self.others.append(item)
            return
        try:
            found = os.lstat(item[0], dir_fd=dir_fd)
        except OSError:
            self.flawed = True
            return
        self.others.append(stat_of(item[0], found))

    def _note_special(self, name: bytes, item: Seen, row: Row | None) -> None:
        path = join(self.path, name)
        self.others.append(item)  # type: ignore[arg-type]
        if row is None or not self.tracked:
            self.skipped.append(Problem(path, SPECIAL))
            return
        self.stand(row, SPECIAL)

    def stand(self, row: Row, cause: str) -> None:
        """Keep a row of something that cannot be seen now."""
        path = join(self.path, row.name)
        self.rows.append(row)
        self.problems.append(Problem(path, cause))
        self.flawed = True
        if row.kind == DIRECTORY:
            self.standing.append(path)

    def leave(self, undecided: Mapping[bytes, str], known: Mapping[bytes, Row]) -> None:
        """Of these files, each with its cause, nobody can tell what they hold: nothing is new there, whatever was
        found. So it is with directories out of which something was moved, and which are gone. ``known`` are the
        directory's own rows."""
        found = {row.name: row for row in self.rows}
        todo = dict(self.todo)
        for name, cause in undecided.items():
            row, now = known.get(name), found.get(name)
            if row is None and name in todo:
                self.problems.append(Problem(join(self.path, name), cause))
                self.flawed = True
            elif row is not None and now is not row and (row.kind != DIRECTORY or _is_gone(cause, now)):
                self.rows = [each for each in self.rows if each is not now]
                self.stand(row, cause)
        self.todo = [each for each in self.todo if each[0] not in undecided]

    def recognise(self, births: Births) -> None:
        """Take over large files that were renamed: they need not be read."""
        names = {name for name, _ in self.todo}
        known = births.recognise(self.path, [each for each in self.large if each[0] in names])
        todo, self.todo = self.todo, [each for each in self.todo if each[0] in known]
        answers = [known[name] for name, _ in self.todo]
        self.size -= sum([answer[2] for answer in answers])
        self.take(answers, renamed=True)
        self.todo = [each for each in todo if each[0] not in known]

    def take(self, answers: Sequence[Answer], renamed: bool = False) -> None:
        """What hashing found, in the order of ``todo``; or, of files that were ``renamed``, what is known."""
        add, looked_ns, recent_ns = self.rows.append, self.looked_ns, self.looked_ns - RACY_COARSE_NS
        for (name, old), answer in zip(self.todo, answers, strict=True):
            if isinstance(answer, tuple):
                kind, mode, size, mtime, ctime, ino, made = answer
                perm = LINK_PERM if kind == LINK else mode & 0o777 if self.modes else PLAIN_PERM
                if not -TIME_LIMIT < mtime < TIME_LIMIT:
                    mtime = clamp_time(mtime)
                logical = mtime
                before = self.base.get(name) if old is None and self.base else old
                if before is not None and before.kind == kind:
                    # What a file system can't hold must not come back as an edit: as long as the disk has the value
                    # that it was given, the logical one stays.
                    if before.disk_mode == mode or not self.modes:
                        perm = before.perm
                    if before.disk_mtime_ns == mtime and before.id == made:
                        logical = before.mtime_ns
                # Whoever writes to a renamed file in this very moment gives it another mtime than it has.
                if ctime > recent_ns and is_racy(ctime, looked_ns) and not (renamed and not is_racy(mtime, ctime)):
                    ctime = SMUDGED
                add(make_row((name, kind, perm, size, logical, made, mode, mtime, ctime, ino)))
            elif answer is None:
                self.flawed = True
            elif old is not None and self.tracked:
                self.stand(old, answer)
            else:
                self.problems.append(Problem(join(self.path, name), answer))
                self.flawed = True
        self.todo = []

    def _directory_row(self, name: bytes, mode: int, ino: int, old: Row | None) -> Row:
        """The row of a directory as stat shows it; its tree is the known one if ``old`` is its own row."""
        mode &= 0o7777
        if old is None or old.kind != DIRECTORY:
            before = self.base.get(name)
            perm = directory_perm(mode, self.modes)
            if before is not None and before.kind == DIRECTORY and not self.modes:
                perm = before.perm
            return Row(name, DIRECTORY, perm, 0, 0, PLACEHOLDER, mode, 0, 0, ino)
        perm = old.perm if old.disk_mode == mode or not self.modes else mode & 0o777
        return Row(name, DIRECTORY, perm, 0, 0, old.id if self.tracked else PLACEHOLDER, mode, 0, 0, ino)

    def _as_unit(self, row: Row, rules: Rules) -> Row:
        """The row of a directory that may be a unit, or have been one: the rules that hold now say so."""
        if rules.units:
            self.fingerprint = rules.fingerprint  # other attributes, and all of them are asked about anew
        return row._replace(perm=row.perm & PERMS | (ATOMIC if rules.makes_unit(row.name) else 0))

    def pairs(self, known: dict[bytes, Row]) -> list[tuple[Entry | None, Entry | None]] | None:
        """The files and links that differ from the rows it was compared with, before and after.

        None where that is not all, since directories came or went, or the rows are another path's.
        """
        if not self.tracked and self.path:
            return None
        found: list[tuple[Entry | None, Entry | None]] = []
        left = known.copy()
        for row in self.rows:
            old = left.pop(row.name, None)
            if old is row or (old is not None and old[:6] == row[:6]):
                continue
            if row.kind == DIRECTORY and old is not None and old.kind == DIRECTORY:
                continue
            found.append((None if old is None else old.entry, row.entry))
        found += [(old.entry, None) for old in left.values()]
        if any(each is not None and each.kind == DIRECTORY for pair in found for each in pair):
            return None
        return found

    def digest(self) -> bytes | None:
        """What its stat data digest to now; None if the next look has to compare row by row."""
        if self.flawed:
            return None
        digest = digest_of_rows(self.rows, self.others)
        return None if digest is None else digest + self.fingerprint


def _is_gone(cause: str, now: Row | None) -> bool:
    return cause == MOVED and (now is None or now.kind != DIRECTORY)


def directory_perm(mode: int, modes: bool) -> int:
    """The permissions of a directory that nobody has recorded; the plain ones where its file system keeps none."""
    return mode & 0o777 if modes else PLAIN_DIRECTORY_PERM


def _are_plain(names: list[str]) -> bool:
    """Whether none of the names can be one that a tree may not hold: told at once for a whole directory."""
    text = "\0".join(names)
    return text.isascii() and "replic" not in text.lower()
