"""A large file that is another one before it can be read to its end, in one of two folders, with a link between them or
without."""

import os
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import pytest
from folders import noise, write
from links import CutLinks

from replican.effects import blocks, copying, hashing
from replican.effects.config import RemoteSettings
from replican.effects.freezing import UNSTEADY
from replican.operations.cloning import clone
from replican.operations.syncing import Pulled, Synced, pull, sync
from replican.repository import Repository
from replican.values.ids import blob_hasher, blob_id

MIB = 1 << 20


class Restless(CutLinks):
    """Two folders; in the one called ``side`` ("here" or "there") lie such a file and another one. Whoever records it,
    or does what else one of ``modules`` does, finds that it has changed."""

    def __init__(
        self,
        base: Path,
        monkeypatch: pytest.MonkeyPatch,
        side: str,
        modules: Iterable[ModuleType] = (hashing, copying, blocks),
    ) -> None:
        super().__init__(base, monkeypatch)
        folder: Path = getattr(self, side)
        self.path = folder / "large"
        write(self.path, noise(3 * MIB))
        write(folder / "other", b"other")
        self.versions = {self.path.read_bytes()}
        self.is_restless = False
        self.grows = True
        self.count = 0
        for module in modules:
            monkeypatch.setattr(module, "blob_hasher", self.hasher)

    def edit(self) -> None:
        """Another byte in each MiB, and, if it grows, 10 more at the end."""
        self.count += 1
        with open(self.path, "r+b") as file:
            for at in range(3):
                file.seek(at * MIB + self.count)
                file.write(b"%d" % (self.count % 10))
            if self.grows:
                file.seek(0, os.SEEK_END)
                file.write(b"%010d" % self.count)
        self.versions.add(self.path.read_bytes())

    def hasher(self, size: int) -> object:
        """That of content of so many bytes, which changes when it is begun."""
        if self.is_restless and size > MIB:
            self.edit()
        return blob_hasher(size)

    def row(self) -> tuple[bytes, bool]:
        """The id of the file's row where it lies, and whether it is smudged."""
        with Repository(str(self.path.parent)) as repo:
            row = repo.index.row(b"large")
        assert row is not None
        return row.id, row.is_smudged


class Folders(Restless):
    """``here`` is the folder that syncs, ``there`` its remote; the file lies in the one called ``side``."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch, side: str) -> None:
        write(base / "there/first", b"first")
        clone(str(base / "there"), str(base / "here"))
        super().__init__(base, monkeypatch, side)
        with self.open_folder() as repo:
            repo.config.set_remote("origin", RemoteSettings(str(self.there)))
        self.other = (self.there if side == "here" else self.here) / "large"
        self.notes: list[str] = []

    def open_folder(self) -> Repository:
        return Repository(str(self.here))

    def sync(self) -> Synced:
        with self.open_folder() as repo:
            done = sync(repo, "origin")
            self.notes = list(repo.notes)
        return done

    def pull(self) -> Pulled:
        with self.open_folder() as repo:
            done = pull(repo, "origin")
            self.notes = list(repo.notes)
        return done

    def assert_delivered(self) -> None:
        found = self.other.read_bytes()
        assert found in self.versions
        assert self.row() == (blob_id(found), True)
        assert self.stage() == self.stage(self.there) == []
        assert len([note for note in self.notes if UNSTEADY in note]) == 1
