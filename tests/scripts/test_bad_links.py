"""Links that are slow, cut, or dead, from the command line: a pipe that delays, throttles, cuts and swallows."""

import os
import signal
import time
from pathlib import Path

import pytest
from bad_link import BadLink
from false_ssh import false_ssh
from folders import assert_equal, in_step, write

from replican.values.frames import MESSAGE, Deframer
from replican.values.messages import Hello, decode_message

pytestmark = pytest.mark.within

MANY = 300


@pytest.fixture
def link(tmp_path: Path, environment: dict[str, str]) -> BadLink:
    """All commands reach other machines by it: these have the home of this one."""
    made = BadLink(tmp_path, false_ssh(tmp_path))
    environment["REPLICAN_SSH"] = str(made.program)
    return made


@pytest.fixture
def there(environment: dict[str, str]) -> Path:
    root = Path(environment["HOME"]) / "docs"
    for number in range(MANY):
        write(root / f"{number % 9}/{number}", b"%d" % number)
    return root


@pytest.fixture
def here(cli, link: BadLink, there: Path, tmp_path: Path) -> Path:
    cli("clone", "host:docs", "here")
    assert_equal(there, tmp_path / "here")
    return tmp_path / "here"


# -- links that are slow -----------------------------------------------------------------------------------------


def test_round_trips(cli, link: BadLink, there: Path, here: Path, tmp_path: Path) -> None:
    """How often an answer is waited for, with 20 ms each way: what takes so long over a slow link."""
    link.set(delay=0.02)
    for command in ("sync", "pull", "push", "fetch"):
        cli(command, cwd=here)
        assert link.told["round_trips"] <= 4, f"{command}, nothing to do"
    for number, command in enumerate(("sync", "pull")):
        write(there / "0/0", f"changed {number}")
        cli(command, cwd=here)
        assert link.told["round_trips"] <= 7, f"{command}, one file changed there"
    for number, command in enumerate(("sync", "push")):
        write(here / "1/1", f"changed {number}")
        cli("commit", cwd=here)
        cli(command, cwd=here)
        assert link.told["round_trips"] <= 7, f"{command}, one file changed here"
    write(there / "0/0", "once more")
    write(here / "1/1", "once more")
    cli("sync", cwd=here)
    assert link.told["round_trips"] <= 7, "one file changed on both sides"
    assert_equal(there, here)
    cli("clone", "host:docs", "another")
    assert link.told["round_trips"] <= 7
    assert_equal(there, tmp_path / "another")


# -- rates -------------------------------------------------------------------------------------------------------


def hello_of(said: Path) -> Hello:
    """The hello in what an asker has said."""
    deframer = Deframer()
    deframer.feed(said.read_bytes())
    frame = deframer.take()
    assert frame is not None
    assert frame.kind == MESSAGE
    hello = decode_message(frame.body)
    assert isinstance(hello, Hello)
    return hello


def test_a_rate_is_asked_for(cli, tmp_path: Path, environment: dict[str, str], there: Path) -> None:
    ssh, said = false_ssh(tmp_path), tmp_path / "said"
    ssh.write_text(ssh.read_text().replace('exec sh -c "$1"', f'tee {said} | sh -c "$1"'))
    environment["REPLICAN_SSH"] = str(ssh)
    cli("clone", "--limit-rate", "9M", "host:docs", "here")
    here = tmp_path / "here"
    assert hello_of(said).rate == 9 << 20
    assert_equal(there, here)
    for command in ("fetch", "pull", "push", "sync"):
        cli(command, cwd=here)
        assert hello_of(said).rate == 0
        cli(command, "--limit-rate", "500K", cwd=here)
        assert hello_of(said).rate == 500 << 10
        assert "not a rate" in cli(command, "--limit-rate", "fast", cwd=here, code=2).err
    cli("config", "remote.origin.limit_rate", "2M", cwd=here)
    cli("sync", cwd=here)
    assert hello_of(said).rate == 2 << 20
    cli("sync", "--limit-rate", "0", cwd=here)
    assert hello_of(said).rate == 0
    assert "bytes a second" in cli("config", "remote.origin.limit_rate", "2", cwd=here, code=2).err


def test_more_than_a_burst_at_a_limited_rate(cli, link: BadLink, there: Path, here: Path) -> None:
    write(there / "noise", os.urandom(100_000))
    cli("pull", "--limit-rate", "400K", cwd=here)
    write(here / "noise here", os.urandom(100_000))
    cli("sync", "--limit-rate", "400K", cwd=here)
    assert_equal(there, here)


# -- links that are dead -----------------------------------------------------------------------------------------


def is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_far_end_that_is_stopped(cli, link: BadLink, there: Path, here: Path) -> None:
    write(there / "large", os.urandom(3 << 20))
    cli("config", "core.timeout", "3", cwd=here)
    link.set(stop=1 << 20)
    failed = cli("pull", cwd=here, code=5)
    assert "remote origin cannot be reached: nothing was heard from the other end for 3 seconds" in failed.err
    assert "core.timeout" in failed.err
    far = link.told["far"]
    assert is_there(far)
    os.killpg(far, signal.SIGCONT)  # then it finds that the link is gone
    for _ in range(1000):
        if not is_there(far):
            break
        time.sleep(0.01)
    assert not is_there(far)
    link.set()
    in_step(cli, there, here)


@pytest.mark.parametrize("after", [0, 400])
def test_a_link_that_swallows_everything(cli, link: BadLink, there: Path, here: Path, after: int) -> None:
    write(there / "new", os.urandom(5000))
    cli("config", "remote.origin.timeout", "3", cwd=here)
    link.set(swallow=after)
    for command in ("pull", "sync"):
        failed = cli(command, cwd=here, code=5)
        assert "nothing was heard from the other end for 3 seconds" in failed.err
    link.set()
    in_step(cli, there, here)


def test_an_end_that_is_only_busy(cli, link: BadLink, there: Path, here: Path) -> None:
    """It computes, and that for longer than the other one waits for a sign of life."""
    cli("config", "remote.origin.timeout", "8", cwd=here)
    busy = (
        "import sys, time; from replican.operations import serving; from replican.porcelain._main import main\\n"
        "real = serving.record_for\\n"
        "def slow(*words, **named):\\n"
        "    until = time.monotonic() + 10\\n"
        "    while time.monotonic() < until: pass\\n"
        "    return real(*words, **named)\\n"
        "serving.record_for = slow; sys.argv[0] = 'replican'; main()"
    )
    script = there.parent / "busy.py"
    script.write_text(busy.replace("\\n", "\n"))
    cli("config", "remote.origin.serve_command", f"python {script}", cwd=here)
    write(there / "new", "n")
    cli("pull", cwd=here)
    assert_equal(there, here)
