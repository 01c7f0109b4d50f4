"""Every gate, as a user meets it: what is refused, what it says, what is left as it was, and what opens it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from folders import contents, head, write

pytestmark = pytest.mark.within

PLENTY = 60


@pytest.fixture
def two(cli, tmp_path: Path) -> tuple[Path, Path]:
    a, b = tmp_path / "a", tmp_path / "b"
    for number in range(PLENTY):
        write(a / f"d{number % 3}/{number:02}", f"content {number}")
    cli("clone", "a", "b")
    return a, b


def remove(folder: Path, numbers: range) -> None:
    for number in numbers:
        (folder / f"d{number % 3}/{number:02}").unlink()


@pytest.mark.parametrize("words", [["commit"], ["sync", "--exit-code"], ["pull"]])
def test_an_emptied_root(cli, two: tuple[Path, Path], words: list[str]) -> None:
    a, b = two
    for name in ("d0", "d1", "d2"):
        shutil.rmtree(b / name)
    before = head(cli, b)
    done = cli("-C", b, *words, code=3)
    assert f"the folder has been emptied ({PLENTY} files before)" in done.err
    assert "--allow-mass-delete" in done.err
    assert head(cli, b) == before
    assert len(contents(a)) == PLENTY
    # It opens the gate here; that of the other folder, which a sync pushes to, stays what it is.
    cli("-C", b, *words, "--allow-mass-delete", code=3 if words[0] == "sync" else 0)
    assert head(cli, b) != before
    assert len(contents(a)) == PLENTY


@pytest.mark.parametrize("words", [["fetch"], ["pull", "--allow-mass-delete"], ["sync", "--allow-mass-delete"]])
def test_emptied_over_there(cli, two: tuple[Path, Path], words: list[str]) -> None:
    """No flag given here opens a gate there; and what was recorded there before is still taken."""
    a, b = two
    write(a / "recorded", "before")
    cli("-C", a, "commit")
    for name in ("d0", "d1", "d2"):
        shutil.rmtree(a / name)
    done = cli("-C", b, *words, code=3)
    assert f"origin has edits that it does not record: {PLENTY} of {PLENTY + 1} files would be deleted" in done.err
    assert cli("-C", b, "rev-parse", "origin/head").text.strip() == head(cli, a)
    assert len(contents(b)) == PLENTY + (words != ["fetch"])
    assert len(contents(a)) == 1


@pytest.mark.parametrize(("gone", "code"), [(30, 0), (31, 3)])
def test_more_than_half_at_once(cli, two: tuple[Path, Path], gone: int, code: int) -> None:
    _, b = two
    remove(b, range(gone))
    done = cli("-C", b, "commit", code=code)
    if code:
        assert f"{gone} of {PLENTY} files would be deleted" in done.err
        cli("-C", b, "commit", "--allow-mass-delete")


def test_no_more_than_twenty_are_no_mass(cli, tmp_path: Path) -> None:
    for number in range(21):
        write(tmp_path / f"a/{number}", f"{number}")
    cli("init", "a")
    cli("-C", "a", "commit")
    for number in range(20):
        (tmp_path / f"a/{number}").unlink()
    cli("-C", "a", "commit")


def test_a_trickle_is_seen_for_what_it_is(cli, two: tuple[Path, Path]) -> None:
    _, b = two
    for start in range(0, 30, 6):
        remove(b, range(start, start + 6))
        cli("-C", b, "commit")
    remove(b, range(30, 31))
    done = cli("-C", b, "commit", code=3)
    assert f"31 of {PLENTY} files would be gone compared with ten minutes ago" in done.err
    cli("-C", b, "commit", "--allow-mass-delete")
    remove(b, range(31, 32))
    cli("-C", b, "commit")  # what went before it was meant
    remove(b, range(32, 52))
    done = cli("-C", b, "commit", code=3)
    assert f"21 of {PLENTY - 31} files would be gone compared with ten minutes ago" in done.err


@pytest.mark.parametrize("how", ["merge", "pull", "sync", "append-checkpoint", "apply-plan"])
def test_what_was_allowed_is_not_counted_once_more(cli, two: tuple[Path, Path], how: str) -> None:
    a, b = two
    remove(a if how in ("merge", "pull", "sync", "apply-plan") else b, range(40))
    cli("-C", a, "commit", "--allow-mass-delete")
    if how == "append-checkpoint":
        cli("-C", b, "update-index", *(f"d{number}" for number in range(3)))
        cli("-C", b, how, "--allow-mass-delete", cli("-C", b, "write-tree").text.strip())
    elif how == "apply-plan":
        cli("-C", b, "fetch")
        planned = cli("-C", b, "merge", "--dry-run", "--json", "--allow-mass-delete")
        cli("-C", b, how, "--allow-mass-delete", stdin=planned.out)
    else:
        cli("-C", b, "fetch")
        cli("-C", b, how, "--allow-mass-delete")
    assert len(contents(b)) == PLENTY - 40
    remove(b, range(40, 41))
    cli("-C", b, "commit")


def test_nor_is_what_was_allowed_while_the_remote_records(cli, two: tuple[Path, Path]) -> None:
    a, b = two
    for numbers in (range(20), range(20, 30)):
        remove(a, numbers)
        cli("-C", b, "pull")
    write(a / "more", "m")
    cli("-C", a, "commit", "--allow-mass-delete")  # from now on, a counts anew
    cli("-C", b, "pull")
    remove(a, range(30, 33))
    cli("-C", b, "pull", "--allow-mass-delete")
    remove(a, range(33, 34))
    cli("-C", b, "pull")
    assert contents(a) == contents(b)


def test_nor_is_what_an_undo_was_allowed(cli, two: tuple[Path, Path]) -> None:
    a, b = two
    for number in range(PLENTY, 3 * PLENTY):
        write(a / f"d{number % 3}/{number:02}", f"content {number}")
    cli("-C", b, "pull")
    cli("-C", b, "undo", code=3)
    cli("-C", b, "undo", "--allow-mass-delete")
    assert len(contents(b)) == PLENTY
    remove(b, range(1))
    cli("-C", b, "commit")


@pytest.mark.parametrize("how", ["pull", "push"])
@pytest.mark.parametrize("steps", [1, 4])
def test_a_mass_that_arrives(cli, two: tuple[Path, Path], how: str, steps: int) -> None:
    """By a merge, and by a push to a folder that opens its gates for nobody else; in one checkpoint, or in many."""
    a, b = two
    cli("-C", a, "remote", "add", "copy", b)
    for step in range(steps):
        remove(a, range(40 * step // steps, 40 * (step + 1) // steps))
        cli("-C", a, "commit", "--allow-mass-delete")
        where, words = (b, ["pull", "origin"]) if how == "pull" else (a, ["push", "copy"])
        done = cli("-C", where, *words, code=None)
        if done.code == 3:
            break
        assert done.code == 0
    assert done.code == 3
    assert "files would be" in done.err
    assert len(contents(b)) >= PLENTY // 2
    cli("-C", b, "pull", "origin", "--allow-mass-delete")
    assert contents(b) == contents(a)


def test_a_move_of_everything_is_no_deletion(cli, two: tuple[Path, Path]) -> None:
    a, b = two
    (b / "moved").mkdir()
    for number in range(PLENTY):
        os.rename(b / f"d{number % 3}/{number:02}", b / f"moved/{number:02}.txt")
    for name in ("d0", "d1", "d2"):
        (b / name).rmdir()
    cli("-C", b, "sync")
    assert contents(a) == contents(b)
    assert len(contents(a)) == PLENTY
    os.rename(a / "moved", a / "again")
    cli("-C", b, "sync")
    assert set(os.listdir(b)) == {"again", ".replican"}


def test_a_vanished_mount(cli, tmp_path: Path, mounted: Path) -> None:
    a = tmp_path / "a"
    write(mounted / "on it", "x")
    write(a / "beside", "y")
    cli("init", a)
    cli("-C", a, "commit")
    before = head(cli, a)
    subprocess.run(["umount", mounted], check=True)
    write(a / "new", "z")
    done = cli("-C", a, "commit", code=3)
    assert "disk was a mount point and is none now" in done.err
    assert "--allow-missing-mount" in done.err
    assert head(cli, a) == before
    cli("-C", a, "commit", "--allow-missing-mount")


def test_a_common_history_that_was_lost(cli, two: tuple[Path, Path]) -> None:
    """A log that was made anew: a union would bring back all that was ever deleted. A ref shows that there was one."""
    a, b = two
    (b / "d0/00").unlink()
    cli("-C", b, "sync")
    shutil.rmtree(a / ".replican")
    cli("init", a)
    write(a / "d0/00", "content 0")
    cli("-C", a, "commit")
    before = head(cli, b)
    for words in (["sync"], ["pull"], ["merge", "origin"]):
        done = cli("-C", b, *words, code=3)
        assert "nothing in common with ours, though it once had" in done.err
        assert "--allow-unrelated" in done.err
    assert not (b / "d0/00").exists()
    assert head(cli, b) == before
    cli("-C", b, "sync", "--allow-unrelated")
    assert (b / "d0/00").exists()
    assert contents(a) == contents(b)


def test_histories_that_never_met_are_joined(cli, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name / name, name)
        cli("init", name)
        cli("-C", name, "commit")
    cli("-C", "b", "remote", "add", "a", tmp_path / "a")
    cli("-C", "b", "sync")
    assert contents(tmp_path / "a") == contents(tmp_path / "b") == {"a": b"a", "b": b"b"}


def test_too_little_room_is_known_before_anything_is_written(cli, tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0 or subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", place], check=False
    ).returncode != 0:  # fmt: skip
        pytest.skip("no file system can be mounted here")
    try:
        write(tmp_path / "a/f", "1")
        cli("clone", tmp_path / "a", place / "b")
        before, stage = contents(place / "b"), place / "b/.replican/stage"
        write(tmp_path / "a/large", os.urandom(6 << 20))
        write(tmp_path / "a/f", "2")
        old = head(cli, place / "b")
        done = cli("-C", place / "b", "pull", code=3)
        assert "bytes free" in done.err
        assert "needed" in done.err
        assert contents(place / "b") == before
        assert os.listdir(stage) == []
        assert head(cli, place / "b") == old
        os.unlink(tmp_path / "a/large")
        cli("-C", place / "b", "sync")
        assert contents(place / "b") == {"f": b"2"}
    finally:
        subprocess.run(["umount", place], check=True)
