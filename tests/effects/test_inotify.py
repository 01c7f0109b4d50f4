"""The watcher on Linux: what it tells of what happens, and that nothing that happens is left untold."""

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from select import select

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="inotify is Linux's")
if sys.platform.startswith("linux"):
    from noticing import Seen

    from replican.effects.inotify import OVERFLOWED


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "a/b").mkdir(parents=True)
    (root / "c").mkdir()
    (root / ".replican/stage").mkdir(parents=True)
    return root


@pytest.fixture
def seen(root: Path) -> Iterator[Seen]:
    seen = Seen(root)
    yield seen
    seen.watcher.close()


def test_nothing_happens(seen: Seen) -> None:
    assert not seen.drain()
    assert seen.watched() == {b"", b"a", b"a/b", b"c"}
    assert select([seen.watcher], [], [], 0) == ([], [], [])


def test_files(seen: Seen, root: Path) -> None:
    (root / "a/f").write_text("1")
    assert select([seen.watcher], [], [], 0)[0] == [seen.watcher]
    assert seen.settled() == {b"a/f"}
    (root / "a/f").chmod(0o600)
    (root / "top").symlink_to("nowhere")
    os.mkfifo(root / "fifo")
    assert seen.settled() == {b"a/f", b"top", b"fifo"}
    os.link(root / "a/f", root / "c/linked")
    os.truncate(root / "a/f", 0)
    assert seen.settled() == {b"a/f", b"c/linked"}
    (root / "a/f").unlink()
    found = seen.drain()
    assert (found.settled, found.gone) == ({b"a/f"}, {b"a/f"})
    (root / "a/f").read_bytes() if (root / "a/f").exists() else os.listdir(root / "a")
    assert not seen.drain(), "who only reads changes nothing"


def test_who_is_writing(seen: Seen, root: Path) -> None:
    with open(root / "f", "wb", buffering=0) as file:
        found = seen.drain()
        assert (found.settled, found.writing) == (set(), {b"f"})
        assert not seen.drain()
        file.write(b"1")
        assert seen.drain().writing == {b"f"}
        os.rename(root / "f", root / "c/g")
        found = seen.drain()
        assert (found.settled, found.writing, found.gone) == ({b"f"}, {b"c/g"}, set())
        os.rename(root / "c", root / "d")
        file.write(b"2")
        found = seen.drain()
        assert (found.settled, found.writing) == ({b"c", b"d"}, {b"d/g"})
    assert seen.settled() == {b"d/g"}


def test_a_writer_of_a_file_that_went(seen: Seen, root: Path) -> None:
    with open(root / "f", "wb", buffering=0) as file:
        (root / "f").unlink()
        file.write(b"1")
        assert seen.settled() == {b"f"}
    assert not seen.drain()


def test_a_file_saved_as_editors_do(seen: Seen, root: Path) -> None:
    (root / "f").write_text("old")
    seen.drain()
    (root / "f.new").write_text("new")
    (root / "f.new").rename(root / "f")
    found = seen.drain()
    assert (found.settled, found.gone) == ({b"f", b"f.new"}, set())


def test_new_directories_are_watched_with_all_that_is_in_them(seen: Seen, root: Path) -> None:
    (root / "n/m").mkdir(parents=True)
    (root / "n/m/f").write_text("1")
    found = seen.settled()
    assert b"n" in found
    assert seen.watched() >= {b"n", b"n/m"}
    (root / "n/m/k/l").mkdir(parents=True)
    assert b"n/m/k" in seen.settled()
    (root / "n/m/k/l/f").write_text("2")
    assert seen.settled() == {b"n/m/k/l/f"}


def test_a_file_that_was_begun_before_its_directory_was_watched(seen: Seen, root: Path) -> None:
    (root / "n").mkdir()
    (root / "n/done").write_text("1")
    with open(root / "n/begun", "wb", buffering=0) as file:
        file.write(b"1")
        found = seen.drain()
        assert (found.settled, found.writing) == ({b"n"}, set())
        file.write(b"2")
        found = seen.drain()
        assert (found.settled, found.writing) == (set(), {b"n/begun"})
    assert seen.settled() == {b"n/begun"}


def test_a_directory_that_is_renamed_keeps_its_watches(seen: Seen, root: Path) -> None:
    before = dict(seen.watcher._watches.paths)
    (root / "a").rename(root / "c/z")
    found = seen.drain()
    assert (found.settled, found.gone) == ({b"a", b"c/z"}, set())
    after = {number: path.replace(b"a", b"c/z", 1) for number, path in before.items()}
    assert seen.watcher._watches.paths == after
    (root / "c/z/b/f").write_text("1")
    assert seen.settled() == {b"c/z/b/f"}


def test_a_directory_that_leaves_is_not_watched_any_more(seen: Seen, root: Path, tmp_path: Path) -> None:
    (root / "a").rename(tmp_path / "outside")
    found = seen.drain()
    assert (found.settled, found.gone) == ({b"a"}, {b"a"})
    assert seen.watched() == {b"", b"c"}
    (tmp_path / "outside/b/f").write_text("1")
    assert not seen.drain()
    (tmp_path / "outside").rename(root / "back")
    assert seen.settled() == {b"back"}
    assert seen.watched() == {b"", b"c", b"back", b"back/b"}


def test_names_that_are_used_again(seen: Seen, root: Path, tmp_path: Path) -> None:
    (root / "a").rename(root / "old")
    (root / "a/new").mkdir(parents=True)
    (root / "c").rename(tmp_path / "c")
    (root / "c").mkdir()
    seen.drain()
    assert seen.watched() == {b"", b"a", b"a/new", b"old", b"old/b", b"c"}
    for name in ("a/new/f", "old/b/f", "c/f"):
        (root / name).write_text("1")
    assert seen.settled() == {b"a/new/f", b"old/b/f", b"c/f"}


def test_a_tree_that_goes(seen: Seen, root: Path) -> None:
    (root / "a/b/f").write_text("1")
    seen.drain()
    shutil.rmtree(root / "a")
    found = seen.drain()
    assert found.settled >= {b"a", b"a/b", b"a/b/f"}
    assert found.gone == {b"a"}
    assert seen.watched() == {b"", b"c"}


def test_permissions_of_a_directory_are_no_reason_to_look_into_it(seen: Seen, root: Path) -> None:
    (root / "a").chmod(0o700)
    found = seen.drain()
    assert (found.settled, found.modes) == (set(), {b"a"})


def test_a_link_to_a_directory_is_not_followed(seen: Seen, root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere/below").mkdir(parents=True)
    (root / "link").symlink_to(tmp_path / "elsewhere")
    shutil.rmtree(root / "a")
    (root / "a").symlink_to(tmp_path / "elsewhere")
    seen.drain()
    assert seen.watched() == {b"", b"c"}
    (tmp_path / "elsewhere/below/f").write_text("1")
    assert not seen.drain()


def test_what_is_ours_is_not_watched(seen: Seen, root: Path) -> None:
    (root / ".replican/stage/x").write_text("1")
    (root / ".replican/new").mkdir()
    (root / ".replican").chmod(0o700)
    (root / "a/.replican-tmp-1").write_text("1")
    assert not seen.drain()


def test_replicas_within_are_not_watched(root: Path) -> None:
    (root / "a/b/.replican").mkdir()
    seen = Seen(root)
    assert seen.watched() == {b"", b"a", b"c"}
    (root / "c/.replican").mkdir()
    assert seen.settled() == {b"c"}
    assert seen.watched() == {b"", b"a"}
    (root / "c/f").write_text("1")
    assert not seen.drain()
    seen.watcher.close()


def test_what_is_ignored_is_not_watched_unless_it_is_tracked(root: Path) -> None:
    (root / ".replicanignore").write_text("out/\nkept/\n")
    for name in ("out/x", "kept/y", "a/out"):
        (root / name).mkdir(parents=True)
    seen = Seen(root)
    assert seen.watched() == {b"", b"a", b"a/b", b"c"}
    seen.tracked |= {b"kept"}
    seen.watcher.extend(b"kept")
    assert seen.watched() == {b"", b"a", b"a/b", b"c", b"kept"}, "kept/y holds nothing that is tracked"
    (root / "c/out").mkdir()
    (root / "c/plain").mkdir()
    assert seen.settled() == {b"c/out", b"c/plain"}
    assert b"c/out" not in seen.watched()
    assert b"c/plain" in seen.watched()
    (root / "c/plain").rename(root / "c/out2")
    (root / "c/out2").rename(root / "out/moved")
    seen.drain()
    assert b"c/out2" not in seen.watched()
    (root / "out/moved/f").write_text("1")
    assert not seen.drain()
    seen.watcher.close()


def test_other_rules_mean_other_watches(root: Path) -> None:
    (root / "a/.replicanignore").write_text("b/\n")
    seen = Seen(root)
    assert seen.watched() == {b"", b"a", b"c"}
    (root / "a/.replicanignore").write_text("nothing\n")
    assert seen.settled() == {b"a", b"a/.replicanignore"}
    assert seen.watched() == {b"", b"a", b"a/b", b"c"}
    (root / "a/.replicanignore").write_text("b/\n")
    seen.drain()
    (root / "a").rename(root / "z")
    seen.drain()
    (root / "z/b").rename(root / "z/q")
    seen.drain()
    assert b"z/q" in seen.watched(), "the rules went along"
    (root / "z/.replicanignore").unlink()
    seen.drain()
    (root / "z/b").mkdir()
    seen.drain()
    assert b"z/b" in seen.watched()
    seen.watcher.close()


def test_more_than_the_system_tells_means_everything(seen: Seen, root: Path) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 50_000:
        pytest.skip("it takes too many events")
    (root / "a").rename(root / "moved")
    for number in range(limit // 2 + 10):
        os.close(os.open(root / f"c/{number}", os.O_CREAT | os.O_WRONLY))
    (root / "new/deep").mkdir(parents=True)
    shutil.rmtree(root / "moved/b")
    found = seen.drain()
    assert found.everything
    assert found.notes == [OVERFLOWED]
    assert seen.watched() == {b"", b"moved", b"c", b"new", b"new/deep"}
    (root / "new/deep/f").write_text("1")
    assert seen.settled() == {b"new/deep/f"}


def test_the_folder_itself_goes(seen: Seen, root: Path) -> None:
    root.rename(root.parent / "elsewhere")
    seen.drain()
    assert seen.watcher.lost


def test_the_folder_is_removed(seen: Seen, root: Path) -> None:
    (root / "n").mkdir()
    shutil.rmtree(root)
    seen.drain()
    assert seen.watcher.lost


LIMITED = """
    import sys
    from replican.effects.inotify import InotifyWatcher
    open("/proc/sys/user/max_inotify_watches", "w").write("4")
    watcher = InotifyWatcher(sys.argv[1], lambda path: False)
    found = watcher.drain()
    print(watcher.count, sorted(watcher.unwatched), len(found.notes), "max_user_watches=" in found.notes[0])
    print(found.notes[0].split()[0], found.notes[0].split()[2])
    print(found.notes[0].split(" alone ")[1].split()[0], found.notes[0].split("=")[1])
    import os
    os.mkdir(sys.argv[1] + "/new")
    found = watcher.drain()
    print(sorted(found.settled), b"new" in watcher.unwatched, found.notes)
    open("/proc/sys/user/max_inotify_watches", "w").write("100")
    watcher.extend()
    print(watcher.count, watcher.unwatched)
"""


def test_too_few_watches(root: Path) -> None:
    """In a user namespace of its own, where the limit can be set."""
    (root / "a/b/c/d").mkdir(parents=True)
    (root / "a/b/c/e").mkdir()
    words = ["unshare", "--user", "--map-root-user", sys.executable, "-c", textwrap.dedent(LIMITED), str(root)]
    if shutil.which("unshare") is None or subprocess.run([*words[:3], "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, numbers, needed, new, more = done.stdout.splitlines()
    assert first.startswith("4 [b'"), "as many as there can be; what is below is not named again"
    assert first.endswith("] 1 True")
    assert numbers == "3 7"
    alone, enough = map(int, needed.split())
    assert alone == int(Path("/proc/sys/fs/inotify/max_user_watches").read_text()) + 3
    assert enough > alone, "other folders of this user may lack some, too"
    assert new == "[b'new'] True []", "it is said once"
    assert more == "8 set()"
