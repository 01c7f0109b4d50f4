"""Transitions on real folders: what one side did comes to the other, and what somebody does meanwhile is never lost."""

import os
from pathlib import Path

import pytest
from folders import contents, snapshot, write
from pairs import FULL, OLD, Build, Pair, build, just_before, pending

from replican.effects import transition
from replican.operations.recording import record
from replican.repository import Repository
from replican.values.paths import show


def rename(old: str, new: str) -> Build:
    return lambda root: os.rename(root / old, root / new)


def steps(*todo: Build) -> Build:
    def do(root: Path) -> None:
        for each in todo:
            build(root, each)

    return do


def swap(one: str, other: str) -> Build:
    return steps(rename(one, "spare"), rename(other, one), rename("spare", other))


def remove(path: str) -> Build:
    def do(root: Path) -> None:
        import shutil

        shutil.rmtree(root / path) if (root / path).is_dir() else (root / path).unlink()

    return do


def put(path: str, content: str) -> Build:
    return lambda root: write(root / path, content) and None


def link(path: str, target: str) -> Build:
    return lambda root: (root / path).symlink_to(target)


def chmod(path: str, mode: int) -> Build:
    return lambda root: (root / path).chmod(mode)


def touch(path: str, mtime_ns: int) -> Build:
    return lambda root: os.utime(root / path, ns=(mtime_ns, mtime_ns))


CASES: dict[str, Build] = {
    "a new file": put("new", "n"),
    "a new empty file": put("new", ""),
    "an edit": put("a.txt", "edited"),
    "an edit of the same size": put("a.txt", "A"),
    "an edit to nothing": put("a.txt", ""),
    "a deletion": remove("a.txt"),
    "a rename": rename("a.txt", "c.txt"),
    "a rename into a directory": rename("a.txt", "d/a.txt"),
    "a rename out of a directory that goes": steps(rename("e/four", "four"), remove("e")),
    "a rename over another file": steps(remove("b.txt"), rename("a.txt", "b.txt")),
    "a chain of renames": steps(rename("b.txt", "c.txt"), rename("a.txt", "b.txt")),
    "two files change places": swap("a.txt", "b.txt"),
    "two directories change places": swap("d", "e"),
    "a directory is renamed": rename("d", "f"),
    "a directory is renamed, and a file in it edited": steps(rename("d", "f"), put("f/one", "edited")),
    "a directory is renamed, and a file in it deleted": steps(rename("d", "f"), remove("f/one")),
    "a directory is renamed, and one below it, too": steps(rename("d", "f"), rename("f/deep", "f/shallow")),
    "a directory is moved into another": rename("d", "e/d"),
    "a directory is moved into one that is renamed": steps(rename("e", "g"), rename("d", "g/d")),
    "a directory moves out of one that goes": steps(rename("d/deep", "deep"), remove("d")),
    "a chain of directories": steps(rename("e", "f"), rename("d", "e")),
    "a directory goes": remove("d"),
    "a directory is made": steps(put("n/m/o/file", "x"), put("n/other", "y")),
    "an empty directory comes": lambda root: (root / "void").mkdir(),
    "an empty directory goes": remove("nothing"),
    "an empty directory is filled": put("nothing/some", "s"),
    "a directory is emptied": steps(remove("e/four")),
    "a file becomes a directory": steps(remove("a.txt"), put("a.txt/inner", "i")),
    "a file becomes an empty directory": steps(remove("a.txt"), lambda root: (root / "a.txt").mkdir()),
    "a directory becomes a file": steps(remove("d"), put("d", "now a file")),
    "a directory becomes a link": steps(remove("d"), link("d", "e")),
    "a file is renamed to where a directory was": steps(remove("d"), rename("a.txt", "d")),
    "a file takes the place of its directory": steps(rename("d/one", "o"), remove("d"), rename("o", "d")),
    "a file becomes a link": steps(remove("a.txt"), link("a.txt", "b.txt")),
    "a link becomes a file": steps(link("l", "a.txt"), remove("l"), put("l", "file")),
    "a link that leads nowhere": link("l", "/nonexistent/\n"),
    "permissions": steps(chmod("a.txt", 0o600), chmod("d/one", 0o755)),
    "permissions of a directory": chmod("d", 0o700),
    "a read-only file is edited": steps(put("a.txt", "edited"), chmod("a.txt", 0o444)),
    "a read-only directory, with an edit in it": steps(put("d/one", "edited"), chmod("d", 0o555)),
    "a new read-only directory": steps(
        put("n/m/f", "x"), chmod("n/m/f", 0o400), chmod("n/m", 0o500), chmod("n", 0o555)
    ),
    "a time alone": touch("a.txt", -1_000_000_001),
    "a file of all bits": chmod("a.txt", 0o777),
    "a rename with other attributes": steps(rename("a.txt", "c"), chmod("c", 0o640), touch("c", OLD + 7)),
    "odd names": steps(put("new\nline", "1"), put("x" * 255, "2"), put("\udcff\udcfe", "3"), put("-rf", "4")),
    "only the case of a name": rename("a.txt", "A.TXT"),
    "a copy": put("copy", "a"),
    "everything at once": steps(
        rename("d", "f"), put("f/n", "n"), remove("b.txt"), put("a.txt", "x"), swap("f/one", "f/two"), put("e/5", "5")
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_one_side_did_comes_to_the_other(tmp_path: Path, case: str) -> None:
    pair = Pair(tmp_path, FULL)
    build(pair.a, CASES[case])
    pulled = pair.pull()
    assert pulled.merged.pending == []
    assert not pulled.merged.conflicts
    pair.assert_at_rest()
    assert os.listdir(pair.b / ".replican/stage") == []


@pytest.mark.parametrize("case", CASES)
def test_and_back_again(tmp_path: Path, case: str) -> None:
    """What was done is undone by hand on the other side: every case in reverse."""
    pair = Pair(tmp_path, FULL)
    before = snapshot(pair.a)
    build(pair.a, CASES[case])
    pair.pull()
    _make_it(pair.b, before)
    done = pair.sync()
    assert done.equal
    pair.assert_at_rest()
    assert snapshot(pair.a) == before


def _make_it(root: Path, wanted: dict[bytes, tuple[str, int, int, bytes]]) -> None:
    """Have a folder hold just what a snapshot says, by hand."""
    for path in sorted(snapshot(root), reverse=True):
        full = os.path.join(os.fsencode(root), path)
        os.chmod(os.path.dirname(full), 0o755)
        os.rmdir(full) if os.path.isdir(full) and not os.path.islink(full) else os.unlink(full)
    for path, (kind, perm, mtime_ns, content) in sorted(wanted.items()):
        full = os.path.join(os.fsencode(root), path)
        if kind == "directory":
            os.mkdir(full, perm)
        elif kind == "link":
            os.symlink(content, full)
        else:
            with open(full, "wb") as file:
                file.write(content)
            os.chmod(full, perm)
        if kind != "directory":
            os.utime(full, ns=(mtime_ns, mtime_ns), follow_symlinks=False)


# -- somebody does something meanwhile --------------------------------------------------------------------------------


def test_a_file_edited_before_it_is_replaced_stays_and_is_pending(tmp_path: Path, monkeypatch) -> None:
    pair = Pair(tmp_path, FULL)
    write(pair.a / "a.txt", "theirs")
    write(pair.a / "b.txt", "theirs, too")
    just_before(monkeypatch, lambda: write(pair.b / "a.txt", "mine"))
    merged = pair.pull().merged
    assert pending(merged) == {"a.txt": "changed here"}
    assert (pair.b / "a.txt").read_text() == "mine"
    assert (pair.b / "b.txt").read_text() == "theirs, too"
    pair.sync()
    kept = contents(pair.b)
    assert {content for path, content in kept.items() if path.startswith("a")} == {b"mine", b"theirs"}
    pair.assert_at_rest()


def test_a_file_edited_in_the_moment_of_its_replacement_comes_back(tmp_path: Path, monkeypatch) -> None:
    """After the last look, and before the rename: what came out of the name is looked at again."""
    pair = Pair(tmp_path, FULL)
    write(pair.a / "a.txt", "theirs")
    whole = transition.exchange

    def exchange(*args: object) -> bool:
        write(pair.b / "a.txt", "mine!")
        monkeypatch.setattr(transition, "exchange", whole)
        return whole(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(transition, "exchange", exchange)
    merged = pair.pull().merged
    assert pending(merged) == {"a.txt": "changed here"}
    assert (pair.b / "a.txt").read_text() == "mine!"
    pair.sync()
    kept = contents(pair.b)
    assert {content for path, content in kept.items() if path.startswith("a")} == {b"mine!", b"theirs"}
    pair.assert_at_rest()


def test_without_the_exchange_a_file_is_replaced_through_the_trash(tmp_path: Path, monkeypatch) -> None:
    pair = Pair(tmp_path, FULL)
    monkeypatch.setattr(transition, "exchange", lambda *_: False)
    write(pair.a / "a.txt", "theirs")
    assert pair.pull().merged.pending == []
    pair.assert_at_rest()


MEANWHILE: dict[str, tuple[Build, Build, set[bytes]]] = {
    "deleted there, edited here": (remove("a.txt"), put("a.txt", "mine"), {b"mine"}),
    "deleted on both": (remove("a.txt"), remove("a.txt"), set()),
    "edited there, deleted here": (put("a.txt", "theirs"), remove("a.txt"), {b"theirs"}),
    "renamed there, edited here": (rename("a.txt", "c.txt"), put("a.txt", "mine"), {b"a", b"mine"}),
    "new on both": (put("new", "theirs"), put("new", "mine"), {b"mine", b"theirs"}),
    "a directory comes, a file is there": (put("new/f", "theirs"), put("new", "mine"), {b"mine", b"theirs"}),
    "a directory comes, one is there": (put("new/f", "theirs"), put("new/mine", "mine"), {b"mine", b"theirs"}),
    "a file comes, a directory is there": (put("new", "theirs"), put("new/f", "mine"), {b"mine", b"theirs"}),
    "a directory goes, something came in": (remove("e"), put("e/mine", "mine"), {b"mine"}),
    "a directory is renamed, something came in": (rename("d", "f"), put("d/mine", "mine"), {b"mine", b"1"}),
    "a directory is renamed, a file in it edited": (rename("d", "f"), put("d/one", "mine"), {b"mine", b"2", b"3"}),
    "a directory is renamed on both": (rename("d", "f"), rename("d", "g"), {b"1", b"2", b"3"}),
    "an edit, and the file is a link now": (
        put("a.txt", "theirs"),
        steps(remove("a.txt"), link("a.txt", "x")),
        {b"theirs", b"x"},
    ),
    "permissions, and an edit": (chmod("a.txt", 0o600), put("a.txt", "mine"), {b"mine"}),
}


@pytest.mark.parametrize("case", MEANWHILE)
def test_what_happens_here_at_the_last_moment_is_not_lost(tmp_path: Path, monkeypatch, case: str) -> None:
    pair = Pair(tmp_path, FULL)
    theirs, mine, kept = MEANWHILE[case]
    build(pair.a, theirs)
    just_before(monkeypatch, lambda: build(pair.b, mine))
    pair.pull()
    for _ in range(2):
        pair.sync()
    pair.assert_at_rest()
    assert kept <= set(contents(pair.a).values())


def test_a_directory_swapped_for_a_link_is_not_written_through(tmp_path: Path, monkeypatch) -> None:
    pair = Pair(tmp_path, FULL)
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    for path in ("one", "two", "deep/three"):
        write(outside / path, FULL["d/" + path])
    untouched = snapshot(outside)
    write(pair.a / "d/one", "theirs")
    write(pair.a / "d/new", "new")
    (pair.a / "d/two").unlink()
    (pair.a / "d/deep/three").chmod(0o600)

    def meanwhile() -> None:
        os.rename(pair.b / "d", pair.b / "real")
        (pair.b / "d").symlink_to(outside)

    just_before(monkeypatch, meanwhile)
    merged = pair.pull().merged
    assert snapshot(outside) == untouched
    assert {path.split("/")[0] for path in pending(merged)} == {"d"}
    for _ in range(2):
        pair.sync()
    assert snapshot(outside) == untouched
    pair.assert_at_rest()


def test_the_stage_of_a_new_directory_is_not_brought_through_a_link(tmp_path: Path, monkeypatch) -> None:
    pair = Pair(tmp_path, FULL)
    outside = tmp_path / "outside"
    outside.mkdir()
    write(pair.a / "e/n/file", "new")

    def meanwhile() -> None:
        os.rename(pair.b / "e", pair.b / "moved")
        (pair.b / "e").symlink_to(outside)

    just_before(monkeypatch, meanwhile)
    pair.pull()
    assert os.listdir(outside) == []


# -- things that are not plain ---------------------------------------------------------------------------------------


def test_ignored_files_keep_a_directory_that_goes(tmp_path: Path) -> None:
    pair = Pair(tmp_path, {**FULL, ".replicanignore": "*.o\n"})
    write(pair.b / "d/deep/x.o", "object")
    build(pair.a, remove("d"))
    pulled = pair.pull()
    assert pulled.merged.pending == []
    assert (pair.b / "d/deep/x.o").read_text() == "object"
    assert not (pair.b / "d/one").exists()
    with Repository(str(pair.b)) as repo:
        assert not record(repo).new
        assert repo.index.base_root() == repo.head_tree
    write(pair.a / "d/again", "again")
    pair.sync()
    assert (pair.b / "d/again").read_text() == "again"
    assert (pair.b / "d/deep/x.o").read_text() == "object"


def test_an_ignored_file_in_the_way_is_a_version(tmp_path: Path) -> None:
    pair = Pair(tmp_path, {**FULL, ".replicanignore": "*.o\n"})
    write(pair.b / "x.o", "mine")
    (pair.a / ".replicanignore").unlink()
    write(pair.a / "x.o", "theirs")
    pair.pull()
    for _ in range(2):
        pair.sync()
    assert {b"mine", b"theirs"} <= set(contents(pair.b).values())
    pair.assert_at_rest()


def test_other_names_of_a_file_keep_what_they_have(tmp_path: Path) -> None:
    pair = Pair(tmp_path, FULL)
    outside = tmp_path / "other-name"
    os.link(pair.b / "a.txt", outside)
    os.link(pair.b / "b.txt", tmp_path / "b-name")
    pair.record(pair.b)
    write(pair.a / "a.txt", "theirs")
    (pair.a / "b.txt").chmod(0o600)
    assert pair.pull().merged.pending == []
    assert outside.read_text() == "a"
    assert (tmp_path / "b-name").stat().st_mode & 0o777 == 0o644
    pair.assert_at_rest()


def test_two_names_of_one_file_are_two_files(tmp_path: Path) -> None:
    pair = Pair(tmp_path, FULL)
    os.link(pair.a / "a.txt", pair.a / "hard")
    pair.sync()
    assert (pair.b / "hard").stat().st_ino != (pair.b / "a.txt").stat().st_ino
    write(pair.b / "hard", "changed")
    pair.sync()
    assert (pair.a / "a.txt").read_text() == "a"
    assert (pair.a / "hard").read_text() == "changed"
    pair.assert_at_rest()


def test_the_trash_keeps_what_was_replaced_with_its_mode(tmp_path: Path) -> None:
    pair = Pair(tmp_path, FULL)
    (pair.b / "a.txt").chmod(0o440)
    pair.sync()
    inode = (pair.b / "a.txt").stat().st_ino
    write(pair.a / "b.txt", "other")
    (pair.a / "a.txt").unlink()
    pair.pull()
    with Repository(str(pair.b)) as repo:
        items = {show(item.path): item for item in repo.index.trash()}
    assert set(items) == {"a.txt", "b.txt"}
    status = os.lstat(pair.b / ".replican/trash" / os.fsdecode(items["a.txt"].file))
    assert (status.st_ino, status.st_mode & 0o7777) == (inode, 0o440)


def test_what_is_still_written_to_after_it_was_replaced_comes_back(tmp_path: Path) -> None:
    pair = Pair(tmp_path, FULL)
    with open(pair.b / "a.txt", "ab", buffering=0) as held:
        write(pair.a / "a.txt", "theirs")
        pair.pull()
        held.write(b" and more")
    pair.sync()
    assert {b"a and more", b"theirs"} <= set(contents(pair.b).values())
    pair.assert_at_rest()


def test_what_is_still_written_to_after_it_was_deleted_comes_back(tmp_path: Path) -> None:
    pair = Pair(tmp_path, FULL)
    with open(pair.b / "d/one", "ab", buffering=0) as held:
        build(pair.a, remove("d"))
        pair.pull()
        assert not (pair.b / "d").exists()
        held.write(b" and more")
    pair.sync()
    assert contents(pair.b)["d/one"] == b"1 and more"
    pair.assert_at_rest()


def test_a_moved_directory_is_one_rename(tmp_path: Path, monkeypatch) -> None:
    pair = Pair(tmp_path, {f"big/{number}": str(number) for number in range(50)})
    inodes = {path.name: path.stat().st_ino for path in (pair.b / "big").iterdir()}
    os.rename(pair.a / "big", pair.a / "moved")
    renames: list[bytes] = []
    whole = transition.rename_new

    def counted(old_fd: int, old: bytes, new_fd: int, new: bytes) -> None:
        renames.append(new)
        whole(old_fd, old, new_fd, new)

    monkeypatch.setattr(transition, "rename_new", counted)
    pair.pull()
    assert renames == [b"moved"]
    assert {path.name: path.stat().st_ino for path in (pair.b / "moved").iterdir()} == inodes
    pair.assert_at_rest()
