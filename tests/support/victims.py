"""Whoever a forged remote is held out to: what it does with it, and that nothing of it is left behind."""

import os
import shutil
from contextlib import nullcontext
from pathlib import Path

from folders import assert_equal, contents, snapshot, write
from forging import Forger
from in_process import Ended
from replicas import OLD, Replicas

REFUSED = (5, 6)
"""The remote broke the rules; or holds something that is damaged."""


COMMANDS = ("pull", "sync", "push", "clone")


class Victim:
    """``b``, in step with the honest ``a``; ``evil`` is a remote of its, and begins as a copy of ``a``."""

    def __init__(self, replicas: Replicas) -> None:
        self.run = replicas
        self.base = replicas.base
        replicas.clone({"f": "content", "d/g": "2", "d/h": "3"})
        write(self.base / "outside/kept", "of somebody else", OLD)
        self._turn = 0
        self.what = ""
        self.evil = Forger(self.base / "evil", self.base / "a")
        replicas("b", "remote", "add", "evil", "../evil")

    @property
    def head(self) -> bytes:
        return bytes.fromhex(self.run.head("b"))

    def state(self) -> dict[str, object]:
        """All that must stay as it is: files with inodes and times, what lies outside, and the log."""
        kept: dict[str, object] = {
            name: (snapshot(self.base / name), inodes(self.base / name)) for name in ("a", "b", "outside")
        }
        dot = self.base / "b/.replican"
        for above, _, names in os.walk(dot):
            for name in names:
                path = Path(above, name)
                own = str(path.relative_to(dot))
                if not own.startswith("index.db") and own not in ("lock", "refs/.lock"):
                    kept[own] = path.read_bytes()
        return kept

    def refuses(self, *words: str, saying: str = "", code: int | None = None) -> Ended:
        """``b`` runs a command, which is refused, and everything is as it was."""
        before = self.state()
        ended = self.run("b", *words, code=None)
        assert ended.code in REFUSED if code is None else ended.code == code, (
            self.what,
            ended,
        )
        assert saying in ended.err, (self.what, ended)
        assert "replican: " in ended.err
        changed = {name for name, value in self.state().items() if before.get(name) != value}
        assert not changed
        assert self.state().keys() == before.keys()
        return ended

    def refuses_one(self, saying: str, what: str) -> None:
        """``b`` does not fetch what ``evil`` offers now, nor takes it in by one of the other commands, in turn."""
        self.what = what
        self.refuses("fetch", "evil", saying=saying)
        command = COMMANDS[self._turn % len(COMMANDS)]
        self._turn += 1
        if command == "clone":
            self.is_not_cloned()
        else:
            with self.evil.at_work() if command != "push" else nullcontext():
                self.refuses("--wait", "0", command, "evil", saying=saying if command != "push" else "")

    def refuses_all(self, saying: str = "") -> None:
        """No command takes over anything of what ``evil`` offers now, whether or not it can record over there first."""
        with self.evil.at_work():
            for command in ("fetch", "pull", "sync"):
                self.refuses("--wait", "0", command, "evil", saying=saying)
        for command in ("sync", "push"):
            self.refuses(command, "evil", saying="" if command == "push" else saying)
        self.is_not_cloned()

    def is_not_cloned(self) -> None:
        before = self.state()
        ended = self.run(".", "clone", "evil", "c", code=None)
        assert ended.code in REFUSED, (ended.code, ended.text, ended.err)
        assert self.state() == before
        if (self.base / "c").exists():
            assert contents(self.base / "c") == {}
            shutil.rmtree(self.base / "c")

    def is_sound(self) -> None:
        """The log of ``b`` is whole, its files are the recorded ones, and an honest peer is kept in step with."""
        self.run("b", "fsck", "--content")
        assert self.run.json("b", "status")["clean"]
        self.run.write("a/of an honest peer", "x")
        self.run("b", "sync", "origin")
        assert_equal(self.base / "a", self.base / "b")
        assert self.run.head("a") == self.run.head("b")
        self.run("b", "fsck", "--content")


def inodes(root: Path) -> dict[str, tuple[int, int]]:
    """Inode and change time of everything in a folder."""
    found = {}
    for above, directories, names in os.walk(root):
        if ".replican" in directories:
            directories.remove(".replican")
        for name in [*directories, *names]:
            status = os.lstat(os.path.join(above, name))
            found[os.path.join(above, name)] = (status.st_ino, status.st_ctime_ns)
    return found
