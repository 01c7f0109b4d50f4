"""The copies that a first scan makes while it reads."""

from pathlib import Path

import pytest

from replican.effects import reading
from replican.effects.index import Index
from replican.effects.mirror import PLACE, Copied, Filled, Mirror
from replican.effects.scan import scan
from replican.effects.staging import Stage
from replican.values.ids import TreeId, blob_id, tree_id
from replican.values.listing import Row, decode_listing, encode_listing
from replican.values.trees import FILE, Entry, encode_tree


@pytest.mark.parametrize("directory", [b"", b"a", b"a/b"], ids=["root", "directory", "deeper"])
@pytest.mark.parametrize("content", [b"hello", b"x" * 300_000], ids=["small", "large"])
@pytest.mark.parametrize("workers", [1, None], ids=["here", "there"])
def test_what_is_read_is_copied(
    tmp_path: Path, directory: bytes, content: bytes, workers: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "FORK_FILES", 0)
    monkeypatch.setattr(reading, "FORK_BYTES", 0)
    folder = tmp_path / "folder" / directory.decode()
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(content)
    with Stage(str(tmp_path / "stage")) as stage:
        mirror = Mirror(stage)
        with Index.open(str(tmp_path / "index.db"), writable=True) as index:
            seen = scan(str(tmp_path / "folder"), index, workers=workers, mirror=mirror)
        mtime_ns = (folder / "file").stat().st_mtime_ns
        entry = Entry(b"file", FILE, 0o644, len(content), mtime_ns, blob_id(content))
        copy = tmp_path / "stage" / PLACE.decode() / directory.decode() / "file"
        assert (copy.read_bytes(), copy.stat().st_mtime_ns) == (content, mtime_ns)
        row = mirror.copy_of(directory, entry)
        assert row is not None
        assert (row.entry, row.ino, row.ctime_ns) == (entry, copy.stat().st_ino, copy.stat().st_ctime_ns)
        assert mirror.copy_of(directory, entry._replace(mtime_ns=1)) is None
        assert mirror.copy_of(b"another", entry) is None
        filled = mirror.whole(directory, seen.changed[directory].tree)
        assert filled is not None
        assert decode_listing(filled.rows_blob) == [row]
        assert (filled.ino, filled.newest_ns) == (copy.parent.stat().st_ino, row.ctime_ns)
        assert (filled.files, filled.size) == (1, len(content))
        assert mirror.whole(directory, TreeId(bytes(32))) is None
        mirror.close()


def test_a_directory_is_whole_if_all_of_it_was_copied(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for name in ("a/file", "b/file", "c/d/file"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(name)
    (folder / "b/link").symlink_to("file")
    with Stage(str(tmp_path / "stage")) as stage, Index.open(str(tmp_path / "index.db"), writable=True) as index:
        mirror = Mirror(stage)
        seen = scan(str(folder), index, mirror=mirror)
        whole = {path: mirror.whole(path, record.tree) is not None for path, record in seen.changed.items()}
        assert whole == {b"": False, b"a": True, b"b": False, b"c": False, b"c/d": True}
        mirror.close()


def copied(path: bytes, *names: bytes) -> Copied:
    """As if a directory, or a part of it, had been copied; its tree would be that of the names."""
    rows = [Row(name, FILE, 0o644, 1, 1, blob_id(name), 0o644, 1, 1, 1) for name in names]
    tree = tree_id(encode_tree([row.entry for row in rows]))
    return Copied(Filled(path, encode_listing(rows), None, 1, 1, [], len(rows), len(rows)), tree)


def test_a_directory_of_which_more_came_is_not_whole(tmp_path: Path) -> None:
    """Else what no tree names would lie there, and be taken for the user's."""
    tree = copied(b"", b"x").tree
    assert tree is not None
    with Stage(str(tmp_path / "stage")) as stage:
        mirror = Mirror(stage)
        for each in (copied(b"a", b"x"), copied(b"b", b"x"), copied(b"b", b"y"), copied(b"c", b"x")):
            mirror.note(each)
        mirror.note(copied(b"c/d/e", b"y"))
        whole = {path: mirror.whole(path, tree) is not None for path in (b"a", b"b", b"c", b"c/d")}
        assert whole == {b"a": True, b"b": False, b"c": False, b"c/d": False}
        other = Mirror(stage, b"other")
        other.take_over(mirror.copied)
        assert {path: other.whole(path, tree) is not None for path in whole} == whole


class Narrow(Mirror):
    """On a disk with room for so many bytes."""

    room = 0

    def has_room(self, files: int, size: int) -> bool:
        return size <= self.room


@pytest.mark.parametrize("room", [99, 100], ids=["too little", "enough"])
@pytest.mark.parametrize("workers", [1, None], ids=["here", "there"])
def test_nothing_is_copied_where_not_all_fits(
    tmp_path: Path, room: int, workers: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it does is not known before all has been looked at: so much, and more, is used of the folder's disk."""
    monkeypatch.setattr(reading, "FORK_FILES", 3)
    folder = tmp_path / "folder"
    for number in range(10):
        (folder / f"{number}").mkdir(parents=True)
        (folder / f"{number}/file").write_bytes(b"x" * 10)
    with Stage(str(tmp_path / "stage")) as stage, Index.open(str(tmp_path / "index.db"), writable=True) as index:
        mirror = Narrow(stage)
        mirror.room = room
        seen = scan(str(folder), index, mirror=mirror, workers=workers)
        assert (seen.hashed_files, len(seen.changed)) == (10, 11)
        copied = list((tmp_path / "stage").glob("mirror/*/file"))
        assert len(copied) == (10 if room == 100 else 0)
        mirror.close()
