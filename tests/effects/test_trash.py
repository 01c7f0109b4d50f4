"""The trash: takes by rename, keeps what it took as it was, and sees who goes on writing to it."""

import os
from pathlib import Path

from replican.effects.trash import Trash, id_at
from replican.values.ids import blob_id
from replican.values.trees import FILE, LINK, LINK_PERM, Entry

TIME = 1_600_000_000_000_000_000


class Folder:
    """A folder with a trash of its own, and how to take something of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self.trash = Trash(str(path / ".trash"))

    def __enter__(self) -> "Folder":
        return self

    def __exit__(self, *_: object) -> None:
        self.trash.close()
        os.close(self.fd)

    def take(self, name: str, content: bytes, looked: os.stat_result | None = None) -> bool:
        found = os.lstat(self.path / name)
        entry = Entry(name.encode(), FILE, found.st_mode & 0o777, len(content), found.st_mtime_ns, blob_id(content))
        return self.trash.take(self.fd, name.encode(), b"d/" + name.encode(), entry, looked or found)

    @property
    def held(self) -> list[str]:
        return sorted(os.listdir(self.trash.path))


def test_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    with Folder(tmp_path / "f") as folder:
        (tmp_path / "f/a").write_bytes(b"old")
        (tmp_path / "f/a").chmod(0o440)
        os.utime(tmp_path / "f/a", ns=(TIME, TIME))
        inode = os.lstat(tmp_path / "f/a").st_ino
        assert folder.take("a", b"old")
        assert not (tmp_path / "f/a").exists()
        (item,) = folder.trash.taken
        assert (item.blob, item.path, item.kind, item.size) == (blob_id(b"old"), b"d/a", FILE, 3)
        status = os.lstat(tmp_path / "f/.trash" / os.fsdecode(item.file))
        assert (status.st_ino, status.st_mode & 0o7777, status.st_mtime_ns) == (inode, 0o440, TIME)
        folder.trash.flush()
        assert folder.trash.changed([item]) == []


def test_a_link_is_taken_and_not_what_it_leads_to(tmp_path: Path) -> None:
    with Folder(tmp_path / "f") as folder:
        (tmp_path / "f/target").write_bytes(b"stays")
        (tmp_path / "f/l").symlink_to("target")
        found = os.lstat(tmp_path / "f/l")
        entry = Entry(b"l", LINK, LINK_PERM, 6, found.st_mtime_ns, blob_id(b"target"))
        assert folder.trash.take(folder.fd, b"l", b"l", entry, found)
        assert (tmp_path / "f/target").read_bytes() == b"stays"
        assert (tmp_path / "f/.trash" / os.fsdecode(folder.trash.taken[0].file)).is_symlink()


def test_what_is_not_what_was_looked_at_is_put_back(tmp_path: Path) -> None:
    with Folder(tmp_path / "f") as folder:
        (tmp_path / "f/a").write_bytes(b"old")
        looked = os.lstat(tmp_path / "f/a")
        (tmp_path / "f/b").write_bytes(b"new")
        os.replace(tmp_path / "f/b", tmp_path / "f/a")
        assert not folder.take("a", b"old", looked)
        assert (tmp_path / "f/a").read_bytes() == b"new"
        assert folder.held == []
        assert folder.trash.taken == []


def test_equal_content_lies_there_more_than_once(tmp_path: Path) -> None:
    with Folder(tmp_path / "f") as folder:
        for _ in range(3):
            (tmp_path / "f/a").write_bytes(b"old")
            assert folder.take("a", b"old")
        shown = blob_id(b"old").hex()
        assert folder.held == [shown, f"{shown}-2", f"{shown}-3"]


def test_who_goes_on_writing_is_seen(tmp_path: Path) -> None:
    with Folder(tmp_path / "f") as folder:
        (tmp_path / "f/a").write_bytes(b"old")
        with open(tmp_path / "f/a", "ab") as open_file:
            assert folder.take("a", b"old")
            open_file.write(b" and more")
        assert folder.trash.changed(folder.trash.taken) == folder.trash.taken
        folder.trash.remove(folder.trash.taken[0])
        folder.trash.remove(folder.trash.taken[0])
        assert folder.trash.changed(folder.trash.taken) == []


def test_who_writes_through_another_link_and_puts_the_time_back_is_seen(tmp_path: Path) -> None:
    with Folder(tmp_path / "f") as folder:
        (tmp_path / "f/a").write_bytes(b"old")
        os.link(tmp_path / "f/a", tmp_path / "f/link")
        before = os.lstat(tmp_path / "f/a")
        assert folder.take("a", b"old")
        assert folder.trash.changed(folder.trash.taken) == []
        (tmp_path / "f/link").write_bytes(b"new")
        os.utime(tmp_path / "f/link", ns=(before.st_atime_ns, before.st_mtime_ns))
        assert folder.trash.changed(folder.trash.taken) == folder.trash.taken
        unknown = [item._replace(ctime_ns=None) for item in folder.trash.taken]
        assert folder.trash.changed(unknown) == [], "an older release has not noted it"


def test_the_shelf_offers_what_was_taken(tmp_path: Path) -> None:
    from replican.effects.contents import Wanted

    with Folder(tmp_path / "f") as folder:
        (tmp_path / "f/a").write_bytes(b"old")
        assert folder.take("a", b"old")
        fd = folder.trash.shelf.open_file(Wanted(blob_id(b"old"), FILE, 3, b"a"))
        assert fd is not None
        assert os.read(fd, 10) == b"old"
        os.close(fd)


def test_hashes_of_names(tmp_path: Path) -> None:
    with Folder(tmp_path / "f") as folder:
        (tmp_path / "f/a").write_bytes(b"content")
        (tmp_path / "f/l").symlink_to("a")
        os.mkfifo(tmp_path / "f/fifo")
        assert id_at(b"a", folder.fd) == blob_id(b"content")
        assert id_at(b"l", folder.fd) == blob_id(b"a")
        assert id_at(b"fifo", folder.fd) is None
        assert id_at(b"none", folder.fd) is None
        assert id_at(b".trash", folder.fd) is None
