"""Files that are written to by memory that they are mapped to, as databases do: their stat data do not show it each
time."""

import mmap
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from folders import write

from replican.effects import hashing
from replican.effects.config import RemoteSettings
from replican.operations.cloning import clone
from replican.operations.recording import record
from replican.operations.syncing import sync
from replican.repository import Repository
from replican.values.ids import blob_id
from replican.values.listing import RACY_NS, Row

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there it is told who writes")


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap]:
    """Of a file that was written to so by now."""
    path.write_bytes(bytes(8192))
    with open(path, "r+b") as file, closing(mmap.mmap(file.fileno(), 8192)) as memory:
        memory[:5] = b"first"
        yield memory


def seen(root: Path) -> Row:
    """What is recorded of it."""
    time.sleep(2 * RACY_NS / 10**9)  # else it might be read again for being of this very moment
    with Repository(str(root)) as repo:
        record(repo)
        row = repo.index.row(b"shared")
    assert row is not None
    return row


def test_what_does_not_show_is_recorded(tmp_path: Path) -> None:
    Repository.init(str(tmp_path)).close()
    path = tmp_path / "shared"
    with mapped(path) as memory:
        assert seen(tmp_path).id == blob_id(path.read_bytes())
        before = os.stat(path)
        memory[:5] = b"other"
        now = os.stat(path)
        assert (now.st_mtime_ns, now.st_ctime_ns) == (before.st_mtime_ns, before.st_ctime_ns)
        row = seen(tmp_path)
        assert row.id == blob_id(b"other" + bytes(8187))
        memory[:5] = b"after"
    row = seen(tmp_path)
    assert (row.id, row.is_smudged) == (blob_id(b"after" + bytes(8187)), False)


def test_what_nobody_has_written_to_for_long_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may have it open all day."""
    monkeypatch.setattr(hashing, "_MAPPED_NS", RACY_NS)
    Repository.init(str(tmp_path)).close()
    with mapped(tmp_path / "shared"):
        assert not seen(tmp_path).is_smudged


@pytest.mark.parametrize("side", ["here", "there"])
def test_it_arrives(tmp_path: Path, side: str) -> None:
    write(tmp_path / "there/first", b"first")
    clone(str(tmp_path / "there"), str(tmp_path / "here"))
    other = tmp_path / ("there" if side == "here" else "here")
    with Repository(str(tmp_path / "here")) as repo:
        repo.config.set_remote("origin", RemoteSettings(str(tmp_path / "there")))
    with mapped(tmp_path / side / "shared") as memory:
        seen(tmp_path / side)
        for content in (b"other", b"third"):
            memory[:5] = content
            with Repository(str(tmp_path / "here")) as repo:
                assert sync(repo, "origin").equal
            assert (other / "shared").read_bytes() == content + bytes(8187)
