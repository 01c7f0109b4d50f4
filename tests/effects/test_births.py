"""Large files that were renamed: what is known of them is taken over, unless anything but the name has changed."""

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import scanning
from folders import noise
from scanning import Watched, settle

from replican.effects import births
from replican.effects.index_births import BORN_FROM
from replican.effects.index_check import check_index
from replican.effects.linux import birth_ns
from replican.values import listing

ONE, TWO = noise(BORN_FROM), noise(BORN_FROM, 1)
Change = Callable[[Watched], None]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Watched]:
    with (tmp_path / "made").open("wb") as file:
        if birth_ns(file.fileno()) is None:
            pytest.skip("this disk does not keep when a file was made")
    watched = Watched(tmp_path)
    watched.write("a/one", ONE)
    watched.write("a/two", TWO)
    watched.write("b/small", noise(BORN_FROM - 1))
    watched.write("b/c/file")
    settle()
    watched.record()
    yield watched
    watched.close()


def look(folder: Watched, hashed: int, paths: list[bytes] | None = None, *, settled: bool = True) -> None:
    """Note what is there; it has to be what the disk holds, and so many files may be read for it."""
    seen = folder.observe(paths, settled=settled)
    assert scanning.plain(folder.entries(seen)) == scanning.on_disk(folder.root)
    assert seen.hashed_files == hashed
    check_index(folder.index)
    again = folder.scan()
    assert (again.root, again.hashed_files) == (seen.root, 0)


def mv(*names: str) -> Change:
    """Rename the first to the second, that to the third, and so on."""

    def change(folder: Watched) -> None:
        for old, new in pairwise(names):
            os.makedirs(os.path.dirname(folder.path(new)), exist_ok=True)
            os.rename(folder.path(old), folder.path(new))

    return change


def both(*changes: Change) -> Change:
    def change(folder: Watched) -> None:
        for each in changes:
            each(folder)

    return change


def edit(name: str, at: int, back: bool = False) -> Change:
    """Write to a file in place, and perhaps give it its time ``back``."""

    def change(folder: Watched) -> None:
        was = os.stat(folder.path(name))
        with open(folder.path(name), "r+b") as file:
            file.seek(at, os.SEEK_SET if at >= 0 else os.SEEK_END)
            file.write(b"edited")
        if back:
            os.utime(folder.path(name), ns=(was.st_atime_ns, was.st_mtime_ns))

    return change


def touch(name: str) -> Change:
    return lambda folder: os.utime(folder.path(name), ns=(5, 1_600_000_000_000_000_007))


def chmod(name: str) -> Change:
    return lambda folder: os.chmod(folder.path(name), 0o600)


def link(old: str, new: str) -> Change:
    return lambda folder: os.link(folder.path(old), folder.path(new))


def unlink(name: str) -> Change:
    return lambda folder: os.unlink(folder.path(name))


def made_again(name: str, new: str) -> Change:
    """Delete a file; the next that is made has its size and its time, and on some disks its inode."""

    def change(folder: Watched) -> None:
        was = os.stat(folder.path(name))
        os.unlink(folder.path(name))
        folder.write(new, ONE[: BORN_FROM // 2] + b"another" + ONE[BORN_FROM // 2 + 7 :])
        os.utime(folder.path(new), ns=(was.st_atime_ns, was.st_mtime_ns))

    return change


def copied(name: str, new: str) -> Change:
    return lambda folder: (shutil.copy2(folder.path(name), folder.path(new)), None)[1]


CASES: dict[str, tuple[Change, int]] = {
    "renamed": (mv("a/one", "a/other"), 0),
    "into another directory": (mv("a/one", "b/c/one"), 0),
    "into a new directory": (mv("a/one", "new/deep/one"), 0),
    "twice in between": (mv("a/one", "a/between", "b/other"), 0),
    "to where another was": (mv("a/one", "a/two"), 0),
    "to where a small one was": (mv("a/one", "b/small"), 0),
    "two that changed places": (both(mv("a/one", "t"), mv("a/two", "a/one"), mv("t", "a/two")), 0),
    "with its directory": (both(mv("a", "d"), mv("d/one", "d/other")), 0),
    "out of its renamed directory": (both(mv("a", "d"), mv("d/one", "b/one")), 0),
    "and got other permissions": (both(mv("a/one", "a/other"), chmod("a/other")), 0),
    "by a link, and its old name removed": (both(link("a/one", "a/other"), unlink("a/one")), 0),
    "away and back: its own row tells its ctime": (mv("a/one", "a/between", "a/one"), 1),
    "a file that is too small to be noted": (mv("b/small", "b/other"), 1),
    "and got another time": (both(mv("a/one", "a/other"), touch("a/other")), 1),
    "and written to": (both(mv("a/one", "a/other"), edit("a/other", BORN_FROM // 2)), 1),
    "after it was written to": (both(edit("a/one", BORN_FROM // 2), mv("a/one", "a/other")), 1),
    "and got longer": (both(mv("a/one", "a/other"), edit("a/other", BORN_FROM)), 1),
    "after its header was edited and it got its time back": (both(edit("a/one", 0, True), mv("a/one", "a/other")), 1),
    "after what it ends in was, too": (both(edit("a/one", -6, True), mv("a/one", "a/other")), 1),
    "not: it has a second name": (link("a/one", "a/other"), 2),
    "while it has a second name": (both(link("a/one", "b/other"), mv("a/one", "a/third")), 2),
    "not: it is a copy": (copied("a/one", "a/other"), 1),
    "not: another has its inode": (made_again("a/one", "a/other"), 1),
    "not: another has its inode and its name": (made_again("a/one", "a/one"), 1),
    "within a renamed directory, written to in place": (both(mv("a", "d"), edit("d/one", 0, True)), 1),
}


@pytest.mark.parametrize("case", CASES)
def test_in_a_scan(folder: Watched, case: str) -> None:
    change, hashed = CASES[case]
    change(folder)
    look(folder, hashed)


@pytest.mark.parametrize("case", CASES)
def test_where_only_what_changed_is_looked_at(folder: Watched, case: str) -> None:
    change, hashed = CASES[case]
    before = stats(folder)
    change(folder)
    look(folder, hashed, [path for path, _ in before ^ stats(folder)])


def stats(folder: Watched) -> set[tuple[bytes, int]]:
    """All paths, each with its ctime."""
    return {(path, os.lstat(folder.path(path)).st_ctime_ns) for path in scanning.on_disk(folder.root)}


@pytest.mark.parametrize("case", [case for case, (_, hashed) in CASES.items() if not hashed])
def test_where_that_is_not_kept_it_is_read(folder: Watched, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(births, "birth_ns", lambda fd: None)
    change, _ = CASES[case]
    change(folder)
    seen = folder.observe()
    assert scanning.plain(folder.entries(seen)) == scanning.on_disk(folder.root)
    assert seen.hashed_files >= 1


def test_again_and_again(folder: Watched) -> None:
    names = ["a/one", "a/other", "b/third", "b/c/fourth", "a/one"]
    for old, new in pairwise(names):
        mv(old, new)(folder)
        look(folder, 0)
        folder.index.promote()


def test_in_the_very_moment_of_the_look(folder: Watched) -> None:
    """A renamed file has the ctime of this moment, but not the mtime: whoever writes to it now is seen by that."""
    mv("a/one", "a/other")(folder)
    look(folder, 0, settled=False)
    edit("a/other", BORN_FROM // 2)(folder)
    look(folder, 1)


def test_one_that_was_edited_is_known_as_it_is_now(folder: Watched) -> None:
    edit("a/one", BORN_FROM // 2)(folder)
    look(folder, 1)
    mv("a/one", "a/other")(folder)
    look(folder, 0)


def test_what_may_have_changed_since_it_was_read_is_not_known(folder: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    edit("a/one", BORN_FROM // 2)(folder)
    ino = os.stat(folder.path("a/one")).st_ino
    assert folder.index.births.find(ino) is not None
    with monkeypatch.context() as patch:
        patch.setattr(listing, "RACY_NS", 60 * 10**9)  # however long this takes
        assert folder.observe(settled=False).hashed_files == 1
    assert folder.index.births.find(ino) is None
    mv("a/one", "a/other")(folder)
    look(folder, 1)


def test_a_full_scan_takes_nothing_over(folder: Watched) -> None:
    mv("a/one", "a/other")(folder)
    assert folder.scan(full=True).hashed_files == 4


def test_those_that_other_processes_have_read(tmp_path: Path) -> None:
    """Where much is read, several do it: a directory may be cut for that, too."""
    watched = Watched(tmp_path)
    for number in range(12):
        watched.write(f"many/{number}", noise(BORN_FROM, number))
    settle()
    watched.record()
    os.rename(watched.path("many/3"), watched.path("many/renamed"))
    os.rename(watched.path("many/7"), watched.path("elsewhere"))
    try:
        look(watched, 0)
    finally:
        watched.close()


def test_a_link_in_its_place_is_no_file(folder: Watched) -> None:
    """What seemed to be the file when it was listed may be anything when it is opened."""
    ino = os.stat(folder.path("a/one")).st_ino
    os.rename(folder.path("a/one"), folder.path("../outside"))
    os.symlink("../../outside", folder.path("a/one"))
    known = births.Births(str(folder.root), folder.index.births, partly=False)
    assert known.recognise(b"a", [(b"one", ino)]) == {}
    assert known.recognise(b"none", [(b"one", ino)]) == {}
