"""Where content is, as far as the stores know."""

import os
from pathlib import Path

import pytest
from folders import write
from pairs import Pair

from replican.effects.contents import Wanted, find
from replican.operations.recording import record
from replican.operations.sources import sources
from replican.repository import Repository
from replican.values.errors import RemoteError, UnknownRemoteError
from replican.values.ids import blob_id
from replican.values.trees import FILE, LINK


def wanted(content: bytes, kind: bytes = FILE, hint: bytes = b"hint") -> Wanted:
    return Wanted(blob_id(content), kind, len(content), hint)


def where(root: Path, *items: Wanted, only: str | None = None) -> list[str | None]:
    with Repository(str(root)) as repo, sources(repo, only) as found:
        names = find(found.all, items)
        return [names.get(item.blob) for item in items]


def test_the_nearest_store_is_named(tmp_path: Path) -> None:
    pair = Pair(tmp_path, {"here": "h", "replaced": "old", "there": "t"})
    write(pair.a / "replaced", "new")
    write(pair.a / "only-a", "only")
    pair.pull()
    os.unlink(pair.b / "there")
    pair.record(pair.b)
    items = [wanted(each) for each in (b"h", b"old", b"t", b"nowhere")]
    assert where(pair.b, *items) == ["this folder", "the trash", "origin", None]
    assert where(pair.b, *items, only="origin") == ["origin", None, "origin", None]


def test_what_is_not_there_any_more_is_not_claimed(tmp_path: Path) -> None:
    pair = Pair(tmp_path, {"f": "content"})
    os.unlink(pair.b / "f")
    assert where(pair.b, wanted(b"content")) == ["origin"]
    write(pair.a / "f", "shorter")
    write(pair.a / "f", "short")
    assert where(pair.b, wanted(b"content")) == [None]


def test_a_file_of_the_same_size_at_the_same_path_is_not_claimed(tmp_path: Path) -> None:
    pair = Pair(tmp_path, {"f": "content"})
    assert where(pair.b, wanted(b"CONTENT", hint=b"f")) == [None]


def test_links(tmp_path: Path) -> None:
    pair = Pair(tmp_path, {"f": "x"})
    (pair.b / "l").symlink_to("target")
    pair.record(pair.b)
    assert where(pair.b, wanted(b"target", LINK)) == ["this folder"]


def test_remotes_that_cannot_be_reached_are_told_of(tmp_path: Path) -> None:
    pair = Pair(tmp_path, {"f": "x"})
    os.rename(pair.a, tmp_path / "away")
    with Repository(str(pair.b)) as repo:
        with sources(repo) as found:
            assert found.remote == []
        assert "no content from origin" in repo.notes[0]
        with pytest.raises(RemoteError), sources(repo, "origin"):
            pass
        with pytest.raises(UnknownRemoteError), sources(repo, "nobody"):
            pass


def test_a_remote_without_a_trash(tmp_path: Path) -> None:
    pair = Pair(tmp_path, {"f": "x"})
    os.rename(pair.a / ".replican/trash", tmp_path / "trash")
    assert where(pair.b, wanted(b"nowhere")) == [None]
    assert not (pair.a / ".replican/trash").exists(), "asking changes nothing over there"
    with Repository(str(pair.a)) as repo:
        assert not record(repo).new
