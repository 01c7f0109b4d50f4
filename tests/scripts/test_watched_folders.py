"""`replican watch`: folders that are kept in step while their users work in them."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from false_ssh import false_ssh
from folders import write
from watching import eventually, holds, watching


def in_step(*roots: Path) -> bool:
    """Whether all logs are at the same head."""
    return len({(root / ".replican/refs/head").read_bytes() for root in roots}) == 1


def test_what_is_written_on_one_side_is_soon_on_the_other(two: tuple[Path, Path]) -> None:
    a, b = two
    with watching(a, b) as (_, there):
        there.wait("synced")
        write(a / "new.txt", "from a")
        eventually(lambda: holds(b / "new.txt", "from a"))
        write(b / "photos/2021/1.jpg", "from b")
        eventually(lambda: holds(a / "photos/2021/1.jpg", "from b"))
        (a / "photos/2020").rename(a / "old photos")
        eventually(lambda: (b / "old photos/03.jpg").exists() and not (b / "photos/2020").exists())
        (b / "letter.txt").unlink()
        eventually(lambda: not (a / "letter.txt").exists())
        eventually(lambda: in_step(a, b))


def test_what_a_merge_writes_is_not_recorded_again(two: tuple[Path, Path], cli) -> None:
    a, b = two
    with watching(a, b) as (here, there):
        there.wait("synced")
        for number in range(20):
            write(a / f"new{number}", str(number))
        eventually(lambda: holds(b / "new19", "19"))
        eventually(lambda: in_step(a, b))
        time.sleep(1)
        before = len(cli("-C", a, "rev-list", "head").lines)
        time.sleep(1)
        assert "recorded" not in there.kinds()
        assert before == len(cli("-C", b, "rev-list", "head").lines)
        assert "error" not in here.kinds() + there.kinds()


def test_a_folder_that_nobody_watches_is_looked_after_by_who_watches_its_clone(two: tuple[Path, Path]) -> None:
    a, b = two
    with watching(b) as (there,):
        there.wait("synced")
        write(a / "new.txt", "from a")
        eventually(lambda: holds(b / "new.txt", "from a"))
        write(b / "back.txt", "from b")
        eventually(lambda: holds(a / "back.txt", "from b"))


def test_a_chain_comes_to_rest(two: tuple[Path, Path], cli) -> None:
    a, b = two
    c, d = a.parent / "c", a.parent / "d"
    cli("clone", "b", "c")
    cli("clone", "c", "d")
    with watching(a, b, c, d):
        write(a / "one", "1")
        write(d / "two", "2")
        write(c / "photos/2020/00.jpg", "3")
        for root in (a, b, c, d):
            eventually(lambda root=root: holds(root / "one", "1") and holds(root / "two", "2"))
        eventually(lambda: in_step(a, b, c, d))
        for root in (a, b, c, d):
            assert holds(root / "photos/2020/00.jpg", "3")


@pytest.mark.parametrize("mesh", [False, True], ids=["ring", "mesh"])
def test_a_ring_or_a_mesh_comes_to_rest(two: tuple[Path, Path], cli, mesh: bool) -> None:
    a, b = two
    c = a.parent / "c"
    cli("clone", "b", "c")
    cli("-C", a, "remote", "add", "round", c)
    if mesh:  # each knows each
        for here, there in ((a, b), (b, c), (c, a)):
            cli("-C", here, "remote", "add", there.name, there)
    with watching(a, b, c):
        for number, root in enumerate((a, b, c)):
            write(root / "letter.txt", f"version {number}")
            write(root / f"own{number}", "x")
        for root in (a, b, c):
            eventually(lambda root=root: all((root / f"own{number}").exists() for number in range(3)))
        eventually(lambda: in_step(a, b, c))
        time.sleep(1.5)
        assert in_step(a, b, c)
    versions = {path.read_text() for path in a.glob("letter*")}
    assert versions == {"version 0", "version 1", "version 2"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_within_a_second(two: tuple[Path, Path], cli, number: signal.Signals) -> None:
    a, b = two
    with watching(b) as (watch,):
        watch.wait("synced")
        for each in range(300):
            write(a / f"many/{each}", f"{each}" * 100)
        began = time.monotonic()
        assert watch.stop(number) == 0
        assert time.monotonic() - began < 2, "a second, and as much again for a busy machine"
        assert watch.events[-1]["kind"] == "stopped"
    cli("-C", b, "sync")
    assert cli("-C", b, "fsck").code == 0
    assert in_step(a, b)


def test_a_killed_watch_leaves_nothing_that_the_next_does_not_clear_up(two: tuple[Path, Path]) -> None:
    a, b = two
    with watching(b) as (watch,):
        watch.wait("synced")
        for each in range(300):
            write(a / f"many/{each}", f"{each}" * 100)
        watch.kill()
    with watching(b) as (watch,):
        eventually(lambda: holds(b / "many/299", "299" * 100))
        eventually(lambda: in_step(a, b))


def test_a_gate_stops_recording_until_the_user_decides(two: tuple[Path, Path], cli) -> None:
    a, b = two
    with watching(b) as (watch,):
        watch.wait("synced")
        shutil.rmtree(b / "photos")
        closed = watch.wait("gate", open=False, remote=None)
        assert closed["names"] == ["mass-delete"]
        assert closed["hint"] == "if that is meant: `replican commit --allow-mass-delete`"
        write(b / "beside.txt", "x")
        (b / "empty").unlink()
        time.sleep(1)
        assert (a / "photos/2020/00.jpg").exists()
        assert watch.kinds().count("gate") == 1, "one more that would be deleted is no other gate"
        cli("-C", b, "commit", "--allow-mass-delete")
        assert watch.wait("gate", open=True, remote=None)["names"] == ["mass-delete"]
        assert watch.wait("gate", open=False, remote="origin")["names"] == ["mass-delete"]
        assert not (a / "beside.txt").exists()
        cli("-C", a, "remote", "add", "back", b)
        cli("-C", a, "pull", "--allow-mass-delete")
        assert watch.wait("gate", open=True, remote="origin")["names"] == ["mass-delete"]
        assert holds(a / "beside.txt", "x")
        assert not (a / "photos").exists()


def test_a_gate_over_there_stops_that_remote_alone(two: tuple[Path, Path], cli) -> None:
    a, b = two
    c = a.parent / "c"
    cli("clone", "b", "c")
    cli("-C", b, "remote", "add", "other", c)
    hook = write(b / ".replican/hooks/gate", '#!/bin/sh\necho "$1 $3" >> .replican/told\n')
    hook.chmod(0o755)
    with watching(b) as (watch,):
        watch.wait("synced", remote="origin")
        watch.wait("synced", remote="other")
        shutil.rmtree(b / "photos")
        watch.wait("gate", open=False, remote=None)
        cli("-C", b, "commit", "--allow-mass-delete")
        watch.wait("gate", open=False, remote="origin")
        cli("-C", c, "merge", "origin", "--allow-mass-delete", code=None)
        cli("-C", c, "pull", "--allow-mass-delete")
        assert not (c / "photos").exists()
        write(b / "later", "x")
        eventually(lambda: holds(c / "later", "x"))
        assert not (a / "later").exists()
        # It has been tried again, and was refused again: that is no news, and stands as before.
        (origin, _) = cli("status", "--json", cwd=b).json()["watch"]["remotes"]
        assert (origin["name"], origin["state"]) == ("origin", "gate")
        assert "would be deleted" in origin["message"]
        assert any(line.startswith("origin: gate: ") for line in cli("status", cwd=b).lines)
        (closed,) = [event for event in watch.events if event["kind"] == "gate" and event["remote"] == "origin"]
        told = (b / ".replican/told").read_text().splitlines()
        assert told.count("mass-delete origin") == 1
        # What opens it is another folder's command, and the hint says it whole.
        cli("-C", a, "remote", "add", "back", b)
        command = closed["hint"].split("`")[1].split(" && ")[-1]
        assert command == f"replican -C {a} pull --allow-mass-delete b"
        cli(*command.split()[1:-1], "back")
        opened = watch.wait("gate", open=True, remote="origin")
        watch.wait("synced", after=watch.events.index(opened), remote="origin")
        eventually(lambda: holds(a / "later", "x"))
        (origin, _) = cli("status", "--json", cwd=b).json()["watch"]["remotes"]
        assert (origin["state"], origin["message"]) == ("in step", "")


def test_a_remote_that_is_away_is_found_again(two: tuple[Path, Path]) -> None:
    a, b = two
    hidden = a.parent / "hidden"
    a.rename(hidden)
    with watching(b) as (watch,):
        lost = watch.wait("remote-lost")
        assert lost["code"] == "remote"
        write(b / "new", "x")
        watch.wait("recorded")
        hidden.rename(a)
        eventually(lambda: holds(a / "new", "x"))
        watch.wait("remote-found")


def test_a_folder_that_is_gone_and_comes_back(two: tuple[Path, Path]) -> None:
    a, b = two
    hidden = a.parent / "hidden"
    with watching(b) as (watch,):
        watch.wait("synced")
        b.rename(hidden)
        watch.wait("error", code="no-repository")
        write(a / "new", "x")
        b.mkdir()  # an empty place where it was mounted
        time.sleep(0.5)
        b.rmdir()
        hidden.rename(b)
        eventually(lambda: holds(b / "new", "x"))
        assert (a / "letter.txt").exists()


def test_a_file_that_is_being_written_is_left_until_it_is_closed(two: tuple[Path, Path]) -> None:
    a, b = two
    with watching(a, b) as (here, there):
        there.wait("synced")
        with (a / "growing").open("w") as file:
            for number in range(5):
                file.write(f"{number}\n")
                file.flush()
                time.sleep(0.1)
            assert "recorded" not in here.kinds()
        eventually(lambda: holds(b / "growing", "0\n1\n2\n3\n4\n"))
        here.wait("recorded")
        assert here.kinds().count("recorded") == 1


def test_conflicts_are_told_and_kept(two: tuple[Path, Path]) -> None:
    a, b = two
    write(a / "letter.txt", "a's")
    write(b / "letter.txt", "b's")
    with watching(b) as (watch,):
        told = watch.wait("conflict")
        assert told["path"] == "letter.txt"
        eventually(lambda: in_step(a, b))
    assert {path.read_text() for path in b.glob("letter*")} == {"a's", "b's"}
    assert sorted(os.listdir(a)) == sorted(os.listdir(b))


def test_a_burst_becomes_few_checkpoints(two: tuple[Path, Path], cli) -> None:
    a, b = two
    before = len(cli("-C", a, "rev-list", "head").lines)
    with watching(a, b) as (_, there):
        there.wait("synced")
        for number in range(3000):
            write(a / f"many/{number % 50}/{number}", str(number))
        eventually(lambda: holds(b / "many/49/2999", "2999"))
        eventually(lambda: in_step(a, b))
    made = len(cli("-C", a, "rev-list", "head").lines) - before
    assert made <= 8


@pytest.mark.parametrize("watched", [True, False])
def test_over_a_link(two: tuple[Path, Path], cli, watched: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nobody watches the far folder: who answers there records it."""
    a, _ = two
    monkeypatch.setenv("REPLICAN_SSH", str(false_ssh(a.parent)))
    cli("clone", f"host:{a}", "c", env={"REPLICAN_SSH": os.environ["REPLICAN_SSH"]})
    c = a.parent / "c"
    with watching(*([a] if watched else []), c) as watches:
        watches[-1].wait("synced")
        write(a / "new", "from a")
        eventually(lambda: holds(c / "new", "from a"))
        # In the moment in which it comes, it is not known yet which version an edit is made on: then both are kept.
        watches[-1].wait("synced", came={"added": 1, "deleted": 0, "moved": 0, "changed": 0})
        write(c / "new", "from c")
        eventually(lambda: holds(a / "new", "from c"))
        write(a / "more", "from a")
        eventually(lambda: holds(c / "more", "from a"))
        done = watches[-1].wait("synced", went={"added": 0, "deleted": 0, "moved": 0, "changed": 1})
        assert done["sent"] > 0 < done["received"]
        eventually(lambda: in_step(a, c))
        assert "error" not in watches[-1].kinds()


def test_while_a_slow_remote_sends_edits_go_elsewhere(
    two: tuple[Path, Path], cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has the lock meanwhile: what is edited is recorded, and carried to who is fast."""
    a, _ = two
    monkeypatch.setenv("REPLICAN_SSH", str(false_ssh(a.parent)))
    cli("clone", f"host:{a}", "c", env={"REPLICAN_SSH": os.environ["REPLICAN_SSH"]})
    c, d = a.parent / "c", a.parent / "d"
    cli("clone", "c", "d")
    cli("-C", c, "config", "set", "remote.origin.limit_rate", "250K")
    large = os.urandom(2_500_000)
    with watching(a, c, d) as (_, here, _):
        here.wait("synced")
        (a / "large").write_bytes(large)
        eventually(lambda: any((c / ".replican/ahead/origin").glob("*")))
        write(c / "lone", "from c")
        eventually(lambda: holds(d / "lone", "from c"))
        assert not (c / "large").exists(), "it came before"
        eventually(lambda: (c / "large").exists())
        assert (c / "large").read_bytes() == large
        eventually(lambda: holds(a / "lone", "from c"))
        eventually(lambda: (d / "large").exists() and in_step(a, c, d))
        assert not any((c / ".replican/ahead/origin").glob("*")), "it was taken from there"
        assert here.wait("recorded")["message"] == "lone added"
        assert "error" not in here.kinds()
