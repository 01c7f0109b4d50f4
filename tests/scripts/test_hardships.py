"""Two folders in step, in spite of what happens to them: locks, kills, damage, permissions, other processes."""

import ctypes
import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from folders import assert_equal, contents, differences, snapshot, write

pytestmark = pytest.mark.within

Command = Callable[..., subprocess.CompletedProcess[str]]
PROGRAM = str(Path(sys.executable).parent / "replican")
TORTURE = int(os.environ.get("REPLICAN_TORTURE", "0"))


@pytest.fixture
def two(cli, tmp_path: Path) -> tuple[Path, Path]:
    """A small folder and its clone."""
    a = tmp_path / "a"
    for number in range(8):
        write(a / f"folder/{number}.txt", f"file {number}")
    write(a / "top", "x")
    cli("clone", "a", "b")
    return a, tmp_path / "b"


# -- permissions ---------------------------------------------------------------------------------------------------


def obey_permissions() -> None:
    """Give up what lets root read and write in spite of permissions; whoever is not root has nothing to give up."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


@pytest.fixture
def mine(tmp_path: Path, environment: dict[str, str]) -> Iterator[Command]:
    """A command line for which permissions count."""

    def run(*words: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [PROGRAM, *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            preexec_fn=obey_permissions,
            check=False,
        )
        assert code is None or done.returncode == code, f"{done.returncode} for {words}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    yield run
    for top, _, _ in os.walk(tmp_path):
        os.chmod(top, 0o700)


def test_what_cannot_be_read_stands_and_the_rest_goes_on(mine: Command, tmp_path: Path) -> None:
    place, run = tmp_path, mine
    a, b = place / "a", place / "b"
    write(a / "closed/inside", "kept")
    write(a / "secret", "kept, too")
    write(a / "open", "x")
    run("clone", "a", "b")
    (a / "closed").chmod(0)
    write(a / "secret", "not to be read").chmod(0)
    write(a / "open", "changed")
    done = run("-C", "a", "commit", code=4)
    assert "cannot read closed: permission denied" in done.stderr
    assert "cannot read secret: permission denied" in done.stderr
    done = run("-C", "b", "sync", code=4)
    assert "origin: cannot read secret: permission denied" in done.stderr
    assert contents(b) == {"closed/inside": b"kept", "secret": b"kept, too", "open": b"changed"}
    (a / "closed").chmod(0o755)
    (a / "secret").chmod(0o644)
    run("-C", "b", "sync", code=None)
    run("-C", "b", "sync")
    assert_equal(a, b)


def test_what_cannot_be_written_is_pending(mine: Command, tmp_path: Path) -> None:
    place, run = tmp_path, mine
    a, b = place / "a", place / "b"
    write(a / "fixed/old", "old")
    write(a / "free/old", "old")
    run("clone", "a", "b")
    (b / "fixed").chmod(0o500)
    run("-C", "b", "commit")
    run("-C", "b", "push")
    write(a / "fixed/old", "new")
    write(a / "fixed/more", "more")
    write(a / "free/old", "new")
    (a / "fixed").chmod(0o700)
    (b / "fixed").chmod(0o500)
    done = run("-C", "b", "sync", code=None)
    assert (b / "free/old").read_text() == "new"
    if done.returncode == 4:
        assert "pending: fixed/" in done.stderr
        (b / "fixed").chmod(0o700)
    run("-C", "b", "sync", code=None)
    run("-C", "b", "sync")
    assert_equal(a, b)


def test_a_read_only_directory_is_no_obstacle_to_its_attributes(mine: Command, tmp_path: Path) -> None:
    place, run = tmp_path, mine
    a, b = place / "a", place / "b"
    write(a / "closed/inside", "kept").chmod(0o400)
    (a / "closed").chmod(0o500)
    run("clone", "a", "b")
    assert_equal(a, b)
    assert stat.S_IMODE((b / "closed").stat().st_mode) == 0o500


def test_a_directory_that_is_shut_travels_and_opens_again(mine: Command, tmp_path: Path) -> None:
    """Its permissions are recorded as any others; what is in it stands, unseen, on both sides, and is no deletion."""
    a, b = tmp_path / "a", tmp_path / "b"
    write(a / "d/inside", "kept")
    mine("clone", "a", "b")
    (a / "d").chmod(0)
    mine("-C", "b", "sync", code=4)
    assert stat.S_IMODE((b / "d").stat().st_mode) == 0
    assert "cannot read d: permission denied" in mine("-C", "b", "sync", code=4).stderr
    (a / "d").chmod(0o755)
    write(a / "d/new", "new")
    mine("-C", "b", "sync", code=None)
    mine("-C", "b", "sync")
    assert contents(b) == {"d/inside": b"kept", "d/new": b"new"}
    assert_equal(a, b)


def test_a_source_that_cannot_be_made_a_replica(mine: Command, tmp_path: Path) -> None:
    place, run = tmp_path, mine
    write(place / "a/file", "x")
    (place / "a").chmod(0o500)
    done = run("clone", "a", "b", code=4)
    assert "cannot make" in done.stderr
    assert "permission denied" in done.stderr
    assert not (place / "b").exists()


def test_a_target_that_cannot_be_made(mine: Command, tmp_path: Path) -> None:
    """The source is no replica afterwards: that would have been for nothing."""
    write(tmp_path / "a/file", "x")
    (tmp_path / "shut").mkdir(mode=0o500)
    done = mine("clone", "a", "shut/b", code=4)
    assert "cannot make" in done.stderr
    assert os.listdir(tmp_path / "a") == ["file"]


def test_a_remote_that_may_not_be_read(mine: Command, tmp_path: Path) -> None:
    write(tmp_path / "a/file", "x")
    mine("clone", "a", "b")
    (tmp_path / "a/.replican").chmod(0)
    done = mine("-C", "b", "sync", code=5)
    assert "permission denied" in done.stderr
    assert "init" not in done.stderr
    (tmp_path / "a/.replican").chmod(0o700)
    mine("-C", "b", "sync")


def test_an_index_that_was_read_only(mine: Command, tmp_path: Path) -> None:
    """What SQLite makes beside it gets its permissions, and would keep them."""
    write(tmp_path / "a/file", "x")
    mine("clone", "a", "b")
    index = tmp_path / "b/.replican/index.db"
    index.chmod(0o400)
    mine("-C", "b", "sync", code=4)
    index.chmod(0o600)
    mine("-C", "b", "sync")


# -- other processes -----------------------------------------------------------------------------------------------

HOLD = """\
import sys, time
from replican.effects.lock import Lock
with Lock(sys.argv[1], "watch").acquire():
    print("held", flush=True)
    time.sleep(60)
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, folder / ".replican"], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_the_lock(cli, two) -> None:
    _, b = two
    holder = hold(b)
    try:
        refused = cli("-C", b, "--wait", "0.1", "sync", code=7)
        assert f"process {holder.pid} (watch)" in refused.err
        assert cli("-C", b, "status", "--json").json()["clean"]  # readers do not need it
        cli("-C", b, "log")
        waiting = subprocess.Popen([PROGRAM, "-C", b, "sync"], stdout=subprocess.DEVNULL)
        time.sleep(0.3)
        assert waiting.poll() is None
    finally:
        holder.kill()
        holder.communicate()
    assert waiting.wait(20) == 0
    assert (b / ".replican/lock").exists()
    cli("-C", b, "--wait", "0", "sync")  # a dead owner's lock does not bind


def test_two_syncs_at_once(cli, two, environment: dict[str, str]) -> None:
    a, b = two
    cli("-C", a, "remote", "add", "copy", b)
    for turn in range(4):
        write(a / f"a{turn}", "by a")
        write(b / f"b{turn}", "by b")
        running = [
            subprocess.Popen([PROGRAM, "-C", folder, "sync"], env=environment, stdout=-3, stderr=subprocess.PIPE)
            for folder in (a, b)
        ]
        for each in running:
            _, err = each.communicate(timeout=60)
            assert each.returncode in (0, 4), err
        cli("-C", b, "sync")
        assert_equal(a, b)


# -- damage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["garbage", "truncated", "gone", "empty"])
def test_a_damaged_index_is_rebuilt(cli, two, how: str) -> None:
    a, b = two
    write(b / "new", "y")
    index = b / ".replican/index.db"
    if how == "gone":
        index.unlink()
    elif how == "garbage":
        index.write_bytes(os.urandom(len(index.read_bytes())))
    else:
        os.truncate(index, 0 if how == "empty" else index.stat().st_size // 2)
    state = cli("-C", b, "status", "--json")
    assert [change["path"] for change in state.json()["changes"]] == ["new"]
    done = cli("-C", b, "sync")
    if how in ("garbage", "truncated"):
        assert "index" in done.err
        assert "rebuil" in done.err
    assert_equal(a, b)
    assert contents(a)["new"] == b"y"
    assert len(contents(a)) == 10


def test_a_damaged_index_on_the_other_side(cli, two) -> None:
    a, b = two
    write(b / "new", "y")
    (a / ".replican/index.db").write_bytes(b"no database")
    done = cli("-C", b, "sync")
    assert "origin: the index was damaged" in done.err
    assert_equal(a, b)


def test_a_damaged_object_is_named_and_never_believed(cli, two) -> None:
    a, b = two
    head = cli("-C", b, "status", "--json").json()["head"]
    before = snapshot(b)
    for path in (b / ".replican/objects").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            data = bytearray(path.read_bytes())
            for at in range(len(data) // 3, len(data), 7):
                data[at] ^= 0x55
            path.write_bytes(data)
    for words in (["log"], ["sync"], ["status"]):
        done = cli("-C", b, *words, code=6)
        assert "damaged" in done.err
        assert head is not None
    assert snapshot(b) == before
    assert differences(snapshot(a), before) == []


def test_a_damaged_ref_and_config(cli, two) -> None:
    _, b = two
    head = cli("-C", b, "status", "--json").json()["head"]
    ref = b / ".replican/refs/head"
    ref.write_text("nonsense\n")
    done = cli("-C", b, "sync", code=6)
    assert head in done.err
    cli("-C", b, "update-ref", "head", head)
    cli("-C", b, "sync")
    (b / ".replican/config.toml").write_text("format = [\n")
    assert "config.toml is damaged" in cli("-C", b, "sync", code=6).err


# -- kills -----------------------------------------------------------------------------------------------------------


def change(folder: Path, random_: random.Random, turn: str, count: int = 12) -> set[bytes]:
    """Do something to a folder; every content that was written."""
    written = set()
    for number in range(count):
        name = f"{folder.name} {turn} {number}"
        content = name.encode() * random_.choice([1, 1, 1, 5000])
        where = random_.choice(["new", "edit", "rename", "delete", "folder", "swap"])
        files = sorted(path for path in folder.rglob("*") if path.is_file() and ".replican" not in path.parts)
        victim = random_.choice(files) if files else folder / "first"
        if where == "edit" and files:
            victim.write_bytes(content)
        elif where == "rename" and files:
            target = folder / random_.choice(["", "moved", "folder"]) / f"{name}.txt"
            target.parent.mkdir(exist_ok=True)
            victim.rename(target)
            continue
        elif where == "delete" and len(files) > 5:
            victim.unlink()
            continue
        elif where == "folder" and (folder / "folder").is_dir():
            (folder / "folder").rename(folder / f"folder {turn} {number}")
            continue
        elif where == "swap" and files:
            victim.unlink()
            write(victim / "inside", content)
        else:
            write(folder / f"{random_.choice(['', 'folder/', 'deep/er/'])}{name}.txt", content)
        written.add(content)
    return written


@pytest.mark.parametrize("seed", range(3 + TORTURE // 100))
def test_kills_at_random_moments(cli, two, environment: dict[str, str], seed: int) -> None:
    a, b = two
    random_ = random.Random(seed)
    began = time.monotonic()
    subprocess.run([PROGRAM, "-C", b, "sync"], env=environment, capture_output=True, check=True)
    usual = time.monotonic() - began
    for turn in range(6):
        change(a, random_, f"{turn}")
        mine = change(b, random_, f"{turn}")
        for again in range(3):
            running = subprocess.Popen(
                [PROGRAM, "-C", b, "sync", "--allow-mass-delete"],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            time.sleep(random_.uniform(0.3, 1.3) * usual)
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            if random_.random() < 0.5:
                mine |= change(b, random_, f"{turn} {again}", 2)
        kept = set(contents_whole(b))
        for folder in (a, b, a, b):
            cli("-C", folder, "commit", "--allow-mass-delete", code=None)
        cli("-C", b, "sync", "--allow-mass-delete", code=None)
        cli("-C", b, "sync", "--allow-mass-delete")
        assert_equal(a, b)
        after = set(contents_whole(b))
        lost = {content for content in mine & kept if content not in after}
        assert not lost, f"turn {turn}: lost {[content[:20] for content in lost]}"


def contents_whole(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file() and ".replican" not in path.parts]


def test_a_killed_clone_goes_on(cli, tmp_path: Path, environment: dict[str, str]) -> None:
    a = tmp_path / "a"
    for number in range(1200):
        write(a / f"d{number % 20}/{number}", f"content {number}" * 50)
    for delay in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3):
        running = subprocess.Popen(
            [PROGRAM, "clone", "a", "b"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(delay)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    done = cli("clone", "a", "b", code=None)
    if done.code == 3:  # it had come to its end
        assert "is a replica already" in done.err
    cli("-C", "b", "sync")
    assert_equal(a, tmp_path / "b")
