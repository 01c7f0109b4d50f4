"""Whole new directories, built on the stage."""

import os
from pathlib import Path

import pytest
from folders import write
from weak import WeakFolder

from replican.effects.contents import FolderStore, ShelfStore, Wanted
from replican.effects.mirror import Filled
from replican.effects.staging import Stage
from replican.effects.treebuild import Building, TreeBuilder
from replican.values.errors import FoldedError
from replican.values.ids import EMPTY_TREE, blob_id
from replican.values.listing import Row, decode_listing
from replican.values.progress import Silent
from replican.values.traits import Traits
from replican.values.trees import DIRECTORY, FILE, LINK, LINK_PERM, Entry, encode_tree

TIME = 1_600_000_000_123_456_789


class Nowhere:
    """An index that knows nothing."""

    def find_paths(self, blobs: object) -> dict[object, bytes]:
        return {}


def file_entry(name: str, content: bytes, perm: int = 0o644) -> Entry:
    return Entry(name.encode(), FILE, perm, len(content), TIME, blob_id(content))


def building(path: bytes, *entries: Entry) -> Building:
    files = [entry for entry in entries if entry.kind != DIRECTORY]
    return Building(path, encode_tree(sorted(entries)), len(files), sum(entry.size for entry in files))


def build(tmp_path: Path, *jobs: Building) -> dict[bytes, Filled]:
    """Build ``jobs`` from the folder ``source`` on a stage."""
    (tmp_path / "source").mkdir(exist_ok=True)
    store = FolderStore("source", str(tmp_path / "source"), Nowhere())  # type: ignore[arg-type]
    try:
        with Stage(str(tmp_path / "stage")) as stage:
            builder = TreeBuilder(stage, b"place", Silent())
            return {filled.path: filled for filled in builder.build(list(jobs), store)}
    finally:
        store.close()


def rows(filled: Filled) -> dict[bytes, Row]:
    return {row.name: row for row in decode_listing(filled.rows_blob)}


def test_files_and_links_come_with_their_attributes(tmp_path: Path) -> None:
    write(tmp_path / "source/d/f", b"content")
    (tmp_path / "source/d/l").symlink_to("nowhere")
    link = Entry(b"l", LINK, LINK_PERM, 7, TIME, blob_id(b"nowhere"))
    done = build(tmp_path, building(b"d", file_entry("f", b"content", 0o440), link))[b"d"]
    built = tmp_path / "stage/place/d"
    assert (built / "f").read_bytes() == b"content"
    assert os.readlink(built / "l") == "nowhere"
    for name, perm in (("f", 0o440), ("l", 0o777)):
        status = os.lstat(built / name)
        assert (status.st_mode & 0o7777, status.st_mtime_ns) == (perm, TIME)
        row = rows(done)[name.encode()]
        assert (row.ino, row.ctime_ns, row.disk_mtime_ns) == (status.st_ino, status.st_ctime_ns, status.st_mtime_ns)
    assert done.missing == []
    assert (done.files, done.ino) == (2, built.stat().st_ino)


def test_directories_are_made_and_can_be_reached_into(tmp_path: Path) -> None:
    write(tmp_path / "source/d/e/f", b"content")
    below = Entry(b"e", DIRECTORY, 0o500, 0, 0, EMPTY_TREE)
    done = build(tmp_path, building(b"d", below), building(b"d/e", file_entry("f", b"content")))
    assert (tmp_path / "stage/place/d/e/f").read_bytes() == b"content"
    row = rows(done[b"d"])[b"e"]
    assert row.perm == 0o500
    assert (tmp_path / "stage/place/d/e").stat().st_mode & 0o700 == 0o700


@pytest.mark.parametrize("there", [b"other!!", b"longer than that", b"", None])
def test_what_the_source_does_not_have_is_missing(tmp_path: Path, there: bytes | None) -> None:
    (tmp_path / "source/d").mkdir(parents=True)
    if there is not None:
        write(tmp_path / "source/d/f", there)
    entry = file_entry("f", b"content")
    done = build(tmp_path, building(b"d", entry))[b"d"]
    assert done.missing == [entry]
    assert rows(done) == {}
    assert os.listdir(tmp_path / "stage/place/d") == []


def test_a_source_that_is_a_link_or_special_is_missing(tmp_path: Path) -> None:
    write(tmp_path / "secret", b"content")
    (tmp_path / "source/d").mkdir(parents=True)
    (tmp_path / "source/d/link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "source/d/fifo")
    (tmp_path / "source/d/dir").mkdir()
    entries = [file_entry(name, b"content") for name in ("dir", "fifo", "link")]
    assert build(tmp_path, building(b"d", *entries))[b"d"].missing == entries


def test_a_source_directory_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "outside/f", b"content")
    (tmp_path / "source").mkdir()
    (tmp_path / "source/d").symlink_to(tmp_path / "outside")
    entry = file_entry("f", b"content")
    assert build(tmp_path, building(b"d", entry))[b"d"].missing == [entry]


def test_what_an_interrupted_run_left_is_not_believed(tmp_path: Path) -> None:
    write(tmp_path / "source/d/whole", b"content")
    write(tmp_path / "source/d/half", b"content")
    write(tmp_path / "stage/place/d/whole", b"content")
    write(tmp_path / "stage/place/d/half", b"con")
    inode = (tmp_path / "stage/place/d/whole").stat().st_ino
    done = build(tmp_path, building(b"d", file_entry("half", b"content"), file_entry("whole", b"content")))[b"d"]
    assert done.missing == []
    assert (tmp_path / "stage/place/d/half").read_bytes() == b"content"
    assert (tmp_path / "stage/place/d/whole").stat().st_ino == inode
    assert (tmp_path / "stage/place/d/whole").stat().st_mtime_ns == TIME


def test_many_files_are_built_by_several_processes(tmp_path: Path) -> None:
    jobs = []
    for number in range(12):
        entries = []
        for each in range(50):
            content = f"{number} {each}".encode()
            write(tmp_path / f"source/{number}/{each:02}", content)
            entries.append(file_entry(f"{each:02}", content))
        jobs.append(building(b"%d" % number, *entries))
    done = build(tmp_path, *jobs)
    assert sum(filled.files for filled in done.values()) == 600
    for number in range(12):
        for each in range(50):
            path = tmp_path / f"stage/place/{number}/{each:02}"
            assert path.read_text() == f"{number} {each}"
            assert rows(done[b"%d" % number])[b"%02d" % each].ino == path.stat().st_ino


def test_other_stores_fill_what_is_missing(tmp_path: Path) -> None:
    entry = file_entry("f", b"content")
    (tmp_path / "shelf").mkdir()
    write(tmp_path / "shelf" / entry.id.hex(), b"content")
    wanted = Wanted(entry.blob, entry.kind, entry.size, b"d/f")
    with Stage(str(tmp_path / "stage")) as stage:
        builder = TreeBuilder(stage, b"place", Silent())
        store = FolderStore("source", str(tmp_path), Nowhere())  # type: ignore[arg-type]
        list(builder.build([building(b"d", entry)], store))
        store.close()
        assert builder.fill_missing(b"d", entry, wanted, [ShelfStore("empty", str(tmp_path / "none"))]) is None
        row = builder.fill_missing(b"d", entry, wanted, [ShelfStore("shelf", str(tmp_path / "shelf"))])
    assert row is not None
    assert row.entry == entry
    assert (tmp_path / "stage/place/d/f").read_bytes() == b"content"


def test_directories_are_not_counted_as_files(tmp_path: Path) -> None:
    write(tmp_path / "source/d/f", b"content")
    (tmp_path / "source/d/sub").mkdir()
    below = Entry(b"sub", DIRECTORY, 0o755, 0, 0, EMPTY_TREE)
    done = build(tmp_path, building(b"d", file_entry("f", b"content"), below), building(b"d/sub"))
    assert [(done[path].files, done[path].size) for path in (b"d", b"d/sub")] == [(1, 7), (0, 0)]


FOLDS = Traits(folds_case=True)


def test_a_name_that_is_there_under_another_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the probe had said: the other is a file that was built a moment ago."""
    entries = [file_entry("README", b"one"), file_entry("readme", b"other"), file_entry("same", b"=")]
    entries.append(file_entry("SAME", b"="))
    for name, content in (("README", b"one"), ("readme", b"other"), ("same", b"="), ("SAME", b"=")):
        write(tmp_path / "source/d" / name, content)
    WeakFolder(monkeypatch, tmp_path / "stage", FOLDS)
    for _ in range(2):  # the second time, all of it is what an interrupted run left
        done = build(tmp_path, building(b"d", *entries))[b"d"]
        assert {entry.name for entry in done.missing} == {b"readme", b"same"}
        assert rows(done).keys() == {b"README", b"SAME"}
        assert sorted(os.listdir(tmp_path / "stage/place/d")) == ["README", "SAME"]
        assert (tmp_path / "stage/place/d/README").read_bytes() == b"one"


def test_nor_by_what_another_store_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = file_entry("readme", b"other")
    write(tmp_path / "source/d/README", b"one")
    (tmp_path / "shelf").mkdir()
    write(tmp_path / "shelf" / entry.id.hex(), b"other")
    WeakFolder(monkeypatch, tmp_path / "stage", FOLDS)
    build(tmp_path, building(b"d", file_entry("README", b"one"), entry))
    wanted = Wanted(entry.blob, entry.kind, entry.size, b"d/readme")
    shelf = ShelfStore("shelf", str(tmp_path / "shelf"))
    with Stage(str(tmp_path / "stage")) as stage:
        builder = TreeBuilder(stage, b"place", Silent())
        with pytest.raises(FileExistsError):
            builder.fill_missing(b"d", entry, wanted, [shelf])
    assert (tmp_path / "stage/place/d/README").read_bytes() == b"one"


def test_directories_that_are_one_are_not_filled_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    WeakFolder(monkeypatch, tmp_path / "stage", FOLDS)
    below = [Entry(name, DIRECTORY, 0o755, 0, 0, EMPTY_TREE) for name in (b"D", b"d")]
    with pytest.raises(FoldedError, match="takes d for another name"):
        build(tmp_path, building(b"top", *below))


def test_directories_that_others_make_meanwhile_are_none_of_these(tmp_path: Path, monkeypatch) -> None:
    """Another process may be at work on what lies below, and make a directory before its turn has come here."""
    below = [Entry(name, DIRECTORY, 0o755, 0, 0, EMPTY_TREE) for name in (b"a", b"b", b"c")]
    mkdir = os.mkdir

    def overtaken(name: bytes | str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        if name in (b"a", b"c"):
            mkdir(name, mode, dir_fd=dir_fd)
        mkdir(name, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", overtaken)
    assert rows(build(tmp_path, building(b"top", *below))[b"top"]).keys() == {b"a", b"b", b"c"}
