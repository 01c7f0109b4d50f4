"""`replican watch` on a laptop: its network goes without a word, another one comes, and it sleeps in between."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_link import BadLink
from false_ssh import false_ssh
from folders import contents, write
from watching import PATIENCE, Watch, descendants, eventually, holds, is_gone, watching

SILENCE = 3  # seconds: as core.timeout is set


@pytest.fixture
def link(tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> BadLink:
    made = BadLink(tmp_path, false_ssh(tmp_path))
    environment["REPLICAN_SSH"] = str(made.program)
    monkeypatch.setenv("REPLICAN_SSH", str(made.program))
    monkeypatch.setenv("HOME", environment["HOME"])
    return made


@pytest.fixture
def far(environment: dict[str, str]) -> Path:
    root = Path(environment["HOME"]) / "docs"
    for number in range(30):
        write(root / f"{number % 3}/{number}", f"{number}")
    return root


@pytest.fixture
def here(cli, link: BadLink, far: Path, tmp_path: Path) -> Path:
    cli("clone", "host:docs", "here")
    cli("config", "core.timeout", str(SILENCE), cwd=tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def watch(here: Path) -> Iterator[Watch]:
    with watching(here) as (watch,):
        watch.wait("synced")
        yield watch


def link_of(watch: Watch) -> int:
    """The process that is the link of a watch: what ssh would be."""
    (found,) = [pid for pid in descendants(watch.process.pid) if b"bad_link.py" in command_of(pid)]
    return found


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def remote_of(cli, here: Path) -> dict[str, object]:
    (remote,) = cli("-C", here, "status", "--json").json()["watch"]["remotes"]
    return dict(remote)


def test_a_link_that_falls_silent(cli, watch: Watch, here: Path, far: Path) -> None:
    """Neither closed nor answering, as when a laptop is carried to another network."""
    link = link_of(watch)
    os.kill(link, signal.SIGSTOP)
    at = len(watch.events)
    write(far / "0/0", "edited there meanwhile")
    lost = watch.wait("remote-lost", after=at)
    assert lost["remote"] == "origin"
    assert f"nothing was heard from the other end for {SILENCE} seconds" in lost["message"]
    write(here / "1/1", "edited here meanwhile")
    watch.wait("remote-found", after=at)
    eventually(lambda: holds(here / "0/0", "edited there meanwhile"))
    eventually(lambda: holds(far / "1/1", "edited here meanwhile"))
    eventually(lambda: is_gone(link), "the end of the link that was dead")
    eventually(lambda: remote_of(cli, here)["state"] == "in step")
    write(far / "0/0", "edited once more")
    eventually(lambda: holds(here / "0/0", "edited once more"))
    assert contents(here) == contents(far)
    assert "error" not in watch.kinds()


def test_no_network_for_a_while(cli, watch: Watch, link: BadLink, here: Path, far: Path) -> None:
    """What is dead is said by status, too, until there is a network again."""
    link.set(cut_down=0)
    os.kill(link_of(watch), signal.SIGSTOP)
    at = len(watch.events)
    watch.wait("remote-lost", after=at)
    write(here / "new", "from here")
    write(far / "other", "from there")
    eventually(lambda: cli("-C", here, "ls-tree", "HEAD").text.count("\tnew\n") == 1, "a checkpoint of it")
    told = remote_of(cli, here)
    assert told["state"] == "lost"
    assert told["message"]
    assert any(line.startswith("origin: lost: ") for line in cli("-C", here, "status").lines)
    assert "remote-found" not in watch.kinds()[at:]
    link.set()
    watch.wait("remote-found", after=at)
    eventually(lambda: holds(here / "other", "from there") and holds(far / "new", "from here"))
    eventually(lambda: remote_of(cli, here)["state"] == "in step")
    assert contents(here) == contents(far)
    assert watch.kinds()[at:].count("remote-lost") == 1, "it is said once, however often it is tried"


def test_asleep_with_all_that_belongs_to_it(cli, here: Path, far: Path) -> None:
    """It is stopped as a machine is that sleeps; the other end hears nothing of it, and ends. Both sides were edited
    when it goes on: one just before, as by who closes the lid, the other meanwhile."""
    watch = Watch(here, under=["setsid"])
    try:
        watch.wait("synced")
        link = link_of(watch)
        os.killpg(watch.process.pid, signal.SIGSTOP)
        write(here / "1/1", "just before")
        (here / "2/2").unlink()
        write(far / "0/0", "meanwhile")
        write(far / "new/file", "meanwhile")
        os.kill(link, signal.SIGKILL)  # a far end that has given up
        os.killpg(watch.process.pid, signal.SIGCONT)
        eventually(lambda: holds(here / "0/0", "meanwhile") and holds(here / "new/file", "meanwhile"))
        eventually(lambda: holds(far / "1/1", "just before") and not (far / "2/2").exists())
        eventually(lambda: contents(here) == contents(far))
        assert "error" not in watch.kinds()
        assert cli("-C", here, "fsck").code == 0
    finally:
        watch.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("after", [0, 100_000])
def test_it_ends_with_a_remote_that_says_no_more(
    cli, link: BadLink, here: Path, far: Path, after: int, number: signal.Signals
) -> None:
    """From the first word on, or in the midst of a large file."""
    write(far / "large", os.urandom(1 << 20))
    cli("config", "core.timeout", "600", cwd=here)
    link.set(swallow=after)
    watch = Watch(here, under=["setsid"])
    try:
        watch.wait("live")
        eventually(lambda: link.written and link.told["down"] > after, "what is swallowed")
        known = descendants(watch.process.pid)
        os.killpg(watch.process.pid, number)
        watch.process.wait(PATIENCE)
        assert watch.stop() == 0
        eventually(lambda: all(is_gone(pid) for pid in known), "the end of its workers")
    finally:
        watch.kill()
    assert [event["why"] for event in watch.events if event["kind"] == "stopped"] == [number.name]
    link.set()
    with watching(here) as (watch,):
        watch.wait("synced")
    assert contents(here) == contents(far)


def test_it_ends_while_content_comes_slowly(link: BadLink, here: Path, far: Path) -> None:
    write(far / "large", os.urandom(3 << 20))
    link.set(rate=300_000)
    watch = Watch(here)
    try:
        eventually(lambda: any((here / ".replican/ahead/origin").glob("*")), "some of it")
        known = descendants(watch.process.pid)
        assert watch.stop() == 0
        eventually(lambda: all(is_gone(pid) for pid in known), "the end of its workers")
    finally:
        watch.kill()
    assert not (here / "large").exists(), "it came before"
    link.set()
    with watching(here) as (watch,):
        watch.wait("synced")
    assert contents(here) == contents(far)
