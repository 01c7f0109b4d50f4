"""The stage: content waits here, verified, with the attributes that it will have."""

import os
import time
from pathlib import Path

import pytest

from replican.effects.contents import ContentStore, ShelfStore, Wanted
from replican.effects.staging import SMALL, Slot, Stage, copy_verified
from replican.values.ids import blob_id
from replican.values.trees import FILE, LINK, LINK_PERM, Entry

TIME = 1_600_000_000_123_456_789


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    (tmp_path / "shelf").mkdir()
    return tmp_path / "shelf"


def stage_at(tmp_path: Path) -> Stage:
    return Stage(str(tmp_path / "stage"))


def file_entry(content: bytes, perm: int = 0o644, mtime_ns: int = TIME) -> Entry:
    return Entry(b"f", FILE, perm, len(content), mtime_ns, blob_id(content))


def wanted(entry: Entry) -> Wanted:
    return Wanted(entry.blob, entry.kind, entry.size, entry.name)


def store(shelf: Path, name: str = "the shelf") -> ContentStore:
    return ShelfStore(name, str(shelf))


def put_on(shelf: Path, content: bytes, under: bytes | None = None) -> None:
    """``content`` on the shelf; ``under`` the id of other content, to lie."""
    shelf.mkdir(exist_ok=True)
    (shelf / blob_id(content if under is None else under).hex()).write_bytes(content)


def test_what_is_staged_has_its_content_permissions_and_time(tmp_path: Path, shelf: Path) -> None:
    put_on(shelf, b"hello")
    entry = file_entry(b"hello", 0o440)
    with stage_at(tmp_path) as stage:
        slot = stage.put(entry, wanted(entry), [store(shelf)])
        stage.flush()
        assert slot == Slot(entry.id.hex().encode())
        found = tmp_path / "stage" / os.fsdecode(slot.name)
        status = found.stat()
    assert found.read_bytes() == b"hello"
    assert (status.st_mode & 0o7777, status.st_mtime_ns) == (0o440, TIME)
    assert (tmp_path / "stage").stat().st_mode & 0o777 == 0o700


def test_a_store_that_lies_is_passed_over(tmp_path: Path, shelf: Path) -> None:
    honest = tmp_path / "honest"
    honest.mkdir()
    put_on(shelf, b"wrong", under=b"hello")
    put_on(honest, b"hello")
    entry = file_entry(b"hello")
    with stage_at(tmp_path) as stage:
        assert stage.put(entry, wanted(entry), [store(shelf)]) is None
        assert os.listdir(stage.path) == []
        assert stage.put(entry, wanted(entry), [store(shelf), store(honest)]) is not None


@pytest.mark.parametrize("content", [b"hello", b"x" * (SMALL + 5)], ids=["small", "large"])
@pytest.mark.parametrize("lie", ["longer", "shorter", "other"])
def test_nothing_is_left_of_content_that_is_not_right(tmp_path: Path, shelf: Path, content: bytes, lie: str) -> None:
    lies = {"longer": content + b"!", "shorter": content[:-1], "other": b"!" + content[1:]}
    put_on(shelf, lies[lie], under=content)
    entry = file_entry(content)
    with stage_at(tmp_path) as stage:
        assert stage.put(entry, wanted(entry), [store(shelf)]) is None
        assert os.listdir(stage.path) == []


def test_what_an_interrupted_run_left_is_used_again(tmp_path: Path, shelf: Path) -> None:
    entry = file_entry(b"hello", 0o600)
    put_on(tmp_path / "stage", b"hello")
    with stage_at(tmp_path) as stage:
        assert stage.put(entry, wanted(entry), []) == Slot(entry.id.hex().encode())
    status = (tmp_path / "stage" / entry.id.hex()).stat()
    assert (status.st_mode & 0o7777, status.st_mtime_ns) == (0o600, TIME)


def test_what_an_interrupted_run_left_half_done_is_not(tmp_path: Path, shelf: Path) -> None:
    put_on(shelf, b"hello")
    entry = file_entry(b"hello")
    for half in (b"hel", b"HELLO"):
        put_on(tmp_path / "stage", half, under=b"hello")
        with stage_at(tmp_path) as stage:
            assert stage.put(entry, wanted(entry), []) is None
            stage.clear()
        put_on(tmp_path / "stage", half, under=b"hello")
        with stage_at(tmp_path) as stage:
            assert stage.put(entry, wanted(entry), [store(shelf)]) is not None
            assert (tmp_path / "stage" / entry.id.hex()).read_bytes() == b"hello"
            stage.clear()


def test_the_same_content_twice_lies_there_twice(tmp_path: Path, shelf: Path) -> None:
    put_on(shelf, b"hello")
    one, other = file_entry(b"hello", 0o600), file_entry(b"hello", 0o644)
    with stage_at(tmp_path) as stage:
        slots = [stage.put(each, wanted(each), [store(shelf)]) for each in (one, other)]
        assert len(set(slots)) == 2
        assert {path.stat().st_mode & 0o777 for path in (tmp_path / "stage").iterdir()} == {0o600, 0o644}


def test_an_empty_file_needs_no_source(tmp_path: Path, shelf: Path) -> None:
    entry = file_entry(b"")
    with stage_at(tmp_path) as stage:
        slot = stage.put(entry, wanted(entry), [store(shelf)])
        assert slot is not None
        assert (tmp_path / "stage" / os.fsdecode(slot.name)).read_bytes() == b""


def test_a_link_is_staged_as_a_link_and_never_followed(tmp_path: Path, shelf: Path) -> None:
    entry = Entry(b"l", LINK, LINK_PERM, 11, TIME, blob_id(b"/etc/passwd"))
    (shelf / entry.id.hex()).symlink_to("/etc/passwd")
    with stage_at(tmp_path) as stage:
        slot = stage.put(entry, wanted(entry), [store(shelf)])
        assert slot is not None
        found = tmp_path / "stage" / os.fsdecode(slot.name)
        stage.flush()
    assert os.readlink(found) == "/etc/passwd"
    assert found.lstat().st_mtime_ns == TIME


def test_a_link_on_a_shelf_is_no_file(tmp_path: Path, shelf: Path) -> None:
    (tmp_path / "secret").write_bytes(b"hello")
    entry = file_entry(b"hello")
    (shelf / entry.id.hex()).symlink_to(tmp_path / "secret")
    with stage_at(tmp_path) as stage:
        assert stage.put(entry, wanted(entry), [store(shelf)]) is None


def test_holes_stay_holes(tmp_path: Path, shelf: Path) -> None:
    size = 8 << 20
    content = b"start" + bytes(size - 8) + b"end"
    path = shelf / blob_id(content).hex()
    with path.open("wb") as file:
        file.write(b"start")
        file.seek(size - 3)
        file.write(b"end")
    if path.stat().st_blocks * 512 >= size:
        pytest.skip("this file system has no holes")
    entry = file_entry(content)
    with stage_at(tmp_path) as stage:
        slot = stage.put(entry, wanted(entry), [store(shelf)])
        assert slot is not None
        found = tmp_path / "stage" / os.fsdecode(slot.name)
        assert found.read_bytes() == content
        assert found.stat().st_blocks * 512 < size // 4


def test_a_hole_at_the_end_stays(tmp_path: Path, shelf: Path) -> None:
    size = 4 << 20
    path = shelf / blob_id(b"a" + bytes(size - 1)).hex()
    path.write_bytes(b"a")
    os.truncate(path, size)
    entry = file_entry(b"a" + bytes(size - 1))
    with stage_at(tmp_path) as stage:
        slot = stage.put(entry, wanted(entry), [store(shelf)])
        assert slot is not None
        assert (tmp_path / "stage" / os.fsdecode(slot.name)).stat().st_size == size


def test_dropping_and_clearing(tmp_path: Path, shelf: Path) -> None:
    put_on(shelf, b"hello")
    entry = file_entry(b"hello")
    with stage_at(tmp_path) as stage:
        slot = stage.put(entry, wanted(entry), [store(shelf)])
        assert slot is not None
        stage.drop(slot)
        stage.drop(slot)
        assert os.listdir(stage.path) == []
        closed = tmp_path / "stage/tree/closed"
        closed.mkdir(parents=True)
        (closed / "f").write_bytes(b"")
        closed.chmod(0o500)
        (tmp_path / "stage/l").symlink_to(shelf)
        stage.clear()
        assert os.listdir(stage.path) == []
        assert shelf.exists()


def test_what_cannot_be_read_is_not_there(tmp_path: Path) -> None:
    unreadable = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)  # reading it is an error, as that of a bad sector is
    into = os.open(tmp_path / "into", os.O_WRONLY | os.O_CREAT)
    try:
        for size in (10, SMALL + 10):
            assert not copy_verified(unreadable, into, size, blob_id(b""))
    finally:
        os.close(unreadable)
        os.close(into)


def test_what_has_come_of_a_large_file_outlasts_other_work_for_a_week(tmp_path: Path) -> None:
    large, other = file_entry(bytes(SMALL + 1)), file_entry(bytes(SMALL + 2))
    week = time.time() - 8 * 24 * 3600
    with stage_at(tmp_path) as stage:
        for entry in (large, other):
            with open(stage.open_part(entry), "ab") as part:
                part.write(b"beginning")
        (tmp_path / "stage/rest").write_bytes(b"of an interrupted run")
        os.utime(tmp_path / "stage" / f"part-{other.id.hex()}", (week, week))
        assert len(stage.leftovers()) == 2
        stage.clear()
        assert os.listdir(stage.path) == [f"part-{large.id.hex()}"]
    with stage_at(tmp_path) as stage:
        assert stage.parts() == [f"part-{large.id.hex()}".encode()]
        stage.land(large, bytes(SMALL + 1), "origin")
        stage.clear()
        assert os.listdir(stage.path) == [], "it is whole"
