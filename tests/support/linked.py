"""A link to an answerer in a thread, and what comes over it."""

import os
import threading
from pathlib import Path

from replican.effects.channel import Channel
from replican.operations.checking import check
from replican.operations.cloning import clone_wired
from replican.operations.recording import record
from replican.operations.serving import serve
from replican.repository import Repository
from replican.values.addresses import SshAddress
from replican.values.errors import LinkError
from replican.values.streams import CopiedFile


class Link:
    """A link to an answerer in a thread."""

    def __init__(self, root: Path) -> None:
        (source, told), (out, target) = os.pipe(), os.pipe()
        self._thread = threading.Thread(target=self._serve, args=(out, told, str(root)), daemon=True)
        self._thread.start()
        self.channel = Channel(source, target)

    def _serve(self, source: int, target: int, root: str) -> None:
        try:
            serve(source, target, root)
        except LinkError:
            pass

    def close(self) -> int:
        self.channel.close()
        self._thread.join(10)
        return 0


def clone(target: Path) -> None:
    clone_wired(SshAddress("host", None, "there"), "host:there", str(target))
    with Repository(str(target)) as repo:
        assert check(repo, content=True).damage == []
        recorded = record(repo)
        assert (recorded.new, recorded.problems) == (False, [])


LIES = {
    "names that no tree has": [(b"1", CopiedFile(b"more", 0o644, 1, b"x")), (b"", CopiedFile(b"more", 0o644, 1, b"x"))],
    "a directory that no tree has": [(b"1/more/and", CopiedFile(b"more", 0o644, 1, b"x"))],
    "a directory in the place of a file": [(b"1/6", CopiedFile(b"more", 0o644, 1, b"x"))],
    "files in the place of directories": [
        (b"", CopiedFile(b"1", 0o644, 1, b"x")),
        (b"2", CopiedFile(b"deep", 0o644, 1, b"x")),
    ],
    "other content": [(b"1", CopiedFile(b"6", 0o644, 1, b"6" * 6)), (b"", CopiedFile(b"top", 0o644, 1, b"u"))],
}
"""Copies that no tree names: where, and what."""
