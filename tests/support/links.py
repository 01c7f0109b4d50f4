"""Two folders and links between them, within one process, that are counted and cut at any byte."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from replican.decisions import gates
from replican.effects.channel import Channel
from replican.effects.config import RemoteSettings
from replican.operations import remotes
from replican.operations.serving import serve
from replican.operations.syncing import pull, push
from replican.repository import Repository
from replican.values.errors import RemoteError, ReplicanError

UNION = frozenset([gates.ALLOW_UNRELATED])


class Cuttable:
    """A link to an answerer at ``root``; what either end says is counted, and cut after so many bytes of it."""

    def __init__(self, root: Path, answers: int | None = None, asks: int | None = None) -> None:
        (source, into), (heard, told), (out, target), (listens, says) = os.pipe(), os.pipe(), os.pipe(), os.pipe()
        self.answered = self.asked = 0
        self._ends: list[threading.Thread] = []

        def relay(one: int, other: int, most: int | None, count: Callable[[int], None]) -> None:
            left = most
            try:
                while data := os.read(one, 1 << 16 if left is None else min(1 << 16, left)):
                    count(len(data))
                    left = None if left is None else left - len(data)
                    while data:
                        data = data[os.write(other, data) :]
            except OSError:
                pass
            for fd in (one, other):
                os.close(fd)

        def answer() -> None:
            try:
                serve(listens, told, str(root), wait=5)
            except ReplicanError:
                pass

        for work in (
            lambda: relay(heard, into, answers, self._count_answered),
            lambda: relay(out, says, asks, self._count_asked),
            answer,
        ):
            self._ends.append(threading.Thread(target=work, daemon=True))
            self._ends[-1].start()
        self.channel = Channel(source, target)

    def _count_answered(self, count: int) -> None:
        self.answered += count

    def _count_asked(self, count: int) -> None:
        self.asked += count

    def close(self) -> int:
        self.channel.close()
        for thread in self._ends:
            thread.join(20)
        return 0

    def why_it_ended(self) -> ReplicanError:
        self.close()
        return remotes.LinkError("it ended")


class CutLinks:
    """Two folders, and the links between them: ``cut`` says after how many bytes the next one ends."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.there, self.here = base / "there", base / "here"
        self.cut: dict[str, int] = {}
        self.links: list[Cuttable] = []

        def start(*_: object) -> Cuttable:
            self.links.append(Cuttable(self.there, **self.cut))
            self.cut = {}
            return self.links[-1]

        monkeypatch.setenv("XDG_CONFIG_HOME", str(base / "home"))
        monkeypatch.setenv("REPLICAN_AUTHOR_NAME", "tester")
        monkeypatch.setattr(remotes, "start", start)
        for root in (self.there, self.here):
            Repository.init(str(root)).close()
        with self.open() as repo:
            repo.config.set_remote("origin", RemoteSettings("host:there"))

    def open(self) -> Repository:
        return Repository(str(self.here), wait=5)

    def forget_lists(self) -> None:
        """Over there, no block lists are known any more: an edit does not come early, and is asked for."""
        os.unlink(self.there / ".replican/blocks.db")

    def pull(self, **cut: int) -> int | None:
        """How many bytes came; None where the link was cut."""
        return self._do(lambda repo: pull(repo, "origin", allowed=UNION), cut, "answered")

    def push(self, **cut: int) -> int | None:
        return self._do(lambda repo: push(repo, "origin"), cut, "asked")

    def _do(self, work: Callable[[Repository], object], cut: dict[str, int], which: str) -> int | None:
        self.cut = cut
        with self.open() as repo:
            try:
                work(repo)
            except RemoteError:
                assert cut
                return None
        return int(getattr(self.links[-1], which))

    def stage(self, root: Path | None = None) -> list[str]:
        return sorted(os.listdir((root or self.here) / ".replican/stage"))
