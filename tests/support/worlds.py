"""A folder and its remote, which is reached as each kind of remote is: what lies there is a folder of this machine, so
that a test can look at both sides."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from folders import assert_equal, write

from replican.effects.config import RemoteSettings
from replican.operations.recording import record
from replican.operations.remotes import Remote, opened_remote
from replican.operations.syncing import pull
from replican.repository import Repository

LARGE = b"".join(b"%d\n" % number for number in range(400_000))
FILES = {"letter": b"dear", "empty": b"", "folder/inner/deep": b"deep", "large": LARGE, "twin 1": b"t", "twin 2": b"t"}


class World:
    """Two folders: ``there`` is the remote ``origin`` of ``here``. Nothing is open in between."""

    def __init__(self, base: Path, address: Callable[[Path], str]) -> None:
        self.here, self.there = base / "here", base / "there"
        for root in (self.here, self.there):
            Repository.init(str(root)).close()
        with self.open() as repo:
            repo.config.set_remote("origin", RemoteSettings(address(self.there)))

    def open(self) -> Repository:
        return Repository(str(self.here), wait=0.2)

    @contextmanager
    def both(self) -> Iterator[tuple[Repository, Remote]]:
        with self.open() as repo, opened_remote(repo, "origin") as remote:
            yield repo, remote

    def fill(self, files: dict[str, bytes] = FILES) -> None:
        for path, content in files.items():
            write(self.there / path, content)
        os.symlink("letter", self.there / "link")
        (self.there / "nothing").mkdir()

    def record_there(self) -> None:
        with Repository(str(self.there)) as there:
            record(there)

    def start(self) -> None:
        """Both have the same."""
        self.fill()
        with self.open() as repo:
            pull(repo, "origin")
        assert_equal(self.here, self.there)


def folder_address(root: Path) -> str:
    return str(root)


def wired_address(root: Path) -> str:
    return f"there:{root}"


KINDS = {"folder": folder_address, "pipe": wired_address}
"""How a remote of each kind is addressed."""
