"""What users do to real folders, at random, and what they then have in front of them.

Every file's time is set, since a history is to be a function of its seed. What the clock of the disk says of an edit
(its ctime) is real: an edit may fall into the same tick as the one before it.
"""

import os
import random
import shutil
from collections.abc import Callable

from folders import SECOND, Seen, snapshot

from replican.values.names import group_key
from replican.values.paths import is_below

Key = tuple[bytes, str, bytes]
"""A version of a name: the path that its group of copies has, its kind, its content."""

NAMES = [b"a", b"b", b"c.txt", b"d", b"e", b"F\xff"]
IGNORE = b".replicanignore"
DAY = 86_400
BEGINNING = 1_700_000_000 * SECOND


def group_of(path: bytes) -> bytes:
    """The path that all versions of a name share."""
    above, slash, name = path.rpartition(b"/")
    return above + slash + group_key(name)


def versions(seen: dict[bytes, Seen]) -> set[Key]:
    return {(group_of(path), each[0], each[3]) for path, each in seen.items() if each[0] != "directory"}


def directories(seen: dict[bytes, Seen]) -> set[bytes]:
    return {path for path, each in seen.items() if each[0] == "directory"}


class User:
    """Somebody at one folder, whose clock may be wrong.

    ``number`` is that of the step: contents and some names are made of it, so that none is written twice by chance.
    """

    def __init__(self, root: str, offset: int) -> None:
        self.top = os.fsencode(root)
        self.offset = offset
        self.had: dict[bytes, bytes] = {}

    def act(
        self,
        rng: random.Random,
        number: str,
        meanwhile: bool = False,
        among: list[bytes] | None = None,
        settling: float = 0,
    ) -> str:
        """Do one thing; what was done. ``meanwhile`` leaves out what no look could tell from nothing; ``among`` are
        the paths to do it to, where they are there; ``settling`` is how often a conflict comes first."""
        self._rng, self._number = rng, number
        seen = snapshot(self.top)
        self.files = sorted(path for path, each in seen.items() if each[0] == "file")
        self.leaves = sorted(path for path, each in seen.items() if each[0] != "directory")
        self.directories = sorted(directories(seen))
        if among is not None and (there := [path for path in among if path in seen]):
            self.files, self.leaves, self.directories = (
                [path for path in paths if path in there] for paths in (self.files, self.leaves, self.directories)
            )
        names = list(ACTIONS)
        chosen = rng.choices(names, [ACTIONS[each][0] for each in names], k=8)
        for name in ["resolve", *chosen] if rng.random() < settling else chosen:
            if meanwhile and name in ("rewrite", "touch"):
                continue
            done: str | None = ACTIONS[name][1](self)
            if done is not None:
                return f"{name} {done}"
        return self._write_at(self._target()) or "nothing"

    # -- what things are called, and what they hold --------------------------------------------------------------

    def at(self, path: bytes) -> bytes:
        return os.path.join(self.top, path)

    def _target(self, fresh: float = 0.2) -> bytes:
        """A name that may be free or not, in a directory that is there."""
        rng = self._rng
        directory = rng.choice([b"", b"", *self.directories])
        name = b"n" + self._number.encode() if rng.random() < fresh else rng.choice(NAMES)
        return os.path.join(directory, name)

    def _free(self, fresh: float = 0.4) -> bytes | None:
        target = self._target(fresh)
        return None if os.path.lexists(self.at(target)) else target

    def _content(self) -> bytes:
        rng = self._rng
        if rng.random() < 0.04:
            return b""
        text = f"{self._number}.{rng.randrange(100):02}".encode().ljust(10, b"_")
        return text * rng.choice([1, 1, 1, 2, 7, 900])

    def _stamp(self, path: bytes, mtime: int | None = None) -> None:
        rng = self._rng
        if mtime is None:
            step = int(self._number.split(".")[0])
            mtime = BEGINNING + (self.offset + step * 10) * SECOND + rng.randrange(SECOND)
            if rng.random() < 0.05:
                mtime = rng.choice([0, -SECOND, BEGINNING, 4_000_000_000 * SECOND + 1])
        os.utime(self.at(path), ns=(mtime, mtime), follow_symlinks=False)

    def _pick(self, among: list[bytes]) -> bytes | None:
        return self._rng.choice(among) if among else None

    # -- files ------------------------------------------------------------------------------------------------------

    def _write_at(self, path: bytes) -> str | None:
        at = self.at(path)
        if os.path.isdir(at) or os.path.islink(at):
            return None
        content = self.had[path] = self._content()
        with open(at, "wb") as file:
            file.write(content)
        self._stamp(path)
        return repr(path)

    def bring_back(self) -> str | None:
        """Something that they once wrote there is put there again: from a backup, say."""
        path = self._pick([each for each in sorted(self.had) if os.path.dirname(each) in {b"", *self.directories}])
        if path is None or os.path.isdir(self.at(path)) or os.path.islink(self.at(path)):
            return None
        with open(self.at(path), "wb") as file:
            file.write(self.had[path])
        self._stamp(path)
        return repr(path)

    def write(self) -> str | None:
        return self._write_at(self._target())

    def edit(self) -> str | None:
        path = self._pick(self.files)
        return None if path is None else self._write_at(path)

    def save(self) -> str | None:
        """As editors do: a new file is renamed over the old one."""
        path = self._pick(self.files)
        if path is None:
            return None
        temporary = path + b"~"
        if os.path.lexists(self.at(temporary)) or self._write_at(temporary) is None:
            return None
        os.rename(self.at(temporary), self.at(path))
        return repr(path)

    def append(self) -> str | None:
        path = self._pick(self.files)
        if path is None:
            return None
        with open(self.at(path), "ab") as file:
            file.write(b"+" + self._number.encode())
        self._stamp(path)
        return repr(path)

    def truncate(self) -> str | None:
        path = self._pick(self.files)
        if path is None or os.path.getsize(self.at(path)) < 2:
            return None
        os.truncate(self.at(path), self._rng.randrange(os.path.getsize(self.at(path))))
        self._stamp(path)
        return repr(path)

    def rewrite(self) -> str | None:
        """Other bytes of the same number, and the same time: only the ctime tells, if that."""
        path = self._pick(self.files)
        if path is None:
            return None
        before = os.stat(self.at(path))
        mark = self._number.encode()
        if before.st_size < len(mark):
            return None
        with open(self.at(path), "r+b") as file:
            file.write(mark)
        self._stamp(path, before.st_mtime_ns)
        return repr(path)

    def touch(self) -> str | None:
        path = self._pick(self.leaves)
        if path is None:
            return None
        self._stamp(path)
        return repr(path)

    def chmod(self) -> str | None:
        path = self._pick(self.files + self.directories)
        if path is None:
            return None
        of_files = [0o600, 0o644, 0o755, 0o640, 0o400, 0o000]
        mode = self._rng.choice([0o700, 0o755, 0o750, 0o555, 0o500] if path in self.directories else of_files)
        os.chmod(self.at(path), mode)
        return f"{path!r} {mode:o}"

    def link(self) -> str | None:
        path = self._target()
        if os.path.isdir(self.at(path)) and not os.path.islink(self.at(path)):
            return None
        if os.path.lexists(self.at(path)):
            os.unlink(self.at(path))
        return self._link_at(path)

    def _link_at(self, path: bytes) -> str:
        os.symlink(self._rng.choice([*NAMES, b"..", b"/nowhere", self._number.encode()]), self.at(path))
        self._stamp(path)
        return repr(path)

    def ignore(self) -> str | None:
        """What is not recorded yet, and has one of these names, is not going to be."""
        if os.path.lexists(self.at(IGNORE)) and IGNORE not in self.files:
            return None
        names = self._rng.sample([b"c.txt", b"e", b"b", b"n*"], 2)
        with open(self.at(IGNORE), "wb") as file:
            file.write(b"# %s\n%s\n" % (self._number.encode(), b"\n".join(names)))
        self._stamp(IGNORE)
        return repr(names)

    def ignore_nothing(self) -> str | None:
        """Every ignore file goes; None where there is none."""
        seen = snapshot(self.top)
        found = [path for path in seen if path.rpartition(b"/")[2] == IGNORE and seen[path][0] != "directory"]
        for path in found:
            os.unlink(self.at(path))
        return repr(found) if found else None

    def delete(self) -> str | None:
        path = self._pick(self.leaves)
        if path is None:
            return None
        os.unlink(self.at(path))
        return repr(path)

    def recreate(self) -> str | None:
        """Delete it, and make it again: with what it held, or with something else."""
        path = self._pick(self.files)
        if path is None:
            return None
        if self._rng.random() < 0.5:
            os.unlink(self.at(path))
            return self._write_at(path)
        with open(self.at(path), "rb") as file:
            content = file.read()
        os.unlink(self.at(path))
        with open(self.at(path), "wb") as file:
            file.write(content)
        self._stamp(path)
        return f"{path!r} as it was"

    def copy(self) -> str | None:
        old, new = self._pick(self.files), self._free()
        if old is None or new is None:
            return None
        shutil.copy2(self.at(old), self.at(new))
        return f"{old!r} to {new!r}"

    def hard_link(self) -> str | None:
        old, new = self._pick(self.files), self._free()
        if old is None or new is None:
            return None
        os.link(self.at(old), self.at(new))
        return f"{old!r} as {new!r}"

    def rename(self) -> str | None:
        """To another name, which may be taken, and may be in another directory."""
        old, new = self._pick(self.leaves), self._target(0.4)
        if old is None or os.path.isdir(self.at(new)) or old == new:
            return None
        os.rename(self.at(old), self.at(new))
        return f"{old!r} to {new!r}"

    def swap(self) -> str | None:
        """Two names change places, whatever they have: files, links, directories."""
        places = self.leaves + (self.directories if self._rng.random() < 0.4 else [])
        if len(places) < 2:
            return None
        one, other = self._rng.sample(places, 2)
        if is_below(one, other) or is_below(other, one):
            return None
        between = self.at(b"swap~")
        os.rename(self.at(one), between)
        os.rename(self.at(other), self.at(one))
        os.rename(between, self.at(other))
        return f"{one!r} and {other!r}"

    def resolve(self) -> str | None:
        """Of the versions of a name one is kept, and has the name."""
        groups: dict[bytes, list[bytes]] = {}
        for path in self.leaves:
            groups.setdefault(group_of(path), []).append(path)
        several = sorted((key, paths) for key, paths in groups.items() if len(paths) > 1 and key in paths)
        if not several:
            return None
        key, paths = self._rng.choice(several)
        kept = self._rng.choice(paths)
        for path in paths:
            if path != kept:
                os.unlink(self.at(path))
        os.rename(self.at(kept), self.at(key))
        return f"{key!r} by {kept!r}"

    # -- directories -----------------------------------------------------------------------------------------------

    def make(self) -> str | None:
        """A directory, or some within each other."""
        path = self._free(0.5)
        if path is None:
            return None
        os.mkdir(self.at(path), 0o755)
        while self._rng.random() < 0.3:
            path = os.path.join(path, self._rng.choice(NAMES))
            os.mkdir(self.at(path), 0o755)
        if self._rng.random() < 0.5:
            inside = [os.path.join(path, name) for name in self._rng.sample(NAMES, 2)]
            return f"{path!r}, {[self._write_at(each) for each in inside]}"
        return repr(path)

    def remove(self) -> str | None:
        path = self._pick(self.directories)
        if path is None:
            return None
        shutil.rmtree(self.at(path))
        return repr(path)

    def move(self) -> str | None:
        """Rename a directory, and sometimes go on in it."""
        old, new = self._pick(self.directories), self._free()
        if old is None or new is None or (new + b"/").startswith(old + b"/"):
            return None
        os.rename(self.at(old), self.at(new))
        inside = [new + path[len(old) :] for path in self.files if path.startswith(old + b"/")]
        if inside and self._rng.random() < 0.5:
            return f"{old!r} to {new!r}, edit {self._write_at(self._rng.choice(inside))}"
        return f"{old!r} to {new!r}"

    def turn(self) -> str | None:
        """A file, a link or a directory becomes another of the three."""
        path = self._pick(self.leaves + self.directories)
        if path is None:
            return None
        was = "directory" if path in self.directories else "file" if path in self.files else "link"
        into = self._rng.choice([kind for kind in ("file", "link", "directory") if kind != was])
        if was == "directory":
            shutil.rmtree(self.at(path))
        else:
            os.unlink(self.at(path))
        if into == "link":
            return f"{path!r}, a link: {self._link_at(path)}"
        if into == "file":
            return self._write_at(path)
        os.mkdir(self.at(path), 0o755)
        inside = self._rng.random() < 0.7 and self._write_at(os.path.join(path, self._rng.choice(NAMES)))
        return f"{path!r}, {inside}"


ACTIONS: dict[str, tuple[int, Callable[[User], str | None]]] = {
    "write": (14, User.write),
    "edit": (12, User.edit),
    "save": (5, User.save),
    "append": (4, User.append),
    "truncate": (3, User.truncate),
    "rewrite": (5, User.rewrite),
    "touch": (3, User.touch),
    "chmod": (5, User.chmod),
    "link": (4, User.link),
    "ignore": (2, User.ignore),
    "delete": (8, User.delete),
    "recreate": (4, User.recreate),
    "bring back": (5, User.bring_back),
    "copy": (3, User.copy),
    "hard link": (1, User.hard_link),
    "rename": (8, User.rename),
    "swap": (4, User.swap),
    "resolve": (24, User.resolve),
    "make": (6, User.make),
    "remove": (5, User.remove),
    "move": (8, User.move),
    "turn": (6, User.turn),
}
"""What a user may do, with how often."""
