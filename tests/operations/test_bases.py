"""What of a wanted file is found here: by its path, by known lists, in the trash."""

import os
import time
from pathlib import Path

import pytest
from folders import write
from replicas import Replicas

from replican.decisions.delta import plan_delta
from replican.effects.block_cache import BlockCache
from replican.effects.blocks import blocks_of_pieces
from replican.operations.bases import LocalFiles, opened_bases
from replican.repository import Repository
from replican.values.blocks import MOST, BlockList
from replican.values.ids import BlobId, blob_id
from replican.values.listing import RACY_NS

MIB = 1 << 20


def content(length: int, seed: int = 1) -> bytes:
    return b"".join(blob_id(b"%d %d" % (seed, number)) for number in range(length // 32 + 1))[:length]


OLD = content(2 * MIB + 1000)
NEW = OLD[:MIB] + content(50_000, 2) + OLD[MIB:]


def blocks_of(data: bytes) -> BlockList:
    return blocks_of_pieces([data])


class Folder:
    """A replica with large files."""

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas
        self.root = replicas.base / "a"
        write(self.root / "d/old", OLD)
        write(self.root / "other", content(2 * MIB, 3))
        replicas(".", "init", "a")
        time.sleep(2 * RACY_NS / 1e9)  # what is younger the index does not trust
        replicas("a", "commit")

    def cache(self) -> BlockCache:
        return BlockCache(str(self.root / ".replican/blocks.db"))

    def missing(self, wanted: bytes, path: bytes, *likely: bytes) -> tuple[int, int]:
        """How many bytes of ``wanted`` are not here, and in how many files the others are."""
        with Repository(str(self.root)) as repo, self.cache() as cache:
            blocks = blocks_of(wanted).shortened()
            with LocalFiles(repo, cache) as files, opened_bases(files, blocks, path, likely) as bases:
                plan = plan_delta(blocks, [basis.blocks for basis in bases])
                assert len(plan.used) == len(bases)
                return plan.missing_size, len(bases)

    def known(self) -> set[BlobId]:
        with self.cache() as cache:
            return cache.blobs()


@pytest.fixture
def folder(replicas: Replicas) -> Folder:
    return Folder(replicas)


def opened() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_the_old_version(folder: Folder) -> None:
    size, count = folder.missing(NEW, b"d/old")
    assert (size < 50_000 + 2 * MOST, count) == (True, 1)
    assert folder.known() == {blob_id(OLD)}


def test_a_copy_and_a_renamed_file_are_found_once_their_list_is_known(folder: Folder) -> None:
    assert folder.missing(NEW, b"new") == (len(NEW), 0)
    folder.missing(NEW, b"d/old")
    size, count = folder.missing(NEW, b"new")
    assert (size < 50_000 + 2 * MOST, count) == (True, 1)
    os.rename(folder.root / "d/old", folder.root / "renamed")
    folder.replicas("a", "commit")
    assert folder.missing(OLD, b"somewhere") == (0, 1)


def test_a_file_whose_permissions_changed_is_read_for_what_it_is(folder: Folder) -> None:
    """As one that was written in the moment in which it was looked at: its times tell too little."""
    os.chmod(folder.root / "d/old", 0o600)
    assert folder.missing(NEW, b"d/old")[1] == 1
    assert folder.known() == {blob_id(OLD)}
    with Repository(str(folder.root)) as repo, folder.cache() as cache, LocalFiles(repo, cache) as files:
        basis = files.of(blob_id(OLD))
        assert basis is not None
        os.close(basis.fd)


def test_a_file_that_is_likely(folder: Folder) -> None:
    assert folder.missing(OLD, b"new", b"missing", b"other", b"d/old") == (0, 1)
    assert folder.missing(OLD, b"d/old", b"other") == (0, 1)


def test_several_files(folder: Folder) -> None:
    folder.missing(OLD, b"d/old", b"other")
    folder.missing(content(2 * MIB, 3), b"other")
    size, count = folder.missing(OLD + content(2 * MIB, 3), b"new")
    assert (size < 2 * MOST, count) == (True, 2)


def test_an_edit_that_is_not_recorded_is_no_less_use(folder: Folder) -> None:
    write(folder.root / "d/old", NEW)
    assert folder.missing(NEW, b"d/old") == (0, 1)
    assert folder.known() == set(), "of what the index does not know"


def test_a_known_list_of_a_file_that_was_edited_is_not_taken_for_its_own(folder: Folder) -> None:
    folder.missing(NEW, b"d/old")
    write(folder.root / "d/old", content(2 * MIB, 4))
    assert folder.missing(OLD, b"new") == (len(OLD), 0)


def test_what_is_in_the_trash(replicas: Replicas, folder: Folder) -> None:
    replicas(".", "clone", "a", "b")
    for change in (lambda: write(folder.root / "d/old", b"short"), (folder.root / "d/old").unlink):
        change()
        replicas("b", "sync")
    here = Folder.__new__(Folder)
    here.root = replicas.base / "b"
    size, count = here.missing(NEW, b"d/old")
    assert (size < 50_000 + 2 * MOST, count) == (True, 1)
    with Repository(str(here.root)) as repo, here.cache() as cache, LocalFiles(repo, cache) as files:
        basis = files.of(blob_id(OLD))
        assert basis is not None
        assert os.pread(basis.fd, 100, 0) == OLD[:100]
        os.close(basis.fd)


def test_what_is_there_by_its_id(folder: Folder) -> None:
    with Repository(str(folder.root)) as repo, folder.cache() as cache, LocalFiles(repo, cache) as files:
        basis = files.of(blob_id(OLD))
        assert basis is not None
        assert basis.blocks == blocks_of(OLD) == cache.get(blob_id(OLD))
        os.close(basis.fd)
        assert files.of(blob_id(NEW)) is None
        write(folder.root / "d/old", NEW)
        assert files.of(blob_id(OLD)) is None


def test_links_are_not_followed_and_nothing_stays_open(folder: Folder, tmp_path: Path) -> None:
    write(tmp_path / "outside/old", OLD)
    (folder.root / "link").symlink_to(tmp_path / "outside/old")
    (folder.root / "way").symlink_to(tmp_path / "outside")
    os.mkfifo(folder.root / "fifo")
    before = opened()
    for path in (b"link", b"way/old", b"fifo", b"d", b"d/old/none"):
        assert folder.missing(OLD, path) == (len(OLD), 0)
    folder.missing(NEW, b"d/old", b"other")
    assert opened() == before


def test_without_the_compiled_part_large_files_are_not_cut(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replican.operations.bases.is_fast", lambda: False)
    assert folder.missing(NEW, b"d/old") == (len(NEW), 0)
    monkeypatch.undo()
    folder.missing(NEW, b"d/old")
    monkeypatch.setattr("replican.operations.bases.is_fast", lambda: False)
    assert folder.missing(NEW, b"d/old")[1] == 1
