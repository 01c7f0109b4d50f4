"""`replican watch` while a large file is being read: what is small goes out, and what is asked is answered."""

import json
import os
import sys
import time
from pathlib import Path

import pytest
from false_ssh import false_ssh
from folders import write
from watching import Watch, descendants, eventually, holds, is_gone, large, reads, watching

from replican.values.progress import UNREAD

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is told by inotify, and seen in /proc")

SOON = 65 << 20  # bytes: just large, and soon read


def is_read(watch: Watch, path: Path) -> bool:
    """Whether a process of this watch reads a file."""
    pid = watch.process.pid
    return any(reads(each, path) for each in {pid, *descendants(pid)})


def unread(cli, root: Path) -> list[str]:
    told = json.loads(cli("-C", root, "status", "--json").out)
    assert not told["clean"]
    assert {each["kind"] for each in told["pending"]} == {"unread"}
    return [each["path"] for each in told["pending"] if each["cause"] == UNREAD]


def recorded(cli, root: Path) -> list[str]:
    return cli("-C", root, "ls-tree", "-r", "--name-only", "head").lines


def test_small_edits_go_out_and_status_answers(two: tuple[Path, Path], cli) -> None:
    a, b = two
    with watching(a, b) as (here, there):
        there.wait("synced")
        path = large(a / "large")
        eventually(lambda: is_read(here, path))
        for number in range(3):
            write(a / f"small{number}", "from a")
            eventually(lambda number=number: holds(b / f"small{number}", "from a"))
        write(b / "small", "from b")
        eventually(lambda: holds(a / "small", "from b"))
        assert unread(cli, a) == ["large"]
        assert b"not recorded yet" in cli("-C", a, "status").out
        assert is_read(here, path), "all this while it is being read"
        assert "large" not in recorded(cli, a)
        large(path, SOON)
        eventually(lambda: (b / "large").exists() and (b / "large").stat().st_size == SOON)
        eventually(lambda: json.loads(cli("-C", a, "status", "--json").out)["clean"])
        assert "error" not in here.kinds() + there.kinds()


def test_from_the_beginning_of_the_watch(two: tuple[Path, Path], cli) -> None:
    a, b = two
    path = large(a / "photos/large")
    write(a / "early", "from a")
    with watching(a, b) as (here, _):
        eventually(lambda: holds(b / "early", "from a"))
        eventually(lambda: is_read(here, path))
        write(a / "late", "from a")
        eventually(lambda: holds(b / "late", "from a"))
        assert unread(cli, a) == ["photos/large"]
        assert is_read(here, path)
        path.unlink()
        eventually(lambda: not any(reads(pid, path) for pid in descendants(here.process.pid)))
        eventually(lambda: json.loads(cli("-C", a, "status", "--json").out)["clean"])


def test_a_large_file_that_both_sides_have_changed(two: tuple[Path, Path], cli) -> None:
    a, b = two
    mine, theirs = b"mine" * (SOON // 4), b"theirs"
    with watching(b) as (here,):
        here.wait("synced")
        path = large(b / "letter.txt")
        eventually(lambda: is_read(here, path))
        write(a / "letter.txt", theirs)
        eventually(lambda: len(cli("-C", b, "rev-list", "head").lines) == 2, "the merge")
        assert path.stat().st_size > SOON, "a merge has not touched it"
        path.write_bytes(mine)
        for root in (b, a):
            eventually(lambda root=root: {each.read_bytes() for each in root.glob("letter*")} == {mine, theirs})


def test_a_killed_watch_leaves_nobody_behind_and_the_next_reads_it(two: tuple[Path, Path], cli) -> None:
    a, b = two
    watch = Watch(a)
    try:
        watch.wait("live")
        path = large(a / "large")
        eventually(lambda: is_read(watch, path))
        known = descendants(watch.process.pid)
    finally:
        watch.kill()
    eventually(lambda: all(is_gone(pid) for pid in known), "the end of its workers")
    large(path, SOON)
    with watching(a, b):
        eventually(lambda: (b / "large").exists() and (b / "large").stat().st_size == SOON)
    assert cli("-C", a, "fsck").code == 0


def test_a_pause_lets_go_of_it(two: tuple[Path, Path], cli) -> None:
    a, b = two
    with watching(a, b) as (here, _):
        path = large(a / "large")
        eventually(lambda: is_read(here, path))
        cli("-C", a, "watch", "--pause")
        assert not is_read(here, path)
        large(path, SOON)
        cli("-C", a, "watch", "--resume")
        eventually(lambda: (b / "large").exists() and (b / "large").stat().st_size == SOON)


@pytest.mark.parametrize("paused", [False, True])
def test_who_asks_does_not_wait_for_it(two: tuple[Path, Path], cli, paused: bool) -> None:
    """Also where the watch does nothing for now. What is small is seen as ever."""
    a, _ = two
    write(a / "large", "as it was")
    write(a / "small", "as it was")
    write(a / "other", "as it was")
    cli("-C", a, "commit", code=0)
    with watching(a) as (here,):
        if paused:
            cli("-C", a, "watch", "--pause")
        else:
            large(a / "first")  # the only reader has something to do
        path = large(a / "large")
        if not paused:
            eventually(lambda: is_read(here, a / "first"))
        else:
            write(a / "small", "edited")
        assert "large" in unread(cli, a)
        told = cli("-C", a, "status").out.decode()
        assert f"the watch does it {'once it goes on' if paused else 'meanwhile'}" in told
        found = cli("-C", a, "diff", code=4)
        assert found.lines == (["M\tsmall"] if paused else [])
        assert f"told as it was recorded: large: {UNREAD}" in found.err
        assert cli("-C", a, "diff", "--", "other", code=0).lines == []
        assert cli("-C", a, "conflicts", code=0).lines == []
        assert "not read yet" in cli("-C", a, "why", path, code=0).text
        assert not (paused and is_read(here, path))


@pytest.mark.parametrize("linked", [False, True])
def test_in_a_remote_that_nobody_watches(
    two: tuple[Path, Path], cli, linked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder is watched from here, or by who answers there, also where it was there from the beginning."""
    a, b = two
    if linked:
        monkeypatch.setenv("REPLICAN_SSH", str(false_ssh(a.parent)))
        cli("clone", f"host:{a}", "c", env={"REPLICAN_SSH": os.environ["REPLICAN_SSH"]})
        b = a.parent / "c"
    first = large(a / "first")
    write(a / "early", "from a")
    with watching(b) as (watch,):
        eventually(lambda: holds(b / "early", "from a"))
        eventually(lambda: is_read(watch, first))
        write(a / "late", "from a")
        eventually(lambda: holds(b / "late", "from a"))
        write(b / "back", "from b")
        eventually(lambda: holds(a / "back", "from b"))
        assert is_read(watch, first)
        large(first, SOON)
        eventually(lambda: (b / "first").exists() and (b / "first").stat().st_size == SOON)
        known = descendants(watch.process.pid)
        large(first)
        eventually(lambda: is_read(watch, first))
        known |= descendants(watch.process.pid)
        began = time.monotonic()
        assert watch.stop() == 0
        assert time.monotonic() - began < 5, "a second, and some more for a busy machine"
        eventually(lambda: all(is_gone(pid) for pid in known), "the end of its workers")
        assert "error" not in [event["kind"] for event in watch.events]
