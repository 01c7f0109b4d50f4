"""What the users of peers in memory do, at random; the histories are in ``pure_histories.py``."""

import random
from collections.abc import Callable

from pure_units import UNIT, files_in, token_of
from simulation import IGNORE, Node, Peer, group_of

from replican.values.paths import is_below
from replican.values.trees import ATOMIC, DIRECTORY, FILE, LINK, LINK_PERM

UNITS = [b"u", b"v.git", b"d/u"]
NAMES = [b"a", b"b", b"d/x", b"d/y", b"d/e/z", b"d", b"d/e", b"g.txt"]


class User:
    """One act; ``files`` (links, too), ``directories`` and ``units`` are what there is to do it to."""

    def __init__(
        self,
        rng: random.Random,
        peer: Peer,
        step: int,
        mtime: int,
        files: list[bytes],
        directories: list[bytes],
        units: list[bytes],
    ) -> None:
        self.units = units
        self.rng, self.peer, self.step, self.mtime = rng, peer, step, mtime
        self.files, self.directories = files, directories
        self.disk = peer.disk

    def _target(self) -> bytes:
        inside = [each + b"/in" for each in self.directories[:2]]
        return self.rng.choice([*NAMES, *self.files[:5], *inside])

    def _file(self) -> bytes | None:
        return self.rng.choice(self.files) if self.files else None

    def _node(self, token: str, like: Node | None = None) -> Node:
        perm = 0o644 if like is None else like.perm
        return Node(FILE, perm, self.mtime, token) if like is None else like._replace(mtime=self.mtime, token=token)

    def write(self) -> object:
        path, rng = self._target(), self.rng
        token = rng.choice(["common", "usual"]) if rng.random() < 0.1 else f"t{self.step}"
        self.peer.write(path, self._node(token))
        return path, token

    def link(self) -> object:
        path = self._target()
        self.peer.write(path, Node(LINK, LINK_PERM, self.mtime, f"l{self.step}"))
        return path

    def append(self) -> object:
        if path := self._file():
            self.peer.write(path, self._node(f"{self.disk[path].token}+{self.step}", self.disk[path]))
        return path

    def truncate(self) -> object:
        if (path := self._file()) and (cut := self.disk[path].token[:-1]):
            self.peer.write(path, self._node(cut, self.disk[path]))
        return path

    def rewrite(self) -> object:
        """As many other bytes, at the same time."""
        if path := self._file():
            node = self.disk[path]
            token = f"{self.step:02}"[-2:].rjust(len(node.token), "_")[-len(node.token) :]
            self.peer.write(path, node._replace(token=token))
        return path

    def delete(self) -> object:
        path = self.rng.choice(sorted([*self.files, *self.directories, *self.units]))
        self.peer.drop(path)
        return path

    def recreate(self) -> object:
        if path := self._file():
            node = self.disk[path]
            self.peer.drop(path)
            self.peer.write(path, node._replace(mtime=self.mtime))
        return path

    def bring_back(self) -> object:
        """Something that they had there once, and nobody else, is put there again: from a backup, say."""
        there = {(group_of(path), self.disk[path].token) for path in self.files}
        hands = self.peer.world.hands
        once = sorted(key for key, who in hands.items() if who == {self.peer.number} and key not in there)
        if not once:
            return None
        path, token = self.rng.choice(once)
        node = Node(UNIT, 0o755 | ATOMIC, 0, token) if path in UNITS or b"/unit" in b"/" + path else self._node(token)
        self.peer.write(path, node)
        return path, token

    def rename(self) -> object:
        """To another name, which may be taken, in whatever directory."""
        path = self._file()
        if path is None:
            return None
        node = self.disk[path]
        above = self.rng.choice([b"", *(each + b"/" for each in self.directories)])
        new = self._target() if self.rng.random() < 0.3 else above + b"new%d" % self.step
        if is_below(new, path):
            return None
        self.peer.drop(path)
        self.peer.write(new, node)
        return path, new

    def swap(self) -> object:
        """Two names change places, whatever they have: files, links, directories."""
        paths = sorted([*self.files, *(self.directories if self.rng.random() < 0.4 else [])])
        if len(paths) < 2:
            return None
        one, other = self.rng.sample(paths, 2)
        if is_below(one, other) or is_below(other, one):
            return None
        first, second = self._taken(one), self._taken(other)
        self._put(one, second)
        self._put(other, first)
        return one, other

    def move(self) -> object:
        """A directory with all that it holds gets another name, perhaps in another directory."""
        if not self.directories:
            return None
        path = self.rng.choice(self.directories)
        above = self.rng.choice([b"", *(each + b"/" for each in self.directories if not is_below(each, path))])
        new = above + b"moved%d" % self.step
        self._put(new, self._taken(path))
        return path, new

    def _taken(self, path: bytes) -> dict[bytes, Node]:
        """What is at and below a path, by what follows that; it is not there any more."""
        nodes = {each[len(path) :]: node for each, node in self.disk.items() if is_below(each, path)}
        self.peer.drop(path)
        return nodes

    def _put(self, path: bytes, nodes: dict[bytes, Node]) -> None:
        for each, node in sorted(nodes.items()):
            self.peer.write(path + each, node)

    def copy(self) -> object:
        if path := self._file():
            self.peer.write(b"copy%d" % self.step, self.disk[path])
        return path

    def make(self) -> object:
        """An empty directory, now and then under a name that others use, too."""
        above = self.rng.choice([b"", *(each + b"/" for each in self.directories)])
        path = self.rng.choice([b"d", b"d/e", b"e"]) if self.rng.random() < 0.4 else above + b"made%d" % self.step
        if path not in self.disk:
            self.peer.write(path, Node(DIRECTORY, 0o755, 0, ""))
        return path

    def turn(self) -> object:
        """A file or link becomes a directory, a directory a file (that they become links is what ``link`` does)."""
        if not (self.files or self.directories):
            return None
        path = self.rng.choice(sorted([*self.files, *self.directories]))
        was = self.disk[path].kind
        self.peer.drop(path)
        if was == DIRECTORY:
            self.peer.write(path, self._node(f"t{self.step}"))
        elif self.rng.random() < 0.2:
            self.peer.write(path, Node(DIRECTORY, 0o755, 0, ""))
        else:
            self.peer.write(path + b"/in", self._node(f"t{self.step}"))
        return path

    def attributes(self) -> object:
        if path := self._file():
            node = self.disk[path]
            if node.kind == FILE and self.rng.random() < 0.6:
                node = node._replace(perm=self.rng.choice([0o600, 0o644, 0o755, 0o640]))
            if self.rng.random() < 0.6:
                node = node._replace(mtime=self.mtime)
            self.disk[path] = node
        return path

    def ignore(self) -> object:
        """What is not recorded yet, and has one of these names, is not going to be."""
        names = self.rng.sample(["a", "b", "d", "e", "x", "in", "new", "made", "copy", "moved"], 4)
        self.peer.write(IGNORE, self._node(f"i{self.step}:{','.join(names)}"))
        return names

    def resolve(self) -> object:
        """Of the versions of a name one is kept, and has the name."""
        groups: dict[bytes, list[bytes]] = {}
        for path in [*self.files, *self.units]:
            groups.setdefault(group_of(path), []).append(path)
        several = sorted((key, paths) for key, paths in groups.items() if len(paths) > 1 and key in paths)
        if not several:
            return None
        key, paths = self.rng.choice(several)
        kept = self.rng.choice(paths)
        for path in paths:
            if path != kept:
                self.peer.drop(path)
        self.disk[key] = self.disk.pop(kept)
        return key, kept

    def unit(self) -> object:
        """A unit is made, or something in one is written, edited or removed."""
        path, rng = self.rng.choice([*UNITS, *self.units]), self.rng
        files = files_in(self.disk[path].token) if path in self.units else {}
        if path in self.disk and path not in self.units:
            return None
        name = rng.choice(["a", "b", "c", "e/a"])
        if name in files and rng.random() < 0.2:
            del files[name]
        else:
            files[name] = self.mtime, f"t{self.step}"
        perm = self.disk[path].perm if path in self.units else 0o755 | ATOMIC
        if rng.random() < 0.1:
            perm = rng.choice([0o700, 0o750]) | ATOMIC
        self.peer.write(path, Node(UNIT, perm, 0, token_of(files)))
        return path, files

    def move_unit(self) -> object:
        if not self.units:
            return None
        path = self.rng.choice(self.units)
        above = self.rng.choice([b"", *(each + b"/" for each in self.directories)])
        new, nodes = above + b"unit%d" % self.step, self._taken(path)
        self._put(new, nodes)
        return path, new

    def permissions(self) -> object:
        if self.directories:
            path = self.rng.choice(self.directories)
            self.disk[path] = self.disk[path]._replace(perm=self.rng.choice([0o700, 0o755, 0o750]))
            return path
        return None


ACTIONS: dict[str, tuple[int, Callable[[User], object]]] = {
    "write": (36, User.write),
    "link": (4, User.link),
    "append": (5, User.append),
    "truncate": (2, User.truncate),
    "rewrite": (3, User.rewrite),
    "delete": (15, User.delete),
    "recreate": (3, User.recreate),
    "bring back": (8, User.bring_back),
    "rename": (6, User.rename),
    "swap": (3, User.swap),
    "move": (3, User.move),
    "copy": (3, User.copy),
    "make": (8, User.make),
    "turn": (3, User.turn),
    "attributes": (9, User.attributes),
    "permissions": (6, User.permissions),
    "ignore": (5, User.ignore),
    "resolve": (6, User.resolve),
    "unit": (16, User.unit),
    "move unit": (2, User.move_unit),
}
"""What a user may do, with how often."""
