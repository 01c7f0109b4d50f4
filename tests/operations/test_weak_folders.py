"""Folders on file systems that cannot hold all of a tree, simulated at the boundary: see ``tests/support/weak.py``."""

import os
import subprocess
from pathlib import Path

import pytest
from folders import contents
from replicas import OLD, Replicas
from weak import WeakFolder

from replican.effects.index import Index
from replican.effects.index_check import check_index
from replican.effects.probing import probe, traits_of
from replican.repository import Repository
from replican.values.traits import STRONG, Traits

FAT = Traits(
    folds_case=True, links=False, modes=False, step_ns=2_000_000_000, refused='\\:*?"<>|\t\x01', utf8=True,
    plain_ends=True,
)  # fmt: skip
FOLDS = Traits(folds_case=True)
FORMS = Traits(folds_form=True)
SHORT = Traits(name_limit=143)


def weaken(replicas: Replicas, monkeypatch: pytest.MonkeyPatch, traits: Traits, where: str = "b") -> Path:
    """From now on ``where`` lies on such a file system."""
    WeakFolder(monkeypatch, replicas.base / where, traits)
    return replicas.base / where


def rest(replicas: Replicas) -> None:
    """A further sync changes nothing anywhere, and nobody finds an edit that nobody made. What is held is no news."""
    heads = [replicas.head(where) for where in ("a", "b")]
    assert heads[0] == heads[1]
    before = [contents(replicas.base / where) for where in ("a", "b")]
    assert replicas("b", "sync").err == ""
    for where in ("a", "b"):
        replicas(where, "commit")
        assert replicas.json(where, "status")["changes"] == []
    assert [replicas.head(where) for where in ("a", "b")] == heads
    assert [contents(replicas.base / where) for where in ("a", "b")] == before


def held(replicas: Replicas) -> dict[str, str]:
    return {each["path"]: each["cause"] for each in replicas.json("b", "status")["pending"]}


@pytest.mark.parametrize("traits", [FAT, FOLDS, FORMS, SHORT, STRONG, Traits(step_ns=1_000_000_000)])
def test_the_probe_finds_what_is_simulated(tmp_path: Path, monkeypatch, traits: Traits) -> None:
    (tmp_path / "there").mkdir()
    WeakFolder(monkeypatch, tmp_path, traits)
    assert probe(str(tmp_path / "there")) == traits
    assert os.listdir(tmp_path / "there") == []


def test_the_probe_is_made_once_for_each_device(replicas: Replicas, monkeypatch) -> None:
    replicas.clone({"f": "1"})
    with Repository(str(replicas.base / "b")) as repo, repo.writing("test"):
        assert repo.traits == STRONG
        root, dotdir, index = repo.root, repo.dotdir, repo.index
        monkeypatch.setattr("replican.effects.probing.probe", lambda _: FAT)
        assert traits_of(root, dotdir, index) == STRONG
        known = index.meta_get("file-system")
        assert known is not None
        index.meta_set("file-system", b"0 " + known.partition(b" ")[2])
        assert traits_of(root, dotdir, index) == FAT
        index.meta_set("file-system", known.partition(b" ")[0] + b" {}")
        assert traits_of(root, dotdir, index) == FAT, "what another release noted is found out anew"


def test_a_copy_on_another_file_system_is_looked_at_anew(replicas: Replicas, monkeypatch) -> None:
    """With its index, which says what the first one could hold. The number of the device may be the same."""
    import shutil

    replicas.clone({"f": "1"})
    replicas("b", "sync")
    shutil.copytree(replicas.base / "b", replicas.base / "copy", symlinks=True)
    monkeypatch.setattr("replican.effects.probing.probe", lambda _: FAT)
    for name, found in (("b", STRONG), ("copy", FAT)):
        with Repository(str(replicas.base / name)) as repo, repo.writing("test"):
            assert repo.traits == found


@pytest.mark.parametrize("what", ["files", "directories", "a new directory above"])
def test_a_file_system_that_folds_since_it_was_looked_at(replicas: Replicas, monkeypatch, what: str) -> None:
    """The cached probe says that it does not. Nothing is lost by it, nowhere, and it is looked at anew."""
    replicas.clone({"f": "1"})
    replicas("b", "sync")
    weaken(replicas, monkeypatch, FOLDS)
    one, other = {
        "files": ("new/README", "new/readme"),
        "directories": ("new/D/same", "new/d/same"),
        "a new directory above": ("D/same", "d/same"),
    }[what]
    replicas.write(f"a/{one}", "one", OLD)
    replicas.write(f"a/{other}", "other", OLD)
    before = contents(replicas.base / "a")
    codes = []
    for _ in range(4):
        codes.append(replicas("b", "sync", code=None).code)
        assert contents(replicas.base / "a") == before
        assert set(contents(replicas.base / "b").items()) <= set(before.items())
    assert codes == [4, 0, 0, 0], "the probe is found to be wrong, and is asked anew; then it is held, and known"
    assert len(contents(replicas.base / "b")) == 2
    assert replicas.json("b", "conflicts") == []
    rest(replicas)


def test_rounded_times_and_permissions_do_not_come_back_as_edits(replicas: Replicas, monkeypatch) -> None:
    root = weaken(replicas, monkeypatch, FAT)
    for name, perm in (("run.sh", 0o750), ("secret", 0o600), ("d/f", 0o644)):
        replicas.write(f"a/{name}", name, OLD + 123_456_789).chmod(perm)
    (replicas.base / "a/d").chmod(0o700)
    (replicas.base / "a/shut").mkdir(mode=0o500)
    replicas(".", "clone", "a", "b")
    assert (root / "run.sh").stat().st_mtime_ns == OLD
    rest(replicas)
    replicas.write("a/d/f", "more", OLD + 10**9 + 1)
    replicas.write("a/d/g", "new", OLD + 10**9 + 1)
    (replicas.base / "a/secret").chmod(0o640)
    os.utime(replicas.base / "a/run.sh", ns=(OLD, OLD + 5))
    replicas("b", "sync")
    rest(replicas)
    replicas.write("b/run.sh", "edited over there")
    replicas("b", "sync")
    assert replicas.read("a/run.sh") == "edited over there"
    assert (replicas.base / "a/run.sh").stat().st_mode & 0o777 == 0o750, "permissions outlive an edit that has none"
    assert (replicas.base / "a/secret").stat().st_mode & 0o777 == 0o640
    rest(replicas)


def recorded(replicas: Replicas) -> dict[str, int]:
    """The permissions that the log has, by path."""
    return {each["path"]: int(each["mode"], 8) & 0o777 for each in replicas.json("a", "ls-tree", "-r", "-t", "HEAD")}


def mount_with(root: Path, mask: str) -> None:
    """What the disk shows is made up by whoever mounted it."""
    paths = [str(root / name) for name in os.listdir(root) if name != ".replican"]
    subprocess.run(["chmod", "-R", mask, *paths], check=True)


def test_what_is_new_on_a_disk_without_permissions_has_plain_ones(replicas: Replicas, monkeypatch) -> None:
    replicas.write("a/run", "x", OLD).chmod(0o755)
    root = weaken(replicas, monkeypatch, FAT)
    replicas.clone({"f": "1"})
    replicas.write("b/new", "n")
    replicas.write("b/d/e/deep", "n")
    mount_with(root, "0700")
    replicas("b", "sync")
    plain = {"f": 0o644, "run": 0o755, "new": 0o644, "d": 0o755, "d/e": 0o755, "d/e/deep": 0o644}
    assert recorded(replicas) == plain
    rest(replicas)
    # Mounted otherwise, all of it looks changed, and nothing is.
    mount_with(root, "0555")
    mount_with(root, "u+w")
    os.rename(root / "d/e", root / "d/other")
    replicas.write("b/run", "edited")
    replicas("b", "sync")
    plain |= {"d/other": plain.pop("d/e"), "d/other/deep": plain.pop("d/e/deep")}
    assert recorded(replicas) == plain
    rest(replicas)


def test_a_folder_that_began_on_such_a_disk(replicas: Replicas, monkeypatch) -> None:
    """Nothing was merged there yet: the first commit has to find out."""
    replicas.write("a/f", "1")
    replicas.write("a/d/g", "2")
    WeakFolder(monkeypatch, replicas.base / "a", FAT)
    mount_with(replicas.base / "a", "0777")
    replicas(".", "clone", "a", "b")
    assert recorded(replicas) == {"f": 0o644, "d": 0o755, "d/g": 0o644}
    assert (replicas.base / "b/f").stat().st_mode & 0o777 == 0o644
    rest(replicas)


def test_after_a_kill_rounded_times_are_no_edits_either(replicas: Replicas, monkeypatch) -> None:
    from replican.effects.ledger import Ledger

    weaken(replicas, monkeypatch, FAT)
    replicas.clone({"f": "1", "g": "1"})
    replicas.write("a/f", "2", OLD + 10**9 + 7).chmod(0o600)
    replicas.write("a/new", "n", OLD + 10**9 + 7).chmod(0o600)
    whole = Ledger.settle

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "settle", killed)
    replicas("b", "sync", code=None)
    monkeypatch.setattr(Ledger, "settle", whole)
    replicas("b", "sync")
    assert (replicas.base / "a/f").stat().st_mtime_ns == OLD + 10**9 + 7
    assert (replicas.base / "a/new").stat().st_mode & 0o777 == 0o600
    rest(replicas)


@pytest.mark.parametrize(
    ("traits", "one", "other"), [(FOLDS, "README", "readme"), (FAT, "a/X", "A/y"), (FORMS, "\u00e9", "e\u0301")]
)
def test_a_folded_collision_overwrites_nothing(
    replicas: Replicas, monkeypatch, traits: Traits, one: str, other: str
) -> None:
    """Also of two names that come in one tree; what is held is listed, explained, and no deletion."""
    weaken(replicas, monkeypatch, traits)
    replicas.write(f"a/{one}", "one", OLD)
    replicas.write(f"a/{other}", "other", OLD)
    replicas.write("a/plain", "p", OLD)
    replicas(".", "clone", "a", "b", code=4)
    first, second = sorted([one, other])
    assert contents(replicas.base / "b") == {
        first: {one: b"one", other: b"other"}[first], "plain": b"p"
    }  # fmt: skip
    assert len(held(replicas)) == 1
    assert "the same name as" in next(iter(held(replicas).values()))
    assert {each["kind"] for each in replicas.json("b", "status")["pending"]} == {"held"}
    assert "not possible here" in replicas("b", "status").text
    assert "held back: the same name as" in replicas("b", "why", second).text
    rest(replicas)
    # Its absence is not a deletion, and what is edited beside it is an edit of that alone.
    replicas.write(f"b/{first}", "edited", OLD + 10**9)
    replicas.write(f"a/{second}", "edited, too", OLD + 10**9)
    replicas("b", "sync")
    assert replicas.read(f"a/{first}") == replicas.read(f"b/{first}") == "edited"
    assert replicas.read(f"a/{second}") == "edited, too"
    rest(replicas)
    # It is tried again when something changes.
    os.unlink(replicas.base / "a" / first)
    if "/" in first:
        os.rmdir((replicas.base / "a" / first).parent)
    replicas("b", "sync")
    assert contents(replicas.base / "b") == {second: b"edited, too", "plain": b"p"}
    assert held(replicas) == {}
    rest(replicas)


def test_a_name_that_meets_one_of_the_users_own(replicas: Replicas, monkeypatch) -> None:
    weaken(replicas, monkeypatch, FOLDS)
    replicas.clone({"f": "1"})
    replicas.write("a/Notes", "theirs")
    replicas.write("b/notes", "mine")
    replicas("b", "sync", code=4)
    assert replicas.read("b/notes") == "mine"
    assert contents(replicas.base / "a") == {"f": b"1", "Notes": b"theirs", "notes": b"mine"}
    rest(replicas)


def test_names_that_only_change_their_case_are_renamed(replicas: Replicas, monkeypatch) -> None:
    root = weaken(replicas, monkeypatch, FOLDS)
    replicas.clone({"README": "1", "Photos/A.jpg": "a", "Photos/b.jpg": "b", "empty": "", "swap": "s"})
    inode = (root / "README").stat().st_ino
    os.rename(replicas.base / "a/README", replicas.base / "a/readme")
    os.rename(replicas.base / "a/Photos/A.jpg", replicas.base / "a/Photos/a.JPG")
    os.rename(replicas.base / "a/Photos", replicas.base / "a/photos")
    os.rename(replicas.base / "a/empty", replicas.base / "a/Empty")
    os.unlink(replicas.base / "a/swap")
    replicas.write("a/SWAP", "another")
    replicas("b", "sync")
    assert contents(root) == contents(replicas.base / "a")
    assert (root / "readme").stat().st_ino == inode
    with Index.open(str(root / ".replican/index.db")) as index:
        check_index(index)
    rest(replicas)
    # And by the user of the weak one.
    os.rename(root / "readme", root / "ReadMe")
    os.rename(root / "photos", root / "PHOTOS")
    replicas("b", "sync")
    assert contents(root) == contents(replicas.base / "a")
    assert "PHOTOS" in replicas.names("a")
    rest(replicas)


@pytest.mark.parametrize("name", ["LINK", "a:b", "what?", "dot."])
def test_what_fat_cannot_have_is_held(replicas: Replicas, monkeypatch, name: str) -> None:
    weaken(replicas, monkeypatch, FAT)
    replicas.clone({"f": "1"})
    (replicas.base / "a/deep").mkdir()
    for place in ("", "deep/"):
        if name == "LINK":
            (replicas.base / "a" / place / name).symlink_to("f")
        else:
            replicas.write(f"a/{place}{name}", "x")
    replicas.write("a/deep/other", "o")
    replicas("b", "sync", code=4)
    assert contents(replicas.base / "b") == {"f": b"1", "deep/other": b"o"}
    assert set(held(replicas)) == {name, f"deep/{name}"}
    rest(replicas)
    replicas.write("b/deep/other", "edited")
    replicas("b", "sync")
    assert set(contents(replicas.base / "a")) == {"f", "deep/other", name, f"deep/{name}"}
    os.unlink(replicas.base / "a" / name)
    os.unlink(replicas.base / "a/deep" / name)
    replicas("b", "sync")
    assert held(replicas) == {}
    rest(replicas)


def test_names_of_which_half_is_too_long(replicas: Replicas, monkeypatch) -> None:
    weaken(replicas, monkeypatch, SHORT)
    replicas.clone({"x" * 143: "1", "f": "1"})
    replicas.write("a/" + "y" * 144, "long")
    replicas.write("a/d/" + "z" * 255, "longer")
    replicas("b", "sync", code=4)
    assert set(contents(replicas.base / "b")) == {"x" * 143, "f"}
    assert set(held(replicas).values()) == {"name too long for this file system"}
    rest(replicas)


def test_a_conflict_of_names_that_fold(replicas: Replicas, monkeypatch) -> None:
    weaken(replicas, monkeypatch, FOLDS)
    replicas.clone({"f": "1"})
    copy = replicas.conflict("f")
    assert contents(replicas.base / "b") == {"f": b"by b", copy: b"by a"}
    replicas("b", "resolve", "f", "--keep", "copy")
    replicas("b", "sync")
    assert contents(replicas.base / "a") == contents(replicas.base / "b") == {"f": b"by a"}
    rest(replicas)


def test_a_single_name_that_is_looked_at_is_there_in_its_own_case_only(replicas: Replicas, monkeypatch) -> None:
    root = weaken(replicas, monkeypatch, FOLDS)
    replicas.clone({"README": "1", "f": "1"})
    os.rename(root / "README", root / "readme")
    replicas("b", "update-index", "README")
    replicas("b", "update-index", "readme")
    assert replicas("b", "ls-files").lines == ["f", "readme"]
    replicas("b", "append-checkpoint", replicas("b", "write-tree").line)
    replicas("b", "sync")
    assert contents(replicas.base / "a") == contents(root) == {"readme": b"1", "f": b"1"}
    rest(replicas)


def test_a_directory_that_folds_in_a_folder_that_does_not(replicas: Replicas, monkeypatch) -> None:
    """As by ``chattr +F``: the probe cannot know of it."""
    replicas.clone({"sub/d/deep": "dd", "sub/plain": "p", "moves/from": "m"})
    weaken(replicas, monkeypatch, FOLDS, "b/sub")
    replicas.write("a/sub/D/more", "theirs")
    replicas.write("a/sub/PLAIN", "theirs, too")
    os.rename(replicas.base / "a/moves/from", replicas.base / "a/sub/D/to")
    before = contents(replicas.base / "a")
    for _ in range(2):
        replicas("b", "sync", code=4)
        assert contents(replicas.base / "a") == before
        assert replicas.names("b", "sub") == ["d", "plain"]
        assert replicas.names("b", "sub/d") == ["deep"]
    assert replicas.read("b/sub/plain") == "p"
