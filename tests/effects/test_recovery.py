"""After an unclean start: what the journal names is known again, or nobody's; what a swap left finds its place."""

import os
from pathlib import Path

import pytest
from folders import write

from replican.effects import recovery
from replican.effects.index import Index, JournalEntry
from replican.effects.recovery import recover
from replican.operations.recording import record
from replican.repository import Repository
from replican.values.ids import blob_id
from replican.values.listing import Row
from replican.values.names import is_copy_name
from replican.values.trees import FILE, Entry

TIME = 1_600_000_000_000_000_000


class Killed:
    """A folder with files of the content "old", recorded; and what a killed run left of its work on them."""

    def __init__(self, root: Path, *names: str) -> None:
        self.root = root
        for name in names:
            write(root / name, "old", TIME)
        Repository.init(str(root)).close()
        with Repository(str(root)) as repo:
            record(repo)

    def entry(self, content: str | None, perm: int = 0o644, mtime_ns: int = TIME) -> Entry | None:
        if content is None:
            return None
        return Entry(b"f", FILE, perm, len(content), mtime_ns, blob_id(content.encode()))

    def journal(self, name: str, old: str | None, new: str | None) -> None:
        entries = [each and each._replace(name=name.encode()) for each in (self.entry(old), self.entry(new))]
        with Index.open(str(self.root / ".replican/index.db"), writable=True) as index:
            index.note_journal([JournalEntry(name.encode(), *entries)])

    def stage(self, content: str, under: str, number: int = 1) -> None:
        name = blob_id(under.encode()).hex() + (f"-{number}" if number > 1 else "")
        write(self.root / ".replican/stage" / name, content)

    def recover(self) -> list[str]:
        with Repository(str(self.root)) as repo, repo.writing("test"):
            return list(repo.notes)

    def row(self, name: str) -> Row | None:
        with Index.open(str(self.root / ".replican/index.db")) as index:
            assert index.journal() == []
            return index.row(name.encode(), observed=False)

    @property
    def trash(self) -> set[bytes]:
        return {path.read_bytes() for path in (self.root / ".replican/trash").iterdir()}

    def names(self) -> list[str]:
        return sorted(name for name in os.listdir(self.root) if name != ".replican")


@pytest.fixture
def killed(tmp_path: Path) -> Killed:
    return Killed(tmp_path / "r", "f", "g")


def test_after_a_clean_end_nothing_is_done(killed: Killed) -> None:
    assert killed.recover() == []


def test_a_path_that_holds_its_old_version_is_known(killed: Killed) -> None:
    killed.journal("f", "old", "new")
    assert "interrupted" in killed.recover()[0]
    row = killed.row("f")
    assert row is not None
    assert row.id == blob_id(b"old")


def test_a_path_that_holds_its_new_version_is_known(killed: Killed) -> None:
    killed.journal("f", "old", "new")
    write(killed.root / "f", "new", TIME)
    killed.recover()
    row = killed.row("f")
    assert row is not None
    assert (row.id, row.is_smudged) == (blob_id(b"new"), True)


def test_a_path_that_holds_neither_is_nobodys(killed: Killed) -> None:
    killed.journal("f", "old", "new")
    write(killed.root / "f", "mine")
    killed.recover()
    assert killed.row("f") is None
    assert killed.row("g") is not None
    assert (killed.root / "f").read_text() == "mine"


def test_the_rows_of_all_versions_of_a_name_go_with_one(tmp_path: Path) -> None:
    copy = "f.conflict-20200913T122640Z-01234567"
    killed = Killed(tmp_path / "r", "f", copy, "other")
    killed.journal("f", "old", "new")
    write(killed.root / "f", "mine")
    killed.recover()
    assert killed.row("f") is None
    assert killed.row(copy) is None
    assert killed.row("other") is not None


def test_a_path_that_went_as_it_should(killed: Killed) -> None:
    killed.journal("f", "old", None)
    (killed.root / "f").unlink()
    killed.recover()
    assert killed.row("f") is None


def test_a_path_that_came_as_it_should(killed: Killed) -> None:
    killed.journal("n", None, "new")
    write(killed.root / "n", "new", TIME)
    killed.recover()
    row = killed.row("n")
    assert row is not None
    assert row.id == blob_id(b"new")


def test_a_path_that_has_not_come_yet(killed: Killed) -> None:
    killed.journal("n", None, "new")
    killed.recover()
    assert killed.row("n") is None


def test_a_path_whose_directory_is_a_link_now(tmp_path: Path) -> None:
    killed = Killed(tmp_path / "r", "d/f")
    outside = tmp_path / "outside"
    outside.mkdir()
    write(outside / "f", "")
    killed.journal("d/f", "old", "new")
    killed.stage("new", "new")
    os.rename(killed.root / "d", killed.root / "e")
    (killed.root / "d").symlink_to(outside)
    killed.recover()
    assert (outside / "f").read_text() == ""
    assert killed.row("d/f") is None


def test_an_empty_file_after_a_power_cut_is_put_back(killed: Killed) -> None:
    killed.journal("f", "old", "new")
    (killed.root / "f").write_bytes(b"")
    killed.stage("new", "new")
    killed.recover()
    assert (killed.root / "f").read_text() == "new"
    row = killed.row("f")
    assert row is not None
    assert row.id == blob_id(b"new")


def test_an_empty_file_whose_new_version_is_gone_gets_the_old_one(killed: Killed) -> None:
    killed.journal("f", "old", "new")
    (killed.root / "f").write_bytes(b"")
    write(killed.root / ".replican/trash" / blob_id(b"old").hex(), "old")
    killed.recover()
    assert (killed.root / "f").read_text() == "old"


@pytest.mark.parametrize("name", ["unlink", "set_mode"])
def test_an_empty_file_that_cannot_be_put_back_holds_up_nothing(killed: Killed, monkeypatch, name: str) -> None:
    killed.journal("f", "old", "new")
    killed.journal("g", "old", "newer")
    (killed.root / "f").write_bytes(b"")
    killed.stage("new", "new")

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "no")

    with monkeypatch.context() as patch:
        patch.setattr(os if name == "unlink" else recovery, name, refused)
        assert "interrupted" in killed.recover()[0]
    assert killed.row("f") is None
    assert killed.row("g") is not None


def test_what_is_put_back_from_the_trash_is_not_listed_there(killed: Killed) -> None:
    """Here it was on its way into the trash, too."""
    killed.journal("f", "old", "new")
    (killed.root / "f").write_bytes(b"")
    killed.stage("old", "new")
    killed.recover()
    assert (killed.root / "f").read_text() == "old"
    with Index.open(str(killed.root / ".replican/index.db")) as index:
        assert index.trash() == []


def test_a_file_that_may_be_empty_is_not_put_back(killed: Killed) -> None:
    killed.journal("f", "", "new")
    (killed.root / "f").write_bytes(b"")
    killed.stage("new", "new")
    killed.recover()
    assert (killed.root / "f").read_bytes() == b""


def test_what_a_swap_took_out_goes_to_the_trash(killed: Killed) -> None:
    killed.journal("f", "old", "new")
    write(killed.root / "f", "new", TIME)
    killed.stage("old", under="new")
    killed.recover()
    assert b"old" in killed.trash
    assert killed.names() == ["f", "g"]


def test_what_a_swap_took_out_and_was_edited_goes_back(killed: Killed) -> None:
    killed.journal("f", "old", "new")
    write(killed.root / "f", "new", TIME)
    killed.stage("mine", under="new")
    killed.recover()
    assert (killed.root / "f").read_text() == "new"
    (copy,) = [name for name in killed.names() if is_copy_name(name.encode())]
    assert (killed.root / copy).read_text() == "mine"


def test_what_was_edited_on_its_way_to_the_trash_goes_back(killed: Killed) -> None:
    """Between the last look and the rename; the kill came before the look after it."""
    killed.journal("f", "old", None)
    (killed.root / "f").unlink()
    write(killed.root / ".replican/trash" / blob_id(b"old").hex(), "mine")
    killed.recover()
    assert (killed.root / "f").read_text() == "mine"
    assert killed.row("f") is None
    assert killed.trash == set()


def test_what_was_edited_on_its_way_to_the_trash_and_replaced(killed: Killed) -> None:
    killed.journal("f", "old", "new")
    write(killed.root / "f", "new", TIME)
    write(killed.root / ".replican/trash" / blob_id(b"old").hex(), "mine")
    killed.recover()
    assert (killed.root / "f").read_text() == "new"
    (copy,) = [name for name in killed.names() if is_copy_name(name.encode())]
    assert (killed.root / copy).read_text() == "mine"


def test_what_a_killed_run_took_to_the_trash_is_listed(killed: Killed) -> None:
    """What lay there before is left as it is: it was listed, or its folder's index was lost."""
    killed.journal("f", "old", None)
    (killed.root / "f").unlink()
    write(killed.root / ".replican/trash" / blob_id(b"old").hex(), "old")
    write(killed.root / ".replican/trash" / blob_id(b"older").hex(), "other than its name says")
    killed.recover()
    assert killed.names() == ["g"]
    with Index.open(str(killed.root / ".replican/index.db")) as index:
        assert [(item.path, item.file) for item in index.trash()] == [(b"f", blob_id(b"old").hex().encode())]


def test_two_files_that_get_the_same_content(killed: Killed) -> None:
    """What came out of one must not be taken for what came out of the other."""
    write(killed.root / "g", "other old")
    killed.journal("f", "old", "new")
    killed.journal("g", "other old", "new")
    write(killed.root / "f", "new", TIME)
    killed.stage("old", under="new")
    killed.stage("new", under="new", number=2)
    killed.recover()
    assert b"old" in killed.trash
    assert killed.names() == ["f", "g"]


def test_attributes_of_the_nearest_version_are_taken(killed: Killed) -> None:
    """A kill between a rename and the time: what is on the disk is an edit of neither."""
    with Index.open(str(killed.root / ".replican/index.db"), writable=True) as index:
        old, new = killed.entry("old"), killed.entry("old", 0o600, TIME + 5)
        assert old is not None
        index.note_journal([JournalEntry(b"f", old._replace(name=b"f"), new and new._replace(name=b"f"))])
    (killed.root / "f").chmod(0o600)
    os.utime(killed.root / "f", ns=(TIME + 5, TIME + 5))
    killed.recover()
    row = killed.row("f")
    assert row is not None
    assert (row.perm, row.mtime_ns) == (0o600, TIME + 5)


def test_recover_of_a_journal_needs_no_head(killed: Killed) -> None:
    with Index.open(str(killed.root / ".replican/index.db"), writable=True) as index:
        assert recover(str(killed.root), str(killed.root / ".replican"), index, None, index) == []


def test_an_unfinished_copy_beside_a_name_is_swept_up(tmp_path: Path) -> None:
    """It lies where a hard link was about to be broken, or content came from another disk."""
    killed = Killed(tmp_path / "r", "a")
    killed.journal("a", "old", "old")
    write(killed.root / ".replican-tmp-a", "ol")
    killed.recover()
    assert killed.names() == ["a"]
    assert killed.row("a") is not None
